//! What `llvm-symbolizer` says of the same addresses.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use symbolizer::Index;
use symbolizer::dwarf::{Debug, demangle};

use crate::files;

/// Who is at an address, innermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) frames: Vec<Frame>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    function: String,
    file: String,
    line: u64,
    column: u64,
}

/// Why two answers may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// No line table covers the address. Then llvm-symbolizer takes the name of the object file from the
    /// symbol table for a source file; we say that we do not know.
    ObjectFileAsSource,
}

impl Reason {
    pub(super) fn of(ours: &Answer, theirs: &Answer) -> Option<Reason> {
        let [ours] = ours.frames.as_slice() else {
            return None;
        };
        let [theirs] = theirs.frames.as_slice() else {
            return None;
        };
        let no_place = |frame: &Frame| (frame.line, frame.column) == (0, 0);
        let is_object = ours.file.is_empty() && !theirs.file.contains('/');
        let is_it =
            ours.function == theirs.function && no_place(ours) && no_place(theirs) && is_object;
        is_it.then_some(Reason::ObjectFileAsSource)
    }
}

impl Answer {
    pub(super) fn direct(debug: &Debug<'_>, address: u64) -> Self {
        let frames = debug.frames(address).expect("undamaged").into_iter();
        let frames = frames.map(|frame| Frame {
            function: frame.function.unwrap_or_default(),
            file: frame.file.unwrap_or_default(),
            line: frame.line.into(),
            column: frame.column.into(),
        });
        Answer {
            frames: frames.collect(),
        }
        .or_nobody()
    }

    pub(super) fn by_index(index: &Index<'_>, address: u64) -> Self {
        let frames = index
            .lookup(address)
            .into_iter()
            .flat_map(|found| found.frames);
        let frames = frames.map(|frame| Frame {
            function: frame.function.to_string(),
            file: frame.file.to_string(),
            line: frame.line.into(),
            column: frame.column.into(),
        });
        Answer {
            frames: frames.collect(),
        }
        .or_nobody()
    }

    /// llvm-symbolizer always prints a frame.
    fn or_nobody(mut self) -> Self {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        self
    }

    pub(super) fn demangled(&self) -> Self {
        let mut answer = self.clone();
        for frame in &mut answer.frames {
            frame.function = demangle(&frame.function);
        }
        answer
    }
}

/// Whether there is nobody to ask: rustup's LLVM comes without it. Says so.
pub(super) fn is_missing() -> bool {
    let tool = files::llvm("llvm-symbolizer");
    let is_missing = !tool.is_file();
    if is_missing {
        println!("skipped: there is no {}", tool.display());
    }
    is_missing
}

/// Its answers. Names are left as the linker knows them: its demangler and ours write some differently.
pub(super) fn ask(file: &Path, addresses: &[u64]) -> Vec<Answer> {
    let mut child = Command::new(files::llvm("llvm-symbolizer"))
        .args(["--output-style=JSON", "--no-demangle", "-e"])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("llvm-symbolizer runs");
    let mut stdin = child.stdin.take().expect("piped");
    let lines: String = addresses
        .iter()
        .map(|address| format!("{address:#x}\n"))
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("its output");
    writer
        .join()
        .expect("no panic")
        .expect("it reads everything");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let answers: Vec<Answer> = text.lines().map(answer).collect();
    assert_eq!(answers.len(), addresses.len());
    answers
}

fn answer(line: &str) -> Answer {
    let value: Value = serde_json::from_str(line).expect("JSON");
    let frames = value["Symbol"].as_array().expect("a list").iter();
    let frames = frames.map(|frame| Frame {
        function: frame["FunctionName"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        file: frame["FileName"].as_str().unwrap_or_default().to_owned(),
        line: frame["Line"].as_u64().unwrap_or_default(),
        column: frame["Column"].as_u64().unwrap_or_default(),
    });
    Answer {
        frames: frames.collect(),
    }
}
