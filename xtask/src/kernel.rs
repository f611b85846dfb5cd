//! The kernel as it was built, and what is made of it: the smaller file that goes onto a disk.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::compile;
use crate::elf;
use crate::freestanding;
use crate::guest::Firmware;
use crate::project::Project;
use crate::steps;
use crate::toolchain::Toolchain;

/// A kernel as it came from the compiler, and as it goes onto a disk.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Every section: for GDB and for naming addresses.
    pub whole: PathBuf,
    /// What is loaded: the same code without debug information.
    pub loaded: PathBuf,
    /// Its names in short, made from the whole file.
    pub index: PathBuf,
    /// The archive that boots beside it.
    pub ramdisk: PathBuf,
    /// The first twelve digits of its build id, which its banner shows.
    pub build_id: String,
    /// The features it was built with, joined into a word; empty for the usual kernel.
    pub variant: String,
}

impl Kernel {
    /// Where its disk for this firmware is written.
    #[must_use]
    pub fn image(&self, project: &Project, firmware: Firmware) -> PathBuf {
        let name = format!("ringwalk-{}", firmware.word());
        project
            .target()
            .join(file_name(&name, &self.variant, "img"))
    }
}

/// The kernel that was built last with these features, copied to where people look for it.
///
/// # Errors
///
/// When there is none, or it cannot be copied.
pub fn built(
    project: &Project,
    toolchain: &Toolchain,
    features: &[String],
) -> anyhow::Result<Kernel> {
    let compiled = compile::kernel(features).compiled(project);
    let variant = variant(features);
    let built = compiled.join("kernel");
    let named = |end: &str| {
        project
            .target()
            .join(file_name("ringwalk-kernel", &variant, end))
    };
    let whole = named("elf");
    let loaded = named("disk.elf");
    if freestanding::newer(&built, &whole)? || freestanding::newer(&built, &loaded)? {
        freestanding::reduce(project, toolchain, &built, &loaded)?;
        // Last, so that being cut short in between is noticed next time.
        freestanding::for_debuggers(project, toolchain, &built, &whole)?;
    }
    let build_id = elf::build_id(&whole)?;
    Ok(Kernel {
        index: named("symbols"),
        ramdisk: project
            .target()
            .join(file_name("ringwalk-ramdisk", &variant, "tar")),
        whole,
        loaded,
        build_id,
        variant,
    })
}

/// `name.end`, or `name-variant.end`.
fn file_name(name: &str, variant: &str, end: &str) -> String {
    let dash = if variant.is_empty() { "" } else { "-" };
    format!("{name}{dash}{variant}.{end}")
}

fn variant(features: &[String]) -> String {
    let mut features = features.to_vec();
    features.sort();
    features.dedup();
    features.join("-")
}

/// The kernel without symbols and debug information, for measuring.
///
/// # Errors
///
/// When objcopy fails.
pub fn strip(
    project: &Project,
    toolchain: &Toolchain,
    from: &Path,
    to: &Path,
) -> anyhow::Result<()> {
    let mut objcopy: Command = toolchain.objcopy();
    objcopy.arg("--strip-all").arg(from).arg(to);
    steps::run(project, "strip", "strip the kernel", &mut objcopy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_does_not_depend_on_the_order_of_its_features() {
        let features = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(variant(&features(&["b", "a", "b"])), "a-b");
        assert_eq!(
            file_name("ringwalk-kernel", &variant(&[]), "elf"),
            "ringwalk-kernel.elf"
        );
        assert_eq!(
            file_name("ringwalk-bios", "a-b", "img"),
            "ringwalk-bios-a-b.img"
        );
    }
}
