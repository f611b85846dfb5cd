//! Every combination of rights over the levels, every access, every setting of the control
//! bits: 1,153,152 rows, judged by rules written down in words and by [`judge`](crate::judge).
//!
//! The rules here know no walk and no entry. A page is a list of layers, one a level, each a
//! set of letters; a rule says which layer an access may complain about. The access is fine if
//! no rule complains, and `judge` must then agree, and otherwise give one of the complaints.

use std::vec::Vec;

use crate::{
    Access, AccessKind, Controls, Level, Paging, PhysAddr, PhysMemory, ReadError, Verdict,
    VirtAddr, Why, judge, walk,
};

/// What is in one entry on the way: nothing, nonsense, or some of the letters `W`, `U`, `N`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Layer {
    Hole,
    Nonsense(u64),
    Letters { w: bool, u: bool, n: bool },
}

/// The eight sets of letters.
fn sets() -> impl Iterator<Item = Layer> {
    [false, true].into_iter().flat_map(|w| {
        [false, true].into_iter().flat_map(move |u| {
            [false, true]
                .into_iter()
                .map(move |n| Layer::Letters { w, u, n })
        })
    })
}

/// MAXPHYADDR of the machine in question.
const PHYSICAL_BITS: u32 = 36;

/// The bits that no present entry may have at this depth, of so many, by "Formats of CR3 and
/// Paging-Structure Entries with 4-Level Paging".
fn nonsense_bits(depth: usize, depths: usize) -> Vec<u64> {
    let is_last = depth + 1 == depths;
    let low = match depth {
        0 => 7..8,
        1 if is_last => 13..30,
        2 if is_last => 13..21,
        _ => 0..0,
    };
    low.chain(PHYSICAL_BITS..52).map(|bit| 1 << bit).collect()
}

/// All ways there are through so many levels: each ends in a page, a hole, or nonsense.
fn ways(depths: usize) -> Vec<Vec<Layer>> {
    let mut done = Vec::new();
    let mut open = std::vec![Vec::new()];
    for depth in 0..depths {
        let bits = nonsense_bits(depth, depths);
        let mut longer = Vec::new();
        for (number, way) in open.iter().enumerate() {
            // One bit each, in turn.
            let nonsense = bits[number % bits.len()];
            for end in [Layer::Hole, Layer::Nonsense(nonsense)] {
                done.push([way.as_slice(), &[end]].concat());
            }
            longer.extend(sets().map(|set| [way.as_slice(), &[set]].concat()));
        }
        open = longer;
    }
    done.append(&mut open);
    done
}

/// What may be complained about, and where: 0 is the top.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Complaint {
    Missing(usize),
    Garbled(usize, u64),
    NotForUsers(usize),
    NotWritable(usize),
    NotExecutable(usize),
    /// Pages for users, of which the kernel keeps away.
    ForUsersOnly,
}

/// The rules, in words and then in letters. Of complaints of one kind only the one nearest to
/// the top is made.
fn complaints(way: &[Layer], access: Access, controls: Controls) -> Vec<Complaint> {
    // "The CPU follows the entries down, and stops at the first it cannot use."
    let barrier = way.iter().enumerate().find_map(|(at, layer)| match *layer {
        Layer::Hole => Some(Complaint::Missing(at)),
        Layer::Nonsense(bit) => Some(Complaint::Garbled(at, bit)),
        // "Bit 63 is reserved while NXE is 0."
        Layer::Letters { n: true, .. } if !controls.nxe => Some(Complaint::Garbled(at, 1 << 63)),
        Layer::Letters { .. } => None,
    });
    if let Some(barrier) = barrier {
        return std::vec![barrier];
    }
    let first_with = |wanted: fn(Layer) -> bool| way.iter().position(|layer| wanted(*layer));
    let no_w = first_with(|layer| matches!(layer, Layer::Letters { w: false, .. }));
    let no_u = first_with(|layer| matches!(layer, Layer::Letters { u: false, .. }));
    let an_n = first_with(|layer| matches!(layer, Layer::Letters { n: true, .. }));

    let mut all = Vec::new();
    let mut complain = |about: Option<Complaint>| all.extend(about);
    match (access.user, access.kind) {
        // "User code may touch only what every level leaves to it,"
        (true, _) => complain(no_u.map(Complaint::NotForUsers)),
        // "and with SMEP the kernel may not run code there, nor with SMAP read or write it
        // unless AC is set."
        (false, AccessKind::Execute) if controls.smep && no_u.is_none() => {
            complain(Some(Complaint::ForUsersOnly));
        }
        (false, AccessKind::Read | AccessKind::Write)
            if controls.smap && no_u.is_none() && !controls.ac =>
        {
            complain(Some(Complaint::ForUsersOnly));
        }
        (false, _) => {}
    }
    match access.kind {
        AccessKind::Read => {}
        // "Writing needs W at every level, but the kernel needs it only with WP."
        AccessKind::Write if !access.user && !controls.wp => {}
        AccessKind::Write => complain(no_w.map(Complaint::NotWritable)),
        // "N at any level forbids fetching, to everybody."
        AccessKind::Execute => complain(an_n.map(Complaint::NotExecutable)),
    }
    all
}

