//! Events.

use shell::{Event, EventKind};

use crate::record::records;

records! {
    /// One record of the ring. `sequence` is stored last, and zeroed first.
    EventRecord {
        /// Its number, from 1; it is at the place with this number modulo their count.
        sequence: u64,
        /// The time-stamp counter.
        cycles: u64,
        /// Kind in the low byte, then the pid (32 bits), then CS + 1 or 0 (17 bits).
        what: u64,
        /// CR3.
        cr3: u64,
        /// What the kind says.
        a: u64,
        /// The same.
        b: u64,
    }
}

impl EventRecord {
    /// What a record says that was meant to have this number; `None` if it is another one.
    pub fn event(&self, sequence: u64) -> Option<Event> {
        if sequence == 0 || self.sequence != sequence {
            return None;
        }
        let cs = (self.what >> 40) & 0xf_ffff;
        Some(Event {
            seq: sequence,
            cycles: self.cycles,
            kind: EventKind::from_number((self.what & 0xff) as u8)?,
            pid: (self.what >> 8) as u32,
            cs: cs.checked_sub(1).and_then(|cs| u16::try_from(cs).ok()),
            cr3: self.cr3,
            a: self.a,
            b: self.b,
        })
    }

    /// The word that says kind, process and CS.
    pub fn what(kind: EventKind, pid: u32, cs: Option<u16>) -> u64 {
        let cs = cs.map_or(0, |cs| u64::from(cs) + 1);
        kind as u64 | u64::from(pid) << 8 | cs << 40
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_what_was_put_into_it() {
        for cs in [None, Some(0), Some(0x23), Some(0xffff)] {
            let record = EventRecord {
                sequence: 9,
                cycles: 1,
                what: EventRecord::what(EventKind::Poke, u32::MAX, cs),
                cr3: 2,
                a: 3,
                b: 4,
            };
            let event = record.event(9).expect("it is this one");
            assert_eq!(
                (event.kind, event.pid, event.cs),
                (EventKind::Poke, u32::MAX, cs)
            );
            assert_eq!((event.cycles, event.cr3, event.a, event.b), (1, 2, 3, 4));
            assert_eq!(record.event(8), None);
        }
        assert_eq!(
            EventRecord {
                sequence: 1,
                what: 0xff,
                ..crate::Record::ZERO
            }
            .event(1),
            None
        );
    }
}
