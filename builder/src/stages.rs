//! Builds the programs that write disk images: the `image` crate's, with the boot stages of `bootloader` in them.

use std::path::PathBuf;

use crate::firmware::Firmware;
use crate::project::Project;
use crate::steps;
use crate::toolchain::Toolchain;

/// Begins to build the program that writes images for this firmware, whose boot stages are in it. It needs
/// neither the kernel nor its programs, and can be built beside them.
///
/// # Errors
///
/// When cargo cannot be started.
pub fn start(
    project: &Project,
    toolchain: &Toolchain,
    firmware: Firmware,
) -> anyhow::Result<steps::Step> {
    let word = firmware.word();
    let mut cargo = toolchain.cargo();
    cargo
        .current_dir(project.root())
        .args(["build", "--package", "image", "--features", word])
        .args(["--bin", &program_name(firmware), "--target-dir"])
        .arg(folder(project));
    for (name, value) in cheaper(firmware) {
        cargo.env(name, value);
    }
    let what = format!("build the {} boot stages", firmware.name());
    // The kernel has a longer way to go.
    let mut cargo = steps::behind_others(&cargo);
    steps::start(project, &log_name(firmware), &what, &mut cargo)
}

/// Where that program is, once it has been built.
#[must_use]
pub fn writer(project: &Project, firmware: Firmware) -> PathBuf {
    folder(project).join("debug").join(program_name(firmware))
}

/// The name of the log of building it.
#[must_use]
pub fn log_name(firmware: Firmware) -> String {
    program_name(firmware)
}

fn folder(project: &Project) -> PathBuf {
    project.target().join("image")
}

fn program_name(firmware: Firmware) -> String {
    format!("image-{}", firmware.word())
}

/// How the boot stages are compiled otherwise than `bootloader` would: what nobody looks at is left out.
fn cheaper(firmware: Firmware) -> &'static [(&'static str, &'static str)] {
    match firmware {
        // Most of its time is the firmware's.
        Firmware::Uefi => &[
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
            ("CARGO_PROFILE_RELEASE_LTO", "fat"),
        ],
        Firmware::Bios => &[
            ("CARGO_PROFILE_STAGE_3_DEBUG", "false"),
            ("CARGO_PROFILE_STAGE_4_DEBUG", "false"),
        ],
    }
}
