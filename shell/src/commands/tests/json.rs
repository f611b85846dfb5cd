//! `--json`: what every command writes, held against what it says that it writes.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::COMMANDS;
use crate::record::{Field, FieldKind, Row, hex, number};
use crate::testing::{Machine, raw};

/// An object with its fields as they were written: in order, and twice if they are.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// What is wrong with a line that one of these rows should be.
fn wrong(line: &str, rows: &[&Row]) -> Option<String> {
    let fields = match serde_json::from_str::<Fields>(line) {
        Ok(Fields(fields)) => fields,
        Err(why) => return Some(format!("no object: {why}")),
    };
    let Some((("row", Value::String(name)), fields)) = fields
        .split_first()
        .map(|((key, value), rest)| ((key.as_str(), value), rest))
    else {
        return Some("`row` does not come first".to_string());
    };
    let known: Vec<_> = rows.iter().filter(|row| row.name == name).collect();
    if known.is_empty() {
        return Some(format!("no row is declared as `{name}`"));
    }
    // Commands inside another may have a row of the same name.
    let complaints = known.iter().map(|row| wrong_fields(fields, row.fields));
    complaints.min_by_key(Option::is_some).flatten()
}

fn wrong_fields(found: &[(String, Value)], declared: &[Field]) -> Option<String> {
    let names = |(name, _): &(String, Value)| name.clone();
    let found_names: Vec<_> = found.iter().map(names).collect();
    let declared_names: Vec<_> = declared.iter().map(|field| field.name).collect();
    if found_names != declared_names {
        return Some(format!(
            "fields {found_names:?}, declared {declared_names:?}"
        ));
    }
    found
        .iter()
        .zip(declared)
        .find_map(|((name, value), field)| {
            let is_right = match (field.kind, value) {
                (_, Value::Null) => field.nullable,
                (FieldKind::Hex, Value::String(text)) => is_hex(text),
                (FieldKind::Number, Value::Number(number)) => !number.is_f64(),
                (FieldKind::Text, Value::String(_)) | (FieldKind::Flag, Value::Bool(_)) => true,
                _ => false,
            };
            (!is_right).then(|| format!("`{name}` is {value}, declared {:?}", field.kind))
        })
}

fn is_hex(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or("");
    let lower = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    digits == "0" || (!digits.is_empty() && !digits.starts_with('0') && digits.chars().all(lower))
}

/// The rows of every command that a line names.
fn rows_of(line: &str) -> Vec<&'static Row> {
    let words = line.split([' ', ';', '\'', '"', '(', ')']);
    let names = words.filter_map(|word| word.split('/').next());
    // Names may be shortened, and `--help` is what `help` does.
    let names = names.map(|name| if name == "--help" { "help" } else { name });
    let named = names.filter_map(|name| crate::commands::find(name).ok());
    named.flat_map(|command| command.rows).collect()
}

/// Runs a line with `--json` at each of its commands; the lines of its output that are not
/// errors, after all of them have been checked.
#[track_caller]
pub(crate) fn checked(machine: &mut Machine, line: &str) -> Vec<String> {
    let rows = rows_of(line);
    let line: Vec<_> = line.split(';').map(with_json).collect();
    let line = line.join(";");
    let (text, _) = raw(machine, &line);
    let text = without_control(&text);
    let lines = text.lines().filter(|line| !is_error(line));
    let lines: Vec<_> = lines.map(String::from).collect();
    for object in &lines {
        if let Some(why) = wrong(object, &rows) {
            panic!("{line}: {why}\n{object}");
        }
    }
    lines
}

/// What `clear` and `framing` do is no output.
fn without_control(text: &str) -> String {
    let text = text.replace("\x1b[H\x1b[J", "");
    text.replace("@framed 1 build=0123456789ab\n", "")
}

/// Errors stay text, and red.
fn is_error(line: &str) -> bool {
    line.starts_with("\x1b[31m")
}

fn with_json(command: &str) -> String {
    match command.split_once('#') {
        Some((command, comment)) => format!("{command} --json #{comment}"),
        None => format!("{command} --json"),
    }
}

/// Whether a line means the same with the word at the end of each of its commands, and does not
/// take long.
pub(crate) fn can_be_asked(line: &str) -> bool {
    !line.contains(['|', '\'', '"', '#', '&'])
        && !line.contains("repeat")
        && !line.contains("--json")
        // A test of it takes a minute, on tables without end.
        && !line.starts_with("check loops 0x")
}

