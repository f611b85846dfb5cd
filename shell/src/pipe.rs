//! Pipes: what filters there are, and a command's output through some of them.
//!
//! `time map | head 3` is `time` and all it shows, through `head`; quotes keep a pipe inside:
//! `repeat 3 'map | head 1'`.

use core::fmt;

use crate::Error;
use crate::command::{ArgKind, Args, Context, Synopsis};
use crate::error::excerpt;
use crate::grammar::pipe::split;
use crate::grammar::word::Word;
use crate::output::{By, Filter};
use crate::run::show;

/// What `help` and Tab know about a filter.
pub(crate) struct FilterHelp {
    pub(crate) name: &'static str,
    pub(crate) usage: &'static str,
    /// One line, without a full stop.
    pub(crate) summary: &'static str,
    /// What Tab offers at its arguments.
    pub(crate) args: ArgKind,
}

impl FilterHelp {
    /// The name and the arguments, as they are typed.
    pub(crate) fn synopsis(&self) -> Synopsis {
        Synopsis {
            name: self.name,
            usage: self.usage,
        }
    }
}

pub(crate) const FILTERS: [FilterHelp; 6] = [
    FilterHelp {
        name: "grep",
        usage: "[-v] [-i] <text>",
        summary: "lines that contain a text; with -v those that do not; -i: in any case",
        args: ArgKind::Words(&["-i", "-v"]),
    },
    FilterHelp {
        name: "head",
        usage: "[count]",
        summary: "the first lines, 10 if no count is given; then the command is ended",
        args: ArgKind::Any,
    },
    FilterHelp {
        name: "tail",
        usage: "[count]",
        summary: "the last lines, 10 if no count is given",
        args: ArgKind::Any,
    },
    FilterHelp {
        name: "skip",
        usage: "<count>",
        summary: "all but the first lines",
        args: ArgKind::Any,
    },
    FilterHelp {
        name: "sort",
        usage: "<column> [reverse]",
        summary: "in order of a column (1, 2, ...) or, with --json, of a field",
        args: ArgKind::Words(&["reverse"]),
    },
    FilterHelp {
        name: "count",
        usage: "",
        summary: "how many lines there are; `$_` becomes that",
        args: ArgKind::Any,
    },
];

/// What `help pipes` says before it lists them.
pub(crate) const HELP: &str = "A command's output goes through filters that stand behind a `|`: `map cr3 | grep stack | head 3`. They see whole lines, of records as well (`map --json | sort bytes`), and the last line of an answer like any other; errors go past them. The status is the command's; a filter that cannot do what it is for fails. `head` ends the command when it has its lines, which is no failure: what the command would have done after them is not done, and `spawn` kills its program. `sort` puts numbers (hex and sizes such as 64K too) by their value before words, lines without the column last, and keeps equal ones in their order. What `sort` and `tail` must keep has a limit; beyond it they show nothing and say so.\nThe filters belong to the whole command: in `time map | head 3` the last line of `time` is filtered, too; quotes keep them inside, as in `repeat 3 'map | head 1'`. `|` is also an operator; it begins a filter where a letter follows.";

/// Lines to type, and why one would.
pub(crate) const EXAMPLES: [(&str, &str); 5] = [
    ("map | grep stack | head 3", "the first stacks in the map"),
    ("map | grep -v physmap | count", "how much else is there?"),
    ("ps | skip 1 | sort 4 reverse", "who has the most frames?"),
    (
        "map --json | sort bytes reverse | head 1",
        "the longest run",
    ),
    ("events | tail 20", "the last of it"),
];

/// The names of the filters, as a list in words.
pub(crate) struct Names;

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, filter) in FILTERS.iter().enumerate() {
            let gap = match index {
                0 => "",
                _ if index + 1 == FILTERS.len() => " and ",
                _ => ", ",
            };
            write!(f, "{gap}{}", filter.name)?;
        }
        Ok(())
    }
}

/// The filters of one command, while it runs.
pub(crate) struct Open {
    /// How many there were before them.
    before: usize,
    /// Their names in the order in which a line meets them.
    names: heapless::Vec<&'static str, MOST>,
}

/// As many as one command may have.
const MOST: usize = 8;

