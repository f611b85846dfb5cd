//! Which entry forbids an access, and with which bit, in words.

use core::fmt;

use machine::{PhysAddr, Verdict, Walk, Why};

/// Why an access fails: `PT entry at 0x0000_0000_4018 not present`, or what it comes to:
/// `-r-x (4K page)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Judged {
    /// Where the entry is that decided.
    entry: Option<PhysAddr>,
    pub(crate) verdict: Verdict,
}

impl Judged {
    pub(crate) fn of(walk: &Walk, verdict: Verdict) -> Self {
        let entry = match verdict {
            Verdict::PageFault { level, .. } => {
                let mut steps = walk.steps().iter();
                steps.find(|step| step.entry.level == level)
            }
            _ => None,
        };
        Judged {
            entry: entry.map(machine::Step::entry_address),
            verdict,
        }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verdict {
            Verdict::Allowed { size, rights } => write!(f, "{rights} ({size} page)"),
            Verdict::NonCanonical => f.write_str("not canonical"),
            Verdict::Unknown { level, why } => {
                write!(f, "unknown: {level} entry unreadable, {why}")
            }
            Verdict::PageFault { level, why, .. } => {
                write!(f, "{level} entry")?;
                if let Some(at) = self.entry {
                    write!(f, " at {at}")?;
                }
                match why {
                    Why::Absent => f.write_str(" not present (P clear)"),
                    Why::Reserved(bits) => write!(f, " has reserved bits set, {bits:#x}"),
                    Why::Supervisor => f.write_str(" forbids user (U/S clear)"),
                    Why::ReadOnly => f.write_str(" forbids write (R/W clear)"),
                    Why::NoExecute => f.write_str(" forbids execute (XD set)"),
                    Why::Smep => f.write_str(" is a user page (U/S set, SMEP set)"),
                    Why::Smap => f.write_str(" is a user page (U/S set, SMAP set)"),
                }
            }
        }
    }
}
