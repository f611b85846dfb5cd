//! Commands out of texts and files, one by one.

use std::io::Read as _;

use anyhow::{Context as _, anyhow, bail, ensure};

use crate::cli::Source;

/// The commands of all sources, in order; blanks and comments are left out.
///
/// # Errors
///
/// When a file cannot be read, or a line of it cannot be sent as it is.
pub fn commands(sources: &[Source]) -> anyhow::Result<Vec<String>> {
    let mut commands = Vec::new();
    for source in sources {
        let (name, bytes) = match source {
            Source::Text(text) => ("-c".to_owned(), text.clone().into_bytes()),
            Source::File(file) => {
                let name = file.display().to_string();
                let bytes = std::fs::read(file).with_context(|| format!("cannot read {name}"))?;
                (name, bytes)
            }
            Source::Stdin => {
                let mut bytes = Vec::new();
                std::io::stdin()
                    .read_to_end(&mut bytes)
                    .context("cannot read standard input")?;
                ("standard input".to_owned(), bytes)
            }
        };
        commands.extend(of_one(&name, &bytes)?);
    }
    Ok(commands)
}

/// The commands of one source, all of them fit to be sent.
fn of_one(name: &str, bytes: &[u8]) -> anyhow::Result<Vec<String>> {
    let text = str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let number = good.split(|byte| *byte == b'\n').count();
        anyhow!("{name}, line {number}: not UTF-8")
    })?;
    let mut commands = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for command in split(line) {
            sendable(&command).with_context(|| format!("{name}, line {number}"))?;
            commands.push(command);
        }
    }
    Ok(commands)
}

/// Control characters are keys to the line editor of the kernel, and framing is ours to switch.
fn sendable(command: &str) -> anyhow::Result<()> {
    let key = command
        .chars()
        .find(|character| character.is_ascii_control() && *character != '\t');
    if let Some(key) = key {
        let shown = command.escape_debug();
        bail!("control character 0x{:02x} in `{shown}`", u32::from(key));
    }
    let mut words = command
        .split_whitespace()
        .map(|word| word.trim_matches(['"', '\'']));
    // The shell takes the beginning of a name for the name where it is clear: `frames` is the other.
    let is_framing = words
        .next()
        .is_some_and(|word| word.len() > "fram".len() && "framing".starts_with(word));
    ensure!(
        !(is_framing && matches!(words.next(), Some("on" | "off"))),
        "`{command}`: the output is framed already; a script cannot switch that"
    );
    Ok(())
}

/// Cuts one line at each `;` outside quotes, as the shell does; a `#` at a word's start ends it.
/// An unfinished quote leaves the rest as one command, for the shell to complain about.
#[must_use]
pub fn split(line: &str) -> Vec<String> {
    let mut commands = vec![String::new()];
    let mut quote = None;
    let mut word_start = true;
    for character in line.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, ';') => {
                commands.push(String::new());
                word_start = true;
                continue;
            }
            (None, '#') if word_start => break,
            _ => {}
        }
        word_start = quote.is_none() && character.is_whitespace();
        if let Some(command) = commands.last_mut() {
            command.push(character);
        }
    }
    let trimmed = commands.iter().map(|command| command.trim().to_owned());
    trimmed.filter(|command| !command.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_and_comments_count_only_outside_quotes_and_words() {
        for (line, commands) in [
            ("walk $rip; map", vec!["walk $rip", "map"]),
            (
                "echo 'a; b # c' ; echo \"d;'\"",
                vec!["echo 'a; b # c'", "echo \"d;'\""],
            ),
            ("echo a#b # the rest; is gone", vec!["echo a#b"]),
            ("  ;; \t", vec![]),
            ("# nothing", vec![]),
            ("a;#b;c", vec!["a"]),
            ("echo 'open; still", vec!["echo 'open; still"]),
        ] {
            assert_eq!(split(line), commands, "{line:?}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_sent_is_named() {
        for (bytes, why) in [
            (
                &b"map\nregs\x07\n"[..],
                "s, line 2: control character 0x07 in `regs\\u{7}`",
            ),
            (
                b"map; ec\rho",
                "s, line 1: control character 0x0d in `ec\\rho`",
            ),
            (
                b"map\x7f",
                "s, line 1: control character 0x7f in `map\\u{7f}`",
            ),
            (b"map\n\n# \xff", "s, line 3: not UTF-8"),
        ] {
            let error = of_one("s", bytes).expect_err(why);
            assert_eq!(format!("{error:#}"), why);
        }
        let fine = b"echo\ta\r\nmap # \x07\r\n";
        assert_eq!(of_one("s", fine).expect("all fit"), ["echo\ta", "map"]);
    }

    #[test]
    fn framing_is_not_for_a_script_to_switch() {
        for line in [
            "framing off",
            "map; framing  on",
            "frami off",
            "'framing' off",
        ] {
            let error = of_one("s", line.as_bytes()).expect_err(line);
            assert!(format!("{error:#}").starts_with("s, line 1: "), "{error:#}");
        }
        for line in [
            "framing maybe",
            "fram off",
            "echo framing off",
            "help framing",
        ] {
            assert!(of_one("s", line.as_bytes()).is_ok(), "{line}");
        }
    }

    #[test]
    fn each_line_of_a_script_is_a_line() {
        let sources = [Source::Text("map # one\n\nregs; cr\n".to_owned())];
        assert_eq!(
            commands(&sources).expect("no file to read"),
            ["map", "regs", "cr"]
        );
    }
}
