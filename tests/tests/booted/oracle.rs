//! The kernel's answers about its page tables, held against QEMU's.

use anyhow::{Context as _, Result, bail, ensure};
use tests::deviations::shown_by_info_tlb;
use tests::leaf::{self, LeafLine};
use tests::monitor;
use tests::random::Random;
use xtask::guest::Guest;

/// How many addresses are compared with `gva2gpa`.
const ADDRESSES: usize = 1000;
const SEED: u64 = 0x5249_4e47;

fn lines(guest: &mut Guest, line: &str) -> Result<Vec<String>> {
    let reply = guest.command(line)?;
    ensure!(reply.is_ok(), "{line}: {:?}", reply.errors);
    Ok(reply.output)
}

fn leaves(guest: &mut Guest) -> Result<Vec<LeafLine>> {
    leaf::read(&lines(guest, "map leaves")?)
}

/// Every leaf in `info tlb` is in `map leaves` with the same address, frame and flags, and the
/// other way round: no differing line.
pub(crate) fn map_agrees_with_info_tlb(guest: &mut Guest) -> Result<()> {
    // The first run sets Accessed and Dirty wherever the command itself goes.
    leaves(guest)?;
    let ours = leaves(guest)?;
    let theirs = monitor::info_tlb(&guest.hmp("info tlb")?)?;
    ensure!(ours.len() > 100, "only {} leaves", ours.len());
    let ours: Vec<monitor::TlbLine> = ours
        .iter()
        .map(|line| monitor::TlbLine {
            va: line.va,
            pa: line.pa,
            flags: line.raw & shown_by_info_tlb(&line.size),
        })
        .collect();
    let only = |these: &[monitor::TlbLine], those: &[monitor::TlbLine]| {
        these
            .iter()
            .filter(|line| !those.contains(line))
            .map(|l| format!("{l:x?}"))
            .collect::<Vec<_>>()
    };
    let (mut sorted, mut expected) = (ours.clone(), theirs.clone());
    sorted.sort_unstable();
    expected.sort_unstable();
    if sorted != expected {
        bail!(
            "only in map: {:#?}\nonly in info tlb: {:#?}",
            only(&ours, &theirs),
            only(&theirs, &ours)
        );
    }
    println!("{} leaves, 0 differing lines", ours.len());
    Ok(())
}

/// 1,000 addresses: in pages, at their edges, and anywhere; the kernel's `walk` and QEMU's
/// `gva2gpa` name the same byte, or both say unmapped.
pub(crate) fn addresses_agree_with_gva2gpa(guest: &mut Guest) -> Result<()> {
    let leaves = leaves(guest)?;
    let mut random = Random::new(SEED);
    let mut mapped = 0;
    for _ in 0..ADDRESSES {
        let va = address(&mut random, &leaves)?;
        let theirs = monitor::gva2gpa(&guest.hmp(&format!("gva2gpa {va:#x}"))?)?;
        let reply = guest.command(&format!("walk {va:#x}"))?;
        let last = reply
            .output
            .last()
            .with_context(|| format!("walk {va:#x} printed nothing"))?;
        let ours = match last.split_once(" -> ") {
            Some((_, to)) => Some(leaf::hex(to.split_whitespace().next().unwrap_or_default())?),
            None => None,
        };
        ensure!(
            ours == theirs,
            "{va:#x} (seed {SEED:#x}): walk says {last:?}, QEMU {theirs:x?}"
        );
        if ours.is_none() {
            ensure!(
                last.contains("not mapped"),
                "{va:#x}: {last:?} is no answer QEMU can agree with"
            );
        }
        mapped += usize::from(ours.is_some());
    }
    ensure!(
        mapped > 300 && mapped < 900,
        "{mapped} of {ADDRESSES} mapped: a poor sample"
    );
    println!("{ADDRESSES} addresses agree, {mapped} of them mapped");
    Ok(())
}

/// An address in a page, at one of its edges, next to it, or any canonical one.
fn address(random: &mut Random, leaves: &[LeafLine]) -> Result<u64> {
    let page = random.pick(leaves);
    let bytes = page.bytes()?;
    let any = random.number();
    let va = match random.below(6) {
        0 => page.va,
        1 => page.va.wrapping_add(bytes - 1),
        2 => page.va.wrapping_add(bytes),
        3 => page.va.wrapping_sub(1),
        4 => page.va.wrapping_add(any % bytes),
        _ => any,
    };
    // Sign-extend bit 47: QEMU's command ignores the bits above it, the CPU does not.
    Ok(((va << 16) as i64 >> 16) as u64)
}

