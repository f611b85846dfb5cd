//! System calls: what ring 3 may ask for. The table is in `docs/abi.md`.
//!
//! Numbers, pointers and lengths come from programs and are believed in nothing.

use exported::TrapFrame;
use shell::{Exit, ProcessError};

use super::abi::{self, EBADF, ECHILD, EFAULT, EINVAL, ENOENT, ENOMEM, ENOSYS, ESRCH};
use super::spawn::{self, FIRST_MAP, MOST_ARGUMENTS};
use super::user_memory::{check_in, copy_in, copy_out, prepare_out};
use super::{State, current_pid, exit, fork, schedule, table};
use crate::devices::timer;
use crate::events::{self, Kind};
use crate::memory::layout::PAGE;

/// The most bytes one `write` takes.
const MOST_WRITTEN: u64 = abi::WRITE_MOST;
/// The most bytes one `map` gives.
const MOST_MAPPED: u64 = 1 << 30;

/// The result of a system call: what goes to RAX, or an errno.
type Answer = Result<u64, u64>;

/// Carries out the system call that `frame` asks for and puts the result into it.
pub(crate) fn system_call(frame: &mut TrapFrame) {
    let (number, first) = (frame.rax, frame.rdi);
    events::record(Kind::SystemCall, number, first);
    let answer = dispatch(frame);
    let result = match answer {
        Ok(value) => value,
        Err(errno) => errno.wrapping_neg(),
    };
    frame.rax = result;
    events::record(Kind::SystemReturn, number, result);
}

fn dispatch(frame: &TrapFrame) -> Answer {
    let (a, b, c, d) = (frame.rdi, frame.rsi, frame.rdx, frame.r10);
    match frame.rax {
        abi::EXIT => exit::exit(Exit::Code((a & 0xff) as u8)),
        abi::WRITE => write(a, b, c),
        abi::READ => read(a, b, c),
        abi::YIELD => {
            wait_as(State::Ready);
            Ok(0)
        }
        abi::SLEEP => sleep(a),
        abi::GETPID => Ok(u64::from(current_pid())),
        abi::SPAWN => spawn_program(a, b, c, d),
        abi::WAIT => wait(a),
        abi::KILL => kill(a),
        abi::MAP => map(a, b),
        abi::UNMAP => unmap(a, b),
        abi::FORK => fork::fork(frame).map(u64::from).map_err(errno),
        _ => Err(ENOSYS),
    }
}

fn errno(why: ProcessError) -> u64 {
    match why {
        ProcessError::NoSuchProgram => ENOENT,
        ProcessError::NoSuchProcess | ProcessError::Dead => ESRCH,
        ProcessError::NoMemory | ProcessError::TooMany => ENOMEM,
        _ => EINVAL,
    }
}

/// Gives way until somebody makes this process ready again.
fn wait_as(state: State) {
    if let Some(process) = table().current() {
        process.state = state;
    }
    let _ = schedule::give_way();
}

/// Runs `body` on the process that made the call and its space.
fn with_current<R>(body: impl FnOnce(&mut super::Process) -> Result<R, u64>) -> Result<R, u64> {
    let mut table = table();
    table.current().ok_or(ESRCH).and_then(body)
}

fn write(fd: u64, pointer: u64, length: u64) -> Answer {
    if fd != abi::STDOUT && fd != abi::STDERR {
        return Err(EBADF);
    }
    let length = length.min(MOST_WRITTEN);
    // All of it or nothing: a bad pointer must not be half obeyed.
    with_current(|process| {
        let space = process.space.as_ref().ok_or(ESRCH)?;
        let bytes = usize::try_from(length).map_err(|_| EINVAL)?;
        check_in(space, pointer, bytes).map_err(|_| EFAULT)
    })?;
    let mut done = 0;
    while done < length {
        let mut chunk = [0; 256];
        let wanted = usize::try_from(length - done).unwrap_or(0).min(chunk.len());
        let written = with_current(|process| {
            let space = process.space.as_ref().ok_or(ESRCH)?;
            let room = super::OUTPUT
                .saturating_sub(process.output.len())
                .min(wanted);
            let piece = chunk.get_mut(..room).unwrap_or_default();
            let from = pointer.checked_add(done).ok_or(EFAULT)?;
            copy_in(space, from, piece).map_err(|_| EFAULT)?;
            process.output.extend(piece.iter());
            Ok(room as u64)
        });
        match written {
            Ok(0) => wait_as(State::Writing),
            Ok(count) => done += count,
            // What has been taken has been taken.
            Err(_) if done > 0 => break,
            Err(why) => return Err(why),
        }
    }
    Ok(done)
}

