//! What the registers of a fault point at: a stack, a function or a variable, a region of the kernel,
//! nothing at all.

use core::fmt::{self, Write};

use machine::{Cause, Paging, VirtAddr};

use super::PAGE_FAULT;
use crate::backtrace::Images;
use crate::disassembly::Line;
use crate::{FaultRecord, OnStack, Region, SymbolAt, Target};

const PAGE: u64 = 4096;

/// CR2, RIP, RSP, and the general registers.
const REGISTERS: usize = 18;

/// A register, and the region of the kernel that it points into.
#[derive(Clone, Copy)]
pub(crate) struct Register {
    name: &'static str,
    value: u64,
    region: Option<Region>,
}

/// The registers that may point somewhere, the most important first.
pub(crate) struct Registers {
    all: [Register; REGISTERS],
    paging: Paging,
}

impl Registers {
    pub(crate) fn of(record: &FaultRecord, target: &dyn Target) -> Registers {
        let saved = &record.registers;
        let [
            rax,
            rbx,
            rcx,
            rdx,
            rsi,
            rdi,
            rbp,
            r8,
            r9,
            r10,
            r11,
            r12,
            r13,
            r14,
            r15,
        ] = super::general(record);
        let cr2 = ("CR2", saved.cr2);
        let (rip, rsp) = (("RIP", saved.rip), ("RSP", saved.rsp));
        let all = [
            cr2, rip, rsp, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15,
        ];
        Registers {
            all: all.map(|(name, value)| Register {
                name,
                value,
                region: Region::at(target.regions(), VirtAddr(value)),
            }),
            paging: target.paging(),
        }
    }

    /// What each points at, where there is something to say that is not said elsewhere.
    pub(crate) fn pointees<'a>(
        &self,
        record: &'a FaultRecord,
        images: &Images<'a>,
    ) -> [Option<Pointee<'a>>; REGISTERS] {
        let rip = VirtAddr(record.registers.rip);
        let instruction = Line::of(rip, record.code.instruction());
        let is_null = matches!(record.cause(), Cause::Null { .. });
        self.all.map(|register| {
            let pointee = register.pointee(record, images);
            match (register.name, &pointee) {
                // Of no use to anything but a page fault; in a guard page it has a line of its own.
                ("CR2", _) if record.vector != PAGE_FAULT || record.guard.is_some() => None,
                // So has RSP, and code has been named.
                ("RSP", Some(Pointee::Stack { .. })) => None,
                ("RIP", Some(Pointee::Symbol { symbol, .. })) if symbol.symbol.is_code => None,
                (_, Some(_)) => pointee,
                (name, None) if instruction.addresses_with(name) => match register.value {
                    value if is_null && value <= u64::from(u16::MAX) => Some(Pointee::Null(value)),
                    value if !self.paging.is_canonical(VirtAddr(value)) => {
                        Some(Pointee::NonCanonical)
                    }
                    _ => None,
                },
                _ => None,
            }
        })
    }

    /// A line for each place that is pointed at.
    pub(super) fn write(
        &self,
        record: &FaultRecord,
        images: &Images<'_>,
        out: &mut dyn Write,
    ) -> fmt::Result {
        let pointees = self.pointees(record, images);
        let mut shown = self.all.iter().zip(&pointees);
        while let Some((first, pointee)) = shown.next() {
            let Some(pointee) = pointee else {
                continue;
            };
            let same = |(register, pointee): &(&Register, &Option<Pointee<'_>>)| {
                register.value == first.value && pointee.is_some()
            };
            let until = self.all.iter().zip(&pointees);
            let first_of_them = until.filter(same).map(|(register, _)| register.name).next();
            if first_of_them != Some(first.name) {
                continue;
            }
            write!(out, "{}", first.name)?;
            for (register, _) in shown.clone().filter(same) {
                write!(out, " {}", register.name)?;
            }
            writeln!(out, " -> {pointee}")?;
        }
        Ok(())
    }
}

impl Register {
    fn pointee<'a>(&self, record: &'a FaultRecord, images: &Images<'a>) -> Option<Pointee<'a>> {
        let (value, region) = (self.value, self.region);
        let is_in = |first: u64, end: u64| (first..end).contains(&value);
        if let Some(stack) = &record.stack
            && is_in(stack.bottom.0, stack.top.0)
        {
            let below = stack.top.0.saturating_sub(value);
            return Some(Pointee::Stack { stack, below });
        }
        if let Some(stack) = record.guard.as_ref().or(record.stack.as_ref())
            && is_in(stack.bottom.0.saturating_sub(PAGE), stack.bottom.0)
        {
            return Some(Pointee::Guard(stack));
        }
        if let Some(symbol) = images.symbol(VirtAddr(value)) {
            return Some(Pointee::Symbol { symbol, region });
        }
        let region = region?;
        let offset = value.saturating_sub(region.first.0);
        Some(Pointee::Region { region, offset })
    }
}

/// What an address is in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pointee<'a> {
    Stack {
        stack: &'a OnStack,
        below: u64,
    },
    /// Of this stack.
    Guard(&'a OnStack),
    Symbol {
        symbol: SymbolAt<'a>,
        region: Option<Region>,
    },
    Region {
        region: Region,
        offset: u64,
    },
    /// A null pointer, or a field behind one.
    Null(u64),
    NonCanonical,
}

impl fmt::Display for Pointee<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pointee::Stack { stack, below } => write!(f, "{stack}, {below:#x} below its top"),
            Pointee::Guard(stack) => write!(f, "guard page of {stack}"),
            Pointee::Symbol { symbol, region } => {
                write!(f, "{symbol}")?;
                match region {
                    Some(region) => write!(f, " ({})", region.name),
                    None => Ok(()),
                }
            }
            Pointee::Region { region, offset } => match offset {
                0 => f.write_str(region.name),
                offset => write!(f, "{} + {offset:#x}", region.name),
            },
            Pointee::Null(0) => f.write_str("null"),
            Pointee::Null(offset) => write!(f, "null + {offset:#x}"),
            Pointee::NonCanonical => f.write_str("not canonical"),
        }
    }
}
