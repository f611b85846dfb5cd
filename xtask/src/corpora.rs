//! `corpora`: ELF files that Debian and PyPI packages carry, to be read by `symbolizer` and `unwinder`.
//!
//! Packages come by the machine's own apt and pip, from where these are set up to get them: source packages with the
//! test files of other readers, and packages with files that are long in use. All of it lies in
//! `target/corpora`; what is there already is not fetched again.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::project::Project;
use crate::{host, steps, tools};

/// Debian's source packages: the tests of elfutils, libdwarf and others.
const SOURCES: [&str; 6] = [
    "elfutils",
    "dwarfutils",
    "binutils",
    "libunwind",
    "patchelf",
    "golang-1.19",
];
/// Debian's packages: a C library's debug information, with files of compilers long ago.
const PACKAGES: [&str; 1] = ["libc6-dbg"];
/// PyPI's source packages.
const PYTHON: [&str; 4] = ["pyelftools", "auditwheel", "elf-diff", "ropper"];
/// What fetches and unpacks.
const NEEDED: [&str; 7] = ["apt-get", "dpkg-deb", "pip", "tar", "bzip2", "gzip", "xz"];

/// Fetches what is missing, reads everything, and prints what came of it.
///
/// # Errors
///
/// Nothing could be fetched, or a file was panicked at.
pub fn run(project: &Project) -> anyhow::Result<()> {
    let missing: Vec<&str> = NEEDED
        .into_iter()
        .filter(|tool| tools::in_path(tool).is_none())
        .collect();
    if !missing.is_empty() {
        bail!("corpora: install {} first", missing.join(", "));
    }
    let folder = project.target().join("corpora");
    let fetched = folder.join("fetched");
    let files = folder.join("files");
    std::fs::create_dir_all(&fetched)
        .with_context(|| format!("cannot make {}", fetched.display()))?;
    debian(project, &folder, &fetched)?;
    for package in PYTHON {
        let mut pip = Command::new("pip");
        pip.args(["download", "--no-deps", "--no-binary", ":all:", package]);
        fetch(project, &fetched, package, &mut pip);
    }
    unpack(project, &fetched, &files)?;

    let mut cargo = host::cargo(project);
    cargo
        .args(["test", "--package", "tests", "--test", "symbols", "corpora"])
        .args(["--", "--nocapture"])
        .env("RINGWALK_CORPORA", &files);
    steps::run(project, "corpora", "read everything", &mut cargo)?;
    let log = project.logs().join("corpora.log");
    let text =
        std::fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    for line in text.lines().filter(|line| line.starts_with("  ")) {
        println!("{line}");
    }
    Ok(())
}

/// Source packages need lists of their own, which the machine may not have: they are made from its own sources.
fn debian(project: &Project, folder: &Path, fetched: &Path) -> anyhow::Result<()> {
    let apt = folder.join("apt");
    for part in ["parts", "lists/partial", "cache/archives/partial"] {
        std::fs::create_dir_all(apt.join(part))?;
    }
    let own = Path::new("/etc/apt/sources.list.d");
    for entry in std::fs::read_dir(own).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().ends_with(".sources") {
            let text = std::fs::read_to_string(entry.path())?;
            std::fs::write(
                apt.join("parts").join(name),
                text.replace("Types: deb\n", "Types: deb-src\n"),
            )?;
        }
    }
    let list = std::fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    let list: String = list
        .lines()
        .filter_map(|line| Some(format!("deb-src {}\n", line.strip_prefix("deb ")?)))
        .collect();
    std::fs::write(apt.join("sources.list"), list)?;
    let command = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        for (option, place) in [
            ("Dir::Etc::sourcelist", "sources.list"),
            ("Dir::Etc::sourceparts", "parts"),
            ("Dir::State::lists", "lists"),
            ("Dir::Cache", "cache"),
        ] {
            command.arg("-o");
            command.arg(format!("{option}={}", apt.join(place).display()));
        }
        command.args(words);
        command
    };
    steps::run(
        project,
        "corpora-lists",
        "lists of source packages",
        &mut command(&["update"]),
    )?;
    for package in SOURCES {
        let mut source = command(&["source", "--download-only", package]);
        fetch(project, fetched, package, &mut source);
    }
    for package in PACKAGES {
        let mut download = Command::new("apt-get");
        download.args(["download", package]);
        fetch(project, fetched, package, &mut download);
    }
    Ok(())
}

/// One package. One that cannot be had is named, and the others are read all the same.
fn fetch(project: &Project, into: &Path, package: &str, command: &mut Command) {
    let mark = into.join(format!(".{package}"));
    if mark.exists() {
        return;
    }
    let name = format!("corpora-{package}");
    match steps::run(project, &name, package, command.current_dir(into)) {
        Ok(()) => drop(std::fs::write(mark, "")),
        Err(why) => eprintln!("left out: {why:#}"),
    }
}

/// Everything out of its archives, and what was compressed in there, too.
fn unpack(project: &Project, fetched: &Path, files: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(fetched)?.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let to = files.join(&*name);
        let mut command = if name.ends_with(".deb") {
            let mut command = Command::new("dpkg-deb");
            command.arg("-x").args([&path, &to]);
            command
        } else if name.contains(".tar.") && !name.ends_with(".asc") {
            let mut command = Command::new("tar");
            command.arg("-xf").arg(&path).arg("-C").arg(&to);
            command
        } else {
            continue;
        };
        if to.exists() {
            continue;
        }
        std::fs::create_dir_all(&to)?;
        steps::run(project, "corpora-unpack", &name, &mut command)?;
        for (ending, tool) in [("*.bz2", "bzip2"), ("*.gz", "gzip"), ("*.xz", "xz")] {
            let mut find = Command::new("find");
            find.arg(&to).args(["-name", ending, "-type", "f"]);
            find.args(["-exec", tool, "-dqf", "{}", "+"]);
            // Some are damaged on purpose.
            if let Err(why) = steps::run(project, "corpora-unpack", ending, &mut find) {
                eprintln!(
                    "{name}: {}",
                    why.to_string().lines().next().unwrap_or_default()
                );
            }
        }
    }
    Ok(())
}
