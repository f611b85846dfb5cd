//! The master PML4: the kernel's own tables, whose upper half every address space shares.
//!
//! Built once, before anything else is mapped: a fresh tree, not the bootloader's, so that
//! every table frame is ours and accounted for. It holds what the bootloader mapped in the
//! upper half with tidied rights (W^X, no USER, no GLOBAL), RAM but not devices in the
//! physmap, and the kernel's own regions. Slots 0-255 stay empty. Every upper slot the kernel
//! will ever use has its PDPT from here on, so a copy of the 256 entries never goes stale.

use core::fmt;

use bootloader_api::info::MemoryRegions;
use machine::{Item, Level, Mapping, PageSize, Paging, PhysAddr, Range, VirtAddr};
use spin::Once;

use super::frames::{self, Owner};
use super::layout::{self, KERNEL_STACK_WINDOW, KERNEL_STACKS, PAGE, UPPER_HALF};
use super::physmap::{self, LiveMemory};
use super::tables::{MapError, Tables};
use crate::arch::cpu;

/// The PAT field that `boot` sets to write-combining; it is write-back from power-on on.
pub(crate) const WRITE_COMBINING: u8 = 4;

static ROOT: Once<PhysAddr> = Once::new();

/// What went wrong, where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BuildError {
    /// The page that could not be mapped.
    pub(crate) va: VirtAddr,
    /// Why.
    pub(crate) why: Why,
}

/// Why the master table could not be built.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Why {
    /// No frame for the root.
    NoFrame,
    /// The bootloader's own tables have a hole here.
    Unreadable,
    /// A page could not be mapped.
    Map(MapError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Why::NoFrame => write!(f, "no free frame for {}", self.va),
            Why::Unreadable => write!(f, "the bootloader's tables have a hole at {}", self.va),
            Why::Map(why) => write!(f, "cannot map {}: {why}", self.va),
        }
    }
}

/// Where the bootloader put the pieces that keep their addresses.
pub(crate) struct Pieces {
    pub(crate) framebuffer: Option<(u64, u64)>,
    pub(crate) boot_stack: (u64, u64),
    /// First page and end.
    pub(crate) boot_info: (u64, u64),
    pub(crate) kernel_file: (u64, u64),
    pub(crate) ramdisk: Option<(u64, u64)>,
}

/// The root of the master table, once it is in use.
pub(crate) fn root() -> Option<PhysAddr> {
    ROOT.get().copied()
}

/// Builds the tree. The tables in use stay as they are.
pub(crate) fn build(
    paging: Paging,
    regions: &MemoryRegions,
    pieces: &Pieces,
) -> Result<Tables, BuildError> {
    let root = frames::take(Owner::PageTable).ok_or(BuildError {
        va: VirtAddr(0),
        why: Why::NoFrame,
    })?;
    let mut tables = Tables::at(root, paging);
    adopt(&mut tables, paging, regions, pieces)?;
    map_ram(&mut tables, paging)?;
    map_own_regions(&mut tables)?;
    Ok(tables)
}

/// Makes `tables` the ones in use, for ever.
pub(crate) fn switch_to(tables: &Tables) {
    // SAFETY: `build` copied every upper-half page that was mapped (code, both stacks, boot
    // information, framebuffer) to the same address, and the physmap for all RAM; the
    // descriptor tables are statics in the image. Nothing below the upper half is in use.
    unsafe { cpu::load_cr3(tables.root()) };
    ROOT.call_once(|| tables.root());
}

/// Makes another address space the one in use: the master's, or a process's.
///
/// Only for roots that `process::space` made, or the master's own.
pub(crate) fn load_root(root: PhysAddr) {
    // SAFETY: every such root has the master's 256 upper entries, so all that the kernel runs
    // on and refers to stays where it is. The lower half is only ever used by ring 3, and a
    // space is destroyed only while it is not in use.
    unsafe { cpu::load_cr3(root) };
}

/// Makes the master's address space the one in use, from one that may be broken. Which one it was.
pub(crate) fn come_home() -> u64 {
    let cr3 = cpu::cr3();
    if let Some(root) = root().filter(|root| root.0 != cr3) {
        // SAFETY: all that the kernel runs on and refers to is in the master.
        unsafe { cpu::load_cr3_here(root) };
    }
    cr3
}

