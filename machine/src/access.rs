//! Whether the CPU would allow an access, and the error code it would push if not.
//!
//! Come here when the tables look right and the access faults all the same, or the other way
//! round: the rights that entries grant are only half of it, the other half is in CR0, CR4,
//! EFER and RFLAGS. Intel SDM volume 3A, "Determination of Access Rights" and "Page-Fault
//! Exceptions".
//!
//! Deliberately absent: protection keys, shadow stacks, LASS, LAM, what the TLB may still
//! hold, and accesses the CPU makes by itself, such as to the GDT, for which SMAP ignores AC.

use core::fmt;

use crate::{End, Level, PageSize, Paging, ReadError, Registers, Right, Rights, Walk};

/// The bits outside the tables that have a say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Controls {
    /// CR0.WP: the supervisor may not write where R/W is clear.
    pub wp: bool,
    /// CR4.SMEP: the supervisor may not run code in user pages.
    pub smep: bool,
    /// CR4.SMAP: the supervisor may not touch user pages while AC is clear.
    pub smap: bool,
    /// RFLAGS.AC, which suspends SMAP.
    pub ac: bool,
    /// EFER.NXE: bit 63 of an entry forbids fetches. Otherwise it is reserved.
    pub nxe: bool,
}

impl Controls {
    /// Those in force with these registers.
    pub const fn from_registers(registers: &Registers) -> Controls {
        const fn is_set(value: u64, bit: u32) -> bool {
            value & 1 << bit != 0
        }
        Controls {
            wp: is_set(registers.cr0, 16),
            smep: is_set(registers.cr4, 20),
            smap: is_set(registers.cr4, 21),
            ac: is_set(registers.rflags, 18),
            nxe: is_set(registers.efer, 11),
        }
    }

    /// How entries are read under them. A walk that [`judge`] is asked about is made so.
    pub const fn paging(&self, paging: Paging) -> Paging {
        Paging {
            nxe: self.nxe,
            ..paging
        }
    }
}

/// What an access does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AccessKind {
    /// It reads data.
    Read,
    /// It writes data.
    Write,
    /// It fetches an instruction.
    Execute,
}

/// One access, displayed as `user read`, `kernel write` and so on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Access {
    /// What it does.
    pub kind: AccessKind,
    /// Whether it is made at CPL 3.
    pub user: bool,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.user { "user" } else { "kernel" };
        let what = match self.kind {
            AccessKind::Read => "read",
            AccessKind::Write => "write",
            AccessKind::Execute => "fetch",
        };
        write!(f, "{who} {what}")
    }
}

/// What forbids an access; the first of these that applies, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Why {
    /// P is clear.
    Absent,
    /// Reserved bits are set: these, in their places.
    Reserved(u64),
    /// U/S is clear, and the access is the user's.
    Supervisor,
    /// U/S is set at every level, and SMEP keeps the supervisor from running it.
    Smep,
    /// U/S is set at every level, and SMAP with AC clear keeps the supervisor from it.
    Smap,
    /// R/W is clear, and the access is the user's or WP is set.
    ReadOnly,
    /// XD is set.
    NoExecute,
}

/// What comes of an access.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// It succeeds.
    Allowed {
        /// The size of the page.
        size: PageSize,
        /// The effective rights, over all levels.
        rights: Rights,
    },
    /// It raises #PF.
    PageFault {
        /// The error code; see [`bits::PAGE_FAULT`](crate::bits::PAGE_FAULT).
        code: u64,
        /// The level of the entry that decided: the highest whose bit forbids. If all levels
        /// together did, the one that maps the page.
        level: Level,
        /// What forbids it there.
        why: Why,
    },
    /// The address is not canonical: #GP, or #SS if it is an access to the stack, with error
    /// code 0. No page fault.
    NonCanonical,
    /// The entry could not be read. The access may succeed, or not.
    Unknown {
        /// The level of the table that has the entry.
        level: Level,
        /// Why it could not be read.
        why: ReadError,
    },
}

impl Verdict {
    /// Yes or no, if either can be said.
    pub const fn is_allowed(&self) -> Option<bool> {
        match self {
            Verdict::Allowed { .. } => Some(true),
            Verdict::PageFault { .. } | Verdict::NonCanonical => Some(false),
            Verdict::Unknown { .. } => None,
        }
    }

    /// The error code of the page fault, if there is one.
    pub const fn error_code(&self) -> Option<u64> {
        match self {
            Verdict::PageFault { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// Judges an access to the address that was walked. The walk must have been made with
/// [`Controls::paging`]: whether bit 63 is reserved was decided in it.
pub fn judge(walk: &Walk, access: Access, controls: Controls) -> Verdict {
    let (size, rights) = match walk.end() {
        End::NonCanonical => return Verdict::NonCanonical,
        End::Unreadable { level, why } => return Verdict::Unknown { level, why },
        End::Absent { level } => return fault(level, Why::Absent, access, controls),
        End::Reserved { level, bits } => {
            return fault(level, Why::Reserved(bits), access, controls);
        }
        End::Mapped { size, rights, .. } => (size, rights),
    };
    let is_fetch = access.kind == AccessKind::Execute;
    let forbidden_by = |right, why| walk.decided_by(right).map(|level| (level, why));
    let keeps_out = match (access.user, is_fetch) {
        (true, _) => forbidden_by(Right::User, Why::Supervisor),
        (false, true) => (rights.user && controls.smep).then_some((size.level(), Why::Smep)),
        (false, false) => {
            let is_on = controls.smap && !controls.ac;
            (rights.user && is_on).then_some((size.level(), Why::Smap))
        }
    };
    let forbids = keeps_out.or_else(|| match access.kind {
        AccessKind::Write if access.user || controls.wp => {
            forbidden_by(Right::Write, Why::ReadOnly)
        }
        AccessKind::Execute => forbidden_by(Right::Execute, Why::NoExecute),
        AccessKind::Read | AccessKind::Write => None,
    });
    match forbids {
        Some((level, why)) => fault(level, why, access, controls),
        None => Verdict::Allowed { size, rights },
    }
}

/// A page fault, with its error code as in "Page-Fault Error Code".
const fn fault(level: Level, why: Why, access: Access, controls: Controls) -> Verdict {
    const P: u64 = 1 << 0;
    const WR: u64 = 1 << 1;
    const US: u64 = 1 << 2;
    const RSVD: u64 = 1 << 3;
    const ID: u64 = 1 << 4;
    let mut code = match why {
        Why::Absent => 0,
        Why::Reserved(_) => P | RSVD,
        _ => P,
    };
    if access.user {
        code |= US;
    }
    code |= match access.kind {
        AccessKind::Read => 0,
        AccessKind::Write => WR,
        // The bit says nothing where no fetch can be forbidden. PAE is set in long mode.
        AccessKind::Execute if controls.nxe || controls.smep => ID,
        AccessKind::Execute => 0,
    };
    Verdict::PageFault { code, level, why }
}

#[cfg(test)]
mod tests;
