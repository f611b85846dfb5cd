//! From the bootloader's hand-over to the prompt.
//!
//! The first half runs on the bootloader's stack and tables and ends by switching to our own;
//! the second half runs on the first kernel stack. Every stage is named before it begins, on
//! the serial line and later on the screen, so that a boot that hangs says where.

use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicBool, Ordering};

use bootloader_api::BootInfo;
use bootloader_api::info::{FrameBufferInfo, MemoryRegionKind};
use machine::{PhysAddr, VirtAddr};
use shell::{Shell, Sink};
use spin::{Mutex, MutexGuard, Once};

use crate::arch::{cpu, descriptors, entry, features, user};
use crate::attempts::LiveAttempts;
use crate::console::{self, Both};
use crate::crash::{self, CrashKernel};
use crate::debugger::{self, LiveDebugger};
use crate::devices::{keyboard, serial, timer};
use crate::lock::Lock;
use crate::memory::edits::LiveEdits;
use crate::memory::frames::Owner;
use crate::memory::layout::Holds;
use crate::memory::physmap::LiveMemory;
use crate::memory::snapshots::LiveSnapshots;
use crate::memory::stacks::{self, Stack};
use crate::memory::{frames, heap, layout, master, physmap};
use crate::process::LiveProcesses;
use crate::symbols::LiveSymbols;
use crate::target::{self, LiveKernel};
use crate::terminal::Consoles;
use crate::{events, export, image, process, symbols};

/// What the banner and `version` show.
#[derive(Clone, Copy)]
pub(crate) struct Summary {
    is_uefi: bool,
    image_base: VirtAddr,
    framebuffer: Option<FrameBufferInfo>,
    has_serial: bool,
    has_keyboard: bool,
}

static SUMMARY: Once<Summary> = Once::new();
static SHELL: Lock<Shell> = Lock::new("the shell", Shell::new());

/// What it remembers is to be forgotten.
static IS_FORGOTTEN: AtomicBool = AtomicBool::new(false);

/// What the commands look at; kept when the shell begins again.
static KERNEL: Lock<Option<LiveKernel>> = Lock::new("the shell's target", None);

/// Room for the filters of pipes: `sort` and `tail` can keep 256 KiB.
static SCRATCH: Mutex<[u8; (5 + 512) << 10]> = Mutex::new([0; _]);

/// RFLAGS bits that SYSCALL clears: TF, IF, DF, NT, AC.
pub(crate) const CLEARED_BY_SYSCALL: u64 = 0x4_4700;

/// The stage of boot, for the report of what goes wrong there.
static STAGE: Mutex<&str> = Mutex::new("");
/// The stage at which a fault is planted, if the ramdisk has one.
static PLANTED: Once<&str> = Once::new();
/// The second half of boot is under way: it may fail, and the shell can begin without it.
static CAN_FAIL: AtomicBool = AtomicBool::new(false);

fn stage(name: &'static str) {
    let _ = writeln!(Both, "boot: {name}");
    if let Some(mut stage) = STAGE.try_lock() {
        *stage = name;
    }
    if PLANTED.get() == Some(&name) {
        crash::in_boot();
    }
}

/// The stage at which boot ended, if it has not come to its end.
pub(crate) fn ended_at() -> Option<&'static str> {
    match debugger::has_begun() {
        true => None,
        false => STAGE.try_lock().map(|stage| *stage),
    }
}

/// After a failure: whether the shell can begin although boot is not done. Only once, and only from its
/// second half on. The shell has a stack of its own, needs no heap, and looks for keys by itself.
pub(crate) fn shell_can_begin() -> bool {
    if !CAN_FAIL.swap(false, Ordering::Relaxed) {
        return false;
    }
    if timer::init_if_untried() {
        serial::enable_interrupts();
    }
    debugger::begin_at_death(world_stack(), shell);
    true
}

/// The stack of boot's second half, and then of the kernel's own thread.
fn world_stack() -> Stack {
    stacks::second()
}

/// A boot that cannot go on: says why, and stops.
fn give_up(stage: &str, why: &dyn fmt::Display) -> ! {
    panic!("boot cannot go on: {stage}: {why}")
}

