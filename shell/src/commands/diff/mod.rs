//! `diff`: two address spaces side by side.
//!
//! Come here to ask whether a process still has the kernel's half, what two processes share, or
//! which entry of two trees that should be the same is not. What is the same is said in few
//! rows; each difference names the entry on both sides.

mod line;
mod verdict;

use core::fmt::{self, Write};

use machine::{Compared, DiffOptions, Range, VirtAddr};

use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::{Excerpt, excerpt};
use crate::once::Once;
use crate::patience;
use crate::root::root;
use crate::space::{Space, Views};
use line::DiffLine;
use verdict::{Tally, Verdict};

const WORDS: &[&str] = &["ad", "all", "below", "kernel", "pages", "user"];

pub(super) const COMMAND: Command = Command {
    name: "diff",
    group: Group::Memory,
    usage: "<root> <root> [kernel|user|all] [low..high] [ad] [below] [pages]",
    summary: "compare two sets of page tables, entry by entry",
    help: "Walks two sets of tables together. Neighbours about which the same is to be said are one row: range (both ends included), level, address and raw value of the first entry on the left, on the right, and then what there is to say:\n`shared`: the same table on both sides; it is not looked into. `equal`: other tables with the same content, all the way down. `differs in`: what does, of frame, W, U, NX, size, type (which field of the PAT), G, reserved (malformed, and not alike). Tables in other frames are no difference by themselves, but with a snapshot, one entry that names another table than it did is: that row is all that is said of it, with the pages below then and now; with `below`, what differs down there is said instead. `only in`: the other side has nothing there. `unknown`: something could not be read, is malformed, or leads back to a table above. Rows of what is the same reach over addresses where neither side has anything.\nThe last line is the verdict, a part for each half; slots are entries of the top table, and one that is empty on both sides counts as shared. `$_` becomes the number of rows that differ or are unknown, so `assert $_ == 0` says whether two trees are alike. Differences are an answer: the command succeeds.\n`kernel` and `user` look at the upper and the lower half only, as `low..high` does at some addresses. Accessed and Dirty, which the CPU writes, count with `ad`; `pages` counts the pages below shared tables, too. Bits that the CPU ignores never count. A root is `cr3`, `master`, a pid, a snapshot (`@name`), or the physical address of a PML4; one with blanks in it needs parentheses.",
    examples: &[
        ("diff master 3", "what does process 3 have of its own?"),
        (
            "diff master 3 kernel; assert $_ == 0",
            "is its kernel half the kernel's?",
        ),
        ("diff 3 4 user", "what do two processes share?"),
        ("diff cr3 3 0x40_0000..0x60_0fff", "in a range"),
    ],
    rows: &[DiffLine::ROW, Verdict::ROW],
    args: &[
        ArgKind::Root(&[]),
        ArgKind::Root(&[]),
        ArgKind::Words(WORDS),
    ],
    run,
};

/// One of the two trees.
struct Tree {
    space: Space,
    name: Name,
}

/// A tree as it was typed; a bare number in decimal is a pid.
struct Name(Excerpt);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_pid = self.0.chars().all(|c| c.is_ascii_digit());
        write!(f, "{}{}", if is_pid { "pid " } else { "" }, self.0)
    }
}

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let left = tree(context, args)?;
    let right = tree(context, args)?;
    let options = options(context, args)?;

    let Context { target, out, .. } = context;
    let paging = target.paging();
    let views = Views::new(*target, [&left.space, &right.space]);
    let roots = [&left, &right].map(|tree| tree.space.root);
    let mut rows = machine::diff_sides(views, paging, roots[0], roots[1], options);
    let mut tallies = [Tally::default(), Tally::default()];
    let mut differing = 0_u64;
    while let Some(row) = patience::next(out, || rows.advance())? {
        let [lower, upper] = &mut tallies;
        match Range::LOWER.contains(row.first) {
            true => lower.add(&row),
            false => upper.add(&row),
        }
        let counts = row.kind.is_different() || matches!(row.kind, Compared::Unknown(..));
        differing = differing.saturating_add(counts.into());
        let line = DiffLine {
            row: &row,
            paging: &paging,
            names: [&left.name, &right.name],
        };
        match out.is_json() {
            true => line.record(out)?,
            false => writeln!(out, "{line}")?,
        }
    }
    let verdict = Verdict {
        slots: rows.slots(),
        tallies,
        names: [&left.name, &right.name],
    };
    context.state.value = differing;
    match context.out.is_json() {
        true => verdict.record(&mut context.out)?,
        false => writeln!(context.out, "{verdict}")?,
    }
    Ok(())
}

fn tree(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<Tree, Error> {
    let word = args.word().ok_or(Error::Missing("root"))?.text()?;
    Ok(Tree {
        space: root(word, context)?,
        name: Name(excerpt(word)),
    })
}

fn options(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<DiffOptions, Error> {
    let mut options = DiffOptions::default();
    let mut half = Once::default();
    while let Some(word) = args.word() {
        let text = word.text()?;
        let bare = text.strip_prefix("--").unwrap_or(text);
        match bare {
            "kernel" => half.set(bare, Range::UPPER)?,
            "user" => half.set(bare, Range::LOWER)?,
            "all" => half.set(bare, Range::ALL)?,
            "ad" => options.accessed_dirty = true,
            "below" => options.below = true,
            "pages" => options.count_shared = true,
            _ => {
                let Some((first, last)) = text.split_once("..") else {
                    let known = "kernel, user, all, ad, below, pages or a range";
                    return Err(Error::Unknown(excerpt(text), known));
                };
                let (first, last) = (context.evaluate(first)?, context.evaluate(last)?);
                if last < first {
                    return Err(Error::BackwardRange);
                }
                let range = Range::new(VirtAddr(first), VirtAddr(last));
                within(&mut options.range, range);
            }
        }
    }
    within(&mut options.range, half.get().unwrap_or_default());
    Ok(options)
}

/// Narrows a range down to what it has in common with another.
fn within(range: &mut Range, other: Range) {
    range.first = range.first.max(other.first);
    range.last = range.last.min(other.last);
}