/// The error code, bit after bit, as digits of a binary number: `I RSVD U W P`.
fn error_code(complaint: Complaint, access: Access, controls: Controls) -> u64 {
    let is_fetch = access.kind == AccessKind::Execute;
    let digits = [
        is_fetch && (controls.nxe || controls.smep),
        matches!(complaint, Complaint::Garbled(..)),
        access.user,
        access.kind == AccessKind::Write,
        !matches!(complaint, Complaint::Missing(_)),
    ];
    digits
        .into_iter()
        .fold(0, |number, digit| number * 2 + u64::from(digit))
}

/// The table at depth D is in frame D + 1, and the entry in question is its first.
struct Tables(Vec<u64>);

impl PhysMemory for Tables {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        let depth = (at.0 / 0x1000).checked_sub(1);
        let raw = depth.and_then(|depth| self.0.get(depth as usize));
        let raw = raw.filter(|_| at.0.is_multiple_of(0x1000));
        buf.copy_from_slice(&raw.ok_or(ReadError::NoMemory { at })?.to_le_bytes());
        Ok(())
    }
}

/// The way as raw entries.
fn raw(way: &[Layer], depths: usize) -> Tables {
    let entry = |(depth, layer): (usize, &Layer)| {
        let is_last = depth + 1 == depths;
        let size = if is_last && depths < 4 { 0x80 } else { 0 };
        let next = match is_last {
            true => 0x4000_0000,
            false => (depth as u64 + 2) * 0x1000,
        };
        match *layer {
            // Anything may be in a hole, but not bit 0.
            Layer::Hole => u64::MAX - 1,
            Layer::Nonsense(bit) => next | size | bit | 7,
            Layer::Letters { w, u, n } => {
                let (w, u, n) = (u64::from(w), u64::from(u), u64::from(n));
                next | size | 1 | w << 1 | u << 2 | n << 63
            }
        }
    };
    Tables(way.iter().enumerate().map(entry).collect())
}

/// What `judge` says, as a complaint.
fn complaint(level: Level, why: Why) -> Complaint {
    let at = match level {
        Level::Pml5 => usize::MAX,
        Level::Pml4 => 0,
        Level::Pdpt => 1,
        Level::Pd => 2,
        Level::Pt => 3,
    };
    match why {
        Why::Absent => Complaint::Missing(at),
        Why::Reserved(bits) => Complaint::Garbled(at, bits),
        Why::Supervisor => Complaint::NotForUsers(at),
        Why::ReadOnly => Complaint::NotWritable(at),
        Why::NoExecute => Complaint::NotExecutable(at),
        Why::Smep | Why::Smap => Complaint::ForUsersOnly,
    }
}

/// Judges every row of pages that lie so many levels down; the numbers of ways and of rows.
fn judge_all(depths: usize) -> (usize, usize) {
    let ways = ways(depths);
    let mut rows = 0;
    for way in &ways {
        let mut tables = raw(way, depths);
        for nxe in [false, true] {
            let paging = Paging {
                nxe,
                ..Paging::four_level(PHYSICAL_BITS as u8)
            };
            let walk = walk(&mut tables, &paging, PhysAddr(0x1000), VirtAddr(0));
            for bits in 0..16 {
                let controls = Controls {
                    wp: bits & 1 != 0,
                    smep: bits & 2 != 0,
                    smap: bits & 4 != 0,
                    ac: bits & 8 != 0,
                    nxe,
                };
                for kind in [AccessKind::Read, AccessKind::Write, AccessKind::Execute] {
                    for user in [false, true] {
                        let access = Access { kind, user };
                        let all = complaints(way, access, controls);
                        let verdict = judge(&walk, access, controls);
                        let is_right = match verdict {
                            Verdict::Allowed { .. } => all.is_empty(),
                            Verdict::PageFault { code, level, why } => {
                                let made = complaint(level, why);
                                all.contains(&made) && code == error_code(made, access, controls)
                            }
                            Verdict::NonCanonical | Verdict::Unknown { .. } => false,
                        };
                        assert!(
                            is_right,
                            "{access}, {controls:?}, {way:x?}: {verdict:x?}, not {all:x?}"
                        );
                        rows += 1;
                    }
                }
            }
        }
    }
    (ways.len(), rows)
}

#[test]
fn small_pages_are_judged_as_the_rules_say() {
    assert_eq!(judge_all(4), (5_266, 1_011_072));
}

#[test]
fn large_pages_are_judged_as_the_rules_say() {
    assert_eq!(judge_all(3), (658, 126_336));
    assert_eq!(judge_all(2), (82, 15_744));
}
