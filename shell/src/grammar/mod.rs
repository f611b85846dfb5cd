//! How a line is read: commands, words, numbers, expressions.

pub(crate) mod expression;
pub(crate) mod line;
pub(crate) mod pipe;
pub(crate) mod word;
