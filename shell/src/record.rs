//! `--json`: what a command found as JSON Lines, one object a row, for programs to read.
//!
//! A command asks [`Output::is_json`](crate::output::Output::is_json) and then writes each of its
//! rows as a record: `out.record("run").hex("first", run.first).number("pages", pages).end()?`.
//! Every object is flat and begins with `"row"`, the kind of row it is. The kinds that a command
//! writes, and the fields of each in the order in which they are written, are in its
//! [`Command::rows`](crate::command::Command::rows): the manual shows them, and the tests hold
//! what is written against them. A field that has nothing to say is `null`; none is left out.

use core::fmt::{self, Display, Write};

use machine::{PhysAddr, VirtAddr};

/// A kind of row, as the manual shows it.
pub(crate) struct Row {
    /// The value of `"row"`.
    pub(crate) name: &'static str,
    /// What such a row is about, in a few words.
    pub(crate) about: &'static str,
    pub(crate) fields: &'static [Field],
}

/// A field of a row.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: FieldKind,
    pub(crate) about: &'static str,
    /// Whether it may be `null`.
    pub(crate) nullable: bool,
}

/// How the value of a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// A string: `0x`, then hex digits without leading zeros. JSON numbers would lose bits
    /// above the 53rd in many a reader.
    Hex,
    /// A number.
    Number,
    /// A string.
    Text,
    /// `true` or `false`.
    Flag,
}

impl FieldKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            FieldKind::Hex => "hex",
            FieldKind::Number => "number",
            FieldKind::Text => "text",
            FieldKind::Flag => "flag",
        }
    }
}

/// An address, a raw entry, a register.
pub(crate) const fn hex(name: &'static str, about: &'static str) -> Field {
    field(FieldKind::Hex, name, about)
}

/// A count.
pub(crate) const fn number(name: &'static str, about: &'static str) -> Field {
    field(FieldKind::Number, name, about)
}

/// A name, or words.
pub(crate) const fn text(name: &'static str, about: &'static str) -> Field {
    field(FieldKind::Text, name, about)
}

/// Whether something is so.
pub(crate) const fn flag(name: &'static str, about: &'static str) -> Field {
    field(FieldKind::Flag, name, about)
}

const fn field(kind: FieldKind, name: &'static str, about: &'static str) -> Field {
    Field {
        name,
        kind,
        about,
        nullable: false,
    }
}

impl Field {
    /// This field, which may also be `null`.
    pub(crate) const fn or_null(self) -> Field {
        Field {
            nullable: true,
            ..self
        }
    }
}

/// An object that is being written. Nothing of it is kept: each field goes out at once, and
/// the first error is what [`end`](Record::end) returns.
#[must_use = "a record without its end is half an object"]
pub(crate) struct Record<'o> {
    out: &'o mut dyn Write,
    result: fmt::Result,
}

impl<'o> Record<'o> {
    /// Begins an object of this kind of row.
    pub(crate) fn new(out: &'o mut dyn Write, row: &str) -> Self {
        let result = out.write_str("{\"row\":").and_then(|()| string(out, &row));
        Record { out, result }
    }

    /// An address, a raw entry, a register: anything whose bits matter. `None` is `null`.
    pub(crate) fn hex(self, name: &str, value: impl Bits) -> Self {
        self.field(name, &mut |out| match value.bits() {
            Some(bits) => write!(out, "\"{bits:#x}\""),
            None => out.write_str("null"),
        })
    }

    /// A count. `None` is `null`.
    pub(crate) fn number(self, name: &str, value: impl Number) -> Self {
        self.field(name, &mut |out| match value.number() {
            Some(number) => write!(out, "{number}"),
            None => out.write_str("null"),
        })
    }

    /// A name, or words: whatever `value` shows.
    pub(crate) fn text(self, name: &str, value: impl Display) -> Self {
        self.field(name, &mut |out| string(out, &value))
    }

    /// As [`text`](Record::text), or `null`.
    pub(crate) fn maybe_text(self, name: &str, value: Option<impl Display>) -> Self {
        self.field(name, &mut |out| match &value {
            Some(value) => string(out, value),
            None => out.write_str("null"),
        })
    }

    /// Whether something is so. `None` is `null`.
    pub(crate) fn flag(self, name: &str, value: impl Into<Option<bool>>) -> Self {
        let value = value.into();
        self.field(name, &mut |out| {
            out.write_str(match value {
                Some(true) => "true",
                Some(false) => "false",
                None => "null",
            })
        })
    }

    /// Ends the object and its line.
    ///
    /// # Errors
    ///
    /// Something of it could not be written.
    pub(crate) fn end(self) -> fmt::Result {
        self.result?;
        self.out.write_str("}\n")
    }

