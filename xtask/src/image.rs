//! Puts a kernel on disk images, by way of the `image` crate's programs.

use std::hash::{DefaultHasher, Hasher as _};
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::guest::Firmware;
use crate::project::Project;
use crate::{stages, steps};

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
    let writer = stages::writer(project, firmware);
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
