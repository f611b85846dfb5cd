//! What commands print, on a simulated machine with every ability, and with none.

use machine::{Entry, PageSize, PhysAddr, VirtAddr};

use crate::Status;
use crate::testing::{Machine, ROOT, output};

/// The output of a line that succeeds on a machine with everything.
#[track_caller]
fn ok(line: &str) -> String {
    let (text, status) = output(&mut Machine::full(), line);
    assert_eq!(status, Status::Ok, "{text}");
    text
}

/// The output of a line that fails there.
#[track_caller]
fn failed(line: &str) -> String {
    let (text, status) = output(&mut Machine::full(), line);
    assert_eq!(status, Status::Failed, "{text}");
    text
}

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
        ok("walk (1 << 47)"),
        "0x0000_8000_0000_0000 is not canonical\n"
    );
    // Without the parentheses these are three words.
    assert!(failed("walk 1 << 47").starts_with("walk: "));
}

#[test]
fn walk_names_the_level_that_takes_a_right_away() {
    let mut machine = Machine::full();
    // The PML4 entry of the lower half: present and for user code, not writable.
    machine.memory.write_u64(PhysAddr(ROOT), 0x10_1005);
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
        "0x0000_0000_0040_0000..0x0000_0000_0040_0fff     4K ur-x WB  1x4K\n\
         0x0000_0000_0040_1000..0x0000_0000_0040_1fff     4K urw- WB  1x4K\n\
         0xffff_8000_0000_0000..0xffff_8000_003f_ffff     4M -rw- WB  2x2M physmap\n\
         0xffff_c900_0000_1000..0xffff_c900_0000_1fff     4K -rw- WB  1x4K kernel stacks\n\
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
    let (text, _) = output(&mut machine, "x/3g 0x7_3ff8 phys; assert $_ == 0");
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
    assert!(failed("x/4q 0").contains("`4q` is not a count"));
    assert!(failed("walk/3 0").contains("is not a command"));
    assert!(failed("x 0xffff_ffff_ffff_ffff").contains("not mapped"));
}

#[test]
fn descriptor_tables_are_read_through_the_page_tables() {
    let gdt = ok("gdt");
    let lines: Vec<&str> = gdt.lines().collect();
    assert_eq!(
        lines,
        [
            "0x0000 0000000000000000 null",
            "0x0008 00af9b000000ffff 64-bit code dpl 0 readable",
            "0x0010 00cf93000000ffff data dpl 0 writable",
            "0x0018 0000890011000067 00000000ffffc900 64-bit TSS (available) dpl 0 base 0xffff_c900_0000_1100 limit 0x67",
            "3 descriptors at 0xffff_c900_0000_1000 limit 0x27; cs 0x8 ss 0x10 tr 0x18",
        ]
    );
    let idt = ok("idt");
    let lines: Vec<&str> = idt.lines().collect();
    assert_eq!(
        lines[3],
        "  3      0xffff_ffff_8000_0030 cs 0x0008 ist 0 dpl 0 interrupt #BP breakpoint"
    );
    assert_eq!(lines[4], "  4..5   absent");
    assert_eq!(
        lines.last(),
        Some(&"8 gates at 0xffff_c900_0000_1400 limit 0x7f")
    );
    assert!(ok("idt 3").starts_with("raw      80008e0000080030 00000000ffffffff\n"));
    assert_eq!(ok("idt all").lines().count(), 9);
    assert_eq!(
        failed("idt 8"),
        "idt: the vector is beyond the table's limit\n"
    );
    assert_eq!(failed("idt 256"), "idt: `256` is not a vector (0 to 255)\n");
    let tss = ok("tss");
    let lines: Vec<&str> = tss.lines().collect();
    assert_eq!(
        lines[1],
        "rsp0 0xffff_c900_0000_2000 usable (kernel stacks)"
    );
    assert_eq!(
        lines[4],
        "ist1 0xffff_c900_0000_1000 NOT USABLE: PT entry not present (kernel stacks)"
    );
    assert_eq!(lines.last(), Some(&"2 stacks set, 1 usable"));
}

#[test]
fn a_full_idt_fits_a_screen() {
    let mut machine = Machine::full();
    machine.memory.add_ram(PhysAddr(0x8_0000), 0x1000);
    let va = VirtAddr(0xffff_c900_0000_3000);
    machine
        .memory
        .map(va, PhysAddr(0x8_0000), PageSize::Size4K, Entry::WRITABLE);
    for vector in 0..256 {
        let low = 0x8000_8e00_0008_0000 | (vector * 0x10);
        machine
            .memory
            .write_u64(PhysAddr(0x8_0000 + vector * 16), low);
    }
    if let Some(registers) = &mut machine.registers {
        registers.idtr = machine::TablePointer {
            base: va.0,
            limit: 0xfff,
        };
    }
    let (text, _) = output(&mut machine, "idt");
    assert!(text.lines().count() < 32, "{text}");
    assert!(text.contains(" 32..255 0x0000_0000_8000_0200 cs 0x0008 ist 0 dpl 0 interrupt interrupts, handlers 0x10 apart\n"), "{text}");
}

