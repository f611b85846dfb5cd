//! An exception as the CPU raises it: a prediction and an observation have the same shape.

use core::fmt;

use crate::{Access, Verdict, VirtAddr, bits, vectors};

/// The vector of #DB.
pub const DEBUG: u8 = 1;
/// The vector of #DF.
pub const DOUBLE_FAULT: u8 = 8;
/// The vector of #TS.
pub const INVALID_TSS: u8 = 10;
/// The vector of #NP.
pub const NOT_PRESENT: u8 = 11;
/// The vector of #SS.
pub const STACK_SEGMENT: u8 = 12;
/// The vector of #GP.
pub const GENERAL_PROTECTION: u8 = 13;
/// The vector of #PF.
pub const PAGE_FAULT: u8 = 14;

/// An exception. Displayed as `#GP general protection, error code 0x10`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Raised {
    /// Which one.
    pub vector: u8,
    /// What the CPU pushes; `None` where it pushes nothing.
    pub error: Option<u64>,
    /// CR2, of a page fault.
    pub address: Option<VirtAddr>,
}

impl Raised {
    /// #GP with this error code.
    pub const fn protection(error: u64) -> Raised {
        Raised::with_code(GENERAL_PROTECTION, error)
    }

    /// An exception with this error code, other than #PF.
    pub const fn with_code(vector: u8, error: u64) -> Raised {
        Raised {
            vector,
            error: Some(error),
            address: None,
        }
    }

    /// #PF with this error code, at this address.
    pub const fn page_fault(error: u64, address: VirtAddr) -> Raised {
        Raised {
            vector: PAGE_FAULT,
            error: Some(error),
            address: Some(address),
        }
    }

    /// #DB, which pushes nothing.
    pub const fn debug() -> Raised {
        Raised {
            vector: DEBUG,
            error: None,
            address: None,
        }
    }

    /// What an access to `va` raises that was judged so; `None` if nothing, or if it could not
    /// be judged. `by_stack` says that it goes through RSP: then a non-canonical address is
    /// #SS(0) and not #GP(0).
    pub const fn by_access(verdict: &Verdict, va: VirtAddr, by_stack: bool) -> Option<Raised> {
        match verdict {
            Verdict::PageFault { code, .. } => Some(Raised::page_fault(*code, va)),
            Verdict::NonCanonical if by_stack => Some(Raised::with_code(STACK_SEGMENT, 0)),
            Verdict::NonCanonical => Some(Raised::protection(0)),
            Verdict::Allowed { .. } | Verdict::Unknown { .. } => None,
        }
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(vectors::name(self.vector))?;
        if let Some(address) = self.address {
            write!(f, " at {address}")?;
        }
        match self.error {
            Some(code) => write!(f, ", error code {code:#x}")?,
            None => return Ok(()),
        }
        match (self.vector, self.error) {
            (PAGE_FAULT, Some(code)) if code != 0 => {
                write!(f, " ({})", bits::PAGE_FAULT.names(code))
            }
            _ => Ok(()),
        }
    }
}

/// An access in ring 0 that the CPU makes by itself, as to the GDT: SMAP heeds no AC for it.
pub const fn implicit(kind: crate::AccessKind) -> Access {
    Access { kind, user: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn an_exception_reads_as_in_a_report() {
        for (raised, text) in [
            (
                Raised::protection(0x10),
                "#GP general protection, error code 0x10",
            ),
            (Raised::debug(), "#DB debug"),
            (
                Raised::page_fault(0x14, VirtAddr(0x40_0000)),
                "#PF page fault at 0x0000_0000_0040_0000, error code 0x14 (U/S I/D)",
            ),
            (
                Raised::page_fault(0, VirtAddr(8)),
                "#PF page fault at 0x0000_0000_0000_0008, error code 0x0",
            ),
        ] {
            assert_eq!(raised.to_string(), text);
        }
    }
}
