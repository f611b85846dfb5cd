"""The machine behind GDB: QEMU's monitor, registers GDB does not know, memory by physical address."""

import contextlib
import mmap
import os
import re
import tempfile

import gdb

from .prefix import Failure

PAGE = 4096
# How much of memory is searched at once.
PIECE = 64 << 20
# QEMU's q35: so much RAM is in one piece. Of more, what would be in the second 2 GiB is above 4 GiB.
MOST_BELOW = 0xB000_0000
HOLE = 2 << 30


def is_connected():
    """Whether GDB talks to a machine."""
    target = gdb.selected_inferior().connection
    return target is not None and target.type in ("remote", "extended-remote")


def is_stopped():
    """Whether the machine stands still, so that it can be asked."""
    thread = gdb.selected_thread()
    return thread is not None and thread.is_valid() and thread.is_stopped()


def need():
    """Refuses to go on without a machine that stands still."""
    if not is_connected():
        raise Failure("GDB is not connected to a machine (target remote localhost:1234)")
    if not is_stopped():
        raise Failure("the machine runs; stop it first (Ctrl-C, or interrupt)")


def stands_still():
    """What cannot go on, in words; `None` for a machine that can."""
    said = monitor("info status")
    if "(dump)" in said:
        return "a dump"
    # Behind a triple fault, or switched off; there only if QEMU has `-no-shutdown`.
    return "a dead machine" if "(shutdown)" in said or "(internal-error)" in said else None


def dump():
    """The file, if this is no machine but a dump of one."""
    return monitor("info dump").strip() if stands_still() == "a dump" else None


@contextlib.contextmanager
def quietly():
    """While it lasts, GDB says nothing: where the machine stopped is told by who let it go.

    What it says of a stop goes past `to_string` and past `set logging`, so its output is led away.
    """
    gdb.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        gdb.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def go(way="continue"):
    """Lets the machine run until something stops it, and says nothing about where that was."""
    with quietly():
        gdb.execute(way, to_string=True)


def step():
    """One instruction, and nothing about where that leads."""
    go("stepi")


def run_to(*addresses):
    """Lets the machine run to whichever of these comes first; says which, or `None` for another stop."""
    stops = [gdb.Breakpoint(f"*{address:#x}", gdb.BP_HARDWARE_BREAKPOINT, internal=True) for address in addresses]
    for stop in stops:
        stop.silent = True
    try:
        go()
    finally:
        for stop in stops:
            stop.delete()
    rip = register("rip")
    return rip if rip in addresses else None


def monitor(line):
    """A line for QEMU's monitor, and what it prints."""
    return gdb.execute("monitor " + line, to_string=True)


def search(start, end, mark):
    """The pages of physical memory that begin with some bytes. QEMU writes memory to a file piece by piece: GDB would
    take seconds to ask for so much."""
    found = []
    with tempfile.TemporaryDirectory(prefix="ringwalk-") as folder:
        path = os.path.join(folder, "memory")
        for at in range(start, end, PIECE):
            said = monitor(f'pmemsave {at:#x} {min(PIECE, end - at):#x} "{path}"')
            if said.strip() or not os.path.exists(path):
                raise Failure(f"QEMU does not save its memory: {said.strip()}")
            with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
                here = memory.find(mark)
                while here >= 0:
                    if (at + here) % PAGE == 0:
                        found.append(at + here)
                    here = memory.find(mark, here + 1)
    return found


def memory_end():
    """Behind all RAM. What is read there by physical address QEMU makes up."""
    # `base memory: 134217728`, and perhaps `plugged memory: 0`.
    size = int(monitor("info memory_size_summary").split(":")[1].split()[0])
    return size if size < MOST_BELOW else size + HOLE


def packet(text):
    """A packet of GDB's protocol, sent as it is; the answer."""
    said = gdb.execute("maintenance packet " + text, to_string=True)
    found = re.search(r'^received: "(.*)"', said, re.MULTILINE)
    return found.group(1) if found else None


def register(name):
    """A register as a number without a sign."""
    try:
        # Not those of a frame that `up` has selected.
        return int(gdb.newest_frame().read_register(name)) & (2**64 - 1)
    except (gdb.error, ValueError) as why:
        raise Failure(f"no register {name}: {why}") from None


def table(name):
    """Base and limit of `IDT` or `GDT`, which GDB's register set lacks."""
    found = re.search(rf"^{name}= *([0-9a-f]+) ([0-9a-f]+)", monitor("info registers"), re.MULTILINE)
    if not found:
        raise Failure(f"QEMU's monitor does not say where the {name} is")
    return int(found.group(1), 16), int(found.group(2), 16)


def read(address, count):
    """Bytes at a virtual address, through the tables in use; `None` if not all of them are mapped."""
    try:
        return bytes(gdb.selected_inferior().read_memory(address, count))
    except gdb.MemoryError:
        return None


@contextlib.contextmanager
def physical():
    """While it lasts, QEMU takes GDB's addresses for physical ones."""
    if packet("Qqemu.PhyMemMode:1") != "OK":
        raise Failure("this QEMU cannot read by physical address (Qqemu.PhyMemMode)")
    # What GDB keeps of memory it has read is by address, whatever the address meant then.
    gdb.execute("maintenance flush dcache", to_string=True)
    try:
        yield
    finally:
        packet("Qqemu.PhyMemMode:0")
        gdb.execute("maintenance flush dcache", to_string=True)


def read_physical(address, count):
    """Bytes at a physical address; `None` if there is no memory."""
    if address + count > memory_end():
        return None
    with physical():
        return read(address, count)