/// Puts the filters of a text between a command and its reader.
pub(crate) fn open(context: &mut Context<'_>, text: &str, json: bool) -> Result<Open, Error> {
    let mut filters = heapless::Vec::<(&'static str, Filter<'_>), MOST>::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        let (filter, next) = split(text);
        rest = next;
        let found = read(context, filter, json)?;
        let fits = filters.push(found);
        fits.map_err(|_| Error::Said("a command takes at most 8 filters"))?;
    }
    let open = Open {
        before: context.out.filters(),
        names: filters.iter().map(|(name, _)| *name).collect(),
    };
    // The last one comes first to its reader.
    for (name, filter) in filters.iter().rev() {
        if let Err(error) = context.out.push_filter(*filter) {
            open.discard(context);
            context.blamed = Some(name);
            return Err(error);
        }
    }
    Ok(open)
}

impl Open {
    /// Lets all that is kept go on its way, the command being done with this result; what
    /// comes of it all.
    pub(crate) fn close(
        self,
        context: &mut Context<'_>,
        result: Result<(), Error>,
    ) -> Result<(), Error> {
        let has_enough = context.out.has_enough();
        let mut complaint = None;
        for name in &self.names {
            match context.out.end_filter() {
                Ok(Some(count)) => context.state.value = count,
                Ok(None) => {}
                Err(error) => {
                    complaint = Some((*name, error));
                    break;
                }
            }
        }
        self.discard(context);
        let out = &context.out;
        // Ended by one of these filters, and by nobody else.
        let is_end = has_enough && !out.has_enough() && out.ended().is_none();
        let result = match result {
            Err(Error::Output) if is_end => Ok(()),
            result => result,
        };
        let Some((name, error)) = complaint else {
            return result;
        };
        let command = context.blamed.replace(name);
        if result.is_ok() {
            return Err(error);
        }
        // Both have something to say, and the command the last word.
        show(context, &error);
        context.blamed = command;
        result
    }

    fn discard(&self, context: &mut Context<'_>) {
        while context.out.filters() > self.before {
            context.out.discard_filter();
        }
    }
}

/// One filter with its arguments.
fn read<'l>(
    context: &mut Context<'_>,
    text: &'l str,
    json: bool,
) -> Result<(&'static str, Filter<'l>), Error> {
    context.blamed = None;
    let (word, rest) = Word::first(text).ok_or(Error::Missing("filter after |"))?;
    let known = FILTERS.iter().find(|filter| filter.name == word.0);
    let name = known.ok_or(Error::UnknownFilter(excerpt(word.0)))?.name;
    context.blamed = Some(name);
    let filter = arguments(context, name, &mut Args::new(rest, None), json)?;
    Ok((name, filter))
}

fn arguments<'l>(
    context: &mut Context<'_>,
    name: &str,
    args: &mut Args<'l>,
    json: bool,
) -> Result<Filter<'l>, Error> {
    const LINES: u64 = 10;
    let filter = match name {
        "grep" => grep(args)?,
        "sort" => sort(context, args)?,
        "count" => Filter::Count { json },
        "skip" => Filter::Skip(args.number(context, "count")?),
        _ => {
            let count = match args.peek() {
                Some(_) => args.number(context, "count")?,
                None => LINES,
            };
            match name {
                "head" => Filter::Head(count),
                _ => Filter::Tail(count),
            }
        }
    };
    args.done()?;
    Ok(filter)
}

fn grep<'l>(args: &mut Args<'l>) -> Result<Filter<'l>, Error> {
    let (mut inverted, mut any_case) = (false, false);
    loop {
        let word = args.word().ok_or(Error::Missing("text"))?;
        match word.0 {
            "-v" => inverted = true,
            "-i" => any_case = true,
            "-vi" | "-iv" => (inverted, any_case) = (true, true),
            _ => {
                return Ok(Filter::Grep {
                    text: word.text()?,
                    inverted,
                    any_case,
                });
            }
        }
    }
}

fn sort<'l>(context: &mut Context<'_>, args: &mut Args<'l>) -> Result<Filter<'l>, Error> {
    let text = args.word().ok_or(Error::Missing("column"))?.text()?;
    let by = match text.starts_with(|c: char| c.is_ascii_lowercase()) {
        true => By::Field(text),
        false => By::Column(context.evaluate(text)?),
    };
    let reverse = match args.word() {
        None => false,
        Some(Word("reverse")) => true,
        Some(word) => return Err(Error::Unknown(excerpt(word.0), "`reverse`")),
    };
    Ok(Filter::Sort { by, reverse })
}
