//! Memory that holds nonsense, in every place of it: there is an answer in words, and an end.

use std::mem::offset_of;

use exported::{Beacon, Header, MAGIC, PhysRange, Record, VERSION};
use machine::Registers;

use crate::memory::Memory;
use crate::outside::Outside;
use crate::run::Session;
use crate::source::{Hint, Source};

const MIB: u64 = 1 << 20;
/// Where physical address 0 is mapped, by pages of 1 GiB.
const UPPER: u64 = 0xffff_8000_0000_0000;
const BEACON: u64 = 0x3000;
const HEADER: u64 = 0x4000;
const RANGES: u64 = 0x8000;
const SLOTS: u64 = 0x9000;
const PROCESS: u64 = 0xa000;

/// Four MiB of memory, whose tables at 0x1000 map all of it twice: at 0, and in the upper half.
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    fn new() -> Self {
        let mut memory = Bytes(vec![0; 4 * MIB as usize]);
        memory.put(0x1000, &[0x2003]);
        memory.put(0x1000 + 256 * 8, &[0x2003]);
        memory.put(0x2000, &[0x83]);
        let [first, second] = MAGIC;
        let at = UPPER + BEACON;
        let bytes = Header::BYTES as u64;
        let beacon = [first, second, VERSION, at, UPPER + HEADER, bytes, 0x1000, 4];
        memory.put(BEACON, &beacon);
        memory.put(RANGES, &[0, 4 * MIB]);
        let field = |memory: &mut Bytes, offset: usize, words: &[u64]| {
            memory.put(HEADER + offset as u64, words);
        };
        field(&mut memory, offset_of!(Header, paging), &[4, 40, 1, 1]);
        field(&mut memory, offset_of!(Header, ram), &[UPPER + RANGES, 1]);
        let processes = [UPPER + SLOTS, 64];
        field(&mut memory, offset_of!(Header, processes), &processes);
        memory
    }

    fn put(&mut self, at: u64, words: &[u64]) {
        for (index, word) in words.iter().enumerate() {
            let at = at as usize + index * 8;
            self.0[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
    }
}

impl Source for Bytes {
    fn read(&mut self, at: u64, buf: &mut [u8]) -> anyhow::Result<()> {
        let at = usize::try_from(at)?;
        let bytes = self.0.get(at..).and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(bytes.ok_or_else(|| anyhow::anyhow!("no memory at {at:#x}"))?);
        Ok(())
    }

    fn registers(&mut self) -> anyhow::Result<Registers> {
        Ok(Registers {
            cr3: 0x1000,
            ..Registers::default()
        })
    }

    fn ram(&mut self) -> anyhow::Result<Vec<PhysRange>> {
        Ok(vec![PhysRange {
            start: 0,
            end: 4 * MIB,
        }])
    }

    fn hint(&mut self) -> Hint {
        Hint::default()
    }

    fn found(&mut self, _: u64) {}
}

fn refusal(memory: Bytes) -> String {
    match Outside::look(Memory::new(Box::new(memory))) {
        Ok(_) => "it was found".to_owned(),
        Err(why) => format!("{why:#}"),
    }
}

fn shown(memory: Bytes, line: &str) -> String {
    let mut session = Session::new(Box::new(memory)).expect("it is found");
    let mut out = Vec::new();
    session.command(line, &mut |line| out.push(line.to_owned()));
    out.join("\n")
}

#[test]
fn no_kernel_is_said_in_words() {
    let empty = Bytes(vec![0; MIB as usize]);
    assert_eq!(
        refusal(empty),
        "there is no kernel in memory, or it is not through its boot: nothing there begins with its \
         mark"
    );
}

#[test]
fn another_version_is_said_in_words() {
    let mut memory = Bytes::new();
    let at = BEACON + offset_of!(Beacon, version) as u64;
    memory.put(at, &[VERSION + 6]);
    assert_eq!(
        refusal(memory),
        format!(
            "the kernel's records have version {}, and this program reads version {VERSION}: build \
             both from the same sources",
            VERSION + 6
        )
    );
    let mut memory = Bytes::new();
    let at = BEACON + offset_of!(Beacon, header_bytes) as u64;
    memory.put(at, &[8]);
    assert!(refusal(memory).starts_with("the kernel's header has 8 bytes, and version"));
}

#[test]
fn a_header_that_is_not_there_is_said_in_words() {
    let mut memory = Bytes::new();
    let at = BEACON + offset_of!(Beacon, master) as u64;
    memory.put(at, &[0xdead_0000]);
    assert_eq!(
        refusal(memory),
        "the kernel's header at 0xffff_8000_0000_4000 cannot be read by its tables at \
         0x0000_dead_0000"
    );
}

#[test]
fn what_a_kernel_before_a_reset_left_behind_is_passed_over() {
    let mut memory = Bytes::new();
    // It says that it is elsewhere.
    let at = BEACON + offset_of!(Beacon, at) as u64;
    memory.put(at, &[UPPER + 0x20_0000]);
    assert!(refusal(memory).starts_with("there is no kernel in memory"));
}

#[test]
fn damaged_processes_are_named_and_the_others_shown() {
    let mut memory = Bytes::new();
    let good = PROCESS;
    memory.put(
        SLOTS,
        &[UPPER + good, 0, UPPER + 0x40_0000, UPPER + 0x10_0000],
    );
    // Pid 7, parent 0, `ab`, ready.
    memory.put(good, &[7, 0x6261]);
    let state = offset_of!(exported::Process, state) as u64;
    memory.put(good + state, &[1]);
    // One without a state.
    memory.put(0x10_0000, &[8, 0x63]);
    memory.put(0x10_0000 + state, &[99]);
    let text = shown(memory, "ps");
    assert!(text.contains("ready") && text.contains(" ab"), "{text}");
    for at in ["0xffff_8000_0040_0000", "0xffff_8000_0010_0000"] {
        let note = format!(
            "note: the record of a process at {at} is damaged: it cannot be read, or its state is none"
        );
        assert!(text.contains(&note), "{text}");
    }
}

#[test]
fn whatever_the_header_holds_there_is_an_end() {
    const LINES: [&str; 12] = [
        "ps",
        "map",
        "map 7",
        "stacks",
        "frames",
        "frame 0x1000",
        "events last=5",
        "faults",
        "check",
        "iret",
        "switch 7",
        "walk 0xffff_8000_0000_0000 master",
    ];
    // xorshift64
    let mut state = 0x5249_4e47_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..300 {
        let mut memory = Bytes::new();
        memory.put(SLOTS, &[UPPER + PROCESS]);
        for offset in (0..Header::BYTES as u64).step_by(8) {
            let word = match random() % 8 {
                0 => random(),
                1 => u64::MAX,
                2 => UPPER + random() % (4 * MIB),
                3 => random() % (4 * MIB),
                4 => random() % 16,
                _ => continue,
            };
            memory.put(HEADER + offset, &[word]);
        }
        for _ in 0..20 {
            let at = PROCESS + random() % 64 * 8;
            memory.put(at, &[UPPER + random() % (4 * MIB)]);
        }
        memory.put(PROCESS, &[7]);
        let Ok(mut session) = Session::new(Box::new(memory)) else {
            continue;
        };
        for line in LINES {
            let mut lines = 0;
            session.command(line, &mut |_| lines += 1);
            assert!(lines > 0, "{line} says nothing");
        }
    }
}
