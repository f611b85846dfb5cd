//! Finding the files that debug information was split off into.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Failure;
use super::source::Loaded;
use crate::dwarf::{Elf, SplitOff};

/// What was found of the parts of a file: its `.dwp`, if there is one beside it, and every `.dwo` that is where the
/// file says, or beside it.
///
/// # Errors
///
/// One of them is there and cannot be read.
pub(super) fn read(file: &Path, parts: &[SplitOff]) -> Result<Vec<(PathBuf, Loaded)>, Failure> {
    let mut found: Vec<PathBuf> = Vec::new();
    if !parts.is_empty() && package(file).is_file() {
        found.push(package(file));
    }
    for part in parts {
        let there = places(file, part).into_iter().find(|path| path.is_file());
        found.extend(there.filter(|path| !found.contains(path)));
    }
    let loaded = found.into_iter().map(|path| {
        let bytes = Loaded::read(&path)?;
        Ok((path, bytes))
    });
    loaded.collect()
}

/// The files as they are read.
///
/// # Errors
///
/// One of them is no ELF file.
pub(super) fn open(found: &[(PathBuf, Loaded)]) -> Result<Vec<Elf<'_>>, Failure> {
    let opened = found.iter().map(|(path, bytes)| {
        let elf = bytes.split();
        elf.map_err(|why| format!("{}: {why}", path.display()).into())
    });
    opened.collect()
}

/// One line about what is still missing.
pub(super) fn missing(file: &Path, parts: &[SplitOff]) -> Option<String> {
    let first = parts.first()?;
    let mut sought = places(file, first);
    sought.push(package(file));
    let sought: Vec<_> = sought
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let others = match parts.len() {
        1 => String::new(),
        2 => " and another file".to_owned(),
        all => format!(" and {} other files", all.saturating_sub(1)),
    };
    Some(format!(
        "{}: functions were split off into {}{others}, sought in vain as {}: of these, only lines and symbols are known",
        file.display(),
        first.file,
        sought.join(", "),
    ))
}

/// All parts in one: so the tools that put them together call it.
fn package(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".dwp");
    name.into()
}

/// Where a part may be: where the compiler put it, or beside the program, which may have been moved.
fn places(file: &Path, part: &SplitOff) -> Vec<PathBuf> {
    let own = Path::new(&part.file);
    let folder = part.folder.as_deref().unwrap_or_default();
    let beside = file.parent().unwrap_or(Path::new(""));
    // What is absolute replaces what it is joined to.
    let mut all = vec![Path::new(folder).join(own)];
    all.extend(own.file_name().map(|name| beside.join(name)));
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_sought_where_the_compiler_ran_and_beside_the_program() {
        let part = |file: &str, folder: Option<&str>| SplitOff {
            file: file.to_owned(),
            folder: folder.map(str::to_owned),
        };
        let file = Path::new("/moved/prog");
        let both = places(file, &part("out/a.dwo", Some("/build")));
        assert_eq!(
            both,
            [Path::new("/build/out/a.dwo"), Path::new("/moved/a.dwo")]
        );
        let both = places(file, &part("/tmp/a.dwo", Some("/build")));
        assert_eq!(both, [Path::new("/tmp/a.dwo"), Path::new("/moved/a.dwo")]);
        assert_eq!(package(file), Path::new("/moved/prog.dwp"));
        let parts = [part("a.dwo", Some("/build")), part("b.dwo", None)];
        assert_eq!(missing(file, &[]), None);
        assert_eq!(
            missing(file, &parts).as_deref(),
            Some(
                "/moved/prog: functions were split off into a.dwo and another file, sought in vain as /build/a.dwo, \
                 /moved/a.dwo, /moved/prog.dwp: of these, only lines and symbols are known"
            )
        );
    }
}
