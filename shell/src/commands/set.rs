//! `set`: another value in a register of the stopped thread, or in memory.

use core::fmt::Write;

use machine::{VirtAddr, read_virt};

use crate::Error;
use crate::command::{Args, Command, Context, Group};
use crate::error::excerpt;
use crate::grammar::word::Word;

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
    rows: &[],
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
        writeln!(
            context.out,
            "{name} {} -> {}",
            VirtAddr(old),
            VirtAddr(value)
        )?;
        return Ok(());
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
    let digits = length * 2;
    let old = u64::from_le_bytes(old);
    writeln!(context.out, "{at} {old:0digits$x} -> {value:0digits$x}")?;
    Ok(())
}
