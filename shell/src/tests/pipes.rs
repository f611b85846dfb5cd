//! Pipes, from the line that is typed to what its reader sees.

use super::session;
use crate::testing::{Machine, Scripted, output, shell};
use crate::{Shell, Status};

fn ok(line: &str) -> String {
    let (text, status) = output(&mut Machine::full(), line);
    assert_eq!(status, Status::Ok, "{line}: {text}");
    text
}

fn failed(line: &str) -> String {
    let (text, status) = output(&mut Machine::full(), line);
    assert_eq!(status, Status::Failed, "{line}: {text}");
    text
}

#[test]
fn each_filter_leaves_what_it_says() {
    let lines = "repeat 1 'echo b 10; echo a 9; echo C 0x10; echo a'";
    for (filters, left) in [
        ("grep a", "a 9\na\n"),
        ("grep -v a", "b 10\nC 0x10\n1 round succeeded\n"),
        ("grep -i c", "C 0x10\n1 round succeeded\n"),
        ("grep -vi C | head 1", "b 10\n"),
        ("grep '9'", "a 9\n"),
        ("grep ''|head 1", "b 10\n"),
        ("head 2", "b 10\na 9\n"),
        ("head 0", ""),
        ("head 1 + 1 | tail 1", "a 9\n"),
        ("tail 2", "a\n1 round succeeded\n"),
        ("tail 0", ""),
        ("skip 3", "a\n1 round succeeded\n"),
        ("skip 9", ""),
        ("count", "5 lines\n"),
        ("grep 9 | count", "1 line\n"),
        ("grep zzz | count", "0 lines\n"),
        ("head 4 | sort 2", "a 9\nb 10\nC 0x10\na\n"),
        ("head 4 | sort 2 reverse", "C 0x10\nb 10\na 9\na\n"),
        ("head 4 | sort 1", "C 0x10\na 9\na\nb 10\n"),
        ("sort 1 | tail 2 | head 1", "a\n"),
        ("sort 1 | skip 1 | count | grep 4", "4 lines\n"),
    ] {
        assert_eq!(ok(&format!("{lines} | {filters}")), left, "{filters}");
    }
}

#[test]
fn records_are_sorted_by_a_field() {
    let text = ok("map --json | grep run | sort bytes reverse | head 1");
    assert!(text.contains("\"bytes\":4194304,"), "{text}");
    assert_eq!(
        ok("map --json | count"),
        "{\"row\":\"count\",\"lines\":5}\n"
    );
    assert_eq!(ok("map | count"), "5 lines\n");
    assert_eq!(
        failed("map | sort bytes"),
        "sort: no line has a field `bytes`; text has columns, 1, 2, ...\n"
    );
}

#[test]
fn a_mistake_in_a_pipe_is_one_line_and_nothing_is_run() {
    for (line, message) in [
        (
            "echo a | gerp x",
            "no filter is called `gerp`; those are grep, head, tail, skip, sort and count",
        ),
        ("echo a |", "which filter after |?"),
        ("echo a | head 1 |", "which filter after |?"),
        ("| head", "which command?"),
        ("echo a | grep", "grep: which text?"),
        ("echo a | grep x y", "grep: `y` is one argument too many"),
        (
            "echo a | head x",
            "head: `x` is not a number (0x12ab, 1234, $rip)",
        ),
        ("echo a | skip", "skip: which count?"),
        ("echo a | count 3", "count: `3` is one argument too many"),
        ("echo a | sort", "sort: which column?"),
        ("echo a | sort 1 up", "sort: `up` is not `reverse`"),
        (
            "ehco a | head",
            "no command is called `ehco`; did you mean `echo`?",
        ),
        (
            "echo a|head|head|head|head|head|head|head|head|head",
            "head: a command takes at most 8 filters",
        ),
        (
            "echo a|tail|tail|tail|tail|tail",
            "tail: there are too many filters",
        ),
        (
            "echo a | sort 2",
            "sort: no line has a column 2; they count from 1",
        ),
        (
            "echo a | sort 0",
            "sort: no line has a column 0; they count from 1",
        ),
    ] {
        assert_eq!(failed(line), format!("{message}\n"), "{line}");
    }
    let (text, status) = output(
        &mut Machine::full(),
        "echo a | head x; echo b | head; echo c",
    );
    assert!(text.ends_with("\nb\nc\n"), "{text}");
    assert_eq!(status, Status::Failed);
}

