//! Bytes damaged on purpose, and every question that can be asked about them.
//!
//! The seeded tests in `tests/symbols/damage.rs` and the fuzz targets in `symbolizer/fuzz` share this.

use std::ops::{ControlFlow, Range};

use machine::{End, VirtAddr, VirtError};
use symbolizer::Index;
use symbolizer::dwarf::{Debug, Elf};
use unwinder::{Image, Registers};

use crate::random::Random;

/// Changes some bytes: those of `places` most of the time, if there are any.
pub fn damage(bytes: &mut Vec<u8>, places: &[Range<usize>], random: &mut Random) {
    for _ in 0..=random.below(6) {
        let whole = 0..bytes.len();
        let range = match random.below(8) {
            0 => &whole,
            _ if places.is_empty() => &whole,
            _ => random.pick(places),
        };
        let length = (range.end - range.start) as u64;
        if length == 0 {
            continue;
        }
        let at = range.start + random.below(length) as usize;
        match random.below(8) {
            0 => bytes[at] = 0,
            1 => bytes[at] = 0xff,
            2 => bytes[at] = 0x7f,
            3 => bytes[at] ^= 1 << random.below(8),
            4 => bytes[at] = bytes[at].wrapping_add(1),
            5 => {
                // A piece of the file somewhere else in it.
                let from = random.below(bytes.len() as u64) as usize;
                let length = (random.below(16) as usize).min(bytes.len() - from.max(at));
                bytes.copy_within(from..from + length, at);
            }
            6 => {
                let number = [
                    0u64,
                    1,
                    0x7fff_ffff,
                    u64::from(u32::MAX),
                    u64::MAX,
                    random.number(),
                ];
                let word = random.pick(&number).to_le_bytes();
                let length = 8.min(bytes.len() - at);
                bytes[at..at + length].copy_from_slice(&word[..length]);
            }
            _ => bytes[at] = random.below(256) as u8,
        }
    }
    if random.below(40) == 0 {
        bytes.truncate(random.below(bytes.len() as u64) as usize);
    }
}

/// Asks a file everything that can be asked. Whether there was somebody to answer.
pub fn ask_file(bytes: &[u8], random: &mut Random) -> bool {
    let Ok(elf) = Elf::read(bytes) else {
        return false;
    };
    let Ok(debug) = Debug::read(&elf) else {
        return false;
    };
    let mut asked = vec![0, 1, u64::MAX, random.number()];
    for range in elf.code().iter().take(4) {
        let length = range.end.saturating_sub(range.start).clamp(1, 1 << 20);
        asked.extend((0..8).map(|_| range.start.saturating_add(random.below(length))));
    }
    for address in asked {
        let _ = debug.frames(address);
    }
    true
}

