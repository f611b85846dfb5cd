//! The two ways to boot.

/// What runs before the bootloader.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Firmware {
    /// OVMF.
    #[default]
    Uefi,
    /// SeaBIOS.
    Bios,
}

impl Firmware {
    /// Both.
    pub const ALL: [Firmware; 2] = [Firmware::Uefi, Firmware::Bios];

    /// Its word on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Firmware::Uefi => "uefi",
            Firmware::Bios => "bios",
        }
    }

    /// Its name as people write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Firmware::Uefi => "UEFI",
            Firmware::Bios => "BIOS",
        }
    }
}
