//! One step up the stack.

use core::fmt;

use gimli::{
    CfaRule, EhFrame, FrameDescriptionEntry, Register, RegisterRule, UnwindContext,
    UnwindContextStorage, UnwindSection, UnwindTableRow,
};
use machine::{VirtAddr, VirtError};

use crate::image::Bytes;
use crate::registers::{RBP, RIP, RSP};
use crate::{Image, Registers};

/// A caller, and how it was left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Its registers, as far as they are known.
    pub registers: Registers,
    /// Whether it was interrupted: then RIP is the instruction it was at, not the one after a
    /// call.
    pub is_interrupted: bool,
    /// Then, the end of what was pushed when it was: its call frame address.
    pub entry: Option<u64>,
}

/// Why there is no step up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The return address is 0: nobody called the outermost function.
    Outermost,
    /// No table says anything about this address.
    NoTable(VirtAddr),
    /// The table about an address is damaged, or uses what the System V ABI does not.
    Table(gimli::Error),
    /// A rule needs a register that is not known here.
    Unknown,
    /// A word of the stack cannot be read.
    Unreadable(VirtError),
    /// The caller's stack would not lie above this one: the stack is smashed.
    NotUpwards {
        /// Where the caller's stack would be.
        to: VirtAddr,
    },
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Outermost => f.write_str("the outermost function"),
            Stop::NoTable(at) => write!(f, "no unwind table is about {at}"),
            Stop::Table(why) => write!(f, "the unwind table cannot be used: {why}"),
            Stop::Unknown => f.write_str("a register that is needed is not known"),
            Stop::Unreadable(why) => write!(f, "the stack cannot be read: {why}"),
            Stop::NotUpwards { to } => {
                write!(f, "the caller's stack would be at {to}, which is not above")
            }
        }
    }
}

/// Room for the rules of one row: sixteen general registers, the return address, and some to
/// spare. Everything is on the stack.
struct Fixed;

impl UnwindContextStorage<usize> for Fixed {
    type Rules = [(Register, RegisterRule<usize>); 24];
    type Stack = [UnwindTableRow<usize, Self>; 3];
}

/// The caller of the function that `registers` are of, by the image's tables.
///
/// `is_interrupted` says whether RIP is an instruction that was about to run; otherwise it is a
/// return address, and the call before it counts.
///
/// # Errors
///
/// The reason why there is no further step.
pub fn by_tables(
    image: &Image<'_>,
    registers: &Registers,
    is_interrupted: bool,
    read: &mut dyn FnMut(VirtAddr) -> Result<u64, VirtError>,
) -> Result<Caller, Stop> {
    let rip = registers.rip().ok_or(Stop::Unknown)?;
    let called_at = rip.wrapping_sub(u64::from(!is_interrupted));
    let linked = called_at.wrapping_sub(image.base);
    let none = |why| match why {
        gimli::Error::NoUnwindInfoForAddress => Stop::NoTable(VirtAddr(called_at)),
        why => Stop::Table(why),
    };
    let entry = entry(image, linked).map_err(none)?;
    let mut context = UnwindContext::<usize, Fixed>::new_in();
    let row = entry
        .unwind_info_for_address(&image.frames, &image.bases, &mut context, linked)
        .map_err(none)?;

    let cfa = match row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => registers
            .get(usize::from(register.0))
            .ok_or(Stop::Unknown)?
            .wrapping_add_signed(*offset),
        CfaRule::Expression(_) => return Err(Stop::Table(gimli::Error::UnsupportedEvaluation)),
    };
    // What the ABI keeps across calls is the caller's still, unless a rule says otherwise; the
    // rest is lost, except across an interruption.
    let is_signal = entry.is_signal_trampoline();
    let mut caller = Registers::default();
    for number in 0..RIP {
        let kept = is_signal || matches!(number, 3 | RBP | 12..=15);
        caller.set(number, registers.get(number).filter(|_| kept));
    }
    caller.set(RSP, Some(cfa));
    for (register, rule) in row.registers() {
        let value = match rule {
            RegisterRule::SameValue => registers.get(usize::from(register.0)),
            RegisterRule::Offset(offset) => {
                let at = VirtAddr(cfa.wrapping_add_signed(*offset));
                Some(read(at).map_err(Stop::Unreadable)?)
            }
            RegisterRule::ValOffset(offset) => Some(cfa.wrapping_add_signed(*offset)),
            RegisterRule::Register(other) => registers.get(usize::from(other.0)),
            RegisterRule::Constant(value) => Some(*value),
            // How a function says that nobody called it (DWARF 5, section 6.4.4).
            RegisterRule::Undefined if usize::from(register.0) == RIP => {
                return Err(Stop::Outermost);
            }
            RegisterRule::Undefined => None,
            _ => return Err(Stop::Table(gimli::Error::UnsupportedEvaluation)),
        };
        caller.set(usize::from(register.0), value);
    }
    check(registers, &caller, is_signal)?;
    Ok(Caller {
        registers: caller,
        is_interrupted: is_signal,
        entry: is_signal.then_some(cfa),
    })
}

