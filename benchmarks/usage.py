"""What a process and all its descendants have used of the machine, as the kernel counts it. Linux only."""

import os
import time
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

# Of another process's clock, in the number that clock_gettime() takes: user and system time as the scheduler has it.
SCHEDULED = 2


def cpu(pid):
    """User and system seconds of `pid` and its descendants, in nanoseconds' steps; in ticks of those that ended."""
    return sum(_own_cpu(each) + _cpu_of_ended_children(each) for each in tree(pid))


def memory(pid):
    """Bytes in memory. What descendants share is counted for each."""
    return sum(_resident(each) for each in tree(pid))


def tree(pid):
    """`pid` and its descendants, as they are now."""
    children = []
    with suppress(OSError):
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            children += map(int, path.read_text().split())
    return [pid, *(each for child in children for each in tree(child))]


def _own_cpu(pid):
    try:
        return time.clock_gettime((~pid << 3) | SCHEDULED)
    except OSError:  # It has ended since.
        return 0.0


def _cpu_of_ended_children(pid):
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return (int(fields[13]) + int(fields[14])) / TICKS


def _resident(pid):
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except OSError:
        return 0
