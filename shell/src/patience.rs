//! Going through tables that may have no end: a bounded piece at a time, and Ctrl-C ends it.

use machine::Progress;

use crate::Error;
use crate::output::Output;

/// What `advance` finds next, if there is anything more.
///
/// # Errors
///
/// Somebody pressed Ctrl-C.
pub(crate) fn next<R>(
    out: &mut Output<'_>,
    mut advance: impl FnMut() -> Progress<R>,
) -> Result<Option<R>, Error> {
    loop {
        match advance() {
            Progress::Row(row) => return Ok(Some(row)),
            Progress::Done => return Ok(None),
            Progress::Working if out.interrupted() => return Err(Error::Interrupted),
            Progress::Working => {}
        }
    }
}
