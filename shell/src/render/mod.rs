//! How values look on a line. Each is a `Display` on a small wrapper, so that every command
//! shows the same thing the same way and a test can compare it with a string.

mod rows;

use core::fmt;

use machine::Run;

use crate::abilities::{Place, StackKind, StackPlace, StackState};
use crate::record::Record;

pub(crate) use rows::{EntryLine, HoleLine, LeafLine, RunLine};

/// Pages by size, those there are: `3x4K+1x2M`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Pages {
    pub(crate) of_4k: u64,
    pub(crate) of_2m: u64,
    pub(crate) of_1g: u64,
}

impl Pages {
    pub(crate) fn of(run: &Run) -> Self {
        Pages {
            of_4k: run.count_4k,
            of_2m: run.count_2m,
            of_1g: run.count_1g,
        }
    }

    /// Adds a field for each size: `pages_4k`, `pages_2m`, `pages_1g`.
    pub(crate) fn fields(self, record: Record<'_>) -> Record<'_> {
        record
            .number("pages_4k", self.of_4k)
            .number("pages_2m", self.of_2m)
            .number("pages_1g", self.of_1g)
    }

    /// All of both.
    pub(crate) fn and(self, other: Pages) -> Pages {
        Pages {
            of_4k: self.of_4k.saturating_add(other.of_4k),
            of_2m: self.of_2m.saturating_add(other.of_2m),
            of_1g: self.of_1g.saturating_add(other.of_1g),
        }
    }
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = [(self.of_4k, "4K"), (self.of_2m, "2M"), (self.of_1g, "1G")];
        let mut gap = "";
        for (count, size) in sizes.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{gap}{count}x{size}")?;
            gap = "+";
        }
        match gap {
            "" => f.write_str("0"),
            _ => Ok(()),
        }
    }
}

/// Which stack of the kernel's: `kernel stack 3 (pid 2)`, `IST stack 1`.
pub(crate) struct StackName<'a>(pub(crate) &'a StackPlace);

impl fmt::Display for StackName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0.kind {
            StackKind::Kernel => "kernel",
            StackKind::Ist => "IST",
            StackKind::User => "user",
        };
        write!(f, "{kind} stack {}", self.0.number)?;
        match self.0.owner {
            Some(pid) => write!(f, " (pid {pid})"),
            None => Ok(()),
        }
    }
}

/// What the layout has somewhere, in words.
#[derive(Clone, Copy)]
pub(crate) struct Layout(pub(crate) Place);

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Place::Nothing => f.write_str("nothing"),
            Place::Physmap(at) => write!(f, "{at}"),
            Place::Device => f.write_str("a device"),
            Place::Memory(owner) => write!(f, "{owner}"),
            Place::Stack(place) => {
                let name = StackName(&place);
                match (place.is_guard, place.state) {
                    (true, _) => write!(f, "the guard page of {name}"),
                    (false, StackState::Live) => write!(f, "{name}"),
                    (false, _) => write!(f, "{name}, which is {}", place.state.name()),
                }
            }
        }
    }
}

/// A number of bytes in the largest unit that leaves it whole: `4K`, `68K`, `3M`.
#[derive(Clone, Copy)]
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
        let whole = |(shift, _): &(u32, &str)| self.0 != 0 && self.0.trailing_zeros() >= *shift;
        let (shift, unit) = units.into_iter().find(whole).unwrap_or((0, "B"));
        let mut text = heapless::String::<24>::new();
        fmt::write(&mut text, format_args!("{}{unit}", self.0 >> shift))?;
        f.pad(&text)
    }
}

/// A count with the right form of its noun: `1 page`, `2 pages`.
pub(crate) struct Count(pub(crate) u64, pub(crate) &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_keeps_to_the_unit_that_is_exact() {
        let sizes = [0, 1, 4096, 0x11000, 3 << 20, 1 << 39, (1 << 40) + 4096];
        let texts = ["0B", "1B", "4K", "68K", "3M", "512G", "1073741828K"];
        for (size, text) in sizes.into_iter().zip(texts) {
            assert_eq!(Size(size).to_string(), text);
        }
    }
}
