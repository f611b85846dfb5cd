//! `fork`: a second process that is the first, but for what it is told.

use exported::TrapFrame;
use shell::ProcessError;

use super::space::SpaceError;
use super::{current_pid, spawn, table};
use crate::events::Kind;
use crate::memory::master;

/// Copies the process that made the system call; the child sees 0 as its result.
pub(super) fn fork(frame: &TrapFrame) -> Result<u32, ProcessError> {
    let parent = current_pid();
    let (space, user, name, next_map) = {
        let mut table = table();
        if !table.has_room() {
            return Err(ProcessError::TooMany);
        }
        let process = table.current().ok_or(ProcessError::NoSuchProcess)?;
        let space = process.space.as_mut().ok_or(ProcessError::Dead)?;
        let copy = space.fork().map_err(|why| match why {
            SpaceError::NoMemory => ProcessError::NoMemory,
            SpaceError::BadAddress => ProcessError::Refused("its pages cannot be shared"),
        });
        let root = space.root();
        // Its writable pages may be cached as such, also where the copy was given up half-way.
        master::load_root(root);
        process.user.save();
        (copy?, process.user.clone(), process.name, process.next_map)
    };
    let mut child = *frame;
    child.rax = 0;
    spawn::finish(
        space,
        parent,
        name.text(),
        &child,
        user,
        next_map,
        Kind::Fork,
    )
}
