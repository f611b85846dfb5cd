//! Causes as sentences. Who it happened to is for whoever prints them to say.

use core::fmt;

use super::{Cause, Code, Refused, SelectorError, SelectorTable};
use crate::{AccessKind, Why, vectors};

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Refused(refused) => write!(f, "{refused}"),
            Cause::StackUsedUp { at } => write!(
                f,
                "the stack is used up, or a frame steps over its end: {at} is in its guard page"
            ),
            Cause::Null {
                access,
                offset,
                through_gs,
            } => {
                write!(f, "{access} through a null pointer")?;
                match (through_gs, offset) {
                    (true, _) => write!(f, ": offset {offset:#x} of GS, whose base is 0"),
                    (false, 0) => Ok(()),
                    (false, _) => write!(f, ", {offset:#x} bytes past it"),
                }
            }
            Cause::Stale { access, at } => write!(
                f,
                "{access} at {at} refused, but the tables allow it now: the CPU used an older \
                 translation, or the entry has changed since"
            ),
            Cause::RipNotCanonical => {
                f.write_str("a jump or a return to an address that is not canonical")
            }
            Cause::Privileged(special) => {
                write!(f, "an instruction for ring 0 only: {}", special.0)
            }
            Cause::Gate { vector } => write!(
                f,
                "int {vector:#x} from ring 3, but the gate of that vector is for ring 0 (DPL 0)"
            ),
            Cause::Selector(error) => write!(f, "{error}"),
            Cause::General { register } => match register {
                Some((name, value)) => write!(
                    f,
                    "an address that is not canonical, or a forbidden value: {name} is {value:#x}"
                ),
                None => f.write_str("a value or an operand that the instruction does not take"),
            },
            Cause::Unaligned => f.write_str(
                "an SSE move that takes aligned operands only, and this one is not a multiple of 16",
            ),
            Cause::TooLong => f.write_str("an instruction of more than 15 bytes"),
            Cause::Divide => f.write_str("a division by zero, or a quotient that does not fit"),
            Cause::Int3 => f.write_str("int3, a breakpoint in the code, and no debugger asked for it"),
            Cause::Invalid(code) => invalid(f, code),
            Cause::SseOff => f.write_str("an SSE instruction while CR4.OSFXSR is clear"),
            Cause::Double { rsp, in_guard } => {
                write!(f, "an exception could not be delivered: ")?;
                match in_guard {
                    true => write!(f, "the stack at {rsp} is used up"),
                    false => write!(f, "the handler, its gate or the stack at {rsp} faulted"),
                }
            }
            Cause::Debug { dr6 } => debug(f, *dr6),
            Cause::Vector(vector) => f.write_str(plain(*vector)),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refused {
            access,
            at,
            why,
            level,
            index,
        } = self;
        write!(f, "{access} at {at} refused: ")?;
        let entry = Entry(level.name(), *index);
        match why {
            Why::Absent => write!(f, "{entry} is not present"),
            Why::Reserved(bits) => write!(f, "{entry} has reserved bits set, {bits:#x}"),
            Why::Supervisor if access.kind == AccessKind::Execute => write!(
                f,
                "{entry} has U=0: ring 3 runs the kernel's code, so the ring is wrong, not the mapping"
            ),
            Why::Supervisor => write!(f, "{entry} has U=0"),
            Why::Smep => write!(f, "the page is a user page and SMEP is on"),
            Why::Smap => write!(f, "the page is a user page, SMAP is on and AC is clear"),
            Why::ReadOnly => write!(f, "{entry} has W=0"),
            Why::NoExecute => write!(f, "{entry} has NX=1"),
        }
    }
}

/// What a vector means by itself.
fn plain(vector: u8) -> &'static str {
    match vector {
        2 => "an NMI: the hardware, or whoever watches over it, wants to be heard at once",
        4 => "an overflow that INTO was to look for",
        7 => "an x87 or SSE instruction while CR0.TS or CR0.EM is set",
        14 => "a page fault, and its tables could not be read",
        16 => "an x87 error that is not masked",
        17 => "an address that is not aligned, while CR0.AM and RFLAGS.AC are set",
        18 => "a machine check: the hardware has found an error of its own, or `int 18` was run",
        19 => "an SSE error that MXCSR does not mask",
        21 => "a return or a jump that does not go where the shadow stack, or ENDBR, wants it",
        vector => vectors::name(vector),
    }
}

/// `PT entry 1`.
struct Entry(&'static str, u16);

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} entry {}", self.0, self.1)
    }
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SelectorError {
            external,
            table,
            index,
            vector,
        } = self;
        match table {
            SelectorTable::Idt => write!(f, "IDT gate {index:#x} ({})", vector_name(*index))?,
            SelectorTable::Gdt => write!(f, "GDT entry {index} (selector {:#x})", index << 3)?,
            SelectorTable::Ldt => write!(f, "LDT entry {index} (selector {:#x})", index << 3 | 4)?,
        }
        f.write_str(match vector {
            10 => " does not fit a TSS or a stack",
            11 => " is not present",
            12 => " is no usable stack segment",
            _ => " cannot be used here",
        })?;
        match external {
            true => f.write_str(", while an interrupt or an earlier exception was delivered"),
            false => Ok(()),
        }
    }
}

/// The name of the vector that a gate is for.
fn vector_name(index: u16) -> &'static str {
    u8::try_from(index).map_or("no vector", vectors::name)
}

fn invalid(f: &mut fmt::Formatter<'_>, code: &Code) -> fmt::Result {
    if code.is_ud2() {
        return f.write_str("ud2, which compilers put where code must not come to");
    }
    f.write_str("no instruction of this CPU as it is set up:")?;
    match code.bytes() {
        [] => f.write_str(" its bytes cannot be read"),
        bytes => bytes
            .iter()
            .take(8)
            .try_for_each(|byte| write!(f, " {byte:02x}")),
    }
}

fn debug(f: &mut fmt::Formatter<'_>, dr6: u64) -> fmt::Result {
    const STEP: u64 = 1 << 14;
    const GENERAL_DETECT: u64 = 1 << 13;
    match dr6 {
        0 => return f.write_str("int1, or a debug exception that DR6 does not explain"),
        _ if dr6 & STEP != 0 => f.write_str("single step (TF)")?,
        _ if dr6 & GENERAL_DETECT != 0 => f.write_str("an access to the debug registers")?,
        _ => f.write_str("a hardware breakpoint")?,
    }
    let hit = dr6 & 0xf;
    match hit {
        0 => Ok(()),
        _ => write!(f, ", DR{}", hit.trailing_zeros()),
    }
}
