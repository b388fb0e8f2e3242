"""Starts and ends processes so that none is left: by a failure, by Ctrl-C, by a test that forgot one."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


class Stopped(BaseException):
    """A signal asked the run to end. A BaseException, so that nothing on the way takes it for a failure."""


def stop_on_signals():
    """Turns the first SIGINT, SIGTERM or SIGHUP into Stopped; later ones must not stop the clean-up."""

    def stop(number, _frame):
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)
        raise Stopped(signal.Signals(number).name)

    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, stop)


def adopt_orphans():
    """On Linux: descendants whose parent died become children of this process, which can then end them."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def leaving_nothing(main, *failures):
    """The exit code of `main`, or the sentence of the signal that stopped it or of one of `failures`.

    What it has started and left is ended.
    """
    adopt_orphans()
    stop_on_signals()
    try:
        return main()
    except Stopped as stopped:
        return f"Stopped by {stopped}."
    except failures as failed:
        return str(failed)
    finally:
        if ended := end_orphans():
            print(f"Ended what was left running: {', '.join(ended)}.", flush=True)


@contextmanager
def running(command, *, end=signal.SIGTERM, patience=10, **options):
    """A process in a session of its own, out of a terminal's reach; `end` ends it, force its children."""
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(end)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end_orphans(grace=5.0, step=0.05):
    """Gives adopted processes `grace` seconds to end; returns the names of those that it killed."""
    deadline = time.monotonic() + grace
    while children() and time.monotonic() < deadline:
        time.sleep(step)
    ended = []
    while rest := children():
        for pid, name in rest:
            ended.append(name)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return ended


def children():
    """(pid, name) of each living child, nothing where there is no /proc. The dead are reaped on the way."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, _, rest = stat.read_text().partition(" (")[2].rpartition(") ")
            if int(rest.split()[1]) == os.getpid():
                found.append((int(stat.parent.name), name))
    return found
