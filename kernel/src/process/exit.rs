//! The end of a process: by itself, by a fault, or by somebody else's hand.

use exported::TrapFrame;
use machine::{VirtAddr, vectors};
use shell::{Exit, Moment, ProcessError};

use super::{NOBODY, State, abi, current_pid, schedule, table};
use crate::arch::cpu;
use crate::debugger;
use crate::events::{self, Kind};
use crate::faults;
use crate::memory::{master, stacks};

/// Ends the process that runs, on its own kernel stack; the next thread takes over.
pub(crate) fn exit(how: Exit) -> ! {
    let pid = current_pid();
    debugger::at(Moment::Exit, pid, exit_word(how), 0);
    // Its tables are about to go: leave them first.
    if let Some(root) = master::root() {
        let old = cpu::cr3();
        master::load_root(root);
        events::record(Kind::Cr3Load, old, root.0);
    }
    events::record(Kind::Exit, u64::from(pid), exit_word(how));
    debugger::disarm_fatal();
    bury(pid, how);
    loop {
        // The kernel's thread can always run, and nobody makes a dead process ready.
        let _ = schedule::give_way();
    }
}

/// Ends a process that does not run.
pub(crate) fn kill(pid: u32) -> Result<(), ProcessError> {
    let state = table().get(pid).map(|process| process.state);
    match state {
        None => Err(ProcessError::NoSuchProcess),
        Some(State::Dead(_)) => Err(ProcessError::Dead),
        Some(_) => {
            events::record(Kind::Exit, u64::from(pid), exit_word(Exit::Killed));
            bury(pid, Exit::Killed);
            Ok(())
        }
    }
}

/// Takes everything from a process but its kernel stack and its name, and tells its relatives.
fn bury(pid: u32, how: Exit) {
    let mut table = table();
    let parent = match table.get(pid) {
        Some(process) => {
            process.state = State::Dead(how.into());
            let spoiled = process.spoiled.take();
            if let Some(space) = process.space.take() {
                if let Some(spoiled) = spoiled {
                    spoiled.undo(space.root());
                }
                space.destroy();
            }
            process.parent
        }
        None => return,
    };
    for process in table.all() {
        if process.parent == pid {
            process.parent = NOBODY;
        }
        if process.pid == parent && process.state == State::Waiting {
            process.state = State::Ready;
        }
    }
}

/// Forgets the dead that nobody will ask about. Called by the kernel's thread, which stands on
/// none of their stacks.
pub(super) fn sweep() {
    loop {
        let pid = table()
            .all()
            .find(|process| process.parent == NOBODY && matches!(process.state, State::Dead(_)))
            .map(|process| process.pid);
        match pid {
            Some(pid) => drop(reap(pid)),
            None => return,
        }
    }
}

/// Forgets a dead process that does not run, and says how it ended.
pub(crate) fn reap(pid: u32) -> Result<Exit, ProcessError> {
    let process = {
        let mut table = table();
        match table.get(pid).map(|process| process.state) {
            None => return Err(ProcessError::NoSuchProcess),
            Some(State::Dead(_)) if pid != current_pid() => {}
            Some(_) => return Err(ProcessError::Alive),
        }
        table.remove(pid).ok_or(ProcessError::NoSuchProcess)?
    };
    stacks::free_kernel_stack(process.stack);
    events::record(Kind::Reap, u64::from(pid), 0);
    match process.state {
        State::Dead(how) => Ok(how.into()),
        _ => Err(ProcessError::Alive),
    }
}

/// A fault in ring 3: the process dies with a report, everybody else lives.
pub(crate) fn die_of_fault(frame: &TrapFrame, vector: u8, cr2: u64) -> ! {
    let address = (vector == 14).then_some(VirtAddr(cr2));
    events::record_with(
        Kind::Fault,
        Some(frame.cs as u16),
        u64::from(vector) | frame.error << 8,
        if vector == 14 { cr2 } else { frame.rip },
    );
    faults::record(vector, frame, cr2, cpu::cr3());
    let error = if vectors::has_error_code(vector) {
        frame.error
    } else {
        0
    };
    exit(Exit::Fault {
        vector,
        error,
        address,
        rip: VirtAddr(frame.rip),
    })
}

/// How a process ended as one number, for `wait` and for the event ring.
pub(super) fn exit_word(how: Exit) -> u64 {
    match how {
        Exit::Code(code) => u64::from(code),
        Exit::Killed => abi::KILLED,
        Exit::Fault { vector, .. } => abi::FAULTED | u64::from(vector),
    }
}
