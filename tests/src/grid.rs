//! Return frames for IRETQ from a grid, and what each of them leads to.
//!
//! Everything here is written down by hand from Intel SDM volume 2, "IRET/IRETD/IRETQ", and from
//! the kernel's documented descriptors and addresses; nothing is shared with what foretells.

use crate::random::Random;

/// The five words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where to go.
    pub rip: u64,
    /// The code segment.
    pub cs: u64,
    /// The flags.
    pub rflags: u64,
    /// The stack pointer.
    pub rsp: u64,
    /// The stack segment.
    pub ss: u64,
}

/// An exception: vector, error code, ring, CR2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The vector.
    pub vector: u8,
    /// What is pushed; 0 where nothing is.
    pub code: u64,
    /// The ring of the CS that is pushed.
    pub ring: u8,
    /// CR2 of a page fault.
    pub cr2: Option<u64>,
}

/// What a frame leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// By the manual; `None` if the program runs and exits.
    pub fault: Option<Fault>,
    /// What QEMU 7.2 does instead, and the ids of the deviations that excuse it.
    pub excused: Option<(Option<Fault>, &'static [&'static str])>,
}

/// Where the program is whose frame is changed: it begins with an instruction that uses no
/// stack, and its first use of the stack is a push.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its first instruction.
    pub entry: u64,
    /// RSP as the kernel sets it.
    pub rsp: u64,
    /// The kernel's code: supervisor.
    pub kernel: u64,
}

/// The end of the program's stack, whose pages are not executable.
const STACK_END: u64 = 0x7fff_fff0_0000;
const GP: u8 = 13;
const NP: u8 = 11;
const SS: u8 = 12;
const PF: u8 = 14;
const DB: u8 = 1;

/// A selector, and what is wrong with it: vector and error code.
type Row = (u64, Option<(u8, u64)>);

/// CS by the kernel's GDT: 0x20 is user code, 0x38 the same but not present, 0x28 a task state
/// segment of two entries, 0x48 the end of the table.
const CODE: [Row; 19] = [
    (0x23, None),
    (0x23, None),
    (0x0001_0023, None),
    (0, Some((GP, 0))),
    (3, Some((GP, 0))),
    (4, Some((GP, 4))),
    (0x27, Some((GP, 0x24))),
    (0x0b, Some((GP, 0x08))),
    (0x10, Some((GP, 0x10))),
    (0x13, Some((GP, 0x10))),
    (0x1b, Some((GP, 0x18))),
    (0x20, Some((GP, 0x20))),
    (0x21, Some((GP, 0x20))),
    (0x2b, Some((GP, 0x28))),
    (0x33, Some((GP, 0x30))),
    (0x3b, Some((NP, 0x38))),
    (0x43, Some((GP, 0x40))),
    (0x4b, Some((GP, 0x48))),
    (0xfffb, Some((GP, 0xfff8))),
];

/// SS likewise, with a CS of ring 3: 0x18 is user data, 0x40 the same but not present.
const STACK: [Row; 13] = [
    (0x1b, None),
    (0x1b, None),
    (0xffff_001b, None),
    (0, Some((GP, 0))),
    (3, Some((GP, 0))),
    (0x18, Some((GP, 0x18))),
    (0x1f, Some((GP, 0x1c))),
    (0x10, Some((GP, 0x10))),
    (0x13, Some((GP, 0x10))),
    (0x23, Some((GP, 0x20))),
    (0x2b, Some((GP, 0x28))),
    (0x43, Some((SS, 0x40))),
    (0x4b, Some((GP, 0x48))),
];

const FLAGS: [u64; 11] = [
    0x202,
    0x302,
    0x002,
    0x200,
    0x0ed7,
    0x3202,
    0x4202,
    0x1_0202,
    0x2_0202,
    0x24_0202,
    0xffff_ffff_0002_822a,
];

/// Every CS with every SS and every RIP, then with good segments every RIP with every RSP and
/// every RFLAGS; what is left to choose is chosen by the seed.
#[must_use]
pub fn frames(program: &Program, seed: u64) -> Vec<(Frame, Expected)> {
    let rips = rips(program);
    let rsps = rsps(program);
    let mut random = Random::new(seed);
    let mut all = Vec::new();
    for cs in CODE {
        for ss in STACK {
            for rip in rips {
                let rflags = *random.pick(&FLAGS);
                let rsp = *random.pick(&rsps);
                all.push(row(program, rip, cs, rflags, rsp, ss));
            }
        }
    }
    for rip in rips {
        for rsp in rsps {
            for rflags in FLAGS {
                all.push(row(program, rip, CODE[0], rflags, rsp, STACK[0]));
            }
        }
    }
    all
}

fn rips(program: &Program) -> [u64; 8] {
    [
        program.entry,
        program.entry,
        0,
        STACK_END - 0x100,
        program.kernel,
        0x7fff_ffff_f000,
        1 << 47,
        0xffff_7fff_ffff_ffff,
    ]
}

fn rsps(program: &Program) -> [u64; 8] {
    [
        program.rsp,
        program.rsp,
        program.rsp - 3,
        0,
        program.entry,
        program.kernel + 0x100,
        0x9000_0000_0000,
        0x7fff_0000_0000,
    ]
}

