//! Why an exception came: one cause, in one sentence.
//!
//! Come here with what the CPU pushed and the walk of CR2 as it was then. The answer names the
//! entry and the bit that decided, or the classic mistake behind it: a null pointer with an offset,
//! code of the wrong ring, SMAP without AC, an older translation, a stack that is used up, a
//! selector nobody defined, an instruction that only ring 0 has.
//!
//! Intel SDM volume 3A, "Protected-Mode Exceptions and Interrupts", and "Error Code".

mod instruction;
mod named;
mod words;

use crate::{Access, AccessKind, Controls, Level, Registers, Verdict, VirtAddr, Walk, Why, judge};

pub use instruction::{Code, Special};
pub use named::Named;

/// What is known about an exception.
#[derive(Clone, Copy, Debug)]
pub struct Fault<'a> {
    /// The vector.
    pub vector: u8,
    /// What the CPU pushed; 0 where it pushes none.
    pub error: u64,
    /// The registers as they were: RIP, CS, RSP and RFLAGS as the CPU pushed them, CR2 as it was
    /// at the entry.
    pub registers: &'a Registers,
    /// The walk of CR2, of a page fault, made before anything could change.
    pub walk: Option<&'a Walk>,
    /// What stands at RIP.
    pub code: Code,
    /// Whether CR2 lies in the guard page of a stack.
    pub in_guard: bool,
}

/// Why an exception came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The tables, or a control bit, forbid an access.
    Refused(Refused),
    /// The access went to the guard page below a stack.
    StackUsedUp {
        /// The address.
        at: VirtAddr,
    },
    /// A null pointer was followed, so many bytes beyond what it points at.
    Null {
        /// What was done.
        access: Access,
        /// The distance from address 0.
        offset: u64,
        /// Whether the instruction goes through GS, the base of which is 0: a per-CPU block that
        /// was never set up.
        through_gs: bool,
    },
    /// The tables allow the access now.
    Stale {
        /// What was done.
        access: Access,
        /// Where.
        at: VirtAddr,
    },
    /// RIP is not canonical: a jump or a return went there.
    RipNotCanonical,
    /// The instruction is for ring 0.
    Privileged(Special),
    /// `int n` from ring 3 through a gate that is not for it.
    Gate {
        /// The vector of the gate.
        vector: u8,
    },
    /// A selector, or what it names, cannot be used.
    Selector(SelectorError),
    /// An operand is not canonical, is not aligned, or the frame or a descriptor is bad: error
    /// code 0 says no more.
    General {
        /// A register with an address in it that is not canonical, if there is one.
        register: Option<(&'static str, u64)>,
    },
    /// An SSE instruction whose operand must be aligned to 16 bytes, and may not be.
    Unaligned,
    /// More than 15 bytes belong together.
    TooLong,
    /// DIV or IDIV.
    Divide,
    /// INT3, or a byte 0xCC that a debugger left.
    Int3,
    /// The bytes are no instruction, or not one that is on.
    Invalid(Code),
    /// SSE without CR4.OSFXSR.
    SseOff,
    /// An exception came while another was being delivered.
    Double {
        /// Where the stack stood that the first could not be pushed to.
        rsp: VirtAddr,
        /// Whether CR2 says that it is a guard page that was hit.
        in_guard: bool,
    },
    /// DR6 says why.
    Debug {
        /// Its low bits: B0-B3, BD, BS, BT.
        dr6: u64,
    },
    /// The name of the vector is all there is to say.
    Vector(u8),
}

/// An access that the tables and the control bits forbid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// What was done.
    pub access: Access,
    /// Where.
    pub at: VirtAddr,
    /// What forbids it.
    pub why: Why,
    /// The level that decided.
    pub level: Level,
    /// Which entry of the table.
    pub index: u16,
}

/// An error code that names a descriptor (SDM volume 3A, "Error Code").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SelectorError {
    /// EXT: an event from outside the program was being delivered.
    pub external: bool,
    /// Which table.
    pub table: SelectorTable,
    /// Which of its entries.
    pub index: u16,
    /// The exception: #TS, #NP, #SS or #GP.
    pub vector: u8,
}

/// The table that an error code names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SelectorTable {
    /// The interrupt descriptor table: the index is a vector.
    Idt,
    /// The global descriptor table.
    Gdt,
    /// The local descriptor table.
    Ldt,
}

impl SelectorError {
    /// The descriptor that an error code other than 0 names.
    pub const fn decode(vector: u8, error: u64) -> SelectorError {
        SelectorError {
            external: error & 1 != 0,
            table: match error >> 1 & 0b11 {
                0 => SelectorTable::Gdt,
                2 => SelectorTable::Ldt,
                _ => SelectorTable::Idt,
            },
            index: (error >> 3 & 0x1fff) as u16,
            vector,
        }
    }
}

/// How far from 0 an address is still taken for a null pointer and a field.
const NULL: u64 = 0x1_0000;

