//! Single judgements, one a rule. The whole table of rules is held against `judge` among the
//! properties.

use std::string::ToString;

use super::*;
use crate::{Entry, PhysAddr, Simulated, VirtAddr, walk};

const ALL: Controls = Controls {
    wp: true,
    smep: true,
    smap: true,
    ac: false,
    nxe: true,
};
const VA: VirtAddr = VirtAddr(0x40_0000);

fn user(kind: AccessKind) -> Access {
    Access { kind, user: true }
}

fn kernel(kind: AccessKind) -> Access {
    Access { kind, user: false }
}

/// Judges an access to a 4 KiB page with these flags, below tables that allow everything.
fn verdict(flags: u64, access: Access, controls: Controls) -> Verdict {
    let paging = controls.paging(Paging::four_level(40));
    let mut machine = Simulated::new(Paging::four_level(40), PhysAddr(0x1000));
    machine.map(VA, PhysAddr(0x7_3000), PageSize::Size4K, flags);
    judge(
        &walk(&mut machine, &paging, PhysAddr(0x1000), VA),
        access,
        controls,
    )
}

/// The error code and the reason of a page fault in the PT.
#[track_caller]
fn refused(flags: u64, access: Access, controls: Controls) -> (u64, Why) {
    match verdict(flags, access, controls) {
        Verdict::PageFault {
            code,
            level: Level::Pt,
            why,
        } => (code, why),
        other => panic!("{other:x?}"),
    }
}

use AccessKind::{Execute, Read, Write};

#[test]
fn user_code_needs_us_and_rw_and_no_xd() {
    let is_allowed = |flags, kind| verdict(flags, user(kind), ALL).is_allowed();
    assert_eq!(is_allowed(Entry::USER, Read), Some(true));
    assert_eq!(is_allowed(Entry::USER, Execute), Some(true));
    assert_eq!(refused(0, user(Read), ALL), (5, Why::Supervisor));
    assert_eq!(refused(Entry::USER, user(Write), ALL), (7, Why::ReadOnly));
    assert_eq!(
        refused(Entry::USER | Entry::NO_EXECUTE, user(Execute), ALL),
        (0x15, Why::NoExecute)
    );
}

#[test]
fn the_supervisor_writes_read_only_pages_when_wp_is_clear() {
    assert_eq!(refused(0, kernel(Write), ALL), (3, Why::ReadOnly));
    let lax = Controls { wp: false, ..ALL };
    assert_eq!(verdict(0, kernel(Write), lax).is_allowed(), Some(true));
    assert_eq!(refused(Entry::USER, user(Write), lax), (7, Why::ReadOnly));
}

#[test]
fn ac_suspends_smap_for_data_and_nothing_suspends_smep() {
    let page = Entry::USER | Entry::WRITABLE;
    assert_eq!(refused(page, kernel(Read), ALL), (1, Why::Smap));
    assert_eq!(refused(page, kernel(Write), ALL), (3, Why::Smap));
    assert_eq!(refused(page, kernel(Execute), ALL), (0x11, Why::Smep));
    let ac = Controls { ac: true, ..ALL };
    assert_eq!(verdict(page, kernel(Write), ac).is_allowed(), Some(true));
    assert_eq!(refused(page, kernel(Execute), ac), (0x11, Why::Smep));
}

#[test]
fn bit_63_is_reserved_without_nxe_and_then_no_read_succeeds() {
    let old = Controls { nxe: false, ..ALL };
    assert_eq!(
        refused(Entry::NO_EXECUTE, kernel(Read), old),
        (9, Why::Reserved(Entry::NO_EXECUTE))
    );
    assert_eq!(
        verdict(Entry::NO_EXECUTE, kernel(Read), ALL).error_code(),
        None
    );
}

#[test]
fn the_fetch_bit_of_the_code_needs_nxe_or_smep() {
    let code = |nxe, smep| refused(0, user(Execute), Controls { nxe, smep, ..ALL }).0;
    assert_eq!(
        [
            code(false, false),
            code(true, false),
            code(false, true),
            code(true, true)
        ],
        [5, 0x15, 0x15, 0x15]
    );
}

#[test]
fn a_level_above_can_decide() {
    let mut machine = Simulated::new(Paging::four_level(40), PhysAddr(0x1000));
    machine.map(VA, PhysAddr(0x7_3000), PageSize::Size4K, Entry::USER);
    machine.write_u64(PhysAddr(0x2000), 0x3000 | Entry::PRESENT | Entry::WRITABLE);
    let paging = Paging::four_level(40);
    let walk = walk(&mut machine, &paging, PhysAddr(0x1000), VA);
    assert_eq!(
        judge(&walk, user(Write), ALL),
        Verdict::PageFault {
            code: 7,
            level: Level::Pdpt,
            why: Why::Supervisor
        }
    );
}

#[test]
fn unknown_is_neither_yes_nor_no_and_non_canonical_is_no_page_fault() {
    let paging = Paging::four_level(40);
    let mut machine = Simulated::new(paging, PhysAddr(0x1000));
    machine.write_u64(PhysAddr(0x1000), 0x9_9007);
    let mut ask = |va| {
        let walk = walk(&mut machine, &paging, PhysAddr(0x1000), VirtAddr(va));
        judge(&walk, user(Read), ALL)
    };
    let unknown = ask(0);
    assert!(matches!(
        unknown,
        Verdict::Unknown {
            level: Level::Pdpt,
            ..
        }
    ));
    assert_eq!((unknown.is_allowed(), unknown.error_code()), (None, None));
    let no = ask(1 << 47);
    assert_eq!(no, Verdict::NonCanonical);
    assert_eq!((no.is_allowed(), no.error_code()), (Some(false), None));
    assert_eq!(ask(1 << 39).error_code(), Some(4));
}

#[test]
fn controls_are_bits_of_their_registers() {
    let registers = Registers {
        cr0: 1 << 16,
        cr4: 1 << 20 | 1 << 21,
        efer: 1 << 11,
        ..Registers::default()
    };
    assert_eq!(Controls::from_registers(&registers), ALL);
    let inverted = Registers {
        cr0: !registers.cr0,
        cr4: !registers.cr4,
        efer: !registers.efer,
        rflags: 1 << 18,
        ..registers
    };
    let only_ac = Controls {
        ac: true,
        ..Controls::default()
    };
    assert_eq!(Controls::from_registers(&inverted), only_ac);
}

#[test]
fn an_access_has_a_name() {
    assert_eq!(user(Read).to_string(), "user read");
    assert_eq!(kernel(Execute).to_string(), "kernel fetch");
}
