//! `reboot` and `poweroff`: leaving.

use crate::command::{Args, Command, Context, Group};
use crate::{Error, Power, PowerError};

pub(super) const REBOOT: Command = Command {
    name: "reboot",
    group: Group::Session,
    usage: "",
    summary: "restart the machine",
    help: "Restarts the machine at once; nothing is asked and nothing is saved.",
    examples: &[("reboot", "start over")],
    rows: &[],
    args: &[],
    run: reboot,
};

pub(super) const POWEROFF: Command = Command {
    name: "poweroff",
    group: Group::Session,
    usage: "",
    summary: "switch the machine off",
    help: "Switches the machine off at once; nothing is asked and nothing is saved.",
    examples: &[("poweroff", "leave")],
    rows: &[],
    args: &[],
    run: poweroff,
};

fn reboot(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    leave(context, args, |power| power.reboot())
}

fn poweroff(context: &mut Context<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    leave(context, args, |power| power.poweroff())
}

/// Whatever comes back from the switch is a failure.
fn leave(
    context: &mut Context<'_>,
    args: &mut Args<'_>,
    switch: fn(&mut dyn Power) -> PowerError,
) -> Result<(), Error> {
    args.done()?;
    let power = context.target.power().ok_or(Error::Lacks("power switch"))?;
    Err(Error::Power(switch(power)))
}
