"""What QEMU holds back while GDB steps.

A step of QEMU's stub runs with two things held back unless it is told otherwise: interrupts (NOIRQ)
and the clock of the machine's timers (NOTIMER). Without that, a timer interrupt would be waiting at
nearly every step in ring 3, where IF is set, and `stepi` would land in the timer's handler instead of
at the next instruction. So `rw stepping quiet` is what we set, on purpose and not because it is
QEMU's default. It is wrong for whoever looks for an interrupt: then `rw stepping live`.
"""

import re

import gdb

from . import machine
from .prefix import Command, Failure

# QEMU's bits, include/exec/... `SSTEP_ENABLE`, `SSTEP_NOIRQ`, `SSTEP_NOTIMER`.
ENABLE, NO_INTERRUPTS, NO_TIMERS = 1, 2, 4
WAYS = {"quiet": ENABLE | NO_INTERRUPTS | NO_TIMERS, "live": ENABLE}


def set_way(name):
    """Tells QEMU what a step holds back; false if it does not know how."""
    return machine.packet(f"Qqemu.sstep={WAYS[name]:#x}") == "OK"


def current():
    """The name of how it steps now, or the bits."""
    said = machine.packet("qqemu.sstep") or ""
    found = re.fullmatch(r"0x([0-9a-f]+)", said)
    bits = int(found.group(1), 16) if found else None
    for name, value in WAYS.items():
        if value == bits:
            return name
    return said or "unknown"


class Stepping(Command):
    """What `stepi` holds back: interrupts and timers (quiet), or nothing (live).

    rw stepping [quiet|live]

quiet, which is how it starts: a step is one instruction of what is looked at, because QEMU holds
back interrupts and stops the clock of timers meanwhile. An NMI is not held back. live: an interrupt
that is due is taken, and the step ends in its entry."""

    name = "stepping"
    kind = gdb.COMMAND_RUNNING
    words = tuple(WAYS)

    def run(self, words):
        machine.need()
        if len(words) > 1 or (words and words[0] not in WAYS):
            raise Failure("quiet or live?")
        if words and not set_way(words[0]):
            raise Failure("this QEMU cannot be told")
        gdb.write(f"stepping is {current()}\n")


Stepping()
