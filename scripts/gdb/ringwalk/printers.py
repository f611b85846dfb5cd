"""How GDB shows our own types: addresses as the shell writes them, and what matters of the rest.

Values are there where the compiler kept them; `print/r` shows one without its printer.
"""

import gdb
import gdb.printing

PRESENT, HUGE, NO_EXECUTE = 1 << 0, 1 << 7, 1 << 63
# Bits of an entry, as the shell's `walk` orders them in its rights.
WRITE, USER = 1 << 1, 1 << 2
ADDRESS = 0x000F_FFFF_FFFF_F000


def fours(value, digits):
    """A number with so many digits at least, in fours: `0x0000_0040_1000`."""
    text = f"{int(value) & (2**64 - 1):x}"
    text = text.zfill(digits if len(text) <= digits else 16)
    return "0x" + "_".join(text[at : at + 4] for at in range(0, len(text), 4))


def virtual(value):
    """A virtual address."""
    return fours(value, 16)


def physical(value):
    """A physical address."""
    return fours(value, 12)


def only(value):
    """What a type with one nameless field holds."""
    return value["__0"] if "__0" in [field.name for field in value.type.fields()] else value[value.type.fields()[0]]


class Plain:
    """A value shown as one text."""

    def __init__(self, value):
        self.value = value


class VirtAddr(Plain):
    """`machine::VirtAddr`."""

    def to_string(self):
        return virtual(only(self.value))


class PhysAddr(Plain):
    """`machine::PhysAddr`."""

    def to_string(self):
        return physical(only(self.value))


class Entry(Plain):
    """`machine::Entry`: raw bits first, as everywhere."""

    def to_string(self):
        raw = int(self.value["raw"])
        level = str(self.value["level"]).rsplit("::", 1)[-1].upper()
        if not raw & PRESENT:
            return f"{level} {raw:016x} absent"
        is_page = level == "PT" or (raw & HUGE and level in ("PDPT", "PD"))
        rights = "".join(
            (
                "u" if raw & USER else "-",
                "r",
                "w" if raw & WRITE else "-",
                "-" if raw & NO_EXECUTE else "x",
            )
        )
        return f"{level} {raw:016x} {'page ' if is_page else 'table'} {physical(raw & ADDRESS)} {rights}"


class Rights(Plain):
    """`machine::Rights`."""

    def to_string(self):
        has = {field.name for field in self.value.type.fields()}
        letters = (("user", "u"), (None, "r"), ("write", "w"), ("execute", "x"))
        return "".join(
            letter if name is None or (name in has and bool(self.value[name])) else "-" for name, letter in letters
        )


class Fields:
    """A value whose fields are numbers, shown in hexadecimal behind a line that says the most."""

    def __init__(self, value):
        self.value = value

    def children(self):
        for field in self.value.type.fields():
            value = self.value[field]
            code = value.type.strip_typedefs().code
            yield field.name, f"{int(value):#x}" if code == gdb.TYPE_CODE_INT else value

    def display_hint(self):
        return None


class TrapFrame(Fields):
    """The registers at a trap, as they lie on the stack."""

    def to_string(self):
        value = self.value
        vector = int(value["vector"])
        ring = int(value["cs"]) & 3
        return (
            f"vector {vector:#x} error {int(value['error']):#x} from ring {ring}, "
            f"rip {virtual(value['rip'])} rsp {virtual(value['rsp'])}"
        )


class Registers(Fields):
    """`machine::Registers`."""

    def to_string(self):
        value = self.value
        ring = int(value["cs"]) & 3
        return f"ring {ring}, rip {virtual(value['rip'])} rsp {virtual(value['rsp'])} cr3 {int(value['cr3']):#x}"


class Name(Plain):
    """A short text in place."""

    def to_string(self):
        data = self.value["bytes"]
        low, high = data.type.range()
        text = bytes(int(data[at]) & 0xFF for at in range(low, high + 1))
        return text.split(b"\0", 1)[0].decode(errors="replace")

    def display_hint(self):
        return "string"


def state_name(state):
    """The word for what a process is doing: the name of the variant."""
    text = state.format_string(raw=True)
    return text.rsplit("State::", 1)[-1].split("(")[0].split("{")[0].strip().lower()


class Process(Plain):
    """A process, which is one thread: who it is, what it does, and where its stack and tables are."""

    def to_string(self):
        value = self.value
        name = Name(value["name"]).to_string()
        return f"{name} (pid {int(value['pid'])}) {state_name(value['state'])}"

    def children(self):
        value = self.value
        yield "root", physical(value["root"])
        yield "stack", Stack(value["stack"]).to_string()
        yield "kernel_rsp", virtual(value["kernel_rsp"])
        yield "rsp0", virtual(value["rsp0"])
        yield "ticks", int(value["ticks"])


class Stack(Plain):
    """A stack: its lowest byte and its highest."""

    def to_string(self):
        return f"{virtual(self.value['bottom'])}..{virtual(int(self.value['top']) - 1)}"


class Thread(Plain):
    """What a thread has in the processor beside its general registers."""

    def to_string(self):
        value = self.value
        selectors = value["selectors"]
        low, high = selectors.type.range()
        words = zip(("ds", "es", "fs", "gs"), (int(selectors[at]) for at in range(low, high + 1)))
        shown = " ".join(f"{name} {word:#x}" for name, word in words)
        return f"{shown}, fs base {virtual(value['fs_base'])}, gs base {virtual(value['gs_base'])}"


PRINTERS = (
    ("VirtAddr", r"^machine::address::VirtAddr$", VirtAddr),
    ("PhysAddr", r"^machine::address::PhysAddr$", PhysAddr),
    ("Entry", r"^machine::entry::Entry$", Entry),
    ("Rights", r"^machine::rights::Rights$", Rights),
    ("Registers", r"^machine::registers::Registers$", Registers),
    ("TrapFrame", r"^exported::trap::TrapFrame$", TrapFrame),
    ("Process", r"^(kernel|exported)::process::Process$", Process),
    ("Stack", r"^exported::process::Stack$", Stack),
    ("Name", r"^exported::name::Name$", Name),
    ("UserState", r"^kernel::arch::user::UserState$", Thread),
)


# Of these GDB's Rust knows the namespace of their functions better than the type.
NAMES_OF_BOTH = ("machine::entry::Entry", "machine::rights::Rights")


def register():
    """Gives them to GDB, in place of those a script loaded before has given."""
    printers = gdb.printing.RegexpCollectionPrettyPrinter("ringwalk")
    for name, pattern, printer in PRINTERS:
        printers.add_printer(name, pattern, printer)
    gdb.printing.register_pretty_printer(None, printers, replace=True)


register()
