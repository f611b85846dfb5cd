//! An event as one line: what the processor did, in words and with its numbers.

use core::fmt;

use machine::{PhysAddr, VirtAddr, vectors};

use crate::{Event, EventKind};

/// The system calls, by number.
const SYSTEM_CALLS: [&str; 12] = [
    "exit", "write", "read", "yield", "sleep", "getpid", "spawn", "wait", "kill", "map", "unmap",
    "fork",
];

/// The kind of an event and what its two values say, by the kind.
pub(crate) struct What<'a>(pub(crate) &'a Event);

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event { kind, a, b, .. } = *self.0;
        let (at, to) = (VirtAddr(a), VirtAddr(b));
        f.write_str(kind.name())?;
        match kind {
            EventKind::SaveContext => write!(f, " rsp {at}"),
            EventKind::Cr3Load => write!(f, " {} -> {}", PhysAddr(a), PhysAddr(b)),
            EventKind::Rsp0Set | EventKind::StackSwitch => write!(f, " {at} -> {to}"),
            EventKind::Iretq => write!(f, " to rip {at} rsp {to}"),
            EventKind::TrapEntry => write!(f, " {} from rip {to}", Vector(a)),
            EventKind::TrapExit => write!(f, " {} to rip {to}", Vector(a)),
            EventKind::SystemCall => write!(f, " {} {b:#x}", Call(a)),
            EventKind::SystemReturn => write!(f, " {} = {}", Call(a), Answer(b)),
            EventKind::Fault => {
                let (vector, error) = (a & 0xff, a >> 8);
                write!(f, " {}", Vector(vector))?;
                let pushes = u8::try_from(vector).is_ok_and(vectors::has_error_code);
                // What is there all the same is not hidden.
                if pushes || error != 0 {
                    write!(f, " error code {error:#x}")?;
                }
                let word = if vector == 14 { "at" } else { "rip" };
                write!(f, " {word} {to}")
            }
            EventKind::Flush => write!(f, " {at}"),
            EventKind::FlushAll => Ok(()),
            EventKind::Poke => write!(f, " {} = {b:016x}", PhysAddr(a)),
            EventKind::Spawn | EventKind::Fork => write!(f, " pid {a} root {}", PhysAddr(b)),
            EventKind::Exit => write!(f, " pid {a} {}", Word(b)),
            EventKind::Reap => write!(f, " pid {a}"),
            EventKind::Nmi => write!(f, " rip {at}"),
            EventKind::Measure => Ok(()),
        }
    }
}

/// `0x0e #PF page fault`; of a number that is no vector, the number, or SYSCALL.
struct Vector(u64);

impl fmt::Display for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u8::try_from(self.0) {
            Ok(vector) => write!(f, "{vector:#04x} {}", vectors::name(vector)),
            Err(_) if self.0 == EventKind::BY_SYSCALL => f.write_str("SYSCALL"),
            Err(_) => write!(f, "{:#x}", self.0),
        }
    }
}

/// A system call by number and name.
struct Call(u64);

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = usize::try_from(self.0).unwrap_or(usize::MAX);
        match SYSTEM_CALLS.get(index) {
            Some(name) => write!(f, "{} {name}", self.0),
            None => write!(f, "{:#x} unknown", self.0),
        }
    }
}

/// What a system call returned: -1 to -4095 are errors.
struct Answer(u64);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.cast_signed() {
            error @ -4095..=-1 => write!(f, "{error}"),
            _ => write!(f, "{:#x}", self.0),
        }
    }
}

/// The status word of a process that ended.
struct Word(u64);

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            code @ 0..=0xff => write!(f, "code {code}"),
            0x100 => f.write_str("killed"),
            0x200..=0x2ff => write!(f, "fault {}", Vector(self.0 & 0xff)),
            other => write!(f, "status {other:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(kind: EventKind, a: u64, b: u64) -> String {
        let event = Event {
            seq: 1,
            cycles: 0,
            kind,
            pid: 3,
            cs: None,
            cr3: 0,
            a,
            b,
        };
        What(&event).to_string()
    }

    #[test]
    fn an_event_is_told_by_its_kind() {
        use EventKind::{Cr3Load, Exit, Fault, Iretq, SystemCall, SystemReturn, TrapEntry};
        for (text, kind, a, b) in [
            (
                "cr3-load 0x0000_0010_0000 -> 0x0000_0020_1000",
                Cr3Load,
                0x10_0000,
                0x20_1000,
            ),
            (
                "iretq to rip 0x0000_0000_0040_0000 rsp 0x0000_7fff_fff0_0000",
                Iretq,
                0x40_0000,
                0x7fff_fff0_0000,
            ),
            (
                "trap-entry 0x20 interrupt from rip 0x0000_0000_0040_0004",
                TrapEntry,
                0x20,
                0x40_0004,
            ),
            (
                "trap-entry SYSCALL from rip 0x0000_0000_0040_0004",
                TrapEntry,
                0x100,
                0x40_0004,
            ),
            ("system-call 1 write 0x1", SystemCall, 1, 1),
            ("system-call 0x63 unknown 0x0", SystemCall, 99, 0),
            (
                "system-return 1 write = -14",
                SystemReturn,
                1,
                -14_i64 as u64,
            ),
            ("system-return 1 write = 0x6", SystemReturn, 1, 6),
            (
                "fault 0x0e #PF page fault error code 0x6 at 0x0000_0000_0000_0010",
                Fault,
                0x60e,
                0x10,
            ),
            (
                "fault 0x06 #UD invalid opcode rip 0x0000_0000_0040_0004",
                Fault,
                6,
                0x40_0004,
            ),
            (
                "fault 0x0d #GP general protection error code 0x0 rip 0x0000_0000_0040_0004",
                Fault,
                0xd,
                0x40_0004,
            ),
            (
                "exit pid 3 fault 0x0d #GP general protection",
                Exit,
                3,
                0x20d,
            ),
            ("exit pid 3 code 7", Exit, 3, 7),
            ("exit pid 3 killed", Exit, 3, 0x100),
        ] {
            assert_eq!(what(kind, a, b), text);
        }
    }

    #[test]
    fn any_values_make_a_line() {
        for kind in EventKind::ALL {
            for value in [0, 1 << 40, u64::MAX] {
                assert!(!what(*kind, value, value).contains('\n'));
            }
        }
    }
}
