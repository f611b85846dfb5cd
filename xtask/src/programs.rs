//! The user programs as they were built, and what of them goes onto a disk.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::compile;
use crate::freestanding;
use crate::project::Project;
use crate::toolchain::Toolchain;

/// The programs' sources: each file, and each folder with a `main.rs`, is a program of its name.
const SOURCES: &str = "kernel/programs/src/bin";

/// The programs as they came from the compiler, and as they go onto a disk.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Their names, sorted.
    pub names: Vec<String>,
    /// One ELF file each, with every section: for GDB and for naming addresses.
    pub folder: PathBuf,
    /// The same without debug information, as the kernel loads them.
    pub loaded: PathBuf,
}

/// The programs that were built last, copied to where people look for them.
///
/// # Errors
///
/// When one is not there, or cannot be copied.
pub fn built(project: &Project, toolchain: &Toolchain) -> anyhow::Result<Programs> {
    let names = names(&project.root().join(SOURCES))?;
    let compiled = compile::PROGRAMS.compiled(project);
    let folder = project.target().join("programs-elf");
    let reduced = project.target().join("programs-disk");
    for made in [&folder, &reduced] {
        std::fs::create_dir_all(made)?;
        remove_others(made, &names)?;
    }
    for name in &names {
        let built = compiled.join(name);
        let (whole, loaded) = (folder.join(name), reduced.join(name));
        if freestanding::newer(&built, &whole)? || freestanding::newer(&built, &loaded)? {
            freestanding::reduce(project, toolchain, &built, &loaded)?;
            // Last, so that being cut short in between is noticed next time.
            freestanding::for_debuggers(project, toolchain, &built, &whole)?;
        }
    }
    Ok(Programs {
        names,
        folder,
        loaded: reduced,
    })
}

/// The names of the programs whose sources lie in a folder, sorted.
fn names(sources: &Path) -> anyhow::Result<Vec<String>> {
    let entries =
        std::fs::read_dir(sources).with_context(|| format!("cannot read {}", sources.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_file = path.extension().is_some_and(|extension| extension == "rs");
        if is_file || path.join("main.rs").is_file() {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            names.extend(stem.map(str::to_owned));
        }
    }
    ensure!(!names.is_empty(), "no programs in {}", sources.display());
    names.sort();
    Ok(names)
}

/// Deletes what is left of programs that are no more.
fn remove_others(folder: &Path, names: &[String]) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !names.iter().any(|name| entry.file_name() == name.as_str()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_takes_for_a_program_is_one_and_what_is_left_of_others_goes() {
        let folder = crate::scratch::Scratch::new("programs").expect("a scratch folder");
        for file in ["hello.rs", "echo.rs", "notes.md"] {
            std::fs::write(folder.path().join(file), "").expect("writable");
        }
        let (canary, empty) = (folder.path().join("canary"), folder.path().join("empty"));
        std::fs::create_dir(&canary).expect("writable");
        std::fs::write(canary.join("main.rs"), "").expect("writable");
        std::fs::create_dir(&empty).expect("writable");
        let found = names(folder.path()).expect("readable");
        assert_eq!(found, ["canary", "echo", "hello"]);

        std::fs::remove_dir_all(canary).expect("writable");
        std::fs::remove_dir(empty).expect("writable");
        remove_others(folder.path(), &["hello.rs".to_owned()]).expect("writable");
        assert_eq!(names(folder.path()).expect("readable"), ["hello"]);
    }
}
