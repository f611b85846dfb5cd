//! `decode` against the naive reading, for any value, level and machine.

use proptest::prelude::*;

use super::naive;
use crate::{Entry, Kind, Level, PageSize, Paging, PhysAddr, Rights};

/// Any machine with an address width the manual allows, and beyond.
pub(super) fn any_paging() -> impl Strategy<Value = Paging> {
    let phys_bits = prop_oneof![4 => 32..=52u8, 1 => 53..=255u8];
    (
        any::<bool>(),
        phys_bits,
        any::<bool>(),
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(|(five, phys_bits, nxe, gib_pages, pat)| Paging {
            levels: if five { 5 } else { 4 },
            phys_bits,
            nxe,
            gib_pages,
            pat,
        })
}

/// Any value at all, and values with few bits set or few clear, which get further.
fn any_raw() -> impl Strategy<Value = u64> {
    let few = prop::collection::vec(0..64u32, 0..5)
        .prop_map(|bits| bits.into_iter().fold(1, |raw, bit| raw | 1u64 << bit));
    prop_oneof![
        any::<u64>(),
        any::<u64>().prop_map(|raw| raw | 1),
        few.clone(),
        few.prop_map(|raw| !raw | 1)
    ]
}

fn agree(entry: &Entry, paging: &Paging) {
    let Some(naive) = naive::read(entry.raw, entry.level, paging) else {
        assert_eq!(entry.kind, Kind::Absent);
        assert_eq!((entry.rights(), entry.pat_index()), (Rights::NONE, None));
        return;
    };
    assert!(entry.is_present());
    let rights = Rights {
        user: naive.user,
        write: naive.write,
        execute: !naive.no_execute,
    };
    if naive.reserved != 0 {
        assert_eq!(
            entry.kind,
            Kind::Reserved {
                bits: naive.reserved
            }
        );
        assert_eq!(entry.pat_index(), None);
        return;
    }
    assert_eq!(entry.rights(), rights);
    assert_eq!(entry.pat_index(), Some(naive.pat_index));
    assert_eq!(
        (entry.accessed(), entry.dirty(), entry.global()),
        (naive.accessed, naive.dirty, naive.global)
    );
    let at = PhysAddr(naive.address);
    let expected = match naive.page_shift {
        None => Kind::Table { at },
        Some(12) => Kind::Page {
            at,
            size: PageSize::Size4K,
        },
        Some(21) => Kind::Page {
            at,
            size: PageSize::Size2M,
        },
        Some(30) => Kind::Page {
            at,
            size: PageSize::Size1G,
        },
        Some(other) => panic!("no page has 2^{other} bytes"),
    };
    assert_eq!(entry.kind, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn decode_agrees_with_the_tables_of_the_manual(raw in any_raw(), paging in any_paging()) {
        for level in Level::ALL {
            let entry = paging.decode(raw, level);
            prop_assert_eq!((entry.raw, entry.level), (raw, level));
            agree(&entry, &paging);
        }
    }
}

// Not at random: each bit alone, each pair, on each kind of machine and at each level.
#[test]
fn decode_agrees_on_every_pair_of_bits() {
    for (phys_bits, nxe, gib_pages) in [
        (36, false, false),
        (40, true, false),
        (46, true, true),
        (52, true, true),
    ] {
        let paging = Paging {
            nxe,
            gib_pages,
            ..Paging::four_level(phys_bits)
        };
        for (one, two) in (0..64).flat_map(|one| (one..64).map(move |two| (one, two))) {
            for level in Level::ALL {
                for raw in [
                    1 << one | 1 << two,
                    1 | 1 << one | 1 << two,
                    0x81 | 1 << one | 1 << two,
                ] {
                    agree(&paging.decode(raw, level), &paging);
                }
            }
        }
    }
}

#[test]
fn no_value_at_all_makes_decode_panic() {
    for phys_bits in [0, 1, 11, 12, 13, 20, 21, 29, 30, 31, 63, 64, 65, 255] {
        for (levels, nxe) in [(0, false), (4, true), (5, false), (255, true)] {
            let paging = Paging {
                levels,
                nxe,
                ..Paging::four_level(phys_bits)
            };
            for bit in 0..64 {
                for level in Level::ALL {
                    let _ = paging.decode(1 << bit | 1, level);
                    let _ = paging.decode(!(1 << bit), level).pat_index();
                }
            }
        }
    }
}
