//! Processes: one thread each, with an address space and a kernel stack of its own.
//!
//! There is one processor, and the kernel is never preempted: interrupts are off from the entry
//! out of ring 3 until the return to it, and the shell gives way only where it waits. So the
//! table below is only ever touched by one thread at a time, and its lock never waits.

mod ability;
pub(crate) mod acting;
// The programs' own copy of the numbers: there is no other.
#[path = "../../programs/src/abi.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "shared with the programs, which need more of it"
)]
mod abi;
mod elf;
mod exit;
mod fork;
mod leave;
mod needs;
mod program;
#[expect(
    unsafe_code,
    reason = "the slice that the bootloader put the programs in"
)]
pub(crate) mod ramdisk;
mod schedule;
mod space;
mod spawn;
mod spoil;
mod stack_list;
mod syscall;
mod threads;
mod user_memory;

pub(crate) use ability::LiveProcesses;
pub(crate) use exit::{die_of_fault, kill, reap};
pub(crate) use leave::{bad_frame, first_return, leave};
pub(crate) use needs::switch;
pub(crate) use program::{stack_guarded_by, stack_holding, unwind_tables, who};
pub(crate) use ramdisk::{init as init_ramdisk, planted_fault};
pub(crate) use schedule::{abandon, current_pid, give_up, is_any, preempt, run_one, run_others};
pub(crate) use space::{COPY_ON_WRITE, Space};
pub(crate) use spawn::{MOST_ARGUMENTS, STACK_BYTES, STACK_TOP, spawn};
pub(crate) use stack_list::place;
pub(crate) use syscall::system_call;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use exported::{List, Name};
use heapless::String;
use shell::Start;
use spin::MutexGuard;

use crate::arch::user::UserState;
use crate::lock::Lock;
use crate::memory::stacks::Stack;

/// How many processes there may be at once, dead ones nobody has waited for included.
pub(crate) const MOST: usize = 64;
/// The largest pid; they are not used twice before this many.
const LAST_PID: u32 = (1 << 31) - 1;
/// The parent of processes that nobody will wait for: they vanish when they die.
const NOBODY: u32 = exported::Process::NOBODY;
/// The pid of the kernel's own thread, which runs the shell.
pub(crate) const KERNEL: u32 = 0;

/// What a process is doing.
pub(crate) use exported::State;

/// A process. What comes first is read from outside as an [`exported::Process`].
#[repr(C)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) name: Name,
    /// The root of its space, kept when that is gone.
    root: u64,
    /// Kept while dead until somebody else frees it: it dies on it.
    stack: Stack,
    /// Where its kernel stack stands while it does not run.
    kernel_rsp: u64,
    /// The stack for entries from ring 3: the top of that, if it was not spoiled.
    rsp0: u64,
    ticks: u64,
    pub(crate) state: State,
    /// `None` once dead.
    space: Option<Space>,
    user: UserState,
    /// It has not been in ring 3 yet, and how it shall get there.
    is_new: bool,
    start: Start,
    /// It was broken on purpose, and does not run before it is released.
    is_held: bool,
    spoiled: Option<Box<spoil::Spoiled>>,
    /// Where the next `map` goes.
    next_map: u64,
    output: VecDeque<u8>,
    input: VecDeque<u8>,
    input_ended: bool,
}

macro_rules! same_offsets {
    ($($field:ident)*) => {$(
        const _: () = assert!(
            core::mem::offset_of!(Process, $field)
                == core::mem::offset_of!(exported::Process, $field)
        );
    )*};
}

same_offsets! { pid parent name root stack kernel_rsp rsp0 ticks state }

impl Process {
    /// What others may read.
    fn exported(&self) -> exported::Process {
        exported::Process {
            pid: self.pid,
            parent: self.parent,
            name: self.name,
            root: self.root,
            stack: self.stack,
            kernel_rsp: self.kernel_rsp,
            rsp0: self.rsp0,
            ticks: self.ticks,
            state: self.state,
        }
    }
}

