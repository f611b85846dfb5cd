//! Reads what we ask of an ELF file: which build it is, and where a symbol lies.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use object::{Object as _, ObjectSymbol as _};

/// How many digits of the build id the kernel's banner shows.
const SHOWN: usize = 12;

/// The first twelve hex digits of the file's build id note.
///
/// # Errors
///
/// When the file cannot be read, is not ELF, or has no `.note.gnu.build-id`.
pub fn build_id(file: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let parsed = object::File::parse(bytes.as_slice())
        .with_context(|| format!("{} is not an ELF file", file.display()))?;
    let id = parsed.build_id()?.ok_or_else(|| {
        anyhow!(
            "{} has no build id; the linker was not asked for one",
            file.display()
        )
    })?;
    let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(digits.get(..SHOWN).unwrap_or(&digits).to_owned())
}

/// The address of a symbol as the linker chose it; `None` when the file cannot be read, is not
/// ELF, or knows no such name.
#[must_use]
pub fn symbol(file: &Path, name: &str) -> Option<u64> {
    let bytes = std::fs::read(file).ok()?;
    let parsed = object::File::parse(bytes.as_slice()).ok()?;
    let found = parsed.symbols().find(|symbol| symbol.name() == Ok(name))?;
    Some(found.address())
}
