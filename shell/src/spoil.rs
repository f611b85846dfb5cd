//! The words for a way to break a process: `pt:$rsp:absent`, `rsp0=0`.

use machine::{Entry, Level, VirtAddr};

use crate::command::Context;
use crate::error::excerpt;
use crate::{Error, Spoil};

/// What can be done to an entry.
const CHANGES: &str = "a change; those are absent, read-only, supervisor, no-execute and reserved";

/// A change of an entry as `LEVEL:ADDRESS:CHANGE`.
pub(crate) fn entry(text: &str, context: &mut Context<'_>) -> Result<Spoil, Error> {
    let mut parts = text.splitn(3, ':');
    let (level, va, change) = (parts.next(), parts.next(), parts.next());
    let (Some(level), Some(va), Some(change)) = (level, va, change) else {
        return Err(Error::Unknown(
            excerpt(text),
            "a way to break an entry; that is LEVEL:ADDRESS:CHANGE",
        ));
    };
    let known = Level::ALL
        .into_iter()
        .find(|known| known.name().eq_ignore_ascii_case(level));
    let level = known.ok_or(Error::Unknown(
        excerpt(level),
        "a level; those are pml4, pdpt, pd and pt",
    ))?;
    let va = VirtAddr(context.evaluate(va)?);
    let (clear, set) = match change {
        "absent" => (Entry::PRESENT, 0),
        "read-only" => (Entry::WRITABLE, 0),
        "supervisor" => (Entry::USER, 0),
        "no-execute" => (0, Entry::NO_EXECUTE),
        "reserved" => (0, 1 << 51),
        _ => return Err(Error::Unknown(excerpt(change), CHANGES)),
    };
    Ok(Spoil::Entry {
        va,
        level,
        clear,
        set,
    })
}
