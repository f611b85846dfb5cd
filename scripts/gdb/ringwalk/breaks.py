"""`rw break`: breakpoints at the moments between two address spaces and between two rings."""

import struct

import gdb

from . import kernel, machine, processes, replay
from .prefix import Command, Failure, Plain, number
from .walk import virtual

# SDM, "Exception and Interrupt Reference".
EXCEPTIONS = (
    "#DE divide error", "#DB debug", "NMI", "#BP breakpoint", "#OF overflow", "#BR bound range exceeded",
    "#UD invalid opcode", "#NM device not available", "#DF double fault", "vector 9", "#TS invalid TSS",
    "#NP segment not present", "#SS stack-segment fault", "#GP general protection", "#PF page fault", "vector 15",
    "#MF x87 floating-point error", "#AC alignment check", "#MC machine check", "#XM SIMD floating-point error",
    "#VE virtualization", "#CP control protection",
)
WITH_CODE = {8, 10, 11, 12, 13, 14, 17, 21, 29, 30}
# Of these a kernel that works has many: the debugger's own, and NMI.
USUAL = tuple(vector for vector in range(22) if vector not in (1, 2, 3, 9, 15))


def words(address, count):
    """The words at a virtual address; `None` if they cannot be read."""
    data = machine.read(address, 8 * count)
    return struct.unpack(f"<{count}Q", data) if data is not None else None


class Moment(gdb.Breakpoint):
    """A hardware breakpoint that says what it is about to see. `what` it is for, as it was typed."""

    def __init__(self, address, what, shows):
        super().__init__(f"*{address:#x}", gdb.BP_HARDWARE_BREAKPOINT)
        self.address, self.what, self.shows = address, what, shows

    def stop(self):
        try:
            text = self.shows(self.address)
        except Failure as why:
            text = str(why)
        if text is None:
            return False
        gdb.write(text + "\n")
        return True


def iretqs(kernel_file):
    """The kernel's returns: the one of traps, that of #DB and NMI, and the one of its debugger."""
    names = ("ringwalk_iretq", "ringwalk_quiet_iretq", "ringwalk_resume_iretq")
    return [kernel_file.address(name) for name in names]


def frame(_address):
    """The frame that IRETQ is about to pop."""
    found = words(machine.register("rsp"), 5)
    if found is None:
        return f"iretq: its frame at {virtual(machine.register('rsp'))} cannot be read"
    rip, cs, flags, rsp, ss = found
    return f"iretq to ring {cs & 3}: rip {virtual(rip)} cs {cs:#06x} rflags {flags:#x} rsp {virtual(rsp)} ss {ss:#06x}"


def to_ring3(address):
    """The same, if it leads to ring 3."""
    found = words(machine.register("rsp"), 5)
    return frame(address) if found is not None and found[1] & 3 == 3 else None


def load(root):
    """What is shown before `mov cr3`; only of one root if there is one."""

    def shows(_address):
        new = machine.register("rdi")
        if root is not None and new & ~0xFFF != root & ~0xFFF:
            return None
        return f"mov cr3: {machine.register('cr3') & ~0xfff:#x} -> {new:#x}"

    return shows


def fault(vector):
    """What is shown at the entry of an exception."""

    def shows(_address):
        rsp = machine.register("rsp")
        found = words(rsp, 6)
        if found is None:
            return f"{EXCEPTIONS[vector]}: its frame at {virtual(rsp)} cannot be read"
        code, (rip, cs) = (found[0], found[1:3]) if vector in WITH_CODE else (None, found[:2])
        text = EXCEPTIONS[vector]
        if vector == 14:
            text += f" at {virtual(machine.register('cr2'))}"
        if code is not None:
            text += f", error code {code:#x}"
        return f"{text}, from ring {cs & 3} at {virtual(rip)}"

    return shows


def arrive():
    """After a breakpoint of `rw break ring3`: the IRETQ itself."""
    if replay.is_backwards():
        gdb.write("ring 3 is one step forward\n")
        gdb.execute("x/i $rip")
        return
    machine.step()
    if machine.register("cs") & 3 == 3:
        gdb.write("ring 3:\n")
    else:
        gdb.write("the IRETQ faulted; this is the entry of its exception:\n")
    gdb.execute("x/i $rip")


class Arrive(Plain):
    """Step over the IRETQ at a breakpoint of `rw break ring3`, as that does by itself.

    rw arrive"""

    name = "arrive"
    kind = gdb.COMMAND_OBSCURE

    def act(self):
        machine.need()
        if machine.register("rip") not in iretqs(kernel.get()):
            raise Failure("the processor is not at an IRETQ of the kernel's")
        arrive()


def root_of(pid):
    """The root of a process."""
    return int(str(processes.record(pid, "root")).replace("_", ""), 0)


class Break(Command):
    """Stop at a change of address space, a return, ring 3, or a fault.

    rw break cr3 [PID]       before `mov cr3`, all of them or those to the space of one process
    rw break iret            before IRETQ, with the frame it pops
    rw break ring3           at the first instruction after an IRETQ to ring 3
    rw break fault [VECTOR]  at the entry of an exception; without a vector all but #DB, NMI and #BP

They are hardware breakpoints, seen and deleted as all others (info breakpoints, delete)."""

    name = "break"
    kind = gdb.COMMAND_BREAKPOINTS
    words = ("cr3", "iret", "ring3", "fault")

    def run(self, words):
        machine.need()
        if not words or words[0] not in self.words:
            raise Failure("at cr3, iret, ring3 or fault?")
        what, rest = words[0], words[1:]
        if len(rest) > (1 if what in ("cr3", "fault") else 0):
            raise Failure(f"what is `{rest[-1]}`?")
        if why := machine.stands_still():
            raise Failure(f"{why} comes to no breakpoint")
        file = kernel.get()
        typed = " ".join(words)
        if any(isinstance(each, Moment) and each.what == typed for each in gdb.breakpoints()):
            raise Failure(f"`{typed}` is set already (info breakpoints)")
        if what == "cr3":
            root = root_of(number(rest[0])) if rest else None
            Moment(file.address("ringwalk_load_cr3"), typed, load(root))
        elif what == "iret":
            for address in iretqs(file):
                Moment(address, typed, frame)
        elif what == "ring3":
            for address in iretqs(file):
                Moment(address, typed, to_ring3).commands = "silent\nrw arrive"
        else:
            vectors = USUAL
            if rest:
                vector = number(rest[0])
                if vector >= len(EXCEPTIONS):
                    raise Failure(f"{vector} is no exception; they are 0 to {len(EXCEPTIONS) - 1}")
                vectors = (vector,)
            with machine.quietly():
                made = [Moment(file.address(kernel.ENTRIES) + 16 * vector, typed, fault(vector)) for vector in vectors]
            if len(made) == 1:
                gdb.write(f"breakpoint {made[0].number} at the entry of {EXCEPTIONS[vectors[0]]}\n")
            else:
                gdb.write(f"breakpoints {made[0].number} to {made[-1].number} at the entries of {len(made)} exceptions\n")

    def complete(self, text, word):
        typed = text.split()[: -1 if word else None]
        behind = {"cr3": processes.pids, "fault": lambda: map(str, USUAL)}
        if len(typed) == 1 and typed[0] in behind:
            return [each for each in behind[typed[0]]() if each.startswith(word or "")]
        return super().complete(text, word)


Arrive()
Break()
