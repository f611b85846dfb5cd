//! The live kernel, as the shell sees it.

use core::fmt;

use machine::{MemoryType, Paging, PhysAddr, PhysMemory, Registers, VirtAddr};
use shell::{
    Attempts, Clock, Cpu, Crash, Debugger, Edits, Event, Events, FaultRecord, Faults, FrameInfo,
    FrameTotals, Frames, Interrupts, Lines, Place, Power, PowerError, Processes, Region, Snapshots,
    Sources, Stacks, Switches, Symbols, Target, Threads,
};
use spin::Once;

use crate::arch::{cpu, features, snapshot};
use crate::attempts::LiveAttempts;
use crate::boot::Summary;
use crate::crash::CrashKernel;
use crate::debugger::{self, LiveDebugger};
use crate::devices::{power, timer};
use crate::memory::edits::LiveEdits;
use crate::memory::frames::{self, Owner};
use crate::memory::physmap::LiveMemory;
use crate::memory::snapshots::LiveSnapshots;
use crate::memory::{layout, master};
use crate::process::{self, COPY_ON_WRITE, LiveProcesses, ramdisk};
use crate::symbols::LiveSymbols;
use crate::{events, fault, faults, image};

static PAT: Once<u64> = Once::new();

/// Tells [`paging`] what the PAT holds now.
pub(crate) fn set_pat(pat: u64) {
    PAT.call_once(|| pat);
}

/// The paging mode this CPU is in.
pub(crate) fn paging() -> Paging {
    const LA57: u64 = 1 << 12;
    const NXE: u64 = 1 << 11;
    let features = features::get();
    Paging {
        levels: if cpu::cr4() & LA57 != 0 { 5 } else { 4 },
        phys_bits: features.phys_bits,
        nxe: cpu::efer() & NXE != 0,
        gib_pages: features.gib_pages,
        pat: PAT.get().copied().unwrap_or(MemoryType::POWER_ON_PAT),
    }
}

/// The kernel this code is part of.
pub(crate) struct LiveKernel {
    pub(crate) memory: LiveMemory,
    pub(crate) paging: Paging,
    pub(crate) summary: Summary,
    pub(crate) crash: CrashKernel,
    pub(crate) attempts: LiveAttempts,
    pub(crate) processes: LiveProcesses,
    pub(crate) snapshots: LiveSnapshots,
    pub(crate) edits: LiveEdits,
    pub(crate) symbols: LiveSymbols,
    pub(crate) debugger: LiveDebugger,
}

impl Target for LiveKernel {
    fn name(&self) -> &str {
        "kernel"
    }

    fn paging(&self) -> Paging {
        self.paging
    }

    fn memory(&mut self) -> &mut dyn PhysMemory {
        &mut self.memory
    }

    fn master(&self) -> Option<PhysAddr> {
        master::root()
    }

    fn copied_on_write(&self) -> u64 {
        COPY_ON_WRITE
    }

    fn regions(&self) -> &[Region] {
        layout::regions()
    }

    fn cpu(&mut self) -> Option<&mut dyn Cpu> {
        Some(self)
    }

    fn frames(&mut self) -> Option<&mut dyn Frames> {
        Some(self)
    }

    fn clock(&mut self) -> Option<&mut dyn Clock> {
        Some(self)
    }

    fn power(&mut self) -> Option<&mut dyn Power> {
        Some(self)
    }

    fn processes(&mut self) -> Option<&mut dyn Processes> {
        // The world may have been stopped while it changes the list.
        process::is_readable().then_some(&mut self.processes as &mut dyn Processes)
    }

    fn stacks(&mut self) -> Option<&mut dyn Stacks> {
        Some(&mut self.processes)
    }

    fn switches(&mut self) -> Option<&mut dyn Switches> {
        Some(&mut self.processes)
    }

    fn interrupts(&mut self) -> Option<&mut dyn Interrupts> {
        Some(self)
    }

    fn events(&mut self) -> Option<&mut dyn Events> {
        Some(self)
    }

    fn snapshots(&mut self) -> Option<&mut dyn Snapshots> {
        Some(&mut self.snapshots)
    }

    fn attempts(&mut self) -> Option<&mut dyn Attempts> {
        Some(&mut self.attempts)
    }