#[test]
fn head_ends_the_command_and_that_is_no_failure() {
    assert_eq!(
        ok("repeat 50000000 echo a | head 2; assert $? == 0"),
        "a\na\n"
    );
    assert_eq!(
        ok("repeat 2 'repeat 50000000 echo a | head 1'"),
        "a\na\n2 rounds succeeded\n"
    );
    assert_eq!(
        ok("time repeat 50000000 'map | head 3' | grep physmap | head 1")
            .lines()
            .count(),
        1
    );
    // What is complete has done all that it does.
    assert_eq!(
        ok("walk 0x40_0123 | head 5; assert $_ == 0x7_3123")
            .lines()
            .count(),
        5
    );
}

#[test]
fn the_status_is_the_commands_and_its_error_is_not_filtered() {
    assert_eq!(
        failed("assert 1 == 2 | grep nothing"),
        "assert: `1 == 2` is false: 0x1 == 0x2\n"
    );
    assert_eq!(
        failed("repeat 2 'echo a; assert 0' | tail 5"),
        "assert: `0` is false\na\nrepeat: stopped at round 1 of 2\n"
    );
    assert_eq!(
        failed("x 0x40_1ff0 64 | grep -v zzz | count"),
        "1 line\nx: 0x0000_0000_0040_2000 is not mapped: PT entry not present\n"
    );
}

#[test]
fn count_is_the_last_value() {
    ok("map | count; assert $_ == 5");
}

#[test]
fn a_pipe_is_outside_of_a_command_and_inside_of_quotes() {
    assert_eq!(ok("time echo a | grep cycles"), "500 cycles, 2.500 ms\n");
    assert_eq!(ok("time 'echo a | grep cycles'"), "500 cycles, 2.500 ms\n");
    assert_eq!(ok("time 'echo a | count' | grep line"), "1 line\n");
    assert_eq!(
        ok("repeat 3 'echo b; echo a | sort 1' | sort 1 | skip 3 | count"),
        "4 lines\n"
    );
    let many = "in 0 'in 0 \"echo a | tail | sort 1\" | tail' | tail";
    assert_eq!(ok(many), "a\n");
    assert_eq!(ok("eval 1 | 2 | grep hex"), "hex     0x3\n");
    assert_eq!(ok("assert 0 || 1 | head"), "");
}

