//! A command's arguments, taken from the left.

use machine::VirtAddr;

use crate::command::Context;
use crate::error::excerpt;
use crate::grammar::word::Word;
use crate::process;
use crate::root::root;
use crate::space::Space;
use crate::{Error, Pid};

/// A command's arguments, taken from the left.
#[derive(Clone)]
pub(crate) struct Args<'a> {
    rest: &'a str,
    /// What followed the name after a slash: `16g` of `x/16g`.
    pub(crate) suffix: Option<&'a str>,
}

impl<'a> Args<'a> {
    pub(crate) fn new(rest: &'a str, suffix: Option<&'a str>) -> Self {
        Args {
            rest: rest.trim(),
            suffix,
        }
    }

    /// Takes out `--json` if it is the first word or the last one; whether it was there.
    pub(crate) fn take_json(&mut self) -> bool {
        const JSON: Word<'_> = Word("--json");
        if let Some((JSON, rest)) = Word::first(self.rest) {
            self.rest = rest.trim_start();
            return true;
        }
        let mut rest = self.rest;
        while let Some((word, after)) = Word::first(rest) {
            if word == JSON && after.is_empty() {
                let before = self.rest.len() - word.0.len();
                self.rest = self.rest.get(..before).unwrap_or("").trim_end();
                return true;
            }
            rest = after;
        }
        false
    }

    /// The next word.
    pub(crate) fn word(&mut self) -> Option<Word<'a>> {
        let (word, rest) = Word::first(self.rest)?;
        self.rest = rest.trim_start();
        Some(word)
    }

    /// The next word, together with those that an operator at either end of it ties to it:
    /// in `walk $rsp + 8 cr3` the first one is `$rsp + 8`.
    pub(crate) fn operand(&mut self) -> Option<Word<'a>> {
        const OPERATORS: &[char] = &[
            '+', '-', '*', '/', '%', '&', '|', '^', '<', '>', '=', '!', '~',
        ];
        let start = self.rest;
        let (_, mut rest) = Word::first(start)?;
        loop {
            let (taken, _) = start.split_at_checked(start.len() - rest.len())?;
            let next = rest.trim_start();
            // `--step` is no minus of a minus.
            let is_option = next.strip_prefix("--").is_some_and(|name| {
                name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.starts_with("sym:")
            });
            let is_tied = taken.ends_with(OPERATORS) || next.starts_with(OPERATORS) && !is_option;
            match Word::first(next).filter(|_| is_tied) {
                Some((_, after)) => rest = after,
                None => {
                    self.rest = next;
                    return Some(Word(taken));
                }
            }
        }
    }

    /// The next word, left where it is.
    pub(crate) fn peek(&self) -> Option<Word<'a>> {
        Word::first(self.rest).map(|(word, _)| word)
    }

    /// All that is left, as it was typed.
    pub(crate) fn rest(&mut self) -> &'a str {
        core::mem::take(&mut self.rest)
    }

    /// Refuses whatever is left.
    pub(crate) fn done(&mut self) -> Result<(), Error> {
        match self.word() {
            Some(word) => Err(Error::Unexpected(excerpt(word.0))),
            None => Ok(()),
        }
    }

    /// A number that must be given; `what` it is, for when it is not.
    pub(crate) fn number(
        &mut self,
        context: &mut Context<'_>,
        what: &'static str,
    ) -> Result<u64, Error> {
        let word = self.operand().ok_or(Error::Missing(what))?;
        context.evaluate(word.text()?)
    }

    /// A virtual address that must be given.
    pub(crate) fn virt(&mut self, context: &mut Context<'_>) -> Result<VirtAddr, Error> {
        self.number(context, "address").map(VirtAddr)
    }

    /// The pid of a process that must be given.
    pub(crate) fn pid(&mut self, context: &mut Context<'_>) -> Result<Pid, Error> {
        self.number(context, "process").and_then(process::pid)
    }

    /// The pid of a process, if there is another word.
    pub(crate) fn maybe_pid(&mut self, context: &mut Context<'_>) -> Result<Option<Pid>, Error> {
        self.peek().map(|_| self.pid(context)).transpose()
    }

    /// The next word as a root; CR3 if there is none.
    pub(crate) fn root(&mut self, context: &mut Context<'_>) -> Result<Space, Error> {
        match self.operand() {
            Some(word) => root(word.text()?, context),
            None => context.cr3().map(Space::live),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operand_is_what_operators_tie_together_and_no_option() {
        for (line, operand) in [
            ("$rsp + 8 cr3", "$rsp + 8"),
            ("$rsp +8 cr3", "$rsp +8"),
            ("3 - -1 x", "3 - -1"),
            ("3 --1 x", "3 --1"),
            ("3 --$rax x", "3 --$rax"),
            ("3 --sym:main", "3 --sym:main"),
            ("3 --step", "3"),
            ("$_ --stop-at Iretq", "$_"),
            ("3 + --step", "3 + --step"),
        ] {
            let found = Args::new(line, None).operand();
            assert_eq!(found.map(|word| word.0), Some(operand), "{line}");
        }
    }
}
