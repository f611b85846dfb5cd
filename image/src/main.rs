//! Writes the disk images: `image --kernel FILE --bios IMAGE --uefi IMAGE [--ramdisk FILE]`.
//!
//! A program of its own, because `bootloader` carries the boot stages in it and these are compiled
//! by the kernel's toolchain; the host's own programs need neither. `cargo xtask` calls it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use bootloader::{BootConfig, DiskImageBuilder};
use bootloader_boot_config::LevelFilter;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("image: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> anyhow::Result<()> {
    let mut kernel = None;
    let mut bios = None;
    let mut uefi = None;
    let mut ramdisk = None;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        let slot = match argument {
            lexopt::Arg::Long("kernel") => &mut kernel,
            lexopt::Arg::Long("bios") => &mut bios,
            lexopt::Arg::Long("uefi") => &mut uefi,
            lexopt::Arg::Long("ramdisk") => &mut ramdisk,
            other => return Err(other.unexpected().into()),
        };
        *slot = Some(PathBuf::from(parser.value()?));
    }

    let kernel = kernel.context("which kernel? (--kernel FILE)")?;
    let mut builder = DiskImageBuilder::new(kernel);
    if let Some(ramdisk) = ramdisk {
        builder.set_ramdisk(ramdisk);
    }
    builder.set_boot_config(&config());
    if let Some(bios) = bios {
        builder
            .create_bios_image(&bios)
            .with_context(|| format!("cannot write {}", bios.display()))?;
    }
    if let Some(uefi) = uefi {
        builder
            .create_uefi_image(&uefi)
            .with_context(|| format!("cannot write {}", uefi.display()))?;
    }
    Ok(())
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
