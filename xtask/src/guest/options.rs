//! What kind of machine to boot, and how long to wait for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::scratch::Scratch;

pub use builder::firmware::Firmware;

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Accel {
    /// QEMU's translator: the same everywhere.
    #[default]
    Tcg,
    /// The processor, where the host allows it.
    Kvm,
}

impl Accel {
    /// Its word on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Accel::Tcg => "tcg",
            Accel::Kvm => "kvm",
        }
    }
}

/// A machine to boot.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program.
    pub qemu: PathBuf,
    /// The UEFI firmware's file.
    pub ovmf: PathBuf,
    /// The disk.
    pub image: PathBuf,
    /// The folder the disk is in, if it goes when nobody needs it any more.
    pub disks: Option<Arc<Scratch>>,
    /// The build id the guest must announce, unless `None`.
    pub build_id: Option<String>,
    /// A qcow2 file over the disk, which keeps what is written and QEMU's snapshots; `None`: what is
    /// written is lost. A machine that has one can be recorded and replayed.
    pub overlay: Option<PathBuf>,
    /// What runs first.
    pub firmware: Firmware,
    /// Megabytes of RAM.
    pub memory_mib: u32,
    /// Processors.
    pub smp: u32,
    /// What executes them.
    pub accel: Accel,
    /// QEMU's CPU model; `None` is QEMU's default.
    pub cpu: Option<String>,
    /// Whether there is a serial port; without one only the screen and the keyboard are left.
    pub serial: bool,
    /// Whether there is a display adapter.
    pub screen: bool,
    /// Wait for GDB on port 1234 before the first instruction.
    pub gdb: bool,
    /// More words for QEMU's command line.
    pub extra: Vec<String>,
    /// How long booting, and after that each wait, may take.
    pub timeout: Duration,
    /// How long the serial line may be silent meanwhile.
    pub silence: Duration,
    /// Where the serial line is kept, in a file of its own.
    pub logs: PathBuf,
}
