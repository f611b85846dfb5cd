//! Puts a kernel on disk images, by way of the `image` crate's programs.

use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::guest::Firmware;
use crate::project::Project;
use crate::steps;
use crate::toolchain::Toolchain;

/// Begins to build the program that writes images for this firmware, whose boot stages are in it. It needs
/// neither the kernel nor its programs, and can be built beside them.
///
/// # Errors
///
/// When cargo cannot be started.
pub fn start_writer(
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

/// Writes the image of a kernel for this firmware, unless it was made from exactly these inputs before.
/// The program that writes it must be there.
///
/// # Errors
///
/// When the program fails; the message holds what it said.
pub fn write(
    project: &Project,
    firmware: Firmware,
    kernel: &Path,
    ramdisk: Option<&Path>,
    image: &Path,
) -> anyhow::Result<()> {
    let writer = writer(project, firmware);
    let stamp = image.with_extension("stamp");
    let inputs = fingerprint([Some(&writer), Some(kernel), ramdisk])?;
    if image.is_file() && std::fs::read_to_string(&stamp).is_ok_and(|found| found == inputs) {
        return Ok(());
    }
    // A guest may be running from the old one: a new file is put in its place whole.
    let new = image.with_extension("new");
    let mut command = Command::new(writer);
    command.arg("--kernel").arg(kernel).arg("--image").arg(&new);
    if let Some(ramdisk) = ramdisk {
        command.arg("--ramdisk").arg(ramdisk);
    }
    steps::run(project, "image", "write the disk image", &mut command)?;
    std::fs::rename(new, image).with_context(|| format!("cannot write {}", image.display()))?;
    std::fs::write(&stamp, inputs)?;
    Ok(())
}

/// What the inputs are, as a line that differs when one of them does.
fn fingerprint<const N: usize>(inputs: [Option<&Path>; N]) -> anyhow::Result<String> {
    let mut line = String::new();
    for input in inputs {
        let Some(path) = input else {
            line.push_str("none ");
            continue;
        };
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&bytes);
        line.push_str(&format!("{}:{:016x} ", bytes.len(), hasher.finish()));
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_or_an_added_ramdisk_is_another_image() {
        let folder = crate::scratch::Scratch::new("image").expect("a scratch folder");
        let kernel = folder.path().join("kernel");
        let of = |ramdisk: Option<&Path>| {
            fingerprint([Some(kernel.as_path()), ramdisk]).expect("readable")
        };
        std::fs::write(&kernel, b"one").expect("writable");
        let one = of(None);
        assert_ne!(one, of(Some(&kernel)));
        std::fs::write(&kernel, b"two").expect("writable");
        assert_ne!(one, of(None));
        std::fs::write(&kernel, b"one").expect("writable");
        assert_eq!(one, of(None));
    }
}
