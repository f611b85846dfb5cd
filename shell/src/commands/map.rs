//! `map`: everything a set of tables maps, as few rows as it takes.
//!
//! Come here to see a whole address space at once, or to ask it a question: `map w x` should
//! have no rows. Rows that could not be followed are shown in their place.

use core::fmt::Write;

use heapless::Vec;
use machine::{Filter, Item, Merge, PageSize, Progress, Range, VirtAddr};

use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::once::Once;
use crate::output::Output;
use crate::patience;
use crate::record::{Row, number};
use crate::render::{Count, HoleLine, LeafLine, Pages, RunLine};
use crate::root::root;
use crate::space::{Space, View};
use crate::{Error, Region};

const WORDS: &[&str] = &[
    "1g", "2m", "4k", "_u", "_w", "_x", "leaves", "lower", "phys", "u", "upper", "w", "x",
];

/// As many regions as are told apart; each takes 32 bytes of stack while the tables are read.
const REGIONS: usize = 64;

pub(super) const COMMAND: Command = Command {
    name: "map",
    group: Group::Memory,
    usage: "[root] [filter...] [leaves] [phys]",
    summary: "show everything the page tables map",
    help: "Shows the pages that are mapped; neighbours with the same effective rights, memory type and region are one row: range (both ends included), size, rights, memory type, pages by size, region. The last line counts them. Entries that are malformed or cannot be read, or that lead back to a table above, are rows of their own.\nFilters, of which all must hold: `w` `x` `u` (writable, executable, for user code), `_w` `_x` `_u` (not so), `4k` `2m` `1g` (page size), `lower` `upper` (half of the address space), `LOW..HIGH` (addresses, both included).\n`leaves` shows each page: address, physical address, size, entry, effective rights, memory type. `phys` starts a new row wherever physical addresses do not follow one another, and shows them.\nA root is `cr3` (if none is given), `master`, a pid, a snapshot (`@name`), or the physical address of a PML4.",
    examples: &[
        ("map", "the whole space of CR3"),
        ("map master w x", "what is both writable and executable"),
        ("map lower u", "what user code can reach"),
        (
            "map 0xffff_8000_0000_0000..$rsp 2m",
            "large pages in a range",
        ),
        ("map 3 lower", "all that process 3 has"),
        ("map leaves lower", "every page of the lower half"),
    ],
    rows: &[
        RunLine::ROW,
        LeafLine::ROW,
        HoleLine::ROW,
        Row {
            name: "summary",
            about: "what it comes to",
            fields: &[
                number("runs", "how many there are").or_null(),
                number("pages_4k", "how many pages there are of 4K"),
                number("pages_2m", "of 2M"),
                number("pages_1g", "of 1G"),
                number("holes", "what could not be followed"),
                number("unnamed_regions", "regions that are not told apart here").or_null(),
            ],
        },
    ],
    args: &[ArgKind::Root(WORDS), ArgKind::Words(WORDS)],
    run,
};

#[derive(Default)]
struct Wish {
    space: Option<Space>,
    filter: Filter,
    leaves: bool,
    merge: Merge,
}

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let wish = read(context, args)?;
    let space = match wish.space {
        Some(space) => space,
        None => Space::live(context.cr3()?),
    };
    match wish.leaves {
        true => leaves(context, &space, wish.filter),
        false => runs(context, &space, &wish),
    }
}

