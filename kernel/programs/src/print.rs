//! Printing: `print!` and `println!`, and [`say`] for programs that must stay small.

use core::fmt;

use crate::abi;
use crate::calls;

/// Writes all of a text, waiting where the kernel takes only part of it.
pub fn say(text: &str) {
    say_to(abi::STDOUT, text.as_bytes());
}

pub(crate) fn say_to(fd: u64, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let Ok(taken @ 1..) = calls::write(fd, bytes) else {
            return;
        };
        bytes = bytes.get(taken..).unwrap_or_default();
    }
}

/// Collects text and writes it a line at a time, so that a line is one system call.
#[derive(Debug)]
pub struct Lines {
    fd: u64,
    held: [u8; 256],
    length: usize,
}

impl Lines {
    /// With nothing in it.
    #[must_use]
    pub const fn new(fd: u64) -> Self {
        Self {
            fd,
            held: [0; 256],
            length: 0,
        }
    }

    fn flush(&mut self) {
        say_to(self.fd, self.held.get(..self.length).unwrap_or_default());
        self.length = 0;
    }
}

impl fmt::Write for Lines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if let Some(slot) = self.held.get_mut(self.length) {
                *slot = byte;
                self.length += 1;
            }
            if byte == b'\n' || self.length == self.held.len() {
                self.flush();
            }
        }
        Ok(())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Prints.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => {{
        let mut lines = $crate::Lines::new($crate::abi::STDOUT);
        // Writing to a process's output cannot fail in a way it could do something about.
        let _ = core::fmt::Write::write_fmt(&mut lines, format_args!($($text)*));
    }};
}

/// Prints, and ends the line.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($form:literal $($rest:tt)*) => { $crate::print!("{}\n", format_args!($form $($rest)*)) };
}
