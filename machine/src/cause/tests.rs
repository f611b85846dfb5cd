//! Each classic case, with the sentence people read.

use std::string::{String, ToString};

use super::*;
use crate::{Entry, PageSize, Paging, PhysAddr, PhysMemory as _, Simulated, walk};

const ROOT: PhysAddr = PhysAddr(0x1000);
const KERNEL: u64 = 0xffff_8000_0000_0000;

/// Ring 3 at 0x40_0000, with WP, SMEP, SMAP and NXE on.
fn user() -> Registers {
    Registers {
        rip: 0x40_0000,
        cs: 0x23,
        cr0: 0x8001_0033,
        cr4: 0x30_0620,
        efer: 0xd01,
        gs_base: 0x1000,
        ..Registers::default()
    }
}

/// The same in ring 0.
fn kernel() -> Registers {
    Registers {
        rip: KERNEL,
        cs: 8,
        ..user()
    }
}

/// Code, data and constants of a program, one page each, and of the kernel.
fn memory() -> Simulated {
    let mut memory = Simulated::new(Paging::four_level(40), ROOT);
    let (user, write, nx) = (Entry::USER, Entry::WRITABLE, Entry::NO_EXECUTE);
    for (va, flags) in [
        (0x40_0000, user),
        (0x40_1000, user | nx),
        (0x40_2000, user | write | nx),
        (KERNEL, 0),
        (KERNEL + 0x1000, write | nx),
    ] {
        let at = PhysAddr(0x10_0000 + (va & 0xf000));
        memory.map(VirtAddr(va), at, PageSize::Size4K, flags);
    }
    // The upper half is the kernel's.
    let slot = PhysAddr(ROOT.0 + 256 * 8);
    let raw = memory.read_u64(slot).expect("it is there");
    memory.write_u64(slot, raw & !user);
    memory
}

fn at_page(mut memory: Simulated, mut registers: Registers, cr2: u64, error: u64) -> String {
    registers.cr2 = cr2;
    let paging = memory.paging;
    let walk = walk(&mut memory, &paging, ROOT, VirtAddr(cr2));
    let fault = Fault {
        vector: 14,
        error,
        registers: &registers,
        walk: Some(&walk),
        code: Code::default(),
        in_guard: false,
    };
    cause(&fault).to_string()
}

fn elsewhere(vector: u8, error: u64, registers: &Registers, code: &[u8]) -> String {
    let fault = Fault {
        vector,
        error,
        registers,
        walk: None,
        code: Code::new(code),
        in_guard: false,
    };
    cause(&fault).to_string()
}

#[test]
fn a_page_fault_names_the_entry_and_the_bit() {
    for (registers, cr2, error, sentence) in [
        (
            user(),
            0x40_1010,
            7,
            "user write at 0x0000_0000_0040_1010 refused: PT entry 1 has W=0",
        ),
        (
            user(),
            0x40_2000,
            0x15,
            "user fetch at 0x0000_0000_0040_2000 refused: PT entry 2 has NX=1",
        ),
        (
            user(),
            0x40_3000,
            4,
            "user read at 0x0000_0000_0040_3000 refused: PT entry 3 is not present",
        ),
        (
            user(),
            KERNEL + 0x1000,
            5,
            "user read at 0xffff_8000_0000_1000 refused: PML4 entry 256 has U=0",
        ),
        (
            user(),
            KERNEL,
            0x15,
            "user fetch at 0xffff_8000_0000_0000 refused: PML4 entry 256 has U=0: ring 3 runs \
             the kernel's code, so the ring is wrong, not the mapping",
        ),
        (
            kernel(),
            0x40_2000,
            1,
            "kernel read at 0x0000_0000_0040_2000 refused: the page is a user page, SMAP is on \
             and AC is clear",
        ),
        (
            kernel(),
            0x40_0000,
            0x11,
            "kernel fetch at 0x0000_0000_0040_0000 refused: the page is a user page and SMEP is on",
        ),
        (
            kernel(),
            KERNEL + 0x1000,
            3,
            "kernel write at 0xffff_8000_0000_1000 refused, but the tables allow it now: the CPU \
             used an older translation, or the entry has changed since",
        ),
        (
            user(),
            8,
            6,
            "user write through a null pointer, 0x8 bytes past it",
        ),
        (user(), 0, 0x14, "user fetch through a null pointer"),
    ] {
        assert_eq!(at_page(memory(), registers, cr2, error), sentence);
    }
}

