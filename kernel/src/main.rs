//! The Ringwalk kernel: boots, builds its own master PML4, and runs the shell.
//!
//! This is the only crate that executes privileged instructions. What the instructions
//! mean is described as plain values in `machine`; what people type is understood in `shell`.
//! The modules that open the door to `unsafe` say why beside their declaration, and
//! `docs/architecture.md` lists them.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod arch;
mod attempts;
mod backtrace;
mod boot;
mod console;
#[expect(unsafe_code, reason = "faults on purpose")]
mod crash;
mod debugger;
mod devices;
mod events;
mod export;
mod fatal;
mod fault;
mod faults;
mod image;
mod input;
#[expect(
    unsafe_code,
    reason = "takes over what a thread that is gone had locked"
)]
mod lock;
mod memory;
mod panic;
mod process;
mod symbols;
mod target;
mod terminal;

use bootloader_api::{BootInfo, BootloaderConfig, config::Mapping, entry_point};

/// Everything the bootloader maps goes to the upper half, so that slots 0-255 are free for processes.
static CONFIG: BootloaderConfig = {
    let mut config = BootloaderConfig::new_default();
    config.mappings.dynamic_range_start = Some(memory::layout::UPPER_HALF);
    config.mappings.physical_memory = Some(Mapping::Dynamic);
    config.kernel_stack_size = 96 * 1024;
    config
};

entry_point!(start, config = &CONFIG);

/// The first Rust code that runs, on the bootloader's stack and page tables.
fn start(info: &'static mut BootInfo) -> ! {
    arch::cpu::nobody_called();
    boot::first_half(info)
}
