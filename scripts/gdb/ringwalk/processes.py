"""What the kernel says of its processes: `ps --json`, a record each."""

import json

import gdb

from . import host, machine
from .prefix import Failure


def records():
    """A record for each process."""
    shown, is_well = host.run("ps --json")
    if not is_well:
        raise Failure(shown[-1] if shown else "the processes cannot be read")
    for line in shown:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "pid" in record:
            yield record


def record(pid, field):
    """What the record of a process says in a field; it must be there, and say something."""
    for each in records():
        if each["pid"] == pid and each.get(field):
            return each[field]
    raise Failure(f"there is no process {pid} with a {field}; rw ps lists them")


def pids():
    """The processes there are, for completion; none if they cannot be read now."""
    if not (machine.is_connected() and machine.is_stopped()):
        return []
    try:
        return [str(each["pid"]) for each in records()]
    except (Failure, gdb.error):
        return []
