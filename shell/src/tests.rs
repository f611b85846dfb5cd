//! The shell as a whole: lines, pages, frames, and everything that is not meant well.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::framing::{Checksum, Line};
use crate::testing::{Machine, Scripted, output};
use crate::{Decoder, Key, Shell, Status};

fn session(terminal: &mut Scripted) {
    Shell::new().run(&mut Machine::full(), terminal);
}

fn execute(shell: &mut Shell, line: &str) -> (String, Status) {
    let mut terminal = Scripted::new(80, 24);
    let status = shell.execute(line, &mut Machine::full(), &mut terminal);
    (terminal.wire, status)
}

#[test]
fn a_session_is_a_prompt_a_line_and_its_answer() {
    let mut terminal = Scripted::new(80, 24).text("echo hello\n\necho 'a b' c # no\n");
    session(&mut terminal);
    assert_eq!(
        terminal.screen.text().trim_end(),
        "ringwalk> echo hello\nhello\nringwalk>\nringwalk> echo 'a b' c # no\na b c\nringwalk>"
    );
    assert_eq!(terminal.wire, terminal.shown);
}

#[test]
fn a_line_goes_on_after_a_failure_and_its_status_is_the_worst() {
    let mut shell = Shell::new();
    let (text, status) = execute(&mut shell, "walk nonsense; echo after");
    assert_eq!(
        text,
        "\x1b[31mwalk: `nonsense` is not a number\x1b[0m\nafter\n"
    );
    assert_eq!(status, Status::Failed);
    assert_eq!(
        execute(&mut shell, "walk nonsense; assert $? == 1").1,
        Status::Failed
    );
    assert_eq!(execute(&mut shell, "assert $? == 0").1, Status::Ok);
}

#[test]
fn a_line_that_cannot_be_read_is_not_half_run() {
    let mut shell = Shell::new();
    let (text, status) = execute(&mut shell, "echo first; echo 'second");
    assert!(text.contains("the quote ' is never closed") && !text.contains("first\n"));
    assert_eq!(status, Status::Failed);
    let long = format!("echo {}", "x".repeat(1024));
    let (text, status) = execute(&mut shell, &long);
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains("longer than 1024 bytes"));
    assert_eq!(status, Status::Failed);
}

#[test]
fn the_last_value_goes_from_command_to_command() {
    let (text, status) = output(
        &mut Machine::full(),
        "walk $rip; assert $_ == 0x7_3123; eval $_ + 1; assert $_ == 0x7_3124",
    );
    assert_eq!(status, Status::Ok, "{text}");
}

#[test]
fn repeat_stops_where_it_fails_and_nesting_ends() {
    let (text, status) = output(&mut Machine::full(), "repeat 5 assert 1 == 2");
    assert_eq!(
        text,
        "assert: `1 == 2` is false: 0x1 == 0x2\nrepeat: stopped at round 1 of 5\n"
    );
    assert_eq!(status, Status::Failed);
    let (text, _) = output(
        &mut Machine::full(),
        "repeat 1 repeat 1 repeat 1 repeat 1 repeat 1 echo",
    );
    assert!(text.starts_with("repeat: too deeply nested\n"), "{text}");
}

#[test]
fn ctrl_c_ends_a_loop_and_the_line() {
    let mut terminal = Scripted::new(80, 24);
    terminal.interrupt_after = Some(20);
    let line = "repeat 1000000 echo a; echo never";
    let status = Shell::new().execute(line, &mut Machine::full(), &mut terminal);
    assert_eq!(status, Status::Interrupted);
    let last = terminal.shown.lines().last().unwrap_or("").to_string();
    assert!(last.contains("repeat: interrupted in round"), "{last}");
    assert!(!terminal.shown.contains("never"));

    let mut terminal = Scripted::new(80, 24);
    terminal.interrupt_after = Some(3);
    let status = Shell::new().execute("help", &mut Machine::full(), &mut terminal);
    assert_eq!(status, Status::Interrupted);
    assert!(
        terminal
            .shown
            .ends_with("\x1b[31mhelp: interrupted\x1b[0m\n")
    );
}

#[test]
fn a_ctrl_c_from_before_the_line_is_forgotten() {
    let mut terminal = Scripted::new(80, 24);
    terminal.interrupt_after = Some(0);
    assert_eq!(
        Shell::new().execute("help", &mut Machine::full(), &mut terminal),
        Status::Ok
    );
}

const MORE: &str = "-- more --";

#[test]
fn output_longer_than_the_screen_stops_at_each_page() {
    let help = output(&mut Machine::full(), "help").0;
    let lines = help.lines().count();
    // Space for each page, with one to spare; then the prompt closes.
    let mut terminal = Scripted::new(80, 10).text("help\n     ");
    session(&mut terminal);
    assert_eq!(terminal.shown.matches(MORE).count(), (lines - 1) / 9);
    let text = terminal.screen.text();
    assert!(!text.contains(MORE), "the question is erased");
    assert!(text.contains(help.trim_end()), "{text}");
}

