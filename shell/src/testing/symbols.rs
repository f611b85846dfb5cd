//! Names for the simulated machine: a kernel of two functions and a variable, and a program.

use machine::VirtAddr;
use symbolizer::build::{Context, Flat, Named, Place, Row, encode};
use symbolizer::{Index, Section};

use crate::{Image, NoSymbols, Pid, Symbols};

/// Where the kernel's image begins.
pub(crate) const BASE: u64 = 0xffff_8000_0000_0000;

/// The indexes, and which processes there are.
#[derive(Clone)]
pub(crate) struct Names {
    kernel: Vec<u8>,
    program: Vec<u8>,
    faulter: Vec<u8>,
}

impl Names {
    /// `go` calls `step`, which is inlined; `stop` has no line; `COUNT` is a variable.
    pub(crate) fn new() -> Self {
        Names {
            kernel: index(&[
                ("kernel::go", 0x1000, 0x100),
                ("kernel::stop", 0x1100, 0x20),
            ]),
            program: index(&[
                ("hello::main", 0x40_0000, 0x80),
                ("hello::stop", 0x40_0080, 0x10),
            ]),
            faulter: index(&[
                ("faulter::main", 0x40_0a80, 0x80),
                ("faulter::stop", 0x40_0b00, 0x10),
            ]),
        }
    }
}

fn index(functions: &[(&str, u64, u64); 2]) -> Vec<u8> {
    let [(go, start, bytes), (stop, end, _)] = *functions;
    let place = |line, column| Place {
        file: 1,
        line,
        column,
    };
    let row = |address, root, context, place| Row {
        address,
        root,
        context,
        place,
    };
    let named = |&(_, address, bytes): &(&str, u64, u64), name| Named {
        address,
        bytes,
        name,
        is_code: true,
    };
    let flat = Flat {
        names: ["", go, stop, "core::step", "kernel::COUNT"]
            .map(str::to_owned)
            .to_vec(),
        files: vec![
            "/ringwalk/kernel/src/go.rs".to_owned(),
            "/rust/core/src/go.rs".to_owned(),
        ],
        contexts: vec![Context {
            parent: 0,
            root: 1,
            function: 3,
            call: place(12, 9),
        }],
        rows: vec![
            row(start, 1, 0, place(10, 1)),
            row(
                start + 0x10,
                1,
                1,
                Place {
                    file: 2,
                    line: 700,
                    column: 5,
                },
            ),
            row(start + 0x30, 1, 0, place(14, 5)),
            row(start + bytes, 2, 0, Place::default()),
        ],
        symbols: vec![
            named(&functions[0], 1),
            named(&functions[1], 2),
            Named {
                address: end + 0x1000,
                bytes: 8,
                name: 4,
                is_code: false,
            },
        ],
    };
    encode(&flat, &[1, 2, 3, 4]).expect("it fits")
}

fn image<'a>(name: &'a str, base: u64, bytes: &'a [u8]) -> Result<Image<'a>, NoSymbols> {
    let index = Index::open(bytes).map_err(NoSymbols::Refused)?;
    Ok(Image { name, base, index })
}

impl Symbols for Names {
    fn kernel(&self) -> Result<Image<'_>, NoSymbols> {
        image("kernel", BASE, &self.kernel)
    }

    fn program(&self, pid: Pid) -> Result<Image<'_>, NoSymbols> {
        match pid {
            1 => image("hello", 0, &self.program),
            _ => Err(NoSymbols::Missing),
        }
    }

    fn named(&self, program: &str) -> Result<Image<'_>, NoSymbols> {
        match program {
            "hello" => image("hello", 0, &self.program),
            "faulter" => image("faulter", 0, &self.faulter),
            _ => Err(NoSymbols::Missing),
        }
    }

    /// All of `scribbler` is constants, and all of `faulter` is data.
    fn section(&self, program: &str, _: VirtAddr) -> Option<Section<'_>> {
        let (name, is_writable) = match program {
            "scribbler" => (".rodata", false),
            "faulter" => (".data", true),
            _ => return None,
        };
        Some(Section {
            name,
            is_writable,
            is_code: false,
        })
    }
}
