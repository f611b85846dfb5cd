//! Who runs, for reports of faults. They wait for nobody: while the table of processes is in use,
//! there is no answer.

use machine::VirtAddr;
use shell::OnStack;

use super::spawn::{STACK_BYTES, STACK_TOP};
use super::{KERNEL, TABLE, current_pid, elf, ramdisk};
use crate::memory::layout::PAGE;

/// The process that runs, and the name of its program; pid 0 and no name for the kernel.
pub(crate) fn who() -> Option<(u32, heapless::String<32>)> {
    let pid = current_pid();
    if pid == KERNEL {
        return None;
    }
    let mut table = TABLE.try_lock()?;
    Some((pid, table.get(pid)?.name.string()))
}

/// The stack of the program, if an address is on it.
pub(crate) fn stack_holding(address: u64) -> Option<OnStack> {
    (STACK_TOP - STACK_BYTES..=STACK_TOP)
        .contains(&address)
        .then(stack)
}

/// The stack of the program, if an address is in the page below it.
pub(crate) fn stack_guarded_by(address: u64) -> Option<OnStack> {
    let bottom = STACK_TOP - STACK_BYTES;
    (bottom - PAGE..bottom).contains(&address).then(stack)
}

fn stack() -> OnStack {
    OnStack {
        name: "the program's stack",
        number: None,
        bottom: VirtAddr(STACK_TOP - STACK_BYTES),
        top: VirtAddr(STACK_TOP),
    }
}

/// The unwind tables of the program that ring 3 was in.
pub(crate) fn unwind_tables() -> Option<unwinder::Image<'static>> {
    let mut table = TABLE.try_lock()?;
    let name = table.get(current_pid())?.name;
    elf::unwind_tables(ramdisk::program(name.text())?.content)
}
