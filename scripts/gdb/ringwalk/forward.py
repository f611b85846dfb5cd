"""Not to go on where there is nowhere to go.

QEMU takes `continue` and `stepi` of a dead machine and never answers; a dump has nothing that could
run; and past the end of a recording QEMU aborts when it is asked to go back. So GDB's commands that go
forward ask here first, and get one line instead.
"""

import gdb

from . import machine, replay
from .prefix import Command, Failure

COMMANDS = ("continue", "stepi", "nexti", "step", "next", "finish", "until", "advance", "jump", "signal")
# With no machine GDB takes the kernel for a program of this one, and starts it.
STARTS = ("run", "start", "starti")


class Forward(Command):
    """Refuse to go on where it cannot go on.

    rw forward

GDB's own commands that go forward call it before they do."""

    name = "forward"
    kind = gdb.COMMAND_OBSCURE

    def invoke(self, argument, _from_tty):
        # What it says is about the command that was typed, so without the name of this one.
        try:
            self.run(gdb.string_to_argv(argument))
        except Failure as why:
            raise gdb.GdbError(str(why)) from None

    def run(self, words):
        if words:
            raise Failure("the kernel runs in a machine (cargo xtask gdb, or target remote localhost:1234)")
        if not (machine.is_connected() and machine.is_stopped()):
            return
        if replay.last() is not None:
            replay.forward()
        elif why := machine.stands_still():
            raise Failure(f"{why} cannot go on; only what looks works")


def begin():
    """Puts it before each of them."""
    for command in COMMANDS:
        gdb.execute(f"define hook-{command}\nrw forward\nend", to_string=True)
    for command in STARTS:
        gdb.execute(f"define hook-{command}\nrw forward from the start\nend", to_string=True)


Forward()
