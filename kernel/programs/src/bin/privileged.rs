//! `privileged`: every instruction that is for the kernel alone, each in a child: #GP, and the child
//! is gone.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use programs::{Arguments, Ended, in_child, println};

programs::program!(main);

const GENERAL_PROTECTION: u8 = 13;

fn main(_: Arguments) -> u8 {
    let mut wrong = 0;
    for (name, execute) in instructions::ALL {
        let ended = in_child(|| {
            execute();
            0
        });
        match ended {
            Ok(Ended::Fault(GENERAL_PROTECTION)) => {}
            Ok(ended) => {
                println!("privileged: {name}: {ended}");
                wrong += 1;
            }
            Err(error) => {
                println!("privileged: no child for {name}: {error}");
                return 1;
            }
        }
    }
    if wrong > 0 {
        return 1;
    }
    let count = instructions::ALL.len();
    println!("privileged: {count} instructions refused");
    0
}

mod instructions {
    use core::arch::naked_asm;

    /// A name, and a function that executes the instruction. Where one writes, it writes what
    /// would do little harm; where it loads a table, the operand is readable memory.
    macro_rules! instructions {
        ($($name:literal: [$($line:literal),+]),+ $(,)?) => {
            pub(super) const ALL: [(&str, extern "C" fn()); [$($name),+].len()] = [$((
                $name,
                {
                    #[unsafe(naked)]
                    extern "C" fn execute() {
                        naked_asm!($($line,)+ "ret")
                    }
                    execute
                },
            )),+];
        };
    }

    instructions! {
        "CLI": ["cli"],
        "STI": ["sti"],
        "HLT": ["hlt"],
        "IN AL, 0x60": ["in al, 0x60"],
        "IN AL, DX": ["mov edx, 0x3fd", "in al, dx"],
        "IN EAX, DX": ["mov edx, 0xcf8", "in eax, dx"],
        "OUT 0x80, AL": ["xor eax, eax", "out 0x80, al"],
        "OUT DX, AL": ["mov edx, 0x3f8", "mov eax, 0x21", "out dx, al"],
        "INSB": ["mov edx, 0x60", "lea rdi, [rsp - 64]", "insb"],
        "OUTSB": ["mov edx, 0x80", "mov rsi, rsp", "outsb"],
        "LGDT": ["lgdt [rsp]"],
        "LIDT": ["lidt [rsp]"],
        "LLDT": ["xor eax, eax", "lldt ax"],
        "LTR": ["mov eax, 0x28", "ltr ax"],
        "LMSW": ["mov eax, 1", "lmsw ax"],
        "MOV RAX, CR0": ["mov rax, cr0"],
        "MOV RAX, CR2": ["mov rax, cr2"],
        "MOV RAX, CR3": ["mov rax, cr3"],
        "MOV RAX, CR4": ["mov rax, cr4"],
        "MOV RAX, CR8": ["mov rax, cr8"],
        "MOV CR0, RAX": ["mov eax, 0x80050033", "mov cr0, rax"],
        "MOV CR3, RAX": ["xor eax, eax", "mov cr3, rax"],
        "MOV CR4, RAX": ["mov eax, 0x620", "mov cr4, rax"],
        "MOV CR8, RAX": ["xor eax, eax", "mov cr8, rax"],
        "MOV RAX, DR0": ["mov rax, dr0"],
        "MOV RAX, DR7": ["mov rax, dr7"],
        "MOV DR0, RAX": ["xor eax, eax", "mov dr0, rax"],
        "MOV DR7, RAX": ["mov eax, 0x400", "mov dr7, rax"],
        "RDMSR": ["mov ecx, 0xc0000080", "rdmsr"],
        "WRMSR": ["mov ecx, 0xc0000101", "xor eax, eax", "xor edx, edx", "wrmsr"],
        "INVLPG": ["invlpg [rsp]"],
        "SWAPGS": ["swapgs"],
        "CLTS": ["clts"],
        "INVD": ["invd"],
        "WBINVD": ["wbinvd"],
        "SYSRET": ["lea rcx, [rip + 2f]", "pushfq", "pop r11", "sysretq", "2:"],
    }
}
