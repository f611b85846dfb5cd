//! Address spaces side by side: the kernel's half is one and the same in every process, and two
//! processes of one program differ in where their pages are and in nothing else.

use anyhow::{Context as _, Result, ensure};
use xtask::guest::Guest;

use crate::ring3::{background, end_all, ok};

fn ten_sleepers(guest: &mut Guest) -> Result<Vec<u64>> {
    (0..10)
        .map(|_| background(guest, "sleeper 1000000"))
        .collect()
}

/// Each of ten processes shares all 256 upper slots with the master, and says so before and
/// after the CPU has run it.
pub(crate) fn the_kernel_half_is_shared(guest: &mut Guest) -> Result<()> {
    for pid in ten_sleepers(guest)? {
        let output = ok(guest, &format!("diff master {pid} kernel; assert $_ == 0"))?;
        let (verdict, rows) = output.split_last().context("no verdict")?;
        ensure!(
            verdict == "256 of 256 kernel slots shared",
            "pid {pid}: {output:#?}"
        );
        ensure!(
            rows.iter().all(|row| row.contains(" shared: ")),
            "pid {pid}: {output:#?}"
        );
        let whole = ok(guest, &format!("diff master {pid} --all"))?;
        let verdict = whole.last().context("no verdict")?;
        ensure!(
            verdict.starts_with("256 of 256 kernel slots shared; user half: ")
                && verdict.ends_with(&format!(" only in pid {pid}")),
            "pid {pid}: {whole:#?}"
        );
    }
    end_all(guest)
}

/// What differs between two processes of one program is where pages are, never what may be
/// done with them.
pub(crate) fn two_processes_differ_in_frames_only(guest: &mut Guest) -> Result<()> {
    let pids = ten_sleepers(guest)?;
    for pair in pids.windows(2) {
        let [one, two] = pair else { continue };
        let output = ok(guest, &format!("diff {one} {two} user"))?;
        let (verdict, rows) = output.split_last().context("no verdict")?;
        let is_expected = |row: &String| {
            row.contains(" equal: ")
                || row.contains(" differs in frame:")
                || row.ends_with(" differs in frame")
        };
        ensure!(
            !rows.is_empty() && rows.iter().all(is_expected),
            "{one} and {two}: {output:#?}"
        );
        ensure!(verdict.contains(" differ"), "{one} and {two}: {output:#?}");
    }
    end_all(guest)
}

/// The tables that the spaces reach are those that the frame books say are tables.
pub(crate) fn tables_are_all_accounted_for(guest: &mut Guest) -> Result<()> {
    let pids = ten_sleepers(guest)?;
    let output = ok(guest, "tables")?;
    let last = output.last().context("no sum")?;
    ensure!(last.starts_with("11 spaces: "), "{output:#?}");
    let counted = last.split_whitespace().nth(2).context("no count")?;
    let books = ok(guest, "frames")?;
    let line = books
        .iter()
        .find(|line| line.ends_with(" page tables"))
        .context("no page tables in the books")?;
    ensure!(
        line.split_whitespace().next() == Some(counted),
        "{line:?}, but {last:?}"
    );
    for pid in pids {
        let output = ok(guest, &format!("tables {pid}"))?;
        let (_, rows) = output.split_last().context("no sum")?;
        // The upper half is everybody's, the lower one nobody else's.
        let is_right = |row: &String| {
            let is_upper = row.contains(" 0xffff_");
            row.ends_with(if is_upper {
                "shared with 10 spaces"
            } else {
                "private"
            })
        };
        ensure!(rows.iter().all(is_right), "pid {pid}: {output:#?}");
    }
    end_all(guest)
}
