//! `walk`, `map`, `x`, `frames`.

use machine::PhysAddr;

use super::{failed, ok};
use crate::Status;
use crate::testing::{Machine, ROOT, output};

#[test]
fn walk_shows_each_entry_and_then_the_answer() {
    assert_eq!(
        ok("walk $rip"),
        "PML4 0x0000_0010_0000 [  0] 0000000000101007 table 0x0000_0010_1000 urwx\n\
         PDPT 0x0000_0010_1000 [  0] 0000000000102007 table 0x0000_0010_2000 urwx\n\
         PD   0x0000_0010_2000 [  2] 0000000000103007 table 0x0000_0010_3000 urwx\n\
         PT   0x0000_0010_3000 [  0] 0000000000073005 page  0x0000_0007_3000 ur-x\n\
         0x0000_0000_0040_0123 -> 0x0000_0007_3123 ur-x (4K page)\n"
    );
    assert_eq!(
        ok("walk 0xffff_8000_0020_0000 master").lines().last(),
        Some("0xffff_8000_0020_0000 -> 0x0000_0020_0000 -rw- (2M page) in physmap")
    );
    assert_eq!(
        ok("walk 0x40_2000").lines().last(),
        Some("0x0000_0000_0040_2000 is not mapped: PT entry not present")
    );
    assert_eq!(
        ok("walk 0xffff_8000_0040_0000").lines().last(),
        Some("0xffff_8000_0040_0000 (physmap) is not mapped: PD entry not present")
    );
    assert_eq!(
        ok("walk (1 << 47)"),
        "0x0000_8000_0000_0000 is not canonical\n"
    );
    let answer = ok("walk $rip + 2 * 8 master")
        .lines()
        .last()
        .map(str::to_string);
    assert_eq!(
        answer,
        ok("walk 0x40_0133").lines().last().map(str::to_string)
    );
    assert_eq!(ok("walk 1 << 47"), ok("walk (1<<47) cr3"));
    assert_eq!(
        failed("walk 1 + cr3"),
        "walk: `cr3` is not a number (0x12ab, 1234, $rip)\n"
    );
}

#[test]
fn walk_names_the_level_that_takes_a_right_away() {
    let mut machine = Machine::full();
    // The PML4 entry of the lower half: present and for user code, not writable.
    machine.memory.write_u64(PhysAddr(ROOT), 0x10_1005);
    // Of what the page's own entry forbids nothing more is said.
    let (text, _) = output(&mut machine, "walk 0x40_1000");
    let end: Vec<&str> = text.lines().skip(4).collect();
    assert_eq!(
        end,
        [
            "PML4 forbids write",
            "0x0000_0000_0040_1000 -> 0x0000_0007_4000 ur-- (4K page)"
        ]
    );
}

#[test]
fn a_number_that_no_pml4_is_at_is_not_rounded_to_one() {
    let mut machine = Machine::full();
    let mut is_root = |line: &str| output(&mut machine, line).1 == Status::Ok;
    for root in ["0x10_0000", "0x10_0008", "0x10_0018", "0xff_ffff_f000"] {
        assert!(is_root(&format!("walk 0x40_0000 {root}")), "{root}");
    }
    for (root, shown) in [
        ("0xffff_ffff_ffff_f000", "0xffff_ffff_ffff_f000"),
        ("0x100_0000_0000", "0x0100_0000_0000"),
        ("0x10_0001", "0x0000_0010_0001"),
        ("0x10_0800", "0x0000_0010_0800"),
        ("$rip", "0x0000_0040_0123"),
    ] {
        for command in ["walk 0", "map", "can r 0"] {
            let name = command.split(' ').next().unwrap_or("");
            assert_eq!(
                failed(&format!("{command} {root}")),
                format!("{name}: {shown} is not the physical address of a PML4\n")
            );
        }
        assert!(failed(&format!("x 0 root={root}")).contains("is not the physical address"));
    }
    // With PCIDs the low bits of a CR3 value may be any.
    let registers = machine.registers.as_mut().expect("it has registers");
    registers.cr4 |= 1 << 17;
    let (_, status) = output(&mut machine, "walk 0x40_0000 0x10_0abc");
    assert_eq!(status, Status::Ok);
}

