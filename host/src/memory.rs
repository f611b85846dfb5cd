//! Physical memory, page by page, each asked for once.

use std::collections::HashMap;

use exported::PhysRange;
use machine::{PhysAddr, PhysMemory, ReadError, Registers};

use crate::source::Source;

const PAGE: u64 = 4096;

/// What of a machine is memory and what is not: by the kernel's own books, so that the answers are
/// the kernel's own.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    pub(crate) ram: Vec<PhysRange>,
    pub(crate) devices: Vec<PhysRange>,
}

impl Ranges {
    fn holds(&self, at: u64, bytes: u64) -> bool {
        let end = at.checked_add(bytes);
        end.is_some_and(|end| {
            self.ram
                .iter()
                .any(|range| range.start <= at && end <= range.end)
        })
    }

    fn is_device(&self, at: u64) -> bool {
        self.devices
            .iter()
            .any(|range| range.start <= at && at < range.end)
    }
}

/// The memory of a machine.
pub(crate) struct Memory {
    source: Box<dyn Source>,
    pages: HashMap<u64, Option<Box<[u8]>>>,
    ranges: Option<Ranges>,
    /// The first thing that went wrong on the way to the machine.
    trouble: Option<String>,
}

impl Memory {
    pub(crate) fn new(source: Box<dyn Source>) -> Self {
        Memory {
            source,
            pages: HashMap::new(),
            ranges: None,
            trouble: None,
        }
    }

    /// From now on only what the kernel calls RAM is read.
    pub(crate) fn limit(&mut self, ranges: Ranges) {
        self.ranges = Some(ranges);
    }

    pub(crate) fn registers(&mut self) -> anyhow::Result<Registers> {
        self.source.registers()
    }

    pub(crate) fn source(&mut self) -> &mut dyn Source {
        &mut *self.source
    }

    /// What went wrong on the way to the machine, if anything did.
    pub(crate) fn trouble(&mut self) -> Option<String> {
        self.trouble.take()
    }

    /// A word, without keeping the page it is on.
    pub(crate) fn peek(&mut self, at: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.source.read(at, &mut bytes).ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    fn page(&mut self, number: u64) -> Option<&[u8]> {
        let Memory {
            source,
            pages,
            trouble,
            ..
        } = self;
        let page = pages.entry(number).or_insert_with(|| {
            let mut bytes = vec![0; PAGE as usize].into_boxed_slice();
            match source.read(number.checked_mul(PAGE)?, &mut bytes) {
                Ok(()) => Some(bytes),
                Err(why) => {
                    trouble.get_or_insert_with(|| format!("{why:#}"));
                    None
                }
            }
        });
        page.as_deref()
    }
}

impl PhysMemory for Memory {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        if let Some(ranges) = &self.ranges
            && !ranges.holds(at.0, buf.len() as u64)
        {
            return Err(match ranges.is_device(at.0) {
                true => ReadError::Device { at },
                false => ReadError::NoMemory { at },
            });
        }
        let mut now = at.0;
        let mut rest = buf;
        while !rest.is_empty() {
            let offset = (now % PAGE) as usize;
            let length = rest.len().min(PAGE as usize - offset);
            let (part, later) = rest.split_at_mut(length);
            let page = self.page(now / PAGE).ok_or(ReadError::Lost)?;
            part.copy_from_slice(page.get(offset..offset + length).ok_or(ReadError::Lost)?);
            now = now.checked_add(length as u64).ok_or(ReadError::Lost)?;
            rest = later;
        }
        Ok(())
    }
}
