"""Which kernel it is, and where it is: asked from the machine, never assumed.

The kernel file is linked at 0, and the bootloader puts it where there is room. Two things say where:

- once it has loaded its IDT, the gate of vector 0 names `ringwalk_stubs`;
- before that, the start of one of the 256 upper slots of the PML4 has its ELF header.

Either answer is believed only if the header is there with the build id of the file. Before the image
is in memory nothing can be asked, so `wait` sets a hardware breakpoint at the entry of an image in the
slot that this kernel asks the bootloader for, and asks once it is hit.
"""

import glob
import os
import signal
import struct
import subprocess
import threading

import gdb

from . import console, forward, machine, printers, replay, stepping
from .elf import Broken, Elf
from .prefix import Failure, Plain
from .walk import is_mapped

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
UPPER_HALF = 0xFFFF_8000_0000_0000
SLOT = 1 << 39
# Enough for the ELF header, the program headers and the build id.
HEADER = 1024
# What the kernel asks its bootloader for, as a symbol: `dynamic_range_start`.
WISH = "ringwalk_wished_base"
# How long the machine may take to load it, in seconds: firmware under emulation needs ten.
PATIENCE = 180
# The entry of vector 0, and of all others behind it.
ENTRIES = "ringwalk_stubs"


class Kernel:
    """A kernel file, and where it lies in memory once that is known."""

    def __init__(self, path):
        self.path = path
        self.elf = Elf.open(path)
        self.build_id = self.elf.build_id()
        self.symbols = self.elf.symbols()
        self.base = None

    def address(self, name):
        """Where a symbol is in memory."""
        if self.base is None:
            raise Failure("the kernel is not in memory yet (rw kernel waits for it)")
        if name not in self.symbols:
            raise Failure(f"{self.path} has no symbol {name}")
        return self.base + self.symbols[name]

    def is_at(self, base):
        """Whether this kernel's headers are at an address, and with which build id."""
        header = machine.read(base, HEADER)
        try:
            return header is not None and Elf(header).build_id() == self.build_id
        except (Broken, struct.error):
            return False

    def ask(self):
        """Where the kernel is, by what is in the machine now; `None` if nothing says so."""
        for base in self.candidates():
            if base % machine.PAGE == 0 and self.is_at(base):
                return base
        return None

    def candidates(self):
        """Addresses the kernel may be at, the likely ones first."""
        if self.base is not None:
            yield self.base
        # The gate of vector 0: SDM, "64-Bit Mode IDT". Its offset is in three pieces.
        idt, limit = machine.table("IDT")
        gate = machine.read(idt, 16) if limit >= 15 and idt >= UPPER_HALF else None
        if gate is not None:
            low, _, middle, high = struct.unpack_from("<HIHI", gate)
            yield (low | middle << 16 | high << 32) - self.symbols[ENTRIES]
        if machine.register("cr4") & 0x20:
            for slot in range(256):
                yield UPPER_HALF + slot * SLOT


KERNEL = None


def get():
    """The kernel file: `RINGWALK_KERNEL`, or the one that `cargo xtask` has built."""
    global KERNEL
    if KERNEL is None:
        path = os.environ.get("RINGWALK_KERNEL") or os.path.join(ROOT, "target/ringwalk-kernel.elf")
        try:
            KERNEL = Kernel(path)
        except Broken as why:
            raise Failure(f"{why} (cargo xtask build makes it; RINGWALK_KERNEL names another)") from None
    return KERNEL


def has_symbols(kernel):
    """Whether GDB has them where the kernel is, and not dropped or put elsewhere by `symbol-file` or `file`."""
    try:
        said = gdb.execute(f"info address {ENTRIES}", to_string=True)
    except gdb.error:
        return False
    return f"{kernel.address(ENTRIES):#x}" in said


def load_symbols(kernel, base):
    """Tells GDB where the file's code is; breakpoints that were waiting for it are set now."""
    if kernel.base == base and has_symbols(kernel):
        return
    kernel.base = base
    # Set while there was no program to take a language from, a breakpoint must still read `a::b` as Rust does.
    gdb.execute(f'symbol-file -o {base:#x} "{kernel.path}"', to_string=True)
    # A type with functions is a namespace, too, and that is what GDB's Rust finds first, unless it has met the type.
    for name in printers.NAMES_OF_BOTH:
        gdb.execute(f"with language c++ -- whatis struct {name}", to_string=True)


