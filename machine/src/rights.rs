//! What an entry, or a whole path of entries, allows.
//!
//! Every level can only forbid, so the effective rights are those of all levels together
//! (Intel SDM volume 3A, "Determination of Access Rights"). These are the rights the tables
//! grant; whether an access succeeds under CR0.WP, SMEP and SMAP is for [`judge`](crate::judge)
//! to say.

use core::fmt;

/// What is allowed: access from user mode, writing, fetching instructions.
/// Reading is allowed wherever anything is mapped, so it has no field.
///
/// Displayed as `urwx`, `ur-x`, `-rw-`, and so on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Rights {
    /// User-mode code may use it (U/S is set).
    pub user: bool,
    /// It may be written (R/W is set).
    pub write: bool,
    /// Instructions may be fetched from it (XD is clear).
    pub execute: bool,
}

/// One of the three rights, to ask about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Right {
    /// Access from user mode.
    User,
    /// Writing.
    Write,
    /// Fetching instructions.
    Execute,
}

impl Rights {
    /// Everything is allowed: where a walk begins, before any entry forbids.
    pub const ALL: Rights = Rights {
        user: true,
        write: true,
        execute: true,
    };

    /// Nothing but reading by the supervisor is allowed.
    pub const NONE: Rights = Rights {
        user: false,
        write: false,
        execute: false,
    };

    /// What both allow.
    #[must_use]
    pub const fn and(self, other: Rights) -> Rights {
        Rights {
            user: self.user && other.user,
            write: self.write && other.write,
            execute: self.execute && other.execute,
        }
    }

    /// Whether `right` is among them.
    pub const fn has(self, right: Right) -> bool {
        match right {
            Right::User => self.user,
            Right::Write => self.write,
            Right::Execute => self.execute,
        }
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match (self.user, self.write, self.execute) {
            (false, false, false) => "-r--",
            (false, false, true) => "-r-x",
            (false, true, false) => "-rw-",
            (false, true, true) => "-rwx",
            (true, false, false) => "ur--",
            (true, false, true) => "ur-x",
            (true, true, false) => "urw-",
            (true, true, true) => "urwx",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn each_right_has_its_column() {
        for bits in 0..8 {
            let rights = Rights {
                user: bits & 1 != 0,
                write: bits & 2 != 0,
                execute: bits & 4 != 0,
            };
            let column = |on, letter| if on { letter } else { '-' };
            let expected: std::string::String = [
                column(rights.user, 'u'),
                'r',
                column(rights.write, 'w'),
                column(rights.execute, 'x'),
            ]
            .into_iter()
            .collect();
            assert_eq!(rights.to_string(), expected);
        }
    }

    #[test]
    fn both_must_allow() {
        let code = Rights {
            write: false,
            ..Rights::ALL
        };
        let data = Rights {
            execute: false,
            ..Rights::ALL
        };
        assert_eq!(code.and(data).to_string(), "ur--");
        assert_eq!(Rights::ALL.and(code), code);
        assert_eq!(Rights::NONE.and(Rights::ALL), Rights::NONE);
    }

    #[test]
    fn a_right_can_be_asked_for_by_name() {
        let code = Rights {
            user: false,
            write: false,
            execute: true,
        };
        assert!(code.has(Right::Execute) && !code.has(Right::User) && !code.has(Right::Write));
    }
}
