"""A recording, replayed: where it ends, and not to run past it.

`cargo xtask replay` names the last instruction in `RINGWALK_REPLAY`. A replay stops before it. QEMU
7.2 aborts when it is asked to go back from after the last one, where the machine is off, so whatever
would go there is refused; and it forgets where to stop whenever it has stopped there, so that is said
again each time.
"""

import os
import re
import time

import gdb

from . import console, machine
from .prefix import Failure, Plain

# The number of the first instruction, and of the one that a way forward ends at, if not the last.
FIRST = None
LIMIT = None


def last():
    """The number of the last instruction; `None` if this is no replay."""
    text = os.environ.get("RINGWALK_REPLAY", "")
    return int(text) if text.isdigit() else None


def now():
    """The number of the instruction that is next."""
    said = machine.monitor("info replay")
    found = re.search(r"instruction count = (\d+)", said)
    if not found:
        raise Failure("this machine is no replay (cargo xtask replay)")
    return int(found.group(1))


def need():
    """Refuses where time goes only forwards."""
    machine.need()
    if last() is None:
        raise Failure("time goes backwards only in a replay (cargo xtask record, then cargo xtask replay)")


def go_to(count):
    """To an instruction by its number, forwards, past all breakpoints."""
    global LIMIT
    if now() < count:
        LIMIT = count
        # A breakpoint on the way stops it, too.
        for breakpoint in (enabled := [each for each in gdb.breakpoints() if each.enabled]):
            breakpoint.enabled = False
        try:
            machine.go()
        finally:
            LIMIT = None
            for breakpoint in enabled:
                breakpoint.enabled = True


def is_backwards():
    """Whether GDB makes `reverse-stepi` of `stepi`: it was told so, or goes back right now."""
    return "everse" in gdb.execute("show exec-direction", to_string=True)


def backward():
    """Keeps a replay from running past its beginning."""
    need()
    if now() <= FIRST:
        raise Failure("this is the first instruction of the recording; stepi and continue go on")


def forward():
    """Keeps a replay from running past its end."""
    if is_backwards():
        return backward()
    if now() >= last():
        raise Failure("this is the last instruction of the recording; reverse-stepi and reverse-continue go back")
    machine.monitor(f"replay_break {LIMIT or last()}")


class End(Plain):
    """Go to the last instruction of a recording.

    rw end"""

    name = "end"
    kind = gdb.COMMAND_RUNNING

    def act(self):
        need()
        go_to(last())
        gdb.execute("frame")


def tell(_event):
    """Where GDB has stopped, if that is an end: QEMU calls it a signal."""
    if not (machine.is_connected() and machine.is_stopped()):
        return
    count = now()
    if count <= FIRST:
        gdb.write("the first instruction of the recording\n")
    elif count >= last():
        gdb.write("the last instruction of the recording\n")


def begin():
    """What a GDB session on a recording begins with: its end."""
    if last() is None:
        return
    global FIRST
    FIRST = now()
    if os.environ.get("RINGWALK_REPLAY_BEGIN") == "power-on":
        # QEMU goes back to a snapshot and on from there. From the one at power-on it does not get far, so
        # there is one here, at the kernel's first instruction. From here on, one instruction at a time.
        said = machine.monitor("savevm kernel").strip() or machine.monitor("singlestep on").strip()
        if said:
            raise Failure(f"QEMU takes no snapshot of this replay: {said}")
        # What goes back without an end of its own would go on to power-on, and be stuck there.
        stop = gdb.Breakpoint(f"*{machine.register('rip'):#x}", gdb.BP_HARDWARE_BREAKPOINT, internal=True)
        stop.silent = True
    go_to(last())
    gdb.events.stop.connect(tell)
    # What it has said is on its way through a socket.
    time.sleep(0.1)
    console.IS_SHOWN = False
    gdb.write(
        f"the last of {last()} instructions, which is not executed yet; reverse-stepi, reverse-continue and rw why go back\n"
    )


End()
