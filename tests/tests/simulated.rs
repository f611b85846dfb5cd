//! Replays the transcripts that need no kernel, on a machine made of maps.
//!
//! The lines go through the whole shell with framing on, as they would over a wire.

use anyhow::{Result, bail};
use host::Framed;
use libtest_mimic::{Arguments, Failed, Trial};
use shell::framing::Line;
use tests::sample::Sample;
use tests::transcript::{self, Answers};

/// What filters of pipes may use.
const ROOM: usize = 64 << 10;

struct Simulated {
    target: Sample,
    shell: Framed,
}

impl Simulated {
    fn new() -> Self {
        let mut target = Sample::new();
        let shell = Framed::new(&mut target, ROOM);
        Simulated { target, shell }
    }
}

impl Answers for Simulated {
    fn answer(&mut self, line: &str) -> Result<Vec<String>> {
        let sent = self.shell.send(&mut self.target, line);
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