/// Copies the bootloader's upper-half pages, its physmap aside.
fn adopt(
    tables: &mut Tables,
    paging: Paging,
    regions: &MemoryRegions,
    pieces: &Pieces,
) -> Result<(), BuildError> {
    let old_root = PhysAddr(cpu::cr3());
    let highest = regions
        .iter()
        .map(|region| region.end)
        .max()
        .unwrap_or(0)
        .max(1 << 32);
    let skip_first = physmap::offset();
    let skip_last = skip_first.wrapping_add(highest - 1) | ((1 << 21) - 1);
    let ranges = [
        Range {
            first: VirtAddr(UPPER_HALF),
            last: VirtAddr(skip_first.wrapping_sub(1)),
        },
        Range {
            first: VirtAddr(skip_last.wrapping_add(1)),
            last: VirtAddr(u64::MAX),
        },
    ];
    for range in ranges.into_iter().filter(|range| range.first <= range.last) {
        for item in machine::leaves(&mut LiveMemory, paging, old_root, range) {
            match item {
                Item::Leaf(leaf) => adopt_leaf(tables, &leaf, pieces)?,
                Item::Hole(hole) => {
                    return Err(BuildError {
                        va: hole.va,
                        why: Why::Unreadable,
                    });
                }
            }
        }
    }
    Ok(())
}

fn adopt_leaf(
    tables: &mut Tables,
    leaf: &machine::Leaf,
    pieces: &Pieces,
) -> Result<(), BuildError> {
    let within = |start: u64, bytes: u64| leaf.va.0.wrapping_sub(start) < bytes;
    let is_framebuffer = pieces.framebuffer.is_some_and(|(start, bytes)| {
        leaf.va.0.wrapping_add(leaf.size.bytes()) > start && leaf.va.0 < start.wrapping_add(bytes)
    });
    let mapping = if is_framebuffer {
        Mapping {
            pat_index: WRITE_COMBINING,
            ..Mapping::data(leaf.at, leaf.size)
        }
    } else if leaf.rights.write {
        // The bootloader's writable pages are data, whatever its NX bits say: W^X.
        Mapping::data(leaf.at, leaf.size)
    } else if leaf.rights.execute {
        Mapping::code(leaf.at, leaf.size)
    } else {
        Mapping::read_only(leaf.at, leaf.size)
    };
    if is_framebuffer {
        // Its first page comes first: the walk is in ascending order.
        let bytes = pieces.framebuffer.map_or(0, |(_, bytes)| bytes);
        physmap::set_framebuffer(leaf.at, bytes);
    } else {
        let (file, file_bytes) = pieces.kernel_file;
        let in_file = leaf.at.0.wrapping_sub(file) < file_bytes;
        let owner = if in_file {
            Owner::KernelImage
        } else if pieces
            .ramdisk
            .is_some_and(|(start, bytes)| within(start, bytes))
        {
            Owner::Ramdisk
        } else if within(pieces.boot_stack.0, pieces.boot_stack.1) {
            Owner::BootStack
        } else if (pieces.boot_info.0..pieces.boot_info.1).contains(&leaf.va.0) {
            Owner::BootInfo
        } else {
            Owner::KernelData
        };
        frames::reassign(leaf.at, owner);
    }
    map(tables, leaf.va, mapping)
}

/// Maps RAM, and only RAM, at the physmap's offset, in the largest pages that fit.
fn map_ram(tables: &mut Tables, paging: Paging) -> Result<(), BuildError> {
    let Some(ranges) = physmap::ranges() else {
        return Ok(());
    };
    for range in &ranges.ram {
        let mut at = range.start;
        while at < range.end {
            let size = [PageSize::Size1G, PageSize::Size2M]
                .into_iter()
                .filter(|&size| size != PageSize::Size1G || paging.gib_pages)
                .find(|size| at.is_multiple_of(size.bytes()) && range.end - at >= size.bytes())
                .unwrap_or(PageSize::Size4K);
            let va = VirtAddr(physmap::offset().wrapping_add(at));
            map(tables, va, Mapping::data(PhysAddr(at), size))?;
            at += size.bytes();
        }
    }
    Ok(())
}

/// The heap, backed; the kernel stack window, tables only; the IST region, tables only.
fn map_own_regions(tables: &mut Tables) -> Result<(), BuildError> {
    for va in (layout::HEAP..layout::HEAP + layout::HEAP_BYTES).step_by(PAGE as usize) {
        let at = frames::take(Owner::Heap).ok_or(BuildError {
            va: VirtAddr(va),
            why: Why::NoFrame,
        })?;
        map(tables, VirtAddr(va), Mapping::data(at, PageSize::Size4K))?;
    }
    let window = (KERNEL_STACKS..KERNEL_STACKS + KERNEL_STACK_WINDOW).step_by(2 << 20);
    for va in window.chain([layout::IST_STACKS]) {
        tables
            .prepare(VirtAddr(va), Level::Pt)
            .map_err(|why| BuildError {
                va: VirtAddr(va),
                why: Why::Map(why),
            })?;
    }
    Ok(())
}

fn map(tables: &mut Tables, va: VirtAddr, mapping: Mapping) -> Result<(), BuildError> {
    tables.map(va, mapping).map(drop).map_err(|why| BuildError {
        va,
        why: Why::Map(why),
    })
}
