//! `snap`: keep a space's page tables as they are now.
//!
//! Take one before a step and compare afterwards: `snap before 3; ...; diff @before 3` shows what
//! the step changed, entry by entry. Wherever a root is expected, `@NAME` is one.

use core::fmt::{self, Write};

use machine::PhysAddr;

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::output::Output;
use crate::process::Pids;
use crate::record::{Row, hex, number, text};
use crate::render::{Count, Size};
use crate::root::snapshots;
use crate::space::Space;
use crate::{Error, SnapshotInfo, SnapshotName, Subject};

pub(super) const COMMAND: Command = Command {
    name: "snap",
    group: Group::Memory,
    usage: "[NAME [root] | drop NAME]",
    summary: "keep page tables as they are now",
    help: "Copies every table frame that a root leads to. From then on `@NAME` is a root like any other: `walk`, `map`, `can`, `diff`, `tables` and `x root=` read a table that was copied as it was, at its old address. All other memory, the content of pages included, is what it is now.\nA frame is copied once, however many entries name it and at whatever level, so tables that are broken or cyclic can be kept, too. A table that cannot be read has no copy. What has too many tables, or finds too little memory, is refused, and nothing of it is kept.\nWithout arguments, shows the snapshots: name, whose tables, where the top one was, how many tables, what they take, and when. `drop` forgets one and gives its frames back. `$_` becomes the number of tables, or of snapshots.\nA name has letters, digits, `-`, `_` and `.`, 16 at most. The root is CR3's if none is given.",
    examples: &[
        ("snap before 3", "the tables of process 3, now"),
        ("diff @before 3", "what has changed in them since?"),
        ("walk 0x40_0000 @before", "where did the address lead then?"),
        ("snap drop before", "give the memory back"),
    ],
    rows: &[
        SNAPSHOT,
        Row {
            name: "summary",
            about: "what they come to",
            fields: &[
                number("snapshots", "how many there are"),
                number("frames", "how many frames they take"),
            ],
        },
    ],
    args: &[ArgKind::Words(&["drop"]), ArgKind::Root(&[])],
    run,
};

const SNAPSHOT: Row = Row {
    name: "snapshot",
    about: "one snapshot, after it was taken as well",
    fields: &[
        text("name", "what it is called, without the @"),
        text("of", "whose tables: master, pid N, or an address"),
        hex("root", "where the top table was"),
        number("tables", "how many tables it has copies of"),
        number("frames", "how many frames it takes"),
        number("nanoseconds", "when it was taken, since boot").or_null(),
    ],
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let Some(word) = args.word() else {
        return list(context);
    };
    match word.text()? {
        "drop" => {
            let name = name(args.word().ok_or(Error::Missing("snapshot"))?.text()?)?;
            args.done()?;
            match snapshots(context)?.drop(&name) {
                true => Ok(()),
                false => Err(Error::NoSnapshot(excerpt(&name))),
            }
        }
        word => {
            let name = name(word)?;
            let space = args.root(context)?;
            args.done()?;
            take(context, &name, &space)
        }
    }
}

/// A name, with or without its `@`.
fn name(word: &str) -> Result<SnapshotName, Error> {
    let bare = word.strip_prefix('@').unwrap_or(word);
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match SnapshotName::try_from(bare) {
        Ok(name) if !bare.is_empty() && bare != "drop" && bare.chars().all(is_good) => Ok(name),
        _ => Err(Error::Unknown(
            excerpt(word),
            "a name for a snapshot: up to 16 letters, digits, - _ or .",
        )),
    }
}

fn take(context: &mut Context<'_>, name: &SnapshotName, space: &Space) -> Result<(), Error> {
    if space.snapshot.is_some() {
        return Err(Error::Said(
            "a snapshot is taken of tables in use, not of another snapshot",
        ));
    }
    let subject = subject(context, space.root);
    let root = context.target.paging().root(space.root);
    let taken = snapshots(context)?.take(name, root, subject);
    let info = taken.map_err(Error::Snapshot)?;
    context.state.value = info.tables;
    if context.out.is_json() {
        return Ok(record(&mut context.out, &info)?);
    }
    let (tables, cost) = (Count(info.tables, "table"), Cost(info.frames));
    writeln!(context.out, "@{name}: {tables} of {subject}, {cost}")?;
    Ok(())
}

/// Whose tables those at a root are.
fn subject(context: &mut Context<'_>, root: PhysAddr) -> Subject {
    let paging = context.target.paging();
    let root = paging.root(root);
    if context.target.master().map(|master| paging.root(master)) == Some(root) {
        return Subject::Master;
    }
    // A target without processes has none whose root it could be.
    let Ok(mut pids) = Pids::all(context.target) else {
        return Subject::Root(root);
    };
    while let Some(info) = pids.next(context.target) {
        if info.state.exit().is_none() && paging.root(info.root) == root {
            return Subject::Process(info.pid);
        }
    }
    Subject::Root(root)
}

fn list(context: &mut Context<'_>) -> Result<(), Error> {
    snapshots(context)?;
    let (mut count, mut frames) = (0_u64, 0_u64);
    for index in 0.. {
        let Some(info) = snapshots(context)?.snapshot(index) else {
            break;
        };
        count = count.saturating_add(1);
        frames = frames.saturating_add(info.frames);
        match context.out.is_json() {
            true => record(&mut context.out, &info)?,
            false => writeln!(context.out, "{}", Line(&info))?,
        }
    }
    context.state.value = count;
    if context.out.is_json() {
        let record = context.out.record("summary").number("snapshots", count);
        return Ok(record.number("frames", frames).end()?);
    }
    let (count, cost) = (Count(count, "snapshot"), Cost(frames));
    writeln!(context.out, "{count}, {cost}")?;
    Ok(())
}

fn record(out: &mut Output<'_>, info: &SnapshotInfo) -> fmt::Result {
    out.record(SNAPSHOT.name)
        .text("name", &info.name)
        .text("of", info.subject)
        .hex("root", info.root)
        .number("tables", info.tables)
        .number("frames", info.frames)
        .number("nanoseconds", info.nanoseconds)
        .end()
}

/// `@before pid 3, 0x0000_0030_3000: 12 tables, 12 frames 48K, taken at 1.234 s`.
struct Line<'a>(&'a SnapshotInfo);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SnapshotInfo {
            name,
            root,
            subject,
            tables,
            frames,
            nanoseconds,
        } = self.0;
        write!(f, "@{name:<16} ")?;
        match subject {
            Subject::Root(_) => write!(f, "{root}")?,
            subject => write!(f, "{subject}, {root}")?,
        }
        write!(f, ": {}, {}", Count(*tables, "table"), Cost(*frames))?;
        if let Some(nanoseconds) = nanoseconds {
            let ms = nanoseconds / 1_000_000;
            write!(f, ", taken at {}.{:03} s", ms / 1000, ms % 1000)?;
        }
        Ok(())
    }
}

/// `12 frames 48K`.
struct Cost(u64);

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = Size(self.0.saturating_mul(4096));
        write!(f, "{} {size}", Count(self.0, "frame"))
    }
}
