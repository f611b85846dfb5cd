//! Numbers and what may be computed from them, wherever a number is expected.
//!
//! From the loosest to the tightest: `||`, `&&`, comparisons, `|`, `^`, `&`, shifts, `+ -`,
//! `* / %`, and `- ! ~` before a value, as in Rust. Sums are whole numbers while they are
//! being computed; what comes out must fit in 64 bits and not be below zero, because a
//! wrapped address is a wrong address. Truth is 1 and 0. Both sides of `&&` and `||` are
//! always evaluated.

use core::fmt;

use crate::Error;
use crate::error::excerpt;

/// What the names in an expression stand for.
pub(crate) trait Names {
    /// The value of `$name`; the name comes without the dollar.
    fn value(&mut self, name: &str) -> Result<u64, Error>;

    /// The address of `sym:name`.
    fn symbol(&mut self, name: &str) -> Result<u64, Error>;
}

/// A comparison that was made, for `assert` to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) left: i128,
    pub(crate) operator: &'static str,
    pub(crate) right: i128,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison {
            left,
            operator,
            right,
        } = self;
        write!(f, "{} {operator} {}", Hex(*left), Hex(*right))
    }
}

/// A whole number in hex, with its sign in front.
struct Hex(i128);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 < 0 { "-" } else { "" })?;
        write!(f, "{:#x}", self.0.unsigned_abs())
    }
}

/// The value of an expression.
pub(crate) fn evaluate(text: &str, names: &mut dyn Names) -> Result<u64, Error> {
    evaluate_condition(text, names).map(|(value, _)| value)
}

/// The value of an expression, and the first comparison in it that was false.
pub(crate) fn evaluate_condition(
    text: &str,
    names: &mut dyn Names,
) -> Result<(u64, Option<Comparison>), Error> {
    let mut parser = Parser {
        rest: text.trim(),
        names,
        depth: 0,
        untrue: None,
    };
    let value = parser.binary(0)?;
    if !parser.rest.is_empty() {
        return Err(Error::Unreadable(excerpt(parser.rest)));
    }
    Ok((fits(value)?, parser.untrue))
}

fn fits(value: i128) -> Result<u64, Error> {
    match u64::try_from(value) {
        Ok(value) => Ok(value),
        Err(_) if value < 0 => Err(Error::BelowZero),
        Err(_) => Err(Error::TooLarge),
    }
}

/// How many operators, signs and parentheses may wait for each other: each takes room on
/// the stack.
const DEEPEST: u8 = 30;

/// Binary operators and how tightly they bind. Where one is the beginning of another, the
/// longer one comes first.
const OPERATORS: [(&str, u8); 18] = [
    ("||", 0),
    ("&&", 1),
    ("==", COMPARING),
    ("!=", COMPARING),
    ("<=", COMPARING),
    (">=", COMPARING),
    ("<<", 6),
    (">>", 6),
    ("<", COMPARING),
    (">", COMPARING),
    ("|", 3),
    ("^", 4),
    ("&", 5),
    ("+", 7),
    ("-", 7),
    ("*", 8),
    ("/", 8),
    ("%", 8),
];
const COMPARING: u8 = 2;

struct Parser<'a> {
    rest: &'a str,
    names: &'a mut dyn Names,
    depth: u8,
    untrue: Option<Comparison>,
}

