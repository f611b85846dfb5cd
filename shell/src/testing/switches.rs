//! What a switch needs, for tests: a list, and what was asked to be broken.

use machine::transition::{Need, Use, When};
use machine::{Raised, VirtAddr};

use crate::{Pid, ProcessError, Rsp0, Spoil, Switches};

/// A few needs on the machine's kernel pages, and what was done.
#[derive(Clone, Debug)]
pub(crate) struct Needs {
    pub(crate) needs: Vec<Need>,
    pub(crate) rsp0: Rsp0,
    pub(crate) spoiled: Vec<(Pid, Spoil)>,
    pub(crate) released: Vec<Pid>,
}

impl Needs {
    pub(crate) fn new() -> Self {
        let top = VirtAddr(0xffff_c900_0000_2000);
        let need = |what, first, bytes, how, when| Need {
            what,
            first: VirtAddr(first),
            bytes,
            how,
            when,
            rsp: VirtAddr(top.0 - 0x100),
        };
        let stack = top.0 - 0x1000;
        Needs {
            needs: vec![
                need("return address", stack, 8, Use::Read, When::Switch),
                need("stack in use", stack, 0x1000, Use::Stack, When::Switch),
                need(
                    "guard below it",
                    stack - 0x1000,
                    0x1000,
                    Use::Guard,
                    When::Trap,
                ),
            ],
            rsp0: Rsp0 {
                value: top,
                should_be: top,
            },
            spoiled: Vec::new(),
            released: Vec::new(),
        }
    }
}

impl Switches for Needs {
    fn need(&mut self, _: Pid, index: usize) -> Option<Need> {
        self.needs.get(index).copied()
    }

    fn rsp0(&mut self, _: Pid) -> Option<Rsp0> {
        Some(self.rsp0)
    }

    fn spoil(&mut self, pid: Pid, spoil: Spoil) -> Result<(), ProcessError> {
        self.spoiled.push((pid, spoil));
        Ok(())
    }

    fn release(&mut self, pid: Pid) {
        self.released.push(pid);
    }

    fn expect(&mut self, _: Option<Raised>) {}
}
