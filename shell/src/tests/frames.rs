//! Frames, as the program at the other end of the line checks them.

use super::{execute, session};
use crate::framing::{Checksum, Line};
use crate::testing::Scripted;
use crate::{Shell, Status};

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
    assert_eq!(
        texts(0),
        "|one\n!walk: `nonsense` is not a number (0x12ab, 1234, $rip)"
    );
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
