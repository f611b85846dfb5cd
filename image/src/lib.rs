//! Writes a disk image: `image-uefi --kernel FILE --image FILE [--ramdisk FILE]`, or `image-bios`.
//!
//! Programs of their own, because `bootloader` carries the boot stages in it and these are compiled
//! by the kernel's toolchain; the host's own programs need neither. `cargo xtask` calls them.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use bootloader::{BootConfig, DiskImageBuilder};
use bootloader_boot_config::LevelFilter;

/// What a program of this crate does: reads its arguments, and has the image written by one way of booting.
pub fn main(write: impl FnOnce(&DiskImageBuilder, &Path) -> anyhow::Result<()>) -> ExitCode {
    match run(write) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("image: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(write: impl FnOnce(&DiskImageBuilder, &Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut kernel = None;
    let mut image = None;
    let mut ramdisk = None;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        let slot = match argument {
            lexopt::Arg::Long("kernel") => &mut kernel,
            lexopt::Arg::Long("image") => &mut image,
            lexopt::Arg::Long("ramdisk") => &mut ramdisk,
            other => return Err(other.unexpected().into()),
        };
        *slot = Some(PathBuf::from(parser.value()?));
    }

    let kernel = kernel.context("which kernel? (--kernel FILE)")?;
    let image = image.context("where to? (--image FILE)")?;
    let mut builder = DiskImageBuilder::new(kernel);
    if let Some(ramdisk) = ramdisk {
        builder.set_ramdisk(ramdisk);
    }
    builder.set_boot_config(&config());
    write(&builder, &image).with_context(|| format!("cannot write {}", image.display()))
}

/// What the bootloader is told at boot.
fn config() -> BootConfig {
    let mut config = BootConfig::default();
    // The serial line and the screen are the kernel's: a script reads the first, a person the
    // second. Only what ends a boot is worth a line from the bootloader.
    config.log_level = LevelFilter::Error;
    config.serial_logging = true;
    config.frame_buffer_logging = true;
    config
}
