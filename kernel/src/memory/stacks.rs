//! Kernel stacks and IST stacks: each above a guard page that is never mapped.
//!
//! The region of the kernel stacks lies in one PML4 slot whose PDPT every address space shares.
//! The tables of its first 16 MiB exist from boot on; further ones are made below the same PDPT
//! as the region grows, so a new stack is seen by every process at once, however far it goes.

use core::fmt;

use exported::{List, Places};
use machine::{End, Level, Mapping, PageSize, PhysAddr, PhysMemory, VirtAddr};
use shell::{OnStack, StackKind, StackPlace, StackState};

use super::frames::{self, Owner};
use super::layout::{
    IST_STACK_BYTES, IST_STACK_STRIDE, IST_STACKS, KERNEL_STACK_BYTES, KERNEL_STACK_STRIDE,
    KERNEL_STACKS, PAGE,
};
use super::tables::{MapError, Tables};
use super::{edits, master, physmap};
use crate::arch::descriptors;
use crate::lock::Lock;
use crate::target;

/// A stack: `bottom` is its lowest mapped byte, `top` the address just above it. And whether a
/// place for one is taken.
pub(crate) use exported::{Stack, StackSlot as Place};

/// Why there is no new stack.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StackError {
    /// Every place is taken.
    RegionFull,
    /// No frame is free.
    NoFrame,
    /// A page could not be mapped.
    Map(MapError),
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StackError::RegionFull => f.write_str("the region for kernel stacks is used up"),
            StackError::NoFrame => f.write_str("no free frame"),
            StackError::Map(why) => write!(f, "{why}"),
        }
    }
}

/// Places there may be: past the 4 GiB mark.
const PLACES: usize = 1 << 16;
/// What every byte of a kernel stack is before it is used.
pub(crate) const UNUSED: u8 = 0xa5;
/// The places of kernel stacks.
pub(crate) const KERNEL_PLACES: Places = Places {
    base: KERNEL_STACKS,
    stride: KERNEL_STACK_STRIDE,
    bytes: KERNEL_STACK_BYTES,
    count: PLACES as u64,
};
/// Those of the IST stacks.
pub(crate) const IST_PLACES: Places = Places {
    base: IST_STACKS,
    stride: IST_STACK_STRIDE,
    bytes: IST_STACK_BYTES,
    count: descriptors::IST_STACKS.len() as u64,
};

struct Books {
    places: [Place; PLACES],
    /// One more than the highest place that was ever taken.
    end: usize,
    /// No place below this one is free.
    lowest: usize,
}

/// For whoever looks from outside: a byte for each place, and the word with the end.
pub(crate) fn exported() -> (List, u64) {
    let books = BOOKS.lock();
    let slots = List {
        at: books.places.as_ptr() as u64,
        count: PLACES as u64,
    };
    (slots, &raw const books.end as u64)
}

static BOOKS: Lock<Books> = Lock::new(
    "the list of stacks",
    Books {
        places: [Place::Free; PLACES],
        end: 0,
        lowest: 0,
    },
);

/// Maps a kernel stack at the lowest free place. Only leaf entries change, unless the region
/// must grow.
pub(crate) fn allocate_kernel_stack(tables: &mut Tables) -> Result<Stack, StackError> {
    let place = take_place(Place::Live)?;
    let stack = at_place(place);
    let mapped = prepare(tables, stack)
        .and_then(|()| map_stack(tables, stack.bottom, KERNEL_STACK_BYTES, Owner::KernelStack));
    match mapped {
        Ok(stack) => Ok(stack),
        Err(why) => {
            free_pages(tables, stack);
            set_place(place, Place::Free);
            Err(why)
        }
    }
}

/// A kernel stack for a process, in the tables everybody shares.
pub(crate) fn allocate_for_process() -> Result<Stack, StackError> {
    allocate_kernel_stack(&mut master_tables().ok_or(StackError::NoFrame)?)
}

/// Unmaps a kernel stack, which nobody may stand on, and gives its frames back.
pub(crate) fn free_kernel_stack(stack: Stack) {
    if let Some(mut tables) = master_tables() {
        free_pages(&mut tables, stack);
    }
    let place = (stack.bottom - PAGE).wrapping_sub(KERNEL_STACKS) / KERNEL_STACK_STRIDE;
    set_place(place as usize, Place::Free);
}

