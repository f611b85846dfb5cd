//! Stops and steps, on a thread whose way is known.

use machine::{PhysAddr, Registers};

use crate::Status;
use crate::testing::{Machine, ROOT, Stopper, output};

/// A machine that is stopped at the first of ten instructions of a byte each.
fn stopped() -> Machine {
    let mut machine = Machine::full();
    let way = (0..10).map(|step| Registers {
        rip: 0x40_0000 + step,
        rax: step,
        rsp: 0xffff_c900_0000_1f00,
        rflags: 0x202,
        cs: 0x23,
        cr3: ROOT,
        ..machine.registers.unwrap_or_default()
    });
    machine.stopper = Some(Stopper::on(way.collect()));
    machine.memory.write(PhysAddr(0x7_3000), &[0x90; 16]);
    machine
}

fn ok(machine: &mut Machine, line: &str) -> String {
    let (text, status) = output(machine, line);
    assert_eq!(status, Status::Ok, "{line}: {text}");
    text
}

#[test]
fn a_step_says_what_comes_next() {
    let text = ok(&mut stopped(), "si");
    assert_eq!(
        text,
        "stop 1: step; kernel (pid 0), ring 3 (CS 0x0023), cr3 0x0000_0010_0000 (master)\n\
         0x0000_0000_0040_0001 90                   nop\n"
    );
}

#[test]
fn several_steps_make_one_stop_and_end_early_at_a_breakpoint() {
    let text = ok(&mut stopped(), "si 3; eval $rip");
    assert_eq!(text.matches("stop ").count(), 1, "{text}");
    assert!(text.contains("0x400003"), "{text}");
    let text = ok(&mut stopped(), "break 0x40_0002; si 5; eval $rip");
    assert!(text.contains("0x400002"), "{text}");
}

#[test]
fn going_on_stops_where_a_condition_holds_and_nowhere_else() {
    let mut machine = stopped();
    let text = ok(&mut machine, "break 0x40_0004 if $rax == 5; continue");
    assert!(!text.contains("stop 1"), "{text}");
    let text = ok(&mut stopped(), "break 0x40_0004 if $rax == 4; continue");
    assert!(text.contains("breakpoint 0; kernel (pid 0)"), "{text}");
    let (text, status) = output(&mut stopped(), "break 0x40_0004 if $nothing");
    assert_eq!(status, Status::Failed, "{text}");
}

#[test]
fn until_takes_a_register_and_gives_it_back() {
    let mut machine = stopped();
    let text = ok(&mut machine, "until 0x40_0007; breakpoints");
    assert!(text.contains("reached; "), "{text}");
    assert!(text.ends_with("no breakpoints\n"), "{text}");
}

#[test]
fn a_trace_shows_what_each_instruction_changed() {
    let text = ok(&mut stopped(), "trace 2");
    let mut lines = text.lines();
    for expected in ["# rax 0x1", "# rax 0x2"] {
        let line = lines.next().unwrap_or("");
        assert!(line.ends_with(expected), "{line}");
    }
}

#[test]
fn there_are_four_debug_registers() {
    let mut machine = stopped();
    for line in [
        "break 1",
        "watch 0x10 8",
        "watch 0x20 4 r",
        "watch entry 0x40_0000",
    ] {
        ok(&mut machine, line);
    }
    let (text, status) = output(&mut machine, "break 2");
    assert_eq!(status, Status::Failed);
    assert!(text.contains("all four"), "{text}");
    let text = ok(&mut machine, "breakpoints");
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.contains("2 watch 0x0000_0000_0000_0020 4 r"), "{text}");
    ok(
        &mut machine,
        "delete 1; break on cr3; delete cr3; delete all",
    );
    assert_eq!(ok(&mut machine, "breakpoints"), "no breakpoints\n");
}

