//! What this project needs from the machine it is built on, and which Debian package brings it.

use std::path::{Path, PathBuf};

use crate::compiler::{self, Compiler};

/// One thing that must be there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tool {
    /// The compiler of the kernel, its sources, its linker and LLVM's tools.
    Compiler,
    /// The machine the kernel boots on.
    Qemu,
    /// UEFI firmware for that machine.
    Ovmf,
    /// The debugger.
    Gdb,
}

impl Tool {
    /// All of them, in the order they are needed.
    pub const ALL: [Tool; 4] = [Tool::Compiler, Tool::Qemu, Tool::Ovmf, Tool::Gdb];

    /// What it is for, in a few words.
    #[must_use]
    pub fn purpose(self) -> &'static str {
        match self {
            Tool::Compiler => {
                "a Rust compiler with its library's sources, lld and LLVM's tools: builds the kernel"
            }
            Tool::Qemu => "qemu-system-x86_64: the machine the kernel boots on",
            Tool::Ovmf => "OVMF.fd: UEFI firmware for that machine",
            Tool::Gdb => "gdb: looks at the kernel from outside, with scripts/gdb",
        }
    }

    /// The Debian packages that bring it.
    #[must_use]
    pub fn packages(self) -> &'static [&'static str] {
        match self {
            Tool::Compiler => &[
                "rustc-web",
                "cargo-web",
                "rust-web-src",
                "lld-22",
                "llvm-22",
            ],
            Tool::Qemu => &["qemu-system-x86"],
            Tool::Ovmf => &["ovmf"],
            Tool::Gdb => &["gdb"],
        }
    }
}

/// A tool that is not there, and what was seen instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Missing {
    /// Which.
    pub tool: Tool,
    /// What was looked at and why it did not do.
    pub seen: Vec<String>,
}

/// Everything, found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tools {
    /// What builds the kernel.
    pub compiler: Compiler,
    /// The program `qemu-system-x86_64`.
    pub qemu: PathBuf,
    /// The firmware file.
    pub ovmf: PathBuf,
    /// The program `gdb`.
    pub gdb: PathBuf,
}

/// Looks at the machine. A trait, so that decisions can be tested on machines we do not have.
pub trait Probe {
    /// The compiler, or what each candidate lacked.
    fn compiler(&mut self) -> Result<Compiler, Vec<String>>;
    /// The machine emulator.
    fn qemu(&mut self) -> Option<PathBuf>;
    /// The firmware.
    fn ovmf(&mut self) -> Option<PathBuf>;
    /// The debugger.
    fn gdb(&mut self) -> Option<PathBuf>;
}

/// Asks for everything at once, so that one message can name all that is missing.
///
/// # Errors
///
/// The list of what is missing.
pub fn look(probe: &mut dyn Probe) -> Result<Tools, Vec<Missing>> {
    let compiler = probe.compiler();
    let qemu = probe.qemu();
    let ovmf = probe.ovmf();
    let gdb = probe.gdb();
    match (compiler, qemu, ovmf, gdb) {
        (Ok(compiler), Some(qemu), Some(ovmf), Some(gdb)) => Ok(Tools {
            compiler,
            qemu,
            ovmf,
            gdb,
        }),
        (compiler, qemu, ovmf, gdb) => {
            let mut missing = Vec::new();
            if let Err(seen) = compiler {
                missing.push(Missing {
                    tool: Tool::Compiler,
                    seen,
                });
            }
            let plain = [
                (Tool::Qemu, qemu.is_none()),
                (Tool::Ovmf, ovmf.is_none()),
                (Tool::Gdb, gdb.is_none()),
            ];
            for (tool, _) in plain.into_iter().filter(|(_, is_missing)| *is_missing) {
                missing.push(Missing {
                    tool,
                    seen: Vec::new(),
                });
            }
            Err(missing)
        }
    }
}

/// The machine we run on.
#[derive(Debug, Default)]
pub struct Here;

/// Where distributions put the firmware; the whole flash in one file.
const OVMF: [&str; 5] = [
    "/usr/share/ovmf/OVMF.fd",
    "/usr/share/OVMF/OVMF.fd",
    "/usr/share/edk2/x64/OVMF.4m.fd",
    "/usr/share/edk2/ovmf/OVMF.fd",
    "/usr/share/qemu/ovmf-x86_64.bin",
];

impl Probe for Here {
    fn compiler(&mut self) -> Result<Compiler, Vec<String>> {
        let mut seen = Vec::new();
        match compiler::debian(Path::new("/usr")) {
            Ok(compiler) => return Ok(compiler),
            Err(why) => seen.push(format!("Debian's: {why}")),
        }
        for folder in compiler::rustup_folders() {
            match compiler::rustup(&folder) {
                Ok(compiler) => return Ok(compiler),
                Err(why) => {
                    let name = folder.file_name().unwrap_or_default().to_string_lossy();
                    seen.push(format!("rustup's {name}: {why}"));
                }
            }
        }
        Err(seen)
    }

    fn qemu(&mut self) -> Option<PathBuf> {
        in_path("qemu-system-x86_64")
    }

    fn ovmf(&mut self) -> Option<PathBuf> {
        OVMF.iter().map(PathBuf::from).find(|file| file.is_file())
    }

    fn gdb(&mut self) -> Option<PathBuf> {
        in_path("gdb")
    }
}

/// The first file of that name in PATH.
#[must_use]
pub fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
