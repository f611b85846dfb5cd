//! Every frame accounted for: the books agree with the page tables whatever has happened, and
//! what is said of a frame or an address is what QEMU sees there.

use anyhow::{Context as _, Result, ensure};
use tests::leaf::{self, hex};
use tests::monitor::{self, TlbLine};
use tests::random::Random;
use xtask::guest::Guest;

use crate::ring3::{background, end_all, ok, settle};

/// How many frames are looked up.
const FRAMES: usize = 60;
const SEED: u64 = 0x4652_414d;

/// The audit finds nothing.
fn clean(guest: &mut Guest, when: &str) -> Result<()> {
    let reply = guest.command("frames audit")?;
    ensure!(
        reply.is_ok() && reply.output.len() == 1,
        "{when}: {:#?} {:?}",
        reply.output,
        reply.errors
    );
    ensure!(
        reply.output[0].ends_with(": all accounted for"),
        "{when}: {:?}",
        reply.output
    );
    Ok(())
}

/// After boot, with processes in every state, after they have gone, and with snapshots.
pub(crate) fn the_audit_is_clean(guest: &mut Guest) -> Result<()> {
    clean(guest, "at first")?;
    let pids = (0..10)
        .map(|_| background(guest, "sleeper 1000000"))
        .collect::<Result<Vec<u64>>>()?;
    clean(guest, "with ten processes")?;
    let time = ok(guest, "time frames audit")?;
    println!("{}", time.join("; "));
    background(guest, "forker 20")?;
    background(guest, "mapper")?;
    background(guest, "spinner")?;
    for round in 0..20 {
        clean(guest, &format!("under load, round {round}"))?;
    }
    for pid in pids.iter().step_by(2) {
        ok(guest, &format!("kill {pid}"))?;
        clean(guest, "with a dead process that has its kernel stack")?;
    }
    ok(guest, "snap audited master")?;
    clean(guest, "with a snapshot")?;
    ok(guest, "snap drop audited")?;
    end_all(guest)?;
    settle(guest)?;
    clean(guest, "when all have gone")?;
    ok(guest, "stacks reserve 100")?;
    clean(guest, "with reserved stacks")?;
    ok(guest, "stacks release")?;
    clean(guest, "at last")
}

/// However far something came before a frame was refused.
pub(crate) fn the_audit_is_clean_after_refusals(guest: &mut Guest) -> Result<()> {
    let mut failures = 0;
    for n in 1..=60 {
        let program = if n % 2 == 0 { "hello" } else { "forker" };
        ok(guest, &format!("frames fail {n}"))?;
        failures += u32::from(!guest.command(&format!("spawn {program}"))?.is_ok());
        ok(guest, "frames fail off")?;
        settle(guest)?;
        clean(guest, &format!("frame {n} refused during {program}"))?;
    }
    ensure!(failures > 10, "only {failures} of 60 failed");
    Ok(())
}