/// Asks an index everything that can be asked, and prints it, so that every text is put together.
pub fn ask_index(index: &Index<'_>, random: &mut Random) -> usize {
    let mut printed = 0;
    let mut on = |stretch: symbolizer::index::Stretch<'_>| {
        printed += usize::from(stretch.bytes > 0);
        match printed > 1000 {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    index.line("inlined.rs", 20, &mut on);
    index.inlined("map", &mut on);
    index.inlined_only("o", |_| ControlFlow::Continue(()));
    let mut starts: Vec<u64> = index
        .symbols()
        .take(8)
        .map(|symbol| symbol.address)
        .collect();
    starts.extend([0, u64::MAX, random.number()]);
    for start in starts {
        let address = start.wrapping_add(random.below(200));
        if let Some(found) = index.lookup(address) {
            printed += found.to_string().len();
            printed += found
                .frames
                .map(|frame| frame.to_string().len())
                .sum::<usize>();
        }
        let _ = index.lookup_call(address);
    }
    printed
}

/// Where the tables of [`unwind_tables`] are, and the code they are about.
const HEADER: u64 = 0x1000;
const FUNCTIONS: u64 = 0x4000;
const FUNCTION_BYTES: u64 = 0x40;
const BASE: u64 = 0xffff_8000_0000_0000;
/// How far a walk goes on a stack whose words are all made up.
const MOST_STEPS: usize = 32;

/// Unwind tables as a compiler writes them, with instructions that no compiler would: a segment from
/// `HEADER` on, with `.eh_frame_hdr` and then `.eh_frame`.
pub fn unwind_tables(random: &mut Random) -> Vec<u8> {
    let count = 1 + random.below(4);
    let frames_at = HEADER + 12 + 8 * count;
    let augmentation: &[u8] = random.pick::<&[u8]>(&[b"zR", b"zRS", b"zPLR", b"z", b""]);
    let mut common = vec![1];
    common.extend(augmentation);
    // Factors 1 and -8, the return address in column 16; then one byte about addresses in FDEs: relative, four
    // bytes.
    common.extend([0, 1, 0x78, 16, 1, 0x1b]);
    common.extend([0x0c, 7, 8, 0x90, 1]);
    common.extend(instructions(random));
    let mut frames = entry(0, &common);
    let mut rows = Vec::new();
    for number in 0..count {
        let start = frames.len() as u64;
        let function = FUNCTIONS + number * FUNCTION_BYTES;
        let mut body = relative(function, frames_at + start + 8).to_vec();
        body.extend((FUNCTION_BYTES as u32).to_le_bytes());
        body.push(0);
        body.extend(instructions(random));
        frames.extend(entry(start as u32 + 4, &body));
        rows.extend(relative(function, HEADER));
        rows.extend(relative(frames_at + start, HEADER));
    }
    frames.extend([0; 4]);
    // Version 1; relative pointers of four bytes, a count of four, a table relative to here.
    let mut out = vec![1, 0x1b, 3, 0x3b];
    out.extend(relative(frames_at, HEADER + 4));
    out.extend((count as u32).to_le_bytes());
    out.extend(rows);
    out.extend(frames);
    out
}

/// Call frame instructions with operands, whether they make sense or not (DWARF 5, section 7.24).
fn instructions(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..random.below(24) {
        match random.below(4) {
            // advance_loc, offset, restore
            0 => out.push((1 + random.below(3) as u8) << 6 | random.below(20) as u8),
            1 => out.push(*random.pick(&[0x0a, 0x0b, 0x2d])),
            _ => out.push(random.below(0x30) as u8),
        }
        out.extend((0..random.below(3)).map(|_| random.below(40) as u8));
    }
    out
}

/// A length, what says which entry it belongs to, and the rest, filled up with nops.
fn entry(id: u32, body: &[u8]) -> Vec<u8> {
    let padded = (body.len() + 4).next_multiple_of(8) + 4;
    let mut out = (padded as u32).to_le_bytes().to_vec();
    out.extend(id.to_le_bytes());
    out.extend(body);
    out.resize(padded + 4, 0);
    out
}

fn relative(to: u64, from: u64) -> [u8; 4] {
    (to.wrapping_sub(from) as u32).to_le_bytes()
}

/// Walks up made-up stacks by these tables. Gives back how many steps up there were.
pub fn ask_tables(segment: &[u8], random: &mut Random) -> usize {
    let Ok(image) = Image::new(segment, HEADER, HEADER, BASE) else {
        return 0;
    };
    let mut steps = 0;
    for _ in 0..4 {
        let rip = BASE + FUNCTIONS + random.below(5 * FUNCTION_BYTES);
        let stack = BASE + 0x10_0000;
        let mut registers = Registers::new([stack; 16], rip);
        let mut is_interrupted = random.below(2) == 0;
        for _ in 0..MOST_STEPS {
            let mut read = |at: VirtAddr| match at.0 % 64 {
                56 => Err(VirtError {
                    at,
                    why: End::NonCanonical,
                    memory: None,
                }),
                _ => Ok(BASE + FUNCTIONS + at.0 % (4 * FUNCTION_BYTES)),
            };
            let step = unwinder::by_tables(&image, &registers, is_interrupted, &mut read)
                .or_else(|_| unwinder::by_frame_pointer(&registers, &mut read));
            let Ok(caller) = step else { break };
            steps += 1;
            (registers, is_interrupted) = (caller.registers, caller.is_interrupted);
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undamaged_tables_are_walked_by() {
        let mut random = Random::new(1);
        let steps: usize = (0..500)
            .map(|_| {
                let tables = unwind_tables(&mut random);
                ask_tables(&tables, &mut random)
            })
            .sum();
        assert!(steps > 500, "{steps}");
    }
}