/// On the bootloader's stack: descriptor tables, frames, master table, first kernel stack.
pub(crate) fn first_half(info: &'static mut BootInfo) -> ! {
    let _ = cpu::interrupts_off();
    let has_serial = serial::init();
    console::find_pixels(info.framebuffer.as_ref());
    stage("descriptor tables");
    descriptors::load();
    // From here on a fault is reported, and next with all that a report has.
    let Some(offset) = info.physical_memory_offset.into_option() else {
        give_up("memory", &"the bootloader did not map physical memory");
    };
    physmap::init(offset, &info.memory_regions);
    if let Some(start) = info.ramdisk_addr.into_option() {
        process::init_ramdisk(start, info.ramdisk_len);
    }
    symbols::init();
    if let Some(stage) = process::planted_fault() {
        PLANTED.call_once(|| stage);
    }

    stage("cpu features");
    features::enable();
    target::set_pat(cpu::set_write_combining(master::WRITE_COMBINING));

    stage("frames");
    if let Err(why) = frames::init(&info.memory_regions) {
        give_up("frames", &why);
    }

    stage("master table");
    let framebuffer = info
        .framebuffer
        .as_ref()
        .map(|fb| (fb.buffer().as_ptr() as u64, fb.info().byte_len as u64));
    let pieces = master::Pieces {
        framebuffer,
        boot_stack: (info.kernel_stack_bottom, info.kernel_stack_len),
        boot_info: boot_info_pages(info),
        kernel_file: (info.kernel_addr, info.kernel_len),
        ramdisk: info
            .ramdisk_addr
            .into_option()
            .map(|start| (start, info.ramdisk_len)),
    };
    name_regions(&pieces);
    let mut tables = match master::build(target::paging(), &info.memory_regions, &pieces) {
        Ok(tables) => tables,
        Err(why) => give_up("master table", &why),
    };
    master::switch_to(&tables);

    if cfg!(feature = "hang-in-boot") {
        stage("hanging on purpose");
        cpu::halt();
    }

    stage("stacks");
    let mut tops = [0; descriptors::IST_STACKS.len()];
    for (index, (top, (_, _, name))) in (0..).zip(tops.iter_mut().zip(descriptors::IST_STACKS)) {
        match stacks::map_ist_stack(&mut tables, index) {
            Ok(stack) => {
                *top = stack.top;
                name_stack(stack, name, Owner::IstStack);
            }
            Err(why) => give_up("IST stacks", &why),
        }
    }
    descriptors::use_ist_stacks(tops);
    let stack = match stacks::allocate_kernel_stack(&mut tables) {
        Ok(stack) => stack,
        Err(why) => give_up("kernel stack", &why),
    };
    name_stack(stack, "kernel stack 0", Owner::KernelStack);
    // The first is the shell's, which is free when the second half of boot fails.
    let second = match stacks::allocate_kernel_stack(&mut tables) {
        Ok(stack) => stack,
        Err(why) => give_up("second kernel stack", &why),
    };
    name_stack(second, "kernel stack 1", Owner::KernelStack);
    // Until a process runs RSP0 names the shell's stack, so that a stray entry would be reported.
    descriptors::set_rsp0(stack.top);
    user::enable(entry::system_call_entry(), CLEARED_BY_SYSCALL);

    let firmware_is_uefi = info
        .memory_regions
        .iter()
        .any(|region| matches!(region.kind, MemoryRegionKind::UnknownUefi(_)));
    SUMMARY.call_once(|| Summary {
        is_uefi: firmware_is_uefi,
        image_base: VirtAddr(image::base()),
        framebuffer: info
            .framebuffer
            .as_ref()
            .map(|framebuffer| framebuffer.info()),
        has_serial,
        has_keyboard: keyboard::init(),
    });
    layout::finish();
    let scratch = MutexGuard::leak(SCRATCH.lock());
    SHELL.lock().lend(scratch);
    entry::continue_on(second.top, second_half)
}

/// On the stack that will be the one of the kernel's own thread: heap, screen, interrupts. What fails from here
/// on ends in the shell.
extern "C" fn second_half() -> ! {
    cpu::nobody_called();
    CAN_FAIL.store(true, Ordering::Relaxed);
    stage("heap");
    if let Err(why) = heap::init() {
        give_up("heap", &why);
    }
    stage("processes");
    process::init();
    events::measure();
    stage("screen");
    console::init_screen();
    stage("interrupts");
    timer::init();
    serial::enable_interrupts();
    stage("shell");
    export::init();
    CAN_FAIL.store(false, Ordering::Relaxed);
    entry::continue_on(stacks::first().top, begin)
}

/// On the first kernel stack: the shell.
extern "C" fn begin() -> ! {
    debugger::begin(world_stack());
    let Some(&summary) = SUMMARY.get() else {
        give_up("summary", &"lost")
    };
    let _ = write!(Both, "\n{summary}Type help, or a command.\n\n");
    shell()
}

/// The shell that begins next remembers nothing of what was typed and set.
pub(crate) fn forget_shell() {
    IS_FORGOTTEN.store(true, Ordering::Relaxed);
}

