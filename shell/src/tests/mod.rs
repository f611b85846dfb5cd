//! The shell as a whole: lines, pages, frames, and everything that is not meant well.

mod frames;
mod pages;
mod pipes;
mod rough;

use crate::testing::{Machine, Scripted, output};
use crate::{Decoder, Shell, Status};

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
        "\x1b[31mwalk: `nonsense` is not a number (0x12ab, 1234, $rip)\x1b[0m\nafter\n"
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
fn a_ctrl_c_that_comes_as_the_line_begins_ends_it() {
    let mut terminal = Scripted::new(80, 24);
    terminal.interrupt_after = Some(0);
    assert_eq!(
        Shell::new().execute("help", &mut Machine::full(), &mut terminal),
        Status::Interrupted
    );
}

#[test]
fn a_shell_fits_in_a_small_static() {
    assert!(size_of::<Shell>() < 13 * 1024, "{}", size_of::<Shell>());
    assert!(size_of::<Decoder>() <= 32, "{}", size_of::<Decoder>());
}
