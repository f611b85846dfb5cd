//! The shell's terminal: both consoles at once.

use shell::{Key, Sink, Terminal};

use crate::console;
use crate::devices::serial;
use crate::input::{self, Source};

/// What a serial terminal is taken to be; it is never asked.
const WIRE_SIZE: (u16, u16) = (80, 24);

/// Both consoles.
pub(crate) struct Consoles {
    /// Who typed last: paging follows that console's size.
    last: Source,
}

impl Consoles {
    /// Both consoles, as if the last key had come over the wire if there is one.
    pub(crate) fn new() -> Self {
        let last = if serial::is_present() {
            Source::Wire
        } else {
            Source::Keyboard
        };
        Consoles { last }
    }
}

impl Terminal for Consoles {
    fn key(&mut self) -> Option<Key> {
        loop {
            if !input::is_waiting() {
                console::show();
            }
            let (key, source) = input::wait();
            self.last = source;
            // A serial terminal has its own scrollback; the screen's is here.
            match (key, source) {
                (Key::PageUp, Source::Keyboard) => console::scroll(true),
                (Key::PageDown, Source::Keyboard) => console::scroll(false),
                _ => return Some(key),
            }
        }
    }

    fn write(&mut self, sink: Sink, text: &str) {
        console::write(sink, text);
        console::show_sometimes();
    }

    fn interrupted(&mut self) -> bool {
        input::take_interrupt()
    }

    fn size(&self) -> (u16, u16) {
        match self.last {
            Source::Keyboard => console::screen_size().unwrap_or(WIRE_SIZE),
            Source::Wire => WIRE_SIZE,
        }
    }
}
