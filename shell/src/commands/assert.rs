//! `assert`: fail unless a condition holds. What scripts and tests are made of.

use crate::Error;
use crate::command::{ArgKind, Args, Command, Context, Group};
use crate::error::excerpt;
use crate::grammar::expression::evaluate_condition;

pub(super) const COMMAND: Command = Command {
    name: "assert",
    group: Group::Scripting,
    usage: "<expression>",
    summary: "fail unless a condition holds",
    help: "Says nothing if the expression is anything but 0. If it is 0, fails with the condition and the values on both sides of the first comparison in it that did not hold. `help eval` describes expressions.",
    examples: &[
        (
            "assert $cr0.wp == 1",
            "is the kernel kept from writing read-only pages?",
        ),
        (
            "walk $rsp; assert $_ < 0x1000_0000",
            "is the stack in the first 256 MiB?",
        ),
        ("frames; assert $? == 0", "did the last command succeed?"),
    ],
    rows: &[],
    args: &[ArgKind::Any],
    run,
};

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let text = super::eval::unquoted(args.rest());
    if text.is_empty() {
        return Err(Error::Missing("expression"));
    }
    match evaluate_condition(text, context)? {
        (0, untrue) => Err(Error::False(excerpt(text), untrue)),
        _ => Ok(()),
    }
}
