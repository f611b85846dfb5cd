//! The editor against a naive one, and what a person sees against what they should see.

use proptest::prelude::*;

use super::{Editor, History, LINE_BYTES, Manner, Read};
use crate::testing::{Machine, Scripted};
use crate::{Key, Sink};

const MANNER: Manner = Manner {
    echo: Sink::All,
    completes: true,
    is_stopped: false,
    goes_on: false,
};

fn edit(terminal: &mut Scripted, editor: &mut Editor, history: &History) -> Read {
    terminal.screen.strict = true;
    editor.read(terminal, &mut Machine::bare(), history, MANNER)
}

/// Reads one line typed on a terminal of this size, without an Enter: it ends with the keys.
fn typed(columns: u16, keys: &[Key]) -> (Scripted, Editor) {
    let mut terminal = Scripted::new(columns, 24).keys(keys.iter().copied());
    let mut editor = Editor::new();
    assert_eq!(
        edit(&mut terminal, &mut editor, &History::new()),
        Read::Closed
    );
    (terminal, editor)
}

fn chars(text: &str) -> Vec<Key> {
    text.chars().map(Key::Char).collect()
}

/// The simplest editor that could be right.
#[derive(Default)]
struct Naive {
    text: Vec<char>,
    cursor: usize,
}

impl Naive {
    fn press(&mut self, key: Key) {
        let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
        let (text, cursor) = (&mut self.text, &mut self.cursor);
        let mut left = *cursor;
        let mut right = *cursor;
        match key {
            Key::WordLeft | Key::Alt('b') => {
                while left > 0 && !is_word(&text[left - 1]) {
                    left -= 1;
                }
                while left > 0 && is_word(&text[left - 1]) {
                    left -= 1;
                }
            }
            Key::Ctrl('w') => {
                while left > 0 && text[left - 1].is_whitespace() {
                    left -= 1;
                }
                while left > 0 && !text[left - 1].is_whitespace() {
                    left -= 1;
                }
            }
            Key::WordRight | Key::Alt('f' | 'd') => {
                while right < text.len() && !is_word(&text[right]) {
                    right += 1;
                }
                while right < text.len() && is_word(&text[right]) {
                    right += 1;
                }
            }
            _ => {}
        }
        match key {
            Key::Char(c) => {
                text.insert(*cursor, c);
                *cursor += 1;
            }
            Key::Left | Key::Ctrl('b') => *cursor = cursor.saturating_sub(1),
            Key::Right | Key::Ctrl('f') => *cursor = (*cursor + 1).min(text.len()),
            Key::Home | Key::Ctrl('a') => *cursor = 0,
            Key::End | Key::Ctrl('e') => *cursor = text.len(),
            Key::WordLeft | Key::Alt('b') => *cursor = left,
            Key::WordRight | Key::Alt('f') => *cursor = right,
            Key::Alt('d') => drop(text.drain(*cursor..right)),
            Key::Ctrl('w') => {
                text.drain(left..*cursor);
                *cursor = left;
            }
            Key::Ctrl('k') => text.truncate(*cursor),
            Key::Ctrl('u') => {
                text.drain(..*cursor);
                *cursor = 0;
            }
            Key::Backspace if *cursor > 0 => {
                *cursor -= 1;
                text.remove(*cursor);
            }
            Key::Delete | Key::Ctrl('d') if *cursor < text.len() => drop(text.remove(*cursor)),
            Key::Ctrl('t') if text.len() > 1 && *cursor > 0 => {
                let second = (*cursor).min(text.len() - 1);
                text.swap(second - 1, second);
                *cursor = second + 1;
            }
            _ => {}
        }
    }
}

