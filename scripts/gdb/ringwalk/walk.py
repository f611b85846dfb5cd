"""Page tables, read by physical address: enough to say which entry decides about an address."""

import struct

from . import machine
from .prefix import Failure

ADDRESS = 0x000F_FFFF_FFFF_F000
PRESENT, LARGE = 1, 1 << 7
LEVELS = ("PT", "PD", "PDPT", "PML4", "PML5")


class Entry:
    """One entry on the way to an address."""

    def __init__(self, level, at, index, raw):
        self.level, self.at, self.index, self.raw = level, at, index, raw

    def is_present(self):
        """Whether the CPU goes on."""
        return bool(self.raw & PRESENT)

    def is_leaf(self):
        """Whether it maps a page."""
        return self.level == 0 or (self.level in (1, 2) and bool(self.raw & LARGE))

    def __str__(self):
        kind = "absent" if not self.is_present() else "page" if self.is_leaf() else "table"
        return f"{LEVELS[self.level]:4} entry at {physical(self.at)} [{self.index:3}] {self.raw:016x} {kind}"


def virtual(address):
    """As the shell writes virtual addresses."""
    text = f"{address:016x}"
    return "0x" + "_".join(text[at : at + 4] for at in range(0, 16, 4))


def physical(address):
    """As the shell writes physical addresses."""
    text = f"{address:012x}"
    return "0x" + "_".join(text[at : at + 4] for at in range(0, 12, 4))


def word(at, end):
    """A word of physical memory, which ends at `end`; only inside `machine.physical()`."""
    data = machine.read(at, 8) if at + 8 <= end else None
    if data is None:
        raise Failure(f"no memory at {physical(at)}")
    return struct.unpack("<Q", data)[0]


def walk(address, root=None):
    """The entries the CPU reads for an address, the highest first."""
    root = machine.register("cr3") if root is None else root
    top = 4 if machine.register("cr4") & (1 << 12) else 3
    found = []
    table = root & ADDRESS
    end = machine.memory_end()
    with machine.physical():
        for level in range(top, -1, -1):
            index = address >> (12 + 9 * level) & 511
            entry = Entry(level, table + 8 * index, index, word(table + 8 * index, end))
            found.append(entry)
            if not entry.is_present() or entry.is_leaf():
                break
            table = entry.raw & ADDRESS
    return found


def translate(address):
    """The physical address; `None` if there is no page."""
    last = walk(address)[-1]
    if not last.is_present():
        return None
    size = 1 << (12 + 9 * last.level)
    return last.raw & ADDRESS & ~(size - 1) | address & (size - 1)


def is_mapped(address):
    """Whether there is a page at an address."""
    return walk(address)[-1].is_present()


def physmap():
    """Where the kernel sees physical address 0, asked from the tables in use; `None` if nowhere."""
    root = machine.register("cr3") & ADDRESS
    end = machine.memory_end()
    with machine.physical():
        for slot in range(256, 512):
            at, level = root + 8 * slot, 3
            raw = word(at, end)
            while raw & PRESENT and level > 0 and not (level < 3 and raw & LARGE):
                raw, level = word(raw & ADDRESS, end), level - 1
            # A frame is at least 4 KiB; where a large page begins, so does its frame number.
            if raw & PRESENT and raw & ADDRESS & ~0x1000 == 0:
                return 0xFFFF_0000_0000_0000 | slot << 39
    return None
