//! What QEMU's monitor says about page tables: the other side of the oracle.
//!
//! `info tlb` prints a line for each present leaf, `ADDRESS: FRAME FLAGS`, where FLAGS are the
//! bits of the leaf entry alone, in the order X G P D A C T U W: X is bit 63 (no execute), P is
//! bit 7. Nothing here shares code with what it is compared to.

use anyhow::{Context as _, Result, bail};

/// One line of `info tlb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlbLine {
    /// The first virtual address of the page.
    pub va: u64,
    /// The frame.
    pub pa: u64,
    /// The flags, as bits of the entry.
    pub flags: u64,
}

/// The entry bit behind each column of the flags.
const COLUMNS: [(u8, u32); 9] = [
    (b'X', 63),
    (b'G', 8),
    (b'P', 7),
    (b'D', 6),
    (b'A', 5),
    (b'C', 4),
    (b'T', 3),
    (b'U', 2),
    (b'W', 1),
];

/// Every bit that `info tlb` shows.
#[must_use]
pub fn shown_bits() -> u64 {
    COLUMNS.iter().map(|(_, bit)| 1u64 << bit).sum()
}

/// Reads all of `info tlb`.
///
/// # Errors
///
/// For a line that is not of the form above.
pub fn info_tlb(text: &str) -> Result<Vec<TlbLine>> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| tlb_line(line).with_context(|| format!("info tlb: {line}")))
        .collect()
}

fn tlb_line(line: &str) -> Result<TlbLine> {
    let (va, rest) = line.split_once(": ").context("no colon")?;
    let (pa, letters) = rest.split_once(' ').context("no flags")?;
    if letters.len() != COLUMNS.len() {
        bail!("{} flags instead of {}", letters.len(), COLUMNS.len());
    }
    let mut flags = 0;
    for (letter, (name, bit)) in letters.bytes().zip(COLUMNS) {
        match letter {
            b'-' => {}
            letter if letter == name => flags |= 1 << bit,
            other => bail!("{:?} where {:?} or - belongs", other as char, name as char),
        }
    }
    Ok(TlbLine {
        va: u64::from_str_radix(va, 16)?,
        pa: u64::from_str_radix(pa, 16)?,
        flags,
    })
}

/// Reads the answer of `gva2gpa`: the physical address, or `None` for "Unmapped".
///
/// # Errors
///
/// For any other answer.
pub fn gva2gpa(text: &str) -> Result<Option<u64>> {
    let text = text.trim();
    if text == "Unmapped" {
        return Ok(None);
    }
    // Printed with `%#x`, which leaves a zero bare.
    let digits = text
        .strip_prefix("gpa: 0x")
        .or_else(|| text.strip_prefix("gpa: ").filter(|digits| *digits == "0"))
        .with_context(|| format!("gva2gpa: {text}"))?;
    Ok(Some(u64::from_str_radix(digits, 16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lines_as_qemu_prints_them() {
        let text = "ffff800000000000: 0000000001000000 X--DA---W\r\n\
                    ffff818000200000: 0000000000200000 X-PDA---W\r\n";
        let lines = info_tlb(text).unwrap();
        assert_eq!(lines[0].va, 0xffff_8000_0000_0000);
        assert_eq!(lines[0].pa, 0x100_0000);
        assert_eq!(lines[0].flags, 1 << 63 | 1 << 6 | 1 << 5 | 1 << 1);
        assert_eq!(lines[1].flags, 1 << 63 | 1 << 7 | 1 << 6 | 1 << 5 | 1 << 1);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert!(info_tlb("ffff800000000000: 0000000001000000 Z--DA---W").is_err());
        assert!(info_tlb("ffff800000000000: 0000000001000000 X--DA").is_err());
        assert!(info_tlb("no cpu").is_err());
        assert!(gva2gpa("nonsense").is_err());
        assert_eq!(gva2gpa("Unmapped\r\n").unwrap(), None);
        assert_eq!(gva2gpa("gpa: 0x1234\r\n").unwrap(), Some(0x1234));
        assert_eq!(gva2gpa("gpa: 0\r\n").unwrap(), Some(0));
        assert!(gva2gpa("gpa: 1234").is_err());
    }
}
