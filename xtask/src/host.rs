//! The cargo that runs us, for what is built for this machine: lints, formatting, tests.

use std::process::{Command, Stdio};

use crate::project::Project;

/// A call of the host's cargo, without what it told us about ourselves.
#[must_use]
pub fn cargo(project: &Project) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_about_us) {
            command.env_remove(name);
        }
    }
    // Whatever is not installed stays so.
    command.env("RUSTUP_AUTO_INSTALL", "0");
    command.current_dir(project.root());
    command
}

fn is_about_us(name: &str) -> bool {
    let ours = [
        "CARGO_PKG_",
        "CARGO_BIN_",
        "CARGO_CRATE_",
        "CARGO_MANIFEST_",
        "CARGO_PRIMARY_",
    ];
    ours.iter().any(|start| name.starts_with(start))
        || name == "LD_LIBRARY_PATH"
        || name == "OUT_DIR"
}

/// Is a part of cargo that may be left out of an installation there?
#[must_use]
pub fn has(project: &Project, subcommand: &str) -> bool {
    cargo(project)
        .args([subcommand, "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
