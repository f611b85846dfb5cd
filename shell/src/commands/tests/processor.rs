//! `regs`, `cr`, `gdt`, `idt`, `tss`.

use machine::{Entry, PageSize, PhysAddr, TablePointer, VirtAddr};

use super::{failed, ok};
use crate::testing::{Machine, output};

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
        "ist1 0xffff_c900_0000_1000 (kernel stacks) NOT USABLE: PT entry not present"
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
        registers.idtr = TablePointer {
            base: va.0,
            limit: 0xfff,
        };
    }
    let (text, _) = output(&mut machine, "idt");
    assert!(text.lines().count() < 32, "{text}");
    assert!(
        text.contains(
            " 32..255 0x0000_0000_8000_0200 cs 0x0008 ist 0 dpl 0 interrupt; handlers 0x10 apart\n"
        ),
        "{text}"
    );
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
