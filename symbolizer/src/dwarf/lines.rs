//! The line table of a unit, in memory.

use gimli::ColumnType;

use super::budget::Budget;
use super::{Error, Slice};

/// From here on, until the next row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) address: u64,
    pub(crate) file: u64,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Rows without a gap between them.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) rows: Vec<Row>,
}

/// All rows of a unit.
#[derive(Debug)]
pub(crate) struct Lines<'data> {
    pub(crate) sequences: Vec<Sequence>,
    header: gimli::LineProgramHeader<Slice<'data>>,
}

impl<'data> Lines<'data> {
    pub(super) fn read(
        program: gimli::IncompleteLineProgram<Slice<'data>>,
        budget: &Budget,
    ) -> Result<Self, Error> {
        let length = program.header().raw_program_buf().len();
        budget.spend(u64::try_from(length).unwrap_or(u64::MAX))?;
        let mut sequences = Vec::new();
        let mut rows: Vec<Row> = Vec::new();
        let mut program = program.rows();
        // What came before damage is as good as ever.
        while let Ok(Some((_, row))) = program.next_row() {
            let address = row.address();
            if row.end_sequence() {
                let rows = std::mem::take(&mut rows);
                if let Some(first) = rows.first().filter(|first| first.address < address) {
                    sequences.push(Sequence {
                        start: first.address,
                        end: address,
                        rows,
                    });
                }
                continue;
            }
            let row = Row {
                address,
                file: row.file_index(),
                line: row
                    .line()
                    .and_then(|line| u32::try_from(line.get()).ok())
                    .unwrap_or(0),
                column: match row.column() {
                    ColumnType::LeftEdge => 0,
                    ColumnType::Column(column) => u32::try_from(column.get()).unwrap_or(0),
                },
            };
            match rows.last_mut() {
                // The last of those at an address is the one that counts.
                Some(last) if last.address == address => *last = row,
                // Rows that go back are damage.
                Some(last) if last.address > address => {}
                _ => rows.push(row),
            }
        }
        sequences.sort_by_key(|sequence| sequence.start);
        Ok(Lines {
            sequences,
            header: program.header().clone(),
        })
    }

    /// The row that holds for an address.
    pub(crate) fn at(&self, address: u64) -> Option<&Row> {
        let after = self
            .sequences
            .partition_point(|sequence| sequence.start <= address);
        let sequence = self.sequences.get(after.checked_sub(1)?)?;
        if address >= sequence.end {
            return None;
        }
        let after = sequence.rows.partition_point(|row| row.address <= address);
        sequence.rows.get(after.checked_sub(1)?)
    }

    /// The path of a file as the compiler wrote it.
    pub(crate) fn path(&self, unit: gimli::UnitRef<'_, Slice<'data>>, file: u64) -> Option<String> {
        let entry = self.header.file(file)?;
        let mut path = String::new();
        if let Some(folder) = &unit.comp_dir {
            path.push_str(&folder.to_string_lossy());
        }
        // In DWARF 4, folder 0 is where the compiler ran, and is not among the folders.
        let is_own = entry.directory_index() == 0 && self.header.version() <= 4;
        if !is_own && let Some(folder) = entry.directory(&self.header) {
            push(&mut path, &unit.attr_string(folder).ok()?.to_string_lossy());
        }
        push(
            &mut path,
            &unit.attr_string(entry.path_name()).ok()?.to_string_lossy(),
        );
        Some(path)
    }
}

/// Goes on from `path`, or starts again where `more` says so.
fn push(path: &mut String, more: &str) {
    if more.starts_with('/') {
        path.clear();
    } else if !path.is_empty() && !path.ends_with('/') {
        path.push('/');
    }
    path.push_str(more);
}
