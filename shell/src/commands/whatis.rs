//! `whatis`: a number, and all that it could be.
//!
//! Come here with a value out of a register or a report. An address in the kernel's half can only
//! be virtual; a small number may be virtual, physical and a pid at once, and is said to be each.

use core::fmt::{self, Write};

use machine::{End, PhysAddr, VirtAddr, VirtError, walk};

use super::frame::{Role, place, role};
use super::roots::{Roots, Tree};
use crate::abilities::Place;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::names::image_at;
use crate::output::Output;
use crate::process;
use crate::record::{Row, flag, hex, number, text};
use crate::render::{Count, Layout};
use crate::space::Space;
use crate::{Error, Pid, ProcessInfo};

pub(super) const COMMAND: Command = Command {
    name: "whatis",
    group: Group::Memory,
    usage: "<number|name> [root]",
    summary: "show what an address or a number could be",
    help: "Says what a number is, each way it can be taken on a line of its own. As a virtual address: which stack and whose, or the guard page of which, which region of the kernel's half, or a page of a process; then where it leads in the tables at the root (CR3, if none is given) with its effective rights, or why nowhere, and who else maps it. Then the function or variable that is there, with the line it comes from, if there are symbols: in the lower half those of the process in focus, or of the first that maps it. As a physical address, if it is not too large: what the frame is, and whose. As a pid, if a process has it.\nThe number is an expression, so `$rsp` will do; what begins with a letter is the name of a function or variable. A root is `cr3`, `master`, a pid, a snapshot (`@name`), or the physical address of a PML4. `$_` becomes the physical address that a mapped virtual one leads to, else the number.",
    examples: &[
        ("whatis $rsp", "whose stack is this?"),
        ("whatis 0xffff_c900_0001_1000", "an address from a report"),
        ("in 3 whatis $rip", "in the process"),
        ("whatis 3", "a process, or an address?"),
    ],
    rows: &[
        Row {
            name: "virtual",
            about: "the number as a virtual address",
            fields: &[
                hex("va", "the address"),
                text("place", "what is there by the layout, in words").or_null(),
                text("region", "the name of the region").or_null(),
                hex("offset", "how far into the region it is").or_null(),
                flag("mapped", "whether it is mapped; null if that is unknown").or_null(),
                hex("at", "where it is physically").or_null(),
                number("page_bytes", "the size of its page").or_null(),
                text("rights", "the effective rights").or_null(),
                text("role", "what the frame is, in words").or_null(),
                text("why_not", "why it is not mapped, in words").or_null(),
                number("processes", "how many processes map it"),
            ],
        },
        Row {
            name: "symbol",
            about: "the function or variable at the virtual address",
            fields: &[
                text("name", "its name, and how far into it"),
                text("image", "kernel, or the program"),
                text("at", "where in the source, innermost first").or_null(),
            ],
        },
        Row {
            name: "physical",
            about: "the number as a physical address",
            fields: &[
                hex("at", "the address"),
                text("role", "what the frame is, in words"),
            ],
        },
        Row {
            name: "process",
            about: "the number as a pid",
            fields: &[
                number("pid", "the number"),
                text("name", "the name of its program"),
                text("state", "as `ps` has it"),
            ],
        },
    ],
    args: &[ArgKind::Any, ArgKind::Root(&[])],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let value = value(context, args)?;
    let space = args.root(context)?;
    args.done()?;
    context.state.value = value;
    as_virtual(context, VirtAddr(value), &space)?;
    if value >> context.target.paging().phys_bits.clamp(12, 52) == 0 {
        as_physical(context, PhysAddr(value))?;
    }
    as_pid(context, value)
}

