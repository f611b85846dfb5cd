//! The file of the program that runs, for walks up its stack.

use super::{TABLE, current_pid, elf, ramdisk};

/// The unwind tables of the program that ring 3 was in. Asked for in fault reports, so it waits
/// for nobody: if the table of processes is in use, there are none.
pub(crate) fn unwind_tables() -> Option<unwinder::Image<'static>> {
    let mut table = TABLE.try_lock()?;
    let name = &table.get(current_pid())?.name;
    elf::unwind_tables(ramdisk::find(name)?.content)
}