def wait(kernel):
    """Lets the machine go until the image is in memory: to the kernel's first instruction."""
    if WISH not in kernel.symbols:
        raise Failure(f"{kernel.path} does not say where it asks to be ({WISH})")
    entry = kernel.symbols[WISH] + kernel.elf.entry
    stop = gdb.Breakpoint(f"*{entry:#x}", gdb.BP_HARDWARE_BREAKPOINT, internal=True)
    stop.silent = True
    # Another build never comes there: as if somebody had pressed Ctrl-C.
    bound = threading.Timer(PATIENCE, os.kill, (os.getpid(), signal.SIGINT))
    bound.daemon = True
    bound.start()
    try:
        machine.go()
    finally:
        bound.cancel()
        stop.delete()


class Find(Plain):
    """Find the kernel in the machine and load its symbols where it is.

    rw kernel

If it is not in memory yet, the machine runs until it is, and stops at the kernel's first instruction."""

    name = "kernel"
    kind = gdb.COMMAND_FILES

    def act(self):
        find()


def is_lost():
    """Whether the machine cannot go on, since the tables in use have no page at the next instruction."""
    try:
        return not is_mapped(machine.register("rip"))
    except Failure:
        # CR3 leads nowhere.
        return True


def search(kernel):
    """Where a kernel is that the tables in use do not lead to, by its own word, which is looked for in all of memory.
    `None` if the machine can be let go until there is one."""
    from . import host

    # With paging off, and in firmware, the kernel is still to come.
    is_stuck = bool(machine.stands_still()) or bool(machine.register("cr0") & 1 << 31) and is_lost()
    if not is_stuck and machine.table("IDT")[0] < UPPER_HALF:
        return None
    shown, is_well = host.run(ask="--where")
    if not is_well:
        if is_stuck:
            raise Failure(f"CR3 leads to no kernel, and {shown[-1].removeprefix('rw: ')}" if shown else "there is no kernel in memory")
        return None
    build, base = shown[0].split()
    if not kernel.build_id.startswith(build):
        raise Failure(f"the kernel in memory is build {build}, and {kernel.path} is build {kernel.build_id[:12]} (RINGWALK_KERNEL names another)")
    return int(base, 0)


def find():
    """`rw kernel`."""
    machine.need()
    kernel = get()
    base = kernel.ask()
    if base is None:
        base = search(kernel)
    if base is None:
        gdb.write("waiting for the kernel to be loaded; Ctrl-C gives up\n")
        gdb.flush()
        wait(kernel)
        base = kernel.ask() or search(kernel)
        if base is None:
            raise Failure(f"the machine stopped, and {kernel.path} (build {kernel.build_id[:12]}) is not in its memory")
    load_symbols(kernel, base)
    gdb.write(f"kernel build {kernel.build_id[:12]} at {base:#x}\n")


def reason(command):
    """Why a program did not answer GDB: what it says to nobody."""
    try:
        done = subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
    except subprocess.TimeoutExpired:
        return f"no answer from{command}"
    return " ".join(done.stderr.split()) or f"no answer from{command}"


def begin():
    """What `source ringwalk.gdb` does about the kernel: connects, finds it, shows where it stands."""
    gdb.execute("set remotetimeout 30", to_string=True)
    try:
        kernel = get()
        root = os.environ.get("RINGWALK_ROOT") or ROOT
        # What the compiler called /ringwalk is this checkout.
        gdb.execute(f'set substitute-path /ringwalk "{root}"', to_string=True)
        gdb.execute(f'directory "{root}"', to_string=True)
        sources = os.path.join(root, "target/toolchain/sysroot/lib/rustlib/src/rust")
        if os.path.isdir(sources):
            gdb.execute(f'set substitute-path /rust "{sources}"', to_string=True)
        cargo = os.environ.get("CARGO_HOME") or os.path.expanduser("~/.cargo")
        for crates in glob.glob(os.path.join(glob.escape(cargo), "registry/src/*/")):
            gdb.execute(f'set substitute-path /crates "{crates.rstrip("/")}"', to_string=True)
        # Without a file GDB warns that it cannot tell which program this is.
        gdb.execute(f'exec-file "{kernel.path}"', to_string=True)
        if not machine.is_connected():
            place = os.environ.get("RINGWALK_GDB", "localhost:1234")
            try:
                # Nobody there: GDB would try for 15 s, and then speak of a timeout.
                gdb.execute("set tcp connect-timeout 3", to_string=True)
                gdb.execute(f"target remote {place}", to_string=True)
            except gdb.error as why:
                if place.startswith("|"):
                    raise Failure(reason(place[1:])) from None
                raise Failure(f"no machine at {place} ({str(why).splitlines()[-1]}); start QEMU with -gdb tcp::1234 -S, or cargo xtask run --gdb") from None
        console.connect()
        # How a step goes is ours to say, not what QEMU happens to begin with (see `stepping`).
        stepping.set_way("quiet")
        forward.begin()
        find()
        replay.begin()
        gdb.execute("frame")
    except Failure as why:
        gdb.write(f"ringwalk: {why}\n", gdb.STDERR)


Find()
