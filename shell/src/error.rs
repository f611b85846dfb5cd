//! What can go wrong, in the words a person reads.
//!
//! One line each, lower case, no full stop. The command's name is put in front once, by
//! whoever ran it.

use core::fmt;

use heapless::String;
use machine::{End, Level, PhysAddr, Raised, ReadError, VirtAddr, VirtError};

use crate::commands;
use crate::commands::Whose;
use crate::foretold::Foretold;
use crate::grammar::expression::Comparison;
use crate::pipe;
use crate::process::{Named, Number as Processes};
use crate::render::{Count, Size};
use crate::way::Failing;
use crate::{
    AttemptError, DebugError, EditError, Exit, NoSymbols, Pid, PowerError, ProcessError, Rsp0,
    SnapshotError, StackError, UndoError,
};

/// A piece of what was typed, short enough to be quoted in a message.
pub(crate) type Excerpt = String<40>;

/// As much of `text` as fits, with `...` if that is not all.
pub(crate) fn excerpt(text: &str) -> Excerpt {
    let mut excerpt = Excerpt::new();
    if excerpt.push_str(text).is_ok() {
        return excerpt;
    }
    let room = excerpt.capacity() - "...".len();
    for c in text.chars() {
        if excerpt.len() + c.len_utf8() > room {
            break;
        }
        let _ = excerpt.push(c);
    }
    let _ = excerpt.push_str("...");
    excerpt
}

