//! What commands print, on a simulated machine with every ability, and with none.

mod access;
mod audit;
mod background;
mod books;
mod check;
mod compare;
mod faults;
mod foretold;
mod frame;
pub(crate) mod json;
mod list;
mod memory;
mod picture;
mod poke;
mod processes;
mod processor;
mod prove;
mod snap;
mod spawn;
mod stops;
mod symbols;

use super::COMMANDS;
use crate::Status;
use crate::testing::{Machine, ROOT, output};

/// The output of a line that succeeds on a machine with everything.
#[track_caller]
fn ok(line: &str) -> String {
    let (text, status) = output(&mut Machine::full(), line);
    assert_eq!(status, Status::Ok, "{text}");
    text
}

/// The output of a line that fails there.
#[track_caller]
fn failed(line: &str) -> String {
    let (text, status) = output(&mut Machine::full(), line);
    assert_eq!(status, Status::Failed, "{text}");
    text
}

#[test]
fn eval_shows_every_form_of_a_number() {
    assert_eq!(
        ok("eval $rsp - 0x100"),
        "hex     0xffffc90000001ef0\n\
         decimal 18446683600570031856\n\
         bits    63..46 43 40 12..9 7..4\n\
         indices PML4 402 PDPT 0 PD 0 PT 1 offset 0xef0\n\
         address 0xffff_c900_0000_1ef0 canonical in kernel stacks\n"
    );
    let text = ok("eval 0x8000_0000_0000");
    assert!(
        text.ends_with("not canonical; 0xffff_8000_0000_0000 would be\n"),
        "{text}"
    );
    ok("eval '1 == 1'; assert $_");
}

#[test]
fn a_mistake_is_one_line_in_words() {
    let cases = [
        ("walk", "walk: which address?"),
        ("walk 1 cr3 2", "walk: `2` is one argument too many"),
        (
            "walk ffff8000",
            "walk: `ffff8000` is not a number; hex is written 0xffff8000",
        ),
        ("walk $nothing", "walk: no register is called `$nothing`"),
        (
            "walk 0 3",
            "walk: there is no such process: 3; `ps` lists them",
        ),
        (
            "walk 0 @before",
            "walk: no snapshot is called `@before`; `snap` lists them",
        ),
        ("walk sym:main", "walk: this target has no symbols"),
        (
            "wlak 1",
            "no command is called `wlak`; did you mean `walk`?",
        ),
        ("mp", "no command is called `mp`; did you mean `map`?"),
        ("fram", "`fram` could be `frames`, `frame` or `framing`"),
        ("r", "`r` could be `regs`, `repeat` or `reboot`"),
        ("e", "`e` could be `events`, `each`, `eval`, ..."),
        (
            "eval 1>>64",
            "eval: cannot shift by 64 bits; 0 to 63 can be",
        ),
        (
            "eval 1<<-1",
            "eval: cannot shift by -1 bits; 0 to 63 can be",
        ),
        ("eval 2<<63", "eval: the number does not fit in 64 bits"),
        (
            "nothing",
            "no command is called `nothing`; `help` lists them",
        ),
        ("assert $five ==", "assert: no register is called `$five`"),
        ("assert 1 ==", "assert: which value?"),
        ("framing maybe", "framing: `maybe` is not on or off"),
        ("repeat", "repeat: which count?"),
        ("repeat 3", "repeat: which command?"),
        (
            "reboot",
            "reboot: no way to do that is known on this machine",
        ),
        (
            "help nothing",
            "help: no command is called `nothing`; `help` lists them",
        ),
    ];
    for (line, message) in cases {
        assert_eq!(failed(line), format!("{message}\n"));
    }
}

#[test]
fn a_target_without_an_ability_says_so() {
    let cases = [
        ("regs", "regs: this target has no registers"),
        ("walk 1", "walk: this target has no registers"),
        ("walk 1 master", "walk: this target has no master table"),
        ("frames", "frames: this target has no frame records"),
        ("time echo", "time: this target has no clock"),
        ("poweroff", "poweroff: this target has no power switch"),
        ("programs", "programs: this target has no processes"),
        ("spawn hello", "spawn: this target has no processes"),
        (
            "prove",
            "prove: this target has no way to make accesses for real",
        ),
        ("ps", "ps: this target has no processes"),
        ("kill 3", "kill: this target has no processes"),
        ("wait", "wait: this target has no processes"),
        ("wait 3", "wait: this target has no processes"),
        ("in 3 echo", "in: this target has no processes"),
        ("each all echo", "each: this target has no processes"),
        ("walk 0 3", "walk: this target has no processes"),
        ("walk 0 0", "walk: this target has no processes"),
        ("stacks", "stacks: this target has no record of stacks"),
        (
            "stacks release",
            "stacks: this target has no record of stacks",
        ),
        ("irq", "irq: this target has no record of interrupts"),
        ("events", "events: this target has no record of events"),
        (
            "frames fail off",
            "frames: this target has no frame records",
        ),
    ];
    for (line, message) in cases {
        let (text, status) = output(&mut Machine::bare(), line);
        assert_eq!((text, status), (format!("{message}\n"), Status::Failed));
    }
    let line = format!("walk 0x40_0000 {ROOT:#x}; map {ROOT:#x}; x 0x40_0000 root={ROOT:#x}");
    assert_eq!(output(&mut Machine::bare(), &line).1, Status::Ok);
}

#[test]
fn every_command_explains_itself_and_its_examples_can_be_read() {
    for command in COMMANDS {
        let help = ok(&format!("{} --help", command.name));
        assert_eq!(help, ok(&format!("help {}", command.name)));
        assert!(
            help.lines().all(|line| line.chars().count() < 100),
            "{help}"
        );
        assert!(help.contains(&format!("\nusage: {}", command.name)));
        for (line, _) in command.examples {
            let (text, _) = output(&mut Machine::full(), line);
            assert!(
                !text.contains("make sense") && !text.contains("no command"),
                "{line}: {text}"
            );
        }
    }
}

#[test]
fn time_counts_and_repeat_says_how_often() {
    assert_eq!(
        ok("time echo a; assert $_ == 500"),
        "a\n500 cycles, 2.500 ms\n"
    );
    assert_eq!(
        ok("repeat 2 'echo a; echo b'"),
        "a\nb\na\nb\n2 rounds succeeded\n"
    );
    assert_eq!(
        failed("repeat 9 time walk x"),
        "walk: `x` is not a number (0x12ab, 1234, $rip)\n500 cycles, 2.500 ms\nrepeat: stopped at round 1 of 9\n"
    );
    assert_eq!(ok("version"), "simulated\n");
}
