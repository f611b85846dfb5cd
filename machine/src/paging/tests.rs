//! The rules for entries and addresses, as the manual has them.

use super::*;

const PAGING: Paging = Paging::four_level(36);

fn kind(raw: u64, level: Level) -> Kind {
    PAGING.decode(raw, level).kind
}

// SDM volume 1, "Canonical Addressing".
#[test]
fn canonical_addresses_repeat_their_highest_translated_bit() {
    let four = Paging::four_level(52);
    let five = Paging::five_level(52);
    for (paging, low, high) in [
        (four, 0x0000_7fff_ffff_ffff, 0xffff_8000_0000_0000),
        (five, 0x00ff_ffff_ffff_ffff, 0xff00_0000_0000_0000),
    ] {
        assert!(paging.is_canonical(VirtAddr(0)) && paging.is_canonical(VirtAddr(u64::MAX)));
        assert!(paging.is_canonical(VirtAddr(low)) && !paging.is_canonical(VirtAddr(low + 1)));
        assert!(paging.is_canonical(VirtAddr(high)) && !paging.is_canonical(VirtAddr(high - 1)));
        assert_eq!(paging.sign_extend(low + 1), VirtAddr(high));
    }
    assert_eq!((four.virt_bits(), five.virt_bits()), (48, 57));
}

#[test]
fn bit_seven_is_a_size_in_a_pd_and_a_memory_type_in_a_pt() {
    let raw = 0x4020_0083;
    let at = PhysAddr(0x4020_0000);
    assert_eq!(
        kind(raw, Level::Pd),
        Kind::Page {
            at,
            size: PageSize::Size2M
        }
    );
    assert_eq!(
        kind(raw, Level::Pt),
        Kind::Page {
            at,
            size: PageSize::Size4K
        }
    );
    assert_eq!(kind(raw & !0x80, Level::Pd), Kind::Table { at });
    assert_eq!(kind(raw, Level::Pml4), Kind::Reserved { bits: 0x80 });
    assert_eq!(kind(raw, Level::Pml5), Kind::Reserved { bits: 0x80 });
    // 0x20_0000 is bit 21, inside a 1 GiB page.
    assert_eq!(kind(raw, Level::Pdpt), Kind::Reserved { bits: 0x20_0000 });
}

#[test]
fn bit_seven_of_a_pdpte_is_reserved_without_gib_pages() {
    let old = Paging {
        gib_pages: false,
        ..PAGING
    };
    let entry = old.decode(0x4000_0081, Level::Pdpt);
    assert_eq!(entry.kind, Kind::Reserved { bits: 0x80 });
    let at = PhysAddr(0x4000_0000);
    assert_eq!(
        kind(0x4000_0081, Level::Pdpt),
        Kind::Page {
            at,
            size: PageSize::Size1G
        }
    );
    assert_eq!(
        old.decode(0x4000_0001, Level::Pdpt).kind,
        Kind::Table { at }
    );
}

#[test]
fn bit_twelve_of_a_large_page_is_not_part_of_its_address() {
    let at = PhysAddr(0x8000_0000);
    assert_eq!(
        kind(0x8000_1081, Level::Pdpt),
        Kind::Page {
            at,
            size: PageSize::Size1G
        }
    );
    assert_eq!(
        kind(0x8000_1081, Level::Pd),
        Kind::Page {
            at,
            size: PageSize::Size2M
        }
    );
    assert_eq!(
        kind(0x8000_2081, Level::Pd),
        Kind::Reserved { bits: 0x2000 }
    );
}

#[test]
fn address_bits_the_machine_lacks_are_reserved_at_every_level() {
    for level in Level::ALL {
        assert_eq!(kind(1 << 36 | 1, level), Kind::Reserved { bits: 1 << 36 });
        assert_eq!(kind(1 << 51 | 1, level), Kind::Reserved { bits: 1 << 51 });
        assert!(
            !matches!(kind(1 << 52 | 1, level), Kind::Reserved { .. }),
            "available"
        );
    }
    let at = PhysAddr(1 << 35);
    assert_eq!(kind(1 << 35 | 1, Level::Pml4), Kind::Table { at });
}

#[test]
fn bit_63_is_reserved_until_nxe_is_set() {
    let off = Paging {
        nxe: false,
        ..PAGING
    };
    for level in Level::ALL {
        let entry = off.decode(1 << 63 | 0x1001, level);
        assert_eq!(entry.kind, Kind::Reserved { bits: 1 << 63 });
        assert_eq!(off.decode(1 << 63, level).kind, Kind::Absent);
    }
}

#[test]
fn all_offending_bits_are_named_at_once() {
    let off = Paging {
        nxe: false,
        ..PAGING
    };
    let bits = 1 << 63 | 1 << 40 | 0x2000;
    assert_eq!(
        off.decode(bits | 0x81, Level::Pd).kind,
        Kind::Reserved { bits }
    );
}

#[test]
fn no_width_of_the_machine_is_too_strange() {
    for phys_bits in 0..=255 {
        for level in Level::ALL {
            for raw in [0, 1, u64::MAX, 0x81] {
                let _ = Paging::four_level(phys_bits).decode(raw, level);
            }
        }
    }
    let at = PhysAddr(1 << 51);
    let wide = Paging::four_level(200).decode(1 << 51 | 1, Level::Pt);
    assert_eq!(
        wide.kind,
        Kind::Page {
            at,
            size: PageSize::Size4K
        }
    );
}

#[test]
fn a_root_is_cr3_without_its_flags() {
    assert_eq!(PAGING.root(PhysAddr(1 << 63 | 0x1fff)), PhysAddr(0x1000));
    let wrong = PhysAddr(0x0fff_8000_0000_0000);
    assert_eq!(PAGING.root(wrong), wrong, "reported as it was given");
}
