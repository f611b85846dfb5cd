//! Kernel stacks and IST stacks: each above a guard page that is never mapped.

use core::fmt;

use machine::{Mapping, PageSize, VirtAddr};
use spin::Mutex;

use super::frames::{self, Owner};
use super::layout::{
    IST_STACK_BYTES, IST_STACK_STRIDE, IST_STACKS, KERNEL_STACK_BYTES, KERNEL_STACK_STRIDE,
    KERNEL_STACK_WINDOW, KERNEL_STACKS, PAGE,
};
use super::tables::{MapError, Tables};

/// A stack: `bottom` is its lowest mapped byte, `top` the address just above it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack {
    pub(crate) bottom: u64,
    pub(crate) top: u64,
}

/// Why there is no new stack.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StackError {
    /// The pre-built window is used up.
    WindowFull,
    /// No frame is free.
    NoFrame,
    /// A page could not be mapped.
    Map(MapError),
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StackError::WindowFull => f.write_str("the window for kernel stacks is used up"),
            StackError::NoFrame => f.write_str("no free frame"),
            StackError::Map(why) => write!(f, "{why}"),
        }
    }
}

/// How many kernel stacks have been handed out.
static KERNEL_STACKS_USED: Mutex<u64> = Mutex::new(0);

/// Maps the next kernel stack. Only leaf entries change: their tables exist from boot on, so
/// every address space that shares them sees the stack at once.
pub(crate) fn allocate_kernel_stack(tables: &mut Tables) -> Result<Stack, StackError> {
    let mut used = KERNEL_STACKS_USED.lock();
    if (*used + 1) * KERNEL_STACK_STRIDE > KERNEL_STACK_WINDOW {
        return Err(StackError::WindowFull);
    }
    let guard = KERNEL_STACKS + *used * KERNEL_STACK_STRIDE;
    let stack = map_stack(tables, guard, KERNEL_STACK_BYTES, Owner::KernelStack)?;
    *used += 1;
    Ok(stack)
}

/// Maps the IST stack with this index (0 and up).
pub(crate) fn map_ist_stack(tables: &mut Tables, index: u64) -> Result<Stack, StackError> {
    let guard = IST_STACKS + index * IST_STACK_STRIDE;
    map_stack(tables, guard, IST_STACK_BYTES, Owner::IstStack)
}

fn map_stack(
    tables: &mut Tables,
    guard: u64,
    bytes: u64,
    owner: Owner,
) -> Result<Stack, StackError> {
    let bottom = guard + PAGE;
    let top = bottom + bytes;
    for va in (bottom..top).step_by(PAGE as usize) {
        let at = frames::take(owner).ok_or(StackError::NoFrame)?;
        let mapping = Mapping::data(at, PageSize::Size4K);
        tables.map(VirtAddr(va), mapping).map_err(StackError::Map)?;
    }
    Ok(Stack { bottom, top })
}