fn read(fd: u64, pointer: u64, length: u64) -> Answer {
    if fd != abi::STDIN {
        return Err(EBADF);
    }
    // Checked as far as a `write` would be; a line is never longer than the buffer for input.
    let checked = usize::try_from(length.min(MOST_WRITTEN)).unwrap_or(0);
    let length = checked.min(super::INPUT);
    loop {
        let taken = with_current(|process| {
            let line = process.input.iter().position(|&byte| byte == b'\n');
            let ready =
                line.is_some() || process.input_ended || process.input.len() >= super::INPUT;
            let count = line.map_or(process.input.len(), |end| end + 1).min(length);
            let space = process.space.as_mut().ok_or(ESRCH)?;
            prepare_out(space, pointer, checked).map_err(|_| EFAULT)?;
            if !ready {
                return Ok(None);
            }
            let mut buffer = [0; super::INPUT];
            let bytes = buffer.get_mut(..count).unwrap_or_default();
            for (to, from) in bytes.iter_mut().zip(&process.input) {
                *to = *from;
            }
            copy_out(space, pointer, bytes).map_err(|_| EFAULT)?;
            process.input.drain(..count);
            Ok(Some(count as u64))
        })?;
        match taken {
            Some(count) => return Ok(count),
            None => wait_as(State::Reading),
        }
    }
}

fn sleep(milliseconds: u64) -> Answer {
    let ticks = milliseconds.saturating_mul(timer::HERTZ).div_ceil(1000);
    wait_as(State::Sleeping(
        timer::ticks().saturating_add(ticks).saturating_add(1),
    ));
    Ok(0)
}

fn spawn_program(name: u64, name_length: u64, arguments: u64, length: u64) -> Answer {
    let mut name_buffer = [0; 64];
    let mut buffer = [0; MOST_ARGUMENTS];
    let size = |length: u64| usize::try_from(length).map_err(|_| EINVAL);
    let name_bytes = name_buffer.get_mut(..size(name_length)?).ok_or(EINVAL)?;
    let bytes = buffer.get_mut(..size(length)?).ok_or(EINVAL)?;
    with_current(|process| {
        let space = process.space.as_ref().ok_or(ESRCH)?;
        copy_in(space, name, name_bytes).map_err(|_| EFAULT)?;
        copy_in(space, arguments, bytes).map_err(|_| EFAULT)
    })?;
    let name = core::str::from_utf8(name_bytes).map_err(|_| EINVAL)?;
    if bytes.last().is_some_and(|last| *last != 0) {
        return Err(EINVAL);
    }
    spawn::spawn(current_pid(), name, bytes)
        .map(u64::from)
        .map_err(errno)
}

fn wait(which: u64) -> Answer {
    let me = current_pid();
    let any = which == abi::ANY_CHILD;
    loop {
        let mut is_parent = false;
        let mut dead = None;
        for child in table().all().filter(|child| child.parent == me) {
            if any || u64::from(child.pid) == which {
                is_parent = true;
                if matches!(child.state, State::Dead(_)) {
                    dead = Some(child.pid);
                    break;
                }
            }
        }
        match dead {
            Some(pid) => {
                let how = exit::reap(pid).map_err(errno)?;
                return Ok(u64::from(pid) << 32 | exit::exit_word(how));
            }
            None if is_parent => wait_as(State::Waiting),
            None => return Err(ECHILD),
        }
    }
}

fn kill(pid: u64) -> Answer {
    let pid = u32::try_from(pid).map_err(|_| ESRCH)?;
    if pid == current_pid() {
        exit::exit(Exit::Killed);
    }
    exit::kill(pid).map(|()| 0).map_err(errno)
}

fn map(length: u64, rights: u64) -> Answer {
    let (write, execute) = match rights {
        0 => (false, false),
        abi::MAP_WRITE => (true, false),
        abi::MAP_EXECUTE => (false, true),
        _ => return Err(EINVAL),
    };
    if length == 0 || length > MOST_MAPPED {
        return Err(EINVAL);
    }
    with_current(|process| {
        let start = process.next_map;
        let end = start
            .checked_add(length.next_multiple_of(PAGE))
            .ok_or(ENOMEM)?;
        let space = process.space.as_mut().ok_or(ESRCH)?;
        for page in (start..end).step_by(PAGE as usize) {
            if space.add_page(page, write, execute).is_err() {
                for page in (start..page).step_by(PAGE as usize) {
                    let _ = space.remove_page(page);
                }
                return Err(ENOMEM);
            }
        }
        // A page between two mappings catches whoever runs past the end of one.
        process.next_map = end + PAGE;
        Ok(start)
    })
}

fn unmap(start: u64, length: u64) -> Answer {
    if !start.is_multiple_of(PAGE) || !length.is_multiple_of(PAGE) || length == 0 {
        return Err(EINVAL);
    }
    with_current(|process| {
        let end = start.checked_add(length).ok_or(EINVAL)?;
        if start < FIRST_MAP || end > process.next_map {
            return Err(EINVAL);
        }
        let space = process.space.as_mut().ok_or(ESRCH)?;
        let mut pages = (start..end).step_by(PAGE as usize);
        if !pages.all(|page| space.user_leaf(page).is_some()) {
            return Err(EINVAL);
        }
        for page in (start..end).step_by(PAGE as usize) {
            let _ = space.remove_page(page);
        }
        Ok(0)
    })
}
