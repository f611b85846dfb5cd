//! The prepared toolchain: a folder under `target/` that makes any accepted compiler look alike.
//!
//! `bin` goes first in PATH and holds `cargo` (a link), `rust-lld` (a link) and `rustc`, a script
//! that names a folder of links as the sysroot. There `bootloader`'s build script, which asks the
//! `rustc` in PATH where it lives, finds `llvm-objcopy` and `llvm-objdump`, and `-Zbuild-std`
//! finds the library's sources. Nothing is written outside `target/`.

use std::ffi::OsString;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::compiler::{Compiler, HOST};
use crate::project::Project;

/// A compiler that is ready to build the kernel and the disk images.
#[derive(Clone, Debug)]
pub struct Toolchain {
    folder: PathBuf,
    /// The compiler behind it.
    pub compiler: Compiler,
}

impl Toolchain {
    /// Lays out the folder of links, unless it is there already for this very compiler.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn prepare(project: &Project, compiler: Compiler) -> anyhow::Result<Self> {
        let folder = project.toolchain();
        let toolchain = Self { folder, compiler };
        let stamp = toolchain.folder.join("stamp");
        let wanted = toolchain.description();
        // Rewriting the script would make cargo think the compiler is another one.
        if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(toolchain);
        }
        toolchain
            .lay_out()
            .with_context(|| format!("cannot prepare {}", toolchain.folder.display()))?;
        std::fs::write(&stamp, wanted)?;
        Ok(toolchain)
    }

    fn description(&self) -> String {
        let when = std::fs::metadata(&self.compiler.rustc)
            .map(|about| format!("{} bytes, {:?}", about.len(), about.modified().ok()))
            .unwrap_or_default();
        format!(
            "at {}\n{:#?}\n{when}\n",
            self.folder.display(),
            self.compiler
        )
    }

    fn lay_out(&self) -> std::io::Result<()> {
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let bin = self.folder.join("bin");
        let rustlib = self.sysroot().join("lib/rustlib");
        let host = rustlib.join(HOST);
        std::fs::create_dir_all(&bin)?;
        std::fs::create_dir_all(host.join("bin"))?;
        symlink(&self.compiler.cargo, bin.join("cargo"))?;
        symlink(&self.compiler.linker, bin.join("rust-lld"))?;
        symlink(&self.compiler.sources, rustlib.join("src"))?;
        symlink(&self.compiler.host_libraries, host.join("lib"))?;
        symlink(&self.compiler.linker, host.join("bin/rust-lld"))?;
        for tool in ["llvm-objcopy", "llvm-objdump"] {
            symlink(self.compiler.llvm.join(tool), host.join("bin").join(tool))?;
        }
        let script = bin.join("rustc");
        std::fs::write(
            &script,
            format!(
                "#!/bin/sh\nexec {} --sysroot {} \"$@\"\n",
                quoted(&self.compiler.rustc),
                quoted(&self.sysroot())
            ),
        )?;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))
    }

    /// The folder of links the compiler takes for its own.
    #[must_use]
    pub fn sysroot(&self) -> PathBuf {
        self.folder.join("sysroot")
    }

    /// A cargo call that uses this toolchain and nothing of the one that built us.
    #[must_use]
    pub fn cargo(&self) -> Command {
        let bin = self.folder.join("bin");
        let mut command = Command::new(bin.join("cargo"));
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(belongs_to_the_host_build) {
                command.env_remove(name);
            }
        }
        let mut path = OsString::from(&bin);
        if let Some(rest) = std::env::var_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        command.env("PATH", path);
        command.env("RUSTC_BOOTSTRAP", "1");
        command.env("CARGO_TERM_COLOR", "never");
        command
    }

    /// LLVM's objcopy.
    #[must_use]
    pub fn objcopy(&self) -> Command {
        Command::new(self.compiler.llvm.join("llvm-objcopy"))
    }
}

/// Variables that cargo and rustup set for the program they run, and flags a person set for host
/// builds. Where cargo keeps its downloads and how it reaches the network stays.
fn belongs_to_the_host_build(name: &str) -> bool {
    const KEPT: [&str; 5] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_BUILD_JOBS",
    ];
    let ours = ["CARGO", "RUST", "LD_LIBRARY_PATH"]
        .iter()
        .any(|start| name.starts_with(start));
    ours && !KEPT.iter().any(|start| name.starts_with(start))
}

/// A path as one word of a shell script.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_the_host_build_do_not_reach_the_kernel() {
        for name in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
            "CARGO_TARGET_DIR",
            "CARGO",
        ] {
            assert!(belongs_to_the_host_build(name), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "CARGO_HTTP_PROXY",
            "PATH",
            "HOME",
            "CARGO_REGISTRIES_MINE_INDEX",
        ] {
            assert!(!belongs_to_the_host_build(name), "{name}");
        }
    }

    #[test]
    fn a_path_with_blanks_and_quotes_is_one_word() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
