//! Puts a kernel on disk images, by way of the `image` crate's program.

use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::guest::Firmware;
use crate::kernel::Kernel;
use crate::project::Project;
use crate::steps;
use crate::toolchain::Toolchain;

/// Two disks that boot the same kernel.
#[derive(Clone, Debug)]
pub struct Images {
    /// For SeaBIOS.
    pub bios: PathBuf,
    /// For OVMF.
    pub uefi: PathBuf,
}

/// Builds the program that writes images. The boot stages are in it, which takes a minute once.
///
/// # Errors
///
/// When it does not compile, or its build script cannot reach a registry the first time.
pub fn builder(project: &Project, toolchain: &Toolchain) -> anyhow::Result<PathBuf> {
    start_builder(project, toolchain)?.finish()
}

/// The same, begun: it needs neither the kernel nor its programs, and can be built beside them.
///
/// # Errors
///
/// When cargo cannot be started.
pub fn start_builder(project: &Project, toolchain: &Toolchain) -> anyhow::Result<Builder> {
    let folder = project.target().join("image");
    let mut cargo = toolchain.cargo();
    cargo
        .current_dir(project.root())
        .args(["build", "--package", "image", "--target-dir"])
        .arg(&folder);
    let what = "build the boot stages and the image builder";
    let step = steps::start(project, "image-builder", what, &mut cargo)?;
    let program = folder.join("debug/image");
    Ok(Builder { step, program })
}

/// The program that writes images, while it is being built.
#[derive(Debug)]
pub struct Builder {
    step: steps::Step,
    program: PathBuf,
}

impl Builder {
    /// Waits until it is there.
    ///
    /// # Errors
    ///
    /// As [`builder`].
    pub fn finish(self) -> anyhow::Result<PathBuf> {
        self.step.finish()?;
        Ok(self.program)
    }
}

/// Writes both images of a kernel, unless they were made from exactly these inputs before.
///
/// # Errors
///
/// When the program fails; the message holds what it said.
pub fn write(
    project: &Project,
    builder: &Path,
    kernel: &Kernel,
    ramdisk: Option<&Path>,
) -> anyhow::Result<Images> {
    let images = Images {
        bios: kernel.image(project, Firmware::Bios),
        uefi: kernel.image(project, Firmware::Uefi),
    };
    write_to(project, builder, &kernel.loaded, ramdisk, &images)?;
    Ok(images)
}

/// The same for any kernel file and any two places.
///
/// # Errors
///
/// As [`write()`].
pub fn write_to(
    project: &Project,
    builder: &Path,
    kernel: &Path,
    ramdisk: Option<&Path>,
    images: &Images,
) -> anyhow::Result<()> {
    let stamp = images.bios.with_extension("stamp");
    let inputs = fingerprint([Some(builder), Some(kernel), ramdisk])?;
    let there = images.bios.is_file() && images.uefi.is_file();
    if there && std::fs::read_to_string(&stamp).is_ok_and(|found| found == inputs) {
        return Ok(());
    }
    let mut command = Command::new(builder);
    command.arg("--kernel").arg(kernel);
    // A guest may be running from the old ones: new files are put in their place whole.
    let new = |image: &Path| image.with_extension("new");
    command.arg("--bios").arg(new(&images.bios));
    command.arg("--uefi").arg(new(&images.uefi));
    if let Some(ramdisk) = ramdisk {
        command.arg("--ramdisk").arg(ramdisk);
    }
    steps::run(project, "image", "write the disk images", &mut command)?;
    for image in [&images.bios, &images.uefi] {
        std::fs::rename(new(image), image)
            .with_context(|| format!("cannot write {}", image.display()))?;
    }
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
