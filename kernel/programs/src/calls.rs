//! System calls, by both doors.
//!
//! The `unsafe` here is the two instructions themselves. What a call can do to memory that Rust
//! knows of decides whether its function is safe: `write` only reads, `read` writes to what it was
//! lent, `map` brings memory nobody had, and only `unmap` can pull a page from under a reference.

use core::arch::asm;
use core::fmt;

use crate::abi;

/// How to enter the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `int 0x80`: every register but RAX is kept.
    Gate,
    /// `syscall`: RCX and R11 are lost as well.
    Syscall,
}

impl Door {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Gate, Self::Syscall];
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gate => "int 0x80",
            Self::Syscall => "syscall",
        })
    }
}

/// An error as the kernel gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub u64);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match abi::ERRORS.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "error {}", self.0),
        }
    }
}

/// Any call, whatever comes of it: the number and four arguments, RAX back.
///
/// # Safety
///
/// Whatever the call does to this process's memory must be fine with everything that holds a
/// reference there.
#[inline]
pub unsafe fn raw(door: Door, number: u64, arguments: [u64; 4]) -> u64 {
    let [a, b, c, d] = arguments;
    let result;
    match door {
        // SAFETY: the kernel keeps every register but RAX; the caller answers for memory.
        Door::Gate => unsafe {
            asm!("int 0x80", inlateout("rax") number => result,
                in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, options(nostack));
        },
        // SAFETY: the same, and the two registers that the CPU overwrites are named.
        Door::Syscall => unsafe {
            asm!("syscall", inlateout("rax") number => result,
                in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
                lateout("rcx") _, lateout("r11") _, options(nostack));
        },
    }
    result
}

/// Tells an error from a result.
///
/// # Errors
///
/// When RAX held one.
pub fn result(rax: u64) -> Result<u64, Errno> {
    let error = rax.wrapping_neg();
    if (1..=abi::MAX_ERROR).contains(&error) {
        Err(Errno(error))
    } else {
        Ok(rax)
    }
}

/// A call that the functions below have thought about.
fn call(number: u64, arguments: [u64; 4]) -> Result<u64, Errno> {
    // SAFETY: this is private; each caller below passes memory it was lent, or none.
    result(unsafe { raw(Door::Syscall, number, arguments) })
}

/// This process's pid, asked for by the door given.
pub fn pid_by(door: Door) -> u64 {
    // SAFETY: the call touches no memory.
    unsafe { raw(door, abi::GETPID, [0; 4]) }
}

/// Ends the process.
pub fn exit(code: u8) -> ! {
    loop {
        let _ = call(abi::EXIT, [code.into(), 0, 0, 0]);
    }
}

/// Gives some of the bytes to the shell, and says how many.
///
/// # Errors
///
/// What the kernel answers.
pub fn write(fd: u64, bytes: &[u8]) -> Result<usize, Errno> {
    let count = call(
        abi::WRITE,
        [fd, bytes.as_ptr() as u64, bytes.len() as u64, 0],
    )?;
    Ok(count as usize)
}

/// Takes at most a line from the shell; 0 bytes are the end of input.
///
/// # Errors
///
/// What the kernel answers.
pub fn read(buffer: &mut [u8]) -> Result<usize, Errno> {
    let (at, room) = (buffer.as_mut_ptr() as u64, buffer.len() as u64);
    Ok(call(abi::READ, [abi::STDIN, at, room, 0])? as usize)
}

/// Lets others run.
pub fn give_way() {
    let _ = call(abi::YIELD, [0; 4]);
}

/// Waits.
///
/// # Errors
///
/// What the kernel answers.
pub fn sleep(milliseconds: u64) -> Result<(), Errno> {
    call(abi::SLEEP, [milliseconds, 0, 0, 0]).map(drop)
}

/// This process's number.
#[must_use]
pub fn pid() -> u64 {
    call(abi::GETPID, [0; 4]).unwrap_or(0)
}

/// Starts a program; its arguments are NUL-ended words. The child's number.
///
/// # Errors
///
/// What the kernel answers.
pub fn spawn(name: &str, arguments: &[u8]) -> Result<u64, Errno> {
    call(
        abi::SPAWN,
        [
            name.as_ptr() as u64,
            name.len() as u64,
            arguments.as_ptr() as u64,
            arguments.len() as u64,
        ],
    )
}

/// Waits for a child to end: which, and its status word.
///
/// # Errors
///
/// What the kernel answers.
pub fn wait(pid: u64) -> Result<(u64, u64), Errno> {
    let word = call(abi::WAIT, [pid, 0, 0, 0])?;
    Ok((word >> 32, word & 0xffff_ffff))
}

/// Ends another process.
///
/// # Errors
///
/// What the kernel answers.
pub fn kill(pid: u64) -> Result<(), Errno> {
    call(abi::KILL, [pid, 0, 0, 0]).map(drop)
}

/// Asks for memory; zeros, from this address on.
///
/// # Errors
///
/// What the kernel answers.
pub fn map(bytes: u64, rights: u64) -> Result<u64, Errno> {
    call(abi::MAP, [bytes, rights, 0, 0])
}

/// Gives memory back.
///
/// # Errors
///
/// What the kernel answers.
///
/// # Safety
///
/// Nothing may refer to these pages any more.
pub unsafe fn unmap(at: u64, bytes: u64) -> Result<(), Errno> {
    call(abi::UNMAP, [at, bytes, 0, 0]).map(drop)
}

/// Makes a copy of this process. The child's number; in the child, 0.
///
/// # Errors
///
/// What the kernel answers.
pub fn fork() -> Result<u64, Errno> {
    call(abi::FORK, [0; 4])
}

/// Whether RDFSBASE and its like may be used: CPUID leaf 7, EBX bit 0.
#[must_use]
pub fn has_base_instructions() -> bool {
    core::arch::x86_64::__cpuid(0).eax >= 7 && core::arch::x86_64::__cpuid_count(7, 0).ebx & 1 != 0
}
