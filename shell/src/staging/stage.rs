//! The stages of the way into ring 3, and how each is known.

use crate::disassembly::Line;
use crate::{Moment, Stop, StopReason};

macro_rules! stages {
    ($($(#[$doc:meta])* $stage:ident,)*) => {
        /// A stage, in the order they are gone through.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Stage {
            $($(#[$doc])* $stage,)*
        }

        impl Stage {
            pub(crate) const ALL: &'static [Stage] = &[$(Stage::$stage,)*];
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($stage),)*];
        }
    };
}

stages! {
    /// The registers of the thread that goes are about to be saved.
    SaveContext,
    /// At `mov cr3`.
    LoadCr3,
    /// TSS.RSP0 is about to be set.
    SetRsp0,
    /// At the load of RSP.
    SwitchStack,
    /// The frame for IRETQ is about to be finished.
    BuildIretFrame,
    /// At IRETQ.
    Iretq,
    /// At the first instruction in ring 3.
    FirstUserInstruction,
    /// At the first instruction of the kernel after it.
    FirstTrapBack,
}

impl Stage {
    /// The stage with this name, whatever its case.
    pub(crate) fn from_name(name: &str) -> Option<Stage> {
        Stage::ALL
            .iter()
            .copied()
            .find(|stage| stage.name().eq_ignore_ascii_case(name))
    }

    /// Whether what it is about to do is done by the next instruction.
    pub(super) fn is_one_instruction(self) -> bool {
        matches!(self, Stage::LoadCr3 | Stage::SwitchStack | Stage::Iretq)
    }

    pub(crate) fn name(self) -> &'static str {
        Stage::NAMES.get(self as usize).copied().unwrap_or("")
    }
}

/// Which stage a stop is at, with the instruction that comes next.
pub(super) fn stage_at(stop: &Stop, line: &Line) -> Option<Stage> {
    let in_kernel = stop.registers.cs & 3 == 0;
    match stop.reason {
        StopReason::Moment {
            moment: Moment::Rsp0,
            ..
        } => Some(Stage::SetRsp0),
        StopReason::Moment {
            moment: Moment::Frame,
            ..
        } => Some(Stage::BuildIretFrame),
        _ if !in_kernel => Some(Stage::FirstUserInstruction),
        _ if line.loads_cr3().is_some() => Some(Stage::LoadCr3),
        _ if line.loads_rsp() => Some(Stage::SwitchStack),
        _ if line.is_iretq() => Some(Stage::Iretq),
        _ if stop.before.is_some_and(|before| before.cs & 3 == 3) => Some(Stage::FirstTrapBack),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_found_by_its_name_whatever_its_case() {
        for stage in Stage::ALL {
            assert_eq!(Stage::from_name(stage.name()), Some(*stage));
        }
        assert_eq!(Stage::from_name("loadcr3"), Some(Stage::LoadCr3));
        assert_eq!(Stage::from_name("cr3"), None);
        assert!(Stage::LoadCr3 < Stage::Iretq);
    }
}
