//! What the header says, as far as it can be true.
//!
//! A dead kernel may have written over it. What would lead to endless lists is taken for nothing, with
//! a note.

use exported::{FrameBooks, List, Places, Record, Stack};

use super::Outside;

/// More than any ring, table or list of this kernel's has.
const MOST: u64 = 1 << 17;
/// More than any stack has.
const LONGEST: u64 = 64 << 20;
const PAGE: u64 = 4096;

impl Outside {
    /// Takes out of the header what cannot be.
    pub(super) fn sift(&mut self) {
        let mut header = self.found.header;
        let mut wrong = Vec::new();
        let end = self.ram.iter().map(|range| range.end).max().unwrap_or(0);
        for (what, list) in [
            ("the list of reserved memory", &mut header.reserved),
            ("the list of regions", &mut header.regions),
            ("the list of stacks", &mut header.slots),
            ("the table of processes", &mut header.processes),
            ("the ring of events", &mut header.events),
            ("the records of faults", &mut header.faults),
            ("the list of snapshots", &mut header.snapshots),
        ] {
            if list.count > MOST {
                wrong.push(format!("{what} would have {} elements", list.count));
                *list = List::ZERO;
            }
        }
        for (what, places) in [
            ("kernel stacks", &mut header.kernel_stacks),
            ("IST stacks", &mut header.ist_stacks),
        ] {
            let is_well = places.count <= MOST
                && places.bytes <= LONGEST
                && places.stride >= places.bytes.saturating_add(PAGE);
            if !is_well {
                wrong.push(format!(
                    "{} {what} of {:#x} bytes, each {:#x} from the other, cannot be",
                    places.count, places.bytes, places.stride
                ));
                *places = Places::ZERO;
            }
        }
        let stack = header.user_stack;
        if stack
            .top
            .checked_sub(stack.bottom)
            .is_none_or(|bytes| bytes > LONGEST)
        {
            wrong.push(format!(
                "the stack of programs cannot be {:#x}..{:#x}",
                stack.bottom, stack.top
            ));
            header.user_stack = Stack::ZERO;
        }
        let books = header.frames;
        if books.count > end.div_ceil(PAGE) {
            wrong.push(format!(
                "the frame books would have {} frames, and memory ends at {end:#x}",
                books.count
            ));
            header.frames = FrameBooks::ZERO;
        }
        self.found.header = header;
        for what in wrong {
            self.note(format!("the kernel's header is damaged: {what}"));
        }
    }
}
