//! Memory as text: what ends with a zero byte.

use core::fmt::Write;

use heapless::Vec;
use machine::{PhysAddr, VirtAddr};

use super::{Source, read};
use crate::Error;
use crate::command::Context;

/// How many bytes a string may have.
const LONGEST: u64 = 1024;

/// Shows so many strings, one behind the other.
pub(super) fn strings(
    context: &mut Context<'_>,
    source: Source,
    address: u64,
    count: u64,
) -> Result<(), Error> {
    let mut at = address;
    for _ in 0..count {
        at = string(context, source, at)?;
    }
    Ok(())
}

/// As [`string`], as a record. What could be read of it is one, too.
fn string_record(context: &mut Context<'_>, source: Source, address: u64) -> Result<u64, Error> {
    let mut text = Vec::<u8, { LONGEST as usize }>::new();
    let mut ends = false;
    let mut failed = None;
    for offset in 0..LONGEST {
        let mut byte = [0];
        let (_, error) = read(context, source, address.wrapping_add(offset), &mut byte);
        let [byte] = byte;
        ends = error.is_none() && byte == 0;
        failed = error;
        if ends || failed.is_some() {
            break;
        }
        context.state.value = byte.into();
        // It has room for the longest.
        let _ = text.push(byte);
    }
    if failed.is_none() || !text.is_empty() {
        context
            .out
            .record("string")
            .hex("address", address)
            .text("text", text.escape_ascii())
            .flag("ends", ends)
            .end()?;
    }
    let next = address.wrapping_add(text.len() as u64);
    failed.map_or(Ok(next.wrapping_add(ends.into())), Err)
}

/// Shows one string; where the next one begins.
fn string(context: &mut Context<'_>, source: Source, address: u64) -> Result<u64, Error> {
    if context.out.is_json() {
        return string_record(context, source, address);
    }
    for offset in 0..LONGEST {
        let mut byte = [0];
        let (_, error) = read(context, source, address.wrapping_add(offset), &mut byte);
        let [byte] = byte;
        match (offset, &error, source) {
            (0, None, Source::Virtual(_)) => write!(context.out, "{} \"", VirtAddr(address))?,
            (0, None, Source::Physical) => write!(context.out, "{} \"", PhysAddr(address))?,
            _ => {}
        }
        match (error, byte) {
            // Of nothing not even the quotes are shown.
            (Some(error), _) if offset == 0 => return Err(error),
            (Some(error), _) => {
                writeln!(context.out, "\"...")?;
                return Err(error);
            }
            (None, 0) => {
                writeln!(context.out, "\"")?;
                return Ok(address.wrapping_add(offset + 1));
            }
            (None, _) => write!(context.out, "{}", byte.escape_ascii())?,
        }
        context.state.value = u64::from(byte);
    }
    writeln!(context.out, "\"... no NUL in {LONGEST} bytes")?;
    Ok(address.wrapping_add(LONGEST))
}
