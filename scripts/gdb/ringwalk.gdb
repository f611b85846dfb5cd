# GDB on a Ringwalk kernel in QEMU. From any folder:
#
#   gdb -q -x /path/to/scripts/gdb/ringwalk.gdb         or, inside GDB:  source /path/to/scripts/gdb/ringwalk.gdb
#
# It loads the `rw` commands, connects to QEMU's GDB stub at localhost:1234 unless GDB is connected
# already, waits for the kernel if it is not in memory yet, and loads its symbols where it is.
# README.md beside this file has the steps.

python
import os
import sys

def ringwalk_folder():
    """The folder of this script. GDB does not tell a script its own name, but keeps it open while it reads it."""
    for number in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink("/proc/self/fd/" + number)
        except OSError:
            continue
        if os.path.basename(path) == "ringwalk.gdb" and os.path.isdir(os.path.join(os.path.dirname(path), "ringwalk")):
            return os.path.dirname(path)
    return None

ringwalk_at = os.environ.get("RINGWALK_SCRIPTS") or ringwalk_folder()
if ringwalk_at is None:
    print("ringwalk.gdb: cannot find the folder `ringwalk` beside this script; set RINGWALK_SCRIPTS to scripts/gdb")
else:
    if ringwalk_at not in sys.path:
        sys.path.insert(0, ringwalk_at)
    # No __pycache__ in the checkout.
    sys.dont_write_bytecode = True
    import ringwalk
    ringwalk.begin()
end
