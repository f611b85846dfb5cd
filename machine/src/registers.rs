//! The registers a debugger shows, as one plain value.
//!
//! Come here to add a register: a line in the list below gives it a field and a name.

/// What LGDT and LIDT load: where a descriptor table is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct TablePointer {
    /// The virtual address of the first entry.
    pub base: u64,
    /// The number of bytes in the table, less one.
    pub limit: u16,
}

macro_rules! registers {
    ($($(#[$doc:meta])* $name:ident: $kind:ident,)*) => {
        /// All registers at one moment. Whoever fills it in leaves at zero what it cannot know.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct Registers {
            $($(#[$doc])* pub $name: $kind,)*
            /// The global descriptor table register.
            pub gdtr: TablePointer,
            /// The interrupt descriptor table register.
            pub idtr: TablePointer,
        }

        impl Registers {
            /// The names [`by_name`](Self::by_name) knows, in the order of the fields.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)* "gdtr", "idtr"];

            /// How many [`words`](Self::words) there are.
            pub const WORDS: usize = Self::NAMES.len() + 2;

            /// All of them as words, in the order of [`NAMES`](Self::NAMES), each of the last two
            /// followed by its limit.
            pub fn words(&self) -> [u64; Self::WORDS] {
                [
                    $(u64::from(self.$name),)*
                    self.gdtr.base,
                    u64::from(self.gdtr.limit),
                    self.idtr.base,
                    u64::from(self.idtr.limit),
                ]
            }

            /// The registers that have these [`words`](Self::words).
            pub fn from_words(words: &[u64; Self::WORDS]) -> Registers {
                let mut words = words.iter().copied();
                let mut next = || words.next().unwrap_or(0);
                Registers {
                    $($name: next() as $kind,)*
                    gdtr: TablePointer { base: next(), limit: next() as u16 },
                    idtr: TablePointer { base: next(), limit: next() as u16 },
                }
            }

            /// The value of the register with this name, in lower case; of `gdtr` and `idtr`
            /// the base. `None` if there is no such name.
            pub fn by_name(&self, name: &str) -> Option<u64> {
                match name {
                    $(stringify!($name) => Some(u64::from(self.$name)),)*
                    "gdtr" => Some(self.gdtr.base),
                    "idtr" => Some(self.idtr.base),
                    _ => None,
                }
            }
        }
    };
}

registers! {
    /// General register RAX.
    rax: u64,
    /// General register RBX.
    rbx: u64,
    /// General register RCX.
    rcx: u64,
    /// General register RDX.
    rdx: u64,
    /// General register RSI.
    rsi: u64,
    /// General register RDI.
    rdi: u64,
    /// General register RBP, often the frame pointer.
    rbp: u64,
    /// The stack pointer.
    rsp: u64,
    /// General register R8.
    r8: u64,
    /// General register R9.
    r9: u64,
    /// General register R10.
    r10: u64,
    /// General register R11.
    r11: u64,
    /// General register R12.
    r12: u64,
    /// General register R13.
    r13: u64,
    /// General register R14.
    r14: u64,
    /// General register R15.
    r15: u64,
    /// The instruction pointer.
    rip: u64,
    /// The flags; see [`bits::RFLAGS`](crate::bits::RFLAGS).
    rflags: u64,
    /// The code segment selector.
    cs: u16,
    /// The stack segment selector.
    ss: u16,
    /// The data segment selector.
    ds: u16,
    /// The extra segment selector.
    es: u16,
    /// The FS selector; its base is [`fs_base`](Self::fs_base).
    fs: u16,
    /// The GS selector; its base is [`gs_base`](Self::gs_base).
    gs: u16,
    /// The selector of the task state segment.
    tr: u16,
    /// The selector of the local descriptor table.
    ldtr: u16,
    /// Control register 0; see [`bits::CR0`](crate::bits::CR0).
    cr0: u64,
    /// The address of the last page fault.
    cr2: u64,
    /// The root of the page tables, with flags or PCID; see [`bits::CR3`](crate::bits::CR3).
    cr3: u64,
    /// Control register 4; see [`bits::CR4`](crate::bits::CR4).
    cr4: u64,
    /// The task priority.
    cr8: u64,
    /// IA32_EFER; see [`bits::EFER`](crate::bits::EFER).
    efer: u64,
    /// IA32_PAT; see [`MemoryType::from_pat`](crate::MemoryType::from_pat).
    pat: u64,
    /// IA32_FS_BASE.
    fs_base: u64,
    /// IA32_GS_BASE.
    gs_base: u64,
    /// IA32_KERNEL_GS_BASE: what SWAPGS exchanges the base of GS with.
    kernel_gs_base: u64,
    /// IA32_STAR: the segments of SYSCALL and SYSRET.
    star: u64,
    /// IA32_LSTAR: where SYSCALL goes.
    lstar: u64,
    /// IA32_FMASK: the flags that SYSCALL clears.
    fmask: u64,
    /// The address of breakpoint 0.
    dr0: u64,
    /// The address of breakpoint 1.
    dr1: u64,
    /// The address of breakpoint 2.
    dr2: u64,
    /// The address of breakpoint 3.
    dr3: u64,
    /// The debug status.
    dr6: u64,
    /// The debug control.
    dr7: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_the_list_is_a_register() {
        let registers = Registers::default();
        for name in Registers::NAMES {
            assert_eq!(registers.by_name(name), Some(0), "{name}");
        }
    }

    #[test]
    fn a_name_finds_its_own_register() {
        let registers = Registers {
            rip: 1,
            cs: 8,
            cr3: 0x1000,
            gdtr: TablePointer { base: 5, limit: 55 },
            ..Registers::default()
        };
        for (name, value) in [
            ("rip", 1),
            ("cs", 8),
            ("cr3", 0x1000),
            ("gdtr", 5),
            ("rsp", 0),
        ] {
            assert_eq!(registers.by_name(name), Some(value), "{name}");
        }
    }

    #[test]
    fn words_are_in_the_order_of_the_names() {
        let mut words = [0; Registers::WORDS];
        for (number, word) in (1..).zip(&mut words) {
            *word = number;
        }
        let registers = Registers::from_words(&words);
        assert_eq!(registers.words(), words);
        let last = Registers::NAMES.len() as u64 - 1;
        for (number, name) in (1..).zip(Registers::NAMES) {
            let word = if number > last { number + 1 } else { number };
            assert_eq!(registers.by_name(name), Some(word), "{name}");
        }
    }

    #[test]
    fn refuses_words_that_are_nearly_registers() {
        for word in ["", "RIP", "eip", "cr1", "r16", "rip ", "dr4"] {
            assert_eq!(Registers::default().by_name(word), None, "{word:?}");
        }
    }
}
