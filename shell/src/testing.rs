//! What the tests drive the shell with: a terminal with a script for fingers and a grid for
//! a screen, and a target on a simulated machine.

use std::collections::VecDeque;

use machine::{
    Entry, PageSize, Paging, PhysAddr, PhysMemory, Registers, Simulated, TablePointer, VirtAddr,
};

use crate::{
    Clock, Cpu, FrameTotals, Frames, Key, Power, PowerError, Region, Shell, Sink, Status, Target,
    Terminal,
};

/// A terminal whose keys are given beforehand.
pub(crate) struct Scripted {
    pub(crate) keys: VecDeque<Key>,
    pub(crate) size: (u16, u16),
    pub(crate) screen: Grid,
    pub(crate) shown: String,
    pub(crate) wire: String,
    /// Ctrl-C arrives when this many questions have been asked.
    pub(crate) interrupt_after: Option<u32>,
}

impl Scripted {
    pub(crate) fn new(columns: u16, rows: u16) -> Self {
        Scripted {
            keys: VecDeque::new(),
            size: (columns, rows),
            screen: Grid::new(columns.into(), rows.into()),
            shown: String::new(),
            wire: String::new(),
            interrupt_after: None,
        }
    }

    pub(crate) fn keys(mut self, keys: impl IntoIterator<Item = Key>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// Types text: LF is Enter, TAB is Tab.
    pub(crate) fn text(self, text: &str) -> Self {
        self.keys(text.chars().map(|c| match c {
            '\n' => Key::Enter,
            '\t' => Key::Tab,
            c => Key::Char(c),
        }))
    }
}

impl Terminal for Scripted {
    fn key(&mut self) -> Option<Key> {
        self.keys.pop_front()
    }

    fn write(&mut self, sink: Sink, text: &str) {
        if sink != Sink::Wire {
            self.screen.feed(text);
            self.shown.push_str(text);
        }
        if sink != Sink::Screen {
            self.wire.push_str(text);
        }
    }

    fn interrupted(&mut self) -> bool {
        match &mut self.interrupt_after {
            Some(0) => {
                self.interrupt_after = None;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn size(&self) -> (u16, u16) {
        self.size
    }
}

/// A terminal of the simplest kind. It knows what the editor may send and refuses the rest,
/// wrapping included.
pub(crate) struct Grid {
    pub(crate) rows: Vec<Vec<char>>,
    pub(crate) row: usize,
    pub(crate) column: usize,
    columns: usize,
    height: usize,
    pub(crate) bells: usize,
    /// Where the cursor was before the last line feed.
    pub(crate) left: (usize, usize),
    /// Whether writing past the last column is a mistake: while a line is being edited.
    pub(crate) strict: bool,
}

impl Grid {
    fn new(columns: usize, height: usize) -> Self {
        Grid {
            rows: vec![vec![' '; columns]],
            row: 0,
            column: 0,
            columns,
            height,
            bells: 0,
            left: (0, 0),
            strict: false,
        }
    }

    /// What stands in a row, without the blanks at its end.
    pub(crate) fn line(&self, row: usize) -> String {
        self.rows[row]
            .iter()
            .collect::<String>()
            .trim_end()
            .to_string()
    }

    /// All rows that were ever written.
    pub(crate) fn text(&self) -> String {
        let rows = (0..self.rows.len()).map(|row| self.line(row));
        rows.collect::<Vec<_>>().join("\n")
    }

    fn feed(&mut self, text: &str) {
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\n' => {
                    self.left = (self.row, self.column);
                    self.row += 1;
                    self.column = 0;
                    if self.row == self.rows.len() {
                        self.rows.push(vec![' '; self.columns]);
                    }
                }
                '\r' => self.column = 0,
                '\x08' => self.column = self.column.saturating_sub(1),
                '\x07' => self.bells += 1,
                '\x1b' => {
                    assert_eq!(chars.next(), Some('['), "only CSI is used");
                    let body: String = chars
                        .by_ref()
                        .take_while_inclusive(|c| !c.is_ascii_alphabetic());
                    self.control(&body);
                }
                c => {
                    assert!(c >= ' ' || !self.strict, "{c:?} is not for a terminal");
                    if self.column == self.columns {
                        assert!(!self.strict, "the line wraps: {text:?}");
                        self.feed("\n");
                    }
                    self.rows[self.row][self.column] = c;
                    self.column += 1;
                }
            }
        }
    }

