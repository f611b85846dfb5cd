//! `stacks`, `irq`, `events`, `frames fail`.

use machine::{Entry, PageSize, PhysAddr, VirtAddr};

use super::{failed, ok};
use crate::testing::{Machine, STACK, output, process_root};
use crate::{EventKind, StackInfo, Status};

/// A machine with two processes, one of them dead.
fn machine() -> Machine {
    let mut machine = Machine::full();
    let (_, status) = output(
        &mut machine,
        "spawn spinner &; spawn spinner &; spawn spinner &; kill 3",
    );
    assert_eq!(status, Status::Ok);
    machine
}

#[test]
fn stacks_are_listed_with_their_owners() {
    let (text, status) = output(&mut machine(), "stacks; assert $_ == 3");
    assert_eq!(
        text,
        "kernel live     0xffff_c900_0000_1000..0xffff_c900_0000_1fff    4K used   1432 shell\n\
         kernel free     0xffff_c900_0000_3000..0xffff_c900_0000_3fff    4K used      ?\n\
         user   live     0x0000_0000_0060_0000..0x0000_0000_0060_0fff    4K used      ? pid 1\n\
         3 stacks: 2 live, 1 free; looked up in the master and in 2 processes\n"
    );
    assert_eq!(status, Status::Ok);
    assert_eq!(
        output(&mut machine(), "stacks verify").0,
        "3 stacks: 2 live, 1 free; looked up in the master and in 2 processes\n"
    );
}

#[test]
fn a_guard_page_that_is_mapped_in_one_space_is_a_failure() {
    let mut machine = machine();
    let guard = VirtAddr(0xffff_c900_0000_0000);
    // A PML4 entry of its own: the tables below are no longer the master's.
    let slot = PhysAddr(process_root(2).0 + 402 * 8);
    machine.memory.write_u64(slot, 0);
    for page in [guard, STACK.bottom] {
        let flags = Entry::WRITABLE | Entry::NO_EXECUTE;
        let at = PhysAddr(0x7_5000);
        let root = process_root(2);
        machine
            .memory
            .map_in(root, page, at, PageSize::Size4K, flags);
    }
    for (line, skip) in [("stacks", 1), ("stacks verify", 0)] {
        let (text, status) = output(&mut machine, line);
        let lines: Vec<&str> = text.lines().skip(skip).collect();
        assert_eq!(
            lines[0],
            "guard 0xffff_c900_0000_0000 in pid 2 is mapped: 0x0000_0007_5000 -rw- (4K page)",
            "{text}"
        );
        assert!(
            text.ends_with("stacks: 1 page is not as it should be\n"),
            "{text}"
        );
        assert_eq!(status, Status::Failed);
    }
}

#[test]
fn a_stack_that_one_space_does_not_see_is_a_failure() {
    let mut machine = machine();
    machine
        .memory
        .write_u64(PhysAddr(process_root(1).0 + 402 * 8), 0);
    let (text, status) = output(&mut machine, "stacks");
    assert_eq!(status, Status::Ok, "its guard is not mapped: {text}");
    let (text, status) = output(&mut machine, "stacks verify");
    assert!(
        text.starts_with(
            "page 0xffff_c900_0000_1000 in pid 1 is not as in the master: PML4 entry not present\n"
        ),
        "{text}"
    );
    assert_eq!(status, Status::Failed);
}

#[test]
fn what_the_tables_do_not_tell_is_no_unmapped_guard() {
    let mut machine = machine();
    machine
        .memory
        .write_u64(PhysAddr(process_root(1).0 + 402 * 8), 0x999_9003);
    let (text, _) = output(&mut machine, "stacks");
    assert!(
        text.contains("in pid 1 is unknown: PDPT entry unreadable, no memory at"),
        "{text}"
    );
}