/// Says why.
pub fn cause(fault: &Fault<'_>) -> Cause {
    let user = fault.registers.cs & 3 == 3;
    match fault.vector {
        0 => Cause::Divide,
        1 => Cause::Debug {
            dr6: fault.registers.dr6 & 0xe00f,
        },
        3 => Cause::Int3,
        6 if fault.code.is_sse() && fault.registers.cr4 & (1 << 9) == 0 => Cause::SseOff,
        6 => Cause::Invalid(fault.code),
        8 => Cause::Double {
            rsp: VirtAddr(fault.registers.rsp),
            in_guard: fault.in_guard,
        },
        13 => protection(fault, user),
        10..=12 if fault.error != 0 => Cause::Selector(fault.selector()),
        12 => Cause::General {
            register: fault.odd_register(&["rsp", "rbp"]),
        },
        14 => page_fault(fault),
        vector => Cause::Vector(vector),
    }
}

/// #GP.
fn protection(fault: &Fault<'_>, user: bool) -> Cause {
    let special = fault.code.special();
    if fault.error == 0 {
        if !is_canonical(fault.registers.rip) {
            return Cause::RipNotCanonical;
        }
        return match special {
            Some(special) if user => Cause::Privileged(special),
            _ if fault.code.is_too_long() => Cause::TooLong,
            _ => match fault.odd_register(Registers::NAMES) {
                None if fault.code.is_aligned_sse() => Cause::Unaligned,
                register => Cause::General { register },
            },
        };
    }
    let named = fault.selector();
    match fault.code.software_interrupt() {
        Some(vector) if user && named.table == SelectorTable::Idt => Cause::Gate { vector },
        _ => Cause::Selector(named),
    }
}

/// #PF.
fn page_fault(fault: &Fault<'_>) -> Cause {
    const WRITE: u64 = 1 << 1;
    const USER: u64 = 1 << 2;
    const FETCH: u64 = 1 << 4;
    let at = VirtAddr(fault.registers.cr2);
    let access = Access {
        kind: match fault.error {
            error if error & FETCH != 0 => AccessKind::Execute,
            error if error & WRITE != 0 => AccessKind::Write,
            _ => AccessKind::Read,
        },
        user: fault.error & USER != 0,
    };
    if fault.in_guard {
        return Cause::StackUsedUp { at };
    }
    let Some(walk) = fault.walk else {
        return Cause::Vector(fault.vector);
    };
    // What the walk says counts, and not P and RSVD of the error code, which one emulator gets
    // wrong. The entries decide whether bits are reserved.
    let controls = Controls::from_registers(fault.registers);
    let (level, why) = match judge(walk, access, controls) {
        Verdict::PageFault { level, why, .. } => (level, why),
        Verdict::Allowed { .. } => return Cause::Stale { access, at },
        Verdict::NonCanonical | Verdict::Unknown { .. } => return Cause::Vector(fault.vector),
    };
    if at.0 < NULL && why == Why::Absent {
        return Cause::Null {
            access,
            offset: at.0,
            through_gs: fault.registers.gs_base == 0 && fault.code.is_through_gs(),
        };
    }
    let mut steps = walk.steps().iter();
    let index = steps
        .find(|step| step.entry.level == level)
        .map_or(0, |step| step.index);
    Cause::Refused(Refused {
        access,
        at,
        why,
        level,
        index,
    })
}

impl Fault<'_> {
    /// What the error code names. One emulator has n * 16 + 2 for a gate, whatever was delivered: of `int n`
    /// the instruction tells which gate it is, and where there is no such instruction it was something
    /// from outside, which the architecture says with EXT.
    fn selector(&self) -> SelectorError {
        const EMULATED: u64 = 0b0010;
        let named = SelectorError::decode(self.vector, self.error);
        if named.table != SelectorTable::Idt || named.external {
            return named;
        }
        match self.code.software_interrupt() {
            Some(vector) => SelectorError {
                index: vector.into(),
                ..named
            },
            None if self.error & 0xf == EMULATED && !self.code.bytes().is_empty() => {
                SelectorError {
                    external: true,
                    index: (self.error >> 4 & 0xfff) as u16,
                    ..named
                }
            }
            None => named,
        }
    }

    /// The first of these registers that holds no canonical address.
    fn odd_register(&self, names: &'static [&'static str]) -> Option<(&'static str, u64)> {
        /// Those an instruction can address with.
        const GENERAL: usize = 16;
        let mut names = names.iter().take(GENERAL);
        names.find_map(|name| {
            let value = self.registers.by_name(name)?;
            (!is_canonical(value)).then_some((*name, value))
        })
    }
}

/// With four levels, bits 63:47 are equal. The cause of a fault with five is told less exactly.
const fn is_canonical(address: u64) -> bool {
    let high = address >> 47;
    high == 0 || high == (1 << 17) - 1
}

#[cfg(test)]
mod tests;