#[test]
fn a_page_that_is_exactly_full_asks_nothing() {
    let help = output(&mut Machine::full(), "help").0;
    let rows = help.lines().count() as u16 + 1;
    let mut terminal = Scripted::new(80, rows).text("help\n");
    session(&mut terminal);
    assert!(!terminal.shown.contains(MORE));
    let mut terminal = Scripted::new(80, rows - 1).text("help\n");
    session(&mut terminal);
    assert!(terminal.shown.contains(MORE));
}

#[test]
fn the_reader_may_go_on_by_lines_or_leave_or_see_it_all() {
    let shown = |keys: &str| {
        let mut terminal = Scripted::new(80, 10)
            .text("help\n")
            .text(keys)
            .text("echo $?\n");
        session(&mut terminal);
        terminal.screen.text()
    };
    let text = shown("q");
    assert!(
        text.contains("  regs") && !text.contains("  poweroff"),
        "{text}"
    );
    assert!(!text.contains("interrupted"));
    let text = shown("\n\nq");
    assert!(
        text.contains("  tss ") && !text.contains("  eval"),
        "{text}"
    );
    assert!(shown("a").contains("  poweroff"));
    // Other keys are not answers.
    assert!(shown("zzza").contains("  poweroff"));

    let mut terminal = Scripted::new(80, 10)
        .text("help; echo never\n")
        .keys([Key::Ctrl('c')]);
    session(&mut terminal);
    assert!(terminal.screen.text().contains("help: interrupted"));
    assert!(!terminal.screen.text().contains("\nnever"));
}

#[test]
fn leaving_the_pager_is_no_failure() {
    let mut terminal = Scripted::new(80, 10).text("help\nqassert $? == 0; echo fine\n");
    session(&mut terminal);
    assert!(
        terminal.screen.text().contains("\nfine"),
        "{}",
        terminal.screen.text()
    );
}

/// Checks every frame in what a wire carried, and returns their outputs and statuses.
fn frames(wire: &str) -> Vec<(String, Vec<String>, Status)> {
    let mut frames = Vec::new();
    let mut open: Option<(u64, String, Vec<String>, Checksum)> = None;
    for text in wire.lines() {
        let line = Line::parse(text);
        match (line, open.take()) {
            (Line::Begin { seq, command }, None) => {
                assert_eq!(seq, frames.len() as u64 + 1);
                open = Some((seq, command.to_string(), Vec::new(), Checksum::new()));
            }
            (Line::Output(_) | Line::Error(_), Some(mut frame)) => {
                frame.3.add(text.as_bytes());
                frame.3.add(b"\n");
                frame.2.push(text.to_string());
                open = Some(frame);
            }
            (
                Line::End {
                    seq,
                    lines,
                    crc,
                    status,
                },
                Some((number, command, texts, sum)),
            ) => {
                assert_eq!((seq, lines, crc), (number, texts.len() as u64, sum.value()));
                frames.push((command, texts, status));
            }
            (line, open) => panic!("{line:?} {}", open.is_some()),
        }
    }
    assert!(open.is_none());
    frames
}

#[test]
fn framed_lines_are_answered_by_frames_and_nothing_else() {
    let lines = "echo one; walk nonsense\n\nassert 1 == 2\n\techo\ttabbed\nhelp\n";
    let mut terminal = Scripted::new(80, 5).text("framing on\n").text(lines);
    session(&mut terminal);
    let mark = "@framed 1 build=0123456789ab\n";
    let (before, wire) = terminal
        .wire
        .split_once(mark)
        .expect("framing is announced");
    assert!(before.ends_with("framing on\n"));
    let frames = frames(wire);
    let texts = |index: usize| frames[index].1.join("\n");
    assert_eq!(frames[0].0, "echo one; walk nonsense");
    assert_eq!(texts(0), "|one\n!walk: `nonsense` is not a number");
    assert_eq!(frames[0].2, Status::Failed);
    assert_eq!((texts(1).as_str(), frames[1].2), ("", Status::Ok));
    assert_eq!(texts(2), "!assert: `1 == 2` is false: 0x1 == 0x2");
    assert_eq!(texts(3), "|tabbed");
    assert!(frames[4].1.len() > 20, "not paged");
    assert_eq!(frames.len(), 5);
    // The screen shows a session as ever.
    assert!(
        terminal
            .screen
            .text()
            .contains("ringwalk> echo one; walk nonsense\none\nwalk: `nonsense`")
    );
    assert!(!terminal.screen.text().contains('@'));
}

