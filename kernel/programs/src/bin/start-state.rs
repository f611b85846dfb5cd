//! `start-state`: looks at every register at the first instruction, before any of them is used.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use core::arch::{asm, naked_asm};
use core::cell::UnsafeCell;

use programs::{Arguments, abi, calls, println};

/// What the assembly stores, in its order.
#[repr(C, align(64))]
struct Seen {
    fxsave: [u8; 512],
    general: [u64; 16],
    flags: u64,
    selectors: [u64; 6],
    /// From argc on; Rust stores these.
    stack: [u64; 8],
}

struct Shared(UnsafeCell<Seen>);

// SAFETY: this program has one thread.
#[expect(unsafe_code, reason = "a static that the assembly writes to")]
unsafe impl Sync for Shared {}

static SEEN: Shared = Shared(UnsafeCell::new(Seen {
    fxsave: [0xff; 512],
    general: [1; 16],
    flags: 1,
    selectors: [1; 6],
    stack: [1; 8],
}));

const GENERAL: [&str; 16] = [
    "RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP", "R8", "R9", "R10", "R11", "R12", "R13",
    "R14", "R15",
];

#[expect(unsafe_code, reason = "the program looks at its own start")]
const _: () = {
    #[unsafe(no_mangle)]
    #[unsafe(naked)]
    extern "C" fn _start() -> ! {
        naked_asm!(
            "mov [rip + {seen} + 512], rax",
            "mov [rip + {seen} + 520], rbx",
            "mov [rip + {seen} + 528], rcx",
            "mov [rip + {seen} + 536], rdx",
            "mov [rip + {seen} + 544], rsi",
            "mov [rip + {seen} + 552], rdi",
            "mov [rip + {seen} + 560], rbp",
            "mov [rip + {seen} + 568], rsp",
            "mov [rip + {seen} + 576], r8",
            "mov [rip + {seen} + 584], r9",
            "mov [rip + {seen} + 592], r10",
            "mov [rip + {seen} + 600], r11",
            "mov [rip + {seen} + 608], r12",
            "mov [rip + {seen} + 616], r13",
            "mov [rip + {seen} + 624], r14",
            "mov [rip + {seen} + 632], r15",
            "pushfq",
            "pop qword ptr [rip + {seen} + 640]",
            "fxsave64 [rip + {seen}]",
            "mov eax, cs",
            "mov [rip + {seen} + 648], rax",
            "mov eax, ss",
            "mov [rip + {seen} + 656], rax",
            "mov eax, ds",
            "mov [rip + {seen} + 664], rax",
            "mov eax, es",
            "mov [rip + {seen} + 672], rax",
            "mov eax, fs",
            "mov [rip + {seen} + 680], rax",
            "mov eax, gs",
            "mov [rip + {seen} + 688], rax",
            "mov rdi, rsp",
            "xor ebp, ebp",
            "call {begin}",
            "ud2",
            seen = sym SEEN,
            begin = sym begin,
        )
    }

    extern "C" fn begin(stack: *const u64) -> ! {
        // SAFETY: argc, argv and its strings take more than these 64 bytes.
        let words = unsafe { stack.cast::<[u64; 8]>().read() };
        // SAFETY: one thread, and nobody holds a reference into it.
        unsafe { &mut *SEEN.0.get() }.stack = words;
        // SAFETY: `_start` passed on the RSP that the kernel set.
        unsafe { programs::start::begin(stack, main) }
    }
};

fn main(arguments: Arguments) -> u8 {
    // SAFETY: the assembly is done with it.
    #[expect(unsafe_code, reason = "reads what the assembly stored")]
    let seen = unsafe { &*SEEN.0.get() };
    let mut wrong = 0;
    let mut expect = |what: &str, found: u64, right: u64| {
        if found != right {
            println!("start-state: {what} is {found:#x}, not {right:#x}");
            wrong += 1;
        }
    };

    for (name, value) in GENERAL.iter().zip(seen.general) {
        if *name != "RSP" {
            expect(name, value, 0);
        }
    }
    let [.., rsp, _, _, _, _, _, _, _, _] = seen.general;
    expect("RSP modulo 16", rsp % 16, 0);
    let in_stack = (abi::STACK_END - abi::STACK_BYTES..abi::STACK_END).contains(&rsp);
    expect("RSP being in the stack", in_stack.into(), 1);
    expect("RFLAGS", seen.flags, abi::START_FLAGS);
    let [cs, ss, rest @ ..] = seen.selectors;
    expect("CS", cs, abi::USER_CODE);
    expect("SS", ss, abi::USER_DATA);
    for (name, selector) in ["DS", "ES", "FS", "GS"].iter().zip(rest) {
        if selector != abi::USER_DATA {
            expect(name, selector, 0);
        }
    }

    let count = arguments.count();
    expect("argc", seen.stack[0], count as u64);
    if count < 6 {
        expect("argv[argc]", seen.stack[count + 1], 0);
        expect("the empty environment", seen.stack[count + 2], 0);
    }
    let name = arguments.text(0);
    expect("argv[0]", (name == Some("start-state")).into(), 1);

    let two = |at: usize| u64::from(seen.fxsave[at]) | u64::from(seen.fxsave[at + 1]) << 8;
    expect("the x87 control word", two(0), abi::START_FCW.into());
    expect("the x87 status word", two(2), 0);
    expect("the x87 tags", seen.fxsave[4].into(), 0);
    expect("MXCSR", two(24) | two(26) << 16, abi::START_MXCSR.into());
    // Of the 16 bytes of each x87 register, FXSAVE writes 10.
    let x87 = seen.fxsave.get(32..160).unwrap_or_default();
    let x87 = x87.chunks(16).flat_map(|register| register.iter().take(10));
    expect("bytes that are not 0 in ST0-ST7", not_zero(x87), 0);
    let xmm = seen.fxsave.get(160..416).unwrap_or_default();
    expect(
        "bytes that are not 0 in XMM0-XMM15",
        not_zero(xmm.iter()),
        0,
    );

    if calls::has_base_instructions() {
        let (fs, gs) = bases();
        expect("the FS base", fs, 0);
        expect("the GS base", gs, 0);
    }
    if wrong > 0 {
        return 1;
    }
    println!("start-state: every register as it should be");
    0
}

fn not_zero<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.filter(|byte| **byte != 0).count() as u64
}

#[expect(unsafe_code, reason = "reads FS and GS bases")]
fn bases() -> (u64, u64) {
    let (fs, gs);
    // SAFETY: the caller has asked CPUID, and reading changes nothing.
    unsafe {
        asm!("rdfsbase {}", "rdgsbase {}", out(reg) fs, out(reg) gs, options(nomem, nostack, preserves_flags));
    }
    (fs, gs)
}
