"""The `rw` commands: a Ringwalk kernel, asked from GDB.

Each module of this package defines commands (see `prefix.Command`) and registers them when it is
imported; to add one, write the module and add its name to `MODULES`. None of them may print when it
is imported, and none may need a connection before a command of it is called.
"""

import importlib

import gdb

# In this order. One that cannot be loaded is named, and the others are there all the same.
MODULES = [
    "prefix",
    "console",
    "kernel",
    "processes",
    "looks",
    "programs",
    "printers",
    "stepping",
    "breaks",
    "stages",
    "replay",
    "forward",
    "why",
]


def settings():
    """What GDB needs to be set to, so that nothing asks or warns."""
    for line in (
        "set pagination off",
        "set confirm off",
        # A breakpoint at a function of the kernel may be set before its symbols are there.
        "set breakpoint pending on",
        # Debian's GDB asks about this one otherwise, where an address of a server is set.
        "set debuginfod enabled off",
        "set language rust",
        "set print asm-demangle on",
        "set disassembly-flavor intel",
        # A function called `main` ends no backtrace here. The kernel's entry does: the bootloader jumps to it.
        "set backtrace past-main on",
        "set backtrace past-entry off",
        # A program whose symbols are not loaded is a stack of guesses, which ends where its stack does.
        "set backtrace limit 100",
    ):
        gdb.execute(line, to_string=True)


def load():
    """Loads every module."""
    for name in MODULES:
        try:
            importlib.import_module("." + name, __name__)
        except Exception as why:  # the others must still load
            gdb.write(f"ringwalk: {name} is not there: {type(why).__name__}: {why}\n", gdb.STDERR)


def begin():
    """What `source ringwalk.gdb` does: settings, commands, connection, symbols."""
    settings()
    load()
    from . import kernel

    kernel.begin()
