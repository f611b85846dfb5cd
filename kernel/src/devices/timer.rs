//! The 8259 interrupt controllers and the 8254 timer, which ticks 100 times a second.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pic8259::ChainedPics;
use shell::Lines;

use crate::arch::{cpu, port};

/// Hardware interrupts come in at vectors 0x20 to 0x2f, past the CPU's own 32.
pub(crate) const FIRST_VECTOR: u8 = 0x20;
/// IRQ 0.
pub(crate) const TIMER: u8 = FIRST_VECTOR;
/// IRQ 1.
pub(crate) const KEYBOARD: u8 = FIRST_VECTOR + 1;
/// IRQ 4.
pub(crate) const SERIAL: u8 = FIRST_VECTOR + 4;

/// What is let through: IRQs 0, 1, 2 (the second PIC) and 4.
const MASKS: [u8; 2] = [!0b1_0111, 0xff];

/// Ticks a second.
pub(crate) const HERTZ: u64 = 100;
/// The 8254's input clock, in Hz.
const PIT_HZ: u64 = 1_193_182;

static TICKS: AtomicU64 = AtomicU64::new(0);
static CYCLES_PER_SECOND: AtomicU64 = AtomicU64::new(0);
static CYCLES_AT_START: AtomicU64 = AtomicU64::new(0);

/// Whether [`init`] was begun, and whether it came to its end: until then the PICs raise the CPU's own vectors.
static IS_TRIED: AtomicBool = AtomicBool::new(false);
static IS_READY: AtomicBool = AtomicBool::new(false);

/// What [`init`] does, unless that was tried and failed. Whether interrupts come.
pub(crate) fn init_if_untried() -> bool {
    if !IS_TRIED.load(Ordering::Relaxed) {
        init();
    }
    IS_READY.load(Ordering::Relaxed)
}

/// Remaps the PICs, lets timer, keyboard and COM1 through, and starts the timer.
/// Call with interrupts off and the IDT loaded.
pub(crate) fn init() {
    IS_TRIED.store(true, Ordering::Relaxed);
    calibrate();
    {
        // SAFETY: the offsets are two distinct blocks of eight vectors above the CPU's own.
        let mut pics = unsafe { ChainedPics::new(FIRST_VECTOR, FIRST_VECTOR + 8) };
        // SAFETY: the IDT handles every vector the PICs can now raise.
        unsafe { pics.initialize() };
        let [first, second] = MASKS;
        // SAFETY: masking cannot raise anything; the IDT handles what is let through.
        unsafe { pics.write_masks(first, second) };
    }
    let [low, high] = u16::try_from(PIT_HZ / HERTZ).unwrap_or(0).to_le_bytes();
    for (at, value) in [(0x43, 0x34), (0x40, low), (0x40, high)] {
        // SAFETY: the PIT is ours; channel 0 in mode 2 raises IRQ 0 periodically.
        unsafe { port::write_u8(at, value) };
    }
    IS_READY.store(true, Ordering::Relaxed);
}

/// Counts TSC cycles over 10 ms of PIT channel 2, whose output can be read at port 0x61.
/// Leaves the rate at 0 (unknown) where the PIT does not answer.
fn calibrate() {
    let count = PIT_HZ / 100;
    let [low, high] = u16::try_from(count).unwrap_or(0).to_le_bytes();
    // SAFETY: port 0x61 gates channel 2 and the speaker; both are ours.
    let gate = unsafe { port::read_u8(0x61) };
    for (at, value) in [
        (0x61, gate & !0b10 | 1),
        (0x43, 0xb0),
        (0x42, low),
        (0x42, high),
    ] {
        // SAFETY: channel 2 in mode 0 with the speaker off: it only counts down once.
        unsafe { port::write_u8(at, value) };
    }
    let start = cpu::cycles();
    CYCLES_AT_START.store(start, Ordering::Relaxed);
    for _ in 0..10_000_000u32 {
        // SAFETY: reading port 0x61 changes nothing.
        if unsafe { port::read_u8(0x61) } & 0x20 != 0 {
            let cycles = cpu::cycles().wrapping_sub(start);
            CYCLES_PER_SECOND.store(cycles.saturating_mul(100), Ordering::Relaxed);
            return;
        }
    }
}

