//! What runs by itself when something has gone wrong: see `on`.
//!
//! It is looked for after each command and before each prompt, so what runs is a command like any
//! other, in nobody's way. What it does itself is not reacted to: otherwise one that faults would run
//! for ever.

use core::fmt::Write;

use heapless::String;

use crate::command::Context;
use crate::run::run_nested;
use crate::{Error, EventKind, Pid, Target};

/// The longest commands, in bytes.
pub(crate) const BODY: usize = 160;

/// Something that can be reacted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    Panic,
    Fault,
    Exit,
}

impl Happening {
    pub(crate) const ALL: [Happening; 3] = [Happening::Panic, Happening::Fault, Happening::Exit];
    pub(crate) const NAMES: [&str; 3] = ["panic", "fault", "exit"];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Happening::Panic => "panic",
            Happening::Fault => "fault",
            Happening::Exit => "exit",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Happening> {
        let mut all = Happening::ALL.into_iter();
        all.find(|happening| happening.name() == name)
    }
}

/// What is set, and what of it has been seen to.
pub(crate) struct Reactions {
    panic: Reaction,
    fault: Reaction,
    exit: Reaction,
    is_running: bool,
}

/// Commands, and the number of the last record that was looked at.
struct Reaction {
    body: String<BODY>,
    seen: u64,
}

impl Reactions {
    pub(crate) const fn new() -> Self {
        const NONE: Reaction = Reaction {
            body: String::new(),
            seen: 0,
        };
        Reactions {
            panic: NONE,
            fault: NONE,
            exit: NONE,
            is_running: false,
        }
    }

    fn of(&mut self, happening: Happening) -> &mut Reaction {
        match happening {
            Happening::Panic => &mut self.panic,
            Happening::Fault => &mut self.fault,
            Happening::Exit => &mut self.exit,
        }
    }

    /// The commands that are set, if any are.
    pub(crate) fn body(&mut self, happening: Happening) -> Option<&str> {
        let body = self.of(happening).body.as_str();
        (!body.is_empty()).then_some(body)
    }

    /// Whoever ran was given up in the middle. If that was one of these, it must not run again for what
    /// it did itself.
    pub(crate) fn recover(&mut self, target: &mut dyn Target) {
        if !core::mem::take(&mut self.is_running) {
            return;
        }
        for happening in Happening::ALL {
            self.of(happening).seen = newest(target, happening);
        }
    }
}

impl Context<'_> {
    /// Sets what runs from now on.
    pub(crate) fn react(&mut self, happening: Happening, body: String<BODY>) {
        let seen = self.newest(happening);
        *self.state.reactions.of(happening) = Reaction { body, seen };
    }

    /// Runs what is set for all that has happened since the last time.
    pub(crate) fn see_to_reactions(&mut self) {
        if self.state.reactions.is_running {
            return;
        }
        // All that has happened is looked for first: what runs for one may hide another.
        let mut happened = [None; Happening::ALL.len()];
        for (happening, value) in Happening::ALL.into_iter().zip(&mut happened) {
            if self.state.reactions.body(happening).is_some() {
                let newest = self.newest(happening);
                let seen = core::mem::replace(&mut self.state.reactions.of(happening).seen, newest);
                *value = self.last(happening, seen, newest);
            }
        }
        if happened.iter().all(Option::is_none) {
            return;
        }
        self.state.reactions.is_running = true;
        for (happening, value) in Happening::ALL.into_iter().zip(happened) {
            if let Some(value) = value {
                self.run_reaction(happening, value);
            }
        }
        self.state.reactions.is_running = false;
        for happening in Happening::ALL {
            let newest = self.newest(happening);
            self.state.reactions.of(happening).seen = newest;
        }
    }

    fn run_reaction(&mut self, happening: Happening, value: u64) {
        let body = self.state.reactions.of(happening).body.clone();
        let (before, status) = (self.state.value, self.state.status);
        self.state.value = value;
        if !self.out.is_json() {
            let _ = writeln!(self.out, "on {}: {body}", happening.name());
        }
        match run_nested(self, &body) {
            Ok(()) | Err(Error::Reported | Error::Stopped | Error::Output) => {}
            Err(error) => self.out.error(&error),
        }
        self.out.finish_line();
        // Whoever typed a command goes on with what that has left.
        (self.state.value, self.state.status) = (before, status);
    }

    fn newest(&mut self, happening: Happening) -> u64 {
        newest(self.target, happening)
    }

    /// The last one of the records behind `seen`: the number of a fault, or a pid.
    fn last(&mut self, happening: Happening, seen: u64, newest: u64) -> Option<u64> {
        let is_panic = happening == Happening::Panic;
        if happening == Happening::Exit {
            return self.last_exit(seen, newest).map(u64::from);
        }
        let faults = self.target.faults()?;
        let oldest = faults.oldest().max(seen.saturating_add(1));
        (oldest..=newest).rev().find(|seq| {
            let record = faults.get(*seq);
            record.is_some_and(|record| record.panic.is_some() == is_panic)
        })
    }

    fn last_exit(&mut self, seen: u64, newest: u64) -> Option<Pid> {
        let events = self.target.events()?;
        let oldest = events.oldest().max(seen.saturating_add(1));
        (oldest..=newest).rev().find_map(|seq| {
            let event = events.get(seq)?;
            (event.kind == EventKind::Exit).then_some(event.pid)
        })
    }
}

/// The number of the newest record that may tell of such a thing.
fn newest(target: &mut dyn Target, happening: Happening) -> u64 {
    match happening {
        Happening::Panic | Happening::Fault => target.faults().map_or(0, |faults| faults.newest()),
        Happening::Exit => target.events().map_or(0, |events| events.newest()),
    }
}