#[test]
fn reserved_bits_come_first_whatever_the_error_code_says_of_p() {
    // P and RSVD, as the manual has it, and without P.
    for error in [0xd, 0xc] {
        let mut memory = memory();
        memory.write_u64(PhysAddr(ROOT.0 + 8), 0x10_0000 | 0x87);
        assert_eq!(
            at_page(memory, user(), 1 << 39, error),
            "user read at 0x0000_0080_0000_0000 refused: PML4 entry 1 has reserved bits set, 0x80"
        );
    }
}

#[test]
fn a_per_cpu_block_that_is_not_there_is_told_from_any_null_pointer() {
    let mut memory = memory();
    let paging = memory.paging;
    let walk = walk(&mut memory, &paging, ROOT, VirtAddr(8));
    let registers = Registers {
        gs_base: 0,
        cr2: 8,
        ..kernel()
    };
    // mov rax, gs:[8]
    let through_gs = [0x65, 0x48, 0x8b, 0x04, 0x25, 8, 0, 0, 0];
    let mut fault = Fault {
        vector: 14,
        error: 0,
        registers: &registers,
        walk: Some(&walk),
        code: Code::new(&through_gs),
        in_guard: false,
    };
    assert_eq!(
        cause(&fault).to_string(),
        "kernel read through a null pointer: offset 0x8 of GS, whose base is 0"
    );
    fault.code = Code::new(&through_gs[1..]);
    assert_eq!(
        cause(&fault).to_string(),
        "kernel read through a null pointer, 0x8 bytes past it"
    );
}

#[test]
fn a_guard_page_is_a_stack_that_is_used_up() {
    let registers = Registers {
        cr2: 0xffff_c900_0000_0ff8,
        ..kernel()
    };
    let fault = Fault {
        vector: 14,
        error: 2,
        registers: &registers,
        walk: None,
        code: Code::default(),
        in_guard: true,
    };
    assert_eq!(
        cause(&fault).to_string(),
        "the stack is used up, or a frame steps over its end: 0xffff_c900_0000_0ff8 is in its \
         guard page"
    );
}

#[test]
fn protection_faults_name_the_instruction_the_gate_or_the_descriptor() {
    let far = Registers {
        rbx: 0x8000_0000_0000,
        ..user()
    };
    let lost = Registers {
        rip: 0x8000_0000_0000,
        ..user()
    };
    for (registers, error, code, sentence) in [
        (
            user(),
            0,
            &[0xf4][..],
            "an instruction for ring 0 only: hlt",
        ),
        (
            user(),
            0,
            &[0x0f, 0x22, 0xd8],
            "an instruction for ring 0 only: mov to or from a control register",
        ),
        (
            far,
            0,
            &[0x48, 0x8b, 0x03],
            "an address that is not canonical, or a forbidden value: rbx is 0x800000000000",
        ),
        (
            lost,
            0,
            &[],
            "a jump or a return to an address that is not canonical",
        ),
        // int 0xe: 0xe * 8 + 2, and what an emulator makes of it.
        (
            user(),
            0x72,
            &[0xcd, 0xe],
            "int 0xe from ring 3, but the gate of that vector is for ring 0 (DPL 0)",
        ),
        (
            user(),
            0xe2,
            &[0xcd, 0xe],
            "int 0xe from ring 3, but the gate of that vector is for ring 0 (DPL 0)",
        ),
        (
            kernel(),
            0x28,
            &[0x48, 0xcf],
            "GDT entry 5 (selector 0x28) cannot be used here",
        ),
        (
            kernel(),
            0x103,
            &[],
            "IDT gate 0x20 (interrupt) cannot be used here, while an interrupt or an earlier \
             exception was delivered",
        ),
        (
            kernel(),
            0x0c,
            &[],
            "LDT entry 1 (selector 0xc) cannot be used here",
        ),
    ] {
        assert_eq!(elsewhere(13, error, &registers, code), sentence);
    }
    assert_eq!(
        elsewhere(11, 0x20, &kernel(), &[]),
        "GDT entry 4 (selector 0x20) is not present"
    );
    assert_eq!(
        elsewhere(12, 0x48, &kernel(), &[]),
        "GDT entry 9 (selector 0x48) is no usable stack segment"
    );
    // int 0x81: 0x81 * 8 + 2, and what an emulator makes of it. A code with EXT is another event's.
    for error in [0x40a, 0x812] {
        assert_eq!(
            elsewhere(11, error, &kernel(), &[0xcd, 0x81]),
            "IDT gate 0x81 (interrupt) is not present"
        );
    }
    assert!(elsewhere(11, 0x103, &kernel(), &[0xcd, 0x81]).starts_with("IDT gate 0x20 "));
    // The timer's, whatever stands at RIP: 0x20 * 8 + 3, and what the emulator makes of it.
    for error in [0x103, 0x202] {
        assert_eq!(
            elsewhere(11, error, &kernel(), &[0xfa]),
            "IDT gate 0x20 (interrupt) is not present, while an interrupt or an earlier exception \
             was delivered"
        );
    }
    // What no emulator makes, or nothing to tell by: as the architecture has it.
    assert!(elsewhere(11, 0x20a, &kernel(), &[0xfa]).starts_with("IDT gate 0x41 "));
    assert!(elsewhere(11, 0x202, &kernel(), &[]).starts_with("IDT gate 0x40 "));
}