#[test]
fn verify_looks_at_every_page_of_a_stack() {
    let wrong = |stack: StackInfo| {
        let mut machine = machine();
        machine.stacks.as_mut().expect("it has books").all = vec![stack];
        let (text, status) = output(&mut machine, "stacks verify");
        assert_eq!(status, Status::Failed, "{text}");
        text.lines().next().unwrap_or("").to_string()
    };
    let user = machine().stacks.expect("it has books").all[2];
    let in_text = StackInfo {
        bottom: VirtAddr(0x40_0000),
        top: VirtAddr(0x40_1000),
        ..user
    };
    assert_eq!(
        wrong(in_text),
        "page 0x0000_0000_0040_0000 in pid 1 cannot be written: 0x0000_0007_3000 ur-x (4K page)"
    );
    let longer = StackInfo {
        top: VirtAddr(0xffff_c900_0000_3000),
        ..STACK
    };
    assert_eq!(
        wrong(longer),
        "page 0xffff_c900_0000_2000 in the master is not mapped: PT entry not present"
    );
    let free = StackInfo {
        state: crate::StackState::Free,
        ..STACK
    };
    assert_eq!(
        wrong(free),
        "page 0xffff_c900_0000_1000 in the master is mapped: 0x0000_0007_5000 -rw- (4K page)"
    );
    let absurd = StackInfo {
        bottom: VirtAddr(u64::MAX - 10),
        top: VirtAddr(u64::MAX),
        ..STACK
    };
    assert!(wrong(absurd).contains("is not mapped"));
}

#[test]
fn reserved_stacks_share_a_row() {
    let mut machine = machine();
    let (text, status) = output(
        &mut machine,
        "stacks reserve 5; stacks; stacks verify; stacks release; stacks release",
    );
    assert_eq!(status, Status::Ok, "{text}");
    assert!(
        text.contains("kernel reserved 0xffff_c900_0000_b000..0xffff_c900_0001_3fff 5 stacks\n"),
        "{text}"
    );
    assert!(
        text.contains("8 stacks: 2 live, 1 free, 5 reserved; looked up"),
        "{text}"
    );
    assert!(
        text.ends_with("5 stacks released\n0 stacks released\n"),
        "{text}"
    );
    assert_eq!(
        failed("stacks reserve 200"),
        "stacks: the region for stacks is used up\n"
    );
    assert_eq!(failed("stacks reserve"), "stacks: which count?\n");
    assert_eq!(
        failed("stacks upside down"),
        "stacks: `upside` is not verify, reserve or release\n"
    );
}

#[test]
fn irq_shows_lines_and_counters() {
    let text = ok("irq; assert $_ == 1237");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "line  0 vector 0x20 heard        1234  timer, requested"
    );
    assert_eq!(
        lines[5],
        "line  5 vector 0x25 masked          0  in service"
    );
    assert_eq!(
        lines[16],
        "        vector 0x0e                 3  #PF page fault"
    );
    assert_eq!(lines[17], "IF 1, 2 of 16 lines heard, 1237 interrupts");
    assert_eq!(lines.len(), 18);
}

#[test]
fn events_are_told_in_order() {
    assert_eq!(
        ok("events; assert $_ == 6"),
        "     11            - pid 0   ring - cr3 0x0000_0010_0000 spawn pid 3 root 0x0000_0030_3000\n     \
         12          +23 pid 3   ring - cr3 0x0000_0010_0000 cr3-load 0x0000_0010_0000 -> 0x0000_0030_3000\n     \
         13          +25 pid 3   ring 3 cr3 0x0000_0010_0000 iretq to rip 0x0000_0000_0040_0000 rsp 0x0000_7fff_fff0_0000\n     \
         14          +27 pid 3   ring 3 cr3 0x0000_0010_0000 trap-entry 0x0e #PF page fault from rip 0x0000_0000_0040_0abc\n     \
         15          +29 pid 3   ring 3 cr3 0x0000_0010_0000 fault 0x0e #PF page fault error code 0x6 at 0x0000_0000_0000_0010\n     \
         16          +31 pid 4   ring - cr3 0x0000_0010_0000 cr3-load 0x0000_0030_3000 -> 0x0000_0030_4000\n\
         6 events, 10 lost, 60 cycles each\n"
    );
}

