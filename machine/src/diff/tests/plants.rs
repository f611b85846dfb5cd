//! Two trees that are alike, and one thing changed in one entry: `diff` reports that entry, in
//! that, and nothing else.

use std::vec::Vec;

use super::*;

const AT: VirtAddr = VirtAddr(0xffff_8140_4060_8000);
const NX: u64 = Entry::NO_EXECUTE;

/// Pages of all sizes around `AT`, a copy of everything for each side.
fn alike() -> Simulated {
    let mut machine = machine();
    for root in [LEFT, RIGHT] {
        let mut map = |va: u64, pa, size| {
            machine.map_in(root, VirtAddr(va), PhysAddr(pa), size, Entry::WRITABLE)
        };
        for page in 0..16 {
            map(
                (AT.0 & !0xf000) + (page << 12),
                0x70_0000 + (page << 12),
                PageSize::Size4K,
            );
        }
        map(AT.0 + 0x20_0000, 0x60_0000, PageSize::Size2M);
        map(AT.0 + 0x4000_0000, 0x8000_0000, PageSize::Size1G);
        map(AT.0 + 0x80_0000_0000, 0x70_0000, PageSize::Size4K);
        map(0x1000, 0x70_0000, PageSize::Size4K);
    }
    machine
}

/// Where the entry of an address is at some level, and what is in it.
fn entry(machine: &mut Simulated, root: PhysAddr, va: u64, level: Level) -> (PhysAddr, u64) {
    let mut table = root;
    let mut at = Level::Pml4;
    loop {
        let address = entry_address(table, at.index(VirtAddr(va)) as u16);
        let raw = machine.read_u64(address).unwrap_or(0);
        if at == level {
            return (address, raw);
        }
        table = PhysAddr(raw & 0xff_ffff_f000);
        at = at.next().unwrap_or(level);
    }
}

/// What is not the same, after one entry on the right has been changed: it must be one row,
/// about this entry.
#[track_caller]
fn plant(va: u64, level: Level, change: impl Fn(u64) -> u64) -> Compared {
    let mut machine = alike();
    assert!(
        rows(&mut machine)
            .iter()
            .all(|row| row.kind == Compared::Equal)
    );
    let (left, before) = entry(&mut machine, LEFT, va, level);
    let (right, raw) = entry(&mut machine, RIGHT, va, level);
    machine.write_u64(right, change(raw));
    let all = rows(&mut machine);
    let found: Vec<&DiffRow> = all.iter().filter(|row| !row.kind.is_same()).collect();
    let [row] = found[..] else {
        panic!("one row: {found:x?}");
    };
    let places =
        [row.left, row.right].map(|place| place.map(|place| (place.entry_address(), place.raw)));
    assert_eq!(
        places,
        [Some((left, Some(before))), Some((right, Some(change(raw))))]
    );
    assert_eq!((row.level, row.entries), (level, 1));
    let first = VirtAddr(va & !(level.span() - 1));
    assert_eq!((row.first, row.bytes()), (first, level.span()));
    row.kind
}

const LEVELS: [Level; 4] = [Level::Pml4, Level::Pdpt, Level::Pd, Level::Pt];

#[test]
fn a_right_at_any_level_is_found_there_and_nowhere_else() {
    let bits = [
        (Entry::WRITABLE, Differences::WRITE),
        (Entry::USER, Differences::USER),
        (NX, Differences::NO_EXECUTE),
    ];
    for level in LEVELS {
        for (bit, what) in bits {
            assert_eq!(
                plant(AT.0, level, |raw| raw ^ bit),
                Compared::Differs(what),
                "{level}"
            );
        }
    }
    for (bit, what) in bits {
        let found = plant(AT.0 + 0x20_0000, Level::Pd, |raw| raw ^ bit);
        assert_eq!(found, Compared::Differs(what), "of a large page");
    }
}