/// The debugger's thread, from its beginning or, when it was given up, from here again.
pub(crate) extern "C" fn shell() -> ! {
    cpu::nobody_called();
    crash::in_shell();
    let Some(&summary) = SUMMARY.get() else {
        give_up("summary", &"lost")
    };
    let mut kernel = KERNEL.lock();
    let kernel = kernel.get_or_insert_with(|| LiveKernel {
        memory: LiveMemory,
        paging: target::paging(),
        summary,
        crash: CrashKernel,
        attempts: LiveAttempts::default(),
        processes: LiveProcesses,
        snapshots: LiveSnapshots::default(),
        edits: LiveEdits,
        symbols: LiveSymbols,
        debugger: LiveDebugger,
    });
    let mut consoles = Consoles::new();
    cpu::interrupts_on();
    // The shell is the only user of this lock, for ever.
    let mut shell = SHELL.lock();
    if IS_FORGOTTEN.swap(false, Ordering::Relaxed) {
        shell.forget();
    }
    if let Some(why) = debugger::take_message() {
        shell.recover(&why, why.is_wish(), kernel, &mut consoles);
    }
    shell.run(kernel, &mut consoles);
    console::write(Sink::All, "the shell has ended\n");
    cpu::halt()
}

/// The pages of the boot information: the structure, and the memory map behind it.
fn boot_info_pages(info: &BootInfo) -> (u64, u64) {
    let start = (&raw const *info) as u64;
    let map_end = info.memory_regions.as_ptr_range().end as u64;
    let end = map_end.max(start + size_of::<BootInfo>() as u64);
    pages(start, end - start)
}

/// The whole pages a range touches: first byte and end.
fn pages(start: u64, bytes: u64) -> (u64, u64) {
    (
        start & !(layout::PAGE - 1),
        start.wrapping_add(bytes).next_multiple_of(layout::PAGE),
    )
}

fn name_stack(stack: Stack, name: &'static str, owner: Owner) {
    let bytes = stack.top - stack.bottom;
    layout::name(
        stack.bottom,
        bytes,
        name,
        Holds::Memory(owner),
        layout::DATA,
    );
}

fn name_regions(pieces: &master::Pieces) {
    let memory = |first, bytes, name, owner| {
        layout::name(first, bytes, name, Holds::Memory(owner), layout::DATA);
    };
    for segment in image::segments() {
        let (start, end) = pages(segment.address, segment.bytes);
        let holds = Holds::Memory(Owner::KernelImage);
        layout::name(start, end - start, segment.name, holds, segment.rights);
    }
    let (start, bytes) = pieces.boot_stack;
    memory(start, bytes, "boot stack", Owner::BootStack);
    if let Some((start, bytes)) = pieces.framebuffer {
        layout::name(start, bytes, "framebuffer", Holds::Device, layout::DATA);
    }
    let ram_end = physmap::ranges()
        .and_then(|ranges| ranges.ram.iter().map(|range| range.end).max())
        .unwrap_or(0);
    layout::name(
        physmap::offset(),
        ram_end,
        "physmap",
        Holds::Physmap,
        layout::DATA,
    );
    let (start, end) = pieces.boot_info;
    memory(start, end - start, "boot information", Owner::BootInfo);
    if let Some((start, bytes)) = pieces.ramdisk {
        memory(start, bytes, "ramdisk", Owner::Ramdisk);
    }
    memory(layout::HEAP, layout::HEAP_BYTES, "heap", Owner::Heap);
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Ringwalk {} build {}",
            env!("CARGO_PKG_VERSION"),
            image::build_id()
        )?;
        writeln!(
            f,
            "firmware {}, image at {}, physmap at {}",
            if self.is_uefi { "UEFI" } else { "BIOS" },
            self.image_base,
            VirtAddr(physmap::offset()),
        )?;
        let mib = |frames: u64| frames / 256;
        writeln!(
            f,
            "memory {} MiB, {} MiB free; master PML4 at {}",
            mib(frames::total()),
            mib(frames::count(Owner::Free)),
            master::root().unwrap_or(PhysAddr(0)),
        )?;
        let features = features::get();
        writeln!(f, "cpu {}; {features}", features.model())?;
        match self.framebuffer {
            Some(info) => write!(
                f,
                "screen {}x{}, {} bytes per pixel",
                info.width, info.height, info.bytes_per_pixel
            )?,
            None => f.write_str("no screen")?,
        }
        let found = |found: bool| if found { "" } else { "no " };
        writeln!(
            f,
            "; {}serial line; {}keyboard",
            found(self.has_serial),
            found(self.has_keyboard)
        )
    }
}
