//! The shell's terminal: both consoles at once.

use shell::{Key, Sink, Terminal, Typed};

use crate::console;
use crate::debugger::{self, Phase};
use crate::devices::{serial, timer};
use crate::input::{self, Source};

/// What a serial terminal is taken to be; it is never asked.
const WIRE_SIZE: (u16, u16) = (80, 24);

/// Ticks between two turns of the processes while a command runs.
const GIVE_WAY_TICKS: u64 = 2;

/// Both consoles.
pub(crate) struct Consoles {
    /// Who typed last: paging follows that console's size.
    last: Source,
    /// The tick at which the processes had their last turn.
    gave_way: u64,
}

impl Consoles {
    /// Both consoles, as if the last key had come over the wire if there is one.
    pub(crate) fn new() -> Self {
        let last = if serial::is_present() {
            Source::Wire
        } else {
            Source::Keyboard
        };
        Consoles { last, gave_way: 0 }
    }

    /// Notes where a key came from; `None` if it was for the screen's scrollback. A serial
    /// terminal has its own.
    fn typed(&mut self, key: Key, source: Source) -> Option<Key> {
        self.last = source;
        match (key, source) {
            (Key::PageUp, Source::Keyboard) => console::scroll(true),
            (Key::PageDown, Source::Keyboard) => console::scroll(false),
            _ => return Some(key),
        }
        None
    }
}

impl Terminal for Consoles {
    fn key(&mut self) -> Option<Key> {
        loop {
            if !input::is_waiting() {
                console::show();
            }
            let Some((key, source)) = input::wait() else {
                return Some(Key::Stopped);
            };
            if let Some(key) = self.typed(key, source) {
                return Some(key);
            }
        }
    }

    fn poll(&mut self) -> Typed {
        console::show_sometimes();
        while let Some((key, source)) = input::take() {
            if let Some(key) = self.typed(key, source) {
                return Typed::Key(key);
            }
        }
        Typed::Nothing
    }

    fn write(&mut self, sink: Sink, text: &str) {
        console::write(sink, text);
        console::show_sometimes();
    }

    fn interrupted(&mut self) -> bool {
        // A command that goes on and on must not keep the processes from running.
        let now = timer::ticks();
        if now.wrapping_sub(self.gave_way) >= GIVE_WAY_TICKS {
            let _ = debugger::give_turns();
            self.gave_way = timer::ticks();
        }
        input::take_interrupt()
    }

    fn working(&mut self, is_working: bool) {
        debugger::phase(match is_working {
            true => Phase::Busy,
            false => Phase::Waiting,
        });
    }

    fn size(&self) -> (u16, u16) {
        match self.last {
            Source::Keyboard => console::screen_size().unwrap_or(WIRE_SIZE),
            Source::Wire => WIRE_SIZE,
        }
    }
}