#[test]
fn framing_off_ends_in_a_frame_and_a_prompt() {
    let mut terminal = Scripted::new(80, 24).text("framing on\nframing off\necho back\n");
    session(&mut terminal);
    let (_, wire) = terminal
        .wire
        .split_once("build=0123456789ab\n")
        .expect("announced");
    let (framed, rest) = wire.split_once("status=ok\n").expect("one frame");
    assert!(framed.starts_with("@begin 1 framing off\n@end 1 lines=0 crc=00000000"));
    assert!(rest.starts_with("\x1b[1mringwalk> \x1b[0mecho back\nback\n"));
}

#[test]
fn a_flood_in_framed_mode_is_one_failed_frame() {
    let flood = "y".repeat(65536);
    let mut terminal = Scripted::new(80, 24)
        .text("framing on\n")
        .text(&flood)
        .text("\necho ok\n");
    session(&mut terminal);
    let (_, wire) = terminal
        .wire
        .split_once("build=0123456789ab\n")
        .expect("announced");
    let frames = frames(wire);
    assert_eq!(
        frames[0].1,
        ["!the line is longer than 1024 bytes; nothing was run"]
    );
    assert_eq!(frames[0].2, Status::Failed);
    assert_eq!(frames[1].1, ["|ok"]);
}

#[test]
fn control_characters_are_escaped_on_the_wire() {
    let mut shell = Shell::new();
    execute(&mut shell, "framing on");
    let (wire, _) = execute(&mut shell, "echo 'a\x1bb\x07\tc\\'");
    let frames = frames(&wire);
    assert_eq!(frames[0].0, "echo 'a\\x1bb\\x07\\x09c\\'");
    assert_eq!(frames[0].1, ["|a\\x1bb\\x07\\x09c\\"]);
    let (wire, _) = execute(&mut shell, "'bo\ngus'");
    assert!(
        wire.contains("!no command is called `bo\\x0agus`"),
        "{wire}"
    );
}

#[test]
fn a_shell_fits_in_a_small_static() {
    assert!(size_of::<Shell>() < 12 * 1024, "{}", size_of::<Shell>());
    assert!(size_of::<Decoder>() <= 32, "{}", size_of::<Decoder>());
}

/// Bytes as they come from a line: text, garbage, and pieces of things.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let names: BTreeSet<&str> = crate::commands::COMMANDS
        .iter()
        .map(|command| command.name)
        .collect();
    // What would leave, wait for long, or change how answers come.
    let names: Vec<&str> = names
        .into_iter()
        .filter(|name| !["repeat", "framing"].contains(name))
        .collect();
    let pieces = vec![
        "$rip",
        "$rsp",
        "0x",
        "cr3",
        "master",
        " ",
        " ",
        " ",
        ";",
        "'",
        "\"",
        "(",
        ")",
        "..",
        "#",
        "$",
        "-",
        "*",
        "==",
        "leaves",
        "phys",
        "w",
        "_x",
        "\t",
        "\t\t",
        "\r",
        "\n",
        "\r\n",
        "\x1b[A",
        "\x1b[B",
        "\x1b[C",
        "\x1b[D",
        "\x1b[3~",
        "\x1b",
        "\x1b]",
        "\x03",
        "\x04",
        "\x0c",
        "\x14",
        "\x0b",
        "\x15",
        "q",
        "a",
        "--help",
        "/",
        "/16g",
        "repeat 3 ",
        "repeat 2 repeat 2 ",
        "é",
        "字",
        "18446744073709551615",
        "0xffff_ffff_ffff_ffff",
        "root=",
    ];
    let piece = prop_oneof![
        4 => proptest::sample::select(names).prop_map(|text| text.as_bytes().to_vec()),
        8 => proptest::sample::select(pieces).prop_map(|text| text.as_bytes().to_vec()),
        2 => proptest::collection::vec(any::<u8>(), 1..6),
        1 => "[0-9a-fx_]{1,8}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..80).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_is_typed_the_next_command_works(bytes in bytes(), columns in 1_u16..100, rows in 1_u16..30) {
        let mut decoder = Decoder::new();
        let mut keys = Vec::new();
        // Ctrl-C leaves whatever is open: a quote, a page, a line too long.
        for byte in bytes.iter().chain(b"\x03\x03\rframing off\recho the\\ next\\ command\r") {
            decoder.feed(*byte, |key| keys.push(key));
        }
        let mut machine = Machine::full();
        machine.cycles = Some(0);
        let mut terminal = Scripted::new(columns.max(8), rows).keys(keys);
        terminal.size = (columns, rows);
        let mut shell = Shell::new();
        shell.run(&mut machine, &mut terminal);
        prop_assert!(terminal.wire.contains("the\\ next\\ command\n"), "{}", terminal.wire);
    }

    #[test]
    fn any_line_at_all_has_a_status(line in "\\PC{0,80}") {
        output(&mut Machine::full(), &line);
        output(&mut Machine::bare(), &line);
    }
}
