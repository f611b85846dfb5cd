//! The PS/2 keyboard behind the i8042 controller.

use pc_keyboard::layouts::Us104Key;
use pc_keyboard::{DecodedKey, HandleControl, KeyCode, KeyState, PS2Keyboard, ScancodeSet1};
use shell::Key;

use crate::arch::port;
use crate::lock::Lock;

const DATA: u16 = 0x60;
const COMMAND: u16 = 0x64;
/// Status polls before the controller counts as absent.
const PATIENCE: u32 = 100_000;

static DECODER: Lock<PS2Keyboard<Us104Key, ScancodeSet1>> = Lock::new(
    "the keyboard",
    PS2Keyboard::new(ScancodeSet1::new(), Us104Key, HandleControl::Ignore),
);

/// A key, or the wish to stop whatever runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressed {
    Key(Key),
    /// F12, or Ctrl with a backslash.
    BreakIn,
}

/// Turns on port 1, its interrupt and the translation to scan code set 1, whatever the firmware
/// left behind. False where no controller answers.
pub(crate) fn init() -> bool {
    drain();
    if !command(0x20) {
        return false;
    }
    let Some(config) = read() else { return false };
    // Bit 0: IRQ 1. Bit 4: clock of port 1 stopped. Bit 6: translate to set 1.
    let wanted = (config | 0b100_0001) & !0b1_0000;
    if !(command(0x60) && write(wanted) && command(0xae)) {
        return false;
    }
    // 0xf4: start scanning. A keyboard that is already scanning answers 0xfa and goes on.
    if write(0xf4) {
        let _ = read();
    }
    drain();
    true
}

/// The next scan code byte, if there is one; called by IRQ 1.
pub(crate) fn scan_code() -> Option<u8> {
    // SAFETY: the status register is read-only.
    let status = unsafe { port::read_u8(COMMAND) };
    // Bit 0: a byte is waiting; bit 5: it is the mouse's.
    if status == 0xff || status & 1 == 0 {
        return None;
    }
    // SAFETY: takes the waiting byte out of the controller, which is ours.
    let byte = unsafe { port::read_u8(DATA) };
    (status & 0x20 == 0).then_some(byte)
}

/// Feeds a scan code; a key when one was pressed. Called by IRQ 1 only.
pub(crate) fn decode(scan_code: u8) -> Option<Pressed> {
    let mut decoder = DECODER.try_lock()?;
    let event = decoder.add_byte(scan_code).ok()??;
    let pressed = event.state != KeyState::Up;
    let code = event.code;
    let decoded = decoder.process_keyevent(event)?;
    let modifiers = decoder.get_modifiers();
    let control = modifiers.lctrl || modifiers.rctrl;
    let alt = modifiers.lalt;
    if !pressed {
        return None;
    }
    if code == KeyCode::F12 || (control && decoded == DecodedKey::Unicode('\\')) {
        return Some(Pressed::BreakIn);
    }
    let key = match decoded {
        DecodedKey::Unicode(character) => Some(match character {
            '\n' | '\r' => Key::Enter,
            '\t' => Key::Tab,
            '\x08' => Key::Backspace,
            '\x7f' => Key::Delete,
            '\x1b' => Key::Escape,
            letter if control && letter.is_ascii_alphabetic() => {
                Key::Ctrl(letter.to_ascii_lowercase())
            }
            letter if alt => Key::Alt(letter),
            other => Key::Char(other),
        }),
        DecodedKey::RawKey(_) => special(code, control),
    };
    key.map(Pressed::Key)
}

fn special(code: KeyCode, control: bool) -> Option<Key> {
    Some(match code {
        KeyCode::ArrowLeft if control => Key::WordLeft,
        KeyCode::ArrowRight if control => Key::WordRight,
        KeyCode::ArrowLeft => Key::Left,
        KeyCode::ArrowRight => Key::Right,
        KeyCode::ArrowUp => Key::Up,
        KeyCode::ArrowDown => Key::Down,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Delete => Key::Delete,
        KeyCode::NumpadEnter => Key::Enter,
        _ => return None,
    })
}

fn command(byte: u8) -> bool {
    if !ready_to_write() {
        return false;
    }
    // SAFETY: the controller is ours and says it can take a command.
    unsafe { port::write_u8(COMMAND, byte) };
    true
}

fn write(byte: u8) -> bool {
    if !ready_to_write() {
        return false;
    }
    // SAFETY: the controller is ours and says it can take a byte.
    unsafe { port::write_u8(DATA, byte) };
    true
}

fn ready_to_write() -> bool {
    (0..PATIENCE).any(|_| {
        // SAFETY: the status register is read-only.
        let status = unsafe { port::read_u8(COMMAND) };
        status & 0b10 == 0
    })
}

fn read() -> Option<u8> {
    for _ in 0..PATIENCE {
        // SAFETY: the status register is read-only.
        let status = unsafe { port::read_u8(COMMAND) };
        if status == 0xff {
            return None;
        }
        if status & 1 != 0 {
            // SAFETY: takes the waiting byte out of the controller, which is ours.
            return Some(unsafe { port::read_u8(DATA) });
        }
    }
    None
}

fn drain() {
    for _ in 0..64 {
        if scan_code().is_none() {
            return;
        }
    }
}