    fn field(mut self, name: &str, value: &mut dyn FnMut(&mut dyn Write) -> fmt::Result) -> Self {
        if self.result.is_ok() {
            self.result = self.write_field(name, value);
        }
        self
    }

    fn write_field(
        &mut self,
        name: &str,
        value: &mut dyn FnMut(&mut dyn Write) -> fmt::Result,
    ) -> fmt::Result {
        self.out.write_str(",")?;
        string(self.out, &name)?;
        self.out.write_str(":")?;
        value(self.out)
    }
}

/// What can be a field of hex digits.
pub(crate) trait Bits {
    fn bits(&self) -> Option<u64>;
}

/// What can be a field with a number.
pub(crate) trait Number {
    fn number(&self) -> Option<i128>;
}

macro_rules! numbers {
    ($($type:ty)*) => {$(
        impl Number for $type {
            fn number(&self) -> Option<i128> {
                i128::try_from(*self).ok()
            }
        }
    )*};
}

macro_rules! bits {
    ($($type:ty)*) => {$(
        impl Bits for $type {
            fn bits(&self) -> Option<u64> {
                Some((*self).into())
            }
        }
    )*};
}

numbers!(u8 u16 u32 u64 usize i64);
bits!(u8 u16 u32 u64);

impl Bits for VirtAddr {
    fn bits(&self) -> Option<u64> {
        Some(self.0)
    }
}

impl Bits for PhysAddr {
    fn bits(&self) -> Option<u64> {
        Some(self.0)
    }
}

impl<B: Bits> Bits for Option<B> {
    fn bits(&self) -> Option<u64> {
        self.as_ref().and_then(Bits::bits)
    }
}

impl<N: Number> Number for Option<N> {
    fn number(&self) -> Option<i128> {
        self.as_ref().and_then(Number::number)
    }
}

/// Writes a JSON string.
fn string(out: &mut dyn Write, value: &dyn Display) -> fmt::Result {
    out.write_str("\"")?;
    write!(Escaping(out), "{value}")?;
    out.write_str("\"")
}

/// Writes the inside of a JSON string. Every control character is escaped, not only those that
/// JSON refuses: a reader gets back exactly what was written, and a terminal obeys nothing.
pub(crate) struct Escaping<'o>(pub(crate) &'o mut dyn Write);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let special = |c: char| c.is_control() || matches!(c, '"' | '\\');
        for piece in text.split_inclusive(special) {
            let last = piece.chars().next_back().filter(|c| special(*c));
            let plain = piece.len() - last.map_or(0, char::len_utf8);
            self.0.write_str(piece.get(..plain).unwrap_or(""))?;
            match last {
                Some(c @ ('"' | '\\')) => write!(self.0, "\\{c}")?,
                Some('\n') => self.0.write_str("\\n")?,
                Some(c) => write!(self.0, "\\u{:04x}", u32::from(c))?,
                None => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn a_record_is_one_line_and_its_fields_keep_their_order() {
        let mut out = String::new();
        Record::new(&mut out, "run")
            .hex("first", VirtAddr(0xffff_8000_0000_0000))
            .hex("at", None::<PhysAddr>)
            .hex("zero", 0_u64)
            .number("pages", 3_u64)
            .number("delta", -3_i64)
            .number("none", None::<u64>)
            .text("rights", "urwx")
            .maybe_text("region", None::<&str>)
            .flag("user", true)
            .flag("known", None)
            .end()
            .expect("a string takes everything");
        assert_eq!(
            out,
            "{\"row\":\"run\",\"first\":\"0xffff800000000000\",\"at\":null,\"zero\":\"0x0\",\
             \"pages\":3,\"delta\":-3,\"none\":null,\"rights\":\"urwx\",\"region\":null,\
             \"user\":true,\"known\":null}\n"
        );
    }

    #[test]
    fn the_first_error_ends_it() {
        struct Full(usize);
        impl Write for Full {
            fn write_str(&mut self, _: &str) -> fmt::Result {
                self.0 = self.0.checked_sub(1).ok_or(fmt::Error)?;
                Ok(())
            }
        }
        let mut out = Full(3);
        let record = Record::new(&mut out, "run").text("a", "b").flag("c", true);
        assert_eq!(record.end(), Err(fmt::Error));
        assert_eq!(out.0, 0);
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_no_control_character_is_left(text in any::<String>()) {
            let mut out = String::new();
            Record::new(&mut out, "output").text("text", &text).end()?;
            prop_assert_eq!(out.chars().filter(|c| c.is_control()).count(), 1, "the line feed");
            let value: Value = serde_json::from_str(&out)?;
            prop_assert_eq!(value, json!({"row": "output", "text": text}));
        }
    }
}
