//! `irq`: whether interrupts are let through, and how often each has come.

use core::fmt::Write;

use machine::vectors;

use crate::command::{Args, Command, Context, Group};
use crate::record::{Row, flag, hex, number, text};
use crate::render::Count;
use crate::{Error, Interrupts};

pub(super) const COMMAND: Command = Command {
    name: "irq",
    group: Group::Processor,
    usage: "",
    summary: "show the interrupt lines and how often each was used",
    help: "Shows the sixteen lines of the two interrupt controllers (8259): the vector, what is on the line in a PC, whether it is heard or masked, whether it has asked and waits (`requested`), whether it is being served and its end has not been announced (`in service`), and how often its vector was entered. Then every other vector that was ever entered. The last line begins with RFLAGS.IF. `$_` becomes the number of entries.",
    examples: &[
        ("irq", "is the timer running?"),
        ("repeat 2 irq", "what counts up?"),
    ],
    rows: &[
        Row {
            name: "line",
            about: "a line of the interrupt controllers",
            fields: &[
                number("line", "its number"),
                hex("vector", "its vector"),
                text("device", "what is on the line in a PC").or_null(),
                flag("masked", "whether it is masked"),
                flag("requested", "whether it has asked and waits"),
                flag("in_service", "whether it is being served"),
                number("count", "how often its vector was entered"),
            ],
        },
        Row {
            name: "vector",
            about: "another vector that was entered",
            fields: &[
                hex("vector", "its number"),
                text("name", "what it is"),
                number("count", "how often it was entered"),
            ],
        },
        Row {
            name: "summary",
            about: "all of them",
            fields: &[
                flag("if", "RFLAGS.IF"),
                number("heard", "how many lines are not masked"),
                number("count", "how often any vector was entered"),
            ],
        },
    ],
    args: &[],
    run,
};

/// What a PC has on each line.
const DEVICES: [&str; 16] = [
    "timer",
    "keyboard",
    "second controller",
    "COM2",
    "COM1",
    "",
    "floppy",
    "",
    "clock",
    "",
    "",
    "",
    "mouse",
    "coprocessor",
    "first disk",
    "second disk",
];

fn run(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    args.done()?;
    let interrupts = interrupts(context)?;
    let lines = interrupts.lines();
    let enabled = interrupts.is_enabled();
    let mut sum = 0_u64;
    let mut heard = 0_u64;
    for (line, device) in (0_u8..).zip(DEVICES) {
        let vector = lines.first_vector.wrapping_add(line);
        let count = self::interrupts(context)?.counter(vector);
        sum = sum.saturating_add(count);
        let is_in = |word: u16| word >> line & 1 == 1;
        heard += u64::from(!is_in(lines.masked));
        if context.out.is_json() {
            let device = Some(device).filter(|device| !device.is_empty());
            context
                .out
                .record("line")
                .number("line", line)
                .hex("vector", vector)
                .maybe_text("device", device)
                .flag("masked", is_in(lines.masked))
                .flag("requested", is_in(lines.requested))
                .flag("in_service", is_in(lines.in_service))
                .number("count", count)
                .end()?;
            continue;
        }
        let masked = if is_in(lines.masked) {
            "masked"
        } else {
            "heard"
        };
        write!(
            context.out,
            "line {line:>2} vector {vector:#04x} {masked:<6} {count:>10}"
        )?;
        let mut gap = "  ";
        if !device.is_empty() {
            write!(context.out, "{gap}{device}")?;
            gap = ", ";
        }
        for (word, what) in [
            (lines.requested, "requested"),
            (lines.in_service, "in service"),
        ] {
            if is_in(word) {
                write!(context.out, "{gap}{what}")?;
                gap = ", ";
            }
        }
        writeln!(context.out)?;
    }
    for vector in 0..=u8::MAX {
        let count = self::interrupts(context)?.counter(vector);
        if count > 0 && vector.wrapping_sub(lines.first_vector) >= 16 {
            sum = sum.saturating_add(count);
            let name = vectors::name(vector);
            let out = &mut context.out;
            match out.is_json() {
                true => out
                    .record("vector")
                    .hex("vector", vector)
                    .text("name", name)
                    .number("count", count)
                    .end()?,
                false => writeln!(
                    out,
                    "        vector {vector:#04x}        {count:>10}  {name}"
                )?,
            }
        }
    }
    context.state.value = sum;
    if context.out.is_json() {
        let record = context.out.record("summary").flag("if", enabled);
        let record = record.number("heard", heard).number("count", sum);
        return Ok(record.end()?);
    }
    writeln!(
        context.out,
        "IF {}, {heard} of 16 lines heard, {}",
        u8::from(enabled),
        Count(sum, "interrupt")
    )?;
    Ok(())
}

fn interrupts<'c>(context: &'c mut Context<'_>) -> Result<&'c mut dyn Interrupts, Error> {
    let interrupts = context.target.interrupts();
    interrupts.ok_or(Error::Lacks("record of interrupts"))
}