impl<'a> Parser<'a> {
    /// Everything that binds at least as tightly as `least`.
    fn binary(&mut self, least: u8) -> Result<i128, Error> {
        self.deeper()?;
        let mut left = self.unary()?;
        let mut compared = false;
        while let Some((operator, tightness)) = self.operator() {
            if tightness < least {
                break;
            }
            // `a < b < c` says something else in every language; here it says nothing.
            if compared && tightness == COMPARING {
                return Err(Error::Unreadable(excerpt(self.rest)));
            }
            self.skip(operator.len());
            let right = self.binary(tightness + 1)?;
            let value = apply(left, operator, right)?;
            compared = tightness == COMPARING;
            if compared && value == 0 {
                self.untrue.get_or_insert(Comparison {
                    left,
                    operator,
                    right,
                });
            }
            left = value;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<(&'static str, u8)> {
        let fits = |(operator, _): &&(&str, u8)| self.rest.starts_with(operator);
        OPERATORS.iter().find(fits).copied()
    }

    /// Counts a call that waits for another; those that fail are never counted down.
    fn deeper(&mut self) -> Result<(), Error> {
        if self.depth >= DEEPEST {
            return Err(Error::TooDeep);
        }
        self.depth += 1;
        Ok(())
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or("").trim_start();
    }

    fn unary(&mut self) -> Result<i128, Error> {
        let Some(first) = self.rest.chars().next() else {
            return Err(Error::Missing("value"));
        };
        if !matches!(first, '-' | '!' | '~' | '(') {
            return self.value();
        }
        self.deeper()?;
        self.skip(1);
        let value = match first {
            '(' => {
                let value = self.binary(0)?;
                if !self.rest.starts_with(')') {
                    return Err(Error::OpenParenthesis);
                }
                self.skip(1);
                value
            }
            // At most 2^127, the negative of which no product fits in.
            '-' => self.unary()?.checked_neg().ok_or(Error::TooLarge)?,
            '!' => i128::from(self.unary()? == 0),
            _ => i128::from(!fits(self.unary()?)?),
        };
        self.depth -= 1;
        Ok(value)
    }

    fn value(&mut self) -> Result<i128, Error> {
        let text = self.rest;
        if let Some(after) = text.strip_prefix("sym:") {
            let end = after.find(|c: char| !(c.is_alphanumeric() || "_:<>.".contains(c)));
            let name = after.get(..end.unwrap_or(after.len())).unwrap_or("");
            self.skip("sym:".len() + name.len());
            return self.names.symbol(name).map(i128::from);
        }
        if let Some(after) = text.strip_prefix('$') {
            let end = match after.starts_with('?') {
                true => Some(1),
                false => after.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')),
            };
            let name = after.get(..end.unwrap_or(after.len())).unwrap_or("");
            if name.is_empty() {
                return Err(Error::Missing("register after $"));
            }
            self.skip(1 + name.len());
            return self.names.value(name).map(i128::from);
        }
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        let number = text.get(..end.unwrap_or(text.len())).unwrap_or("");
        if number.is_empty() {
            return Err(Error::Unreadable(excerpt(text)));
        }
        self.skip(number.len());
        literal(number).map(i128::from)
    }
}

/// A number as it is typed: `0x` and hex digits, or decimal digits; `_` anywhere.
pub(crate) fn literal(text: &str) -> Result<u64, Error> {
    let hex = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    let (digits, radix) = hex.map_or((text, 10), |digits| (digits, 16));
    let mut value: Option<u64> = None;
    for c in digits.chars().filter(|c| *c != '_') {
        let Some(digit) = c.to_digit(radix) else {
            let is_hex = digits.chars().all(|c| c.is_ascii_hexdigit() || c == '_');
            return Err(match is_hex {
                true => Error::HexWithoutPrefix(excerpt(text)),
                false => Error::NotANumber(excerpt(text)),
            });
        };
        let grown = value.unwrap_or(0).checked_mul(radix.into());
        value = match grown.and_then(|grown| grown.checked_add(digit.into())) {
            Some(value) => Some(value),
            None => return Err(Error::TooLarge),
        };
    }
    value.ok_or(Error::NotANumber(excerpt(text)))
}

fn apply(left: i128, operator: &str, right: i128) -> Result<i128, Error> {
    let whole = match operator {
        "+" => left.checked_add(right),
        "-" => left.checked_sub(right),
        "*" => left.checked_mul(right),
        "/" | "%" if right == 0 => return Err(Error::DivisionByZero),
        "/" => left.checked_div(right),
        "%" => left.checked_rem(right),
        "||" => Some((left != 0 || right != 0).into()),
        "&&" => Some((left != 0 && right != 0).into()),
        "==" => Some((left == right).into()),
        "!=" => Some((left != right).into()),
        "<=" => Some((left <= right).into()),
        ">=" => Some((left >= right).into()),
        "<" => Some((left < right).into()),
        ">" => Some((left > right).into()),
        "<<" | ">>" if !(0..64).contains(&right) => return Err(Error::ShiftCount(right)),
        _ => return bits(fits(left)?, operator, fits(right)?).map(i128::from),
    };
    whole.ok_or(Error::TooLarge)
}

/// The operators that are about bits, and so about numbers of 64 of them.
fn bits(left: u64, operator: &str, right: u64) -> Result<u64, Error> {
    Ok(match operator {
        "&" => left & right,
        "|" => left | right,
        "^" => left ^ right,
        "<<" | ">>" => {
            // The caller has seen to it that it is no more.
            let distance = (right & 63) as u32;
            match operator {
                "<<" if left.leading_zeros() < distance && left != 0 => {
                    return Err(Error::TooLarge);
                }
                "<<" => left << distance,
                _ => left >> distance,
            }
        }
        _ => return Err(Error::Unreadable(excerpt(operator))),
    })
}

#[cfg(test)]
mod tests;
