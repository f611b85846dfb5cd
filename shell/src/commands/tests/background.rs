//! What a person is told of the background before each prompt.

use super::spawn::terminal;
use crate::testing::{Machine, output};
use crate::{Processes as _, Shell, framing};

#[test]
fn before_the_prompt_a_person_is_told_of_the_background() {
    let mut machine = Machine::full();
    machine.processes().child("spinner", &[], 0);
    machine.processes().child("seven", &[], 0);
    machine.processes().child("seven", &[], 1);
    machine.processes().output_of(1, b"one\n\x1b[2Jtwo\xff\n");
    let mut keys = terminal().text("wait 2\necho\n");
    Shell::new().run(&mut machine, &mut keys);
    assert_eq!(
        keys.screen.text().trim_end(),
        "[1] one\n[1] \\x1b[2Jtwo\\xff\nringwalk> wait 2\nseven (pid 2) exited with code 7\n\
         ringwalk> echo\n\nringwalk>"
    );

    let mut keys =
        terminal().text("spawn hello &\nwait 1\nps\n\nframing on\nspawn faulter &\nps\n");
    let mut machine = Machine::full();
    machine.processes().child("spinner", &[], 0);
    Shell::new().run(&mut machine, &mut keys);
    let text = keys.screen.text();
    assert!(
        text.contains("[2] hello\n[2] hello exited with code 0\nringwalk> ps\n"),
        "{text}"
    );
    assert_eq!(text.matches("[2]").count(), 2, "once is enough");
    let framed = keys.wire.split("@framed").nth(1).expect("framing begins");
    for line in framed.lines().skip(1) {
        let read = framing::Line::parse(line);
        assert!(!matches!(read, framing::Line::Other(_)), "{line}");
    }
}

/// The lines before the first prompt and before the second one.
fn before_prompts(machine: &mut Machine) -> [Vec<String>; 2] {
    let mut keys = terminal().text("\n");
    Shell::new().run(machine, &mut keys);
    let text = keys.screen.text();
    let mut parts = text.split("ringwalk>").map(|part| {
        let lines = part.lines().filter(|line| !line.trim().is_empty());
        lines.map(str::to_string).collect()
    });
    [(); 2].map(|()| parts.next().expect("there are two prompts"))
}

#[test]
fn a_line_is_held_back_until_it_is_finished() {
    let mut machine = Machine::full();
    machine.processes().child("spinner", &[], 0);
    machine.processes().output_of(1, b"one\ntw");
    assert_eq!(before_prompts(&mut machine), [vec!["[1] one"], vec![]]);
    machine.processes().output_of(1, b"o\nthr");
    assert_eq!(before_prompts(&mut machine), [vec!["[1] two"], vec![]]);
    // Nothing is lost to who asks, and nothing of the dead.
    let mut copy = [0; 9];
    assert_eq!(machine.processes().peek_output(1, 0, &mut copy), 3);
    machine.processes().kill(1).expect("it is alive");
    assert_eq!(
        before_prompts(&mut machine)[0],
        ["[1] thr", "[1] spinner was killed"]
    );
}

#[test]
fn a_line_too_long_for_a_line_feed_is_shown_as_it_is() {
    let mut machine = Machine::full();
    machine.processes().child("spinner", &[], 0);
    machine.processes().output_of(1, &[b'x'; 70]);
    machine.processes().block(1);
    assert_eq!(
        before_prompts(&mut machine)[0],
        [format!("[1] {}", "x".repeat(70))]
    );
}

#[test]
fn many_lines_are_shown_in_parts_and_the_rest_stays() {
    let mut machine = Machine::full();
    machine.processes().child("spinner", &[], 0);
    let lines: String = (0..45)
        .map(|number| format!("line {number:02}\n"))
        .collect();
    machine.processes().output_of(1, lines.as_bytes());
    let [first, second] = before_prompts(&mut machine);
    assert_eq!((first.len(), second.len()), (21, 21));
    assert_eq!(first[19], "[1] line 19");
    assert_eq!(first[20], "[1] ... 200 bytes more; `wait 1` shows them");
    assert_eq!(second[0], "[1] line 20");
    assert_eq!(second[20], "[1] ... 40 bytes more; `wait 1` shows them");
    let (text, _) = output(&mut machine, "kill 1; wait 1");
    assert!(
        text.contains("line 40\nline 41\nline 42\nline 43\nline 44\n"),
        "{text}"
    );
}

#[test]
fn a_flood_in_the_background_does_not_keep_the_prompt_away() {
    let mut machine = Machine::full();
    machine.processes().child("spinner", &[], 0);
    machine.processes().output_of(1, &b"y\n".repeat(100_000));
    let mut keys = terminal().text("echo here\n");
    Shell::new().run(&mut machine, &mut keys);
    assert!(keys.screen.text().contains("ringwalk> echo here\nhere\n"));
}