/// For whoever looks from outside: the slots of the table, and who runs.
pub(crate) fn exported() -> (List, u64) {
    let table = TABLE.lock();
    let slots = List {
        at: table.slots.as_ptr() as u64,
        count: table.slots.len() as u64,
    };
    (slots, core::ptr::from_ref(schedule::current_place()) as u64)
}

/// Bytes of output kept for whoever takes them out.
const OUTPUT: usize = 16 << 10;
/// Bytes of input kept for the process.
const INPUT: usize = 1024;

struct Table {
    slots: Vec<Option<Box<Process>>>,
    next_pid: u32,
    /// Where the kernel thread's stack stands while it does not run.
    kernel_rsp: u64,
}

static TABLE: Lock<Table> = Lock::new(
    "the list of processes",
    Table {
        slots: Vec::new(),
        next_pid: 1,
        kernel_rsp: 0,
    },
);

/// Makes room for every process there may be, so that none is refused for want of heap later.
pub(crate) fn init() {
    let mut table = TABLE.lock();
    table.slots = (0..MOST).map(|_| None).collect();
}

/// The table. Interrupts are off, or the kernel thread has it: see the top of this file.
fn table() -> MutexGuard<'static, Table> {
    TABLE.lock()
}

impl Table {
    fn get(&mut self, pid: u32) -> Option<&mut Process> {
        self.slots
            .iter_mut()
            .flatten()
            .find(|process| process.pid == pid)
            .map(|boxed| &mut **boxed)
    }

    fn current(&mut self) -> Option<&mut Process> {
        self.get(current_pid())
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Process> {
        self.slots.iter_mut().flatten().map(|boxed| &mut **boxed)
    }

    /// A pid that nobody has.
    fn new_pid(&mut self) -> u32 {
        loop {
            let pid = self.next_pid;
            self.next_pid = if pid >= LAST_PID { 1 } else { pid + 1 };
            if self.get(pid).is_none() {
                return pid;
            }
        }
    }

    /// Puts a process into a free slot; gives it back if there is none.
    fn insert(&mut self, process: Box<Process>) -> Result<(), Box<Process>> {
        match self.slots.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => {
                *slot = Some(process);
                Ok(())
            }
            None => Err(process),
        }
    }

    fn remove(&mut self, pid: u32) -> Option<Box<Process>> {
        let slot = self
            .slots
            .iter_mut()
            .find(|slot| slot.as_ref().is_some_and(|process| process.pid == pid))?;
        slot.take()
    }

    fn has_room(&self) -> bool {
        self.slots.iter().any(Option::is_none)
    }
}

/// The name of the program that a process runs, dead ones included; `None` also where the list
/// cannot be looked at, as [`is_readable`] says.
pub(crate) fn program_of(pid: u32) -> Option<String<32>> {
    let mut table = TABLE.try_lock()?;
    table.get(pid).map(|process| process.name.string())
}

/// Whether the list can be looked at: not while somebody was stopped in the middle of changing it.
pub(crate) fn is_readable() -> bool {
    TABLE.try_lock().is_some()
}

/// Whether there is such a process, and it has not ended.
pub(crate) fn is_alive(pid: u32) -> bool {
    table()
        .get(pid)
        .is_some_and(|process| !matches!(process.state, State::Dead(_)))
}

/// The top of a process's kernel stack.
pub(crate) fn stack_top(pid: u32) -> Option<u64> {
    table().get(pid).map(|process| process.stack.top)
}

/// A page fault in ring 3: true if it was a write to a page that waited to be copied, and the
/// instruction can be tried again.
pub(crate) fn page_fault(error: u64, address: u64) -> bool {
    const PRESENT_WRITE_USER: u64 = 0b111;
    if error & PRESENT_WRITE_USER != PRESENT_WRITE_USER {
        return false;
    }
    let mut table = table();
    let space = table.current().and_then(|process| process.space.as_mut());
    space.is_some_and(|space| space.copy_on_write(address) == Ok(true))
}
