"""The shell's commands that look: the same words, the same output, asked from GDB.

They work on a machine that stands still, wherever it stands: in the kernel, in ring 3, behind a triple
fault. Everything they know they read from its memory. What Tab offers and what `help` says is the shell's, too.
"""

import gdb

from . import host
from .manual import Manual
from .prefix import Command, Failure, one_line


class Look(Command):
    """A command of the shell's."""

    def invoke(self, argument, _from_tty):
        with one_line(self.name):
            joined = "" if argument.startswith("/") or not argument else " "
            shown, is_well = host.run(f"{self.name}{joined}{argument}")
        if not is_well and shown:
            # The last line says why; GDB shows it as an error, so that scripts notice.
            for line in shown[:-1]:
                gdb.write(line + "\n")
            raise gdb.GdbError(shown[-1])
        for line in shown:
            gdb.write(line + "\n")

    def complete(self, text, word):
        try:
            offered, _ = host.run(f"{self.name} {text}", ask="--complete")
        except (Failure, gdb.error):
            return []
        # A word of GDB's begins behind `=`, `@` and `$`, too.
        typed = text.rpartition(" ")[2]
        done = len(typed) - len(word or "")
        return [each[done:] for each in offered if each.startswith(typed)]


# Those that the shell has, too.
NAMES = (
    *("walk", "map", "diff", "check", "snap", "can", "x", "dis", "sym", "list", "whatis", "frame", "frames"),
    *("ps", "in", "stacks", "events", "faults", "fault"),
    *("regs", "cr", "gdt", "idt", "tss"),
)

# Those that it has by another name.
OTHERS = {
    "iret": """The frame that IRETQ is about to pop, and what is wrong with it.

    rw iret [pid | <rip> <cs> <rflags> <rsp> <ss>]

Without a pid: the frame at RSP if the processor is at an IRETQ, else the one by which the kernel will leave.
Five words are judged as such. `check iret` in the shell.""",
    "switch": """Would the kernel survive the load of a process's CR3?

    rw switch <pid>

Everything it touches from there on is looked up in the tables to come. `check switch` in the shell.""",
}


def define(name, text):
    """Makes a command."""
    type(name, (Look,), {"__doc__": text, "name": name})()


MANUAL = Manual()
for each in NAMES:
    define(each, MANUAL.help(each))
for each, text in OTHERS.items():
    define(each, text)
