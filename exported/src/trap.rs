//! What an entry into the kernel leaves on the stack.

use machine::Registers;

use crate::record::records;

records! {
    /// The registers at the moment of a trap, as they lie on the stack.
    TrapFrame {
        /// R15, which is pushed last.
        r15: u64,
        /// R14.
        r14: u64,
        /// R13.
        r13: u64,
        /// R12.
        r12: u64,
        /// R11.
        r11: u64,
        /// R10.
        r10: u64,
        /// R9.
        r9: u64,
        /// R8.
        r8: u64,
        /// RDI.
        rdi: u64,
        /// RSI.
        rsi: u64,
        /// RBP.
        rbp: u64,
        /// RBX.
        rbx: u64,
        /// RDX.
        rdx: u64,
        /// RCX.
        rcx: u64,
        /// RAX.
        rax: u64,
        /// The vector, or what the entry path puts where there is none.
        vector: u64,
        /// Zero where the vector has none.
        error: u64,
        /// RIP: from here on the CPU pushed it.
        rip: u64,
        /// CS; the bits above the selector mean nothing.
        cs: u64,
        /// RFLAGS.
        rflags: u64,
        /// RSP.
        rsp: u64,
        /// SS, as CS.
        ss: u64,
    }
}

macro_rules! saved {
    ($($whole:ident)*) => {
        impl TrapFrame {
            /// The interrupted code's registers; those that a trap does not save are as in `others`.
            pub fn registers(&self, others: Registers) -> Registers {
                let selector = |word: u64| (word & 0xffff) as u16;
                Registers {
                    $($whole: self.$whole,)*
                    cs: selector(self.cs),
                    ss: selector(self.ss),
                    ..others
                }
            }

            /// What a trap without a vector would save of these.
            pub fn of(registers: &Registers) -> TrapFrame {
                TrapFrame {
                    $($whole: registers.$whole,)*
                    cs: registers.cs.into(),
                    ss: registers.ss.into(),
                    ..TrapFrame::default()
                }
            }
        }
    };
}

saved! { rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags }

impl TrapFrame {
    /// Whether the trap came from ring 3, by the CS that the CPU pushed.
    pub fn is_from_user(&self) -> bool {
        self.cs & 3 == 3
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::Record;

    /// Each word its number, R15 lowest; the order is that of the pushes in the kernel's entry path.
    fn numbered() -> TrapFrame {
        let bytes: Vec<u8> = (0u64..22).flat_map(u64::to_le_bytes).collect();
        TrapFrame::from_bytes(&bytes).expect("22 words")
    }

    #[test]
    fn the_words_are_in_the_order_of_the_pushes() {
        let frame = numbered();
        let ends = (frame.r15, frame.rax, frame.vector, frame.error);
        assert_eq!(ends, (0, 14, 15, 16));
        let by_cpu = [frame.rip, frame.cs, frame.rflags, frame.rsp, frame.ss];
        assert_eq!(by_cpu, [17, 18, 19, 20, 21]);
    }

    #[test]
    fn registers_and_back_loses_only_vector_and_error() {
        let frame = numbered();
        let others = Registers {
            rax: 99,
            cr3: 0x1000,
            ..Registers::default()
        };
        let registers = frame.registers(others);
        assert_eq!((registers.rax, registers.cr3), (14, 0x1000));
        let expected = TrapFrame {
            vector: 0,
            error: 0,
            ..frame
        };
        assert_eq!(TrapFrame::of(&registers), expected);
    }

    #[test]
    fn what_is_above_a_pushed_selector_does_not_count() {
        let frame = TrapFrame {
            cs: 0xffff_0023,
            ..numbered()
        };
        assert_eq!(frame.registers(Registers::default()).cs, 0x23);
        assert!(frame.is_from_user());
    }
}
