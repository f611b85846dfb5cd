//! The kernel acting for a process, in its space, as in a system call: for those of `crash`'s faults
//! that need pages of ring 3. The process is there for that alone, and never runs.

use core::sync::atomic::{AtomicU32, Ordering};

use machine::{Entry, Level, PhysAddr, VirtAddr};
use shell::ProcessError;

use super::ability::saved_frame;
use super::spawn::{FIRST_MAP, STACK_TOP};
use super::{KERNEL, State, is_alive, schedule, spawn, table};
use crate::memory::master;
use crate::memory::tables::Tables;
use crate::target;

/// What it runs as.
const PROGRAM: &str = "nothing";

/// It, once there is one.
static PID: AtomicU32 = AtomicU32::new(KERNEL);

/// Where in the space of a process one can go wrong.
pub(crate) struct Places {
    /// A word that ring 3 may read and write.
    pub(crate) data: u64,
    /// Code of ring 3.
    pub(crate) code: u64,
    /// Where nothing is mapped, and the entry of the PML4 is for nothing else.
    pub(crate) unused: u64,
}

/// From here on the kernel acts for a process, until [`done`].
pub(crate) fn act() -> Result<Places, ProcessError> {
    let pid = match PID.load(Ordering::Relaxed) {
        pid if is_alive(pid) => pid,
        _ => spawn(KERNEL, PROGRAM, &[])?,
    };
    PID.store(pid, Ordering::Relaxed);
    let (root, code) = {
        let mut table = table();
        let process = table.get(pid).ok_or(ProcessError::NoSuchProcess)?;
        process.is_held = true;
        process.state = State::Running;
        (process.root, saved_frame(process).rip)
    };
    schedule::act_for(pid);
    master::load_root(PhysAddr(root));
    Ok(Places {
        data: STACK_TOP - 8,
        code,
        unused: FIRST_MAP,
    })
}

/// Puts an entry with a reserved bit on the way to the unused place of the process that is acted for.
pub(crate) fn reserve() {
    // The size of a page, which a PML4 entry does not have.
    set_unused(Entry::PRESENT | Entry::HUGE);
}

/// Whatever was done for a process is over, and nothing of it stays but the process.
pub(crate) fn done() {
    schedule::abandon();
    set_unused(0);
    if let Some(process) = table().get(PID.load(Ordering::Relaxed)) {
        process.state = State::Ready;
    }
}

/// Writes the entry of the PML4 that leads to the unused place.
fn set_unused(raw: u64) {
    let pid = PID.load(Ordering::Relaxed);
    let Some(root) = table().get(pid).map(|process| process.root) else {
        return;
    };
    let mut tables = Tables::at(PhysAddr(root), target::paging());
    let index = Level::Pml4.index(VirtAddr(FIRST_MAP)) as u64;
    // An absent entry and one that is reserved are never cached. The root is in RAM.
    let _ = tables.fill_slot(PhysAddr(root + index * 8), raw);
}
