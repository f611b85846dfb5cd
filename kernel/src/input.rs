//! Keys from both consoles, in the order they arrived.
//!
//! The interrupt handlers put keys in; the shell takes them out. When there is no room, bytes
//! stay in the UART, whose flow control holds the sender: a flood loses nothing.

use shell::{Decoder, Key};
use spin::Mutex;

use crate::arch::cpu;
use crate::devices::{keyboard, serial};
use crate::process;

/// Which console a key came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Wire,
    Keyboard,
}

struct Input {
    keys: heapless::Deque<(Key, Source), 1024>,
    decoder: Decoder,
}

/// Locked only with interrupts off, so that no handler ever finds it taken.
static INPUT: Mutex<Input> = Mutex::new(Input {
    keys: heapless::Deque::new(),
    decoder: Decoder::new(),
});

/// One byte makes at most this many keys.
const ROOM: usize = 4;

fn with<R>(body: impl FnOnce(&mut Input) -> R) -> R {
    cpu::without_interrupts(|| body(&mut INPUT.lock()))
}

impl Input {
    fn drain_serial(&mut self) {
        // Split, so that the room can be asked about while a byte is being put in.
        let keys = core::cell::RefCell::new(&mut self.keys);
        let decoder = &mut self.decoder;
        serial::drain(
            |byte| {
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
    with(Input::drain_serial);
}

/// Takes in what the keyboard has; called by its interrupt and by the timer's.
pub(crate) fn keyboard_interrupt() {
    // Bounded: the controller holds 16 bytes.
    for _ in 0..32 {
        let Some(code) = keyboard::scan_code() else {
            return;
        };
        if let Some(key) = keyboard::decode(code) {
            // With 1024 keys waiting, a person is not typing any more.
            with(|input| {
                let _ = input.keys.push_back((key, Source::Keyboard));
            });
        }
    }
}

/// The next key, if there is one.
pub(crate) fn take() -> Option<(Key, Source)> {
    with(|input| {
        if input.keys.len() < ROOM {
            input.drain_serial();
        }
        input.keys.pop_front()
    })
}

/// Waits for the next key.
pub(crate) fn wait() -> (Key, Source) {
    loop {
        let _ = cpu::interrupts_off();
        let key = take();
        match key {
            Some(key) => {
                cpu::interrupts_on();
                return key;
            }
            None if process::run_others() => cpu::interrupts_on(),
            None => cpu::sleep_until_interrupt(),
        }
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
