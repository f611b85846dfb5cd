//! Roots of page tables, in every spelling.

use machine::PhysAddr;

use crate::command::Context;
use crate::error::excerpt;
use crate::space::Space;
use crate::{Error, Pid, Snapshots, process};

/// A root as it is spelled everywhere: `cr3`, `master`, a number (the physical address of a
/// PML4), a pid, or `@name`, which is a snapshot.
pub(crate) fn root(text: &str, context: &mut Context<'_>) -> Result<Space, Error> {
    match text.strip_prefix('@') {
        Some(name) => snapshot(name, context),
        None => live(text, context).map(Space::live),
    }
}

fn live(text: &str, context: &mut Context<'_>) -> Result<PhysAddr, Error> {
    match text {
        "cr3" => context.cr3(),
        "master" => master(context),
        _ => match context.evaluate(text) {
            Ok(value) if is_pid(text, value, context) => of_process(value, context),
            Ok(at) => at_number(at, context),
            Err(Error::NotANumber(_)) => Err(Error::Unknown(
                excerpt(text),
                "a root; that is cr3, master, a pid, @name, or the physical address of a PML4",
            )),
            Err(error) => Err(error),
        },
    }
}

fn snapshot(name: &str, context: &mut Context<'_>) -> Result<Space, Error> {
    let (index, root) = find(snapshots(context)?, name)?;
    Ok(Space {
        root,
        snapshot: Some(index),
    })
}

/// The snapshots of a target that can have some.
pub(crate) fn snapshots<'c>(context: &'c mut Context<'_>) -> Result<&'c mut dyn Snapshots, Error> {
    context.target.snapshots().ok_or(Error::Lacks("snapshots"))
}

fn find(snapshots: &mut dyn Snapshots, name: &str) -> Result<(usize, PhysAddr), Error> {
    for index in 0.. {
        match snapshots.snapshot(index) {
            Some(info) if info.name == name => return Ok((index, info.root)),
            Some(_) => {}
            None => break,
        }
    }
    Err(Error::NoSnapshot(excerpt(name)))
}

/// Whether a number in a root's place is a pid. No table is below 4096, so what is smaller is
/// one, and so is what was written in decimal. A value that was computed is one if it cannot
/// be the address of a table, and a process has it.
fn is_pid(text: &str, value: u64, context: &mut Context<'_>) -> bool {
    if value < 0x1000 {
        return true;
    }
    let Some(processes) = context.target.processes() else {
        return false;
    };
    let is_decimal = text.chars().all(|c| c.is_ascii_digit() || c == '_');
    let is_computed = text.starts_with('$') || text.contains('(');
    let mut exists = || Pid::try_from(value).is_ok_and(|pid| processes.info(pid).is_some());
    is_decimal || (is_computed && !value.is_multiple_of(0x1000) && exists())
}

/// A number that may be typed as the address of a table, or pasted from CR3: its bits that are
/// no address may be those CR3 has. Any other would be rounded to a table nobody meant.
fn at_number(at: u64, context: &mut Context<'_>) -> Result<PhysAddr, Error> {
    /// CR4.PCIDE, and the bits of CR3 with it and without (PWT, PCD).
    const PCIDE: u64 = 1 << 17;
    const PCID: u64 = 0xfff;
    const CACHING: u64 = 0b11 << 3;
    let paging = context.target.paging();
    let has_pcid = match context.target.cpu() {
        Some(cpu) => cpu.registers().cr4 & PCIDE != 0,
        None => false,
    };
    let flags = if has_pcid { PCID } else { CACHING };
    let limit = 1_u64 << paging.phys_bits.clamp(12, 52);
    match at & 0xfff & !flags == 0 && at < limit {
        true => Ok(PhysAddr(at)),
        false => Err(Error::NotARoot(PhysAddr(at), paging.top())),
    }
}

fn master(context: &Context<'_>) -> Result<PhysAddr, Error> {
    context.target.master().ok_or(Error::Lacks("master table"))
}

fn of_process(pid: u64, context: &mut Context<'_>) -> Result<PhysAddr, Error> {
    process::processes(context.target)?;
    match pid {
        // The kernel itself.
        0 => master(context),
        _ => Ok(process::alive(context.target, process::pid(pid)?)?.root),
    }
}
