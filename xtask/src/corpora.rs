//! `corpora`: ELF files that Debian and PyPI packages carry, to be read by `symbolizer` and `unwinder`.
//!
//! Packages come by the machine's own apt and pip, from where these are set up to get them: source packages with the
//! test files of other readers, and packages with files that are long in use. All of it lies in
//! `target/corpora`; what is there already is not fetched again.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::project::Project;
use crate::{host, steps, tools};

/// Debian's source packages: the tests of elfutils, libdwarf, LLVM and others.
const SOURCES: [&str; 7] = [
    "elfutils",
    "dwarfutils",
    "binutils",
    "libunwind",
    "patchelf",
    "golang-1.19",
    "llvm-toolchain-16",
];
/// Of a source package as large as a system only this is unpacked.
const PARTS: [(&str, &str); 1] = [("llvm-toolchain", "*/test/*")];
/// Debian's packages: debug information of a C library, with files of compilers long ago, and of tools in C and C++;
/// in sections that are compressed.
const PACKAGES: [&str; 6] = [
    "libc6-dbg",
    "libbinutils-dbg",
    "binutils-x86-64-linux-gnu-dbg",
    "libctf0-dbg",
    "libgprofng0-dbg",
    "libadns1-dbg",
];
/// Those of Debian's archive of debug information, which not every machine's apt is set up to get, and not every mirror
/// has: Rust and C++, shared parts in files of their own.
const DEBUG_PACKAGES: [&str; 4] = [
    "coreutils-dbgsym",
    "ripgrep-dbgsym",
    "libstdc++6-dbgsym",
    "apt-dbgsym",
];
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
    let sources = Lists::make(&folder.join("apt"), |text| {
        text.replace("Types: deb\n", "Types: deb-src\n")
    })?;
    steps::run(
        project,
        "corpora-lists",
        "lists of source packages",
        &mut sources.command(&["update"]),
    )?;
    for package in SOURCES {
        let mut source = sources.command(&["source", "--download-only", package]);
        fetch(project, fetched, package, &mut source);
    }
    for package in PACKAGES {
        let mut download = Command::new("apt-get");
        download.args(["download", package]);
        fetch(project, fetched, package, &mut download);
    }
    let debug = Lists::make(&folder.join("apt-debug"), debug_archive)?;
    let update = &mut debug.command(&["update"]);
    if let Err(why) = steps::run(project, "corpora-debug", "lists of debug packages", update) {
        let why = why.to_string();
        let reason = why.lines().rev().find(|line| line.starts_with("E: "));
        eprintln!(
            "left out: Debian's archive of debug information: {}",
            reason.unwrap_or(&why)
        );
        return Ok(());
    }
    for package in DEBUG_PACKAGES {
        let mut download = debug.command(&["download", package]);
        fetch(project, fetched, package, &mut download);
    }
    Ok(())
}

/// Debian's archive of debug information, as it lies beside the one that a list of sources is about.
fn debug_archive(text: &str) -> String {
    let stanzas = text.split("\n\n").filter_map(|stanza| {
        let suites = stanza
            .lines()
            .find_map(|line| line.strip_prefix("Suites: "))?;
        let suite = suites.split(' ').next()?;
        let is_main = stanza
            .lines()
            .any(|line| line.starts_with("URIs: ") && line.ends_with("/debian"));
        is_main.then(|| {
            stanza
                .replace("/debian\n", "/debian-debug\n")
                .replace(suites, &format!("{suite}-debug"))
        })
    });
    stanzas.collect::<Vec<_>>().join("\n\n")
}

/// Lists of packages beside the machine's own, made from where that gets them.
struct Lists(PathBuf);

impl Lists {
    /// `change` makes of the text of a file of the machine what is wanted.
    fn make(folder: &Path, change: impl Fn(&str) -> String) -> anyhow::Result<Self> {
        for part in ["parts", "lists/partial", "cache/archives/partial"] {
            std::fs::create_dir_all(folder.join(part))?;
        }
        let own = Path::new("/etc/apt/sources.list.d");
        for entry in std::fs::read_dir(own).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().ends_with(".sources") {
                let text = std::fs::read_to_string(entry.path())?;
                std::fs::write(folder.join("parts").join(name), change(&text))?;
            }
        }
        // The older form has a line for each.
        let list = std::fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
        let stanzas = list.lines().filter_map(|line| {
            let mut words = line.strip_prefix("deb ")?.split_whitespace();
            let (place, suite) = (words.next()?, words.next()?);
            let components = words.collect::<Vec<_>>().join(" ");
            Some(format!(
                "Types: deb\nURIs: {place}\nSuites: {suite}\nComponents: {components}\n"
            ))
        });
        let stanzas: Vec<String> = stanzas.collect();
        std::fs::write(
            folder.join("parts/list.sources"),
            change(&stanzas.join("\n")),
        )?;
        std::fs::write(folder.join("sources.list"), "")?;
        Ok(Lists(folder.to_owned()))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("apt-get");
        for (option, place) in [
            ("Dir::Etc::sourcelist", "sources.list"),
            ("Dir::Etc::sourceparts", "parts"),
            ("Dir::State::lists", "lists"),
            ("Dir::Cache", "cache"),
        ] {
            command.arg("-o");
            command.arg(format!("{option}={}", self.0.join(place).display()));
        }
        command.args(words);
        command
    }
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
            if let Some((_, part)) = PARTS.iter().find(|(start, _)| name.starts_with(start)) {
                command.args(["--wildcards", part]);
            }
            command
        } else {
            continue;
        };
        if to.exists() {
            continue;
        }
        std::fs::create_dir_all(&to)?;
        if let Err(why) = steps::run(project, "corpora-unpack", &name, &mut command) {
            // Such as the packaging beside a source, which has none of the tests.
            eprintln!("left out: {why:#}");
            continue;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_of_debug_information_lies_beside_the_main_one() {
        let own = "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\n\
            Types: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main\n";
        assert_eq!(
            debug_archive(own),
            "Types: deb\nURIs: http://mirror.example/debian-debug\nSuites: bookworm-debug\nComponents: main"
        );
        assert_eq!(debug_archive(""), "");
    }
}
