//! Which compiler builds the kernel: Debian's, or an installed rustup toolchain that has the sources.
//!
//! Debian's is taken first when both are complete, because its source package always matches the
//! compiler and because it is what the recorded transcripts were made with. Nothing here runs
//! rustup: its folders are only looked at, so that nothing can be downloaded by accident.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The newest kernel toolchain that `bootloader` 0.11.15 is known to build with, and the oldest.
/// Its BIOS stages bring target descriptions whose format changes between compilers.
const ACCEPTED_MINORS: std::ops::RangeInclusive<u32> = 95..=97;

/// The name of the host in the folders of a toolchain.
pub(crate) const HOST: &str = "x86_64-unknown-linux-gnu";

/// The programs and folders a kernel build needs, all present.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Compiler {
    /// What a person would call it, like `rustc 1.96.0 (Debian)`.
    pub name: String,
    /// The real compiler.
    pub rustc: PathBuf,
    /// The cargo that belongs to it.
    pub cargo: PathBuf,
    /// The folder that holds `rust/library`.
    pub sources: PathBuf,
    /// The folder with the host's own libraries, for build scripts.
    pub host_libraries: PathBuf,
    /// LLVM's linker, to be called as `rust-lld`.
    pub linker: PathBuf,
    /// The folder that holds `llvm-objcopy` and `llvm-objdump`.
    pub llvm: PathBuf,
}

/// A compiler that was looked at: whole, or what it lacks, in words.
pub type Found = Result<Compiler, String>;

/// Looks at Debian's packages `rustc-web`, `cargo-web`, `rust-web-src`, `lld-NN` and `llvm-NN`.
///
/// # Errors
///
/// One line naming the first thing that is missing or too old.
pub fn debian(system: &Path) -> Found {
    let rustc = system.join("bin/rustc");
    let cargo = system.join("bin/cargo");
    let sources = system.join("lib/rustlib/src");
    let host_libraries = system.join("lib/rustlib").join(HOST).join("lib");
    let release = release_of(&rustc)?;
    present(&cargo)?;
    present(&host_libraries)?;
    present(&sources.join("rust/library/Cargo.lock"))?;
    same_release(&sources, &release)?;
    let llvm = newest_llvm(&system.join("lib"))
        .ok_or("no LLVM 19 or newer with lld, llvm-objcopy and llvm-objdump")?;
    Ok(Compiler {
        name: format!("Debian's rustc {release}"),
        rustc,
        cargo,
        sources,
        host_libraries,
        linker: llvm.join("lld"),
        llvm,
    })
}

/// Debian's source folder is named after its release; an update of one package alone must not
/// give us a library of another compiler.
fn same_release(sources: &Path, release: &str) -> Result<(), String> {
    let real = sources
        .join("rust")
        .canonicalize()
        .map_err(|error| error.to_string())?;
    let name = real
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    match name.strip_prefix("rustc-") {
        Some(version) if !version.starts_with(release) => Err(format!(
            "the compiler is {release} but its sources are {version}"
        )),
        _ => Ok(()),
    }
}

/// The newest `llvm-NN` folder with all three tools.
fn newest_llvm(libraries: &Path) -> Option<PathBuf> {
    let mut versions: Vec<u32> = std::fs::read_dir(libraries)
        .ok()?
        .filter_map(|entry| {
            entry
                .ok()?
                .file_name()
                .to_str()?
                .strip_prefix("llvm-")?
                .parse()
                .ok()
        })
        .filter(|version| *version >= 19)
        .collect();
    versions.sort_unstable();
    versions.into_iter().rev().find_map(|version| {
        let bin = libraries.join(format!("llvm-{version}")).join("bin");
        ["lld", "llvm-objcopy", "llvm-objdump"]
            .iter()
            .all(|tool| bin.join(tool).is_file())
            .then_some(bin)
    })
}