#[test]
fn control_registers_come_with_the_names_of_their_bits() {
    assert_eq!(
        ok("cr"),
        "cr0  0x0000_0000_8005_0033 PE MP ET NE WP AM PG\n\
         cr2  0x0000_0000_0000_0000\n\
         cr3  0x0000_0000_0010_0000\n\
         cr4  0x0000_0000_0030_0020 PAE SMEP SMAP\n\
         efer 0x0000_0000_0000_0d00 LME LMA NXE\n\
         pat  0x0007_0406_0007_0406 0:WB 1:WT 2:UC- 3:UC 4:WB 5:WT 6:UC- 7:UC\n\
         4 levels, 40 physical bits, wp on, nxe on, smep on, smap on, umip off, pcide off\n"
    );
    let regs = ok("regs");
    assert!(regs.contains("rbp 0x0000_0000_0000_0000   rsp  0xffff_c900_0000_1ff0\n"));
    assert!(regs.contains("rflags 0x0000_0000_0000_0202 IF\n"));
    assert!(regs.ends_with("rip 0x0000_0000_0040_0123\n"));
    ok("assert $cr4.smap && $cr0.wp && !$cr4.umip && $cs == 8");
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
        books.1.pop();
    }
    let (text, _) = output(&mut machine, "frames");
    assert!(text.contains("the owners have 7, the allocator counts 10 used\n"));
    assert!(text.ends_with("7 owned + 90 free = 97, but the total is 100: 3 frames missing\n"));
}

#[test]
fn eval_shows_every_form_of_a_number() {
    assert_eq!(
        ok("eval $rsp - 0x100"),
        "hex     0xffffc90000001ef0\n\
         decimal 18446683600570031856\n\
         bits    63..46 43 40 12..9 7..4\n\
         indices PML4 402 PDPT 0 PD 0 PT 1 offset 0xef0\n\
         address 0xffff_c900_0000_1ef0 canonical in kernel stacks\n"
    );
    let text = ok("eval 0x8000_0000_0000");
    assert!(
        text.ends_with("not canonical; 0xffff_8000_0000_0000 would be\n"),
        "{text}"
    );
    ok("eval '1 == 1'; assert $_");
}

#[test]
fn a_mistake_is_one_line_in_words() {
    let cases = [
        ("walk", "walk: which address?"),
        ("walk 1 cr3 2", "walk: `2` is one argument too many"),
        (
            "walk ffff8000",
            "walk: `ffff8000` is not a number; hex is written 0xffff8000",
        ),
        ("walk $nothing", "walk: no register is called `$nothing`"),
        ("walk 0 3", "walk: this target has no processes"),
        ("walk 0 @before", "walk: this target has no snapshots"),
        ("walk sym:main", "walk: this target has no symbols"),
        (
            "wlak 1",
            "no command is called `wlak`; did you mean `walk`?",
        ),
        ("mp", "no command is called `mp`; did you mean `map`?"),
        ("fram", "`fram` could be `frames` or `framing`"),
        (
            "nothing",
            "no command is called `nothing`; `help` lists them",
        ),
        ("assert $five ==", "assert: no register is called `$five`"),
        ("assert 1 ==", "assert: which value?"),
        ("framing maybe", "framing: `maybe` is not on or off"),
        ("repeat", "repeat: which count?"),
        ("repeat 3", "repeat: which command?"),
        (
            "reboot",
            "reboot: no way to do that is known on this machine",
        ),
        (
            "help nothing",
            "help: no command is called `nothing`; `help` lists them",
        ),
    ];
    for (line, message) in cases {
        assert_eq!(failed(line), format!("{message}\n"));
    }
}

#[test]
fn a_target_without_an_ability_says_so() {
    let cases = [
        ("regs", "regs: this target has no registers"),
        ("walk 1", "walk: this target has no registers"),
        ("walk 1 master", "walk: this target has no master table"),
        ("frames", "frames: this target has no frame records"),
        ("time echo", "time: this target has no clock"),
        ("poweroff", "poweroff: this target has no power switch"),
    ];
    for (line, message) in cases {
        let (text, status) = output(&mut Machine::bare(), line);
        assert_eq!((text, status), (format!("{message}\n"), Status::Failed));
    }
    let line = format!("walk 0x40_0000 {ROOT:#x}; map {ROOT:#x}; x 0x40_0000 root={ROOT:#x}");
    assert_eq!(output(&mut Machine::bare(), &line).1, Status::Ok);
}

#[test]
fn every_command_explains_itself_and_its_examples_can_be_read() {
    for command in super::COMMANDS {
        let help = ok(&format!("{} --help", command.name));
        assert_eq!(help, ok(&format!("help {}", command.name)));
        assert!(
            help.lines().all(|line| line.chars().count() < 100),
            "{help}"
        );
        assert!(help.contains(&format!("\nusage: {}", command.name)));
        for (line, _) in command.examples {
            let (text, _) = output(&mut Machine::full(), line);
            assert!(
                !text.contains("make sense") && !text.contains("no command"),
                "{line}: {text}"
            );
        }
    }
}

#[test]
fn time_counts_and_repeat_says_how_often() {
    assert_eq!(
        ok("time echo a; assert $_ == 500"),
        "a\n500 cycles, 2.500 ms\n"
    );
    assert_eq!(
        ok("repeat 2 'echo a; echo b'"),
        "a\nb\na\nb\n2 rounds succeeded\n"
    );
    assert_eq!(
        failed("repeat 9 time walk x"),
        "walk: `x` is not a number\n500 cycles, 2.500 ms\nrepeat: stopped at round 1 of 9\n"
    );
    assert_eq!(ok("version"), "simulated\n");
}
