//! The first call in a fresh checkout: `xtask` is built beside the kernel that it is going to boot.
//!
//! What is compiled here is only compiled early; `xtask` asks for all of it again, and cargo knows what is fresh.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, anyhow};

use crate::compile;
use crate::firmware::Firmware;
use crate::lock::Lock;
use crate::project::Project;
use crate::{setup, signals, steps};

/// The commands that boot a kernel, or build one.
const BOOTING: [&str; 9] = [
    "run",
    "exec",
    "screenshot",
    "gdb",
    "record",
    "build",
    "test",
    "bench",
    "bless",
];
/// Those of them that want all there is, whatever firmware is named.
const WHOLE: [&str; 4] = ["build", "test", "bench", "bless"];

/// Builds `xtask`, and becomes it. Returns only if that does not work; cargo has said why where it is no error.
///
/// # Errors
///
/// What is missing, or what did not compile.
pub fn become_xtask(words: &[OsString]) -> anyhow::Result<()> {
    let here = std::env::current_exe()?;
    let folder = here.parent().context("this program is in no folder")?;
    let xtask = folder.join("xtask");
    let project = Project::find();
    match xtask.exists() {
        // What a change of its sources has broken, cargo says best itself.
        true if !cargo(&project, folder).status()?.success() => return Ok(()),
        true => {}
        false => everything(&project, folder, wanted(words).as_deref())?,
    }
    let mut command = Command::new(&xtask);
    command.args(words);
    command.env("CARGO_MANIFEST_DIR", project.root().join("xtask"));
    Err(anyhow!(
        "cannot start {}: {}",
        xtask.display(),
        command.exec()
    ))
}

/// A call of cargo that builds `xtask` into the target folder we are in ourselves.
fn cargo(project: &Project, folder: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--package", "xtask", "--manifest-path"])
        .arg(project.root().join("Cargo.toml"));
    if let Some(target) = folder.parent() {
        command.arg("--target-dir").arg(target);
    }
    command
}

/// `xtask`, and what it will boot.
fn everything(
    project: &Project,
    folder: &Path,
    firmware: Option<&[Firmware]>,
) -> anyhow::Result<()> {
    signals::watch();
    let _lock = Lock::take(project)?;
    let xtask = steps::start(project, "xtask", "build xtask", &mut cargo(project, folder))?;
    let mut all = vec![xtask];
    if let Some(firmware) = firmware {
        eprintln!(
            "the first build keeps two processors busy for about three minutes; later ones take seconds"
        );
        let ready = setup::ready(project)?;
        all.extend(compile::start(project, &ready.toolchain, firmware, &[])?);
    }
    steps::finish_all(all)
}

/// For which firmware a kernel is going to be wanted; none if it is not. A guess that is wrong costs time, nothing else.
fn wanted(words: &[OsString]) -> Option<Vec<Firmware>> {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let is = |names: &[&str]| words.iter().any(|word| names.contains(word));
    let is_refused = ["--features", "-h", "--help"];
    let joined = words.iter().any(|word| word.starts_with("--features="));
    if !is(&BOOTING) || is(&is_refused) || joined {
        return None;
    }
    if is(&WHOLE) {
        return Some(Firmware::ALL.to_vec());
    }
    let bios = Firmware::Bios.word();
    let is_bios = is(&[&format!("--firmware={bios}")])
        || words.windows(2).any(|pair| pair == ["--firmware", bios]);
    Some(vec![if is_bios {
        Firmware::Bios
    } else {
        Firmware::default()
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Option<Vec<Firmware>> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        wanted(&words)
    }

    #[test]
    fn what_boots_gets_the_boot_stages_of_its_firmware_and_no_others() {
        assert_eq!(asked("gdb"), Some(vec![Firmware::Uefi]));
        assert_eq!(asked("--firmware bios run"), Some(vec![Firmware::Bios]));
        assert_eq!(
            asked("exec --firmware=bios -c map"),
            Some(vec![Firmware::Bios])
        );
        assert_eq!(asked("run --firmware uefi"), Some(vec![Firmware::Uefi]));
        assert_eq!(asked("test bios::"), Some(Firmware::ALL.to_vec()));
    }

    #[test]
    fn what_boots_nothing_or_another_kernel_builds_none() {
        for line in [
            "help",
            "symbolize -e run.elf 0",
            "docs --check",
            "run --features hang-in-boot",
        ] {
            assert_eq!(asked(line), None, "{line}");
        }
    }
}