#[test]
fn a_memory_type_at_any_level_is_found_there_and_nowhere_else() {
    let found = Compared::Differs(Differences::MEMORY_TYPE);
    for level in LEVELS {
        for bit in [Entry::WRITE_THROUGH, Entry::CACHE_DISABLE] {
            assert_eq!(plant(AT.0, level, |raw| raw ^ bit), found, "{level}");
        }
    }
    assert_eq!(plant(AT.0, Level::Pt, |raw| raw ^ Entry::PAT), found);
    assert_eq!(
        plant(AT.0 + 0x20_0000, Level::Pd, |raw| raw ^ Entry::PAT_HUGE),
        found
    );
    assert_eq!(
        plant(AT.0 + 0x4000_0000, Level::Pdpt, |raw| raw ^ Entry::PAT_HUGE),
        found
    );
}

#[test]
fn the_frame_of_a_page_of_any_size_is_found() {
    let found = Compared::Differs(Differences::FRAME);
    assert_eq!(plant(AT.0, Level::Pt, |raw| raw ^ 0x10_0000), found);
    assert_eq!(
        plant(AT.0 + 0x20_0000, Level::Pd, |raw| raw ^ 0x20_0000),
        found
    );
    assert_eq!(
        plant(AT.0 + 0x4000_0000, Level::Pdpt, |raw| raw ^ 0x4000_0000),
        found
    );
}

#[test]
fn a_size_is_found_where_an_entry_can_have_one() {
    let page = |raw: u64| (raw & 0xfff) | Entry::HUGE;
    for level in [Level::Pd, Level::Pdpt] {
        assert_eq!(
            plant(AT.0, level, page),
            Compared::Differs(Differences::SIZE),
            "{level}"
        );
    }
    // There are no pages of 512 GiB, and in a PT the bit chooses a memory type.
    assert_eq!(
        plant(AT.0, Level::Pml4, page),
        Compared::Differs(Differences::RESERVED)
    );
}

#[test]
fn presence_and_reserved_bits_are_found_at_any_level() {
    for level in LEVELS {
        assert_eq!(
            plant(AT.0, level, |raw| raw & !1),
            Compared::OnlyLeft,
            "{level}"
        );
        let reserved = Compared::Differs(Differences::RESERVED);
        assert_eq!(plant(AT.0, level, |raw| raw | 1 << 45), reserved, "{level}");
    }
}

// A table in another frame with the same content differs in no page: it is named as equal,
// amid tables that are the same ones.
#[test]
fn the_frame_of_a_table_at_any_level_is_found_among_shared_ones() {
    for level in [Level::Pml4, Level::Pdpt, Level::Pd] {
        let mut machine = alike();
        copy_path(&mut machine, level);
        let (left, old) = entry(&mut machine, LEFT, AT.0, level);
        let (right, new) = entry(&mut machine, RIGHT, AT.0, level);
        let all = rows(&mut machine);
        let named: Vec<&DiffRow> = all
            .iter()
            .filter(|row| row.kind != Compared::Shared)
            .collect();
        assert!(all.iter().all(|row| row.kind.is_same()), "{all:x?}");
        let places = |row: &&DiffRow| {
            [row.left, row.right].map(|place| place.map(|place| (place.entry_address(), place.raw)))
        };
        let expected = [Some((left, Some(old))), Some((right, Some(new)))];
        if level == Level::Pml4 {
            assert_eq!(named.iter().map(places).collect::<Vec<_>>(), [expected]);
            assert_eq!(named[0].level, level);
        } else {
            // Everything in the slot is alike, so the topmost entry of another frame speaks.
            assert_eq!((named.len(), named[0].level), (1, Level::Pml4));
        }
    }
}

/// Makes the right tree the left one, but for the tables on the way to the one below the entry
/// of this level, itself included: those are copied.
fn copy_path(machine: &mut Simulated, level: Level) {
    let mut table = RIGHT;
    let mut from = LEFT;
    let mut at = Level::Pml4;
    loop {
        for index in 0..512 {
            let raw = machine.read_u64(entry_address(from, index)).unwrap_or(0);
            machine.write_u64(entry_address(table, index), raw);
        }
        if at == level.next().unwrap_or(level) {
            return;
        }
        let index = at.index(AT) as u16;
        let raw = machine.read_u64(entry_address(from, index)).unwrap_or(0);
        from = PhysAddr(raw & 0xff_ffff_f000);
        let copy = machine.new_table();
        machine.write_u64(
            entry_address(table, index),
            (raw & !0xff_ffff_f000) | copy.0,
        );
        table = copy;
        at = at.next().unwrap_or(level);
    }
}