    fn control(&mut self, body: &str) {
        let (number, letter) = body.split_at(body.len() - 1);
        let count = || number.parse::<usize>().unwrap_or(1);
        match letter {
            "C" => {
                assert_ne!(count(), 0);
                self.column = (self.column + count()).min(self.columns - 1);
            }
            "D" => {
                assert_ne!(count(), 0);
                self.column = self.column.saturating_sub(count());
            }
            "K" => self.rows[self.row][self.column.min(self.columns)..].fill(' '),
            "H" => {
                self.row = self.rows.len().saturating_sub(self.height);
                self.column = 0;
            }
            "J" => {
                let first = self.row;
                self.rows[first][self.column..].fill(' ');
                self.rows.truncate(first + 1);
            }
            "m" => assert!(matches!(number, "0" | "1" | "7" | "31"), "SGR {number}"),
            _ => panic!("CSI {body} is not one the shell may use"),
        }
    }
}

trait TakeWhileInclusive: Iterator<Item = char> {
    fn take_while_inclusive(self, more: impl Fn(char) -> bool) -> String;
}

impl<I: Iterator<Item = char>> TakeWhileInclusive for &mut I {
    fn take_while_inclusive(self, more: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        for c in self {
            text.push(c);
            if !more(c) {
                break;
            }
        }
        text
    }
}

/// A target with every ability, or without, as a test wants.
pub(crate) struct Machine {
    pub(crate) memory: Simulated,
    pub(crate) registers: Option<Registers>,
    pub(crate) books: Option<Books>,
    pub(crate) cycles: Option<u64>,
    pub(crate) switch: Option<PowerError>,
}

pub(crate) struct Books(pub(crate) FrameTotals, pub(crate) Vec<(&'static str, u64)>);

const REGIONS: &[Region] = &[
    Region {
        first: VirtAddr(0xffff_8000_0000_0000),
        last: VirtAddr(0xffff_8000_0fff_ffff),
        name: "physmap",
    },
    Region {
        first: VirtAddr(0xffff_c900_0000_0000),
        last: VirtAddr(0xffff_c900_00ff_ffff),
        name: "kernel stacks",
    },
];

/// The tables of [`Machine::full`] begin here.
pub(crate) const ROOT: u64 = 0x10_0000;

impl Machine {
    /// Memory with a few mappings, and nothing else.
    pub(crate) fn bare() -> Self {
        let mut memory = Simulated::new(Paging::four_level(40), PhysAddr(ROOT));
        let user = Entry::USER;
        let data = Entry::WRITABLE | Entry::NO_EXECUTE;
        memory.map(
            VirtAddr(0x40_0000),
            PhysAddr(0x7_3000),
            PageSize::Size4K,
            user,
        );
        memory.map(
            VirtAddr(0x40_1000),
            PhysAddr(0x7_4000),
            PageSize::Size4K,
            user | data,
        );
        memory.map(
            VirtAddr(0xffff_8000_0000_0000),
            PhysAddr(0),
            PageSize::Size2M,
            data,
        );
        memory.map(
            VirtAddr(0xffff_8000_0020_0000),
            PhysAddr(0x20_0000),
            PageSize::Size2M,
            data,
        );
        memory.map(
            VirtAddr(0xffff_c900_0000_1000),
            PhysAddr(0x7_5000),
            PageSize::Size4K,
            data,
        );
        for frame in [0, 0x7_3000, 0x7_4000, 0x7_5000] {
            memory.add_ram(PhysAddr(frame), 0x1000);
        }
        memory.add_device(PhysAddr(0x20_0000), 0x1000);
        Machine {
            memory,
            registers: None,
            books: None,
            cycles: None,
            switch: None,
        }
    }

    /// All of it. The descriptor tables are in the frame at 0x75000.
    pub(crate) fn full() -> Self {
        let mut machine = Machine::bare();
        machine.registers = Some(Registers {
            rip: 0x40_0123,
            rsp: 0xffff_c900_0000_1ff0,
            cr0: 0x8005_0033,
            cr3: ROOT,
            cr4: 0x30_0020,
            efer: 0xd00,
            pat: 0x0007_0406_0007_0406,
            rflags: 0x202,
            cs: 8,
            ss: 0x10,
            tr: 0x18,
            gdtr: TablePointer {
                base: 0xffff_c900_0000_1000,
                limit: 0x27,
            },
            idtr: TablePointer {
                base: 0xffff_c900_0000_1400,
                limit: 0x7f,
            },
            ..Registers::default()
        });
        let base = 0xffff_c900_0000_1100_u64;
        let [low, high] = [(base & 0xff_ffff) << 16, (base >> 24 & 0xff) << 56];
        let tss = 0x0000_8900_0000_0067 | low | high;
        let words = [
            0,
            0x00af_9b00_0000_ffff,
            0x00cf_9300_0000_ffff,
            tss,
            base >> 32,
        ];
        for (index, word) in (0..).zip(words) {
            machine
                .memory
                .write_u64(PhysAddr(0x7_5000 + 8 * index), word);
        }
        let stack = |offset: u64, top: u64| (PhysAddr(0x7_5100 + offset), top.to_le_bytes());
        for (at, bytes) in [
            stack(4, 0xffff_c900_0000_2000),
            stack(0x24, 0xffff_c900_0000_1000),
        ] {
            machine.memory.write(at, &bytes);
        }
        machine
            .memory
            .write(PhysAddr(0x7_5100 + 0x66), &0x68_u16.to_le_bytes());
        for vector in [0_u64, 1, 2, 3, 6] {
            let low = 0x8000_8e00_0008_0000 | (vector * 0x10);
            machine
                .memory
                .write_u64(PhysAddr(0x7_5400 + vector * 16), low);
            machine
                .memory
                .write_u64(PhysAddr(0x7_5408 + vector * 16), 0xffff_ffff);
        }
        let totals = FrameTotals {
            total: 100,
            free: 90,
            used: 10,
        };
        machine.books = Some(Books(totals, vec![("tables", 7), ("heap", 3)]));
        machine.cycles = Some(1000);
        machine.switch = Some(PowerError::NoWay);
        machine
    }
}

impl Target for Machine {
    fn name(&self) -> &str {
        "simulated"
    }
    fn paging(&self) -> Paging {
        self.memory.paging
    }
    fn memory(&mut self) -> &mut dyn PhysMemory {
        &mut self.memory
    }
    fn master(&self) -> Option<PhysAddr> {
        self.registers.map(|_| PhysAddr(ROOT))
    }
    fn regions(&self) -> &[Region] {
        REGIONS
    }
    fn cpu(&mut self) -> Option<&mut dyn Cpu> {
        self.registers.as_mut().map(|cpu| cpu as &mut dyn Cpu)
    }
    fn frames(&mut self) -> Option<&mut dyn Frames> {
        self.books.as_mut().map(|books| books as &mut dyn Frames)
    }
    fn clock(&mut self) -> Option<&mut dyn Clock> {
        self.cycles.as_mut().map(|clock| clock as &mut dyn Clock)
    }
    fn power(&mut self) -> Option<&mut dyn Power> {
        self.switch.as_mut().map(|switch| switch as &mut dyn Power)
    }
    fn build_id(&self) -> &str {
        "0123456789ab"
    }
}

impl Cpu for Registers {
    fn registers(&mut self) -> Registers {
        *self
    }
}

impl Frames for Books {
    fn totals(&mut self) -> FrameTotals {
        self.0
    }
    fn owner(&mut self, index: usize) -> Option<(&'static str, u64)> {
        self.1.get(index).copied()
    }
}

/// Each reading of the clock is 500 cycles and 2.5 ms after the last.
impl Clock for u64 {
    fn cycles(&mut self) -> u64 {
        *self += 500;
        *self
    }
    fn nanoseconds(&mut self) -> Option<u64> {
        Some(*self * 5000)
    }
}

impl Power for PowerError {
    fn reboot(&mut self) -> PowerError {
        *self
    }
    fn poweroff(&mut self) -> PowerError {
        *self
    }
}

/// What one line prints, without colours, and its status.
pub(crate) fn output(machine: &mut Machine, line: &str) -> (String, Status) {
    let mut terminal = Scripted::new(200, 50);
    let status = Shell::new().execute(line, machine, &mut terminal);
    let text = terminal.wire.replace("\x1b[31m", "").replace("\x1b[0m", "");
    (text, status)
}
