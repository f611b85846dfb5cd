//! The reference manual, from the same table that `help` shows.

use core::fmt::{self, Write};

use crate::command::{Command, Group};
use crate::commands::COMMANDS;
use crate::pipe;

/// Writes `docs/commands.md`: Markdown, with every command by group.
///
/// # Errors
///
/// Only those of `out`.
pub fn commands(out: &mut dyn Write) -> fmt::Result {
    writeln!(out, "# Commands")?;
    writeln!(out)?;
    writeln!(
        out,
        "Generated from the command table by `cargo xtask docs`; `help` shows the same text."
    )?;
    writeln!(out, "{INTRODUCTION}")?;
    pipes(out)?;
    for group in Group::ALL {
        writeln!(out, "\n## {}\n", group.title())?;
        writeln!(out, "| command | what it does |")?;
        writeln!(out, "|---|---|")?;
        for command in in_group(group) {
            let Command { name, summary, .. } = command;
            writeln!(out, "| [`{name}`](#{name}) | {summary} |")?;
        }
        for command in in_group(group) {
            describe(command, out)?;
        }
    }
    Ok(())
}

const INTRODUCTION: &str = "
A line holds commands separated by `;`. One that fails does not keep the next from running;
Ctrl-C ends them all. `#` begins a comment. Quotes, double or single, keep blanks, `;` and `#`
in a word, and so do parentheses keep blanks. A line of more than 1024 bytes, or with a quote
that is never closed, is refused whole. A command's name may be shortened as long as only one
begins so; those that end the session must be written out.

Numbers are hex with `0x` and decimal without; `_` may stand anywhere in them, so every address
the shell prints can be typed back in. Registers (`$rip`), bits of them (`$cr4.smap`), the last
value (`$_`), the last status (`$?`) and operators work wherever a number does; see
[`eval`](#eval). A *root* is `cr3`, `master`, a pid, a snapshot (`@name`), or the physical address of a PML4. A number in
its place is a pid if it is written in decimal or below 4096; 0 is the kernel.

| key | what it does to the line |
|---|---|
| Left, Right, Ctrl-B, Ctrl-F | a character back, forward |
| Ctrl-Left, Ctrl-Right, Alt-B, Alt-F | a word back, forward |
| Home, End, Ctrl-A, Ctrl-E | to the start, to the end; under `cargo xtask run` Ctrl-A is QEMU's escape: use Home there, or Ctrl-A twice |
| Backspace, Delete, Ctrl-D | delete a character |
| Ctrl-W, Alt-D, Ctrl-U, Ctrl-K | delete the word before, the word after, all before, all after |
| Ctrl-T | swap two characters |
| Up, Down, Ctrl-P, Ctrl-N | older and newer lines |
| Ctrl-R | the last line that contains what is typed; again: the one before |
| Tab | complete; again: list what is possible; with nothing to complete: show the usage |
| Ctrl-L | clear the screen and keep the line |
| Ctrl-C | abandon the line, or end what is running |

With `--json` as its first or its last argument, a command writes JSON Lines instead: one object
for each row, whose first field `row` says which kind of row it is. The objects are flat, and
always have all the fields that the tables below name, in this order. *hex* is a string: `0x` and
hex digits without leading zeros, for addresses, raw entries and registers. *number* is a JSON
number, *text* a string, *flag* `true` or `false`; what does not apply is `null` where the table says
so. What a command runs (`time`, `repeat`, `in`, `each`) writes its own objects in between. A command
that prints nothing writes nothing; the filter `count` writes a row `count` with the number `lines`. Errors are the same as ever. In quotes it is a word like any
other: `echo '--json'`.

Output longer than the screen waits after each page: space for the next page, Enter for the next
line, `a` for all of it, `q` to leave the rest.";

/// What may stand behind a `|`.
fn pipes(out: &mut dyn Write) -> fmt::Result {
    writeln!(out, "\n## Pipes\n")?;
    for paragraph in pipe::HELP.lines() {
        writeln!(out, "{paragraph}\n")?;
    }
    writeln!(out, "| filter | what it leaves |")?;
    writeln!(out, "|---|---|")?;
    for filter in &pipe::FILTERS {
        writeln!(out, "| `{}` | {} |", filter.synopsis(), filter.summary)?;
    }
    writeln!(out, "\n```")?;
    for (line, why) in pipe::EXAMPLES {
        writeln!(out, "{line:<40} # {why}")?;
    }
    writeln!(out, "```")
}

fn in_group(group: Group) -> impl Iterator<Item = &'static &'static Command> {
    COMMANDS
        .iter()
        .filter(move |command| command.group == group)
}

fn describe(command: &Command, out: &mut dyn Write) -> fmt::Result {
    writeln!(out, "\n### {}\n", command.name)?;
    writeln!(out, "    {}\n", command.synopsis())?;
    for paragraph in command.help.lines() {
        writeln!(out, "{paragraph}\n")?;
    }
    writeln!(out, "```")?;
    for (line, why) in command.examples {
        writeln!(out, "{line:<40} # {why}")?;
    }
    writeln!(out, "```")?;
    rows(command, out)
}

/// What a command writes with `--json`.
fn rows(command: &Command, out: &mut dyn Write) -> fmt::Result {
    if command.rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| `--json` row | field | kind | what it says |")?;
    writeln!(out, "|---|---|---|---|")?;
    for row in command.rows {
        writeln!(out, "| `{}` | | | {} |", row.name, row.about)?;
        for field in row.fields {
            let gap = if field.nullable { ", null" } else { "" };
            let (name, kind) = (field.name, field.kind.name());
            writeln!(out, "| | `{name}` | {kind}{gap} | {} |", field.about)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_the_manual_with_an_example_and_no_odd_blanks() {
        let mut text = String::new();
        commands(&mut text).expect("a string takes everything");
        for command in COMMANDS {
            assert!(
                text.contains(&format!("\n### {}\n", command.name)),
                "{}",
                command.name
            );
            assert!(!command.examples.is_empty(), "{}", command.name);
            assert!(command.summary.len() < 66, "{}", command.name);
        }
        assert!(!text.lines().any(|line| line.ends_with(' ')));
    }
}