impl Image<'_> {
    /// Whether a table is about this address.
    pub(crate) fn has_table(&self, address: u64) -> bool {
        entry(self, address.wrapping_sub(self.base)).is_ok()
    }
}

/// The entry about an address. The header's table says where it may be; gimli's own way from
/// there subtracts before it checks, so a damaged table could make it panic.
fn entry<'a>(image: &Image<'a>, linked: u64) -> gimli::Result<FrameDescriptionEntry<Bytes<'a>>> {
    let nothing = gimli::Error::NoUnwindInfoForAddress;
    let table = image.header.table().ok_or(nothing)?;
    let gimli::Pointer::Direct(at) = table.lookup(linked, &image.bases)? else {
        return Err(nothing);
    };
    let offset = image
        .offset(at)
        .ok_or(gimli::Error::OffsetOutOfBounds(at))?;
    let entry =
        image
            .frames
            .fde_from_offset(&image.bases, offset.into(), EhFrame::cie_from_offset)?;
    match entry.contains(linked) {
        true => Ok(entry),
        false => Err(nothing),
    }
}

/// The caller of the function that `registers` are of, if both keep RBP as a frame pointer: the
/// caller's RBP lies where RBP points to, and the return address above it.
///
/// # Errors
///
/// The reason why there is no further step.
pub fn by_frame_pointer(
    registers: &Registers,
    read: &mut dyn FnMut(VirtAddr) -> Result<u64, VirtError>,
) -> Result<Caller, Stop> {
    let rbp = registers.rbp().ok_or(Stop::Unknown)?;
    if rbp == 0 {
        return Err(Stop::Outermost);
    }
    let saved = read(VirtAddr(rbp)).map_err(Stop::Unreadable)?;
    let rip = read(VirtAddr(rbp.wrapping_add(8))).map_err(Stop::Unreadable)?;
    let mut caller = Registers::default();
    caller.set(RBP, Some(saved));
    caller.set(RSP, Some(rbp.wrapping_add(16)));
    caller.set(RIP, Some(rip));
    check(registers, &caller, false)?;
    Ok(Caller {
        registers: caller,
        is_interrupted: false,
        entry: None,
    })
}

/// Whether a caller can be one: stacks grow downwards, so each caller's lies above; only an
/// interruption may have switched to another. This also bounds every walk.
fn check(callee: &Registers, caller: &Registers, is_signal: bool) -> Result<(), Stop> {
    match caller.rip() {
        None => return Err(Stop::Unknown),
        Some(0) => return Err(Stop::Outermost),
        Some(_) => {}
    }
    match (callee.rsp(), caller.rsp()) {
        (Some(below), Some(above)) if above <= below && !is_signal => Err(Stop::NotUpwards {
            to: VirtAddr(above),
        }),
        (_, Some(_)) => Ok(()),
        // The stack of what was interrupted may be nowhere yet; where it goes on is known.
        (_, None) if is_signal => Ok(()),
        (_, None) => Err(Stop::Unknown),
    }
}
