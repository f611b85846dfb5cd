//! What boots beside the kernel: the programs, and an index of symbols for each of them and for the
//! kernel, in one archive.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use crate::freestanding;
use crate::kernel::Kernel;
use crate::programs::Programs;
use crate::project::Project;

/// Where the indexes are in the archive.
const SYMBOLS: &str = "symbols";

/// Packs the archive for a kernel: POSIX ustar, and the same bytes for the same files.
///
/// # Errors
///
/// When a file cannot be read or written, or has debug information that cannot be.
pub fn build(project: &Project, kernel: &Kernel, programs: &Programs) -> anyhow::Result<PathBuf> {
    let folder = project.target().join("symbols");
    std::fs::create_dir_all(&folder)?;
    let mut files = Vec::new();
    for name in &programs.names {
        let loaded = programs.loaded.join(name);
        files.push((name.clone(), read(&loaded)?));
    }
    for name in &programs.names {
        let index = index(&programs.folder.join(name), &folder.join(name))?;
        files.push((format!("{SYMBOLS}/{name}"), index));
    }
    let index = index(&kernel.whole, &kernel.index)?;
    files.push((format!("{SYMBOLS}/kernel"), index));

    let archive = kernel.ramdisk.clone();
    let packed = pack(&files)?;
    if std::fs::read(&archive).ok().as_ref() != Some(&packed) {
        std::fs::write(&archive, packed)
            .with_context(|| format!("cannot write {}", archive.display()))?;
    }
    Ok(archive)
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The index of an ELF file, kept in a file of its own until the ELF file is another one.
fn index(elf: &Path, kept: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = read(elf)?;
    let build_id = crate::elf::build_id(elf)?;
    if !freestanding::newer(elf, kept)?
        && let Ok(known) = std::fs::read(kept)
        && is_of(&known, &build_id)
    {
        return Ok(known);
    }
    let made = symbolizer::build::index(&bytes)
        .map_err(|why| anyhow!("no index of {}: {why}", elf.display()))?;
    std::fs::write(kept, &made).with_context(|| format!("cannot write {}", kept.display()))?;
    Ok(made)
}

/// Whether an index can be read by the kernel we build now, and is of this build.
fn is_of(index: &[u8], build_id: &str) -> bool {
    symbolizer::Index::open(index).is_ok_and(|index| {
        let digits: String = index
            .build_id()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        digits.starts_with(build_id)
    })
}

/// Where source files are in the archive.
const SOURCES: &str = "sources";
/// The path of the repository, as the indexes have it.
const REPOSITORY: &str = "/ringwalk/";

/// The same archive with the sources that its indexes name: those of this repository. In a file of its own.
///
/// # Errors
///
/// When a file cannot be read or written, or an index cannot be used.
pub fn with_sources(
    project: &Project,
    kernel: &Kernel,
    programs: &Programs,
    archive: &Path,
) -> anyhow::Result<PathBuf> {
    let folder = project.target().join("symbols");
    let indexes = programs.names.iter().map(|name| folder.join(name));
    let mut paths = BTreeSet::new();
    for index in indexes.chain([kernel.index.clone()]) {
        let bytes = read(&index)?;
        let found = symbolizer::Index::open(&bytes).map_err(|why| anyhow!("{why}"))?;
        let named = found.files().map(|path| path.to_string());
        paths.extend(named.filter_map(|path| Some(path.strip_prefix(REPOSITORY)?.to_owned())));
    }
    let mut archive = read(archive)?;
    for path in paths {
        let source = project.root().join(&path);
        // What a build has made is not kept.
        if source.is_file() {
            archive = with(&archive, &format!("{SOURCES}/{path}"), &read(&source)?)?;
        }
    }
    let file = kernel.ramdisk.with_extension("sources.tar");
    std::fs::write(&file, archive).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// The same archive with another file at its end.
///
/// # Errors
///
/// When it is no archive of ours, or the name is too long.
pub fn with(archive: &[u8], name: &str, content: &[u8]) -> anyhow::Result<Vec<u8>> {
    let end = [0; 2 * 512];
    let files = archive.strip_suffix(&end).context("it has no end")?;
    let more = pack(&[(name.to_owned(), content.to_vec())])?;
    Ok([files, &more].concat())
}

/// An archive of these files that depends on nothing else: no times, no owners.
fn pack(files: &[(String, Vec<u8>)]) -> anyhow::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_path(name)?;
        header.set_size(bytes.len().try_into()?);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o755);
        header.set_mtime(0);
        header.set_cksum();
        builder.append(&header, bytes.as_slice())?;
    }
    Ok(builder.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_make_the_same_archive_whenever_it_is_made() {
        let files = [
            ("a".to_owned(), vec![1, 2, 3]),
            ("b".to_owned(), vec![0; 600]),
        ];
        let archive = pack(&files).expect("packed");
        assert_eq!(archive, pack(&files).expect("packed"));
        // A header and a block, a header and two blocks, two empty blocks for the end.
        assert_eq!(archive.len(), (1 + 1 + 1 + 2 + 2) * 512);
        assert_eq!(archive.get(257..263), Some(b"ustar\0".as_slice()));
        let more = with(&archive, "b", &[0; 600]).expect("packed");
        let all = [files.as_slice(), &files[1..]].concat();
        assert_eq!(more, pack(&all).expect("packed"));
    }
}
