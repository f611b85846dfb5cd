//! What the debug registers hold while the world runs.
//!
//! They are loaded whenever the debugger lets the world go, and switched off before it runs again:
//! they are the world's, in every process and in the kernel alike.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use machine::VirtAddr;
use shell::{DebugError, WatchKind, Watched};

use super::traps;
use crate::arch::{debug, entry};
use crate::target;

/// What one of the four is for. No lock: #DB asks, wherever it comes.
struct Slot {
    at: AtomicU64,
    /// The kind and the length as DR7 has them, with [`TAKEN`], or 0.
    how: AtomicU32,
}

impl Slot {
    const fn free() -> Self {
        Slot {
            at: AtomicU64::new(0),
            how: AtomicU32::new(0),
        }
    }
}

/// The slot is in use.
const TAKEN: u32 = 1 << 8;
/// It ends the process that runs into it: `iretq ... break`.
const FATAL: u32 = 1 << 9;

static SLOTS: [Slot; 4] = [const { Slot::free() }; 4];

fn how(slot: usize) -> u32 {
    SLOTS
        .get(slot)
        .map_or(0, |slot| slot.how.load(Ordering::Relaxed))
}

fn put(slot: usize, watched: Option<Watched>, flags: u32) {
    let Some(slot) = SLOTS.get(slot) else { return };
    let word = watched.map_or(0, |watched| encode(watched) | TAKEN | flags);
    slot.how.store(0, Ordering::Relaxed);
    slot.at
        .store(watched.map_or(0, |watched| watched.at.0), Ordering::Relaxed);
    slot.how.store(word, Ordering::Relaxed);
}

/// R/W in the low two bits and LEN above. SDM, "Debug Control Register (DR7)".
fn encode(watched: Watched) -> u32 {
    match (watched.kind, watched.bytes) {
        (WatchKind::Execute, _) => 0,
        (WatchKind::Write, bytes) => 1 | length(bytes) << 2,
        (WatchKind::Access, bytes) => 3 | length(bytes) << 2,
    }
}

fn length(bytes: u8) -> u32 {
    match bytes {
        1 => 0,
        2 => 1,
        8 => 2,
        _ => 3,
    }
}

/// What is watched by this register.
pub(super) fn get(slot: usize) -> Option<Watched> {
    let word = how(slot);
    if word & TAKEN == 0 || word & FATAL != 0 {
        return None;
    }
    let kind = match word & 3 {
        0 => WatchKind::Execute,
        1 => WatchKind::Write,
        _ => WatchKind::Access,
    };
    let bytes = match word >> 2 & 3 {
        0 => 1,
        1 => 2,
        2 => 8,
        _ => 4,
    };
    let at = SLOTS.get(slot)?.at.load(Ordering::Relaxed);
    Some(Watched {
        at: VirtAddr(at),
        bytes,
        kind,
    })
}

/// Watches something, or nothing.
pub(super) fn set(slot: usize, watched: Option<Watched>) -> Result<(), DebugError> {
    if let Some(watched) = watched {
        check(watched)?;
    }
    if slot >= SLOTS.len() || how(slot) & FATAL != 0 {
        return Err(DebugError::NoneFree);
    }
    put(slot, watched, 0);
    Ok(())
}

fn check(watched: Watched) -> Result<(), DebugError> {
    let at = watched.at.0;
    if !target::paging().is_canonical(watched.at) {
        return Err(DebugError::Refused("the address is not canonical"));
    }
    if watched.kind == WatchKind::Execute {
        return match entry::is_quiet(at) {
            true => Err(DebugError::Refused(
                "the debugger itself goes through there",
            )),
            false => Ok(()),
        };
    }
    let bytes = u64::from(watched.bytes);
    if !matches!(bytes, 1 | 2 | 4 | 8) || !at.is_multiple_of(bytes) {
        return Err(DebugError::Refused(
            "1, 2, 4 or 8 bytes can be watched, at a multiple of their number",
        ));
    }
    match traps::is_own(at) {
        true => Err(DebugError::Refused("the debugger itself works there")),
        false => Ok(()),
    }
}

/// Ends the process that comes to this address in ring 3; if no register is free, nobody.
pub(crate) fn arm_fatal(at: u64) {
    if let Some(slot) = (0..SLOTS.len()).find(|slot| how(*slot) & TAKEN == 0) {
        let watched = Watched {
            at: VirtAddr(at),
            bytes: 1,
            kind: WatchKind::Execute,
        };
        put(slot, Some(watched), FATAL);
        arm();
    }
}

/// Takes that back, and what DR6 reports of it.
pub(crate) fn disarm_fatal() {
    let _ = debug::take_status();
    if let Some(slot) = (0..SLOTS.len()).find(|slot| how(*slot) & FATAL != 0) {
        put(slot, None, 0);
        arm();
    }
}

/// Which of the registers that DR6 names belong to the debugger.
pub(super) fn hits(dr6: u64) -> u8 {
    (0..SLOTS.len()).fold(0, |hits, slot| {
        let is_ours = how(slot) & (TAKEN | FATAL) == TAKEN;
        let is_hit = dr6 & (1 << slot) != 0;
        hits | u8::from(is_ours && is_hit) << slot
    })
}

/// Whether the instruction here is watched.
pub(super) fn is_on(rip: u64) -> bool {
    SLOTS.iter().any(|slot| {
        let word = slot.how.load(Ordering::Relaxed);
        word & TAKEN != 0 && word & 3 == 0 && slot.at.load(Ordering::Relaxed) == rip
    })
}

/// DR7 for what is watched.
pub(super) fn control() -> u64 {
    (0..SLOTS.len()).fold(debug::OFF, |dr7, slot| {
        let word = how(slot);
        match word & TAKEN {
            0 => dr7,
            _ => dr7 | 1 << (slot * 2) | u64::from(word & 0xf) << (16 + slot * 4),
        }
    })
}

/// Loads the addresses; DR7 is off.
pub(super) fn load_addresses() {
    let mut addresses = [0; 4];
    for (address, slot) in addresses.iter_mut().zip(&SLOTS) {
        *address = slot.at.load(Ordering::Relaxed);
    }
    debug::load_addresses(addresses);
}

/// Arms everything, as the world is about to run.
pub(super) fn arm() {
    let control = control();
    if control != debug::OFF {
        debug::load_control(debug::OFF);
        load_addresses();
    }
    debug::load_control(control);
}

/// Switches everything off: the debugger is about to run.
pub(super) fn disarm() {
    debug::load_control(debug::OFF);
}
