//! The command line.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use lexopt::prelude::{Long, Short, Value, ValueExt as _};

/// What to look at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// A dump in a file.
    Dump(PathBuf),
    /// Whoever answers at standard input.
    Conversation,
}

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Options {
    /// To say how it is used.
    Help,
    /// To run commands.
    Run { from: From, commands: Vec<String> },
    /// To say which kernel it is, and where.
    Where(From),
    /// To say what may stand where a line ends.
    Complete { from: From, line: String },
    /// To be the GDB stub of a dump.
    Stub(PathBuf),
}

pub(crate) const HELP: &str = "\
The kernel's own commands, on a dump of a guest's memory.

usage: cargo xtask rw --core FILE [-c COMMAND]...

  --core FILE      what QEMU's `dump-guest-memory FILE` wrote
  -c COMMAND       a command, such as `walk 0x401000 1`; without any, they are read from
                   standard input, a line each
  --stub           be a GDB stub on standard input and output:
                   gdb -ex 'target remote | cargo xtask rw --core FILE --stub'
  --where          only the kernel's build, and where its image begins
  --complete LINE  only the words that could stand where this line ends
  --conversation   what GDB's side of this program uses

Commands that only look work as in the kernel's shell: walk, map, diff, check, ps, stacks, frame,
frames, events, faults, x, sym, list, whatis, can, cr, regs, gdt, idt, tss. Two more: `iret [PID]` and
`switch PID` stand for `check iret` and `check switch`; without a PID, `iret` is about the frame
that is to be popped next.
";

pub(crate) fn parse(mut parser: lexopt::Parser) -> anyhow::Result<Options> {
    let mut from = None;
    let mut commands = Vec::new();
    let (mut is_stub, mut is_where, mut line) = (false, false, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("core") => from = Some(From::Dump(parser.value()?.into())),
            Long("conversation") => from = Some(From::Conversation),
            Long("stub") => is_stub = true,
            Long("where") => is_where = true,
            Long("complete") => line = Some(parser.value()?.string()?),
            Short('c') => commands.push(parser.value()?.string()?),
            Long("help") | Short('h') => return Ok(Options::Help),
            Value(value) => bail!(
                "what is {}? a command follows -c; --help says more",
                value.display()
            ),
            other => return Err(other.unexpected().into()),
        }
    }
    let from = from.context("which kernel? --core FILE names a dump of its memory")?;
    let others = usize::from(is_stub) + usize::from(is_where) + usize::from(line.is_some());
    if others + usize::from(!commands.is_empty()) > 1 {
        bail!("one of -c, --stub, --where and --complete at a time");
    }
    if let Some(line) = line {
        return Ok(Options::Complete { from, line });
    }
    match (is_stub, from) {
        (true, From::Dump(path)) => Ok(Options::Stub(path)),
        (true, From::Conversation) => bail!("--stub needs a dump (--core FILE)"),
        (false, from) if is_where => Ok(Options::Where(from)),
        (false, from) => Ok(Options::Run { from, commands }),
    }
}
