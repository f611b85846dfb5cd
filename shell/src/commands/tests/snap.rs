//! `snap`, and what `@name` means to the other commands.

use machine::{Entry, PhysAddr, PhysMemory as _};

use super::{failed, ok};
use crate::Status;
use crate::testing::{Machine, ROOT, output, process_root};

/// The raw entry at an address, whatever else there is.
fn entry(machine: &mut Machine, at: u64) -> u64 {
    machine
        .memory
        .read_u64(PhysAddr(at))
        .expect("it has memory")
}

/// What lines print on one machine, one after the other.
#[track_caller]
fn run(machine: &mut Machine, line: &str) -> String {
    let (text, status) = output(machine, line);
    assert_eq!(status, Status::Ok, "{text}");
    text
}

#[test]
fn a_snapshot_says_what_it_is_of_and_what_it_takes() {
    assert_eq!(
        ok("snap before; snap @k.1 master; assert $_ == 9; snap"),
        "@before: 9 tables of master, 9 frames 36K\n\
         @k.1: 9 tables of master, 9 frames 36K\n\
         @before           master, 0x0000_0010_0000: 9 tables, 9 frames 36K, taken at 0.002 s\n\
         @k.1              master, 0x0000_0010_0000: 9 tables, 9 frames 36K, taken at 0.002 s\n\
         2 snapshots, 18 frames 72K\n"
    );
    assert_eq!(ok("snap"), "0 snapshots, 0 frames 0B\n");
    let text = ok("spawn spinner &; snap one 1");
    assert!(text.contains(" tables of pid 1, "), "{text}");
    // A root that is nobody's is one, too.
    let text = ok("snap own 0x10_1000");
    assert!(text.contains(" tables of 0x0000_0010_1000, "), "{text}");
}

#[test]
fn what_changed_since_is_what_diff_finds() {
    let mut machine = Machine::full();
    run(&mut machine, "spawn spinner &; snap before 1");
    assert_eq!(
        run(&mut machine, "diff @before 1; assert $_ == 0")
            .lines()
            .last(),
        Some("254 of 256 kernel slots shared, 2 equal; user half: equal, 2 pages")
    );
    let at = process_root(1).0;
    let pdpt = entry(&mut machine, at) & 0xff_ffff_f000;
    let raw = entry(&mut machine, pdpt);
    machine.memory.write_u64(PhysAddr(pdpt), raw & !Entry::USER);
    let text = run(&mut machine, "diff @before 1 user; assert $_ == 1");
    let (row, _) = text.split_once('\n').unwrap_or_default();
    assert_eq!(
        row,
        format!(
            "0x0000_0000_0000_0000..0x0000_0000_3fff_ffff PDPT {} {raw:016x} | {} {:016x} differs in U, urwx | -rwx",
            PhysAddr(pdpt),
            PhysAddr(pdpt),
            raw & !Entry::USER
        )
    );
    let then = run(&mut machine, "walk 0x40_0000 @before");
    let now = run(&mut machine, "walk 0x40_0000 1");
    assert!(
        then.ends_with("-> 0x0000_0007_3000 ur-x (4K page)\n"),
        "{then}"
    );
    assert!(
        now.ends_with("-> 0x0000_0007_3000 -r-x (4K page)\n"),
        "{now}"
    );
    assert!(run(&mut machine, "map @before lower").contains(" ur-x "));
    assert!(run(&mut machine, "can r 0x40_0000 @before smap=0").contains("yes: user read"));
    run(&mut machine, "x/1g 0x40_0000 root=@before");
    // The process is gone, its tables as they were are not.
    run(&mut machine, "kill 1; snap; diff @before @before");
    let text = run(&mut machine, "tables @before");
    assert!(
        text.contains("0x0000_0030_1000 0x0000_0000_0000_0000 private"),
        "{text}"
    );
}

#[test]
fn a_table_is_read_from_its_copy_however_it_is_reached() {
    let mut machine = Machine::full();
    // The top table names itself: its own entries are then those of a page table.
    machine.memory.write_u64(PhysAddr(ROOT + 510 * 8), ROOT | 3);
    run(&mut machine, "snap before");
    let raw = entry(&mut machine, ROOT);
    machine.memory.write_u64(PhysAddr(ROOT), 0);
    // 510 four times leads to the table itself.
    let through = "0xffff_ff7f_bfdf_e000";
    let text = run(&mut machine, &format!("x/1g {through} root=@before"));
    assert!(text.ends_with(&format!("{raw:016x}\n")), "{text}");
    let text = run(&mut machine, &format!("x/1g {through}"));
    assert!(text.ends_with("0000000000000000\n"), "{text}");
}

#[test]
fn dropping_one_gives_its_frames_back() {
    let mut machine = Machine::full();
    let before = machine.memory.clone();
    run(&mut machine, "snap a; snap b; snap drop @a; snap drop b");
    let mut frames = 0..0x100;
    let there = |machine: &mut machine::Simulated, at| machine.read_u64(PhysAddr(at)).is_ok();
    let copies = 0x40_0000_0000_u64;
    assert!(frames.all(|number| !there(&mut machine.memory, copies + number * 0x1000)));
    assert_eq!(before.root(), machine.memory.root());
}

#[test]
fn what_cannot_be_kept_is_refused_in_words() {
    let long = "12345678901234567";
    for (line, expected) in [
        (
            "snap a; snap a",
            "snap: there is one of that name; drop it first",
        ),
        (
            "snap a; snap b; snap c; snap d; snap e",
            "snap: there are 4, and no room for more",
        ),
        (
            "snap drop a",
            "snap: no snapshot is called `@a`; `snap` lists them",
        ),
        (
            "walk 0 @a",
            "walk: no snapshot is called `@a`; `snap` lists them",
        ),
        (
            "snap a; snap b @a",
            "snap: a snapshot is taken of tables in use, not of another snapshot",
        ),
        ("snap drop", "snap: which snapshot?"),
        ("snap a 1 2", "snap: `2` is one argument too many"),
        (
            "snap a/b",
            "snap: `a/b` is not a name for a snapshot: up to 16 letters, digits, - _ or .",
        ),
        (
            "snap @",
            "snap: `@` is not a name for a snapshot: up to 16 letters, digits, - _ or .",
        ),
        (
            "snap a 0x80_0000_0000",
            "snap: the root cannot be read: no memory at 0x0080_0000_0000",
        ),
    ] {
        let text = failed(&format!("spawn spinner &; {line}"));
        assert_eq!(text.lines().last(), Some(expected), "{line}");
    }
    let text = failed(&format!("snap {long}"));
    assert!(
        text.starts_with(&format!("snap: `{long}` is not a name")),
        "{text}"
    );
    let (text, _) = output(&mut Machine::bare(), "snap");
    assert_eq!(text, "snap: this target has no snapshots\n");
}

#[test]
fn a_tree_with_too_many_tables_leaves_nothing_behind() {
    let mut machine = Machine::full();
    if let Some(album) = &mut machine.album {
        album.most_tables = 8;
    }
    let (text, status) = output(&mut machine, "snap a");
    assert_eq!(status, Status::Failed);
    assert_eq!(text, "snap: more than 8 tables; nothing was kept\n");
    assert_eq!(run(&mut machine, "snap"), "0 snapshots, 0 frames 0B\n");
}