#[test]
fn what_is_changed_is_told() {
    let mut machine = stopped();
    assert_eq!(
        ok(&mut machine, "set rax 7"),
        "rax 0x0000_0000_0000_0000 -> 0x0000_0000_0000_0007\n"
    );
    assert_eq!(
        ok(&mut machine, "set $rax = 8"),
        "rax 0x0000_0000_0000_0007 -> 0x0000_0000_0000_0008\n"
    );
    assert_eq!(
        ok(&mut machine, "set *0x40_0000/2 0x1234"),
        "0x0000_0000_0040_0000 9090 -> 1234\n"
    );
    let stopper = machine.stopper.as_ref().expect("it has one");
    let (_, at, bytes) = stopper.written.first().expect("written");
    assert_eq!((at.0, bytes.as_slice()), (0x40_0000, &[0x34, 0x12][..]));
    for line in [
        "set cr3 0",
        "set *0x40_0000/1 256",
        "set *0x40_0000/3 1",
        "set rax",
    ] {
        assert_eq!(output(&mut machine, line).1, Status::Failed, "{line}");
    }
}

#[test]
fn without_a_stop_there_is_nothing_to_go_on_from() {
    let mut machine = stopped();
    ok(&mut machine, "continue");
    for line in [
        "si",
        "ni",
        "continue",
        "finish",
        "trace 1",
        "until 0",
        "abort",
        "set rax 1",
        "next",
    ] {
        let (text, status) = output(&mut machine, line);
        assert_eq!(status, Status::Failed, "{line}");
        assert!(text.contains("nothing is stopped"), "{line}: {text}");
    }
    let (text, _) = output(&mut Machine::bare(), "si");
    assert!(
        text.contains("this target has no way to be stopped"),
        "{text}"
    );
}

#[test]
fn stops_and_what_leads_to_them_are_records_too() {
    let mut machine = stopped();
    assert_eq!(
        ok(&mut machine, "si --json"),
        "{\"row\":\"stop\",\"stop\":1,\"kind\":\"step\",\"why\":\"step\",\"pid\":0,\"ring\":3,\
         \"cs\":\"0x23\",\"cr3\":\"0x100000\",\"ring_before\":3,\"cr3_before\":\"0x100000\",\
         \"at\":\"0x400001\",\"bytes\":\"90\",\"instruction\":\"nop\",\"leads_to\":null,\
         \"symbol\":null}\n"
    );
    let text = ok(&mut machine, "trace 1 --json");
    let (trace, stop) = text.split_once("{\"row\":\"stop\"").expect("it stops");
    assert_eq!(
        trace,
        "{\"row\":\"instruction\",\"at\":\"0x400001\",\"bytes\":\"90\",\"instruction\":\"nop\",\
         \"leads_to\":null,\"changed\":1}\n\
         {\"row\":\"register\",\"name\":\"rax\",\"value\":\"0x2\"}\n"
    );
    assert_eq!(stop.lines().count(), 1, "{stop}");
    // The stop is told in the form that its own command was asked for, and past its filters.
    let text = ok(&mut machine, "si --json | count; si");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("{\"row\":\"count\",\"lines\":0}"));
    let is_record = |line: Option<&str>| line.is_some_and(|line| line.starts_with('{'));
    assert!(is_record(lines.next()), "{text}");
    assert!(!is_record(lines.next()), "{text}");
    let text = ok(&mut machine, "until 0x40_0007 --json");
    assert!(text.contains("\"kind\":\"reached\""), "{text}");
    let line = "break 0x40_0004 if $rax == 4; break on cr3; breakpoints --json";
    let text = ok(&mut stopped(), line);
    let listed: Vec<_> = text.lines().skip(2).collect();
    assert_eq!(
        listed,
        [
            r#"{"row":"address","number":0,"kind":"execute","at":"0x400004","bytes":1,"condition":"$rax == 4"}"#,
            r#"{"row":"moment","moment":"cr3","pid":null}"#,
            r#"{"row":"summary","addresses":1,"moments":1}"#,
        ]
    );
}
