//! Two faults that were written down: a program's, and the kernel's.

use machine::{Code, PhysAddr, Registers, VirtAddr, walk};

use super::{Machine, ROOT, process_root};
use crate::{Backtrace, Call, FaultRecord, Faults, OnStack, ProcessName};

/// The faults from number 3 on; two older ones have been overwritten.
#[derive(Clone)]
pub(crate) struct Mishaps(pub(crate) Vec<FaultRecord>);

impl Mishaps {
    /// A write of pid 2 to its own code, and a kernel stack that was used up.
    pub(crate) fn new(machine: &mut Machine) -> Self {
        let base = Registers {
            cr0: 0x8001_0033,
            cr4: 0x30_0620,
            efer: 0xd01,
            ..Registers::default()
        };
        let user = Registers {
            rip: 0x40_0123,
            rsp: 0x60_0f00,
            rflags: 0x202,
            cs: 0x23,
            ss: 0x1b,
            rax: 0x40_0000,
            rdi: 0xffff_8000_0000_1000,
            cr2: 0x40_0000,
            cr3: process_root(2).0,
            ..base
        };
        let kernel = Registers {
            rip: 0xffff_8000_0000_0042,
            rsp: 0xffff_c900_0000_1000,
            rflags: 0x46,
            cs: 8,
            ss: 0x10,
            cr2: 0xffff_c900_0000_0ff8,
            cr3: ROOT,
            ..base
        };
        let paging = machine.memory.paging;
        let mut walk_of = |registers: &Registers| {
            let root = PhysAddr(registers.cr3);
            walk(&mut machine.memory, &paging, root, VirtAddr(registers.cr2))
        };
        let program = FaultRecord {
            seq: 3,
            cycles: 5000,
            vector: 14,
            panic: None,
            error: 7,
            pid: 2,
            name: ProcessName::try_from("scribbler").expect("it fits"),
            is_master: false,
            code: Code::new(&[0xc6, 0x00, 0x01]),
            walk: Some(walk_of(&user)),
            named: None,
            stack: Some(OnStack {
                name: "stack of the program",
                number: None,
                bottom: VirtAddr(0x60_0000),
                top: VirtAddr(0x60_1000),
            }),
            guard: None,
            backtrace: Backtrace {
                calls: [(0x40_0123, false), (0x40_0200, false)]
                    .map(|(rip, is_interrupted)| Call {
                        rip: VirtAddr(rip),
                        is_interrupted,
                        entry: None,
                        is_guess: false,
                        repeats: 0,
                    })
                    .into_iter()
                    .collect(),
                ends: heapless::String::new(),
            },
            took: 700,
            registers: user,
        };
        let stack = OnStack {
            name: "kernel stack",
            number: Some(7),
            bottom: VirtAddr(0xffff_c900_0000_1000),
            top: VirtAddr(0xffff_c900_0001_1000),
        };
        let call = |rip, is_interrupted, repeats| Call {
            rip: VirtAddr(rip),
            is_interrupted,
            entry: None,
            is_guess: repeats > 0,
            repeats,
        };
        let kernel = FaultRecord {
            seq: 4,
            cycles: 9000,
            vector: 8,
            panic: None,
            error: 0,
            pid: 0,
            name: ProcessName::new(),
            is_master: true,
            code: Code::default(),
            walk: None,
            named: None,
            stack: Some(stack),
            guard: Some(stack),
            backtrace: Backtrace {
                calls: [
                    call(0xffff_8000_0000_0042, true, 0),
                    call(0xffff_8000_0000_0050, false, 111),
                    call(0xffff_8000_0000_0099, true, 0),
                ]
                .into_iter()
                .collect(),
                ends: heapless::String::try_from("no unwind table is about it").expect("it fits"),
            },
            took: 900,
            registers: kernel,
        };
        Mishaps(vec![program, kernel])
    }
}

impl Faults for Mishaps {
    fn oldest(&mut self) -> u64 {
        3
    }
    fn newest(&mut self) -> u64 {
        self.0.last().map_or(0, |record| record.seq)
    }
    fn get(&mut self, seq: u64) -> Option<FaultRecord> {
        self.0.iter().find(|record| record.seq == seq).cloned()
    }
}
