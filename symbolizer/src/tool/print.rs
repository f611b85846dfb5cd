//! An address and its names, in one of the ways that `addr2line` has, or as JSON.

use std::io::Write;

use serde_json::json;

use super::Failure;
use super::options::Options;
use super::source::Source;
use crate::dwarf::Frame;

/// Names the address `at`, which was asked for as `address`; nowhere, if that was none.
pub(super) fn address(
    options: &Options,
    source: &Source<'_>,
    address: u64,
    at: Option<u64>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let link = at.map(|at| at.wrapping_sub(options.base.unwrap_or(0)));
    let mut frames = match link {
        Some(link) => source.frames(link, options.demangle)?,
        None => Vec::new(),
    };
    let link = link.unwrap_or(0);
    let is_known = !frames.is_empty();
    if !is_known {
        frames.push(Frame::default());
    }
    if !options.inlines {
        frames.truncate(1);
    }
    if options.json {
        let list: Vec<_> = frames
            .iter()
            .map(|frame| object(options, link, frame))
            .collect();
        writeln!(
            out,
            "{}",
            json!({ "address": format!("{address:#x}"), "frames": list })
        )?;
        return Ok(());
    }
    let width = source.width();
    for (number, frame) in frames.iter().enumerate() {
        let function = frame.function.as_deref().unwrap_or("??");
        let place = place(options, frame, is_known);
        if options.pretty {
            match number {
                0 if options.addresses => write!(out, "{address:#0width$x}: ")?,
                0 => {}
                _ => write!(out, " (inlined by) ")?,
            }
            match options.functions {
                true if is_known => writeln!(out, "{function} at {place}")?,
                true => writeln!(out, "{function} {place}")?,
                false => writeln!(out, "{place}")?,
            }
            continue;
        }
        if number == 0 && options.addresses {
            writeln!(out, "{address:#0width$x}")?;
        }
        if options.functions {
            writeln!(out, "{function}")?;
        }
        writeln!(out, "{place}")?;
    }
    Ok(())
}

fn object(options: &Options, link: u64, frame: &Frame) -> serde_json::Value {
    json!({
        "function": frame.function,
        "offset": frame.start.and_then(|start| link.checked_sub(start)),
        "file": frame.file.as_deref().map(|path| shown(options, path)),
        "line": frame.line,
        "column": frame.column,
    })
}

/// Line 0 is that of an address that is nowhere; one that is somewhere, but on no line, has `?` for it.
fn place(options: &Options, frame: &Frame, is_known: bool) -> String {
    let file = frame
        .file
        .as_deref()
        .map_or("??", |path| shown(options, path));
    let line = match frame.line {
        0 if is_known => "?".to_owned(),
        line => line.to_string(),
    };
    match options.columns {
        true => format!("{file}:{line}:{}", frame.column),
        false => format!("{file}:{line}"),
    }
}

fn shown<'p>(options: &Options, path: &'p str) -> &'p str {
    match path.rsplit_once('/') {
        Some((_, name)) if options.basenames => name,
        _ => path,
    }
}
