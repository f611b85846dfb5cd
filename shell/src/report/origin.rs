//! Who made an entry that forbids an access what it is: the words behind the cause of a report.

use core::fmt;

use machine::{AccessKind, Cause, Refused, Why};

use crate::{FaultRecord, OnStack, Region, Target};

/// `, set by the loader for .rodata`.
pub(super) enum Origin<'a> {
    /// Nobody knows, or it says nothing.
    None,
    /// The program's file asks for it, or not: the section, and whether its loader allowed the access.
    Section(&'a str, bool),
    /// It is a part of this stack.
    Stack(OnStack),
    /// The kernel's memory is for this.
    Region(&'static str, bool),
    /// Ring 3 came to the kernel's memory, which is for this.
    Kernel(&'static str),
}

impl<'a> Origin<'a> {
    /// That of the entry which decided, of a fault that is about one.
    pub(super) fn of(
        record: &FaultRecord,
        cause: &Cause,
        target: &'a mut dyn Target,
    ) -> Origin<'a> {
        let Cause::Refused(Refused {
            at, why, access, ..
        }) = *cause
        else {
            return Origin::None;
        };
        let is_write = match why {
            Why::ReadOnly => true,
            Why::NoExecute => false,
            // Of a fetch the cause says so itself.
            Why::Supervisor if access.kind != AccessKind::Execute => {
                let region = Region::at(target.regions(), at);
                return region.map_or(Origin::None, |region| Origin::Kernel(region.name));
            }
            _ => return Origin::None,
        };
        if let Some(stack) = record.stack
            && (stack.bottom..stack.top).contains(&at)
            && !is_write
        {
            return Origin::Stack(stack);
        }
        if let Some(region) = Region::at(target.regions(), at) {
            let Some(rights) = region.rights else {
                return Origin::None;
            };
            let allows = match is_write {
                true => rights.write,
                false => rights.execute,
            };
            return Origin::Region(region.name, allows);
        }
        if record.name.is_empty() {
            return Origin::None;
        }
        let section = target
            .symbols()
            .and_then(|symbols| symbols.section(&record.name, at));
        match section {
            Some(section) if is_write => Origin::Section(section.name, section.is_writable),
            Some(section) => Origin::Section(section.name, section.is_code),
            None => Origin::None,
        }
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::None => Ok(()),
            Origin::Section(name, false) => write!(f, ", set by the loader for {name}"),
            Origin::Section(name, true) => {
                write!(
                    f,
                    ", though the loader allowed it for {name}: who changed that?"
                )
            }
            Origin::Kernel(name) => write!(f, ": this is the kernel's memory, {name}"),
            Origin::Stack(stack) => write!(f, ", set for {stack}"),
            Origin::Region(name, false) => write!(f, ", set for {name}"),
            Origin::Region(name, true) => {
                write!(f, ", though {name} must allow it: who changed that?")
            }
        }
    }
}
