//! Which image an address belongs to, and which address a name means.

use heapless::String;
use machine::VirtAddr;

use crate::command::Context;
use crate::error::excerpt;
use crate::{Error, Image, Pid, Symbols, Target};

/// The longest name that is searched for.
pub(crate) const LONGEST: usize = 250;

/// The names of a target that has some.
pub(crate) fn symbols(target: &mut dyn Target) -> Result<&mut dyn Symbols, Error> {
    target.symbols().ok_or(Error::Lacks("symbols"))
}

/// Whether an address lies in the half that is the kernel's.
pub(crate) fn is_upper(address: VirtAddr) -> bool {
    address.0 >> 63 != 0
}

/// The image that an address belongs to: in the upper half the kernel's, in the lower half that of the
/// process in focus.
pub(crate) fn image_at(
    target: &mut dyn Target,
    focus: Option<Pid>,
    address: VirtAddr,
) -> Result<Image<'_>, Error> {
    match focus {
        _ if is_upper(address) => kernel(target),
        Some(pid) => program(target, pid),
        None => Err(Error::Said(
            "an address in the lower half belongs to a process; `in PID sym ADDRESS` says whose",
        )),
    }
}

pub(crate) fn kernel(target: &mut dyn Target) -> Result<Image<'_>, Error> {
    let image = symbols(target)?.kernel();
    image.map_err(|why| Error::NoSymbols("the kernel", why))
}

pub(crate) fn program(target: &mut dyn Target, pid: Pid) -> Result<Image<'_>, Error> {
    let image = symbols(target)?.program(pid);
    image.map_err(|why| Error::NoSymbols("the program", why))
}

/// Whether this is to be searched for, not computed.
pub(crate) fn is_name(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '<');
    begins && !text.starts_with("sym:")
}

/// How well a name fits what was typed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Part,
    End,
    Whole,
}

/// The best of what has been looked at.
#[derive(Default)]
struct Best {
    fit: Option<Fit>,
    at: Option<u64>,
    count: u64,
}

impl Best {
    /// Looks through an image.
    fn search(&mut self, image: &Image<'_>, name: &str) {
        let mut end: String<{ LONGEST + 2 }> = String::new();
        if end.push_str("::").is_err() || end.push_str(name).is_err() {
            return;
        }
        for symbol in image.index.symbols() {
            let fit = if !symbol.name.contains(name) {
                continue;
            } else if symbol.name.is(name) {
                Fit::Whole
            } else if symbol.name.ends_with(&end) {
                Fit::End
            } else {
                Fit::Part
            };
            if Some(fit) > self.fit {
                *self = Best {
                    fit: Some(fit),
                    ..Best::default()
                };
            }
            if Some(fit) == self.fit {
                self.count = self.count.saturating_add(1);
                self.at = Some(image.run(symbol.address).0);
            }
        }
    }
}

impl Context<'_> {
    /// The address of the only function or variable with this name, or the only one whose path ends
    /// with it, or the only one whose name has it somewhere; first in the process in focus, then in the
    /// kernel.
    pub(crate) fn address_of(&mut self, name: &str) -> Result<u64, Error> {
        if name.is_empty() {
            return Err(Error::Missing("name"));
        }
        let mut best = Best::default();
        if let Some(pid) = self.focus {
            best.search(&program(self.target, pid)?, name);
        }
        if best.fit.is_none() {
            best.search(&kernel(self.target)?, name);
        }
        match (best.at, best.count) {
            (Some(at), 1) => Ok(at),
            (Some(_), count) => Err(Error::SeveralSymbols(excerpt(name), count)),
            (None, _) => Err(Error::NoSymbol(excerpt(name))),
        }
    }
}
