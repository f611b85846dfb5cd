"""`rw step-switch`: the way from one address space into ring 3 of another, stage by stage."""

import gdb

from . import breaks, kernel, machine
from .prefix import Failure, Plain
from .walk import is_mapped, virtual

# A switch that takes more stages than this is not one.
MOST = 64


def where():
    """The instruction that is next, as GDB shows it."""
    return gdb.execute("x/i $rip", to_string=True).strip().removeprefix("=> ").replace("\t", " ")


def say(stage, text):
    """One stage: its name, what there is to know about it, the instruction that is next."""
    gdb.write(f"{stage:20} {text}\n{'':20} {where()}\n")
    gdb.flush()


def is_process(root):
    """Whether a root is that of a process: the kernel's own has nothing in the lower half."""
    lower = machine.read_physical(root & ~0xFFF, 2048)
    return lower is not None and any(lower)


class StepSwitch(Plain):
    """From before `mov cr3` to the first instruction in ring 3, each stage shown.

    rw step-switch

Lets the machine run to the next `mov cr3`, then goes on by `stepi` over it, to the change of the
stack, to IRETQ, and by `stepi` over that into ring 3. The stages have the names of `spawn --stop-at`.
A switch to the kernel's own thread does not lead to ring 3: it is passed, and the next one is taken."""

    name = "step-switch"
    kind = gdb.COMMAND_RUNNING

    def act(self):
        machine.need()
        file = kernel.get()
        cr3 = file.address("ringwalk_load_cr3")
        stack = file.address("ringwalk_switch")
        iretq = file.address("ringwalk_iretq")
        if why := machine.stands_still():
            raise Failure(f"{why} cannot go on; only what looks works")
        if machine.register("rip") != cr3:
            self.reach(machine.run_to(cr3), "mov cr3")
        for _ in range(MOST):
            if self.one(stack, iretq, cr3):
                return
        raise Failure(f"{MOST} switches, and none led to ring 3")

    @staticmethod
    def reach(found, what):
        """Goes on only where the machine came to what was waited for."""
        if found is None:
            raise Failure(f"stopped on the way to {what}, at {virtual(machine.register('rip'))}")
        return found

    def one(self, stack, iretq, cr3):
        """One switch from `mov cr3` on; whether it led to ring 3."""
        old, new = machine.register("cr3") & ~0xFFF, machine.register("rdi")
        if not is_process(new):
            # The kernel's own, in boot or when nobody is ready.
            machine.step()
            self.reach(machine.run_to(cr3), "mov cr3")
            return False
        say("LoadCr3", f"cr3 {old:#x} -> {new:#x}")
        machine.step()
        rsp = machine.register("rsp")
        mapped = "" if is_mapped(rsp) else ", which is not mapped"
        say("after LoadCr3", f"cr3 {machine.register('cr3') & ~0xfff:#x}, rsp {virtual(rsp)}{mapped}")
        while True:
            found = self.reach(machine.run_to(stack, iretq, cr3), "iretq")
            if found == stack:
                say("SwitchStack", f"rsp {virtual(machine.register('rsp'))} -> {virtual(machine.register('rsi'))}")
            elif found == cr3:
                return False
            elif breaks.to_ring3(iretq) is not None:
                break
            # An interrupt that goes back to the kernel. From where it is, it would be met again at once.
            machine.step()
        say("Iretq", breaks.frame(iretq))
        machine.step()
        cs = machine.register("cs")
        if cs & 3 != 3:
            raise Failure(f"the IRETQ did not lead to ring 3: cs {cs:#06x}, rip {virtual(machine.register('rip'))}")
        flags = machine.register("eflags")
        say("FirstUserInstruction", f"cs {cs:#06x} rip {virtual(machine.register('rip'))} rsp {virtual(machine.register('rsp'))} rflags {flags:#x}")
        return True


StepSwitch()
