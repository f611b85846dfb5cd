//! What to write: a value, bits to change in the present one, or both.

use machine::{Entry, Level};

use crate::Error;
use crate::command::{Args, Context};
use crate::error::excerpt;

/// What Tab offers.
pub(super) const SETTINGS: &[&str] = &[
    "--force", "a=", "d=", "frame=", "g=", "nx=", "p=", "pat=", "pcd=", "ps=", "pwt=", "u=", "w=",
];

const EXPECTED: &str =
    "a value or a setting; those are p w u pwt pcd a d ps pat g nx, each =0 or =1, and frame=";

/// Bits 51..12, where an address can be.
const FRAME: u64 = 0x000f_ffff_ffff_f000;

/// A value that is being put together from words.
pub(super) struct Value {
    level: Level,
    now: u64,
    given: bool,
    /// The bits that were named, each of which can be but once.
    named: u64,
    pub(super) force: bool,
}

impl Value {
    /// The value of an entry of this level, as it is.
    pub(super) const fn new(level: Level, now: u64) -> Value {
        Value {
            level,
            now,
            given: false,
            named: 0,
            force: false,
        }
    }

    /// Takes all words that are left. What it comes to.
    pub(super) fn read(
        mut self,
        context: &mut Context<'_>,
        args: &mut Args<'_>,
    ) -> Result<(u64, bool), Error> {
        let mut is_first = true;
        while let Some(word) = args.word() {
            let text = word.text()?;
            match text.split_once('=') {
                _ if text == "--force" => self.force = true,
                // A comparison is no setting.
                Some((name, value)) if !value.starts_with('=') && is_name(name) => {
                    self.set(context, text, name, value)?;
                }
                _ if is_first => {
                    self.now = context.evaluate(text).map_err(|error| match error {
                        Error::NotANumber(word) => Error::Unknown(word, EXPECTED),
                        error => error,
                    })?;
                    self.given = true;
                }
                _ => return Err(Error::Unknown(excerpt(text), EXPECTED)),
            }
            is_first &= text == "--force";
        }
        match self.given {
            true => Ok((self.now, self.force)),
            false => Err(Error::Missing("value or setting")),
        }
    }

    fn set(
        &mut self,
        context: &mut Context<'_>,
        text: &str,
        name: &str,
        value: &str,
    ) -> Result<(), Error> {
        self.given = true;
        if name == "frame" {
            let frame = context.evaluate(value)?;
            if frame & !FRAME != 0 {
                return Err(Error::Unknown(
                    excerpt(value),
                    "the address of a frame: a multiple of 4096, below 2^52",
                ));
            }
            // The lowest address bit of a large page is its PAT bit, and stays.
            let mask = match self.is_large() {
                true => FRAME & !Entry::PAT_HUGE,
                false => FRAME,
            };
            if frame & !mask != 0 {
                return Err(Error::Unknown(excerpt(value), "where a large page can be"));
            }
            self.now = (self.now & !mask) | frame;
            return self.name(FRAME & !Entry::PAT_HUGE, name);
        }
        self.check_name(name)?;
        let bit = self
            .bit(name)
            .ok_or(Error::Unknown(excerpt(text), EXPECTED))?;
        self.now = match value {
            "0" => self.now & !bit,
            "1" => self.now | bit,
            _ => return Err(Error::Unknown(excerpt(text), EXPECTED)),
        };
        self.name(bit, name)
    }

    /// Whichever of two settings won would be the wrong one half the time.
    fn name(&mut self, bits: u64, name: &str) -> Result<(), Error> {
        if self.named & bits != 0 {
            return Err(Error::Twice(excerpt(name)));
        }
        self.named |= bits;
        Ok(())
    }

    /// Whether the value, as far as it is known, maps a page of more than 4 KiB.
    fn is_large(&self) -> bool {
        matches!(self.level, Level::Pd | Level::Pdpt) && self.now & Entry::HUGE != 0
    }

    fn bit(&self, name: &str) -> Option<u64> {
        Some(match name {
            "p" => Entry::PRESENT,
            "w" => Entry::WRITABLE,
            "u" => Entry::USER,
            "pwt" => Entry::WRITE_THROUGH,
            "pcd" => Entry::CACHE_DISABLE,
            "a" => Entry::ACCESSED,
            "d" => Entry::DIRTY,
            "g" => Entry::GLOBAL,
            "nx" => Entry::NO_EXECUTE,
            // The same bit is the PAT's in a page table, and a size everywhere else.
            "ps" if self.level != Level::Pt => Entry::HUGE,
            "pat" if self.level == Level::Pt => Entry::PAT,
            "pat" if self.is_large() => Entry::PAT_HUGE,
            _ => return None,
        })
    }

    /// Bit 7 has another name at each level, and the PAT has another bit.
    fn check_name(&self, name: &str) -> Result<(), Error> {
        match name {
            "ps" if self.level == Level::Pt => Err(Error::Said(
                "an entry of a PT has no PS; its bit 7 is called pat",
            )),
            "pat" if self.level != Level::Pt && !self.is_large() => Err(Error::Said(
                "an entry that references a table has no PAT bit, only pwt and pcd",
            )),
            _ => Ok(()),
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase())
}
