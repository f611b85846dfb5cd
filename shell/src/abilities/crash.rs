//! Faulting on purpose: the ways there are.

/// A way to fault on purpose.
pub trait Crash {
    /// Crashes in this way. Returns only from what the target survives, and in a debugger that
    /// goes on when the target does not.
    ///
    /// # Errors
    ///
    /// Why it cannot, here: `this CPU has no SMAP`.
    fn crash(&mut self, kind: CrashKind) -> Result<(), &'static str>;
}

macro_rules! kinds {
    ($($kind:ident = $name:literal: $about:literal,)*) => {
        /// What to do wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum CrashKind {
            $(#[doc = $about] $kind,)*
        }

        impl CrashKind {
            /// All of them.
            pub const ALL: &'static [CrashKind] = &[$(CrashKind::$kind,)*];

            /// The names of all of them.
            pub(crate) const NAMES: &'static [&'static str] = &[$($name,)*];

            /// What it is called.
            pub const fn name(self) -> &'static str {
                match self {
                    $(CrashKind::$kind => $name,)*
                }
            }

            /// What it does, in a few words.
            pub const fn about(self) -> &'static str {
                match self {
                    $(CrashKind::$kind => $about,)*
                }
            }
        }
    };
}

kinds! {
    Panic = "panic": "a panic",
    Index = "index": "a panic of an index that is out of bounds",
    PanicLocked = "panic-locked": "a panic with interrupts off and every lock of the consoles held",
    PanicInPanic = "panic-in-panic": "a panic whose message panics",
    FaultInPanic = "fault-in-panic": "a panic whose message faults",
    PageFault = "page-fault": "a write to a guard page",
    ReadOnly = "read-only": "a write to the kernel's own constants",
    Null = "null": "a read of a field behind a null pointer",
    PerCpu = "per-cpu": "a read through GS, whose base is 0",
    Execute = "execute": "a call of data",
    NullCall = "null-call": "a call of a null pointer",
    NonCanonical = "non-canonical": "a read of an address that is not canonical",
    Smap = "smap": "a read of a user page while RFLAGS.AC is clear",
    Smep = "smep": "a call of code in a user page",
    Reserved = "reserved": "a read by way of an entry with a reserved bit set",
    Selector = "selector": "the load of a selector beyond the GDT",
    LocalSelector = "local-selector": "the load of a selector of the LDT, of which there is none",
    NotPresent = "not-present": "the load of a segment that is not present",
    StackSegment = "stack-segment": "the load of a stack segment that is not present",
    Gate = "gate": "an interrupt whose gate is not present",
    Interrupt = "interrupt": "a hardware interrupt whose gate is not present",
    Divide = "divide": "a division by zero",
    Undefined = "undefined": "an undefined instruction",
    DoubleFault = "double-fault": "a push with RSP where nothing is mapped",
    StackOverflow = "stack-overflow": "a recursion without an end",
    MachineCheck = "machine-check": "vector 18, raised by an instruction",
    Nmi = "nmi": "a fault in the handler of an NMI",
    FaultInReport = "fault-in-report": "a page fault whose report faults",
    PanicInReport = "panic-in-report": "a page fault whose report panics",
    Locked = "locked": "a page fault with every lock of the consoles held",
    FramesLocked = "frames-locked": "a page fault with the frame books locked",
    HeapExhausted = "heap-exhausted": "a page fault with no heap left, which stays so",
    Breakpoint = "breakpoint": "INT3, which the kernel survives",
    Debugger = "debugger": "a page fault in the shell's own thread, which is caught",
    DebuggerAgain = "debugger-again": "the same, and again whenever the shell begins, until it begins anew",
}

impl CrashKind {
    /// The one with this name.
    pub fn named(name: &str) -> Option<CrashKind> {
        let mut all = CrashKind::ALL.iter().copied();
        all.find(|kind| kind.name() == name)
    }
}
