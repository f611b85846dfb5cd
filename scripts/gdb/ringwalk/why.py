"""`rw why`: back to the last write of a page-table entry or of a word, in a replay.

The kernel writes its tables through its map of physical memory, so that is where an entry is watched.
The Accessed and Dirty bits, which the processor sets, are no writes of anybody. Going back is
`reverse-continue` with a hardware watchpoint; it is counted as found only if the instruction there
changes the watched word, or stores to it.
"""

import re
import struct

import gdb

from . import machine, replay
from .prefix import Command, Failure, number
from .walk import LEVELS, physical, physmap, translate, virtual, walk


# How many stores that change nothing are passed on the way back.
MOST = 16
# How many calls are named.
CALLS = 3


def tables():
    """What the CPU needs to deliver an exception, in the order in which it reads it: name, address."""
    idt, _ = machine.table("IDT")
    gdt, _ = machine.table("GDT")
    tr, _ = task_register()
    yield "the instruction", machine.register("rip")
    yield "the IDT", idt
    yield "the GDT", gdt
    yield "the TSS", tr
    # SDM, "64-Bit Task State Segment": RSP0 at 4, IST1 to IST7 from 36.
    if walk(tr)[-1].is_present():
        for name, offset in (("the stack of RSP0", 4), ("the stack of IST1", 36)):
            data = machine.read(tr + offset, 8)
            top = struct.unpack("<Q", data)[0] if data else 0
            if top:
                yield name, (top - 8) & (2**64 - 1)


def task_register():
    """Base and limit of the TSS."""
    found = re.search(r"^TR *=[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+)", machine.monitor("info registers"), re.MULTILINE)
    if not found:
        raise Failure("QEMU's monitor does not say where the TSS is")
    return int(found.group(1), 16), int(found.group(2), 16)


def missing():
    """The first thing an exception would need here that is not mapped: what it is, and its address."""
    for name, address in tables():
        if not walk(address)[-1].is_present():
            return name, address
    return None


def value(at):
    """The word at a physical address."""
    data = machine.read_physical(at, 8)
    if data is None:
        raise Failure(f"no memory at {physical(at)}")
    return struct.unpack("<Q", data)[0]


def go_back(addresses):
    """Back to the instruction that stored last to one of these; false if that is before the beginning."""
    if replay.now() <= replay.FIRST:
        return False
    # Not the internal one that may be at the beginning.
    others = [each for each in gdb.breakpoints() if each.enabled and each.number > 0]
    for each in others:
        each.enabled = False
    mine = []
    for address in addresses:
        gdb.execute(f"with language c -- watch -l *(unsigned long long *) {address:#x}", to_string=True)
        mine.append(gdb.breakpoints()[-1])
        mine[-1].silent = True
    try:
        machine.go("reverse-continue")
    finally:
        for each in mine:
            each.delete()
        for each in others:
            each.enabled = True
    return replay.now() > replay.FIRST


def back():
    """One instruction back."""
    machine.go("reverse-stepi")


def last_write(at, addresses):
    """Goes to the last store to a word that changed it, and stops before it."""
    begin, after = replay.now(), value(at)
    for _ in range(MOST):
        if not go_back(addresses):
            break
        # QEMU stops behind the store, or GDB before it: the word tells.
        if value(at) == after:
            back()
        before = value(at)
        if before != after:
            return before, after
    replay.go_to(begin)
    raise Failure(f"nothing has changed the word at {physical(at)} since the beginning of the recording")


def places():
    """The calls that led here, inlined ones too, without those of the language's own library."""
    frame = gdb.newest_frame()
    while frame is not None:
        found = frame.find_sal()
        if found.symtab is not None and not found.symtab.filename.startswith("/rust"):
            yield frame.name() or "?", f"{found.symtab.filename}:{found.line}"
        frame = frame.older()


def show(what, at, addresses):
    """Goes back to who wrote a word, and names it."""
    before, after = last_write(at, addresses)
    gdb.write(f"{what} was changed from {before:016x} to {after:016x} by instruction {replay.now()}\n")
    gdb.write(f"at {virtual(machine.register('rip'))}")
    for (name, place), number in zip(places(), range(CALLS)):
        gdb.write(f" in {name} at {place}\n" if number == 0 else f"  called by {name} at {place}\n")


class Why(Command):
    """Go back to the last write of a page-table entry or of a word.

    rw why                    what an exception here needs and does not find: back to who took it away
    rw why entry VA [LEVEL]   the entry that decides about an address, or the one of a level (pml4 ...)
    rw why VA                 the word at a virtual address, such as one on a stack
    rw why phys PA            the word at a physical address

In a replay only. It stops before the instruction that writes; `bt` says who called it."""

    name = "why"
    kind = gdb.COMMAND_RUNNING
    words = ("entry", "phys")

    def run(self, words):
        machine.need()
        if words:
            replay.need()
        else:
            found = missing()
            if found is None:
                raise Failure("all that an exception needs here is mapped; why what? (entry VA, VA, or phys PA)")
            name, address = found
            gdb.write(f"{name} at {virtual(address)} is not mapped\n")
            if replay.last() is None:
                gdb.write(f"{walk(address)[-1]}\n")
            replay.need()
            self.entry(address, None)
        if words[:1] == ["entry"] and 2 <= len(words) <= 3:
            self.entry(number(words[1]), words[2].upper() if len(words) == 3 else None)
        elif words[:1] == ["phys"] and len(words) == 2:
            self.physical("the word", number(words[1]) & ~7)
        elif len(words) == 1:
            self.word(number(words[0]) & ~7)
        elif words:
            raise Failure("entry VA [LEVEL], VA, or phys PA")

    def complete(self, text, word):
        typed = text.split()[: -1 if word else None]
        if len(typed) == 2 and typed[0] == "entry":
            return [each for each in map(str.lower, LEVELS) if each.startswith(word or "")]
        return super().complete(text, word)

    def entry(self, address, level):
        """The entry that decides about an address."""
        entries = walk(address)
        if level is not None:
            entries = [entry for entry in entries if LEVELS[entry.level] == level]
            if not entries:
                raise Failure(f"the way to {virtual(address)} has no entry of level {level}")
        gdb.write(f"{entries[-1]}\n")
        self.physical("the entry", entries[-1].at)

    def word(self, address):
        """A word by its virtual address: whoever stores to it uses that, or prepares it as physical memory."""
        at = translate(address)
        if at is None:
            raise Failure(f"nothing is mapped at {virtual(address)}")
        start = physmap()
        show(f"the word at {virtual(address)}", at, [address] + ([start + at] if start else []))

    @staticmethod
    def physical(what, at):
        """A word by its physical address, watched where the kernel sees it."""
        start = physmap()
        if start is None:
            raise Failure("the tables in use do not map physical memory; go back to where the kernel runs")
        show(f"{what} at {physical(at)}", at, [start + at])


Why()
