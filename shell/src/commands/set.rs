//! `set`: another value in a register of the stopped thread, or in memory.

use core::fmt::{self, Write};

use machine::{VirtAddr, read_virt};

use crate::Error;
use crate::command::{Args, Command, Context, Group};
use crate::error::excerpt;
use crate::grammar::word::Word;
use crate::output::Output;
use crate::record::{Row, hex, number, text};

pub(super) const COMMAND: Command = Command {
    name: "set",
    group: Group::Stops,
    usage: "<register> <value> | *<address>[/1|2|4|8] <value>",
    summary: "change a register of the stopped thread, or memory",
    help: "Changes a general register, RIP, RFLAGS, CS, SS or CR2 of the thread that is stopped, or 8 bytes of memory, or 1, 2 or 4 with that after a slash, the lowest first. Memory is what the tables that CR3 names map there, whatever rights they give; a page that a process shares until it writes is refused. It says what was there. `set $rax = 5` is understood too.",
    examples: &[
        ("set rip $rip + 2", "skip an instruction of two bytes"),
        ("set *$rsp 0x40_1000", "another return address"),
        ("set *0x40_2000/1 0x90", "one byte"),
    ],
    args: &[],
    rows: &[Row {
        name: "change",
        about: "what is not as it was",
        fields: &[
            text("register", "its name, if it is one").or_null(),
            hex("at", "the address, if it is memory").or_null(),
            number("bytes", "how many"),
            hex("before", "what was there"),
            hex("after", "what is there now"),
        ],
    }],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let word = args.word().ok_or(Error::Missing("register or *address"))?;
    if args.peek() == Some(Word("=")) {
        let _ = args.word();
    }
    let text = word.text()?;
    let Some(place) = text.strip_prefix('*') else {
        let name = text.strip_prefix('$').unwrap_or(text);
        let value = args.number(context, "value")?;
        args.done()?;
        context.stop()?;
        let old = context.debugger()?.set_register(name, value)?;
        return Ok(show(
            &mut context.out,
            Place::Register(name),
            8,
            old,
            value,
        )?);
    };
    let (address, size) = match place.rsplit_once('/') {
        None => (place, 8),
        Some((address, "1" | "b")) => (address, 1),
        Some((address, "2" | "h")) => (address, 2),
        Some((address, "4" | "w")) => (address, 4),
        Some((address, "8" | "g")) => (address, 8),
        Some((_, other)) => return Err(Error::Unknown(excerpt(other), "1, 2, 4 or 8")),
    };
    let at = VirtAddr(context.evaluate(address)?);
    let value = args.number(context, "value")?;
    args.done()?;
    let fits = size == 8 || value >> (size * 8) == 0;
    if !fits {
        return Err(Error::Said("the value has more bytes than that"));
    }
    let root = context.cr3()?;
    let mut old = [0; 8];
    let length = usize::from(size as u8);
    let place = old.get_mut(..length).unwrap_or_default();
    let paging = context.target.paging();
    read_virt(context.target.memory(), &paging, root, at, place)?;
    let bytes = value.to_le_bytes();
    let new = bytes.get(..length).unwrap_or_default();
    context.debugger()?.write(root, at, new)?;
    let old = u64::from_le_bytes(old);
    Ok(show(
        &mut context.out,
        Place::Memory(at),
        length,
        old,
        value,
    )?)
}

/// What was changed.
#[derive(Clone, Copy)]
enum Place<'a> {
    Register(&'a str),
    Memory(VirtAddr),
}

fn show(out: &mut Output<'_>, place: Place<'_>, bytes: usize, old: u64, new: u64) -> fmt::Result {
    let (register, at) = match place {
        Place::Register(name) => (Some(name), None),
        Place::Memory(at) => (None, Some(at)),
    };
    if out.is_json() {
        return out
            .record("change")
            .maybe_text("register", register)
            .hex("at", at)
            .number("bytes", bytes)
            .hex("before", old)
            .hex("after", new)
            .end();
    }
    let digits = bytes.saturating_mul(2);
    match place {
        Place::Register(name) => writeln!(out, "{name} {} -> {}", VirtAddr(old), VirtAddr(new)),
        Place::Memory(at) => writeln!(out, "{at} {old:0digits$x} -> {new:0digits$x}"),
    }
}