fn read(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<Wish, Error> {
    let mut wish = Wish::default();
    let (mut write, mut execute, mut user) = (Once::default(), Once::default(), Once::default());
    let (mut size, mut named) = (Once::default(), Once::default());
    while let Some(word) = args.operand() {
        let text = word.text()?;
        let range = &mut wish.filter.range;
        match text {
            "w" | "_w" => write.set(text, text == "w")?,
            "x" | "_x" => execute.set(text, text == "x")?,
            "u" | "_u" => user.set(text, text == "u")?,
            "4k" => size.set(text, PageSize::Size4K)?,
            "2m" => size.set(text, PageSize::Size2M)?,
            "1g" => size.set(text, PageSize::Size1G)?,
            "lower" => within(range, Range::LOWER)?,
            "upper" => within(range, Range::UPPER)?,
            "leaves" => wish.leaves = true,
            "phys" => wish.merge = Merge::Physical,
            _ => match text.split_once("..") {
                Some((first, last)) => {
                    let first = context.evaluate(first)?;
                    let last = context.evaluate(last)?;
                    if last < first {
                        return Err(Error::BackwardRange);
                    }
                    within(range, Range::new(VirtAddr(first), VirtAddr(last)))?;
                }
                None => match root(text, context) {
                    Ok(space) => named.set(text, space)?,
                    Err(Error::Unknown(word, _)) => {
                        let expected = match named.is_set() {
                            true => "a filter; `map --help` lists them",
                            false => "a root or a filter; `map --help` lists them",
                        };
                        return Err(Error::Unknown(word, expected));
                    }
                    Err(error) => return Err(error),
                },
            },
        }
    }
    wish.space = named.get();
    wish.filter.write = write.get();
    wish.filter.execute = execute.get();
    wish.filter.user = user.get();
    wish.filter.size = size.get();
    Ok(wish)
}

/// Narrows a range down to what it has in common with another, if that is anything.
fn within(range: &mut Range, other: Range) -> Result<(), Error> {
    range.first = range.first.max(other.first);
    range.last = range.last.min(other.last);
    match range.first <= range.last {
        true => Ok(()),
        false => Err(Error::Said("no address is in all of these ranges")),
    }
}

fn runs(context: &mut Context<'_>, space: &Space, wish: &Wish) -> Result<(), Error> {
    let Context { target, out, .. } = context;
    let paging = target.paging();
    let known = target.regions();
    let unnamed = known.len().saturating_sub(REGIONS);
    let regions: Vec<Region, REGIONS> = known.iter().take(REGIONS).copied().collect();
    let region = |va| {
        let index = regions.iter().position(|region| region.contains(va))?;
        u16::try_from(index).ok()
    };
    let mut view = View::new(*target, space);
    let mut rows = machine::runs(
        &mut view,
        paging,
        space.root,
        wish.filter,
        wish.merge,
        &region,
    );
    let (mut count, mut holes, mut pages) = (0_u64, 0_u64, Pages::default());
    while let Some(row) = patience::next(out, || rows.advance())? {
        match row {
            machine::Row::Hole(hole) => {
                holes = holes.saturating_add(1);
                HoleLine(&hole).show(out)?;
            }
            machine::Row::Run(run) => {
                count = count.saturating_add(1);
                pages = pages.and(Pages::of(&run));
                let region = run.region.and_then(|index| regions.get(usize::from(index)));
                let line = RunLine {
                    run: &run,
                    region: region.map(|region| region.name),
                    physical: wish.merge == Merge::Physical,
                };
                line.show(out)?;
            }
        }
    }
    if out.is_json() {
        let summary = Summary {
            runs: Some(count),
            pages,
            holes,
            unnamed: Some(unnamed),
        };
        return summary.write(out);
    }
    if unnamed > 0 {
        writeln!(out, "{} not named here", Count(unnamed as u64, "region"))?;
    }
    write!(out, "{}, pages {pages}", Count(count, "run"))?;
    holes_line(out, holes)
}

fn leaves(context: &mut Context<'_>, space: &Space, filter: Filter) -> Result<(), Error> {
    let Context { target, out, .. } = context;
    let paging = target.paging();
    let mut view = View::new(*target, space);
    let mut rows = machine::leaves(&mut view, paging, space.root, filter.range);
    let (mut holes, mut pages) = (0_u64, Pages::default());
    loop {
        match rows.advance() {
            Progress::Done => break,
            Progress::Row(Item::Leaf(leaf)) if filter.admits(&leaf) => {
                let one = |size| u64::from(leaf.size == size);
                pages = pages.and(Pages {
                    of_4k: one(PageSize::Size4K),
                    of_2m: one(PageSize::Size2M),
                    of_1g: one(PageSize::Size1G),
                });
                LeafLine(&leaf).show(out)?;
            }
            Progress::Row(Item::Hole(hole)) => {
                holes = holes.saturating_add(1);
                HoleLine(&hole).show(out)?;
            }
            Progress::Working | Progress::Row(_) => {
                if out.interrupted() {
                    return Err(Error::Interrupted);
                }
            }
        }
    }
    if out.is_json() {
        let summary = Summary {
            runs: None,
            pages,
            holes,
            unnamed: None,
        };
        return summary.write(out);
    }
    write!(out, "pages {pages}")?;
    holes_line(out, holes)
}

/// The last record.
struct Summary {
    runs: Option<u64>,
    pages: Pages,
    holes: u64,
    unnamed: Option<usize>,
}

impl Summary {
    fn write(self, out: &mut Output<'_>) -> Result<(), Error> {
        let record = out.record("summary").number("runs", self.runs);
        let record = self.pages.fields(record).number("holes", self.holes);
        Ok(record.number("unnamed_regions", self.unnamed).end()?)
    }
}

fn holes_line(out: &mut dyn Write, holes: u64) -> Result<(), Error> {
    match holes {
        0 => writeln!(out)?,
        _ => writeln!(out, "; {} could not be followed", Count(holes, "row"))?,
    }
    Ok(())
}