/// Takes so many of the lowest free places without backing them, but with their tables; for tests
/// of growth. All of them or none.
pub(crate) fn reserve(count: u64) -> Result<(), StackError> {
    let mut tables = master_tables().ok_or(StackError::NoFrame)?;
    if count > free_places() {
        return Err(StackError::RegionFull);
    }
    for done in 0..count {
        let place = take_place(Place::Reserved)?;
        if let Err(why) = prepare(&mut tables, at_place(place)) {
            set_place(place, Place::Free);
            give_back_last(done);
            return Err(why);
        }
    }
    Ok(())
}

fn free_places() -> u64 {
    let books = BOOKS.lock();
    let free = books.places.iter().filter(|place| **place == Place::Free);
    free.count() as u64
}

/// Frees the `count` highest reserved places: the ones taken last.
fn give_back_last(count: u64) {
    let mut left = count;
    for index in (0..PLACES).rev() {
        if left == 0 {
            return;
        }
        let is_reserved = BOOKS.lock().places.get(index) == Some(&Place::Reserved);
        if is_reserved {
            set_place(index, Place::Free);
            left -= 1;
        }
    }
}

/// Frees every reserved place; how many there were.
pub(crate) fn release() -> u64 {
    let mut books = BOOKS.lock();
    books.lowest = 0;
    let mut count = 0;
    for place in books
        .places
        .iter_mut()
        .filter(|place| **place == Place::Reserved)
    {
        *place = Place::Free;
        count += 1;
    }
    count
}

/// The place with this index, if one so high was ever taken.
pub(crate) fn place(index: usize) -> Option<(Stack, Place)> {
    let books = BOOKS.lock();
    let state = *books.places.get(index).filter(|_| index < books.end)?;
    Some((at_place(index), state))
}

/// The kernel's own stack, the first one: the shell's.
pub(crate) fn first() -> Stack {
    at_place(0)
}

/// The stack of the kernel's own thread.
pub(crate) fn second() -> Stack {
    at_place(1)
}

/// How many places there have been.
pub(crate) fn places() -> usize {
    BOOKS.lock().end
}

/// Maps the IST stack with this index (0 and up).
pub(crate) fn map_ist_stack(tables: &mut Tables, index: u64) -> Result<Stack, StackError> {
    map_stack(
        tables,
        ist_stack(index).bottom,
        IST_STACK_BYTES,
        Owner::IstStack,
    )
}

/// Where the IST stack with this index is.
pub(crate) fn ist_stack(index: u64) -> Stack {
    IST_PLACES.stack(index).unwrap_or_default()
}

/// The stack that holds an address, or ends right where it points. Takes no lock: it goes by the
/// layout, so the place may be free.
pub(crate) fn holding(address: u64) -> Option<OnStack> {
    let below = address.checked_sub(1)?;
    on_stack(below).filter(|stack| stack.bottom.0 <= below)
}

/// The stack in whose guard page an address is, by the layout.
pub(crate) fn guarded_by(address: u64) -> Option<OnStack> {
    on_stack(address).filter(|stack| address < stack.bottom.0)
}

fn on_stack(address: u64) -> Option<OnStack> {
    if let Some((number, _)) = KERNEL_PLACES.find(address) {
        let Stack { bottom, top } = KERNEL_PLACES.stack(number)?;
        return Some(OnStack {
            name: "kernel stack",
            number: Some(number),
            bottom: VirtAddr(bottom),
            top: VirtAddr(top),
        });
    }
    let (index, _) = IST_PLACES.find(address)?;
    let (_, _, name) = descriptors::IST_STACKS.get(usize::try_from(index).ok()?)?;
    let Stack { bottom, top } = ist_stack(index);
    Some(OnStack {
        name,
        number: None,
        bottom: VirtAddr(bottom),
        top: VirtAddr(top),
    })
}

