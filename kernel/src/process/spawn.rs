//! Making a process: from a name in the ramdisk to a thread that can run.
//!
//! Each step that fails gives back what the steps before it took.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use exported::{Name, TrapFrame};
use heapless::Vec;
use shell::{ProcessError, Start};

use super::elf::{self, LoadError};
use super::space::{Space, SpaceError};
use super::{INPUT, OUTPUT, Process, State, abi, ramdisk, table, user_memory};
use crate::arch::entry::frame_for_user;
use crate::arch::switch;
use crate::arch::user::UserState;
use crate::events::{self, Kind};
use crate::memory::layout::PAGE;
use crate::memory::stacks::{self, Stack, StackError};

/// The end of a program's stack; the page above it is never mapped.
pub(crate) const STACK_TOP: u64 = abi::STACK_END;
/// Its size; the page below it is never mapped.
pub(crate) const STACK_BYTES: u64 = abi::STACK_BYTES;
/// Where `map` begins to hand out addresses.
pub(crate) const FIRST_MAP: u64 = abi::MAP_START;
/// The longest arguments, each with its NUL.
pub(crate) const MOST_ARGUMENTS: usize = abi::ARGUMENTS_MOST as usize;

impl From<LoadError> for ProcessError {
    fn from(why: LoadError) -> Self {
        match why {
            LoadError::NotAProgram(what) => ProcessError::NotAProgram(what),
            LoadError::NoMemory => ProcessError::NoMemory,
        }
    }
}

/// Starts a program; `arguments` are what follows its name, each ended by a NUL.
pub(crate) fn spawn(parent: u32, name: &str, arguments: &[u8]) -> Result<u32, ProcessError> {
    let file = ramdisk::program(name).ok_or(ProcessError::NoSuchProgram)?;
    if !table().has_room() {
        return Err(ProcessError::TooMany);
    }
    if arguments.len() > MOST_ARGUMENTS {
        return Err(ProcessError::Refused(
            "the arguments are longer than 1024 bytes",
        ));
    }
    let mut space = Space::new().map_err(LoadError::from)?;
    let loaded = elf::load(&mut space, file.content)
        .map_err(ProcessError::from)
        .and_then(|entry| Ok((entry, build_stack(&mut space, name, arguments)?)));
    let (entry, rsp) = match loaded {
        Ok(loaded) => loaded,
        Err(why) => {
            space.destroy();
            return Err(why);
        }
    };
    let frame = frame_for_user(entry.0, rsp);
    finish(
        space,
        parent,
        name,
        &frame,
        UserState::new(),
        FIRST_MAP,
        Kind::Spawn,
    )
}

/// Gives a finished space a kernel stack and a place in the table.
pub(super) fn finish(
    space: Space,
    parent: u32,
    name: &str,
    frame: &TrapFrame,
    user: UserState,
    next_map: u64,
    kind: Kind,
) -> Result<u32, ProcessError> {
    let root = space.root().0;
    let stack = match stacks::allocate_for_process() {
        Ok(stack) => stack,
        Err(why) => {
            space.destroy();
            return Err(match why {
                StackError::RegionFull => {
                    ProcessError::Refused("the region for kernel stacks is used up")
                }
                _ => ProcessError::NoMemory,
            });
        }
    };
    let kernel_rsp = switch::prepare(stack, frame);
    let mut table = table();
    let pid = table.new_pid();
    let process = Box::new(Process {
        pid,
        parent,
        name: Name::new(name),
        root,
        stack,
        kernel_rsp,
        rsp0: stack.top,
        ticks: 0,
        state: State::Ready,
        space: Some(space),
        user,
        is_new: true,
        start: Start::default(),
        is_held: false,
        spoiled: None,
        next_map,
        output: VecDeque::with_capacity(OUTPUT),
        input: VecDeque::with_capacity(INPUT),
        input_ended: false,
    });
    if let Err(process) = table.insert(process) {
        drop(table);
        let Process { space, stack, .. } = *process;
        give_up(space, stack);
        return Err(ProcessError::TooMany);
    }
    drop(table);
    events::record(kind, u64::from(pid), root);
    Ok(pid)
}

fn give_up(space: Option<Space>, stack: Stack) {
    if let Some(space) = space {
        space.destroy();
    }
    stacks::free_kernel_stack(stack);
}

/// Maps the stack and writes argc, argv and the strings as the System V ABI lays them out.
fn build_stack(space: &mut Space, name: &str, arguments: &[u8]) -> Result<u64, ProcessError> {
    for page in (STACK_TOP - STACK_BYTES..STACK_TOP).step_by(PAGE as usize) {
        space.add_page(page, true, false).map_err(|why| match why {
            SpaceError::NoMemory => ProcessError::NoMemory,
            SpaceError::BadAddress => ProcessError::NotAProgram("it lies where its stack goes"),
        })?;
    }
    let write = |space: &mut Space, va: u64, bytes: &[u8]| {
        user_memory::copy_out(space, va, bytes).map_err(|_| ProcessError::Refused("its stack"))
    };
    // From the top down: the strings, then the pointers to them.
    let strings = STACK_TOP - 16 - (name.len() as u64 + 1 + arguments.len() as u64);
    write(space, strings, name.as_bytes())?;
    write(space, strings + name.len() as u64 + 1, arguments)?;
    let mut pointers: Vec<u64, 130> = Vec::new();
    let too_many = |_| ProcessError::Refused("more than 126 arguments");
    // argc, argv[0].
    pointers.push(1).map_err(too_many)?;
    pointers.push(strings).map_err(too_many)?;
    let mut at = strings + name.len() as u64 + 1;
    for argument in arguments.split_inclusive(|&byte| byte == 0) {
        pointers.push(at).map_err(too_many)?;
        at += argument.len() as u64;
        if let Some(count) = pointers.first_mut() {
            *count += 1;
        }
    }
    // The ends of argv and of the (empty) environment.
    pointers.push(0).map_err(too_many)?;
    pointers.push(0).map_err(too_many)?;
    let rsp = (strings - pointers.len() as u64 * 8) & !15;
    for (index, pointer) in (0u64..).zip(&pointers) {
        write(space, rsp + index * 8, &pointer.to_le_bytes())?;
    }
    Ok(rsp)
}