/// Looks at one toolchain folder of rustup.
///
/// # Errors
///
/// One line naming what it lacks: `rust-src`, `llvm-tools`, or the right age.
pub fn rustup(toolchain: &Path) -> Found {
    let rustc = toolchain.join("bin/rustc");
    let cargo = toolchain.join("bin/cargo");
    let host = toolchain.join("lib/rustlib").join(HOST);
    let sources = toolchain.join("lib/rustlib/src");
    let release = release_of(&rustc)?;
    present(&cargo)?;
    if !sources.join("rust/library/Cargo.lock").is_file() {
        return Err("it lacks the component rust-src".to_owned());
    }
    if !host.join("bin/llvm-objcopy").is_file() {
        return Err("it lacks the component llvm-tools".to_owned());
    }
    present(&host.join("bin/rust-lld"))?;
    Ok(Compiler {
        name: format!("rustup's rustc {release}"),
        rustc,
        cargo,
        sources,
        host_libraries: host.join("lib"),
        linker: host.join("bin/rust-lld"),
        llvm: host.join("bin"),
    })
}

/// Every toolchain folder of rustup, nightlies first.
#[must_use]
pub fn rustup_folders() -> Vec<PathBuf> {
    let home = std::env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".rustup")));
    let Some(entries) = home.and_then(|home| std::fs::read_dir(home.join("toolchains")).ok())
    else {
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    folders.sort_by_key(|folder| {
        let name = folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        (!name.starts_with("nightly"), name)
    });
    folders
}

fn present(path: &Path) -> Result<(), String> {
    if path.exists() {
        Ok(())
    } else {
        Err(format!("no {}", path.display()))
    }
}

/// Asks a compiler for its release and refuses one of the wrong age.
fn release_of(rustc: &Path) -> Result<String, String> {
    present(rustc)?;
    let output = Command::new(rustc)
        .arg("-vV")
        .env_remove("LD_LIBRARY_PATH")
        .output()
        .map_err(|error| format!("{} does not run: {error}", rustc.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let release = text
        .lines()
        .find_map(|line| line.strip_prefix("release: "))
        .ok_or_else(|| format!("{} does not tell its version", rustc.display()))?
        .to_owned();
    if accepted(&release) {
        Ok(release)
    } else {
        Err(format!(
            "it is {release}; the boot stages need 1.{} to 1.{}",
            ACCEPTED_MINORS.start(),
            ACCEPTED_MINORS.end()
        ))
    }
}

fn accepted(release: &str) -> bool {
    let mut parts = release.split(['.', '-']);
    let major = parts.next();
    let minor = parts.next().and_then(|minor| minor.parse().ok());
    major == Some("1") && minor.is_some_and(|minor| ACCEPTED_MINORS.contains(&minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_the_right_age_are_accepted_whatever_their_channel() {
        for release in ["1.95.0", "1.96.0", "1.96.0-nightly", "1.97.0-beta.2"] {
            assert!(accepted(release), "{release}");
        }
        for release in ["1.63.0", "1.94.1", "1.98.0", "2.96.0", "", "1", "one.96"] {
            assert!(!accepted(release), "{release}");
        }
    }

    #[test]
    fn an_empty_system_says_which_program_is_missing() {
        let folder = crate::scratch::Scratch::new("system").expect("a scratch folder");
        let missing = debian(folder.path()).expect_err("there is nothing");
        assert!(missing.ends_with("bin/rustc"), "{missing}");
    }

    #[test]
    fn a_rustup_toolchain_is_taken_once_its_components_are_there() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = crate::scratch::Scratch::new("rustup").expect("a scratch folder");
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is below")).expect("writable");
            std::fs::write(&path, text).expect("writable");
            let executable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&path, executable).expect("writable");
        };
        let lacks = || rustup(folder.path()).expect_err("something is missing");
        let host = format!("lib/rustlib/{HOST}");
        assert!(lacks().ends_with("bin/rustc"));
        put("bin/rustc", "#!/bin/sh\necho release: 1.98.0-nightly\n");
        assert!(lacks().contains("1.98.0-nightly"));
        put("bin/rustc", "#!/bin/sh\necho release: 1.97.0-nightly\n");
        put("bin/cargo", "");
        put(&format!("{host}/lib/libstd.rlib"), "");
        put(&format!("{host}/bin/rust-lld"), "");
        assert!(lacks().contains("rust-src"));
        put("lib/rustlib/src/rust/library/Cargo.lock", "");
        assert!(lacks().contains("llvm-tools"));
        put(&format!("{host}/bin/llvm-objcopy"), "");
        let found = rustup(folder.path()).expect("all is there");
        assert_eq!(found.name, "rustup's rustc 1.97.0-nightly");
        assert_eq!(found.llvm, folder.path().join(host).join("bin"));
    }
}
