//! Copying between the kernel and a process, for system calls.
//!
//! Every page is found by walking the process's tables in software and reached through the
//! physmap, so no pointer a program passes can fault the kernel, and SMAP stays on. A page that
//! waits to be copied is copied before the kernel writes to it.

use machine::{Entry, PhysMemory};

use super::space::{Space, USER_END};
use crate::memory::layout::PAGE;
use crate::memory::physmap::{self, LiveMemory};

/// The pointer does not lead to memory that the process may use so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadPointer;

/// Fills `to` from the process's memory at `va`.
pub(crate) fn copy_in(space: &Space, va: u64, to: &mut [u8]) -> Result<(), BadPointer> {
    check_range(va, to.len())?;
    let mut va = va;
    let mut rest = to;
    while !rest.is_empty() {
        let (chunk, others) = rest.split_at_mut(rest.len().min(left_in_page(va)));
        let (frame, _) = space.user_leaf(va).ok_or(BadPointer)?;
        let at = machine::PhysAddr(frame.0 + va % PAGE);
        LiveMemory.read(at, chunk).map_err(|_| BadPointer)?;
        va += chunk.len() as u64;
        rest = others;
    }
    Ok(())
}

/// Whether the process may read all of `bytes` at `va`.
pub(crate) fn check_in(space: &Space, va: u64, bytes: usize) -> Result<(), BadPointer> {
    check_range(va, bytes)?;
    let end = va + bytes as u64;
    let mut page = va & !(PAGE - 1);
    while page < end {
        let _ = space.user_leaf(page).ok_or(BadPointer)?;
        page += PAGE;
    }
    Ok(())
}

/// Whether the process may write all of `bytes` at `va`; pages that wait to be copied are.
pub(crate) fn prepare_out(space: &mut Space, va: u64, bytes: usize) -> Result<(), BadPointer> {
    check_range(va, bytes)?;
    let end = va + bytes as u64;
    let mut page = va & !(PAGE - 1);
    while page < end {
        let (_, entry) = space.user_leaf(page).ok_or(BadPointer)?;
        let writable = entry.raw & Entry::WRITABLE != 0
            || space.copy_on_write(page).map_err(|_| BadPointer)?;
        if !writable {
            return Err(BadPointer);
        }
        page += PAGE;
    }
    Ok(())
}

/// Writes `from` to the process's memory at `va`, all of it or nothing.
pub(crate) fn copy_out(space: &mut Space, va: u64, from: &[u8]) -> Result<(), BadPointer> {
    prepare_out(space, va, from.len())?;
    let mut va = va;
    let mut rest = from;
    while !rest.is_empty() {
        let (chunk, others) = rest.split_at(rest.len().min(left_in_page(va)));
        let (frame, _) = space.user_leaf(va).ok_or(BadPointer)?;
        let offset = (va % PAGE) as usize;
        if !physmap::write_user_frame(frame, offset, chunk) {
            return Err(BadPointer);
        }
        va += chunk.len() as u64;
        rest = others;
    }
    Ok(())
}

fn left_in_page(va: u64) -> usize {
    (PAGE - va % PAGE) as usize
}

fn check_range(va: u64, bytes: usize) -> Result<(), BadPointer> {
    let end = va.checked_add(bytes as u64).ok_or(BadPointer)?;
    if end > USER_END {
        Err(BadPointer)
    } else {
        Ok(())
    }
}
