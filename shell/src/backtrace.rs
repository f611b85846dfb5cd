//! Who called whom: gathered by walking up a stack, kept as addresses, and written with names.
//!
//! Every word of a stack is read by walking the page tables first, so a smashed stack ends the
//! walk with a reason and never faults. Nothing here allocates or waits: it is for the reports of
//! faults and panics, and for `bt`.

use core::fmt::{self, Write};

use heapless::{String, Vec};
use machine::{Paging, PhysAddr, PhysMemory, VirtAddr, VirtError, vectors};
use symbolizer::index::Found;
use unwinder::{Stop, Walk};

use crate::names::is_upper;
use crate::{EventKind, Image, SymbolAt};

/// How far below the end of what the CPU pushed the entry paths keep the vector: SS, RSP, RFLAGS, CS,
/// RIP and an error code are between.
const VECTOR: u64 = 56;

/// The calls that led to some place, and why no more of them are known.
#[derive(Clone, Debug, Default)]
pub struct Backtrace<const N: usize = 24> {
    /// Who called whom, the innermost first.
    pub calls: Vec<Call, N>,
    /// Why there are no more calls; empty if the last one is the outermost function.
    pub ends: String<96>,
}

/// One function of a backtrace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The instruction it was at, or the one after its call.
    pub rip: VirtAddr,
    /// It did not call the one before: it was interrupted there.
    pub is_interrupted: bool,
    /// By which vector, where that is known; [`BY_SYSCALL`](crate::EventKind::BY_SYSCALL) if it
    /// made a system call by SYSCALL.
    pub entry: Option<u16>,
    /// Found by the frame pointer alone.
    pub is_guess: bool,
    /// How many more calls from the same place follow it.
    pub repeats: u32,
}

/// Reads words of stacks in the space of `root`, by its page tables.
pub(crate) fn stack_words<'a>(
    memory: &'a mut dyn PhysMemory,
    paging: &'a Paging,
    root: PhysAddr,
) -> impl FnMut(VirtAddr) -> Result<u64, VirtError> + 'a {
    move |va| {
        let mut word = [0; 8];
        machine::read_virt(memory, paging, root, va, &mut word)?;
        Ok(u64::from_le_bytes(word))
    }
}

impl<const N: usize> Backtrace<N> {
    /// Follows a walk to its end; stacks are read in the space of `root`.
    pub fn follow(
        mut walk: Walk<'_>,
        memory: &mut dyn PhysMemory,
        paging: &Paging,
        root: PhysAddr,
    ) -> Self {
        let mut read = stack_words(memory, paging, root);
        let mut out = Backtrace::default();
        let Backtrace { calls, ends } = &mut out;
        let mut pushed_to = None;
        while let Some(visit) = walk.next(&mut read) {
            let vector = visit.entry.and_then(|end| {
                let at = VirtAddr(end.wrapping_sub(VECTOR));
                // In the first instructions of an entry it has not been pushed yet.
                pushed_to.filter(|rsp| *rsp <= at.0)?;
                let vector = u16::try_from(read(at).ok()?).ok()?;
                (u64::from(vector) <= EventKind::BY_SYSCALL).then_some(vector)
            });
            pushed_to = visit.registers.rsp();
            let call = Call {
                rip: VirtAddr(visit.registers.rip().unwrap_or(0)),
                is_interrupted: visit.is_interrupted,
                entry: vector,
                is_guess: visit.is_guess,
                repeats: 0,
            };
            if let Some(last) = calls.last_mut().filter(|last| last.rip == call.rip) {
                last.repeats = last.repeats.saturating_add(1);
            } else if calls.push(call).is_err() {
                let _ = ends.push_str("there is no room for more calls");
                return out;
            }
        }
        let _ = match walk.stop() {
            Some(Stop::Outermost) => Ok(()),
            Some(why) => write!(ends, "{why}"),
            None => write!(ends, "more calls than are followed"),
        };
        out
    }

    /// Writes a line for each call and its names below it, a marked line where one was interrupted,
    /// and why the walk ended if not at the outermost function.
    ///
    /// # Errors
    ///
    /// Only those of `out`.
    pub fn write(&self, images: &Images<'_>, out: &mut dyn Write) -> fmt::Result {
        let mut number = 0_u64;
        for call in &self.calls {
            if call.is_interrupted && number > 0 {
                let ring = if is_upper(call.rip) { 0 } else { 3 };
                match call.entry {
                    Some(vector) => {
                        let entry = Entry(vector);
                        writeln!(out, "   --- interrupted by {entry} in ring {ring} ---")?;
                    }
                    None => writeln!(out, "   --- interrupted in ring {ring} ---")?,
                }
            }
            write!(out, "#{number:<2} {}", call.rip)?;
            writeln!(out, "{}", if call.is_guess { " (by RBP)" } else { "" })?;
            write_frames(images.describe(call), "    ", out)?;
            number = number.saturating_add(1);
            if call.repeats > 0 {
                writeln!(out, "    and {} more from the same place", call.repeats)?;
                number = number.saturating_add(call.repeats.into());
            }
        }
        match self.ends.is_empty() {
            true => Ok(()),
            false => writeln!(out, "    ends here: {}", self.ends),
        }
    }
}

/// By what code was interrupted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry(pub(crate) u16);

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u8::try_from(self.0) {
            Ok(0x80) => f.write_str("int 0x80"),
            Ok(vector @ 0..=0x1f) => f.write_str(vectors::name(vector)),
            Ok(vector) => write!(f, "vector {vector:#x}"),
            Err(_) => f.write_str("SYSCALL"),
        }
    }
}

/// The images that addresses of a report may belong to. Opening one takes a while, so it is done once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Images<'t> {
    /// Whose code is in the upper half.
    pub kernel: Option<Image<'t>>,
    /// Whose code is in the lower half.
    pub program: Option<Image<'t>>,
}

impl<'t> Images<'t> {
    /// The one that an address belongs to.
    pub(crate) fn at(&self, address: VirtAddr) -> Option<Image<'t>> {
        match is_upper(address) {
            true => self.kernel,
            false => self.program,
        }
    }

    /// The function or variable that an address lies in.
    pub(crate) fn symbol(&self, address: VirtAddr) -> Option<SymbolAt<'t>> {
        self.at(address)?.symbol(address)
    }

    /// What a call of a backtrace is in.
    pub(crate) fn describe(&self, call: &Call) -> Option<Found<'t>> {
        let image = self.at(call.rip)?;
        match call.is_interrupted {
            true => image.describe(call.rip),
            false => image.describe_call(call.rip),
        }
    }
}

/// A line for each function at an address, innermost first; none if nobody knows.
///
/// # Errors
///
/// Only those of `out`.
pub(crate) fn write_frames(
    found: Option<Found<'_>>,
    indent: &str,
    out: &mut dyn Write,
) -> fmt::Result {
    for frame in found.into_iter().flat_map(|found| found.frames) {
        let inlined = if frame.is_inlined {
            ", inlined into"
        } else {
            ""
        };
        writeln!(out, "{indent}{frame}{inlined}")?;
    }
    Ok(())
}