fn any_key() -> impl Strategy<Value = Key> {
    let character = prop_oneof![
        8 => proptest::char::range('a', 'd'),
        3 => Just(' '),
        1 => Just('_'),
        1 => Just('+'),
        1 => Just('é'),
        1 => Just('€'),
        1 => Just('字'),
    ];
    let other = proptest::sample::select(vec![
        Key::Left,
        Key::Right,
        Key::Home,
        Key::End,
        Key::WordLeft,
        Key::WordRight,
        Key::Backspace,
        Key::Delete,
        Key::Alt('b'),
        Key::Alt('f'),
        Key::Alt('d'),
        Key::Alt('z'),
        Key::Ctrl('a'),
        Key::Ctrl('b'),
        Key::Ctrl('d'),
        Key::Ctrl('e'),
        Key::Ctrl('f'),
        Key::Ctrl('k'),
        Key::Ctrl('l'),
        Key::Ctrl('t'),
        Key::Ctrl('u'),
        Key::Ctrl('w'),
        Key::Ctrl('x'),
        Key::Escape,
        Key::PageUp,
        Key::Up,
        Key::Down,
    ]);
    prop_oneof![6 => character.prop_map(Key::Char), 3 => other]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_keys_leave_the_text_and_the_screen_a_naive_editor_would(
        keys in proptest::collection::vec(any_key(), 0..120),
        columns in proptest::sample::select(vec![1_u16, 8, 13, 24, 40, 80]),
    ) {
        let mut naive = Naive::default();
        keys.iter().for_each(|key| naive.press(*key));
        // A terminal narrower than eight columns is taken for one of eight.
        let mut terminal = Scripted::new(columns.max(8), 24).keys(keys);
        terminal.size = (columns, 24);
        let mut editor = Editor::new();
        prop_assert_eq!(edit(&mut terminal, &mut editor, &History::new()), Read::Closed);
        let text: String = naive.text.iter().collect();
        prop_assert_eq!(editor.line(), &text);
        let (before, after) = (editor.text.before(), editor.text.after());
        prop_assert_eq!(before.chars().count(), naive.cursor);
        prop_assert_eq!([before, after].concat(), text);
        check_row(&terminal, &naive.text, naive.cursor)?;
    }

    #[test]
    fn a_line_of_any_length_is_seen_around_its_cursor(
        length in 0_usize..400,
        moves in proptest::collection::vec(any_key(), 0..30),
        columns in 8_u16..90,
    ) {
        let line: String = ('a'..='z').cycle().take(length).collect();
        let mut keys = chars(&line);
        keys.extend(moves);
        let mut naive = Naive::default();
        keys.iter().for_each(|key| naive.press(*key));
        let (terminal, _) = typed(columns, &keys);
        check_row(&terminal, &naive.text, naive.cursor)?;
    }
}

/// Compares the edited row with the text: everything seen must be right, the cursor must
/// stand on its character, and `<` and `>` must stand exactly where text is hidden.
fn check_row(terminal: &Scripted, text: &[char], cursor: usize) -> Result<(), TestCaseError> {
    let screen = &terminal.screen;
    let (row, column) = screen.left;
    let cells = &screen.rows[row];
    let narrow = terminal.size.0.max(8) < 24;
    let prompt = if narrow { "> " } else { "ringwalk> " };
    prop_assert!(cells.iter().collect::<String>().starts_with(prompt));
    let width = cells.len() - prompt.len() - 1;
    prop_assert!(column >= prompt.len());
    let offset = cursor.checked_sub(column - prompt.len());
    let offset = offset.expect("the cursor is not further right than its text");
    prop_assert_eq!(cells.last(), Some(&' '), "the last column stays empty");
    for cell in 0..width {
        let seen = cells[prompt.len() + cell];
        let hidden_left = offset > 0 && cell == 0;
        let hidden_right = text.len() > offset + width && cell + 1 == width;
        let expected = match text.get(offset + cell) {
            _ if hidden_left => '<',
            _ if hidden_right => '>',
            Some('字' | '€') => '?',
            Some(c) => *c,
            None => ' ',
        };
        prop_assert_eq!(seen, expected, "cell {} of {:?}", cell, cells);
        prop_assert!(cursor != offset + cell || !(hidden_left || hidden_right));
    }
    Ok(())
}

#[test]
fn ctrl_c_abandons_the_line_and_says_so() {
    let keys = [chars("walk"), vec![Key::Home, Key::Ctrl('c')]].concat();
    let mut terminal = Scripted::new(80, 24).keys(keys);
    let mut editor = Editor::new();
    assert_eq!(
        edit(&mut terminal, &mut editor, &History::new()),
        Read::Abandoned
    );
    assert_eq!(terminal.screen.line(0), "ringwalk> walk^C");
    assert_eq!((terminal.screen.row, terminal.screen.column), (1, 0));
}

#[test]
fn history_comes_back_and_so_does_the_line_that_was_left_for_it() {
    let mut history = History::new();
    history.push("first");
    history.push("second");
    let press = |keys: &[Key]| {
        let keys = [chars("dra"), keys.to_vec()].concat();
        let mut terminal = Scripted::new(80, 24).keys(keys);
        let mut editor = Editor::new();
        edit(&mut terminal, &mut editor, &history);
        assert_eq!(
            terminal.screen.line(0),
            format!("ringwalk> {}", editor.line())
        );
        editor.line().to_string()
    };
    assert_eq!(press(&[Key::Up]), "second");
    assert_eq!(press(&[Key::Up, Key::Up, Key::Up]), "first");
    assert_eq!(press(&[Key::Ctrl('p'), Key::Up, Key::Ctrl('n')]), "second");
    assert_eq!(press(&[Key::Up, Key::Down, Key::Char('f')]), "draf");
    assert_eq!(press(&[Key::Down]), "dra");
    let search = [Key::Ctrl('u'), Key::Char('s'), Key::Ctrl('r')];
    assert_eq!(press(&search), "second");
    assert_eq!(press(&[&search[..], &[Key::Ctrl('r')]].concat()), "first");
    assert_eq!(
        press(&[&search[..], &[Key::Ctrl('r'), Key::Down]].concat()),
        "second"
    );
    assert_eq!(press(&[Key::Ctrl('r')]), "dra");
}