fn row(program: &Program, rip: u64, cs: Row, rflags: u64, rsp: u64, ss: Row) -> (Frame, Expected) {
    let frame = Frame {
        rip,
        cs: cs.0,
        rflags,
        rsp,
        ss: ss.0,
    };
    (frame, expected(program, &frame, cs, ss))
}

fn expected(program: &Program, frame: &Frame, cs: Row, ss: Row) -> Expected {
    let at_iretq = |(vector, code): (u8, u64)| Fault {
        vector,
        code,
        ring: 0,
        cr2: None,
    };
    let is_canonical = |address: u64| !(1 << 47..0xffff_8000_0000_0000).contains(&address);
    // A null SS is never good in ring 3, and elsewhere only with the RPL of CS. An SS that is not
    // null with another RPL than CS has is #GP as well, but each such CS is bad by itself here.
    let (null_cs, null_ss) = (cs.0 & 0xfffc == 0, ss.0 & 0xfffc == 0);
    let bad_null = null_ss && (cs.0 & 3 == 3 || cs.0 & 3 != ss.0 & 3);
    let by_words = null_cs || !is_canonical(frame.rip) || bad_null;
    let by_manual = match (by_words, cs.1, ss.1) {
        (true, _, _) => Some((GP, 0)),
        (false, Some(fault), _) | (false, None, Some(fault)) => Some(fault),
        (false, None, None) => None,
    };
    // QEMU: CS, then SS, never RIP; an absent SS is #NP.
    let absent_ss =
        ss.1.filter(|fault| fault.0 == SS)
            .map(|fault| (NP, fault.1));
    let by_qemu = cs.1.or(absent_ss).or(ss.1);
    let arch = match by_manual {
        Some(fault) => Some(at_iretq(fault)),
        None => in_ring_3(program, frame, (SS, 0)),
    };
    let qemu = match by_qemu {
        Some(fault) => Some(at_iretq(fault)),
        None if !is_canonical(frame.rip) => Some(Fault {
            ring: 3,
            ..at_iretq((GP, 0))
        }),
        None => in_ring_3(program, frame, (GP, 0)),
    };
    let excused = (qemu != arch).then(|| {
        let ids: &[&str] = if !is_canonical(frame.rip) && !null_cs {
            &["D-02"]
        } else if by_manual.is_some_and(|fault| fault.0 == SS) {
            &["D-22"]
        } else if by_manual.is_some() {
            &["D-23"]
        } else {
            &["D-05"]
        };
        (qemu, ids)
    });
    Expected {
        fault: arch,
        excused,
    }
}

/// What comes in ring 3: the fetch, TF after the first instruction, the first push.
fn in_ring_3(program: &Program, frame: &Frame, odd_stack: (u8, u64)) -> Option<Fault> {
    let fault = |vector, code, cr2| Fault {
        vector,
        code,
        ring: 3,
        cr2,
    };
    // P 1, W 2, U 4, I 0x10.
    if frame.rip != program.entry {
        let is_there = frame.rip == program.kernel || frame.rip == STACK_END - 0x100;
        let code = if is_there { 0x15 } else { 0x14 };
        return Some(fault(PF, code, Some(frame.rip)));
    }
    if frame.rflags & 0x100 != 0 {
        return Some(fault(DB, 0, None));
    }
    let below = frame.rsp.wrapping_sub(8);
    if frame.rsp == 0x9000_0000_0000 {
        return Some(fault(odd_stack.0, odd_stack.1, None));
    }
    if frame.rsp == program.entry || frame.rsp == program.kernel + 0x100 {
        return Some(fault(PF, 7, Some(below)));
    }
    let is_there = frame.rsp & !0xf == program.rsp || frame.rsp == program.rsp - 3;
    (!is_there).then(|| fault(PF, 6, Some(below)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_has_every_part_of_the_frame_in_every_kind_and_is_the_same_each_time() {
        let program = Program {
            entry: 0x40_1000,
            rsp: STACK_END - 0x100,
            kernel: 0xffff_8000_0000_0000,
        };
        let all = frames(&program, 1);
        assert!(all.len() >= 2000, "{}", all.len());
        assert_eq!(all, frames(&program, 1));
        for (value, what) in CODE {
            assert!(all.iter().any(|(frame, _)| frame.cs == value), "{what:?}");
        }
        let faults = |vector| {
            all.iter()
                .filter(|(_, expected)| expected.fault.is_some_and(|f| f.vector == vector))
                .count()
        };
        for vector in [DB, NP, SS, GP, PF] {
            assert!(faults(vector) > 5, "vector {vector}: {}", faults(vector));
        }
        assert!(
            all.iter()
                .filter(|(_, expected)| expected.fault.is_none())
                .count()
                > 30
        );
        for id in ["D-02", "D-05", "D-22", "D-23"] {
            let is_met = |(_, ids): (_, &[&str])| ids.contains(&id);
            assert!(
                all.iter().any(|(_, e)| e.excused.is_some_and(is_met)),
                "{id}"
            );
        }
    }
}
