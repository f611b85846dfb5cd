//! Finding the kernel in memory, and what it says about itself.

use anyhow::{Context as _, bail};
use exported::{Beacon, Header, MAGIC, PhysRange, Record, VERSION};
use machine::{Paging, PhysAddr, PhysMemory as _, Registers, VirtAddr};

use crate::memory::Memory;

const PAGE: u64 = 4096;
/// What tables can hold; the kernel says more precisely what this CPU can.
const PHYS_BITS: u8 = 52;

/// The kernel, as it describes itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) header: Header,
    pub(crate) master: PhysAddr,
    pub(crate) paging: Paging,
}

/// Looks for the beacon: where somebody says it is, and else in every page of memory.
pub(crate) fn find(memory: &mut Memory) -> anyhow::Result<Found> {
    // Without registers it can still be found.
    let registers = memory.registers();
    let hint = memory.source().hint();
    if let Some(page) = hint.page
        && let Some(beacon) = beacon_at(memory, page)
        && let Ok(found) = lead(memory, &beacon)
        && leads_to(memory, &found, beacon.at) == Some(page)
    {
        return Ok(found);
    }
    if let (Ok(registers), Some(at)) = (&registers, hint.virt) {
        let paging = in_use(registers);
        let root = PhysAddr(registers.cr3);
        if let Some(beacon) = read::<Beacon>(memory, &paging, root, at)
            && beacon.magic == MAGIC
        {
            let found = lead(memory, &beacon)?;
            if let Some(page) = leads_to(memory, &found, at) {
                memory.source().found(page);
            }
            return Ok(found);
        }
    }
    let mut refused = None;
    for range in memory.source().ram()? {
        let range = PhysRange {
            start: range.start.next_multiple_of(PAGE),
            ..range
        };
        let known = memory.source().search(range, &mark());
        let each = || (range.start..range.end).step_by(PAGE as usize);
        let pages: &mut dyn Iterator<Item = u64> = match known {
            Some(pages) => &mut pages.into_iter(),
            None => &mut each(),
        };
        for at in pages {
            let Some(beacon) = beacon_at(memory, at) else {
                continue;
            };
            match lead(memory, &beacon) {
                // What a kernel left behind that ran before a reset does not lead to itself.
                Ok(found) if leads_to(memory, &found, beacon.at) == Some(at) => {
                    memory.source().found(at);
                    return Ok(found);
                }
                Ok(_) => {}
                Err(why) => {
                    refused.get_or_insert(why);
                }
            }
        }
    }
    match (refused, registers) {
        (Some(why), _) => Err(why),
        (None, Err(why)) => Err(why),
        (None, Ok(_)) => bail!(
            "there is no kernel in memory, or it is not through its boot: nothing there begins \
             with its mark"
        ),
    }
}

/// How the processor reads tables, as far as its registers say.
pub(crate) fn in_use(registers: &Registers) -> Paging {
    const LA57: u64 = 1 << 12;
    Paging {
        levels: if registers.cr4 & LA57 != 0 { 5 } else { 4 },
        ..Paging::four_level(PHYS_BITS)
    }
}

/// [`MAGIC`] as it lies in memory.
fn mark() -> Vec<u8> {
    MAGIC.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn beacon_at(memory: &mut Memory, at: u64) -> Option<Beacon> {
    let mut bytes = [0; Beacon::BYTES];
    // First the mark: of most pages nothing else is of interest.
    let [first, second] = MAGIC;
    if memory.peek(at)? != first || memory.peek(at + 8)? != second {
        return None;
    }
    memory.read(PhysAddr(at), &mut bytes).ok()?;
    Beacon::from_bytes(&bytes)
}

fn leads_to(memory: &mut Memory, found: &Found, va: u64) -> Option<u64> {
    let walk = machine::walk(memory, &found.paging, found.master, VirtAddr(va));
    match walk.end() {
        machine::End::Mapped { at, .. } => Some(at.0),
        _ => None,
    }
}

/// Follows the beacon to the header.
fn lead(memory: &mut Memory, beacon: &Beacon) -> anyhow::Result<Found> {
    if beacon.version != VERSION {
        bail!(
            "the kernel's records have version {}, and this program reads version {VERSION}: \
             build both from the same sources",
            beacon.version
        );
    }
    if beacon.header_bytes != Header::BYTES as u64 {
        bail!(
            "the kernel's header has {} bytes, and version {VERSION} has {}: build both from the \
             same sources",
            beacon.header_bytes,
            Header::BYTES
        );
    }
    let master = PhysAddr(beacon.master);
    let paging = Paging {
        levels: if beacon.levels == 5 { 5 } else { 4 },
        ..Paging::four_level(PHYS_BITS)
    };
    let header: Header = read(memory, &paging, master, beacon.header).with_context(|| {
        format!(
            "the kernel's header at {} cannot be read by its tables at {master}",
            VirtAddr(beacon.header)
        )
    })?;
    let said = header.paging;
    Ok(Found {
        header,
        master,
        paging: Paging {
            levels: paging.levels,
            phys_bits: u8::try_from(said.phys_bits).unwrap_or(PHYS_BITS),
            nxe: said.nxe != 0,
            gib_pages: said.gib_pages != 0,
            pat: said.pat,
        },
    })
}

/// A record at a virtual address.
pub(crate) fn read<T: Record>(
    memory: &mut Memory,
    paging: &Paging,
    root: PhysAddr,
    at: u64,
) -> Option<T> {
    let mut bytes = vec![0; T::BYTES];
    machine::read_virt(memory, paging, root, VirtAddr(at), &mut bytes).ok()?;
    T::from_bytes(&bytes)
}
