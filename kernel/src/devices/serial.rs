//! COM1: the line people and scripts type on.
//!
//! Every byte is sent only when the transmitter says it is empty, since Bochs and real UARTs
//! drop bytes otherwise. The wait is bounded, since a stuck UART never says so: after one wait
//! that was in vain, bytes are dropped at once until the transmitter is empty again.

use core::sync::atomic::{AtomicBool, Ordering};

use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::IER;
use uart_16550::{BaudRate, Config, Uart16550};

use crate::arch::{cpu, port};
use crate::lock::Lock;

const BASE: u16 = 0x3f8;
/// LSR polls before the transmitter counts as stuck: seconds. A byte takes 87 us at 115200
/// baud, but an emulator may be kept waiting by whoever reads the other end.
const PATIENCE: u32 = 10_000_000;

static COM1: Lock<Option<Uart16550<PioBackend>>> = Lock::new("the serial line", None);

/// The last wait for the transmitter was in vain.
static STUCK: AtomicBool = AtomicBool::new(false);

/// The line was held in a break, and nobody has asked yet.
static BREAK: AtomicBool = AtomicBool::new(false);
/// A zero that waits is a break's.
static IS_BREAK_ZERO: AtomicBool = AtomicBool::new(false);

/// Looks for the UART and sets it to 115200 8N1; false when there is none.
pub(crate) fn init() -> bool {
    // SAFETY: COM1's eight ports belong to this module from here on.
    let Ok(mut uart) = (unsafe { Uart16550::new_port(BASE) }) else {
        return false;
    };
    let config = Config {
        baud_rate: BaudRate::Baud115200,
        ..Config::default()
    };
    if uart.init(config).is_err() {
        return false;
    }
    cpu::without_interrupts(|| *COM1.lock() = Some(uart));
    true
}

/// Whether a UART was found.
pub(crate) fn is_present() -> bool {
    cpu::without_interrupts(|| COM1.lock().is_some())
}

/// Lets the UART raise IRQ 4 when bytes arrive.
pub(crate) fn enable_interrupts() {
    cpu::without_interrupts(|| {
        if let Some(uart) = COM1.lock().as_mut() {
            uart.enable_interrupts(IER::DATA_READY);
        }
    });
}

/// Sends text, with a CR before each LF. Bytes the UART will not take in time are dropped.
pub(crate) fn write(text: &str) {
    for &byte in text.as_bytes() {
        if byte == b'\n' {
            send(b'\r');
        }
        send(byte);
    }
}

fn send(byte: u8) {
    let patience = if STUCK.load(Ordering::Relaxed) {
        1
    } else {
        PATIENCE
    };
    for _ in 0..patience {
        let sent = cpu::without_interrupts(|| match COM1.try_lock().as_deref_mut() {
            Some(None) => true,
            // Locked, or by a world that was stopped with it: nobody else uses the ports meanwhile.
            Some(Some(_)) | None => try_send_unlocked(byte),
        });
        if sent {
            STUCK.store(false, Ordering::Relaxed);
            return;
        }
        core::hint::spin_loop();
    }
    STUCK.store(true, Ordering::Relaxed);
}

/// Hands every byte that has arrived to `take`, until it returns false ("no room").
pub(crate) fn drain(mut take: impl FnMut(u8) -> bool, mut has_room: impl FnMut() -> bool) {
    cpu::without_interrupts(|| {
        // The world was stopped with it: `receive_unlocked` is for that.
        let Some(com1) = COM1.try_lock() else {
            return;
        };
        if com1.is_none() {
            return;
        }
        // Bounded: a UART that always claims to have data must not hold us here.
        for _ in 0..4096 {
            if !has_room() {
                return;
            }
            match receive_unlocked() {
                Some(byte) if take(byte) => {}
                _ => return,
            }
        }
    });
}

/// Runs `body` while the UART is locked, as if it had been interrupted in the middle of sending.
pub(crate) fn while_locked(body: impl FnOnce()) {
    let _com1 = COM1.lock();
    body();
}

/// Sends text without any lock, for faults and panics: whoever holds the UART may be the one
/// that failed. Call with interrupts off.
pub(crate) fn write_emergency(text: &str) {
    for &byte in text.as_bytes() {
        if byte == b'\n' {
            send_emergency(b'\r');
        }
        send_emergency(byte);
    }
}

/// What has arrived, byte by byte, without any lock: for the debugger while the stopped world holds
/// the UART.
pub(crate) fn receive_unlocked() -> Option<u8> {
    const DATA_READY: u8 = 1;
    // A break comes with a zero that nobody has typed.
    for _ in 0..2 {
        if status()? & DATA_READY == 0 {
            return None;
        }
        // SAFETY: takes the byte that waits; whoever else reads is stopped, or has it locked.
        let byte = unsafe { port::read_u8(BASE) };
        if byte != 0 || !IS_BREAK_ZERO.swap(false, Ordering::Relaxed) {
            return Some(byte);
        }
    }
    None
}

/// Whether somebody held the line in a break since this was last asked.
pub(crate) fn take_break() -> bool {
    let _ = status();
    BREAK.swap(false, Ordering::Relaxed)
}

/// LSR; `None` where there is no UART. Reading it forgets a break, and whoever waits for the
/// transmitter reads it, too: so it is read here only, and a break is noted.
fn status() -> Option<u8> {
    const BREAK_INTERRUPT: u8 = 1 << 4;
    // SAFETY: reading LSR takes its error bits; the one that is of interest is kept.
    let status = unsafe { port::read_u8(BASE + 5) };
    // Where there is no UART every bit is set.
    if status == 0xff {
        return None;
    }
    if status & BREAK_INTERRUPT != 0 {
        BREAK.store(true, Ordering::Relaxed);
        IS_BREAK_ZERO.store(true, Ordering::Relaxed);
    }
    Some(status)
}

/// Whether the world was stopped while it used the UART.
pub(crate) fn is_taken() -> bool {
    cpu::without_interrupts(|| COM1.try_lock().is_none())
}

fn try_send_unlocked(byte: u8) -> bool {
    if status().is_some_and(|status| status & TRANSMITTER_EMPTY == 0) {
        return false;
    }
    // SAFETY: sends one byte on our own UART; where there is no UART the write is lost.
    unsafe { port::write_u8(BASE, byte) };
    true
}

const TRANSMITTER_EMPTY: u8 = 1 << 5;

fn send_emergency(byte: u8) {
    let patience = if STUCK.load(Ordering::Relaxed) {
        1
    } else {
        PATIENCE
    };
    for _ in 0..patience {
        if try_send_unlocked(byte) {
            STUCK.store(false, Ordering::Relaxed);
            return;
        }
        core::hint::spin_loop();
    }
    STUCK.store(true, Ordering::Relaxed);
}
