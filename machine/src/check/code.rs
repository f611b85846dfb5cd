//! Pages that user code executes, to find those that it could write by another name.
//!
//! As with [`TableNames`](super::TableNames), they come by ascending frame, as many in each pass
//! as there is room for.

use crate::{PageSize, PhysAddr, VirtAddr};

const ROOM: usize = 128;

/// A page that can be executed, as it was met first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodePage {
    /// Where it is.
    pub at: PhysAddr,
    /// How long.
    pub size: PageSize,
    /// The address it can be executed at.
    pub va: VirtAddr,
    /// Which of the spaces that are looked at that is in; the asker numbers them.
    pub space: u32,
}

/// One pass: the pages with the lowest frames of those that no pass before had.
#[derive(Clone, Debug)]
pub struct CodePages {
    after: Option<PhysAddr>,
    known: [Option<CodePage>; ROOM],
    count: usize,
    is_full: bool,
}

impl CodePages {
    /// The first pass.
    pub const fn new() -> CodePages {
        CodePages {
            after: None,
            known: [None; ROOM],
            count: 0,
            is_full: false,
        }
    }

    fn known(&self) -> &[Option<CodePage>] {
        self.known.get(..self.count).unwrap_or_default()
    }

    /// Takes notice of a page that can be executed.
    pub fn meet(&mut self, page: CodePage) {
        if self.after.is_some_and(|after| page.at <= after) {
            return;
        }
        let key = |known: &Option<CodePage>| known.map(|known| known.at);
        let place = match self.known().binary_search_by_key(&Some(page.at), key) {
            Ok(place) => {
                // Of two that begin alike the larger one covers both.
                if let Some(Some(known)) = self.known.get_mut(place)
                    && known.size < page.size
                {
                    *known = page;
                }
                return;
            }
            Err(place) => place,
        };
        if self.count == ROOM {
            self.is_full = true;
            if place == ROOM {
                return;
            }
        } else {
            self.count += 1;
        }
        if let Some(tail) = self.known.get_mut(place..self.count) {
            tail.rotate_right(1);
        }
        if let Some(slot) = self.known.get_mut(place) {
            *slot = Some(page);
        }
    }

    /// One of this pass's pages that has memory in common with the page at `at`.
    pub fn overlapping(&self, at: PhysAddr, size: PageSize) -> Option<CodePage> {
        let known = self.known();
        let find = |wanted: u64| {
            let key = |known: &Option<CodePage>| known.map(|known| known.at.0);
            let place = known.binary_search_by_key(&Some(wanted), key);
            place.unwrap_or_else(|place| place)
        };
        let get = |place: usize| known.get(place).copied().flatten();
        // It lies within this page, or this page within it; pages are aligned to their size.
        let end = at.0.saturating_add(size.bytes());
        let within = get(find(at.0)).filter(|page| page.at.0 < end);
        within.or_else(|| {
            let mut sizes = PageSize::ALL.into_iter().filter(|around| *around > size);
            sizes.find_map(|around| {
                let start = at.0 & !(around.bytes() - 1);
                get(find(start)).filter(|page| page.at.0 == start && page.size >= around)
            })
        })
    }

    /// Makes it the next pass; false if there is none.
    pub fn next_pass(&mut self) -> bool {
        let last = self.known().last().copied().flatten();
        let is_more = core::mem::take(&mut self.is_full);
        self.after = last.map(|page| page.at).or(self.after);
        self.count = 0;
        is_more
    }
}

impl Default for CodePages {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(at: u64, size: PageSize) -> CodePage {
        CodePage {
            at: PhysAddr(at),
            size,
            va: VirtAddr(0),
            space: 0,
        }
    }

    #[test]
    fn pages_of_all_sizes_overlap_where_they_have_memory_in_common() {
        use PageSize::{Size1G, Size2M, Size4K};
        let mut code = CodePages::new();
        code.meet(page(0x40_0000, Size2M));
        code.meet(page(0x7000, Size4K));
        let cases = [
            (0x7000, Size4K, Some(0x7000)),
            (0x6000, Size4K, None),
            (0x8000, Size4K, None),
            (0, Size2M, Some(0x7000)),
            (0x5f_f000, Size4K, Some(0x40_0000)),
            (0x60_0000, Size4K, None),
            (0x60_0000, Size2M, None),
            (0x40_0000, Size2M, Some(0x40_0000)),
            (0, Size1G, Some(0x7000)),
            (1 << 30, Size1G, None),
        ];
        for (at, size, expected) in cases {
            let found = code.overlapping(PhysAddr(at), size);
            assert_eq!(found.map(|page| page.at.0), expected, "{at:#x} {size}");
        }
    }

    #[test]
    fn every_page_has_its_pass() {
        let mut code = CodePages::new();
        let mut found = 0;
        loop {
            for number in (0..300).rev() {
                code.meet(page(number << 12, PageSize::Size4K));
            }
            let is_there = |number: &u64| {
                let at = PhysAddr(number << 12);
                code.overlapping(at, PageSize::Size4K).is_some()
            };
            found += (0..300).filter(is_there).count();
            if !code.next_pass() {
                break;
            }
        }
        assert_eq!(found, 300);
    }
}
