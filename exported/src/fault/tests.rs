use super::*;
use std::format;

/// A memory of a few words.
struct Words<'a>(&'a [(u64, u64)]);

impl PhysMemory for Words<'_> {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        if at.0 >= 0xfec0_0000 {
            return Err(ReadError::Device { at });
        }
        let found = self.0.iter().find(|(place, _)| *place == at.0);
        let (_, raw) = found.ok_or(ReadError::NoMemory { at })?;
        buf.copy_from_slice(&raw.to_le_bytes());
        Ok(())
    }
}

fn record(walked: Option<Walk>, registers: Registers) -> FaultRecord {
    FaultRecord {
        seq: 7,
        cycles: 123,
        vector: 14,
        took: 77,
        panic: (walked.is_none()).then(|| "nothing".try_into().expect("it is short")),
        error: 6,
        registers,
        pid: 3,
        name: "hello".try_into().expect("it is short"),
        is_master: false,
        code: Code::new(&[0x48, 0xcf]),
        walk: walked,
        named: None,
        stack: Some(OnStack {
            name: "kernel stack",
            number: Some(0),
            bottom: VirtAddr(0x1000),
            top: VirtAddr(0x2000),
        }),
        guard: Some(OnStack {
            name: IST_NAMES[3],
            number: None,
            bottom: VirtAddr(0x3000),
            top: VirtAddr(0x4000),
        }),
        backtrace: Backtrace {
            calls: Vec::from_iter([
                Call {
                    rip: VirtAddr(0x40_0000),
                    is_interrupted: true,
                    entry: Some(0x100),
                    is_guess: false,
                    repeats: 0,
                },
                Call {
                    rip: VirtAddr(0x40_1000),
                    is_interrupted: false,
                    entry: None,
                    is_guess: true,
                    repeats: 9,
                },
            ]),
            ends: "more calls than are followed"
                .try_into()
                .expect("it is short"),
        },
    }
}

#[test]
fn a_fault_comes_back_as_it_was() {
    let paging = Paging::four_level(40);
    let memory = [
        (0x1000, 0x2007),
        (0x2000, 0x3007),
        (0x3000, 0x4007),
        (0x4000, 0x5001),
        (0x1008, 0x9_9007),
        (0x1010, 0xfec0_0007),
        (0x1018, 0),
        (0x1020, 0x2007 | 1 << 7),
    ];
    for va in [0, 1 << 39, 2 << 39, 3 << 39, 4 << 39, 1 << 50] {
        let registers = Registers {
            cr3: 0x1018,
            cr2: va,
            rip: 0x40_0000,
            gdtr: machine::TablePointer {
                base: 0xffff_8000_0000_0000,
                limit: 0x47,
            },
            cs: 0x23,
            ..Registers::default()
        };
        let root = PhysAddr(registers.cr3);
        let walked = walk(&mut Words(&memory), &paging, root, VirtAddr(va));
        for walk in [None, Some(walked)] {
            let record = record(walk, registers);
            let again = Fault::new(&record).get(&paging);
            assert_eq!(format!("{record:?}"), format!("{again:?}"), "{va:#x}");
        }
    }
}

#[test]
fn what_an_error_code_names_comes_back_as_it_was() {
    for named in [
        None,
        Some(Named::Words {
            low: 0x00cf_7300_0000_ffff,
            high: u64::MAX,
        }),
        Some(Named::Beyond { limit: 0x7f }),
        Some(Named::NoTable),
    ] {
        let record = FaultRecord {
            named,
            ..record(None, Registers::default())
        };
        let again = Fault::new(&record).get(&Paging::four_level(40));
        assert_eq!(again.named, named);
    }
}

#[test]
fn counts_that_are_wrong_lead_nowhere() {
    let mut fault = Fault::new(&record(None, Registers::default()));
    fault.count = u64::MAX;
    fault.taken = u64::MAX;
    fault.walk = u64::MAX;
    fault.ends_bytes = u64::MAX;
    fault.code_bytes = u64::MAX;
    fault.panic_bytes = u64::MAX;
    fault.stack.name = u64::MAX;
    fault.named = u64::MAX;
    let record = fault.get(&Paging::four_level(40));
    assert_eq!(record.backtrace.calls.len(), CALLS);
    assert_eq!(record.stack, None);
}
