//! `ps`, `wait`, `kill`, `in`, `each`, and processes as roots.

use super::spawn::{DIED, terminal, typed};
use super::{failed, ok};
use crate::testing::{Machine, output, process_root};
use crate::{Processes as _, Status};

#[test]
fn one_that_waits_for_its_output_to_be_taken_goes_on() {
    let text = ok("spawn flood &; repeat 3 ps; wait 1");
    assert_eq!(text.matches("0123456789abcde\n").count(), 3200);
    assert!(text.ends_with("flood (pid 1) exited with code 0\n"));
}

#[test]
fn a_process_in_the_background_is_told_by_its_pid_and_waited_for() {
    assert_eq!(
        ok("spawn hello &; assert $_ == 1; ps; wait $_"),
        "hello (pid 1)\n  \
         pid parent state    frames  ticks root           rip                   name\n    \
         1      0 ready        21      0 0x0000_0030_1000 0x0000_0000_0040_0abc hello\n\
         1 process: 1 ready\n\
         hello\n\
         hello (pid 1) exited with code 0\n"
    );
    // That it died is what was asked, no failure.
    assert_eq!(
        ok("spawn faulter &; wait 1; assert $_ == 0x20e; ps"),
        format!("faulter (pid 1)\nabout to\nfaulter (pid 1) {DIED}\n0 processes\n")
    );
    assert_eq!(
        ok("spawn seven &; spawn hello &; wait; assert $_ == 0"),
        "seven (pid 1)\nhello (pid 2)\nseven (pid 1) exited with code 7\nhello\n\
         hello (pid 2) exited with code 0\n2 processes\n"
    );
    assert_eq!(ok("wait"), "0 processes\n");
    assert_eq!(
        failed("wait 3"),
        "wait: there is no such process: 3; `ps` lists them\n"
    );
    assert_eq!(
        failed("wait 1 << 40"),
        "wait: there is no such process: 1099511627776; `ps` lists them\n"
    );
}

#[test]
fn ctrl_c_stops_the_waiting_and_leaves_the_process() {
    let mut keys = terminal();
    keys.interrupt_after = Some(20);
    let (_, mut machine, status) = typed(keys, "spawn spinner &; wait");
    assert_eq!(status, Status::Interrupted);
    let info = machine.processes().info(1).expect("it is still there");
    assert_eq!(info.state.exit(), None);
}

#[test]
fn the_child_of_a_process_is_left_to_it() {
    let mut machine = Machine::full();
    machine.processes().child("spinner", &[], 0);
    machine.processes().child("seven", &[], 1);
    let (text, status) = output(&mut machine, "wait 2");
    assert_eq!(text, "seven (pid 2) exited with code 7\n");
    assert_eq!(status, Status::Ok);
    assert!(machine.processes().info(2).is_some());
    let (text, _) = output(&mut machine, "ps");
    assert!(text.contains(
        "    2      1 dead          0      1 -              -                     seven exited with code 7\n\
         2 processes: 1 ready, 1 dead\n"
    ), "{text}");
}

#[test]
fn kill_ends_a_process_once() {
    assert_eq!(
        failed("spawn spinner &; kill 1; kill 1; wait 1; assert $_ == 0x100"),
        "spinner (pid 1)\n\
         spinner (pid 1) was killed\n\
         kill: spinner (pid 1) is dead: it was killed\n\
         spinner (pid 1) was killed\n"
    );
    assert_eq!(failed("kill"), "kill: which process?\n");
    assert_eq!(
        failed("kill 9"),
        "kill: there is no such process: 9; `ps` lists them\n"
    );
    assert!(failed("kill 0").contains("is the kernel"));
}

#[test]
fn a_process_is_a_root_wherever_one_is_asked_for() {
    let line = "spawn spinner &; walk 0x60_0000 1; assert $_ == 0x50_1000; walk 0x60_0000";
    let text = ok(line);
    assert!(text.contains("0x0000_0000_0060_0000 -> 0x0000_0050_1000 urw- (4K page)\n"));
    assert!(
        text.ends_with("0x0000_0000_0060_0000 is not mapped: PD entry not present\n"),
        "{text}"
    );
    let rows = ok("spawn spinner &; map 1 lower; x/1g 0x60_0000 root=1");
    assert!(rows.contains("2 runs, pages 2x4K\n"), "{rows}");
    // 0 is the kernel itself.
    assert_eq!(ok("walk $rip 0"), ok("walk $rip master"));
    assert_eq!(
        failed("spawn seven &; wait 1; walk 0 1"),
        "seven (pid 1)\nseven (pid 1) exited with code 7\n\
         walk: there is no such process: 1; `ps` lists them\n"
    );
    assert_eq!(
        failed("spawn seven &; kill 1; map 1"),
        "seven (pid 1)\nseven (pid 1) was killed\nmap: seven (pid 1) is dead: it was killed\n"
    );
}