    fn faults(&mut self) -> Option<&mut dyn Faults> {
        Some(self)
    }

    fn edits(&mut self) -> Option<&mut dyn Edits> {
        Some(&mut self.edits)
    }

    fn symbols(&mut self) -> Option<&mut dyn Symbols> {
        Some(&mut self.symbols)
    }

    fn sources(&self) -> Option<&dyn Sources> {
        ramdisk::has_sources().then_some(&self.symbols as &dyn Sources)
    }

    fn threads(&mut self) -> Option<&mut dyn Threads> {
        process::is_readable().then_some(&mut self.processes as &mut dyn Threads)
    }

    fn debugger(&mut self) -> Option<&mut dyn Debugger> {
        Some(&mut self.debugger)
    }

    fn crash(&mut self) -> Option<&mut dyn Crash> {
        Some(&mut self.crash)
    }

    fn build_id(&self) -> &str {
        image::build_id()
    }

    fn identity(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{}", self.summary)?;
        let ticks = timer::ticks();
        match timer::nanoseconds() {
            Some(ns) => {
                let ms = ns / 1_000_000;
                writeln!(
                    out,
                    "up {}.{:03} s, {ticks} timer interrupts",
                    ms / 1000,
                    ms % 1000
                )
            }
            None => writeln!(out, "{ticks} timer interrupts"),
        }
    }
}

impl Cpu for LiveKernel {
    fn registers(&mut self) -> Registers {
        debugger::stopped_registers().unwrap_or_else(snapshot::registers)
    }
}

impl Frames for LiveKernel {
    fn totals(&mut self) -> FrameTotals {
        let (total, free) = (frames::total(), frames::count(Owner::Free));
        FrameTotals {
            total,
            free,
            used: total.saturating_sub(free),
        }
    }

    fn owner(&mut self, index: usize) -> Option<(&'static str, u64)> {
        frames::owner(index)
    }

    fn fail_after(&mut self, requests: Option<u64>) -> bool {
        frames::fail_after(requests);
        true
    }

    fn end(&mut self) -> PhysAddr {
        frames::end()
    }

    fn frame(&mut self, at: PhysAddr) -> Option<FrameInfo> {
        frames::info(at)
    }

    fn changes(&mut self) -> u64 {
        frames::changes()
    }

    fn clear_tallies(&mut self) {
        frames::clear_tallies();
    }

    fn tally(&mut self, at: PhysAddr) {
        frames::tally(at);
    }

    fn place(&mut self, va: VirtAddr) -> Place {
        process::place(va)
    }
}

impl Interrupts for LiveKernel {
    fn is_enabled(&mut self) -> bool {
        cpu::interrupts_are_on()
    }

    fn lines(&mut self) -> Lines {
        timer::lines()
    }

    fn counter(&mut self, vector: u8) -> u64 {
        fault::counter(vector)
    }
}

impl Events for LiveKernel {
    fn oldest(&mut self) -> u64 {
        events::bounds().0
    }

    fn newest(&mut self) -> u64 {
        events::bounds().1
    }

    fn get(&mut self, seq: u64) -> Option<Event> {
        events::get(seq)
    }

    fn cost(&mut self) -> Option<u64> {
        Some(events::cost())
    }
}

impl Faults for LiveKernel {
    fn oldest(&mut self) -> u64 {
        faults::bounds().0
    }

    fn newest(&mut self) -> u64 {
        faults::bounds().1
    }

    fn get(&mut self, seq: u64) -> Option<FaultRecord> {
        faults::get(seq)
    }
}

impl Clock for LiveKernel {
    fn cycles(&mut self) -> u64 {
        cpu::cycles()
    }

    fn nanoseconds(&mut self) -> Option<u64> {
        timer::nanoseconds()
    }
}

impl Power for LiveKernel {
    fn reboot(&mut self) -> PowerError {
        power::reset();
        PowerError::StillHere {
            tried: "the keyboard controller and port 0xcf9",
        }
    }

    fn poweroff(&mut self) -> PowerError {
        power::off();
        PowerError::StillHere {
            tried: "the ACPI ports of QEMU, Bochs and VirtualBox",
        }
    }
}
