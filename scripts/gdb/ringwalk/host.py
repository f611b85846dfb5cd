"""The kernel's own shell, outside: `cargo xtask rw`. It asks for memory and registers, and prints.

It is made of the crates `host` and `shell`, so what it prints is what the kernel's shell prints. The protocol is
described in host/src/conversation.rs.
"""

import os
import subprocess

import gdb

from . import kernel, machine
from .prefix import Failure

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
# Where the kernel says how everything in it is found; part of a mangled name.
BEACON = "6export6BEACON"
# The physical page it was found on, or `-`: memory need not be searched twice, whatever CR3 is.
PAGE = "-"


def program():
    """The program and its first arguments: `RINGWALK_RW`, or what `cargo xtask` has built."""
    named = os.environ.get("RINGWALK_RW")
    if named:
        return [named]
    target = os.environ.get("CARGO_TARGET_DIR") or "target"
    path = os.path.join(ROOT, target, "debug", "xtask")
    if not os.path.exists(path):
        raise Failure(f"there is no {path} (cargo xtask build makes it)")
    return [path, "rw"]


def run(line="", ask="-c"):
    """Runs a line of the shell's, or asks which words could follow it (`--complete`) or which kernel it is and where
    (`--where`); what it prints, and whether it went well."""
    machine.need()
    asks = [ask] if ask == "--where" else [ask, line]
    if path := machine.dump():
        # It needs nobody who reads it for it.
        done = subprocess.run([*program(), "--core", path, *asks], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return (done.stdout + done.stderr).splitlines(), done.returncode == 0
    virtual = _beacon()
    with subprocess.Popen(
        [*program(), "--conversation", *asks],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            with machine.physical():
                shown = _converse(child, virtual)
        except BaseException:
            # Ctrl-C, or a machine that is gone: nobody answers any more.
            child.kill()
            raise
    return shown, child.returncode == 0


def _converse(child, virtual):
    shown = []
    for line in child.stdout:
        line = line.rstrip("\n")
        if line.startswith("|"):
            shown.append(line[1:])
        elif line == "end":
            return shown
        else:
            child.stdin.write(_answer(line, virtual) + "\n")
            child.stdin.flush()
    raise Failure(f"{program()[0]} ended without an answer")


def _answer(question, virtual):
    global PAGE
    words = question.split()
    try:
        if words[0] == "read":
            address, count = int(words[1], 0), int(words[2])
            return "ok " + bytes(gdb.selected_inferior().read_memory(address, count)).hex()
        if words[0] == "registers":
            return "ok " + machine.monitor("info registers").encode().hex()
        if words[0] == "memory":
            # `base memory: 134217728`, and perhaps `plugged memory: 0`.
            said = machine.monitor("info memory_size_summary")
            return "ok " + said.split(":")[1].split()[0]
        if words[0] == "beacon":
            return f"ok {virtual} {PAGE}"
        if words[0] == "search":
            found = machine.search(int(words[1], 0), int(words[2], 0), bytes.fromhex(words[3]))
            return " ".join(["ok", *(f"{page:#x}" for page in found)])
        if words[0] == "found":
            PAGE = words[1]
            return "ok"
    except gdb.MemoryError:
        return f"no GDB cannot read {words[1]}"
    except (gdb.error, Failure, ValueError, IndexError) as why:
        return "no " + " ".join(str(why).split())
    return "no what is that?"


def _beacon():
    """Where the kernel's symbols say its beacon is, or `-`."""
    known = kernel.get()
    found = [name for name in known.symbols if BEACON in name]
    return f"{known.address(found[0]):#x}" if found and known.base is not None else "-"