#[test]
fn events_are_chosen_by_kind_and_pid_and_age() {
    let numbers = |filter: &str| {
        let text = ok(&format!("events {filter}"));
        let numbers = text
            .lines()
            .rev()
            .skip(1)
            .filter_map(|line| line.split_whitespace().next());
        numbers
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(numbers("kind=cr3-load"), "12 16");
    assert_eq!(numbers("pid=3"), "12 13 14 15");
    assert_eq!(numbers("kind=cr3-load pid=3"), "12");
    assert_eq!(numbers("last=2"), "15 16");
    assert_eq!(numbers("last=1 kind=cr3-load"), "16");
    assert_eq!(numbers("last=2 pid=3"), "14 15");
    assert_eq!(numbers("last=0"), "");
    assert_eq!(numbers("last=1000 pid=0"), "11");
    assert_eq!(numbers("kind=nmi"), "");
    // From one shown to the next, whatever lies between.
    assert!(ok("events kind=cr3-load").contains("        +112 pid 4"));
    for (line, message) in [
        (
            "events kind=coffee",
            "events: `coffee` is not a kind of event; `help events` lists them",
        ),
        (
            "events 5",
            "events: `5` is not a choice of events; `help events` lists them",
        ),
        ("events last=", "events: which value?"),
        (
            "events kind=exit kind=reap",
            "events: `kind=reap` contradicts `kind=exit`",
        ),
        (
            "events pid=1 last=2 pid=2",
            "events: `pid=2` contradicts `pid=1`",
        ),
        ("events last=2 last=2", "events: `last=2` is given twice"),
    ] {
        assert_eq!(failed(line), format!("{message}\n"));
    }
}

#[test]
fn events_that_are_overwritten_meanwhile_are_counted_as_lost() {
    let mut machine = Machine::full();
    let ring = machine.events.as_mut().expect("it has a ring");
    ring.kept.remove(2);
    ring.kept.push(ring.kept[0]);
    let (text, _) = output(&mut machine, "events");
    assert!(
        text.ends_with("5 events, 11 lost, 60 cycles each\n"),
        "{text}"
    );
    let ring = machine.events.as_mut().expect("it has a ring");
    ring.kept.clear();
    let (text, status) = output(&mut machine, "events");
    assert_eq!(
        (text.as_str(), status),
        ("0 events, 10 lost, 60 cycles each\n", Status::Ok)
    );
}

#[test]
fn every_kind_of_event_is_explained() {
    let help = ok("help events").replace('\n', " ");
    for kind in EventKind::ALL
        .iter()
        .filter(|kind| **kind != EventKind::Measure)
    {
        assert!(
            help.contains(&format!("`{}`", kind.name())),
            "{}",
            kind.name()
        );
    }
}

#[test]
fn frames_can_be_refused_on_purpose() {
    let mut machine = Machine::full();
    for (line, asked) in [
        ("frames fail 1", Some(0)),
        ("frames fail 2 + 3", Some(4)),
        ("frames fail off", None),
    ] {
        let (text, status) = output(&mut machine, line);
        assert_eq!((text.as_str(), status), ("", Status::Ok));
        let books = machine.books.as_ref().expect("it has books");
        assert_eq!(books.failing, Some(asked));
    }
    for (line, message) in [
        ("frames fail", "frames: which request?"),
        (
            "frames fail 0",
            "frames: requests count from 1, which is the next one",
        ),
        ("frames fail off 1", "frames: `1` is one argument too many"),
        (
            "frames all",
            "frames: `all` is not what `frames` takes: nothing, or `audit`, `fail N`, `fail off`",
        ),
    ] {
        assert_eq!(failed(line), format!("{message}\n"));
    }
}
