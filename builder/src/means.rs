//! Whether packages can be installed on this machine, and as whom.

use std::io::IsTerminal as _;
use std::process::Command;

use crate::tools;

/// How packages could be installed here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// We are root.
    Root,
    /// `sudo -n` works, or there is a terminal for it to ask at.
    Sudo,
    /// Neither.
    None(&'static str),
}

/// What can be known about installing here.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    /// Is there an `apt-get`?
    pub apt: bool,
    /// Are we root?
    pub root: bool,
    /// Is there a `sudo`?
    pub sudo: bool,
    /// Does it work without a password?
    pub sudo_silent: bool,
    /// Is there a terminal on which it could ask for one?
    pub terminal: bool,
}

impl Means {
    /// How it is on this machine.
    #[must_use]
    pub fn here() -> Self {
        let succeeds = |program: &str, args: &[&str]| {
            Command::new(program)
                .args(args)
                .stdin(std::process::Stdio::null())
                .output()
                .is_ok_and(|output| output.status.success())
        };
        let root = Command::new("id")
            .arg("-u")
            .output()
            .is_ok_and(|output| output.stdout.trim_ascii() == b"0");
        let sudo = tools::in_path("sudo").is_some();
        Self {
            apt: tools::in_path("apt-get").is_some(),
            root,
            sudo,
            sudo_silent: !root && sudo && succeeds("sudo", &["-n", "true"]),
            terminal: std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
        }
    }

    /// The way to install packages, or why there is none.
    #[must_use]
    pub fn way(self) -> Way {
        match self {
            Means { apt: false, .. } => Way::None("this machine has no apt-get"),
            Means { root: true, .. } => Way::Root,
            Means { sudo: false, .. } => Way::None("we are not root and there is no sudo"),
            Means {
                sudo_silent: true, ..
            }
            | Means { terminal: true, .. } => Way::Sudo,
            _ => Way::None("we are not root, and sudo has no terminal to ask for a password"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_installed_only_where_nobody_has_to_be_guessed_at() {
        let nobody = Means {
            apt: true,
            root: false,
            sudo: false,
            sudo_silent: false,
            terminal: true,
        };
        assert!(matches!(nobody.way(), Way::None(why) if why.contains("no sudo")));
        assert_eq!(
            Means {
                root: true,
                ..nobody
            }
            .way(),
            Way::Root
        );
        let sudo = Means {
            sudo: true,
            ..nobody
        };
        assert_eq!(sudo.way(), Way::Sudo);
        let unattended = Means {
            terminal: false,
            ..sudo
        };
        assert!(matches!(unattended.way(), Way::None(why) if why.contains("password")));
        assert_eq!(
            Means {
                sudo_silent: true,
                ..unattended
            }
            .way(),
            Way::Sudo
        );
        assert!(
            matches!(Means { apt: false, root: true, ..sudo }.way(), Way::None(why) if why.contains("apt-get"))
        );
    }
}
