//! Replays the transcripts that need no kernel, on a machine made of maps.
//!
//! The lines go through the whole shell with framing on, as they would over a wire.

use std::collections::VecDeque;

use anyhow::{Result, bail};
use libtest_mimic::{Arguments, Failed, Trial};
use shell::framing::Line;
use shell::{Key, Shell, Sink, Terminal};
use tests::sample::Sample;
use tests::transcript::{self, Answers};

/// A wire without a kernel: keys in, what was sent out.
#[derive(Default)]
struct Wire {
    keys: VecDeque<Key>,
    sent: String,
}

impl Terminal for Wire {
    fn key(&mut self) -> Option<Key> {
        self.keys.pop_front()
    }

    fn write(&mut self, sink: Sink, text: &str) {
        if matches!(sink, Sink::All | Sink::Wire) {
            self.sent.push_str(text);
        }
    }

    fn interrupted(&mut self) -> bool {
        false
    }

    fn size(&self) -> (u16, u16) {
        (80, 24)
    }
}

struct Simulated {
    shell: Box<Shell>,
    target: Sample,
    wire: Wire,
}

impl Simulated {
    fn new() -> Self {
        let mut simulated = Simulated {
            shell: Box::new(Shell::new()),
            target: Sample::new(),
            wire: Wire::default(),
        };
        let scratch = vec![0; 64 << 10].into_boxed_slice();
        simulated.shell.lend(Box::leak(scratch));
        simulated.send("framing on");
        simulated
    }

    fn send(&mut self, line: &str) -> String {
        self.wire.sent.clear();
        self.wire
            .keys
            .extend(line.chars().map(Key::Char).chain([Key::Enter]));
        self.shell.run(&mut self.target, &mut self.wire);
        std::mem::take(&mut self.wire.sent)
    }
}

impl Answers for Simulated {
    fn answer(&mut self, line: &str) -> Result<Vec<String>> {
        let sent = self.send(line);
        let mut lines = sent.lines().map(Line::parse);
        match lines.next() {
            Some(Line::Begin { command, .. }) if command == line => {}
            other => bail!("no frame for {line:?}: {other:?}"),
        }
        let mut answer = Vec::new();
        for framed in lines {
            match framed {
                Line::Output(text) => answer.push(text.to_owned()),
                Line::Error(text) => answer.push(format!("! {text}")),
                Line::End { lines, .. } if lines == answer.len() as u64 => return Ok(answer),
                other => bail!("{other:?} in the frame of {line:?}"),
            }
        }
        bail!("the frame of {line:?} has no end")
    }
}

fn main() -> Result<()> {
    let mut arguments = Arguments::from_args();
    let bless = transcript::is_blessing();
    if bless {
        arguments.test_threads = Some(1);
    }
    let trials = transcript::find(&["common", "simulated"])?
        .into_iter()
        .map(|file| {
            let name = format!("simulated::{}", transcript::name(&file));
            Trial::test(name, move || {
                transcript::replay(&file, &mut Simulated::new(), bless)
                    .map_err(|error| Failed::from(format!("{error:#}")))
            })
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit()
}
