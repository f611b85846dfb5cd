//! The numbers of `docs/abi.md`: calls, errors, the shape of a process.
//!
//! This file needs nothing around it, so that others can take it in as it is; a test holds its
//! two tables against the page.

/// Ends the process.
pub const EXIT: u64 = 0;
/// Gives bytes to the shell.
pub const WRITE: u64 = 1;
/// Takes a line from the shell.
pub const READ: u64 = 2;
/// Lets others run.
pub const YIELD: u64 = 3;
/// Waits for some milliseconds.
pub const SLEEP: u64 = 4;
/// Who am I?
pub const GETPID: u64 = 5;
/// Starts a program.
pub const SPAWN: u64 = 6;
/// Waits for a child's end.
pub const WAIT: u64 = 7;
/// Ends another process.
pub const KILL: u64 = 8;
/// Asks for memory.
pub const MAP: u64 = 9;
/// Gives memory back.
pub const UNMAP: u64 = 10;
/// Makes a copy of the process.
pub const FORK: u64 = 11;

/// Every call, in the order of the numbers.
pub const CALLS: [(u64, &str); 12] = [
    (EXIT, "exit"),
    (WRITE, "write"),
    (READ, "read"),
    (YIELD, "yield"),
    (SLEEP, "sleep"),
    (GETPID, "getpid"),
    (SPAWN, "spawn"),
    (WAIT, "wait"),
    (KILL, "kill"),
    (MAP, "map"),
    (UNMAP, "unmap"),
    (FORK, "fork"),
];

/// No such program.
pub const ENOENT: u64 = 2;
/// No such process.
pub const ESRCH: u64 = 3;
/// Interrupted.
pub const EINTR: u64 = 4;
/// No such file descriptor.
pub const EBADF: u64 = 9;
/// No such child.
pub const ECHILD: u64 = 10;
/// No memory, or no room for another process.
pub const ENOMEM: u64 = 12;
/// Bad address.
pub const EFAULT: u64 = 14;
/// Bad argument.
pub const EINVAL: u64 = 22;
/// No such system call.
pub const ENOSYS: u64 = 38;

/// Every error, in the order of the numbers.
pub const ERRORS: [(u64, &str); 9] = [
    (ENOENT, "ENOENT"),
    (ESRCH, "ESRCH"),
    (EINTR, "EINTR"),
    (EBADF, "EBADF"),
    (ECHILD, "ECHILD"),
    (ENOMEM, "ENOMEM"),
    (EFAULT, "EFAULT"),
    (EINVAL, "EINVAL"),
    (ENOSYS, "ENOSYS"),
];

/// The largest error: results from `-MAX_ERROR` on are errors.
pub const MAX_ERROR: u64 = 4095;

/// What a program wants to say.
pub const STDOUT: u64 = 1;
/// What a program has to complain about.
pub const STDERR: u64 = 2;
/// Where a program reads.
pub const STDIN: u64 = 0;

/// `map`: the pages may be written.
pub const MAP_WRITE: u64 = 1;
/// `map`: the pages may be executed.
pub const MAP_EXECUTE: u64 = 2;

/// `wait`: any child.
pub const ANY_CHILD: u64 = u64::MAX;
/// In a status word: the process was killed.
pub const KILLED: u64 = 0x100;
/// In a status word: the process died from a fault, whose vector is in the low byte.
pub const FAULTED: u64 = 0x200;

/// The size of a page.
pub const PAGE: u64 = 4096;
/// Where programs are linked.
pub const IMAGE: u64 = 0x40_0000;
/// The end of the stack: the first address above it.
pub const STACK_END: u64 = 0x7fff_fff0_0000;
/// How much stack there is.
pub const STACK_BYTES: u64 = 64 * 1024;
/// Where `map` begins to hand out addresses.
pub const MAP_START: u64 = 0x1000_0000_0000;
/// The first address that is not a process's. The page below it is never mapped.
pub const USER_END: u64 = 1 << 47;

/// CS in ring 3.
pub const USER_CODE: u64 = 0x23;
/// SS in ring 3.
pub const USER_DATA: u64 = 0x1b;
/// RFLAGS at the first instruction.
pub const START_FLAGS: u64 = 0x202;
/// MXCSR at the first instruction.
pub const START_MXCSR: u32 = 0x1f80;
/// The x87 control word at the first instruction.
pub const START_FCW: u16 = 0x37f;

/// How many bytes one `write` takes at most.
pub const WRITE_MOST: u64 = 64 * 1024;
/// How many bytes one `read` gives at most.
pub const READ_MOST: u64 = 1024;
/// How many bytes of arguments `spawn` takes at most.
pub const ARGUMENTS_MOST: u64 = 1024;
