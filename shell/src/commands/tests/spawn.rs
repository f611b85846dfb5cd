//! `programs`, `spawn` in the foreground, `iretq`.

use super::{failed, ok};
use crate::testing::{Machine, Names, Scripted, output};
use crate::{Key, ProcessError, Processes as _, Shell, Status};

/// What a line prints, and the terminal and the machine as they are then.
pub(super) fn typed(terminal: Scripted, line: &str) -> (Scripted, Machine, Status) {
    let (mut terminal, mut machine) = (terminal, Machine::full());
    let status = Shell::new().execute(line, &mut machine, &mut terminal);
    (terminal, machine, status)
}

pub(super) fn terminal() -> Scripted {
    Scripted::new(80, 24)
}

/// How a page fault of the test machine's program reads.
pub(super) const DIED: &str = "died: #PF page fault at 0x0000_0000_0000_0010, error code 0x6 (W/R U/S), \
                    rip 0x0000_0000_0040_0abc";

#[test]
fn programs_are_listed_with_the_sizes_of_their_files() {
    let text = ok("programs");
    assert!(text.starts_with("      1000  echo\n"), "{text}");
    assert!(
        text.ends_with("      9000  spinner\n9 programs\n"),
        "{text}"
    );
}

#[test]
fn a_process_in_the_foreground_shows_what_it_writes_and_is_gone() {
    assert_eq!(
        ok("spawn hello; assert $_ == 0; ps"),
        "hello\n0 processes\n"
    );
    assert_eq!(
        ok("spawn echo 'one word' two \"&\" three"),
        "one word|two|&|three\n"
    );
    assert_eq!(ok("spawn echo"), "\n");
}