#[test]
fn a_pid_of_any_size_is_told_from_the_address_of_a_table() {
    let mut machine = Machine::full();
    machine.processes().count_from(4999);
    let (_, status) = output(&mut machine, "spawn spinner &; assert $_ == 5000");
    assert_eq!(status, Status::Ok);
    // This process's tables are nowhere in memory, which shows whose were read.
    let root = process_root(5000);
    for line in [
        "walk 0 5000",
        "walk 0 5_000",
        "spawn spinner &; walk 0 $_ - 1",
    ] {
        let (text, _) = output(&mut machine, line);
        assert!(
            text.contains(&format!("no memory at {root}")),
            "{line}: {text}"
        );
    }
    let (text, _) = output(&mut machine, "walk 0 0x1388; walk 0 4999");
    assert_eq!(
        text,
        "walk: 0x0000_0000_1388 is not the physical address of a PML4\n\
         walk: there is no such process: 4999; `ps` lists them\n"
    );
}

#[test]
fn in_makes_a_command_about_one_process() {
    let text = ok(
        "spawn spinner &; in 1 'walk $rip; assert $pid == 1 && $cs == 0x23'; assert $pid == 0 && $cs == 8",
    );
    assert!(text.contains("PML4 0x0000_0030_1000 [  0]"), "{text}");
    assert!(text.ends_with("0x0000_0000_0040_0abc -> 0x0000_0007_3abc ur-x (4K page)\n"));
    let text = ok("spawn spinner &; in 1 regs");
    assert!(text.ends_with("rip 0x0000_0000_0040_0abc\n"), "{text}");
    // The innermost counts, and afterwards the one around it again; 0 is the kernel.
    ok(
        "spawn spinner &; spawn spinner &; in 1 'in 2 assert $cr3 == 0x30_2000; in 0 assert $cr3 == 0x10_0000; assert $cr3 == 0x30_1000'",
    );
    assert!(
        failed("spawn spinner &; in 1 nothing-like-this; assert $pid == 0")
            .ends_with("`help` lists them\n")
    );
}

#[test]
fn what_in_cannot_do_is_one_line() {
    for (line, message) in [
        ("in", "in: which process?"),
        ("in 3", "in: which command?"),
        (
            "in 3 regs",
            "in: there is no such process: 3; `ps` lists them",
        ),
        (
            "spawn seven &; kill 1; in 1 regs",
            "in: seven (pid 1) is dead: it was killed",
        ),
        ("in 0 in 0 in 0 in 0 in 0 echo", "in: too deeply nested"),
        (
            "spawn spinner &; each all each all each all each all each all echo",
            "each: too deeply nested",
        ),
    ] {
        let text = failed(line);
        assert!(text.contains(&format!("{message}\n")), "{line}: {text}");
    }
}

#[test]
fn each_asks_all_that_are_selected() {
    let three = "spawn sleeper &; spawn spinner &; spawn spinner &; kill 2";
    let names = |selector: &str| {
        let text = ok(&format!("{three}; each {selector} echo it"));
        let lines: Vec<&str> = text.lines().skip(4).collect();
        lines.join("/")
    };
    assert_eq!(
        names("all"),
        "sleeper (pid 1) ready:/it/spinner (pid 2) dead:/it/spinner (pid 3) ready:/it/3 processes"
    );
    assert_eq!(names("dead"), "spinner (pid 2) dead:/it/1 process");
    assert_eq!(
        names("alive"),
        "sleeper (pid 1) ready:/it/spinner (pid 3) ready:/it/2 processes"
    );
    assert_eq!(names("name=sl"), "sleeper (pid 1) ready:/it/1 process");
    assert_eq!(names("sleeping"), "0 processes");
    // The dead have no registers and no tables, but a pid.
    let text = failed(&format!("{three}; each all walk $rip"));
    assert!(
        text.contains("walk: spinner (pid 2) is dead: it was killed\nspinner (pid 3) ready:\n"),
        "{text}"
    );
    assert!(
        text.ends_with("each: failed in 1 of 3 processes\n"),
        "{text}"
    );
    ok(&format!(
        "{three}; each dead wait $pid; each name=spin kill $pid; assert $? == 0"
    ));
    assert_eq!(
        failed("each some echo"),
        "each: `some` is not a choice of processes; `help each` lists them\n"
    );
    assert_eq!(failed("each"), "each: which processes?\n");
    assert_eq!(failed("each all"), "each: which command?\n");
}

#[test]
fn each_stops_at_ctrl_c_and_leaves_those_that_come_meanwhile() {
    let mut keys = terminal();
    keys.interrupt_after = Some(10);
    let line = "spawn spinner &; spawn spinner &; each all repeat 100 echo; echo never";
    let (terminal, _, status) = typed(keys, line);
    assert_eq!(status, Status::Interrupted);
    assert!(!terminal.wire.contains("never") && !terminal.wire.contains("pid 2) ready"));
    assert!(ok("spawn hello &; each all spawn hello &").ends_with("1 process\n"));
}
