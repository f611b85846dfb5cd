//! One round: all registers filled, something in the middle, all registers stored.
//!
//! No register is free to point at anything, so everything is reached relative to RIP and the
//! middle is jumped to through memory. From POPF on nothing but MOV and JMP is executed, which
//! leave the flags alone.

use core::arch::naked_asm;
use core::cell::UnsafeCell;
use core::fmt;

use crate::registers::Registers;

/// What happens between filling and storing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Middle {
    /// Instructions that change nothing.
    Straight,
    /// LOOP, which counts in RCX and leaves the flags alone.
    Loop,
    /// A count in memory.
    Memory,
    /// A system call by `int 0x80`.
    Gate,
    /// A system call by `syscall`.
    Syscall,
}

impl Middle {
    pub(crate) const ALL: [Self; 5] = [
        Self::Straight,
        Self::Gate,
        Self::Loop,
        Self::Syscall,
        Self::Memory,
    ];

    fn address(self) -> u64 {
        let code: extern "C" fn() = match self {
            Self::Straight => straight,
            Self::Loop => counted,
            Self::Memory => memory,
            Self::Gate => gate,
            Self::Syscall => syscall,
        };
        code as *const () as u64
    }
}

impl fmt::Display for Middle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Straight => "spinning without a loop",
            Self::Loop => "spinning with LOOP",
            Self::Memory => "spinning on memory",
            Self::Gate => "int 0x80",
            Self::Syscall => "syscall",
        })
    }
}

struct Shared<T>(UnsafeCell<T>);

// SAFETY: this program has one thread.
unsafe impl<T> Sync for Shared<T> {}

impl<T: Clone> Shared<T> {
    const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    fn set(&self, value: T) {
        // SAFETY: one thread, and no reference into it outlives a line here.
        unsafe { *self.0.get() = value }
    }

    fn get(&self) -> T {
        // SAFETY: as above.
        unsafe { &*self.0.get() }.clone()
    }
}

static BEFORE: Shared<Registers> = Shared::new(Registers::ZERO);
static AFTER: Shared<Registers> = Shared::new(Registers::ZERO);
static MIDDLE: Shared<u64> = Shared::new(0);
static COUNT: Shared<u64> = Shared::new(0);
static HAS_BASES: Shared<u64> = Shared::new(0);
static STACK: Shared<u64> = Shared::new(0);

/// Does a round, and says what the registers were at its end.
pub(crate) fn run(before: &Registers, middle: Middle, spins: u64, has_bases: bool) -> Registers {
    BEFORE.set(before.clone());
    MIDDLE.set(middle.address());
    COUNT.set(spins);
    HAS_BASES.set(has_bases.into());
    fill();
    let mut after = AFTER.get();
    // What was RSP cannot be chosen: it is checked here, and passed on as wrong or right.
    if after.general[7] == STACK.get() {
        after.general[7] = before.general[7];
    }
    after
}

/// The address that SYSCALL leaves in RCX.
pub(crate) fn behind_syscall() -> u64 {
    // SYSCALL is 2 bytes, and the first instruction there.
    syscall as *const () as u64 + 2
}

#[unsafe(naked)]
extern "C" fn fill() {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rip + {stack}], rsp",
        "fxrstor64 [rip + {before}]",
        "cmp qword ptr [rip + {has_bases}], 0",
        "je 2f",
        "mov rax, [rip + {before} + 648]",
        "wrfsbase rax",
        "mov rax, [rip + {before} + 656]",
        "wrgsbase rax",
        "2:",
        "push qword ptr [rip + {before} + 640]",
        "popfq",
        "mov rax, [rip + {before} + 512]",
        "mov rbx, [rip + {before} + 520]",
        "mov rcx, [rip + {before} + 528]",
        "mov rdx, [rip + {before} + 536]",
        "mov rsi, [rip + {before} + 544]",
        "mov rdi, [rip + {before} + 552]",
        "mov rbp, [rip + {before} + 560]",
        "mov r8, [rip + {before} + 576]",
        "mov r9, [rip + {before} + 584]",
        "mov r10, [rip + {before} + 592]",
        "mov r11, [rip + {before} + 600]",
        "mov r12, [rip + {before} + 608]",
        "mov r13, [rip + {before} + 616]",
        "mov r14, [rip + {before} + 624]",
        "mov r15, [rip + {before} + 632]",
        "jmp qword ptr [rip + {middle}]",
        stack = sym STACK,
        before = sym BEFORE,
        has_bases = sym HAS_BASES,
        middle = sym MIDDLE,
    )
}

/// Where every middle goes on: stores everything and returns to `fill`'s caller.
#[unsafe(naked)]
extern "C" fn store() {
    naked_asm!(
        "mov [rip + {after} + 512], rax",
        "mov [rip + {after} + 520], rbx",
        "mov [rip + {after} + 528], rcx",
        "mov [rip + {after} + 536], rdx",
        "mov [rip + {after} + 544], rsi",
        "mov [rip + {after} + 552], rdi",
        "mov [rip + {after} + 560], rbp",
        "mov [rip + {after} + 568], rsp",
        "mov [rip + {after} + 576], r8",
        "mov [rip + {after} + 584], r9",
        "mov [rip + {after} + 592], r10",
        "mov [rip + {after} + 600], r11",
        "mov [rip + {after} + 608], r12",
        "mov [rip + {after} + 616], r13",
        "mov [rip + {after} + 624], r14",
        "mov [rip + {after} + 632], r15",
        // Should it have changed: here is the right one.
        "mov rsp, [rip + {stack}]",
        "pushfq",
        "pop qword ptr [rip + {after} + 640]",
        "push 0x202",
        "popfq",
        "fxsave64 [rip + {after}]",
        "cmp qword ptr [rip + {has_bases}], 0",
        "je 2f",
        "rdfsbase rax",
        "mov [rip + {after} + 648], rax",
        "rdgsbase rax",
        "mov [rip + {after} + 656], rax",
        "2:",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        stack = sym STACK,
        after = sym AFTER,
        has_bases = sym HAS_BASES,
    )
}

#[unsafe(naked)]
extern "C" fn straight() {
    naked_asm!(".rept 4000", "nop", ".endr", "jmp {store}", store = sym store)
}

#[unsafe(naked)]
extern "C" fn counted() {
    naked_asm!("2:", "loop 2b", "jmp {store}", store = sym store)
}

#[unsafe(naked)]
extern "C" fn memory() {
    naked_asm!(
        "2:",
        "sub qword ptr [rip + {count}], 1",
        "jnz 2b",
        "jmp {store}",
        count = sym COUNT,
        store = sym store,
    )
}

#[unsafe(naked)]
extern "C" fn gate() {
    naked_asm!("int 0x80", "jmp {store}", store = sym store)
}

#[unsafe(naked)]
extern "C" fn syscall() {
    naked_asm!("syscall", "jmp {store}", store = sym store)
}
