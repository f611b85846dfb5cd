//! Differences planted in the tables of a process, in the booted kernel: `diff` reports exactly the
//! entry that was written and what was written in it, and nothing after it has been taken back.

use anyhow::{Context as _, Result, ensure};
use tests::leaf::hex;
use xtask::guest::Guest;

use crate::ring3::{asleep, background, end_all, fails, free_frames, ok};

/// In the code of every program; its process must not run while there are plants.
const AT: u64 = 0x40_1000;

/// An entry as `poke-entry` showed it.
struct Planted {
    at: String,
    level: String,
    old: String,
    new: String,
}

/// Writes an entry, and reads off which it was.
fn plant(guest: &mut Guest, entry: &str, change: &str) -> Result<Planted> {
    let output = ok(guest, &format!("poke-entry {entry} {change}"))?;
    // `was PT   0x0000_0099_c000 [  1] 000000000099d025 page  0x0000_0099_d000 ur-x`
    let field = |row: &str, number: usize| {
        let (_, rest) = row.split_once('[')?;
        let word = rest.split_whitespace().nth(number)?;
        Some(word.to_owned())
    };
    let [was, now] = [0, 1].map(|row| output.get(row).map_or("", String::as_str));
    let last = output.last().context("nothing was said")?;
    let at = last.split(' ').nth(3).context("no address")?;
    Ok(Planted {
        at: at.trim_end_matches(':').to_owned(),
        level: was
            .split_whitespace()
            .nth(1)
            .context("no level")?
            .to_owned(),
        old: field(was, 1).context("no old value")?,
        new: field(now, 1).context("no new value")?,
    })
}

/// The rows of a comparison that do not say that both sides are the same.
fn differing(guest: &mut Guest, line: &str) -> Result<Vec<String>> {
    let mut rows = ok(guest, line)?;
    rows.pop();
    rows.retain(|row| !row.contains(" equal: ") && !row.contains(" shared: "));
    Ok(rows)
}

/// Plants one change, finds it and nothing else, takes it back, and finds nothing.
fn found(guest: &mut Guest, compare: &str, entry: &str, change: &str, what: &str) -> Result<()> {
    let planted = plant(guest, entry, change)?;
    let rows = differing(guest, compare)?;
    let note = format!("{entry} {change}: {rows:#?}");
    let [row] = rows.as_slice() else {
        anyhow::bail!("one row, for {note}");
    };
    let Planted {
        at,
        level,
        old,
        new,
    } = planted;
    // The left side is the same entry as it was, or that of another table.
    ensure!(row.contains(&format!(" {level} ")), "{note}");
    ensure!(row.contains(&format!(" {old} | ")), "{note}");
    ensure!(row.contains(&format!(" | {at} {new} ")), "{note}");
    let (_, said) = row.split_once(&format!("{new} ")).context(note.clone())?;
    let is_it = said == what
        || said.starts_with(&format!("{what},"))
        || said.starts_with(&format!("{what}:"));
    ensure!(is_it, "{what}, not {said:?}: {note}");
    ok(guest, "undo")?;
    let rows = differing(guest, compare)?;
    ensure!(rows.is_empty(), "{entry} {change}, taken back: {rows:#?}");
    Ok(())
}

const LEVELS: [&str; 4] = ["pml4", "pdpt", "pd", "pt"];

/// Against a snapshot from before: each right, memory type, frame and size at each level that has
/// one.
pub(crate) fn each_plant_is_found_alone(guest: &mut Guest) -> Result<()> {
    let pid = background(guest, "sleeper 1000000")?;
    asleep(guest, pid)?;
    let before = free_frames(guest)?;
    ok(guest, &format!("snap before {pid}"))?;
    let compare = format!("diff @before {pid}");
    ensure!(
        differing(guest, &compare)?.is_empty(),
        "nothing has happened"
    );
    let entry = |level: &str| format!("{pid} {AT:#x} {level}");
    for level in LEVELS {
        // The code is executable and read-only; all above it allows everything.
        let write = if level == "pt" { "w=1" } else { "w=0" };
        for (change, what) in [
            (write, "differs in W"),
            ("u=0", "differs in U"),
            ("nx=1", "differs in NX"),
            ("pwt=1", "differs in type"),
            ("pcd=1", "differs in type"),
            ("p=0", "only in @before"),
            (
                "w=0 u=0 nx=1 pcd=1",
                if level == "pt" {
                    "differs in U NX type"
                } else {
                    "differs in W U NX type"
                },
            ),
        ] {
            found(guest, &compare, &entry(level), change, what)?;
        }
    }
    for (level, change, what) in [
        ("pt", "pat=1", "differs in type"),
        ("pt", "g=1", "differs in G"),
        ("pt", "frame=0x13_0000", "differs in frame"),
        // There are no pages of 512 GiB.
        ("pml4", "ps=1", "differs in reserved"),
        ("pd", "0x20_00e7", "differs in size"),
    ] {
        found(guest, &compare, &entry(level), change, what)?;
    }
    // A large page in place of the table, and then something about it.
    for (level, page, frame) in [
        ("pd", "0x20_00e7", "0x60_0000"),
        ("pdpt", "0xe7", "0x4000_0000"),
    ] {
        ok(guest, &format!("poke-entry {} {page}", entry(level)))?;
        if !ok(guest, &format!("walk {AT:#x} {pid}"))?
            .concat()
            .contains(" page)")
        {
            // A CPU without pages of 1 GiB calls that malformed.
            ok(guest, "undo")?;
            continue;
        }
        ok(guest, &format!("snap large {pid}"))?;
        let compare = format!("diff @large {pid}");
        for (change, what) in [
            (format!("frame={frame}"), "differs in frame"),
            ("pat=1".to_owned(), "differs in type"),
            ("w=0".to_owned(), "differs in W"),
            ("u=0".to_owned(), "differs in U"),
            ("nx=1".to_owned(), "differs in NX"),
        ] {
            found(guest, &compare, &entry(level), &change, what)?;
        }
        ok(guest, "snap drop large; undo")?;
    }
    // The table of another process in place of its own, at each level: it is that entry which has
    // changed, and nothing else in this half. (In the kernel half it is the stack of the new
    // process.) Below, it is their pages that differ.
    let twin = background(guest, "sleeper 1000000")?;
    asleep(guest, twin)?;
    let theirs = ok(guest, &format!("walk {AT:#x} {twin}"))?;
    let user = format!("{compare} user");
    for (row, level) in theirs.iter().zip(["pml4", "pdpt", "pd"]) {
        let mut words = row.split_whitespace().skip_while(|word| *word != "table");
        let table = hex(words.nth(1).context("no table")?)?;
        let change = format!("frame={table:#x}");
        found(guest, &user, &entry(level), &change, "differs in frame")?;
        ok(guest, &format!("poke-entry {} {change}", entry(level)))?;
        let rows = differing(guest, &format!("{user} below"))?;
        let is_page = |row: &String| row.contains(" PT ") && row.contains(" differs in frame");
        ensure!(!rows.is_empty() && rows.iter().all(is_page), "{rows:#?}");
        ok(guest, "undo")?;
    }
    ok(guest, "snap drop before")?;
    ensure!(free_frames(guest)? < before, "the twin has some");
    end_all(guest)
}