#[test]
fn the_others_have_their_words() {
    let no_sse = Registers { cr4: 0, ..user() };
    let stepping = Registers {
        dr6: 0xffff_4ff1,
        ..user()
    };
    for (vector, registers, code, sentence) in [
        (
            6,
            user(),
            &[0x0f, 0x0b][..],
            "ud2, which compilers put where code must not come to",
        ),
        (
            6,
            user(),
            &[0xff, 0xff, 0xc0],
            "no instruction of this CPU as it is set up: ff ff c0",
        ),
        (
            6,
            user(),
            &[],
            "no instruction of this CPU as it is set up: its bytes cannot be read",
        ),
        // movaps xmm0, [rax]
        (
            6,
            no_sse,
            &[0x0f, 0x28, 0x00],
            "an SSE instruction while CR4.OSFXSR is clear",
        ),
        (1, stepping, &[], "single step (TF), DR0"),
        (
            0,
            user(),
            &[0xf7, 0xf1],
            "a division by zero, or a quotient that does not fit",
        ),
        (
            3,
            user(),
            &[],
            "int3, a breakpoint in the code, and no debugger asked for it",
        ),
        // movaps xmm0, [rax + 1]
        (
            13,
            user(),
            &[0x0f, 0x28, 0x40, 1],
            "an SSE move that takes aligned operands only, and this one is not a multiple of 16",
        ),
        (
            13,
            user(),
            &[0x66; 15],
            "an instruction of more than 15 bytes",
        ),
        (
            8,
            kernel(),
            &[],
            "an exception could not be delivered: the handler, its gate or the stack at \
             0x0000_0000_0000_0000 faulted",
        ),
        (
            18,
            kernel(),
            &[],
            "a machine check: the hardware has found an error of its own, or `int 18` was run",
        ),
        (9, user(), &[], "coprocessor segment overrun"),
    ] {
        assert_eq!(elsewhere(vector, 0, &registers, code), sentence);
    }
}

/// Whatever the CPU is said to have pushed, there is a sentence.
#[test]
fn every_vector_and_error_code_has_a_sentence() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..20_000 {
        let registers = Registers {
            rip: next(),
            cs: next() as u16,
            cr2: next() >> (next() % 64),
            cr4: next(),
            dr6: next(),
            rax: next(),
            ..user()
        };
        let code = next().to_le_bytes();
        let vector = next() as u8;
        let sentence = elsewhere(vector, next() & 0xffff, &registers, &code);
        assert!(!sentence.is_empty());
        let text = at_page(memory(), registers, registers.cr2, next() & 0x3f);
        assert!(!text.is_empty());
    }
}
