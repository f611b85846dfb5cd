//! Set-up: says what is missing, installs it where that is possible, and prepares the toolchain.
//!
//! Everything that boots or builds begins here. When nothing is missing this costs one call of the
//! compiler. Only Debian's own packages are ever installed; no toolchain is downloaded.

use std::process::Command;

use anyhow::bail;

use crate::means::{Means, Way};
use crate::project::Project;
use crate::steps;
use crate::toolchain::Toolchain;
use crate::tools::{self, Here, Missing, Tools};

/// A machine that can build and boot the kernel.
#[derive(Clone, Debug)]
pub struct Ready {
    /// What was found.
    pub tools: Tools,
    /// The compiler, laid out for cargo.
    pub toolchain: Toolchain,
}

/// Makes this machine ready.
///
/// # Errors
///
/// Names what to install where it cannot be installed from here.
pub fn ready(project: &Project) -> anyhow::Result<Ready> {
    let tools = match tools::look(&mut Here) {
        Ok(tools) => tools,
        Err(missing) => install(project, &missing)?,
    };
    let toolchain = Toolchain::prepare(project, tools.compiler.clone())?;
    Ok(Ready { tools, toolchain })
}

/// What is missing, in words, and the packages that bring it.
#[must_use]
pub fn describe(missing: &[Missing]) -> String {
    let mut text = String::from("missing:\n");
    for Missing { tool, seen } in missing {
        text.push_str(&format!(
            "  {}\n    Debian: {}\n",
            tool.purpose(),
            tool.packages().join(" ")
        ));
        for line in seen {
            text.push_str(&format!("    looked at {line}\n"));
        }
    }
    text
}

fn packages(missing: &[Missing]) -> Vec<&'static str> {
    missing
        .iter()
        .flat_map(|missing| missing.tool.packages())
        .copied()
        .collect()
}

/// The message for a machine where we can install nothing.
#[must_use]
pub fn refusal(missing: &[Missing], why: &str) -> String {
    format!(
        "{}cannot install it: {why}\non Debian 12 or newer: apt-get install {}\n\
         elsewhere: any qemu-system-x86_64, OVMF and GDB, and a rustup toolchain (1.95 to 1.97) with the \
         components rust-src and llvm-tools",
        describe(missing),
        packages(missing).join(" ")
    )
}

fn install(project: &Project, missing: &[Missing]) -> anyhow::Result<Tools> {
    let way = Means::here().way();
    if let Way::None(why) = way {
        bail!("{}", refusal(missing, why));
    }
    eprint!("{}", describe(missing));
    let packages = packages(missing);
    eprintln!("installing: {}", packages.join(" "));
    // The lists may be years old, or not there at all in a container: only then are they fetched.
    let first = apt(
        project,
        way,
        "apt-install",
        "install packages",
        &install_words(&packages),
    );
    if first.is_err() {
        apt(
            project,
            way,
            "apt-update",
            "update the package lists",
            &["update"],
        )?;
        if let Err(error) = apt(
            project,
            way,
            "apt-install",
            "install packages",
            &install_words(&packages),
        ) {
            bail!(
                "{error:#}\n{}",
                refusal(missing, "apt-get failed (it may not remove other packages)")
            );
        }
    }
    match tools::look(&mut Here) {
        Ok(tools) => Ok(tools),
        Err(still) => bail!(
            "{}",
            refusal(&still, "the packages are installed and it is still missing")
        ),
    }
}

fn install_words<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    // Debian's compiler for the web conflicts with other packages of a compiler. Somebody installed
    // those on purpose: never remove anything.
    let mut words = vec!["install", "--yes", "--no-remove", "--no-install-recommends"];
    words.extend(packages);
    words
}

fn apt(project: &Project, way: Way, name: &str, what: &str, words: &[&str]) -> anyhow::Result<()> {
    let mut command = match way {
        Way::Root => Command::new("apt-get"),
        _ => {
            // The step itself has no terminal; a password is asked for here, once. Where sudo
            // needs none, `-v` may still ask for one.
            if !Means::here().sudo_silent {
                Command::new("sudo").arg("-v").status()?;
            }
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
            sudo
        }
    };
    command.env("DEBIAN_FRONTEND", "noninteractive").args(words);
    steps::run(project, name, what, &mut command)
}

#[cfg(test)]
mod decisions {
    use super::*;
    use crate::compiler::Compiler;
    use crate::tools::{Probe, Tool};
    use std::path::PathBuf;

    /// A machine with some of what is needed.
    struct Fake {
        compiler: Result<Compiler, Vec<String>>,
        qemu: bool,
        ovmf: bool,
        gdb: bool,
    }

    impl Probe for Fake {
        fn compiler(&mut self) -> Result<Compiler, Vec<String>> {
            self.compiler.clone()
        }
        fn qemu(&mut self) -> Option<PathBuf> {
            self.qemu.then(|| "/usr/bin/qemu-system-x86_64".into())
        }
        fn ovmf(&mut self) -> Option<PathBuf> {
            self.ovmf.then(|| "/usr/share/ovmf/OVMF.fd".into())
        }
        fn gdb(&mut self) -> Option<PathBuf> {
            self.gdb.then(|| "/usr/bin/gdb".into())
        }
    }

    fn compiler() -> Compiler {
        Compiler {
            name: "a compiler".to_owned(),
            rustc: "rustc".into(),
            cargo: "cargo".into(),
            sources: "src".into(),
            host_libraries: "lib".into(),
            linker: "lld".into(),
            llvm: "llvm".into(),
        }
    }

    #[test]
    fn a_complete_machine_needs_nothing() {
        let mut machine = Fake {
            compiler: Ok(compiler()),
            qemu: true,
            ovmf: true,
            gdb: true,
        };
        assert_eq!(
            tools::look(&mut machine).map(|tools| tools.compiler),
            Ok(compiler())
        );
    }

    #[test]
    fn all_that_is_missing_is_named_at_once_with_its_packages() {
        let seen = vec!["rustup's nightly: it lacks the component rust-src".to_owned()];
        let mut machine = Fake {
            compiler: Err(seen),
            qemu: false,
            ovmf: true,
            gdb: false,
        };
        let missing = tools::look(&mut machine).expect_err("three things are missing");
        assert_eq!(
            missing
                .iter()
                .map(|missing| missing.tool)
                .collect::<Vec<_>>(),
            [Tool::Compiler, Tool::Qemu, Tool::Gdb]
        );
        let text = refusal(&missing, "we are not root and there is no sudo");
        for part in [
            "qemu-system-x86",
            "gdb",
            "rust-web-src",
            "lacks the component rust-src",
            "not root",
            "apt-get install",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("ovmf"), "{text}");
    }
}