/// Against the master, in the part of the kernel half that is a process's own: its top table.
pub(crate) fn a_plant_in_the_kernel_half_is_found(guest: &mut Guest) -> Result<()> {
    let pid = background(guest, "sleeper 1000000")?;
    asleep(guest, pid)?;
    let compare = format!("diff master {pid} kernel");
    let stacks = format!("{pid} 0xffff_c900_0000_0000 pml4");
    for (change, what) in [
        ("nx=1", "differs in NX"),
        ("pcd=1", "differs in type"),
        // Were the process to run now, nothing more would.
        ("w=0 --force", "differs in W"),
        ("p=0 --force", "only in master"),
        ("ps=1 --force", "differs in reserved"),
    ] {
        found(guest, &compare, &stacks, change, what)?;
    }
    found(
        guest,
        &compare,
        &format!("{pid} 0xffff_d000_0000_0000 pml4"),
        "0x13_0003",
        &format!("only in pid {pid}"),
    )?;
    for (entry, change) in [
        (format!("{pid} $rsp pml4"), "p=0"),
        ("master $rip pt".to_owned(), "nx=1"),
        ("master $rsp pd".to_owned(), "w=0"),
        ("master $rsp pt".to_owned(), "frame=0x13_0000"),
    ] {
        let error = fails(guest, &format!("poke-entry {entry} {change}"))?;
        ensure!(error.contains("would not survive it"), "{error}");
    }
    ensure!(ok(guest, "undo list")? == ["0 edits"], "all is as it was");
    end_all(guest)
}

/// What is written is what the CPU sees at once, and what ring 3 dies of.
pub(crate) fn the_cpu_sees_an_edit(guest: &mut Guest) -> Result<()> {
    // It sleeps while it is edited, so that it still lives when `can` asks; then it wakes and dies.
    let pid = background(guest, "sleeper 3000")?;
    asleep(guest, pid)?;
    let line = format!("poke-entry {pid} {AT:#x} pt nx=1; can x user {AT:#x} {pid}; wait {pid}");
    let output = ok(guest, &line)?;
    let died = output.last().context("nothing was said")?;
    ensure!(died.contains(" died: #PF "), "{output:#?}");
    ensure!(died.contains("error code 0x15 (P U/S I/D)"), "{output:#?}");
    let error = fails(guest, "undo")?;
    ensure!(error.contains("its table has been given back"), "{error}");
    end_all(guest)
}

/// Whatever was made of its tables, a process gives back every frame it had, and no other.
pub(crate) fn edits_lose_no_frame(guest: &mut Guest) -> Result<()> {
    end_all(guest)?;
    let free = free_frames(guest)?;
    for changes in [
        &["pt p=0", "pt w=1"][..],
        &["pt frame=0x13_0000"],
        &["pd p=0", "pd u=1"],
        &["pd 0x20_00e7"],
        &["pdpt 0"],
        &["pt p=0", "pd p=0", "pdpt p=0", "pml4 p=0"],
        &["pt nx=1", "pml4 frame=0x13_0000", "pml4 p=1 w=0"],
    ] {
        let pid = background(guest, "sleeper 1000000")?;
        asleep(guest, pid)?;
        for change in changes {
            ok(guest, &format!("poke-entry {pid} {AT:#x} {change}"))?;
        }
        ok(guest, &format!("kill {pid}"))?;
        guest.command(&format!("wait {pid}; undo all"))?;
        ensure!(
            ok(guest, "undo list")? == ["0 edits"],
            "they are off the list"
        );
        let left = free_frames(guest)?;
        ensure!(
            left == free,
            "{changes:?}: {free} frames were free, {left} are"
        );
    }
    Ok(())
}