#[test]
fn unknown_and_malformed_are_not_unmapped() {
    let mut machine = Machine::full();
    machine.memory.write_u64(PhysAddr(ROOT + 8), 0x9_9007);
    machine.memory.write_u64(PhysAddr(ROOT + 16), 0x10_1087);
    machine.memory.write_u64(PhysAddr(ROOT + 24), ROOT | 7);
    let (text, _) = output(&mut machine, "walk 0x80_0000_0000");
    assert_eq!(
        text,
        "PML4 0x0000_0010_0000 [  1] 0000000000099007 table 0x0000_0009_9000 urwx\n\
         0x0000_0080_0000_0000 is unknown: PDPT entry unreadable, no memory at 0x0000_0009_9000\n"
    );
    let (text, _) = output(&mut machine, "walk 0x100_0000_0000");
    assert!(text.contains("malformed: reserved bits 0x80 are set\n"));
    let (text, status) = output(&mut machine, "map lower");
    let rows: Vec<&str> = text.lines().skip(2).collect();
    assert_eq!(
        rows,
        [
            "0x0000_0080_0000_0000..0x0000_00ff_ffff_ffff PDPT 0x0000_0009_9000 [  0] unreadable: no memory at 0x0000_0009_9000",
            "0x0000_0100_0000_0000..0x0000_017f_ffff_ffff PML4 0x0000_0010_0000 [  2] malformed: reserved bits 0x80 are set",
            "0x0000_0180_0000_0000..0x0000_01ff_ffff_ffff PML4 0x0000_0010_0000 [  3] leads back to a table above it",
            "2 runs, pages 2x4K; 3 rows could not be followed",
        ],
        "{text}"
    );
    assert_eq!(status, Status::Ok);
}

#[test]
fn map_makes_runs_and_filters_them() {
    assert_eq!(
        ok("map"),
        "0x0000_0000_0040_0000..0x0000_0000_0040_0fff      4K ur-x WB  1x4K\n\
         0x0000_0000_0040_1000..0x0000_0000_0040_1fff      4K urw- WB  1x4K\n\
         0xffff_8000_0000_0000..0xffff_8000_003f_ffff      4M -rw- WB  2x2M      physmap\n\
         0xffff_c900_0000_1000..0xffff_c900_0000_1fff      4K -rw- WB  1x4K      kernel stacks\n\
         4 runs, pages 3x4K+2x2M\n"
    );
    let summary = |line: &str| ok(line).lines().last().unwrap_or("").to_string();
    assert_eq!(summary("map w x"), "0 runs, pages 0");
    assert_eq!(summary("map cr3 u"), "2 runs, pages 2x4K");
    assert_eq!(summary("map _u 4k"), "1 run, pages 1x4K");
    assert_eq!(summary("map 2m"), "1 run, pages 2x2M");
    assert_eq!(summary("map 0x40_1000..0x40_1fff"), "1 run, pages 1x4K");
    assert_eq!(summary("map upper leaves"), "pages 1x4K+2x2M");
    assert_eq!(
        ok("map leaves x"),
        "0x0000_0000_0040_0000 0x0000_0007_3000 4K 0000000000073005 ur-x WB\npages 1x4K\n"
    );
    assert_eq!(failed("map 5..1"), "map: the range ends before it begins\n");
    for (line, message) in [
        ("map 4k 2m", "`2m` contradicts `4k`"),
        ("map 4k w 4k", "`4k` is given twice"),
        ("map w _w", "`_w` contradicts `w`"),
        ("map _x x", "`x` contradicts `_x`"),
        ("map _u u", "`u` contradicts `_u`"),
        ("map cr3 master", "`master` contradicts `cr3`"),
        ("map lower upper", "no address is in all of these ranges"),
        ("map 0..5 6..7", "no address is in all of these ranges"),
    ] {
        assert_eq!(failed(line), format!("map: {message}\n"));
    }
    assert_eq!(
        failed("map cr3 nonsense"),
        "map: `nonsense` is not a filter; `map --help` lists them\n"
    );
}