/// Which stack's place an address is in; whose it is the caller may know.
pub(crate) fn place_at(address: u64) -> Option<StackPlace> {
    if let Some((number, is_guard)) = KERNEL_PLACES.find(address) {
        let index = usize::try_from(number).ok()?;
        let state = place(index).map_or(StackState::Free, |(_, place)| place.state());
        return Some(StackPlace {
            kind: StackKind::Kernel,
            number,
            is_guard,
            state,
            owner: None,
        });
    }
    let (index, is_guard) = IST_PLACES.find(address)?;
    Some(StackPlace::ist(index, is_guard))
}

/// How many bytes of a kernel or IST stack have ever been used.
pub(crate) fn high_water(stack: Stack) -> Option<u64> {
    used(&master_tables()?, stack.bottom, stack.top, UNUSED)
}

/// How many bytes from `top` down to the lowest one that is not `unused`; pages that are not
/// mapped count as unused.
pub(crate) fn used(tables: &Tables, bottom: u64, top: u64, unused: u8) -> Option<u64> {
    let pattern = u64::from_ne_bytes([unused; 8]);
    for page in (bottom..top).step_by(PAGE as usize) {
        let End::Mapped { at, .. } = tables.walk(VirtAddr(page)).end() else {
            continue;
        };
        for offset in (0..PAGE).step_by(8) {
            let word = physmap::LiveMemory.read_u64(PhysAddr(at.0 + offset)).ok()?;
            if word != pattern {
                return Some(top - (page + offset));
            }
        }
    }
    Some(0)
}

fn master_tables() -> Option<Tables> {
    Some(Tables::at(master::root()?, target::paging()))
}

fn at_place(place: usize) -> Stack {
    KERNEL_PLACES.stack(place as u64).unwrap_or_default()
}

fn take_place(what: Place) -> Result<usize, StackError> {
    let mut books = BOOKS.lock();
    let mut places = books.places.iter().enumerate().skip(books.lowest);
    let free = places.find(|(_, place)| **place == Place::Free);
    let (index, _) = free.ok_or(StackError::RegionFull)?;
    if let Some(place) = books.places.get_mut(index) {
        *place = what;
    }
    books.end = books.end.max(index + 1);
    books.lowest = index + 1;
    Ok(index)
}

fn set_place(index: usize, what: Place) {
    let mut books = BOOKS.lock();
    if what == Place::Free {
        books.lowest = books.lowest.min(index);
    }
    if let Some(place) = books.places.get_mut(index) {
        *place = what;
    }
}

/// Makes the tables a stack needs: those of its guard page and of its last page.
fn prepare(tables: &mut Tables, stack: Stack) -> Result<(), StackError> {
    for va in [stack.bottom - PAGE, stack.top - PAGE] {
        tables
            .prepare(VirtAddr(va), Level::Pt)
            .map_err(StackError::Map)?;
    }
    Ok(())
}

fn map_stack(
    tables: &mut Tables,
    bottom: u64,
    bytes: u64,
    owner: Owner,
) -> Result<Stack, StackError> {
    let top = bottom + bytes;
    for va in (bottom..top).step_by(PAGE as usize) {
        let at = frames::take(owner).ok_or(StackError::NoFrame)?;
        let mapping = Mapping::data(at, PageSize::Size4K);
        physmap::fill_stack_frame(at, UNUSED);
        if let Err(why) = tables.map(VirtAddr(va), mapping) {
            let was_ours = frames::give_back(at, owner);
            debug_assert!(was_ours, "the frame was taken a moment ago");
            return Err(StackError::Map(why));
        }
    }
    Ok(Stack { bottom, top })
}

/// Unmaps whatever pages of a kernel stack are mapped and gives their frames back.
fn free_pages(tables: &mut Tables, stack: Stack) {
    for va in (stack.bottom..stack.top).step_by(PAGE as usize) {
        edits::settle_path(tables.root(), VirtAddr(va));
        let End::Mapped { at, .. } = tables.walk(VirtAddr(va)).end() else {
            continue;
        };
        if tables.replace(VirtAddr(va), 0).is_ok() {
            let was_ours = frames::give_back(at, Owner::KernelStack);
            debug_assert!(was_ours, "only kernel stacks are freed as such");
        }
    }
}