#[test]
fn every_example_writes_the_rows_its_command_declares() {
    for command in COMMANDS {
        let examples = command.examples.iter().map(|(line, _)| *line);
        for line in examples {
            checked(&mut Machine::full(), line);
            checked(&mut Machine::bare(), line);
        }
    }
}

#[test]
fn a_command_that_prints_text_prints_records_as_well() {
    for command in COMMANDS {
        let examples = command.examples.iter().map(|(line, _)| *line);
        for line in examples {
            let (text, _) = raw(&mut Machine::full(), line);
            let text = without_control(&text);
            let prints = text.lines().any(|line| !is_error(line));
            let records = checked(&mut Machine::full(), line);
            assert_eq!(prints, !records.is_empty(), "{line}: {text}{records:?}");
        }
    }
}

#[test]
fn names_of_rows_and_fields_are_those_of_a_variable() {
    let is_name = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .chars()
                .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'))
    };
    for row in COMMANDS.iter().flat_map(|command| command.rows) {
        assert!(is_name(row.name) && !row.about.is_empty(), "{}", row.name);
        for field in row.fields {
            assert!(is_name(field.name), "{} {}", row.name, field.name);
            assert!(!field.about.is_empty(), "{} {}", row.name, field.name);
            assert!(!field.about.contains('|') && !row.about.contains('|'));
        }
    }
}

#[test]
fn a_map_is_one_object_a_row() {
    assert_eq!(
        checked(&mut Machine::full(), "map lower"),
        [
            r#"{"row":"run","first":"0x400000","last":"0x400fff","at":"0x73000","bytes":4096,"rights":"ur-x","memory_type":"WB","pages_4k":1,"pages_2m":0,"pages_1g":0,"region":null}"#,
            r#"{"row":"run","first":"0x401000","last":"0x401fff","at":"0x74000","bytes":4096,"rights":"urw-","memory_type":"WB","pages_4k":1,"pages_2m":0,"pages_1g":0,"region":null}"#,
            r#"{"row":"summary","runs":2,"pages_4k":2,"pages_2m":0,"pages_1g":0,"holes":0,"unnamed_regions":0}"#,
        ]
    );
    checked(&mut Machine::full(), "map leaves upper");
}

#[test]
fn the_word_is_taken_at_either_end_and_nowhere_else() {
    let map = checked(&mut Machine::full(), "map lower").join("\n") + "\n";
    for line in [
        "map --json lower",
        "map lower   --json",
        "map  --json  lower",
    ] {
        assert_eq!(raw(&mut Machine::full(), line).0, map, "{line}");
    }
    for line in ["map lower --json 4k", "map lower '--json'"] {
        let (text, _) = raw(&mut Machine::full(), line);
        assert!(text.contains("map: "), "{line}: {text}");
    }
    // It ends with its command.
    let (text, _) = raw(&mut Machine::full(), "map --json lower; map lower");
    assert!(text.starts_with(&map) && !text.ends_with("}\n"), "{text}");
}

#[test]
fn the_check_notices_what_it_is_for() {
    const ROW: Row = Row {
        name: "run",
        about: "",
        fields: &[hex("at", ""), number("n", "").or_null()],
    };
    let is_wrong = |line: &str| wrong(line, &[&ROW]).is_some();
    assert!(!is_wrong(r#"{"row":"run","at":"0x10","n":null}"#));
    for line in [
        r#"{"row":"run","at":"0x10","n":null"#,
        r#"{"at":"0x10","row":"run","n":null}"#,
        r#"{"row":"other","at":"0x10","n":null}"#,
        r#"{"row":"run","at":"0x10"}"#,
        r#"{"row":"run","at":"0x10","n":1,"n":1}"#,
        r#"{"row":"run","at":"0x10","n":1.5}"#,
        r#"{"row":"run","at":"0x010","n":1}"#,
        r#"{"row":"run","at":"10","n":1}"#,
        r#"{"row":"run","at":null,"n":1}"#,
        r#"{"row":"run","at":"0x10","n":"1"}"#,
        "map",
    ] {
        assert!(is_wrong(line), "{line}");
    }
}
