//! Who called whom: from any trap frame up to the outermost function, through the entry stubs
//! into the code that was interrupted, and on into the program.
//!
//! Every word of a stack is read by walking the page tables first, so a smashed stack ends the
//! walk with a reason and never faults. Nothing here allocates or takes a lock.

use core::fmt;

use machine::{PhysAddr, VirtAddr, VirtError};
use shell::Call;
use unwinder::{Image, Registers, Stop};

use crate::arch::cpu;
use crate::arch::entry::TrapFrame;
use crate::image;
use crate::memory::layout::UPPER_HALF;
use crate::memory::physmap::LiveMemory;
use crate::{process, symbols, target};

/// As many lines as a report shows, and calls as are followed for them: a kernel stack has room for
/// no more.
const LINES: usize = 32;
const MOST: usize = 4096;

/// A walk up the stack.
pub(crate) struct Backtrace {
    registers: Registers,
    is_interrupted: bool,
    is_guess: bool,
    root: PhysAddr,
    kernel: Option<Image<'static>>,
    program: Option<Image<'static>>,
    left: usize,
    stop: Option<Stop>,
}

impl Backtrace {
    /// From the registers that a trap saved; stacks are read in the space that CR3 names.
    pub(crate) fn of_trap(frame: &TrapFrame, program: Option<Image<'static>>) -> Self {
        Backtrace::new(registers(frame), true, program)
    }

    /// From the function that [`snapshot::here`](crate::arch::snapshot::here) was called in.
    pub(crate) fn from_here(registers: Registers) -> Self {
        Backtrace::new(registers, false, process::unwind_tables())
    }

    fn new(registers: Registers, is_interrupted: bool, program: Option<Image<'static>>) -> Self {
        Backtrace {
            registers,
            is_interrupted,
            is_guess: false,
            root: PhysAddr(cpu::cr3()),
            kernel: image::unwind_tables(),
            program,
            left: MOST,
            stop: None,
        }
    }

    /// Why it has ended; `None` if only for its length.
    pub(crate) fn stop(&self) -> Option<Stop> {
        self.stop
    }

    fn step(&mut self, rip: VirtAddr) -> Result<(), Stop> {
        let (root, paging) = (self.root, target::paging());
        let mut read = |va: VirtAddr| -> Result<u64, VirtError> {
            let mut word = [0; 8];
            machine::read_virt(&mut LiveMemory, &paging, root, va, &mut word)?;
            Ok(u64::from_le_bytes(word))
        };
        let image = match rip.0 >= UPPER_HALF {
            true => &self.kernel,
            false => &self.program,
        };
        let by_tables = match image {
            Some(image) => {
                unwinder::by_tables(image, &self.registers, self.is_interrupted, &mut read)
            }
            None => Err(Stop::NoTable(rip)),
        };
        self.is_guess = matches!(by_tables, Err(Stop::NoTable(_)));
        let caller = match by_tables {
            Err(Stop::NoTable(_)) => unwinder::by_frame_pointer(&self.registers, &mut read)
                // What is missing is the table; that RBP does not help either is no news.
                .map_err(|why| match why {
                    Stop::Outermost => why,
                    _ => Stop::NoTable(rip),
                })?,
            other => other?,
        };
        self.registers = caller.registers;
        self.is_interrupted = caller.is_interrupted;
        Ok(())
    }
}

impl Iterator for Backtrace {
    type Item = Call;

    fn next(&mut self) -> Option<Call> {
        if self.stop.is_some() || self.left == 0 {
            return None;
        }
        self.left -= 1;
        let rip = VirtAddr(self.registers.rip()?);
        let call = Call {
            rip,
            is_interrupted: self.is_interrupted,
            is_guess: self.is_guess,
            repeats: 0,
        };
        self.stop = self.step(rip).err();
        Some(call)
    }
}

/// The general registers of a trap frame, by their DWARF numbers.
fn registers(frame: &TrapFrame) -> Registers {
    let order = [
        frame.rax, frame.rdx, frame.rcx, frame.rbx, frame.rsi, frame.rdi, frame.rbp, frame.rsp,
        frame.r8, frame.r9, frame.r10, frame.r11, frame.r12, frame.r13, frame.r14, frame.r15,
    ];
    Registers::new(order, frame.rip)
}

/// Writes the lines of a report: each call, a marked line where one was interrupted, and why the
/// walk ended if not at the outermost function. Recursion is one line and a count.
pub(crate) fn write(out: &mut dyn fmt::Write, mut calls: Backtrace) -> fmt::Result {
    writeln!(out, "backtrace:")?;
    let (mut number, mut lines) = (0_usize, 0_usize);
    let mut before = None;
    let mut same = 0_usize;
    while lines < LINES
        && let Some(call) = calls.next()
    {
        if before == Some(call.rip) {
            same += 1;
            number += 1;
            continue;
        }
        repeated(out, core::mem::take(&mut same))?;
        before = Some(call.rip);
        if call.is_interrupted && number > 0 {
            writeln!(out, "   --- interrupted ---")?;
        }
        write!(out, "#{number:<2} {}", call.rip)?;
        if call.rip.0 >= UPPER_HALF {
            let offset = call.rip.0.wrapping_sub(image::base());
            write!(out, " kernel + {offset:#x}")?;
        }
        writeln!(out, "{}", if call.is_guess { " (by RBP)" } else { "" })?;
        if call.rip.0 >= UPPER_HALF
            && let Ok(image) = symbols::kernel()
        {
            let found = match call.is_interrupted {
                true => image.describe(call.rip),
                false => image.describe_call(call.rip),
            };
            shell::write_frames(found, "    ", out)?;
        }
        number += 1;
        lines += 1;
    }
    repeated(out, same)?;
    match calls.stop() {
        Some(Stop::Outermost) => Ok(()),
        Some(why) => writeln!(out, "    ends here: {why}"),
        None => writeln!(out, "    and so on: more calls than are shown"),
    }
}

fn repeated(out: &mut dyn fmt::Write, count: usize) -> fmt::Result {
    match count {
        0 => Ok(()),
        _ => writeln!(out, "    and {count} more from the same place"),
    }
}