/// Why a command did not do what was asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Error {
    /// A quote that is never closed.
    OpenQuote(char),
    /// Quotes inside a word that has to be understood.
    PartlyQuoted,
    /// A line longer than this many bytes.
    LineTooLong(usize),
    /// No command has this name; one that is spelled nearly so.
    UnknownCommand(Excerpt, Option<&'static str>),
    /// Several commands begin like this.
    AmbiguousCommand(Excerpt),
    /// This command is run only by its whole name.
    WriteOut(&'static str),
    /// Something that must be given was not.
    Missing(&'static str),
    /// An argument too many.
    Unexpected(Excerpt),
    /// A word that means nothing in its place, and what would.
    Unknown(Excerpt, &'static str),
    /// Text that is no expression.
    Unreadable(Excerpt),
    /// A word where a number should be.
    NotANumber(Excerpt),
    /// Hex digits without `0x`.
    HexWithoutPrefix(Excerpt),
    /// `$name` that nothing has.
    NoRegister(Excerpt),
    /// A parenthesis that is never closed.
    OpenParenthesis,
    /// Too many parentheses or repetitions inside each other.
    TooDeep,
    /// A number of more than 64 bits.
    TooLarge,
    /// A negative number.
    BelowZero,
    /// Division by zero.
    DivisionByZero,
    /// A shift by so many bits.
    ShiftCount(i128),
    /// A word that asks for something else than one before it did.
    Contradicts(Excerpt, Excerpt),
    /// A word that was there before.
    Twice(Excerpt),
    /// A number that no top-level table can be at; what such a table is called.
    NotARoot(PhysAddr, Level),
    /// No snapshot has this name.
    NoSnapshot(Excerpt),
    /// Two ends of a range in the wrong order.
    BackwardRange,
    /// The target has none of these.
    Lacks(&'static str),
    /// Physical memory could not be read.
    Read(ReadError),
    /// Virtual memory could not be read.
    Virt(VirtError),
    /// A condition that is false, and the comparison that made it so.
    False(Excerpt, Option<Comparison>),
    /// `repeat` stopped at this round of so many.
    Round(u64, u64),
    /// Ctrl-C, in this round.
    InterruptedRound(u64),
    /// A command inside this one failed, and has said why.
    Reported,
    /// No process has this pid.
    NoProcess(u64),
    /// No fault has this number; those from the second to the third are there.
    NoFault(u64, u64, u64),
    /// A process that is dead, where one that is alive is needed.
    DeadProcess(Named, Exit),
    /// A process that somebody else has taken off the books.
    Gone(Pid),
    /// A process that was waited for, and ended in another way than with code 0.
    Ended(Named, Exit),
    /// Something that could not be done with a process.
    Process(ProcessError),
    /// It failed for so many of so many processes.
    Each(u64, u64),
    /// What would come of it, where that is an exception.
    Foretold(Foretold),
    /// It was not tried, because this would come of it.
    Refused(Foretold),
    /// It was not tried, because this is not as it must be.
    RefusedNeed(Failing),
    /// It was not tried, because RSP0 would be wrong.
    RefusedRsp0(Rsp0),
    /// So many of so many needs are not met.
    NotReady(u64, u64),
    /// It was not tried, because the first use of the stack would raise this.
    RefusedStack(Raised),
    /// It came otherwise than was foretold.
    NotAsForetold(Named, Exit),
    /// The source of this file is not there.
    NoSource(Excerpt),
    /// No line of a source belongs to this address.
    NoLine(VirtAddr),
    /// No more stacks.
    Stack(StackError),
    /// No snapshot, or no more of them.
    Snapshot(SnapshotError),
    /// No table of any space has an entry at this address.
    NoEntry(PhysAddr),
    /// A walk to this address does not come to a table of this level.
    NotMet(Level, VirtAddr, End),
    /// An edit after which this address, in this region of whose space, would be unusable.
    Deadly(Option<Pid>, VirtAddr, &'static str, &'static str),
    /// An entry that was not written.
    Edit(EditError),
    /// An edit that was not taken back.
    Undo(UndoError),
    /// So many pages of stacks are not as they should be.
    Pages(u64),
    /// So often the books and the page tables do not agree.
    Disagreements(u64),
    /// No access could be made for real.
    Attempt(AttemptError),
    /// So many of so many rows are not as foretold.
    Different(u64, u64),
    /// There are no names of this image.
    NoSymbols(&'static str, NoSymbols),
    /// Nothing has this name.
    NoSymbol(Excerpt),
    /// So many have this name, and one is needed.
    SeveralSymbols(Excerpt, u64),
    /// So many functions have this name, and all of them are inlined.
    OnlyInlined(Excerpt, u64),
    /// No function with this name is inlined anywhere.
    NotInlined(Excerpt),
    /// Nobody named what is at this address of this image.
    Unnamed(VirtAddr, Excerpt),
    /// No source file with this name is in this image.
    NoFile(Excerpt, Excerpt),
    /// Several source files have this name.
    SeveralFiles(Excerpt),
    /// A source line without code, and the next one that has some.
    NoCode(Excerpt, Option<u32>),
    /// `check` found so much wrong; with nothing, it could not look at everything.
    Findings(u64),
    /// The machine is still on.
    Power(PowerError),
    /// Anything that needs no values to be said.
    Said(&'static str),
    /// Who called a function cannot be found.
    NoCaller(unwinder::Stop),
    /// No filter has this name.
    UnknownFilter(Excerpt),
    /// A filter would have to keep more than so many bytes.
    NoRoom(u64),
    /// A line of more than so many bytes cannot be filtered.
    LongLine(usize),
    /// No line has so many columns.
    NoColumn(u64),
    /// No line is a record with this field.
    NoField(Excerpt),
    /// Everything was stopped before it was done.
    Stopped,
    /// Something that could not be done with a breakpoint or a stop.
    Debug(DebugError),
    /// Ctrl-C.
    Interrupted,
    /// The output ended: the reader left, or interrupted.
    Output,
}

impl From<DebugError> for Error {
    fn from(why: DebugError) -> Self {
        Error::Debug(why)
    }
}

impl From<fmt::Error> for Error {
    fn from(_: fmt::Error) -> Self {
        Error::Output
    }
}

impl From<ReadError> for Error {
    fn from(why: ReadError) -> Self {
        Error::Read(why)
    }
}

impl From<VirtError> for Error {
    fn from(why: VirtError) -> Self {
        Error::Virt(why)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::OpenQuote('{') => f.write_str("the brace { is never closed; nothing was run"),
            Error::OpenQuote(quote) => {
                write!(f, "the quote {quote} is never closed; nothing was run")
            }
            Error::PartlyQuoted => write!(f, "quote all of a word or none of it"),
            Error::LineTooLong(most) => {
                write!(f, "the line is longer than {most} bytes; nothing was run")
            }
            Error::UnknownCommand(word, None) => {
                write!(f, "no command is called `{word}`; `help` lists them")
            }
            Error::UnknownCommand(word, Some(near)) => {
                write!(f, "no command is called `{word}`; did you mean `{near}`?")
            }
            Error::AmbiguousCommand(word) => {
                write!(f, "`{word}` could be {}", Candidates(word))
            }
            Error::WriteOut(name) => write!(f, "`{name}` must be written out"),
            Error::Missing(what) => write!(f, "which {what}?"),
            Error::Unexpected(word) => write!(f, "`{word}` is one argument too many"),
            Error::Unknown(word, expected) => write!(f, "`{word}` is not {expected}"),
            Error::Unreadable(text) => write!(f, "cannot make sense of `{text}`"),
            Error::NotANumber(word) => write!(f, "`{word}` is not a number (0x12ab, 1234, $rip)"),
            Error::HexWithoutPrefix(word) => {
                write!(f, "`{word}` is not a number; hex is written 0x{word}")
            }
            Error::NoRegister(name) => write!(f, "no register is called `${name}`"),
            Error::OpenParenthesis => write!(f, "a parenthesis is never closed"),
            Error::TooDeep => write!(f, "too deeply nested"),
            Error::TooLarge => write!(f, "the number does not fit in 64 bits"),
            Error::BelowZero => write!(f, "the number is below zero"),
            Error::DivisionByZero => write!(f, "division by zero"),
            Error::ShiftCount(count) => {
                write!(f, "cannot shift by {count} bits; 0 to 63 can be")
            }
            Error::Contradicts(word, before) => write!(f, "`{word}` contradicts `{before}`"),
            Error::Twice(word) => write!(f, "`{word}` is given twice"),
            Error::NotARoot(at, level) => {
                write!(f, "{at} is not the physical address of a {level}")
            }
            Error::NoSnapshot(name) => {
                write!(f, "no snapshot is called `@{name}`; `snap` lists them")
            }
            Error::BackwardRange => write!(f, "the range ends before it begins"),
            Error::Lacks(what) => write!(f, "this target has no {what}"),
            Error::Read(why) => write!(f, "{why}"),
            Error::Virt(why) => write!(f, "{why}"),
            Error::False(text, None) => write!(f, "`{text}` is false"),
            Error::False(text, Some(values)) => write!(f, "`{text}` is false: {values}"),
            Error::Round(round, of) => write!(f, "stopped at round {round} of {of}"),
            Error::InterruptedRound(round) => write!(f, "interrupted in round {round}"),
            Error::Reported => write!(f, "a command in it failed"),
            Error::NoProcess(pid) => write!(f, "there is no such process: {pid}; `ps` lists them"),
            Error::NoFault(seq, oldest, newest) => {
                write!(f, "there is no fault {seq}; {oldest} to {newest} are there")
            }
            Error::DeadProcess(who, exit) => write!(f, "{who} is dead: it {exit}"),
            Error::Gone(pid) => write!(f, "process {pid} is gone: its parent has taken its exit"),
            Error::Ended(who, exit) => write!(f, "{who} {exit}"),
            Error::Process(why) => write!(f, "{why}"),
            Error::Each(failed, of) => write!(f, "failed in {failed} of {}", Processes(*of)),
            Error::Foretold(foretold) => write!(f, "{foretold}"),
            Error::Refused(foretold) => {
                write!(f, "refused: {foretold}; `--force` tries it")
            }
            Error::RefusedNeed(failing) => write!(f, "refused: {failing}; `--force` tries it"),
            Error::RefusedRsp0(Rsp0 { value, should_be }) => write!(
                f,
                "refused: RSP0 would be {value}, not {should_be}, where its kernel stack ends; `--force` tries it"
            ),
            Error::NotReady(1, of) => write!(f, "1 of {of} needs is not met"),
            Error::NotReady(count, of) => write!(f, "{count} of {of} needs are not met"),
            Error::RefusedStack(raised) => write!(
                f,
                "refused: {raised}, in ring 3 at the first use of its stack; `--force` tries it"
            ),
            Error::NotAsForetold(who, exit) => write!(f, "prediction failed: {who} {exit}"),
            Error::Stack(why) => write!(f, "{why}"),
            Error::Snapshot(why) => write!(f, "{why}"),
            Error::NoEntry(at) => write!(f, "no table in use has an entry at {at}"),
            Error::NotMet(level, va, end) => {
                write!(f, "{va} has no {level} entry: {end}")
            }
            Error::Deadly(pid, va, region, what) => write!(
                f,
                "the kernel would not survive it: {va} ({region}) in {} {what}; `--force` does it all the same",
                Whose(*pid)
            ),
            Error::Edit(why) => write!(f, "{why}"),
            Error::Undo(why) => write!(f, "{why}"),
            Error::Pages(1) => write!(f, "1 page is not as it should be"),
            Error::Pages(count) => write!(f, "{count} pages are not as they should be"),
            Error::Disagreements(1) => write!(f, "1 disagreement"),
            Error::Disagreements(count) => write!(f, "{count} disagreements"),
            Error::Attempt(why) => write!(f, "{why}"),
            Error::Different(count, of) => {
                write!(f, "the CPU does something else in {count} of {of} rows")
            }
            Error::NoSymbols(whose, why) => write!(f, "{whose} has no names: {why}"),
            Error::NoSource(path) => write!(f, "the source of `{path}` was not built in"),
            Error::NoLine(at) => write!(f, "no line of a source belongs to {at}"),
            Error::NoSymbol(name) => write!(f, "nothing is called `{name}`"),
            Error::SeveralSymbols(name, count) => {
                write!(
                    f,
                    "`{name}` could be {count} symbols; `sym {name}` lists them"
                )
            }
            Error::OnlyInlined(name, 1) => {
                write!(
                    f,
                    "`{name}` is only inlined; `sym {name} inlined` says where"
                )
            }
            Error::OnlyInlined(name, count) => write!(
                f,
                "{count} functions called `{name}` are only inlined; `sym {name} inlined` says where"
            ),
            Error::NotInlined(name) => write!(f, "nothing called `{name}` is inlined anywhere"),
            Error::Unnamed(address, image) => {
                write!(f, "{address} is nothing that has a name in {image}")
            }
            Error::NoFile(file, image) => write!(f, "no code of {image} is from `{file}`"),
            Error::SeveralFiles(file) => {
                write!(f, "`{file}` could be each of these; give more of the path")
            }
            Error::NoCode(line, None) => write!(f, "no code is from {line} or after it"),
            Error::NoCode(line, Some(next)) => {
                write!(
                    f,
                    "no code is from {line}; line {next} is the next that has some"
                )
            }
            Error::Findings(0) => write!(f, "not everything could be looked at"),
            Error::Findings(count) => write!(f, "{}", Count(*count, "finding")),
            Error::Power(why) => write!(f, "{why}"),
            Error::UnknownFilter(word) => {
                write!(f, "no filter is called `{word}`; those are {}", pipe::Names)
            }
            Error::NoRoom(bytes) => {
                let most = Size(*bytes);
                write!(
                    f,
                    "the lines to keep are longer than {most}; nothing is shown"
                )
            }
            Error::LongLine(most) => {
                write!(f, "a line is longer than {most} bytes; it ends here")
            }
            Error::NoColumn(column) => {
                write!(f, "no line has a column {column}; they count from 1")
            }
            Error::NoField(name) => {
                write!(
                    f,
                    "no line has a field `{name}`; text has columns, 1, 2, ..."
                )
            }
            Error::Stopped => write!(f, "stopped before it was done"),
            Error::Debug(why) => write!(f, "{why}"),
            Error::Said(text) => f.write_str(text),
            Error::NoCaller(why) => write!(f, "the function's caller is not found: {why}"),
            Error::Interrupted | Error::Output => write!(f, "interrupted"),
        }
    }
}

/// The commands that begin like this: `` `a` or `b` ``, `` `a`, `b` or `c` ``, and of more the
/// first three.
struct Candidates<'a>(&'a str);

impl fmt::Display for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = commands::beginning_with(self.0).count();
        for (index, command) in commands::beginning_with(self.0).take(3).enumerate() {
            let gap = match index {
                0 => "",
                _ if index + 1 == count => " or ",
                _ => ", ",
            };
            write!(f, "{gap}`{}`", command.name)?;
        }
        f.write_str(if count > 3 { ", ..." } else { "" })
    }
}
