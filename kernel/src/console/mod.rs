//! Text out: the serial line and the screen show the same.

mod emergency;
#[expect(unsafe_code, reason = "pixels")]
mod pixels;
mod screen;

pub(crate) use emergency::{emergency, report_row};

use bootloader_api::info::FrameBuffer;
use shell::Sink;

use crate::devices::serial;
use crate::lock::Lock;
use screen::Screen;

/// `None` before the heap exists, and on a machine without a framebuffer.
static SCREEN: Lock<Option<Screen>> = Lock::new("the screen", None);
/// What was written before the screen was there, to be shown when it is.
static EARLY: Lock<heapless::String<2048>> = Lock::new("the first text", heapless::String::new());

/// Remembers where the pixels are, for faults and panics and for [`init_screen`].
pub(crate) fn find_pixels(framebuffer: Option<&FrameBuffer>) {
    pixels::init(framebuffer);
}

/// Starts the screen console, if there is a framebuffer, with what was written so far.
/// Needs the heap.
pub(crate) fn init_screen() {
    let Some(surface) = pixels::surface() else {
        return;
    };
    let mut screen = Screen::new(surface);
    screen.write(&EARLY.lock());
    screen.show();
    *SCREEN.lock() = Some(screen);
}

/// Writes text. Not for interrupt handlers: they may find the locks held.
pub(crate) fn write(sink: Sink, text: &str) {
    if matches!(sink, Sink::All | Sink::Wire) {
        serial::write(text);
    }
    if matches!(sink, Sink::All | Sink::Screen) {
        match SCREEN.lock().as_mut() {
            Some(screen) => screen.write(text),
            None => {
                // Boot prints a few hundred bytes; what does not fit is on the serial line.
                let _ = EARLY.lock().push_str(text);
            }
        }
    }
}

/// Brings the pixels up to date.
pub(crate) fn show() {
    if let Some(screen) = SCREEN.lock().as_mut() {
        screen.show();
    }
}

/// Brings the pixels up to date if that was long ago, measured by how long it takes: however
/// slow the framebuffer, text that pours out spends most of its time on the text.
pub(crate) fn show_sometimes() {
    if let Some(screen) = SCREEN.lock().as_mut() {
        screen.show_sometimes();
    }
}

/// Turns a page of scrollback, up or down.
pub(crate) fn scroll(up: bool) {
    if let Some(screen) = SCREEN.lock().as_mut() {
        screen.scroll(up);
    }
}

/// Columns and rows of the screen.
pub(crate) fn screen_size() -> Option<(u16, u16)> {
    SCREEN.lock().as_ref().map(Screen::size)
}

/// Runs `body` while the screen and the early text are locked, as if it had been interrupted
/// in the middle of printing.
pub(crate) fn while_locked(body: impl FnOnce()) {
    let _screen = SCREEN.lock();
    let _early = EARLY.lock();
    serial::while_locked(body);
}

/// `write!` to both consoles.
pub(crate) struct Both;

impl core::fmt::Write for Both {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        write(Sink::All, text);
        Ok(())
    }
}
