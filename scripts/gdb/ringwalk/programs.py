"""Symbols of programs, at the addresses where they run."""

import os

import gdb

from . import host, processes
from .prefix import Command, Failure, number

# Where `cargo xtask` leaves them whole, beside the kernel.
FOLDER = os.path.join(host.ROOT, "target", "programs-elf")

# All programs are linked at the same addresses, so one is loaded at a time.
_loaded = None


def unload():
    """Forgets the program's symbols, if there are any."""
    global _loaded
    if _loaded is None:
        return None
    path, _loaded = _loaded, None
    try:
        gdb.execute(f'remove-symbol-file "{path}"', to_string=True)
    except gdb.error:
        # `file` or `symbol-file` has dropped them all.
        pass
    return path


def load(name):
    """Loads the symbols of a program."""
    global _loaded
    path = os.path.join(os.environ.get("RINGWALK_PROGRAMS") or FOLDER, name)
    if not os.path.exists(path):
        raise Failure(f"there is no {path} (cargo xtask build makes it)")
    unload()
    try:
        gdb.execute(f'add-symbol-file "{path}" -readnow', to_string=True)
    except gdb.error as why:
        raise Failure(str(why)) from None
    _loaded = path
    return path


class Symbols(Command):
    """Load the symbols of the program that a process runs, or unload them.

    rw symbols <pid>
    rw symbols none

All programs are at the same addresses: those of another process take the place of the ones before.
Without an argument it says whose are loaded."""

    name = "symbols"
    kind = gdb.COMMAND_FILES

    def run(self, words):
        if not words:
            gdb.write(f"symbols of {os.path.basename(_loaded)}\n" if _loaded else "no program's symbols are loaded\n")
        elif len(words) > 1:
            raise Failure(f"what is `{words[1]}`?")
        elif words[0] == "none":
            path = unload()
            gdb.write(f"unloaded those of {os.path.basename(path)}\n" if path else "none were loaded\n")
        else:
            pid = number(words[0])
            name = processes.record(pid, "name")
            load(name)
            gdb.write(f"symbols of {name} (pid {pid})\n")

    def complete(self, text, word):
        self.words = (*processes.pids(), "none")
        return super().complete(text, word)


Symbols()
