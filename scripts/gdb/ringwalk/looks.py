"""The shell's commands that look: the same words, the same output, asked from GDB.

They work on a machine that stands still, wherever it stands: in the kernel, in ring 3, behind a triple
fault. Everything they know they read from its memory.
"""

import gdb

from . import host
from .prefix import Command, one_line
from .processes import pids

ROOTS = ("cr3", "master")


class Look(Command):
    """A command of the shell's. Its docstring is made of `summary`, `usage` and `more`."""

    # What may stand at each place: words, or a function that says them; the last is for all behind.
    places = ()

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
        typed = text.split()
        if not text or text[-1].isspace():
            typed.append("")
        if not self.places:
            return []
        offered = self.places[min(len(typed), len(self.places)) - 1]
        words = []
        for each in offered:
            words.extend(each() if callable(each) else [each])
        start = word or ""
        return [each for each in words if each.startswith(start)]


ROOT = (*ROOTS, pids)
NOTHING = ()

# Name, summary, usage, more, places.
TABLE = [
    (
        "walk",
        "follow an address through the page tables",
        "<address> [root]",
        "A root is cr3, master, a pid, @snapshot, or the physical address of a PML4.",
        (NOTHING, ROOT),
    ),
    (
        "map",
        "what is mapped, as runs of pages",
        "[root] [filter]...",
        "Filters: lower, upper, user, kernel, w, x and more, as in the kernel's shell.",
        (ROOT, ("lower", "upper", "user", "kernel")),
    ),
    (
        "diff",
        "compare two trees of page tables",
        "<root> <root> [user|kernel|...]",
        "What the trees share is not entered.",
        (ROOT, ROOT, ("user", "kernel")),
    ),
    (
        "check",
        "is all as it should be?",
        "[what] [pid]",
        "What: all, stacks, frames, gdt, idt, tss, alias, iret, switch, or a root.",
        (("all", "stacks", "frames", "gdt", "idt", "tss", "alias", "iret", "switch", *ROOT), (pids,)),
    ),
    ("ps", "the processes", "", "", ()),
    (
        "stacks",
        "every stack: where it is, whose, and how much of it was used",
        "[check]",
        "",
        (("check",),),
    ),
    (
        "frame",
        "whose a physical frame is, and every way to it",
        "<physical address>",
        "",
        (),
    ),
    ("frames", "how many frames who has", "[audit]", "", (("audit",),)),
    (
        "events",
        "what the processor did last",
        "[last=N] [pid=N] [kind=NAME]",
        "",
        (("last=", "pid=", "kind="),),
    ),
    ("faults", "the last faults, each with its cause", "", "", ()),
    ("fault", "all that was known when a fault came", "[number]", "", ()),
    (
        "iret",
        "the frame that IRETQ is about to pop, and what is wrong with it",
        "[pid]",
        "Without a pid: the frame at RSP if the processor is at an IRETQ, else the one by which the\n"
        "kernel will leave. Five words (RIP CS RFLAGS RSP SS) are judged as such.",
        ((pids,),),
    ),
    (
        "switch",
        "would the kernel survive the load of a process's CR3?",
        "<pid>",
        "Everything it touches from there on is looked up in the tables to come.",
        ((pids,),),
    ),
    ("snap", "the snapshots of page tables", "", "", ()),
    ("in", "a command about a process: its tables and registers", "<pid> <command>", "As `rw in 3 dis`.", ((pids,), NOTHING)),
    ("x", "memory by virtual address", "[/count and size] <address>", "As `rw x/16g $rsp`.", ()),
    ("dis", "instructions", "[address] [count]", "", ()),
    ("can", "would an access succeed, and if not, why?", "<r|w|x> <user|kernel> <address> [root]", "", (("r", "w", "x"), ("user", "kernel"), NOTHING, ROOT)),
    ("whatis", "what an address is", "<address>", "", ()),
    ("list", "source lines around an address, a function or FILE:LINE", "[address|name|<file>:<line>] [count]", "", ()),
    ("sym", "the function and line of an address, or the address of a name", "<address or name>", "", ()),
    ("regs", "the registers, as the kernel's shell shows them", "", "", ()),
    ("cr", "the control registers, bit by bit", "", "", ()),
    ("gdt", "the GDT, decoded", "", "", ()),
    ("idt", "the IDT, decoded", "[vector]", "", ()),
    ("tss", "the task state segment, decoded", "", "", ()),
]


def define(name, summary, usage, more, places):
    """Makes a command of a row."""
    text = f"{summary[:1].upper()}{summary[1:]}.\n\n    rw {name} {usage}".rstrip()
    if more:
        text += f"\n\n{more}"
    made = type(name, (Look,), {"__doc__": text, "name": name, "places": places})
    made()


for row in TABLE:
    define(*row)
