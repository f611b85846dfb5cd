//! `prove`.

use machine::AccessKind;

use super::failed;
use crate::testing::{FakeCpu, Lie, Machine, Scripted, output};
use crate::{Outcome, Shell, Status};

/// A machine whose CPU lies so.
fn lying(lie: Lie) -> Machine {
    let mut machine = Machine::full();
    machine.attempts = Some(FakeCpu {
        lie,
        ..FakeCpu::honest()
    });
    machine
}

/// What a line prints; attempts must have been ended as often as begun.
#[track_caller]
fn run(machine: &mut Machine, line: &str) -> (String, Status) {
    let result = output(machine, line);
    let cpu = machine.attempts.as_ref().expect("it has one");
    assert_eq!((cpu.begun, cpu.ended), (1, 1));
    result
}

#[test]
fn an_honest_cpu_agrees_in_every_row() {
    let mut machine = lying(|_, _, outcome| outcome);
    let (text, status) = run(&mut machine, "prove 5000; assert $_ == 5000");
    assert_eq!(status, Status::Ok, "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let [head, done, forbidden, different, verdict] = lines.as_slice() else {
        panic!("{text}")
    };
    assert_eq!(
        *head,
        "6006 ways through the tables, 6 accesses, 32 settings of the control bits: 1153152 rows"
    );
    let count = |line: &str, what| {
        let number = line.strip_suffix(what).expect(what).trim();
        number.parse::<u64>().expect(line)
    };
    let done = count(done, " allowed, and the CPU did it");
    let forbidden = count(forbidden, " forbidden, and the CPU raised the #PF foretold");
    assert!(done > 0 && done + forbidden == 5000, "{text}");
    let different = count(different, " different from what `can` foretells");
    assert_eq!(different, 0);
    assert_eq!(*verdict, "5000 rows tried: 5000 as foretold");
    assert_eq!(machine.attempts.as_ref().map(|cpu| cpu.made), Some(5000));
}

#[test]
fn rsvd_without_p_is_counted_apart_and_shown_once() {
    let mut machine = lying(|_, _, outcome| match outcome {
        Outcome::Trap {
            vector,
            code,
            cr2,
            rip,
            cs,
        } if code & 8 != 0 => Outcome::Trap {
            vector,
            code: code & !1,
            cr2,
            rip,
            cs,
        },
        other => other,
    });
    let (text, status) = run(&mut machine, "prove 2000");
    assert_eq!(status, Status::Ok, "{text}");
    assert_eq!(text.matches("the CPU raised #PF page fault").count(), 1);
    let apart = "forbidden, and the CPU raised #PF, but its error code has RSVD=1 and P=0, which the architecture excludes\n";
    assert!(text.contains(apart), "{text}");
    assert!(text.ends_with(" with RSVD=1 and P=0\n"), "{text}");
    assert!(!text.contains("2000 as foretold"), "{text}");
}

#[test]
fn a_cpu_that_does_anything_else_is_found_out() {
    let lies: [(Lie, &str); 7] = [
        // SMAP forgotten: what is forbidden while it is on, and it alone, succeeds.
        (
            |access, controls, outcome| {
                let is_data = access.kind != AccessKind::Execute && !access.user;
                match outcome {
                    Outcome::Trap { code: 1 | 3, .. } if is_data && controls.smap => Outcome::Done,
                    other => other,
                }
            },
            "it is forbidden",
        ),
        (
            |access, _, outcome| match outcome {
                Outcome::Done if access.kind == AccessKind::Write && !access.user => {
                    Outcome::Trap {
                        vector: 14,
                        code: 3,
                        cr2: machine::VirtAddr(0x80_0000_0000),
                        rip: machine::VirtAddr(0x1234),
                        cs: 8,
                    }
                }
                other => other,
            },
            "it is allowed",
        ),
        (
            |_, _, outcome| edited(outcome, |(_, code, ..)| *code ^= 0x10),
            "another error code",
        ),
        (
            |_, _, outcome| edited(outcome, |(vector, ..)| *vector = 13),
            "another exception",
        ),
        (
            |_, _, outcome| edited(outcome, |(_, _, cr2, ..)| cr2.0 += 1),
            "CR2 is not the address",
        ),
        (
            |_, _, outcome| edited(outcome, |(_, _, _, rip, _)| rip.0 += 2),
            "RIP is not the instruction's",
        ),
        (
            |_, _, outcome| edited(outcome, |(_, _, _, _, cs)| *cs ^= 3),
            "CS has the wrong privilege level",
        ),
    ];
    for (lie, what) in lies {
        let (text, status) = run(&mut lying(lie), "prove 5000");
        assert_eq!(status, Status::Failed, "{what}: {text}");
        assert_eq!(text.matches(what).count(), 3, "{what}: {text}");
        assert!(
            text.ends_with(" of 5000 rows\n")
                && text.contains("\nprove: the CPU does something else in "),
            "{what}: {text}"
        );
    }
}

type Words<'a> = (
    &'a mut u8,
    &'a mut u64,
    &'a mut machine::VirtAddr,
    &'a mut machine::VirtAddr,
    &'a mut u16,
);

/// The outcome with something else pushed, if it was a trap.
fn edited(mut outcome: Outcome, edit: fn(Words<'_>)) -> Outcome {
    if let Outcome::Trap {
        vector,
        code,
        cr2,
        rip,
        cs,
    } = &mut outcome
    {
        edit((vector, code, cr2, rip, cs));
    }
    outcome
}

#[test]
fn tables_that_are_not_as_asked_prove_nothing() {
    let mut machine = lying(|_, _, outcome| outcome);
    if let Some(cpu) = &mut machine.attempts {
        cpu.lost = 1 << 63;
    }
    let (text, status) = run(&mut machine, "prove 100");
    assert_eq!(status, Status::Failed);
    assert!(
        text.ends_with("\nprove: the tables are not as they were asked for\n"),
        "{text}"
    );
}

#[test]
fn ctrl_c_ends_it_and_everything_is_given_back() {
    let mut machine = Machine::full();
    let mut keys = Scripted::new(200, 50);
    keys.interrupt_after = Some(20);
    let status = Shell::new().execute("prove all", &mut machine, &mut keys);
    assert_eq!(status, Status::Interrupted);
    let cpu = machine.attempts.as_ref().expect("it has one");
    assert_eq!((cpu.begun, cpu.ended), (1, 1));
    assert!(cpu.made > 500 && cpu.made < 5000, "{}", cpu.made);
}

#[test]
fn what_cannot_begin_says_why() {
    let mut machine = Machine::full();
    if let Some(cpu) = &mut machine.attempts {
        cpu.refuses = true;
    }
    let refused = output(&mut machine, "prove");
    let message = "prove: not enough free frames\n".to_owned();
    assert_eq!(refused, (message, Status::Failed));
    for (line, message) in [
        ("prove 0", "0 rows prove nothing; how many, or `all`?"),
        ("prove some", "`some` is not a number (0x12ab, 1234, $rip)"),
        ("prove all 3", "`3` is one argument too many"),
    ] {
        assert_eq!(failed(line), format!("prove: {message}\n"));
    }
}