/// The same tables at two times.
struct Times<'m>([&'m mut Simulated; 2]);

impl SideBySide for Times<'_> {
    fn read_u64(&mut self, side: Side, at: PhysAddr) -> Result<u64, ReadError> {
        let [before, now] = &mut self.0;
        match side {
            Side::Left => before.read_u64(at),
            Side::Right => now.read_u64(at),
        }
    }

    fn is_same_memory(&mut self, _frame: PhysAddr) -> bool {
        false
    }
}

/// What is not the same in the left tree after this change.
fn since(change: impl Fn(&mut Simulated), below: bool) -> Vec<DiffRow> {
    let mut before = alike();
    let mut now = before.clone();
    change(&mut now);
    let paging = now.paging;
    let options = DiffOptions {
        below,
        ..DiffOptions::default()
    };
    let times = Times([&mut before, &mut now]);
    let rows = diff_sides(times, paging, LEFT, LEFT, options);
    rows.filter(|row| !row.kind.is_same()).collect()
}

// What was changed is the entry, whatever is below the table that it names now.
#[test]
fn an_entry_that_names_another_table_than_it_did_is_what_has_changed() {
    // With the pages below: 16 of them, a large one beside their table, a huge one above.
    for (level, all) in [(Level::Pml4, 18), (Level::Pdpt, 17), (Level::Pd, 16)] {
        let (at, old) = entry(&mut alike(), LEFT, AT.0, level);
        let own = PhysAddr(old & 0xff_ffff_f000);
        // A copy, an empty one, its neighbour's on the right side, and one that leads back.
        for number in 0..4 {
            let name = |machine: &mut Simulated| {
                let other = machine.new_table();
                let new = match number {
                    0 => {
                        for index in 0..512 {
                            let raw = machine.read_u64(entry_address(own, index)).unwrap_or(0);
                            machine.write_u64(entry_address(other, index), raw);
                        }
                        other
                    }
                    1 => other,
                    2 => PhysAddr(entry(machine, RIGHT, AT.0, level).1 & 0xff_ffff_f000),
                    _ => LEFT,
                };
                machine.write_u64(at, (old & !0xff_ffff_f000) | new.0);
            };
            let rows = since(name, false);
            let [row] = rows.as_slice() else {
                panic!("one row for {level}, {number}: {rows:x?}");
            };
            assert_eq!(row.kind, Compared::Differs(Differences::FRAME), "{level}");
            let places =
                [row.left, row.right].map(|place| place.map(|place| place.entry_address()));
            assert_eq!((row.level, places), (level, [Some(at); 2]), "{number}");
            assert_eq!(row.left.and_then(|place| place.raw), Some(old), "{level}");
            let pages = [row.left_pages, row.right_pages].map(|pages| pages.total());
            let now = if number % 2 == 0 { all } else { 0 };
            assert_eq!((pages, row.holes), ([all, now], u64::from(number == 3)));
            // Asked for what is below, it says that, and of a copy nothing.
            let below = since(name, true);
            assert!(below.iter().all(|row| row.level > level || number == 3));
            assert_eq!(below.is_empty(), number % 2 == 0, "{level}, {number}");
        }
    }
}

#[test]
fn a_changed_entry_is_named_with_all_that_has_changed_in_it() {
    let (at, old) = entry(&mut alike(), LEFT, AT.0, Level::Pd);
    let rows = since(
        |machine| {
            let other = machine.new_table();
            let flags = old & !0xff_ffff_f000 & !Entry::WRITABLE;
            machine.write_u64(at, flags | other.0 | NX);
        },
        false,
    );
    let what: Vec<_> = rows.iter().map(|row| row.kind).collect();
    let all = Differences::FRAME
        .and(Differences::WRITE)
        .and(Differences::NO_EXECUTE);
    assert_eq!(what, [Compared::Differs(all)]);
}
