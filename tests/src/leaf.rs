//! The lines of `map leaves`, read back from their text alone.

use anyhow::{Context as _, Result};

/// `VA PA SIZE RAWENTRY RIGHTS TYPE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafLine {
    /// The first virtual address.
    pub va: u64,
    /// The frame.
    pub pa: u64,
    /// `4K`, `2M` or `1G`.
    pub size: String,
    /// The entry as read from memory.
    pub raw: u64,
    /// Effective rights, such as `-rw-`.
    pub rights: String,
}

impl LeafLine {
    /// Bytes in the page.
    ///
    /// # Errors
    ///
    /// For a size that is none.
    pub fn bytes(&self) -> Result<u64> {
        match self.size.as_str() {
            "4K" => Ok(4 << 10),
            "2M" => Ok(2 << 20),
            "1G" => Ok(1 << 30),
            other => anyhow::bail!("no page size: {other}"),
        }
    }
}

/// A number as the shell prints it: `0x`, underscores.
///
/// # Errors
///
/// For anything else.
pub fn hex(text: &str) -> Result<u64> {
    let digits = text
        .strip_prefix("0x")
        .with_context(|| format!("not an address: {text}"))?;
    Ok(u64::from_str_radix(&digits.replace('_', ""), 16)?)
}

/// Reads the leaf lines of `map leaves`, leaving out its summary, which is the last line.
///
/// # Errors
///
/// For a line that is not of the form above.
pub fn read(output: &[String]) -> Result<Vec<LeafLine>> {
    let (_, leaves) = output.split_last().context("no output")?;
    leaves
        .iter()
        .map(|line| read_line(line).with_context(|| line.clone()))
        .collect()
}

fn read_line(line: &str) -> Result<LeafLine> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [va, pa, size, raw, rights, ..] = words.as_slice() else {
        anyhow::bail!("fewer than five words");
    };
    Ok(LeafLine {
        va: hex(va)?,
        pa: hex(pa)?,
        size: (*size).to_owned(),
        raw: u64::from_str_radix(raw, 16)?,
        rights: (*rights).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_with_underscores() {
        assert_eq!(hex("0xffff_8000_0000_0000").unwrap(), 0xffff_8000_0000_0000);
        assert!(hex("1234").is_err());
    }

    #[test]
    fn the_last_line_is_the_summary() {
        let line = "0xffff_8000_0000_0000 0x0000_0100_0000 4K 8000000001000001 -r-- WB";
        let leaves = read(&[line.to_owned(), "1 page".to_owned()]).unwrap();
        assert_eq!(leaves.len(), 1);
        assert_eq!(leaves[0].raw, 0x8000_0000_0100_0001);
        assert_eq!(leaves[0].rights, "-r--");
    }
}