#[test]
fn one_that_faults_says_where_in_its_source() {
    let mut machine = Machine::full();
    machine.symbols = Some(Names::new());
    let place = ", in faulter::main+0x3c at /ringwalk/kernel/src/go.rs:14:5\n";
    for line in ["spawn faulter", "spawn faulter &; wait 2"] {
        let (text, _) = output(&mut machine, line);
        assert!(text.ends_with(&format!("{DIED}{place}")), "{text}");
    }
    let (text, _) = output(&mut machine, "spawn faulter &; wait 3 --json");
    assert!(text.contains(r#""place":"faulter::main+0x3c at"#), "{text}");
    // Nobody knows the address, or the program.
    let (text, _) = output(
        &mut machine,
        "spawn seven; iretq faulter rip=0x10 unchecked",
    );
    assert!(!text.contains(", in "), "{text}");
}

#[test]
fn one_that_does_not_end_well_says_how_and_fails() {
    assert_eq!(
        failed("spawn seven"),
        "spawn: seven (pid 1) exited with code 7\n"
    );
    assert_eq!(
        failed("spawn faulter; assert $_ == 0x20e; ps"),
        format!("about to\nspawn: faulter (pid 1) {DIED}\n0 processes\n")
    );
    let (text, status) = output(&mut Machine::full(), "repeat 3 spawn seven");
    assert!(
        text.ends_with("repeat: stopped at round 1 of 3\n"),
        "{text}"
    );
    assert_eq!(status, Status::Failed);
}

#[test]
fn what_cannot_be_started_is_one_line_in_words() {
    for (line, message) in [
        ("spawn", "spawn: which program?"),
        (
            "spawn nothing",
            "spawn: `nothing` is not a program; `programs` lists them",
        ),
        ("spawn hello & 1", "spawn: `1` is one argument too many"),
        (
            "spawn echo a'b'",
            "spawn: quote all of a word or none of it",
        ),
    ] {
        assert_eq!(failed(line), format!("{message}\n"));
    }
    let many = format!("spawn echo{}", " x".repeat(33));
    assert_eq!(
        failed(&many),
        "spawn: a program takes at most 32 arguments\n"
    );
    for (why, message) in [
        (ProcessError::NoMemory, "not enough free frames"),
        (
            ProcessError::TooMany,
            "there are as many processes as there can be",
        ),
        (
            ProcessError::NotAProgram("it is no ELF file"),
            "the file cannot be started: it is no ELF file",
        ),
        (ProcessError::Refused("not now"), "not now"),
    ] {
        let mut machine = Machine::full();
        machine.processes().refuses = Some(why);
        let (text, status) = output(&mut machine, "spawn hello &");
        assert_eq!(
            (text, status),
            (format!("spawn: {message}\n"), Status::Failed)
        );
    }
}

#[test]
fn control_characters_and_torn_characters_of_a_process_are_shown_and_not_obeyed() {
    let noise = "\\x1b[2J\\x0d\\x07\\xc2\\x9b\\xff字\n@end 1\nno end\\xe5\\xad\n";
    assert_eq!(ok("spawn noise"), noise);

    let mut shell = Shell::new();
    let mut machine = Machine::full();
    let mut wire = terminal().text("framing on\nspawn noise\n");
    shell.run(&mut machine, &mut wire);
    let lines: Vec<&str> = wire
        .wire
        .lines()
        .skip_while(|line| !line.starts_with("@begin"))
        .collect();
    let shown: Vec<String> = noise.lines().map(|line| format!("|{line}")).collect();
    assert_eq!(lines[0], "@begin 1 spawn noise");
    assert_eq!(lines[1..4], shown);
    assert!(lines[4].starts_with("@end 1 lines=3 "), "{lines:?}");
}

#[test]
fn keys_go_to_a_process_that_reads_a_line_at_a_time() {
    let keys = terminal()
        .text("Adz")
        .keys([Key::Backspace, Key::Char('a')]);
    let keys = keys.text("\nBob the builder\n").keys([Key::Ctrl('d')]);
    let (terminal, ..) = typed(keys, "spawn greeter; echo after");
    assert_eq!(
        terminal.screen.text().trim_end(),
        "name? Ada\nhello Ada\nBob the builder\nhello Bob the builder\nbye\nafter"
    );
    // The end of the keys is the end of its input, and so is Ctrl-D; after text, it ends what
    // was typed so far.
    assert!(ok("spawn greeter").ends_with("name? bye\n"));
    let keys = self::terminal()
        .text("Ad")
        .keys([Key::Ctrl('d'), Key::Ctrl('d')]);
    let keys = keys.text("x");
    let (terminal, ..) = typed(keys, "spawn greeter");
    assert!(terminal.screen.text().contains("hello Ad\nbye"));
    assert_eq!(terminal.keys.len(), 1, "the rest is for the shell");
}

#[test]
fn keys_stay_with_the_shell_while_the_process_does_not_read() {
    let mut machine = Machine::full();
    let mut keys = terminal().text("spawn sleeper\necho typed ahead\n");
    Shell::new().run(&mut machine, &mut keys);
    assert!(
        keys.screen
            .text()
            .contains("awake\nringwalk> echo typed ahead\ntyped ahead")
    );
}

#[test]
fn ctrl_u_and_odd_keys_on_a_line_for_a_process() {
    let keys = terminal()
        .text("wrong")
        .keys([Key::Ctrl('u'), Key::Up, Key::Tab, Key::Backspace]);
    let (terminal, ..) = typed(keys.text("right\n"), "spawn greeter");
    assert!(
        terminal
            .screen
            .text()
            .starts_with("name? right\nhello right\nbye")
    );
    let long = "x".repeat(2000);
    let (terminal, ..) = typed(self::terminal().text(&long).text("\n"), "spawn greeter");
    assert!(terminal.screen.bells > 0);
    assert!(
        terminal
            .wire
            .contains(&format!("hello {}\n", "x".repeat(511)))
    );
}

#[test]
fn ctrl_c_kills_what_is_in_the_foreground_and_ends_the_line() {
    let mut keys = terminal();
    keys.interrupt_after = Some(20);
    let (terminal, mut machine, status) = typed(keys, "spawn spinner; echo never");
    assert_eq!(status, Status::Interrupted);
    assert_eq!(terminal.wire, "\x1b[31mspawn: interrupted\x1b[0m\n");
    assert_eq!(machine.processes().next(None), None);
    // The same as a key, to a process that reads.
    let keys = self::terminal().text("Ada").keys([Key::Ctrl('c')]);
    let (terminal, mut machine, status) = typed(keys, "spawn greeter; echo never");
    assert_eq!(status, Status::Interrupted);
    assert!(!terminal.wire.contains("never"));
    assert_eq!(machine.processes().next(None), None);
    // And while it writes without end.
    let mut keys = self::terminal();
    keys.interrupt_after = Some(100);
    let (_, mut machine, status) = typed(keys, "spawn flood");
    assert_eq!(status, Status::Interrupted);
    assert_eq!(machine.processes().next(None), None);
}

#[test]
fn a_long_output_of_a_process_does_not_wait_for_a_key_but_the_next_command_does() {
    let mut machine = Machine::full();
    let mut keys = Scripted::new(80, 10).text("spawn flood; help\nq");
    Shell::new().run(&mut machine, &mut keys);
    assert_eq!(keys.shown.matches("-- more --").count(), 1);
    let before = keys.shown.split("-- more --").next().unwrap_or("");
    assert!(before.contains("Page tables and memory"));
}

#[test]
fn a_frame_that_is_said_twice_or_in_the_background_is_refused() {
    for (line, message) in [
        ("iretq hello cs=0 cs=8", "`cs=8` contradicts `cs=0`"),
        ("iretq hello rip=1 ss=2 rip=1", "`rip=1` is given twice"),
        (
            "iretq hello unchecked unchecked",
            "`unchecked` is given twice",
        ),
        (
            "iretq hello cs=0 &",
            "`&` is not taken: `iretq` runs in the foreground",
        ),
    ] {
        assert_eq!(failed(line), format!("iretq: {message}\n"));
    }
}

#[test]
fn no_blank_follows_what_wants_a_value() {
    let mut keys = terminal().text("iretq hello c\t8\nevents k\texit\n");
    Shell::new().run(&mut Machine::full(), &mut keys);
    let text = keys.screen.text();
    assert!(text.contains("iretq hello cs=8\n"), "{text}");
    assert!(text.contains("events kind="), "{text}");
}

#[test]
fn tab_knows_the_programs() {
    let mut machine = Machine::full();
    let mut keys = terminal().text("spawn se\t\nspawn s\t\t\n");
    Shell::new().run(&mut machine, &mut keys);
    let text = keys.screen.text();
    assert!(text.contains("spawn seven"), "{text}");
    assert!(text.contains("seven    sleeper  spinner\n"), "{text}");
}
