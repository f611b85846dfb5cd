//! What the CPU's interrupt vectors mean.
//!
//! Intel SDM volume 3A, "Protected-Mode Exceptions and Interrupts"; 28, 29 and 30 from AMD
//! APM volume 2, "Vectors".

/// What sort of event arrives on a vector, and so where the pushed RIP points.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum VectorKind {
    /// RIP is the instruction that faulted; it can be run again.
    Fault,
    /// RIP is the instruction after the one that trapped.
    Trap,
    /// A fault or a trap; of #DB, DR6 tells which.
    FaultOrTrap,
    /// There is no going back; RIP may be anything.
    Abort,
    /// It comes from outside the instruction stream.
    Interrupt,
    /// The manuals give it no meaning.
    Reserved,
}

/// The mnemonic and name of a vector: `#PF page fault`, `NMI non-maskable interrupt`. From 32
/// on, where the system decides, `interrupt`.
pub const fn name(vector: u8) -> &'static str {
    match vector {
        0 => "#DE divide error",
        1 => "#DB debug",
        2 => "NMI non-maskable interrupt",
        3 => "#BP breakpoint",
        4 => "#OF overflow",
        5 => "#BR bound range exceeded",
        6 => "#UD invalid opcode",
        7 => "#NM device not available",
        8 => "#DF double fault",
        9 => "coprocessor segment overrun",
        10 => "#TS invalid TSS",
        11 => "#NP segment not present",
        12 => "#SS stack-segment fault",
        13 => "#GP general protection",
        14 => "#PF page fault",
        16 => "#MF x87 floating-point error",
        17 => "#AC alignment check",
        18 => "#MC machine check",
        19 => "#XM SIMD floating-point error",
        20 => "#VE virtualization",
        21 => "#CP control protection",
        28 => "#HV hypervisor injection",
        29 => "#VC VMM communication",
        30 => "#SX security",
        15 | 22..=27 | 31 => "reserved",
        32..=255 => "interrupt",
    }
}

/// Whether the CPU pushes an error code for this vector.
pub const fn has_error_code(vector: u8) -> bool {
    matches!(vector, 8 | 10..=14 | 17 | 21 | 29 | 30)
}

/// What sort of event arrives on this vector.
pub const fn kind(vector: u8) -> VectorKind {
    match vector {
        0 | 5..=7 | 9..=14 | 16 | 17 | 19..=21 | 29 | 30 => VectorKind::Fault,
        3 | 4 => VectorKind::Trap,
        1 => VectorKind::FaultOrTrap,
        8 | 18 => VectorKind::Abort,
        2 | 28 | 32..=255 => VectorKind::Interrupt,
        15 | 22..=27 | 31 => VectorKind::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_famous_ones_have_their_names() {
        assert_eq!(name(14), "#PF page fault");
        assert_eq!(name(8), "#DF double fault");
        assert_eq!(name(13), "#GP general protection");
        assert_eq!(name(200), "interrupt");
    }

    // SDM volume 3A, table "Protected-Mode Exceptions and Interrupts", column "Error Code";
    // 29 and 30 from AMD APM volume 2.
    #[test]
    fn ten_vectors_push_an_error_code() {
        let pushing: std::vec::Vec<u8> =
            (0..=255).filter(|&vector| has_error_code(vector)).collect();
        assert_eq!(pushing, [8, 10, 11, 12, 13, 14, 17, 21, 29, 30]);
    }

    #[test]
    fn what_is_reserved_is_reserved_in_name_and_kind() {
        for vector in 0..=255 {
            assert_eq!(
                kind(vector) == VectorKind::Reserved,
                name(vector) == "reserved"
            );
        }
    }

    #[test]
    fn only_two_vectors_abort() {
        let aborting: std::vec::Vec<u8> = (0..=255)
            .filter(|&v| kind(v) == VectorKind::Abort)
            .collect();
        assert_eq!(aborting, [8, 18]);
        assert_eq!(kind(1), VectorKind::FaultOrTrap);
        assert_eq!((kind(3), kind(4)), (VectorKind::Trap, VectorKind::Trap));
    }
}
