//! `in` and `out`.

use x86_64::instructions::port::Port;

/// Reads a byte from an I/O port.
///
/// # Safety
///
/// Reading some ports changes the device behind them; the caller must own that device.
pub(crate) unsafe fn read_u8(port: u16) -> u8 {
    // SAFETY: the caller owns the device.
    unsafe { Port::<u8>::new(port).read() }
}

/// Writes a byte to an I/O port.
///
/// # Safety
///
/// A device may do anything, DMA included; the caller must own it and mean this.
pub(crate) unsafe fn write_u8(port: u16, value: u8) {
    // SAFETY: the caller owns the device and means this.
    unsafe { Port::<u8>::new(port).write(value) };
}

/// Writes a 16-bit word to an I/O port.
///
/// # Safety
///
/// As for [`write_u8`].
pub(crate) unsafe fn write_u16(port: u16, value: u16) {
    // SAFETY: the caller owns the device and means this.
    unsafe { Port::<u16>::new(port).write(value) };
}