/// CR0, CR3, CR4, EFER, GDTR, IDTR and TR as QEMU has them.
pub(crate) fn registers_agree(guest: &mut Guest) -> Result<()> {
    let theirs = guest.hmp("info registers")?;
    let field = |name: &str| -> Result<u64> {
        let at = theirs
            .find(&format!("{name}="))
            .with_context(|| format!("no {name}"))?;
        let digits = theirs[at + name.len() + 1..]
            .split_whitespace()
            .next()
            .unwrap_or_default();
        Ok(u64::from_str_radix(digits, 16)?)
    };
    for name in ["CR0", "CR3", "CR4", "EFER"] {
        let line = format!("assert ${} == {:#x}", name.to_lowercase(), field(name)?);
        lines(guest, &line)?;
    }
    for (name, register) in [("GDT", "gdtr"), ("IDT", "idtr")] {
        let at = theirs
            .find(&format!("{name}="))
            .with_context(|| format!("no {name}"))?;
        let base = theirs[at + 4..]
            .split_whitespace()
            .next()
            .unwrap_or_default();
        lines(guest, &format!("assert ${register} == 0x{base}"))?;
    }
    Ok(())
}

pub(crate) fn nothing_is_writable_and_executable(guest: &mut Guest) -> Result<()> {
    let output = lines(guest, "map w x")?;
    let leaves = leaves(guest)?;
    let both: Vec<&LeafLine> = leaves
        .iter()
        .filter(|leaf| leaf.rights.contains('w') && leaf.rights.contains('x'))
        .collect();
    ensure!(both.is_empty(), "{both:#?}");
    ensure!(output.len() == 1, "`map w x` lists {output:#?}");
    // What QEMU shows: no leaf with W and without X (no execute). Leaves alone may say
    // less than the levels above them, never more.
    let theirs = monitor::info_tlb(&guest.hmp("info tlb")?)?;
    let bad = theirs
        .iter()
        .find(|line| line.flags & 2 != 0 && line.flags >> 63 == 0);
    ensure!(bad.is_none(), "{bad:x?}");
    Ok(())
}

pub(crate) fn halves_are_clean(guest: &mut Guest) -> Result<()> {
    let theirs = monitor::info_tlb(&guest.hmp("info tlb")?)?;
    let low = theirs.iter().find(|line| line.va < 1 << 47);
    ensure!(low.is_none(), "the lower half maps {low:x?}");
    let user = theirs.iter().find(|line| line.flags & 4 != 0);
    ensure!(user.is_none(), "a USER page: {user:x?}");
    ensure!(lines(guest, "map u")?.len() == 1, "`map u` lists something");
    ensure!(
        lines(guest, "map lower")?.len() == 1,
        "`map lower` lists something"
    );
    // Slot 0 itself, from physical memory by QEMU: not even a table without pages.
    let registers = guest.hmp("info registers")?;
    let at = registers.find("CR3=").context("no CR3")?;
    let cr3 = u64::from_str_radix(
        registers[at + 4..].split_whitespace().next().unwrap_or(""),
        16,
    )?;
    let words = guest.hmp(&format!("xp /1gx {:#x}", cr3 & !0xfff))?;
    let slot = words.split_whitespace().last().unwrap_or_default();
    ensure!(slot == "0x0000000000000000", "PML4 slot 0 holds {slot}");
    Ok(())
}

/// The page below each stack is unmapped, for QEMU as well.
pub(crate) fn guard_pages_are_unmapped(guest: &mut Guest) -> Result<()> {
    let mut stacks = 0;
    let rows = [
        (0xffff_c900_0000_0000u64, 0x1_1000u64, 1u64),
        (0xffff_c980_0000_0000, 0x9000, 4),
    ];
    for (base, stride, count) in rows {
        for index in 0..count {
            let guard = base + index * stride;
            let below = monitor::gva2gpa(&guest.hmp(&format!("gva2gpa {guard:#x}"))?)?;
            ensure!(below.is_none(), "guard page {guard:#x} is mapped");
            for page in (guard + 0x1000..guard + stride).step_by(0x1000) {
                let at = monitor::gva2gpa(&guest.hmp(&format!("gva2gpa {page:#x}"))?)?;
                ensure!(at.is_some(), "stack page {page:#x} is not mapped");
            }
            stacks += 1;
        }
    }
    ensure!(stacks == 5, "{stacks} stacks");
    Ok(())
}