#[test]
fn x_shows_what_can_be_read_and_says_what_cannot() {
    let mut machine = Machine::full();
    machine.memory.write(PhysAddr(0x7_3ff8), b"ab\0\x7fcd\"\n");
    let (text, status) = output(&mut machine, "x 0x40_0ff8");
    // The next page is mapped: the row runs over the edge, and so do all four.
    assert_eq!(status, Status::Ok);
    assert_eq!(
        text.lines().next(),
        Some("0x0000_0000_0040_0ff8 6162007f 6364220a 00000000 00000000 ab..cd\".........")
    );
    let (text, _) = output(
        &mut machine,
        "x/2h 0x40_0ff8; x 0x40_0ff8 1 g; x 0x40_0ff8 2 s",
    );
    assert_eq!(
        text,
        "0x0000_0000_0040_0ff8 6261 7f00\n\
         0x0000_0000_0040_0ff8 0a2264637f006261\n\
         0x0000_0000_0040_0ff8 \"ab\"\n\
         0x0000_0000_0040_0ffb \"\\x7fcd\\\"\\n\"\n"
    );
    let (text, status) = output(&mut machine, "x 0x40_1ffc");
    assert_eq!(
        text,
        "0x0000_0000_0040_1ffc 00000000                            ....\n\
         x: 0x0000_0000_0040_2000 is not mapped: PT entry not present\n"
    );
    assert_eq!(status, Status::Failed);
    let (text, _) = output(&mut machine, "x/3g phys 0x7_3ff8; assert $_ == 0");
    assert_eq!(
        text,
        "0x0000_0007_3ff8 0a2264637f006261 0000000000000000\n0x0000_0007_4008 0000000000000000\n"
    );
    assert_eq!(
        failed("x 0x7_5ffe 4 phys"),
        "0x0000_0007_5ffe 0000                                ..\nx: no memory at 0x0000_0007_6000\n"
    );
    assert!(
        failed("x 0xffff_8000_0020_0000").contains("0x0000_0020_0000 is device memory; not read")
    );
    assert_eq!(
        failed("x/s 0x40_2000"),
        "x: 0x0000_0000_0040_2000 is not mapped: PT entry not present\n"
    );
    machine.memory.write(PhysAddr(0x7_4fff), b"z");
    let (text, _) = output(&mut machine, "x/s 0x40_1fff");
    assert_eq!(
        text,
        "0x0000_0000_0040_1fff \"z\"...\n\
         x: 0x0000_0000_0040_2000 is not mapped: PT entry not present\n"
    );
    assert_eq!(failed("x phys"), "x: which address?\n");
    for (line, message) in [
        ("x $rsp b g", "`g` contradicts `b`"),
        ("x/4g $rsp g", "`g` is given twice"),
        ("x/bg $rsp", "`g` contradicts `b`"),
        ("x phys 0 root=cr3", "`root=cr3` contradicts `phys`"),
        (
            "x 0 root=master root=cr3",
            "`root=cr3` contradicts `root=master`",
        ),
        ("x phys phys 0", "`phys` is given twice"),
    ] {
        assert_eq!(failed(line), format!("x: {message}\n"));
    }
    assert_eq!(failed("x 1 2 3"), "x: `3` is one argument too many\n");
    assert!(failed("x/4q 0").contains("`4q` is not a count"));
    assert!(failed("walk/3 0").contains("is not a command"));
    assert!(failed("x 0xffff_ffff_ffff_ffff").contains("not mapped"));
}

#[test]
fn frames_say_whether_the_sum_is_the_total() {
    let text = ok("frames; assert $_ == 90");
    assert!(
        text.ends_with("10 owned + 90 free = 100 frames: all accounted for\n"),
        "{text}"
    );
    let mut machine = Machine::full();
    if let Some(books) = &mut machine.books {
        books.owners.pop();
    }
    let (text, _) = output(&mut machine, "frames");
    assert!(text.contains("the owners have 7, the allocator counts 10 used\n"));
    assert!(text.ends_with("7 owned + 90 free = 97, but the total is 100: 3 frames missing\n"));
}
