//! Which bit has which name, register by register.
//!
//! Names are the manual's: Intel SDM volume 3A, "Control Registers", "Extended Feature Enable
//! Register", "System Flags and Fields in the EFLAGS Register" and "Interrupt 14 - Page-Fault
//! Exception (#PF)"; those only AMD has, from APM volume 2, say so.

use super::{BitField, BitTable};

const fn bit(shift: u8, name: &'static str, meaning: &'static str) -> BitField {
    BitField {
        shift,
        width: 1,
        name,
        meaning,
    }
}

const fn field(shift: u8, width: u8, name: &'static str, meaning: &'static str) -> BitField {
    BitField {
        shift,
        width,
        name,
        meaning,
    }
}

/// Control register 0.
pub static CR0: BitTable = BitTable {
    register: "cr0",
    silent: 0,
    fields: &[
        bit(0, "PE", "protected mode"),
        bit(1, "MP", "WAIT traps when TS is set"),
        bit(2, "EM", "x87 instructions trap"),
        bit(3, "TS", "the next x87 or SSE instruction traps"),
        bit(4, "ET", "always set"),
        bit(5, "NE", "x87 errors raise #MF"),
        bit(16, "WP", "the supervisor may not write read-only pages"),
        bit(18, "AM", "alignment checks for user code with RFLAGS.AC"),
        bit(29, "NW", "not write-through"),
        bit(30, "CD", "caching is off"),
        bit(31, "PG", "paging"),
    ],
};

/// The flags in control register 3, with CR4.PCIDE clear. The address in it is not shown.
pub static CR3: BitTable = BitTable {
    register: "cr3",
    silent: ((1 << 52) - 1) & !0xfff,
    fields: &[
        bit(3, "PWT", "the lowest PAT index bit for the top table"),
        bit(4, "PCD", "the middle PAT index bit for the top table"),
        bit(61, "LAM_U57", "bits 62:57 of user addresses are ignored"),
        bit(62, "LAM_U48", "bits 62:48 of user addresses are ignored"),
    ],
};

/// The low twelve bits and flags of control register 3, with CR4.PCIDE set.
pub static CR3_PCID: BitTable = BitTable {
    register: "cr3",
    silent: ((1 << 52) - 1) & !0xfff,
    fields: &[
        field(0, 12, "PCID", "the process-context identifier"),
        bit(61, "LAM_U57", "bits 62:57 of user addresses are ignored"),
        bit(62, "LAM_U48", "bits 62:48 of user addresses are ignored"),
    ],
};

/// Control register 4.
pub static CR4: BitTable = BitTable {
    register: "cr4",
    silent: 0,
    fields: &[
        bit(0, "VME", "virtual-8086 mode extensions"),
        bit(1, "PVI", "protected-mode virtual interrupts"),
        bit(2, "TSD", "RDTSC is for the supervisor only"),
        bit(3, "DE", "debugging extensions"),
        bit(4, "PSE", "large pages with 32-bit paging"),
        bit(5, "PAE", "64-bit entries; needed for long mode"),
        bit(6, "MCE", "machine checks raise #MC"),
        bit(7, "PGE", "global pages"),
        bit(8, "PCE", "RDPMC at any privilege level"),
        bit(9, "OSFXSR", "SSE is in use"),
        bit(10, "OSXMMEXCPT", "SSE errors raise #XM"),
        bit(
            11,
            "UMIP",
            "user code may not run SGDT, SIDT, SLDT, SMSW or STR",
        ),
        bit(12, "LA57", "five levels of paging"),
        bit(13, "VMXE", "VMX"),
        bit(14, "SMXE", "SMX"),
        bit(
            16,
            "FSGSBASE",
            "RDFSBASE and its like at any privilege level",
        ),
        bit(17, "PCIDE", "process-context identifiers"),
        bit(18, "OSXSAVE", "XSAVE and XCR0 are in use"),
        bit(19, "KL", "key locker"),
        bit(20, "SMEP", "the supervisor may not run code in user pages"),
        bit(
            21,
            "SMAP",
            "the supervisor may not touch user pages while RFLAGS.AC is clear",
        ),
        bit(22, "PKE", "protection keys for user pages"),
        bit(23, "CET", "control-flow enforcement"),
        bit(24, "PKS", "protection keys for supervisor pages"),
        bit(25, "UINTR", "user interrupts"),
        bit(
            27,
            "LASS",
            "user and supervisor may not touch each other's half",
        ),
        bit(
            28,
            "LAM_SUP",
            "upper bits of supervisor addresses are ignored",
        ),
        bit(32, "FRED", "flexible return and event delivery"),
    ],
};

/// IA32_EFER. From SVME on, AMD's.
pub static EFER: BitTable = BitTable {
    register: "efer",
    silent: 0,
    fields: &[
        bit(0, "SCE", "SYSCALL and SYSRET"),
        bit(8, "LME", "long mode once paging is on"),
        bit(10, "LMA", "long mode is active"),
        bit(11, "NXE", "bit 63 of an entry forbids instruction fetches"),
        bit(12, "SVME", "SVM"),
        bit(13, "LMSLE", "segment limits in long mode"),
        bit(14, "FFXSR", "fast FXSAVE and FXRSTOR"),
        bit(15, "TCE", "INVLPG keeps unrelated upper-level translations"),
        bit(17, "MCOMMIT", "the MCOMMIT instruction"),
        bit(18, "INTWB", "WBINVD can be interrupted"),
        bit(20, "UAIE", "upper address bits are ignored"),
        bit(21, "AIBRSE", "automatic IBRS"),
    ],
};

/// The flags register. Bit 1 is always set and not shown.
pub static RFLAGS: BitTable = BitTable {
    register: "rflags",
    silent: 1 << 1,
    fields: &[
        bit(0, "CF", "carry"),
        bit(2, "PF", "parity"),
        bit(4, "AF", "auxiliary carry"),
        bit(6, "ZF", "zero"),
        bit(7, "SF", "sign"),
        bit(8, "TF", "trap after each instruction"),
        bit(9, "IF", "interrupts are enabled"),
        bit(10, "DF", "string instructions go down"),
        bit(11, "OF", "overflow"),
        field(12, 2, "IOPL", "the least privilege that may do I/O"),
        bit(14, "NT", "nested task; IRETQ raises #GP"),
        bit(
            16,
            "RF",
            "no instruction breakpoint on the next instruction",
        ),
        bit(17, "VM", "virtual-8086 mode"),
        bit(
            18,
            "AC",
            "alignment checks; for the supervisor, SMAP is suspended",
        ),
        bit(19, "VIF", "virtual interrupt flag"),
        bit(20, "VIP", "a virtual interrupt is pending"),
        bit(21, "ID", "CPUID can be tested for"),
    ],
};

/// The error code of a page fault. RMP is AMD's.
pub static PAGE_FAULT: BitTable = BitTable {
    register: "error code",
    silent: 0,
    fields: &[
        bit(0, "P", "the page was present; clear: it was not"),
        bit(1, "W/R", "it was a write; clear: a read or a fetch"),
        bit(
            2,
            "U/S",
            "it was a user-mode access; clear: the supervisor's",
        ),
        bit(3, "RSVD", "an entry has reserved bits set"),
        bit(4, "I/D", "it was an instruction fetch"),
        bit(5, "PK", "a protection key forbids it"),
        bit(6, "SS", "it was a shadow-stack access"),
        bit(7, "HLAT", "HLAT paging found no translation"),
        bit(15, "SGX", "SGX forbids it"),
        bit(31, "RMP", "the reverse map table forbids it"),
    ],
};
