//! An empty disk file over another one, in QEMU's format, since only that holds snapshots.
//!
//! Written here rather than by `qemu-img`, which is a Debian package of its own: it is a header of
//! fixed form, one refcount table, one refcount block and an empty table of clusters. The format is
//! documented in QEMU's sources, `docs/interop/qcow2.txt`; all numbers are big-endian.

use std::path::Path;

use anyhow::{Context as _, ensure};

const CLUSTER_BITS: u32 = 16;
const CLUSTER: usize = 1 << CLUSTER_BITS;
/// One entry of the first-level table stands for as many bytes of the disk.
const L1_COVERS: u64 = (CLUSTER as u64 / 8) << CLUSTER_BITS;
const HEADER_BYTES: u32 = 104;
/// "Backing file format name".
const BACKING_FORMAT: u32 = 0xe279_2aca;

/// Writes an overlay over a raw disk, beside which it must stay: the disk is named without a folder.
///
/// # Errors
///
/// When the disk cannot be read, is too large, or the overlay cannot be written.
pub fn overlay(file: &Path, disk: &Path) -> anyhow::Result<()> {
    let about = std::fs::metadata(disk).with_context(|| format!("no {}", disk.display()))?;
    let name = disk.file_name().context("a disk without a name")?;
    let bytes = content(name.as_encoded_bytes(), about.len())?;
    std::fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))
}

fn content(name: &[u8], disk_bytes: u64) -> anyhow::Result<Vec<u8>> {
    let l1_entries = disk_bytes.div_ceil(L1_COVERS).max(1);
    // The clusters: header, refcount table, refcount block, first-level table.
    ensure!(l1_entries <= CLUSTER as u64 / 8, "the disk is too large");
    ensure!(name.len() < 1024, "the disk's name is too long");
    let name_at = u64::from(HEADER_BYTES) + 8 + 8 + 8;
    let cluster = |number: u64| number << CLUSTER_BITS;

    let mut header = Vec::new();
    header.extend(b"QFI\xfb");
    header.extend(3_u32.to_be_bytes());
    header.extend(name_at.to_be_bytes());
    header.extend((name.len() as u32).to_be_bytes());
    header.extend(CLUSTER_BITS.to_be_bytes());
    header.extend(disk_bytes.to_be_bytes());
    header.extend(0_u32.to_be_bytes()); // not encrypted
    header.extend((l1_entries as u32).to_be_bytes());
    header.extend(cluster(3).to_be_bytes());
    header.extend(cluster(1).to_be_bytes());
    header.extend(1_u32.to_be_bytes()); // clusters of the refcount table
    header.extend([0; 4 + 8]); // no snapshots
    header.extend([0; 3 * 8]); // no features
    header.extend(4_u32.to_be_bytes()); // refcounts of 16 bits
    header.extend(HEADER_BYTES.to_be_bytes());
    header.extend(BACKING_FORMAT.to_be_bytes());
    header.extend(3_u32.to_be_bytes());
    header.extend(b"raw\0\0\0\0\0");
    header.extend([0; 8]); // the end of the extensions
    header.extend(name);

    let mut refcount_table = cluster(2).to_be_bytes().to_vec();
    refcount_table.resize(CLUSTER, 0);
    let mut refcounts = 1_u16.to_be_bytes().repeat(4);
    refcounts.resize(CLUSTER, 0);
    header.resize(CLUSTER, 0);
    Ok([header, refcount_table, refcounts, vec![0; CLUSTER]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As QEMU 7.2's `qemu-img create -f qcow2 -b d -F raw` writes the same fields.
    #[test]
    fn the_header_says_where_everything_is() {
        let bytes = content(b"d", 4 << 20).expect("small enough");
        let u32_at = |at: usize| {
            let word = bytes.get(at..at + 4).expect("in the header");
            u32::from_be_bytes(word.try_into().expect("four bytes"))
        };
        assert_eq!(bytes.len(), 4 * CLUSTER);
        assert_eq!(u32_at(0), 0x5146_49fb);
        assert_eq!((u32_at(12), u32_at(16)), (128, 1), "the name");
        assert_eq!(bytes.get(128), Some(&b'd'));
        assert_eq!(u32_at(36), 1, "entries of the first-level table");
        assert_eq!((u32_at(44), u32_at(52)), (3 << 16, 1 << 16));
        assert_eq!((u32_at(96), u32_at(100)), (4, 104));
        assert!(content(b"d", 1 << 62).is_err());
    }
}
