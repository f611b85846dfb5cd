//! Keys from both consoles, in the order they arrived.
//!
//! The interrupt handlers put keys in; the shell takes them out. When there is no room, bytes
//! stay in the UART, whose flow control holds the sender: a flood loses nothing.

use shell::{Decoder, Key};

use crate::arch::cpu;
use crate::debugger;
use crate::devices::keyboard::Pressed;
use crate::devices::{keyboard, serial};
use crate::lock::Lock;

/// Which console a key came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Wire,
    Keyboard,
}

struct Input {
    keys: heapless::Deque<(Key, Source), KEYS>,
    decoder: Decoder,
}

/// Locked only with interrupts off, so that no handler ever finds it taken.
static INPUT: Lock<Input> = Lock::new("the keys", Input::new());
/// For the debugger, while the stopped world holds the other: one whose handler of the keyboard or
/// of the serial line was stopped in the middle.
static OTHER: Lock<Input> = Lock::new("the other keys", Input::new());

/// What on the serial line asks for the debugger: Ctrl with a backslash.
const BREAK_IN: u8 = 0x1c;

/// How many keys may wait. What is typed beyond them stays in the UART, and a Ctrl-C behind it is not
/// seen until a key has been taken: so there is room for a few screens of pasted commands.
const KEYS: usize = 8192;

/// One byte makes at most this many keys.
const ROOM: usize = 4;

/// Runs `body` on the keys; for the debugger.
fn with<R>(body: impl FnOnce(&mut Input) -> R) -> R {
    cpu::without_interrupts(|| match INPUT.try_lock() {
        Some(mut input) => body(&mut input),
        None => body(&mut OTHER.lock()),
    })
}

impl Input {
    const fn new() -> Self {
        Input {
            keys: heapless::Deque::new(),
            decoder: Decoder::new(),
        }
    }

    fn drain_serial(&mut self) {
        // Split, so that the room can be asked about while a byte is being put in.
        let keys = core::cell::RefCell::new(&mut self.keys);
        let decoder = &mut self.decoder;
        serial::drain(
            |byte| {
                if byte == BREAK_IN {
                    debugger::break_in();
                    return true;
                }
                decoder.feed(byte, |key| {
                    // There is room: asked before every byte.
                    let _ = keys.borrow_mut().push_back((key, Source::Wire));
                });
                true
            },
            || {
                let keys = keys.borrow();
                keys.capacity() - keys.len() >= ROOM
            },
        );
    }
}

/// Takes in what the UART has; called by its interrupt and by the timer's.
pub(crate) fn serial_interrupt() {
    // Seen however many keys wait.
    if serial::take_break() {
        debugger::break_in();
    }
    cpu::without_interrupts(|| {
        if let Some(mut input) = INPUT.try_lock() {
            input.drain_serial();
        }
    });
}

/// Takes in what the keyboard has; called by its interrupt and by the timer's.
pub(crate) fn keyboard_interrupt() {
    // Bounded: the controller holds 16 bytes.
    for _ in 0..32 {
        let Some(code) = keyboard::scan_code() else {
            return;
        };
        match keyboard::decode(code) {
            // With so many keys waiting, a person is not typing any more.
            Some(Pressed::Key(key)) => with(|input| {
                let _ = input.keys.push_back((key, Source::Keyboard));
            }),
            Some(Pressed::BreakIn) => debugger::break_in(),
            None => {}
        }
    }
}

/// The next key, if there is one.
pub(crate) fn take() -> Option<(Key, Source)> {
    if debugger::is_stopped() {
        poll();
    }
    with(|input| {
        if input.keys.len() < ROOM {
            input.drain_serial();
        }
        input.keys.pop_front()
    })
}

/// Takes in what both devices have, for a debugger whose interrupts may not come.
fn poll() {
    cpu::without_interrupts(|| {
        keyboard_interrupt();
        if serial::take_break() {
            debugger::break_in();
        }
        if serial::is_taken() {
            let mut input = OTHER.lock();
            let input = &mut *input;
            while input.keys.capacity() - input.keys.len() >= ROOM
                && let Some(byte) = serial::receive_unlocked()
            {
                input.decoder.feed(byte, |key| {
                    let _ = input.keys.push_back((key, Source::Wire));
                });
            }
        }
    });
}

/// Waits for the next key; `None` if the world was stopped before one came.
pub(crate) fn wait() -> Option<(Key, Source)> {
    loop {
        let _ = cpu::interrupts_off();
        if let Some(key) = take() {
            cpu::interrupts_on();
            return Some(key);
        }
        if debugger::is_dead() {
            // What died may have left the timer or the interrupts' controllers in any state.
            cpu::interrupts_on();
            pause();
            continue;
        }
        if debugger::is_stopped() {
            cpu::sleep_until_interrupt();
            continue;
        }
        let somebody_ran = debugger::give_turns();
        if debugger::is_stopped() {
            cpu::interrupts_on();
            return None;
        }
        match somebody_ran {
            true => cpu::interrupts_on(),
            false => cpu::sleep_until_interrupt(),
        }
    }
}

/// A moment between two looks at the devices.
fn pause() {
    for _ in 0..10_000 {
        core::hint::spin_loop();
    }
}

/// Whether a key is waiting.
pub(crate) fn is_waiting() -> bool {
    with(|input| !input.keys.is_empty())
}

/// Whether Ctrl-C was pressed since; if so, it and everything typed before it is dropped.
pub(crate) fn take_interrupt() -> bool {
    with(|input| {
        let is_interrupt = |(key, _): &(Key, Source)| *key == Key::Ctrl('c');
        let Some(last) = input.keys.iter().rposition(is_interrupt) else {
            return false;
        };
        for _ in 0..=last {
            let _ = input.keys.pop_front();
        }
        true
    })
}