#[test]
fn a_flood_costs_a_byte_a_key_and_is_refused_whole() {
    let flood = "x".repeat(65536);
    let mut terminal = Scripted::new(80, 24).text(&flood).text("\n");
    let mut editor = Editor::new();
    assert_eq!(
        edit(&mut terminal, &mut editor, &History::new()),
        Read::TooLong
    );
    assert_eq!(terminal.screen.bells, 1);
    assert_eq!(editor.line().len(), LINE_BYTES);
    assert!(
        terminal.shown.len() < 4 * LINE_BYTES,
        "{}",
        terminal.shown.len()
    );
}

#[test]
fn an_emptied_line_may_be_typed_again_after_a_flood() {
    let keys = [
        chars(&"x".repeat(2000)),
        vec![Key::Ctrl('u')],
        chars("help"),
        vec![Key::Enter],
    ];
    let mut terminal = Scripted::new(80, 24).keys(keys.concat());
    let mut editor = Editor::new();
    assert_eq!(
        edit(&mut terminal, &mut editor, &History::new()),
        Read::Line
    );
    assert_eq!(editor.line(), "help");
}

#[test]
fn the_editor_asks_the_terminal_nothing_and_redraws_only_what_it_must() {
    let (terminal, _) = typed(80, &chars("walk"));
    assert_eq!(terminal.shown, "\x1b[1mringwalk> \x1b[0mwalk\n");
    let (terminal, _) = typed(
        80,
        &[chars("ab"), vec![Key::Left, Key::Home, Key::End]].concat(),
    );
    assert_eq!(
        terminal.shown,
        "\x1b[1mringwalk> \x1b[0mab\x1b[1D\x1b[1D\x1b[2C\n"
    );
}

fn tab(line: &str) -> (String, String) {
    let (terminal, editor) = typed(
        80,
        &line
            .chars()
            .map(|c| match c {
                '\t' => Key::Tab,
                c => Key::Char(c),
            })
            .collect::<Vec<_>>(),
    );
    (
        editor.line().to_string(),
        terminal.screen.text().trim_end().to_string(),
    )
}

#[test]
fn tab_completes_commands_and_arguments() {
    let cases = [
        ("wal\t", "walk "),
        ("re\t", "re"),
        ("rep\t", "repeat "),
        ("map m\t", "map master "),
        ("map cr3 ph\t", "map cr3 phys "),
        ("map w l\t", "map w l"),
        ("map w lea\t", "map w leaves "),
        ("walk 1 c\t", "walk 1 cr3 "),
        ("walk $ri\t", "walk $rip"),
        ("walk ($rsp + $cr\t", "walk ($rsp + $cr"),
        ("walk 1; fra\t", "walk 1; fram"),
        ("walk 1; frames\t", "walk 1; frames "),
        ("help wal\t", "help walk "),
        ("repeat 3 time wal\t", "repeat 3 time walk "),
        ("repeat 3 walk $ri\t", "repeat 3 walk $rip"),
        ("framing of\t", "framing off "),
        ("xyz\t", "xyz"),
        ("xyz a\t", "xyz a"),
    ];
    for (line, completed) in cases {
        assert_eq!(tab(line).0, completed, "{line:?}");
    }
}

#[test]
fn a_second_tab_lists_and_a_tab_with_nothing_to_offer_shows_the_usage() {
    let (line, screen) = tab("re\t\t");
    assert_eq!(line, "re");
    assert_eq!(screen, "ringwalk> re\nregs    repeat  reboot\nringwalk> re");
    let (_, screen) = tab("walk \t");
    assert_eq!(
        screen,
        "ringwalk> walk\nusage: walk <address> [root]\nringwalk> walk"
    );
    assert_eq!(tab("re\t\t\t\t\t").1, tab("re\t\t").1);
    assert_eq!(tab("walk \t\t\t").1, tab("walk \t").1);
    let (_, screen) = tab("version \t");
    assert_eq!(
        screen,
        "ringwalk> version\nusage: version\nringwalk> version"
    );
}
