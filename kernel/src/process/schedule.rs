//! Who runs next, and the switch to it.
//!
//! Round robin over the processes that are ready and the kernel's own thread. A process gives
//! way when the timer interrupts it in ring 3, or when a system call must wait.

use core::sync::atomic::{AtomicU32, Ordering};

use shell::{Exit, Moment, ProcessError};

use super::{KERNEL, State, Table, exit, table};
use crate::arch::{cpu, descriptors, switch, user};
use crate::debugger;
use crate::devices::timer;
use crate::events::{self, Kind};
use crate::memory::{master, stacks};

/// The one that runs: [`KERNEL`] or a pid. Not in the table, since events ask for it anywhere and
/// must not take a lock.
static CURRENT: AtomicU32 = AtomicU32::new(KERNEL);

/// The pid of the thread that runs.
pub(crate) fn current_pid() -> u32 {
    CURRENT.load(Ordering::Relaxed)
}

/// Where it is kept.
pub(super) fn current_place() -> &'static AtomicU32 {
    &CURRENT
}

/// The address of the switch, which `mov cr3` returns to.
pub(super) fn address() -> u64 {
    switch_to as fn(u32, u32) as usize as u64
}

/// Whoever ran is left where it is, for good: the kernel's own thread runs.
pub(crate) fn abandon() {
    CURRENT.store(KERNEL, Ordering::Relaxed);
}

/// The kernel's own thread acts for this process from now on.
pub(super) fn act_for(pid: u32) {
    CURRENT.store(pid, Ordering::Relaxed);
}

/// Called from the timer's interrupt when it came in ring 3.
pub(crate) fn preempt() {
    {
        let mut table = table();
        if let Some(process) = table.current() {
            process.ticks += 1;
            process.state = State::Ready;
        }
    }
    give_way();
}

/// Whether there is a process at all, alive or dead.
pub(crate) fn is_any() -> bool {
    table().all().next().is_some()
}

/// Lets the others have a turn each; called by the kernel's thread. False if none was ready.
pub(crate) fn run_others() -> bool {
    cpu::without_interrupts(|| {
        let did = give_way();
        exit::sweep();
        did
    })
}

/// Lets one process have a turn; called by the kernel's thread.
pub(crate) fn run_one(pid: u32) -> Result<(), ProcessError> {
    cpu::without_interrupts(|| {
        let state = table().get(pid).map(|process| process.state);
        match state {
            Some(State::Ready) => {
                switch_to(KERNEL, pid);
                exit::sweep();
                Ok(())
            }
            Some(State::Dead(_)) => Err(ProcessError::Dead),
            Some(_) => Err(ProcessError::Refused("the process waits for something")),
            None => Err(ProcessError::NoSuchProcess),
        }
    })
}

/// Keeps the process that runs from going on to ring 3: it ends, or waits for another turn.
pub(crate) fn give_up(ends: bool) {
    if ends {
        exit::exit(Exit::Killed);
    }
    if let Some(process) = table().current() {
        process.state = State::Ready;
    }
    give_way();
}

/// Switches to the next thread that can run, and comes back when this one's turn is next.
/// The caller has set its own state. False if there is nobody else to run.
///
/// Interrupts must be off.
pub(super) fn give_way() -> bool {
    let Some(next) = choose() else { return false };
    let from = current_pid();
    if next == from {
        if let Some(process) = table().get(next) {
            process.state = State::Running;
        }
        return false;
    }
    switch_to(from, next);
    true
}

/// The next in turn after the one that runs. The kernel's thread can always run.
fn choose() -> Option<u32> {
    let now = timer::ticks();
    let mut table = table();
    for process in table.all() {
        if let State::Sleeping(until) = process.state
            && until <= now
        {
            process.state = State::Ready;
        }
    }
    let current = current_pid();
    let ready = |process: &&mut super::Process| process.state == State::Ready && !process.is_held;
    // Lowest pid above the current one, else the kernel, else the lowest of all.
    let above = table
        .all()
        .filter(ready)
        .map(|p| p.pid)
        .filter(|pid| *pid > current)
        .min();
    match above {
        Some(pid) => Some(pid),
        None if current != KERNEL => Some(KERNEL),
        None => table.all().filter(ready).map(|p| p.pid).min(),
    }
}

/// The switch itself, in its stages: save the context, load CR3, set RSP0, switch stacks.
fn switch_to(from: u32, to: u32) {
    debugger::at(Moment::Save, to, u64::from(to), u64::from(from));
    let (save, load, root, top) = {
        let mut table = table();
        let Some((load, root, top)) = incoming(&mut table, to) else {
            return;
        };
        let save = outgoing(&mut table, from);
        (save, load, root, top)
    };
    if let Some(root) = root {
        let old = cpu::cr3();
        if old != root.0 {
            debugger::at(Moment::Cr3, to, root.0, old);
            master::load_root(root);
            events::record(Kind::Cr3Load, old, root.0);
        }
    }
    if let Some(top) = top {
        debugger::at(Moment::Rsp0, to, top, descriptors::rsp0());
        let old = descriptors::set_rsp0(top);
        if old != top {
            events::record(Kind::Rsp0Set, old, top);
        }
    }
    CURRENT.store(to, Ordering::Relaxed);
    debugger::at(Moment::Switch, to, load, 0);
    events::record(Kind::StackSwitch, cpu::rsp(), load);
    switch::stacks(save, load);
    // Somebody has switched back to us.
    match table().current() {
        Some(process) => process.user.restore(),
        None => user::clear_segments(),
    }
}

/// What to load for the thread that comes: its stack, and for a process its root and RSP0.
fn incoming(table: &mut Table, pid: u32) -> Option<(u64, Option<machine::PhysAddr>, Option<u64>)> {
    if pid == KERNEL {
        // Nobody comes from ring 3 while the kernel's thread runs; RSP0 must still name a stack
        // that is there: the process that goes may be about to lose its own.
        return Some((table.kernel_rsp, master::root(), Some(stacks::first().top)));
    }
    let process = table.get(pid)?;
    process.state = State::Running;
    let root = process.space.as_ref()?.root();
    Some((process.kernel_rsp, Some(root), Some(process.rsp0)))
}

/// Saves what the thread that goes has in the processor; where its stack pointer goes.
fn outgoing(table: &mut Table, pid: u32) -> *mut u64 {
    if pid == KERNEL {
        return &raw mut table.kernel_rsp;
    }
    match table.get(pid) {
        Some(process) => {
            events::record(Kind::SaveContext, cpu::rsp(), 0);
            process.user.save();
            &raw mut process.kernel_rsp
        }
        None => user::nowhere(),
    }
}