#[test]
fn what_does_not_fit_is_said_and_not_half_shown() {
    let (text, status) = output(&mut Machine::full(), "repeat 5000 echo 0123456789 | sort 1");
    assert_eq!(status, Status::Failed);
    let limit = ((64 << 10) - 5 * 1024) / 2;
    assert_eq!(
        text,
        format!("sort: the lines to keep are longer than {limit}B; nothing is shown\n")
    );
    let (text, status) = output(
        &mut Machine::full(),
        "repeat 5000 echo 0123456789 | tail 10000 | count",
    );
    assert_eq!(status, Status::Failed);
    assert!(
        text.starts_with("tail: the lines to keep are longer"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1);
    // A tail that is short enough sees them all.
    assert_eq!(
        ok("repeat 5000 echo 0123456789 | tail 1"),
        "5000 rounds succeeded\n"
    );
}

#[test]
fn a_line_that_is_too_long_is_said() {
    let long = "x".repeat(900);
    let (text, status) = output(
        &mut Machine::full(),
        &format!("echo {long} | grep x | count"),
    );
    assert_eq!((text.as_str(), status), ("1 line\n", Status::Ok));
    let mut machine = Machine::full();
    let pid = machine.processes().child("sleeper", &[], 0);
    machine.processes().output_of(pid, &[b'x'; 5000]);
    let (text, status) = output(&mut machine, "wait 1 | grep y | count; echo on");
    assert_eq!(
        text,
        "grep: a line is longer than 4096 bytes; it ends here\non\n"
    );
    assert_eq!(status, Status::Failed);
}

#[test]
fn without_room_there_are_no_filters() {
    let mut terminal = Scripted::new(80, 24);
    let status = Shell::new().execute("echo a | head", &mut Machine::full(), &mut terminal);
    assert_eq!(status, Status::Failed);
    assert_eq!(
        terminal.wire,
        "\x1b[31mhead: this target has no room for filters\x1b[0m\n"
    );
}

#[test]
fn ctrl_c_ends_what_a_filter_keeps_back() {
    let mut terminal = Scripted::new(80, 24);
    terminal.interrupt_after = Some(50);
    let line = "repeat 50000000 echo a | grep b | count; echo never";
    let status = shell().execute(line, &mut Machine::full(), &mut terminal);
    assert_eq!(status, Status::Interrupted);
    assert!(
        terminal.shown.contains("repeat: interrupted in round"),
        "{}",
        terminal.shown
    );
    assert!(!terminal.shown.contains("line") && !terminal.shown.contains("never"));
}

#[test]
fn the_pager_counts_what_is_left() {
    let mut terminal = Scripted::new(80, 10).text("help | head 9\nhelp | head 12\nqecho on\n");
    let mut shell = shell();
    shell.run(&mut Machine::full(), &mut terminal);
    assert_eq!(terminal.shown.matches("-- more --").count(), 1);
    assert!(terminal.screen.text().contains("\non\n"));
}

#[test]
fn frames_hold_what_is_left() {
    let mut shell = shell();
    let mut terminal = Scripted::new(80, 24);
    shell.execute("framing on", &mut Machine::full(), &mut terminal);
    let mut terminal = Scripted::new(80, 24);
    shell.execute(
        "map --json lower | sort first reverse | head 1",
        &mut Machine::full(),
        &mut terminal,
    );
    let lines: Vec<_> = terminal.wire.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines[1].starts_with("|{\"row\":\"run\",\"first\":\"0x401000\""),
        "{lines:?}"
    );
    assert!(lines[2].ends_with("status=ok"), "{lines:?}");
}

#[test]
fn tab_offers_filters() {
    for (typed, line) in [
        ("map | gr\t", "map | grep "),
        ("map|t\t", "map|tail "),
        ("map | head 3 | c\t", "map | head 3 | count "),
        ("map | sort 1 r\t", "map | sort 1 reverse "),
        ("map | head $ri\t", "map | head $rip"),
        (
            "echo a; map | grep x | so\t",
            "echo a; map | grep x | sort ",
        ),
    ] {
        let mut terminal = Scripted::new(80, 24).text(typed);
        session(&mut terminal);
        assert!(
            terminal.shown.trim_end_matches('\n').ends_with(line),
            "{typed:?}: {:?}",
            terminal.shown
        );
    }
    let mut terminal = Scripted::new(80, 24).text("map | \t\t");
    session(&mut terminal);
    assert!(
        terminal
            .shown
            .contains("grep   head   tail   skip   sort   count"),
        "{}",
        terminal.shown
    );
    let mut terminal = Scripted::new(80, 24).text("map | sort \t\t");
    session(&mut terminal);
    assert!(terminal.shown.contains("reverse"), "{}", terminal.shown);
    let mut terminal = Scripted::new(80, 24).text("map | head \t");
    session(&mut terminal);
    assert!(
        terminal.shown.contains("usage: head [count]"),
        "{}",
        terminal.shown
    );
}
