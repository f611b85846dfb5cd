//! Compiles what runs without an operating system under it: the kernel, and the programs.
//!
//! Both are built by the prepared toolchain together with the standard library's `core`, each
//! into a target folder of its own. What goes onto a disk is smaller than what the compiler made.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::compiler::HOST;
use crate::project::Project;
use crate::steps;
use crate::toolchain::Toolchain;

/// What everything here is compiled for.
const TARGET: &str = "x86_64-unknown-none";

/// A package of the workspace, and how to compile it.
#[derive(Clone, Copy, Debug)]
pub struct Package<'a> {
    /// Its name, which is also the name of its folder under `target/` and of its log.
    pub name: &'a str,
    /// Which of the workspace's profiles.
    pub profile: &'a str,
    /// What of the standard library it is made with.
    pub libraries: &'a str,
    /// The features to turn on.
    pub features: &'a [String],
    /// Whether others may go first where there are fewer processors than work.
    pub is_behind_others: bool,
    /// Flags that are not the same for all.
    pub own_flags: &'a [&'a str],
}

impl Package<'_> {
    /// Begins to compile it. Cargo decides what is fresh.
    pub fn start(&self, project: &Project, toolchain: &Toolchain) -> anyhow::Result<steps::Step> {
        let mut flags: Vec<String> = self.own_flags.iter().map(ToString::to_string).collect();
        flags.extend(common_flags(project, toolchain)?);
        let mut cargo = toolchain.cargo();
        cargo
            .current_dir(project.root())
            .args(["build", "--package", self.name])
            .args(["--profile", self.profile, "--target", TARGET])
            .arg(format!("-Zbuild-std={}", self.libraries))
            .arg("-Zbuild-std-features=compiler-builtins-mem")
            .arg("--target-dir")
            .arg(self.target_folder(project))
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        if !self.features.is_empty() {
            cargo.arg("--features").arg(self.features.join(","));
        }
        let what = format!("build the {}", self.name);
        if self.is_behind_others {
            cargo = steps::behind_others(&cargo);
        }
        steps::start(project, self.name, &what, &mut cargo)
    }

    /// The folder that the ELF files are in when it has been compiled.
    pub fn compiled(&self, project: &Project) -> PathBuf {
        self.target_folder(project).join(TARGET).join(self.profile)
    }

    fn target_folder(&self, project: &Project) -> PathBuf {
        project.target().join(self.name)
    }
}

/// Is `made` missing, older than `source`, or made from another of the same name?
pub fn newer(source: &Path, made: &Path) -> anyhow::Result<bool> {
    let source = std::fs::metadata(source)
        .with_context(|| format!("the build left no {}", source.display()))?;
    let Ok(made) = std::fs::metadata(made) else {
        return Ok(true);
    };
    Ok(source.modified()? > made.modified()?)
}

/// Makes of an ELF file the smaller one that goes onto a disk: a BIOS boot reads it in real mode, and
/// every megabyte costs. Names of functions and lines come from an index instead.
pub fn reduce(
    project: &Project,
    toolchain: &Toolchain,
    from: &Path,
    to: &Path,
) -> anyhow::Result<()> {
    let mut objcopy = toolchain.objcopy();
    objcopy.arg("--strip-debug").arg(from).arg(to);
    steps::run(
        project,
        "objcopy",
        "take out debug information",
        &mut objcopy,
    )
}

/// Copies an ELF file without what debuggers stumble over: GDB 13 warns of a `.debug_names` that holds
/// more than one table, which is how the linker leaves it, and does not need it.
pub fn for_debuggers(
    project: &Project,
    toolchain: &Toolchain,
    from: &Path,
    to: &Path,
) -> anyhow::Result<()> {
    let mut objcopy = toolchain.objcopy();
    objcopy
        .arg("--remove-section=.debug_names")
        .arg(from)
        .arg(to);
    steps::run(project, "objcopy", "copy debug information", &mut objcopy)
}

/// The compiler's flags for every crate, the standard ones included.
fn common_flags(project: &Project, toolchain: &Toolchain) -> anyhow::Result<Vec<String>> {
    let mut flags = vec![
        // Without it .eh_frame is empty and no stack can be unwound.
        "-Cforce-unwind-tables=yes".to_owned(),
        "-Cdwarf-version=5".to_owned(),
        // A stack can be walked by frame pointers, without reading any table.
        "-Cforce-frame-pointers=yes".to_owned(),
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
