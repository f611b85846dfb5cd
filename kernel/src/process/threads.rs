//! Where threads stand that do not run, to walk up their stacks from there.

use machine::VirtAddr;
use shell::{Pid, Resting, Threads};
use unwinder::{Images, Registers};

use super::ability::saved_frame;
use super::{KERNEL, LiveProcesses, State, elf, ramdisk, table};
use crate::debugger;
use crate::image;
use crate::memory::master;
use crate::memory::physmap::LiveMemory;
use crate::target;

impl Threads for LiveProcesses {
    fn resting(&mut self, pid: Pid) -> Option<Resting> {
        let mut table = table();
        let rsp = match pid {
            // It waits for a request, unless a process was stopped whose turn it was.
            KERNEL if debugger::is_stopped() => table.kernel_rsp,
            KERNEL => debugger::world_rsp(),
            pid => {
                let process = table.get(pid)?;
                match process.state {
                    State::Running | State::Dead(_) => return None,
                    _ if process.is_new => {
                        let saved = saved_frame(process).registers(Default::default());
                        return Some(Resting {
                            registers: Registers::of(&saved),
                            is_interrupted: true,
                        });
                    }
                    _ => process.kernel_rsp,
                }
            }
        };
        // As `arch::switch` draws it: R15 is the lowest.
        let [r15, r14, r13, r12, rbp, rbx, rip] = words(rsp)?;
        let registers = Registers::kept([rbx, rbp, r12, r13, r14, r15], rsp + 56, rip);
        Some(Resting {
            registers,
            is_interrupted: debugger::is_beginning(rip),
        })
    }

    fn unwind_tables(&mut self, pid: Pid) -> Images<'static> {
        let name = table().get(pid).map(|process| process.name);
        let file = name.and_then(|name| ramdisk::program(name.text()));
        Images {
            kernel: image::unwind_tables(),
            program: file.and_then(|file| elf::unwind_tables(file.content)),
        }
    }
}

/// Words of a kernel stack.
fn words(at: u64) -> Option<[u64; 7]> {
    let root = master::root()?;
    let mut words = [0; 7];
    for (index, word) in (0_u64..).zip(&mut words) {
        let va = VirtAddr(at.checked_add(index * 8)?);
        let mut bytes = [0; 8];
        machine::read_virt(&mut LiveMemory, &target::paging(), root, va, &mut bytes).ok()?;
        *word = u64::from_le_bytes(bytes);
    }
    Some(words)
}
