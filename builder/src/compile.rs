//! Everything that the kernel toolchain compiles, side by side: none of it needs another part.

use crate::firmware::Firmware;
use crate::freestanding::Package;
use crate::project::Project;
use crate::stages;
use crate::steps::Step;
use crate::toolchain::Toolchain;

/// How the kernel is compiled.
#[must_use]
pub fn kernel(features: &[String]) -> Package<'_> {
    Package {
        name: "kernel",
        profile: "kernel",
        libraries: "core,alloc,compiler_builtins",
        features,
        // Its crates wait for each other: no other way is as long.
        is_behind_others: false,
        own_flags: &["-Crelocation-model=pic"],
    }
}

/// How the programs are compiled. They differ from the kernel: at fixed addresses, in the lower half, with
/// nothing for a loader to relocate or to protect later, and without a heap but what they ask the kernel for.
pub const PROGRAMS: Package<'_> = Package {
    name: "programs",
    profile: "programs",
    libraries: "core,compiler_builtins",
    features: &[],
    is_behind_others: true,
    own_flags: &[
        "-Crelocation-model=static",
        "-Ccode-model=small",
        "-Crelro-level=off",
        "-Clink-arg=--image-base=0x400000",
    ],
};

/// Begins with all of it: the kernel with these features, the programs, the boot stages for this firmware.
///
/// # Errors
///
/// When cargo cannot be started, or cannot fetch the crates.
pub fn start(
    project: &Project,
    toolchain: &Toolchain,
    firmware: &[Firmware],
    features: &[String],
) -> anyhow::Result<Vec<Step>> {
    let mut steps = vec![
        kernel(features).start(project, toolchain)?,
        PROGRAMS.start(project, toolchain)?,
    ];
    for firmware in firmware {
        steps.push(stages::start(project, toolchain, *firmware)?);
    }
    Ok(steps)
}