/// The number, or the address that a name has.
fn value(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<u64, Error> {
    let word = args.operand().ok_or(Error::Missing("number"))?.text()?;
    match word.starts_with(|c: char| c.is_alphabetic() || c == '_') && !word.starts_with("sym:") {
        true => context.address_of(word),
        false => context.evaluate(word),
    }
}

/// All about a virtual address.
struct Virtual {
    va: VirtAddr,
    end: End,
    /// What the layout has there; nothing of a process's half.
    place: Option<Place>,
    /// The region and the offset into it.
    region: Option<(&'static str, u64)>,
    /// What the frame is, where the place does not say it.
    role: Option<Role>,
    /// Of those that map it: the first process, and how many there are.
    processes: Option<(Tree, u64)>,
}

fn as_virtual(context: &mut Context<'_>, va: VirtAddr, space: &Space) -> Result<(), Error> {
    let paging = context.target.paging();
    let end = walk(&mut context.view(space), &paging, space.root, va).end();
    let is_upper = va.0 >> 63 != 0 && paging.is_canonical(va);
    let place = match is_upper {
        true => place(context, va),
        false => None,
    };
    let region = context.region(va);
    let is_said = matches!(place, Some(Place::Stack(_) | Place::Memory(_)));
    let mut frame = None;
    if let End::Mapped { at, .. } = end {
        context.state.value = at.0;
        if !is_said {
            frame = Some(role(context, at)?);
        }
    }
    let found = Virtual {
        va,
        end,
        place,
        region: region.map(|region| (region.name, va.0.wrapping_sub(region.first.0))),
        role: frame,
        processes: match is_upper {
            true => None,
            false => processes(context, va),
        },
    };
    match context.out.is_json() {
        true => record(&mut context.out, &found)?,
        false => writeln!(context.out, "virtual  {found}")?,
    }
    let pid = match (whose(context, space), found.processes) {
        (Some(pid), _) | (None, Some((Tree::Process(pid), _))) => Some(pid),
        _ => context.focus,
    };
    as_symbol(context, va, pid)
}

/// The process whose tables these are.
fn whose(context: &mut Context<'_>, space: &Space) -> Option<Pid> {
    let paging = context.target.paging();
    let mut roots = Roots::new(context.target);
    while let Some((tree, root)) = roots.next(context.target) {
        if let Tree::Process(pid) = tree
            && paging.root(root) == paging.root(space.root)
        {
            return Some(pid);
        }
    }
    None
}

fn record(out: &mut Output<'_>, found: &Virtual) -> Result<(), Error> {
    let end = found.end;
    let (at, size, rights) = match end {
        End::Mapped {
            at, size, rights, ..
        } => (Some(at), Some(size.bytes()), Some(rights)),
        _ => (None, None, None),
    };
    let mapped = match end {
        End::Unreadable { .. } => None,
        _ => Some(at.is_some()),
    };
    let why = found.why();
    let record = out
        .record("virtual")
        .hex("va", found.va)
        .maybe_text("place", found.place.map(Layout))
        .maybe_text("region", found.region.map(|(name, _)| name))
        .hex("offset", found.region.map(|(_, offset)| offset))
        .flag("mapped", mapped)
        .hex("at", at)
        .number("page_bytes", size)
        .maybe_text("rights", rights)
        .maybe_text("role", found.role)
        .maybe_text("why_not", at.is_none().then(|| why.predicate()))
        .number("processes", found.processes.map_or(0, |(_, count)| count));
    Ok(record.end()?)
}

/// What the symbols say; nothing where there are none.
fn as_symbol(context: &mut Context<'_>, va: VirtAddr, pid: Option<Pid>) -> Result<(), Error> {
    let Context { target, out, .. } = context;
    let Ok(image) = image_at(*target, pid, va) else {
        return Ok(());
    };
    let Some(found) = image.describe(va) else {
        return Ok(());
    };
    let mut frames = found.frames;
    let place = frames.next();
    if out.is_json() {
        let record = out.record("symbol").text("name", found);
        let record = record.text("image", image.name);
        return Ok(record.maybe_text("at", place).end()?);
    }
    write!(out, "symbol   {found} in {}", image.name)?;
    match place {
        Some(place) => writeln!(out, ": {place}")?,
        None => writeln!(out)?,
    }
    Ok(())
}

/// Which processes map an address: the first of them, and how many.
fn processes(context: &mut Context<'_>, va: VirtAddr) -> Option<(Tree, u64)> {
    let paging = context.target.paging();
    let mut found: Option<(Tree, u64)> = None;
    let mut roots = Roots::new(context.target);
    while let Some((tree, root)) = roots.next(context.target) {
        let end = walk(context.target.memory(), &paging, root, va).end();
        let maps = matches!(end, End::Mapped { .. });
        if tree == Tree::Master || !maps {
            continue;
        }
        let (_, count) = found.get_or_insert((tree, 0));
        *count = count.saturating_add(1);
    }
    found
}

impl Virtual {
    fn why(&self) -> VirtError {
        VirtError {
            at: self.va,
            why: self.end,
            memory: None,
        }
    }
}

impl fmt::Display for Virtual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.va)?;
        if let Some((region, offset)) = self.region {
            write!(f, " {region} + {offset:#x}")?;
        }
        match self.place {
            Some(place @ (Place::Stack(_) | Place::Physmap(_))) => {
                write!(f, " ({})", Layout(place))?;
            }
            Some(place) if self.region.is_none() => write!(f, " ({})", Layout(place))?,
            _ => {}
        }
        match self.end {
            End::Mapped { .. } => write!(f, " -> {}", self.end)?,
            _ => write!(f, " {}", self.why().predicate())?,
        }
        if let Some(role) = &self.role {
            write!(f, ": {role}")?;
        }
        match self.processes {
            Some((tree, 1)) => write!(f, "; mapped in {tree}"),
            Some((tree, count)) => {
                let others = count.saturating_sub(1);
                write!(f, "; mapped in {tree} and {}", Count(others, "other"))
            }
            None => Ok(()),
        }
    }
}

fn as_physical(context: &mut Context<'_>, at: PhysAddr) -> Result<(), Error> {
    let role = role(context, at)?;
    let out = &mut context.out;
    if out.is_json() {
        let record = out.record("physical").hex("at", at).text("role", role);
        return Ok(record.end()?);
    }
    writeln!(out, "physical {at} {role}")?;
    Ok(())
}

fn as_pid(context: &mut Context<'_>, value: u64) -> Result<(), Error> {
    let info = process::pid(value).and_then(|pid| process::info(context.target, pid));
    let Ok(info) = info else {
        return Ok(());
    };
    let ProcessInfo {
        pid, name, state, ..
    } = info;
    let out = &mut context.out;
    if out.is_json() {
        let record = out.record("process").number("pid", pid);
        let record = record.text("name", name).text("state", state.name());
        return Ok(record.end()?);
    }
    writeln!(out, "pid      {pid} {name}, {}", state.name())?;
    Ok(())
}