/// Counts a tick; called by the timer's interrupt.
pub(crate) fn tick() {
    TICKS.fetch_add(1, Ordering::Relaxed);
}

/// Timer interrupts so far.
pub(crate) fn ticks() -> u64 {
    TICKS.load(Ordering::Relaxed)
}

/// Nanoseconds since the timer was calibrated, from the TSC; `None` where its rate is unknown.
pub(crate) fn nanoseconds() -> Option<u64> {
    let rate = CYCLES_PER_SECOND.load(Ordering::Relaxed);
    let cycles = cpu::cycles().wrapping_sub(CYCLES_AT_START.load(Ordering::Relaxed));
    let nanoseconds = u128::from(cycles)
        .checked_mul(1_000_000_000)?
        .checked_div(u128::from(rate))?;
    u64::try_from(nanoseconds).ok()
}

/// What the two controllers say: which lines are masked, have asked, or are being served.
pub(crate) fn lines() -> Lines {
    // OCW3: the next read of the command port gives IRR (0x0a) or ISR (0x0b).
    let register = |command: u8| {
        cpu::without_interrupts(|| {
            let mut word = [0; 2];
            for (byte, port) in word.iter_mut().zip([0x20, 0xa0]) {
                // SAFETY: the controllers are ours; OCW3 only selects what is read next.
                unsafe { port::write_u8(port, command) };
                // SAFETY: reading IRR or ISR changes nothing.
                *byte = unsafe { port::read_u8(port) };
            }
            u16::from_le_bytes(word)
        })
    };
    let mask = |port: u16| {
        // SAFETY: reading the mask register changes nothing.
        unsafe { port::read_u8(port) }
    };
    Lines {
        first_vector: FIRST_VECTOR,
        masked: u16::from_le_bytes([mask(0x21), mask(0xa1)]),
        requested: register(0x0a),
        in_service: register(0x0b),
    }
}

/// Whether `vector` is a hardware interrupt.
pub(crate) fn is_irq(vector: u8) -> bool {
    (FIRST_VECTOR..FIRST_VECTOR + 16).contains(&vector)
}

/// Tells the PICs that the interrupt has been handled.
pub(crate) fn end_of_interrupt(vector: u8) {
    if vector >= FIRST_VECTOR + 8 {
        end(0xa0);
    }
    end(0x20);
}

/// Tells the PICs that every interrupt has been handled, whoever was about to: the debugger runs
/// where its handler was stopped, and needs the others. Its own announcement ends nothing then.
pub(crate) fn end_all() {
    // Each of the sixteen can be in service once.
    for _ in 0..16 {
        let [first, second] = lines().in_service.to_le_bytes();
        if first | second == 0 {
            return;
        }
        if second != 0 {
            end(0xa0);
        }
        if first != 0 {
            end(0x20);
        }
    }
}

fn end(port: u16) {
    const END_OF_INTERRUPT: u8 = 0x20;
    // SAFETY: the controllers are ours; with nothing in service the command does nothing.
    unsafe { port::write_u8(port, END_OF_INTERRUPT) };
}

/// Lets the lines that the kernel serves through, or none: then they wait.
pub(crate) fn hold(held: bool) {
    let is_ready = IS_READY.load(Ordering::Relaxed);
    let masks = if held || !is_ready {
        [0xff, 0xff]
    } else {
        MASKS
    };
    for (port, mask) in [0x21, 0xa1].into_iter().zip(masks) {
        // SAFETY: masking cannot raise anything, and the IDT handles what is let through.
        unsafe { port::write_u8(port, mask) };
    }
}
