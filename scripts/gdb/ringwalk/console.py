"""The kernel's serial line beside GDB's prompt: what it says comes in between, `rw send` types.

`cargo xtask gdb` names the socket in `RINGWALK_CONSOLE`. Whoever starts QEMU by hand has the serial
line wherever QEMU was told to put it.
"""

import os
import re
import socket
import threading

import gdb

from .prefix import Command, Failure

LINE = None
# A number of its own: what GDB says is led away at times.
TERMINAL = os.dup(1)
# What is typed before the first prompt would be lost while the kernel sets its UART up: it waits here.
PROMPT = b"ringwalk>"
# UEFI firmware clears the screen and moves about on it, which is GDB's here. Colours may stay.
MOVES = re.compile(rb"\x1b\[[=?]?[0-9;]*[A-Za-ln-z]")
LOCK = threading.Lock()
WAITING = []
HAS_PROMPT = False
# In a replay what the kernel says comes again whenever it is replayed; once is enough.
IS_SHOWN = True


def connect():
    """Takes the serial line, if there is one for us; a thread of its own shows what comes."""
    global LINE
    place = os.environ.get("RINGWALK_CONSOLE")
    if not place or LINE is not None:
        return
    LINE = socket.socket(socket.AF_UNIX)
    try:
        LINE.connect(place)
    except OSError as why:
        LINE = None
        raise Failure(f"no serial line at {place}: {why.strerror}") from None
    threading.Thread(target=show, args=(LINE,), daemon=True).start()


def show(line):
    """Copies what the kernel says to the terminal. Nothing of GDB may be called from here."""
    global HAS_PROMPT
    last = b""
    while True:
        try:
            data = line.recv(4096)
        except OSError:
            return
        if not data:
            return
        last = last[-len(PROMPT) :] + data
        if not HAS_PROMPT and PROMPT in last:
            with LOCK:
                HAS_PROMPT = True
                for text in WAITING:
                    line.sendall(text)
        if IS_SHOWN:
            os.write(TERMINAL, MOVES.sub(b"", data).replace(b"\r\n", b"\n"))


class Send(Command):
    """Type a line at the kernel's serial line, as at its prompt.

    rw send LINE

The kernel reads it when it runs, and not before its first prompt: follow it with `continue`."""

    name = "send"
    kind = gdb.COMMAND_RUNNING

    def invoke(self, argument, _from_tty):
        if LINE is None:
            raise gdb.GdbError("rw send: GDB does not have the serial line (cargo xtask gdb gives it one)")
        if os.environ.get("RINGWALK_REPLAY"):
            raise gdb.GdbError("rw send: a replay hears only what was typed when it was recorded")
        text = argument.encode() + b"\r"
        try:
            with LOCK:
                if HAS_PROMPT:
                    LINE.sendall(text)
                else:
                    WAITING.append(text)
        except OSError as why:
            raise gdb.GdbError(f"rw send: {why.strerror}") from None


Send()
