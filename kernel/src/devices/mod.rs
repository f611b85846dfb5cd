//! The handful of devices a shell needs: a serial line, a keyboard, a timer, a way out.

#[expect(unsafe_code, reason = "the i8042's ports")]
pub(crate) mod keyboard;
#[expect(unsafe_code, reason = "the ports that turn a machine off or reset it")]
pub(crate) mod power;
#[expect(unsafe_code, reason = "COM1's ports")]
pub(crate) mod serial;
#[expect(unsafe_code, reason = "the ports of the 8259 PICs and the 8254 PIT")]
pub(crate) mod timer;
