//! Events: a ring of what the processor did, for a look back at how it came to this.

use super::Pid;

/// Access to the ring of events.
pub trait Events {
    /// The sequence number of the oldest event that is still there. The first one ever is 1,
    /// so `oldest() - 1` have been overwritten.
    fn oldest(&mut self) -> u64;

    /// The sequence number of the newest event; below [`oldest`](Events::oldest) if there is
    /// none.
    fn newest(&mut self) -> u64;

    /// The event with this sequence number; `None` if it has been overwritten.
    fn get(&mut self, seq: u64) -> Option<Event>;

    /// How many cycles recording one takes, as measured here.
    fn cost(&mut self) -> Option<u64>;
}

/// Something the processor did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number, counted from 1.
    pub seq: u64,
    /// The time-stamp counter.
    pub cycles: u64,
    /// What it was.
    pub kind: EventKind,
    /// The process that ran; 0 for the kernel.
    pub pid: Pid,
    /// CS as the CPU pushed it on this entry, or will take it on this return. Its low two bits
    /// are the proof of the ring. `None` where neither happens.
    pub cs: Option<u16>,
    /// CR3 when it was recorded.
    pub cr3: u64,
    /// What else there is to say; see [`EventKind`].
    pub a: u64,
    /// The same.
    pub b: u64,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// What happened, and what `a` and `b` of the event say about it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum EventKind {
            $($(#[$doc])* $kind,)*
        }

        impl EventKind {
            /// All of them.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$kind,)*];

            /// Their names, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];

            /// What the command `events` takes, for Tab.
            pub(crate) const FILTERS: &'static [&'static str] =
                &["last=", "pid=", $(concat!("kind=", $name),)*];

            /// One word for it, of lower-case letters, digits and hyphens.
            pub fn name(self) -> &'static str {
                match self {
                    $(EventKind::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// Registers were saved to leave a thread: a = its RSP in the kernel.
    SaveContext = "save-context",
    /// `mov cr3`: a = old, b = new.
    Cr3Load = "cr3-load",
    /// TSS.RSP0: a = old, b = new.
    Rsp0Set = "rsp0-set",
    /// Another kernel stack: a = old RSP, b = new RSP.
    StackSwitch = "stack-switch",
    /// About to return to ring 3 for the first time: a = RIP, b = RSP of the frame.
    Iretq = "iretq",
    /// Entry from ring 3: a = vector or [`BY_SYSCALL`](EventKind::BY_SYSCALL), b = RIP.
    TrapEntry = "trap-entry",
    /// Return from it to ring 3: a and b likewise.
    TrapExit = "trap-exit",
    /// A system call: a = number, b = first argument.
    SystemCall = "system-call",
    /// Its end: a = number, b = result.
    SystemReturn = "system-return",
    /// An exception: a = vector | error code << 8, b = CR2 of a page fault, else RIP.
    Fault = "fault",
    /// One page out of the TLB: a = its address.
    Flush = "flush",
    /// Everything out of the TLB.
    FlushAll = "flush-all",
    /// An entry of a page table was written by hand, or taken back: a = its physical address,
    /// b = what is there now.
    Poke = "poke",
    /// A process was made: a = its pid, b = its root.
    Spawn = "spawn",
    /// A process was copied: a = the child's pid, b = the child's root.
    Fork = "fork",
    /// A process ended: a = its pid, b = the status word.
    Exit = "exit",
    /// A process was taken off the books: a = its pid.
    Reap = "reap",
    /// A non-maskable interrupt: a = RIP.
    Nmi = "nmi",
    /// Nothing happened: recorded to measure what recording costs.
    Measure = "measure",
}

impl EventKind {
    /// What stands for the vector of an entry by SYSCALL, which has none and pushes no CS.
    pub const BY_SYSCALL: u64 = 0x100;

    /// The kind with this number: `kind as u8` turned round.
    pub fn from_number(number: u8) -> Option<EventKind> {
        EventKind::ALL.get(usize::from(number)).copied()
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<EventKind> {
        EventKind::ALL
            .iter()
            .copied()
            .find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_number_and_by_its_name() {
        for (number, kind) in (0_u8..).zip(EventKind::ALL) {
            assert_eq!(*kind as u8, number);
            assert_eq!(EventKind::from_number(number), Some(*kind));
            assert_eq!(EventKind::from_name(kind.name()), Some(*kind));
        }
        let count = u8::try_from(EventKind::ALL.len()).expect("they are few");
        assert_eq!(EventKind::from_number(count), None);
        assert_eq!(EventKind::from_name("CR3-LOAD"), None);
    }
}
