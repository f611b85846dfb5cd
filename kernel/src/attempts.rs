//! Accesses made for real, as the shell asks for them: one scratch space, one row at a time.

use machine::{Access, Controls};
use shell::{Attempt, AttemptError, Attempts, Bench, Chain};

use crate::arch::{attempt, features};
use crate::memory::scratch::Scratch;

/// The live kernel's way to make accesses.
#[derive(Default)]
pub(crate) struct LiveAttempts(Option<Scratch>);

impl Attempts for LiveAttempts {
    fn begin(&mut self) -> Result<Bench, AttemptError> {
        self.end();
        let scratch = Scratch::new()?;
        let features = features::get();
        let bench = Bench {
            root: scratch.root(),
            va: scratch.va(),
            smep: features.smep,
            smap: features.smap,
        };
        self.0 = Some(scratch);
        Ok(bench)
    }

    fn attempt(
        &mut self,
        chain: &Chain,
        access: Access,
        controls: Controls,
    ) -> Result<Attempt, AttemptError> {
        let none = AttemptError::Refused("it has not begun");
        let scratch = self.0.as_mut().ok_or(none)?;
        scratch.place(chain)?;
        let (outcome, instruction) = attempt::make(scratch, access, controls);
        Ok(Attempt {
            outcome,
            instruction,
        })
    }

    fn end(&mut self) {
        if let Some(scratch) = self.0.take() {
            scratch.destroy();
        }
    }
}
