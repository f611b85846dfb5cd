//! Builds the kernel, and makes of it the smaller file that goes onto a disk.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::compiler::HOST;
use crate::elf;
use crate::guest::Firmware;
use crate::project::Project;
use crate::steps;
use crate::toolchain::Toolchain;

/// What the kernel is compiled for.
const TARGET: &str = "x86_64-unknown-none";

/// Sections that only make a debugger start faster. GDB reads the whole file instead.
const DROPPED: [&str; 3] = [".debug_names", ".debug_aranges", ".debug_loclists"];

/// A kernel as it came from the compiler, and as it goes onto a disk.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Every section: for GDB and for naming addresses.
    pub whole: PathBuf,
    /// What is loaded: the same code, debug sections fewer and compressed.
    pub loaded: PathBuf,
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

/// Builds the kernel with some features on. Cargo decides what is fresh.
///
/// # Errors
///
/// When it does not compile; the message holds the compiler's last lines.
pub fn build(
    project: &Project,
    toolchain: &Toolchain,
    features: &[String],
) -> anyhow::Result<Kernel> {
    let target_folder = project.target().join("kernel");
    let mut cargo = toolchain.cargo();
    cargo
        .current_dir(project.root())
        .args([
            "build",
            "--package",
            "kernel",
            "--profile",
            "kernel",
            "--target",
            TARGET,
        ])
        .arg("-Zbuild-std=core,alloc,compiler_builtins")
        .arg("-Zbuild-std-features=compiler-builtins-mem")
        .arg("--target-dir")
        .arg(&target_folder)
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            flags(project, toolchain)?.join("\x1f"),
        );
    if !features.is_empty() {
        cargo.arg("--features").arg(features.join(","));
    }
    steps::run(project, "kernel", "build the kernel", &mut cargo)?;

    let variant = variant(features);
    let built = target_folder.join(TARGET).join("kernel/kernel");
    let named = |end: &str| {
        project
            .target()
            .join(file_name("ringwalk-kernel", &variant, end))
    };
    let whole = named("elf");
    let loaded = named("disk.elf");
    if newer(&built, &whole)? || newer(&built, &loaded)? {
        reduce(project, toolchain, &built, &loaded)?;
        // Last, so that being cut short in between is noticed next time.
        std::fs::copy(&built, &whole)
            .with_context(|| format!("cannot copy {}", built.display()))?;
    }
    let build_id = elf::build_id(&whole)?;
    Ok(Kernel {
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

/// Is `made` missing, older than `source`, or made from another of the same name?
fn newer(source: &Path, made: &Path) -> anyhow::Result<bool> {
    let source = std::fs::metadata(source)
        .with_context(|| format!("the build left no {}", source.display()))?;
    let Ok(made) = std::fs::metadata(made) else {
        return Ok(true);
    };
    Ok(source.modified()? > made.modified()?)
}

fn reduce(project: &Project, toolchain: &Toolchain, from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut objcopy = toolchain.objcopy();
    for section in DROPPED {
        objcopy.arg(format!("--remove-section={section}"));
    }
    objcopy
        .arg("--compress-debug-sections=zlib")
        .arg(from)
        .arg(to);
    steps::run(
        project,
        "objcopy",
        "compress the kernel's debug information",
        &mut objcopy,
    )
}

/// The compiler's flags for every crate of the kernel, the standard ones included.
fn flags(project: &Project, toolchain: &Toolchain) -> anyhow::Result<Vec<String>> {
    let mut flags = vec![
        // Without it .eh_frame is empty and no stack can be unwound.
        "-Cforce-unwind-tables=yes".to_owned(),
        "-Cdwarf-version=5".to_owned(),
        "-Crelocation-model=pic".to_owned(),
        "-Clink-arg=--build-id=sha1".to_owned(),
    ];
    // Later ones win, so the project comes before what may lie inside it.
    let mut remap = |from: &Path, to: &str| {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    };
    remap(project.root(), "/ringwalk");
    for registry in registries(project, toolchain)? {
        remap(&registry, "/crates");
    }
    let sources = toolchain.compiler.sources.join("rust");
    let linked = toolchain.sysroot().join("lib/rustlib/src/rust");
    // Cargo names what lies below the workspace from there.
    if let Ok(relative) = linked.strip_prefix(project.root()) {
        remap(relative, "/rust");
    }
    remap(&linked, "/rust");
    remap(&sources, "/rust");
    remap(&sources.canonicalize()?, "/rust");
    Ok(flags)
}

/// The folders that hold unpacked crates. They must exist before the flags are made, or the flags
/// of the second build would differ from those of the first and build everything again.
fn registries(project: &Project, toolchain: &Toolchain) -> anyhow::Result<Vec<PathBuf>> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let Some(sources) = home.map(|home| home.join("registry/src")) else {
        return Ok(Vec::new());
    };
    let lock = std::fs::read(project.root().join("Cargo.lock")).unwrap_or_default();
    let stamp = project.target().join("fetched.lock");
    if !sources.is_dir()
        || std::fs::read(&stamp).is_ok_and(|fetched| fetched != lock)
        || !stamp.is_file()
    {
        let mut cargo = toolchain.cargo();
        cargo.current_dir(project.root()).arg("fetch");
        // Not what other systems would need.
        cargo.args(["--target", TARGET, "--target", HOST]);
        steps::run(project, "fetch", "fetch the crates", &mut cargo)?;
        let lock = std::fs::read(project.root().join("Cargo.lock")).unwrap_or_default();
        std::fs::write(&stamp, lock)?;
    }
    let Ok(entries) = std::fs::read_dir(&sources) else {
        return Ok(Vec::new());
    };
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    folders.sort();
    Ok(folders)
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
