//! What reports say about addresses, held against `llvm-symbolizer`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use symbolizer::dwarf::demangle;
use xtask::lock::Lock;
use xtask::project::Project;
use xtask::setup;

/// A function, and the line in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) function: String,
    pub(crate) place: String,
}

impl Frame {
    /// `    kernel::crash::store at /ringwalk/kernel/src/crash.rs:128:14, inlined into`.
    fn parse(line: &str) -> Option<Frame> {
        let line = line.trim();
        let line = line.strip_suffix(", inlined into").unwrap_or(line);
        let (function, place) = line.rsplit_once(" at ").unwrap_or((line, ""));
        let function = match function.rsplit_once("+0x") {
            Some((name, _)) => name,
            None => function,
        };
        (!line.starts_with("and ") && !line.starts_with("ends here")).then(|| Frame {
            function: function.to_owned(),
            place: place.to_owned(),
        })
    }
}

/// An address of a report that has names.
#[derive(Debug)]
pub(crate) struct Place {
    /// It is RIP itself, and not a line of the backtrace.
    pub(crate) is_rip: bool,
    /// An address of the instruction it is about: a return address belongs to the call before it.
    pub(crate) address: u64,
    /// Innermost first; none where nobody knows.
    pub(crate) frames: Vec<Frame>,
}

/// RIP and the calls of a report.
pub(crate) fn places(report: &[String]) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    let mut lines = report.iter().map(String::as_str).peekable();
    let (mut in_backtrace, mut is_interrupted) = (false, true);
    while let Some(line) = lines.next() {
        in_backtrace |= line == "backtrace:";
        is_interrupted |= line.contains("--- interrupted ");
        let address = match line.split_once(' ') {
            Some(("RIP", rest)) => rest.split(' ').next(),
            Some((number, rest)) if in_backtrace && number.starts_with('#') => {
                rest.split_whitespace().next()
            }
            _ => continue,
        };
        let address = address.context("no address")?.replace('_', "");
        // The names of registers that point at something: `RIP -> heap`.
        let Some(digits) = address.strip_prefix("0x") else {
            continue;
        };
        let rip = u64::from_str_radix(digits, 16)?;
        let mut frames = Vec::new();
        while let Some(frame) = lines.next_if(|line| line.starts_with("    ")) {
            frames.extend(Frame::parse(frame));
        }
        let is_rip = line.starts_with("RIP");
        places.push(Place {
            is_rip,
            address: rip.wrapping_sub(u64::from(!is_interrupted)),
            frames,
        });
        // RIP and the first call are the same.
        is_interrupted = is_rip;
    }
    Ok(places)
}

/// What the reports said about addresses of the linker's.
#[derive(Default)]
pub(crate) struct Named(BTreeMap<u64, Vec<Frame>>);

impl Named {
    /// Adds those that have a name.
    pub(crate) fn note(&mut self, places: impl IntoIterator<Item = Place>, base: u64) {
        for place in places {
            if !place.frames.is_empty() {
                let link = place.address.wrapping_sub(base);
                self.0.insert(link, place.frames);
            }
        }
    }

    /// How many addresses were compared, all of them equal; or all, where there is nobody to ask.
    pub(crate) fn agree_with_llvm(&self, file: &Path) -> Result<usize> {
        let project = Project::find();
        let tool = {
            let _lock = Lock::take(&project)?;
            let ready = setup::ready(&project)?;
            ready.toolchain.compiler.llvm.join("llvm-symbolizer")
        };
        if !tool.is_file() {
            println!("not compared: there is no {}", tool.display());
            return Ok(self.0.len());
        }
        let mut child = Command::new(tool)
            .args(["--output-style=JSON", "--no-demangle", "-e"])
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        // They are a few dozen: less than a pipe holds.
        let mut stdin = child.stdin.take().context("piped")?;
        for address in self.0.keys() {
            writeln!(stdin, "{address:#x}")?;
        }
        drop(stdin);
        let output = child.wait_with_output()?;
        let text = String::from_utf8(output.stdout)?;
        let mut answers = text.lines();
        for (address, ours) in &self.0 {
            let line = answers.next().context("too few answers")?;
            let value: Value = serde_json::from_str(line)?;
            let theirs: Vec<Frame> = value["Symbol"]
                .as_array()
                .context("no list")?
                .iter()
                .map(frame)
                .collect();
            ensure!(*ours == theirs, "{address:#x}: {ours:#?}\n{theirs:#?}");
        }
        Ok(self.0.len())
    }
}

fn frame(value: &Value) -> Frame {
    let text = |name: &str| value[name].as_str().unwrap_or_default();
    let number = |name: &str| value[name].as_u64().unwrap_or_default();
    let (file, line, column) = (text("FileName"), number("Line"), number("Column"));
    let place = match (line, column) {
        // Of the compiler's own code. With no file either, llvm-symbolizer names the object file.
        (0, _) if file.contains('/') => file.to_owned(),
        (0, _) => String::new(),
        (line, 0) => format!("{file}:{line}"),
        (line, column) => format!("{file}:{line}:{column}"),
    };
    Frame {
        function: demangle(text("FunctionName")),
        place,
    }
}