/// The addresses that `frame` shows as pages of a frame, in the tables in use.
fn mapped_by(rows: &[String], space: &str) -> Result<Vec<u64>> {
    let mut found = Vec::new();
    for row in rows.iter().filter(|row| row.contains(" page  ")) {
        let (_, rest) = row.split_once(" page  ").context("no page")?;
        let va = rest.split_whitespace().next().context("no address")?;
        if rest.contains(&format!(" in {space}")) {
            found.push(hex(va)?);
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn bytes(line: &TlbLine) -> u64 {
    // P is the size of a large page; no page of RAM has the PAT bit that is in the same place.
    if line.flags & 1 << 7 == 0 {
        1 << 12
    } else {
        1 << 21
    }
}

/// Each page that QEMU finds for a frame is shown by `frame`, and no other.
pub(crate) fn frame_agrees_with_info_tlb(guest: &mut Guest) -> Result<()> {
    const RAM: u64 = 1 << 31;
    background(guest, "sleeper 1000000")?;
    let tlb: Vec<TlbLine> = monitor::info_tlb(&guest.hmp("info tlb")?)?
        .into_iter()
        .filter(|line| line.pa < RAM)
        .collect();
    ensure!(tlb.len() > 100, "only {} pages", tlb.len());
    let mut random = Random::new(SEED);
    let mut several = 0;
    for _ in 0..FRAMES {
        let line = *random.pick(&tlb);
        let frame = line.pa + (random.below(bytes(&line)) & !0xfff);
        let mut theirs: Vec<u64> = tlb
            .iter()
            .filter(|line| frame.wrapping_sub(line.pa) < bytes(line))
            .map(|line| line.va)
            .collect();
        theirs.sort_unstable();
        let rows = ok(guest, &format!("frame {frame:#x}"))?;
        let ours = mapped_by(&rows, "master")?;
        ensure!(ours == theirs, "{frame:#x}: {theirs:x?}, but {rows:#?}");
        several += usize::from(theirs.len() > 1);
    }
    ensure!(several > 10, "only {several} frames were mapped twice");
    println!("{FRAMES} frames, {several} of them mapped more than once, as QEMU sees them");
    end_all(guest)
}

/// What a frame is said to be is what it was found as.
pub(crate) fn each_role_is_named(guest: &mut Guest) -> Result<()> {
    let pid = background(guest, "sleeper 1000000")?;
    let tables = ok(guest, &format!("tables {pid}"))?;
    let (_, tables) = tables.split_last().context("no tables")?;
    for row in tables {
        let mut words = row.split_whitespace();
        let (level, frame) = (
            words.next().context("level")?,
            words.next().context("frame")?,
        );
        let output = ok(guest, &format!("frame {frame}"))?;
        let answer = output.last().context("no answer")?;
        let whose = match row.ends_with("private") {
            true => format!("{frame} is {level} of pid {pid}; "),
            false => format!("{frame} is {level} of master and 1 space more; "),
        };
        ensure!(answer.starts_with(&whose), "{row}: {answer}");
        ensure!(answer.ends_with("; books: page tables"), "{answer}");
    }
    for (line, role) in [
        ("frame $cr3", " is PML4 of master; "),
        ("frame 0xfee0_0000", " is device memory; 0 mappings"),
        ("frame 0x1000", " is low 1 MiB; "),
        (
            "walk 0xffff_c800_0000_3000; frame $_",
            " is heap at 0xffff_c800_0000_3000; 1 mapping ",
        ),
        (
            "walk $rsp; frame $_",
            " is kernel stack 0 at 0xffff_c900_00",
        ),
        (
            "walk 0xffff_c980_0000_1000; frame $_",
            " is IST stack 1 at 0xffff_c980_0000_1000; ",
        ),
        ("walk $rip; frame $_", " is kernel image at 0xffff_8"),
        (
            &format!("walk 0x40_1000 {pid}; frame $_"),
            &format!(" is code of pid {pid}; 1 mapping "),
        ),
        (
            &format!("in {pid} 'walk $rsp; frame $_'"),
            &format!(" is stack of pid {pid}; 1 mapping "),
        ),
    ] {
        let output = ok(guest, line)?;
        let answer = output.last().context("no answer")?;
        ensure!(answer.contains(role), "{line}: {role}: {answer}");
    }
    end_all(guest)
}

/// One address of each region, by name, and where QEMU finds it.
pub(crate) fn whatis_names_each_region(guest: &mut Guest) -> Result<()> {
    let mut regions = 0;
    for row in ok(guest, "map master")? {
        let Some((range, rest)) = row.split_once(' ') else {
            continue;
        };
        let Some((first, _)) = range.split_once("..") else {
            continue;
        };
        let name = rest
            .split_whitespace()
            .skip(4)
            .collect::<Vec<_>>()
            .join(" ");
        ensure!(!name.is_empty(), "no region: {row}");
        let va = hex(first)?;
        let at = monitor::gva2gpa(&guest.hmp(&format!("gva2gpa {va:#x}"))?)?;
        let at = at.with_context(|| format!("QEMU finds nothing at {va:#x}"))?;
        let output = ok(guest, &format!("whatis {va:#x}; assert $_ == {at:#x}"))?;
        let is_physical = output.iter().any(|row| row.starts_with("physical"));
        ensure!(!is_physical, "only virtual: {output:?}");
        let expected = format!("virtual  {first} {name} + 0x");
        ensure!(output[0].starts_with(&expected), "{row}: {output:?}");
        regions += 1;
    }
    ensure!(regions > 10, "only {regions} regions");
    for (va, said) in [
        (
            "0xffff_c900_0000_0fff",
            "(the guard page of kernel stack 0) is not mapped: PT entry",
        ),
        (
            "0xffff_c980_0000_9000",
            "(the guard page of IST stack 2) is not mapped: PT entry",
        ),
        ("0x8000_0000_0000", " is not canonical"),
    ] {
        let output = ok(guest, &format!("whatis {va}"))?;
        ensure!(output[0].contains(said), "{va}: {output:?}");
    }
    let pid = background(guest, "sleeper 1000000")?;
    let output = ok(guest, &format!("in {pid} whatis $rip; whatis {pid}"))?;
    let said = [
        format!(": code of pid {pid}; mapped in pid {pid}"),
        format!("pid      {pid} sleeper, sleeping"),
    ];
    for said in said {
        ensure!(output.iter().any(|row| row.ends_with(&said)), "{output:#?}");
    }
    // Code has a name in the kernel and in the program, whoever is asked about it.
    for (line, image) in [
        ("whatis $rip", " in kernel: "),
        (
            "whatis sym:kernel::target::paging",
            "kernel::target::paging in kernel: ",
        ),
        (&format!("in {pid} whatis $rip"), " in sleeper: "),
    ] {
        let output = ok(guest, line)?;
        let symbol = output.iter().find(|row| row.starts_with("symbol   "));
        ensure!(
            symbol.is_some_and(|row| row.contains(image) && row.contains(".rs:")),
            "{line}: {output:#?}"
        );
    }
    end_all(guest)
}

/// The list of leaves is read as elsewhere; a leaf is what `frame` calls a page.
pub(crate) fn every_page_of_a_process_is_its_own(guest: &mut Guest) -> Result<()> {
    let pid = background(guest, "sleeper 1000000")?;
    let leaves = leaf::read(&ok(guest, &format!("map {pid} leaves lower"))?)?;
    ensure!(leaves.len() > 5, "only {} pages", leaves.len());
    for page in &leaves {
        let rows = ok(guest, &format!("frame {:#x}; assert $_ == 1", page.pa))?;
        let ours = mapped_by(&rows, &format!("pid {pid}"))?;
        ensure!(ours == [page.va], "{page:x?}: {rows:#?}");
    }
    end_all(guest)
}
