"""A host's processes beside its servers: a test tells each what to do, in which thread, and awaits the outcome."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from contextlib import contextmanager

import serving

PATIENCE = 30.0


class Failed(AssertionError):
    """What was to be done raised in the other process."""


class Host:
    """A running ``host.process``. ``host("publish", "lobby", "hi")`` returns what came of it."""

    def __init__(self, variables):
        self.variables = variables
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - until close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "host.process"],
            env=variables,
            cwd=serving.TESTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._calls = {}
        self._announced = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.wait_for("ready")

    def __call__(self, act, *arguments, thread="main", **also):
        return self.timed(act, *arguments, thread=thread, **also)[0]

    def timed(self, act, *arguments, thread="main", **also):
        """What came of it, and the seconds that it took over there."""
        return self.start(act, *arguments, thread=thread, **also).result(PATIENCE)

    def start(self, act, *arguments, thread="main", **also):
        """Have it done and do not wait: the future of what :meth:`timed` returns."""
        number, future = len(self._calls), Future()
        self._calls[number] = future
        call = {"number": number, "thread": thread, "act": act, "with": arguments, "also": also}
        self._process.stdin.write(f"{json.dumps(call)}\n")
        self._process.stdin.flush()
        return future

    @contextmanager
    def transaction(self, thread="main", *, keep=True):
        """The block's acts on ``thread`` are in one transaction, which is rolled back unless ``keep``."""
        self("begin", thread=thread)
        try:
            yield
        except BaseException:
            self("roll_back", thread=thread)
            raise
        self("commit" if keep else "roll_back", thread=thread)

    def wait_for(self, announcement):
        assert self._announced.get(timeout=PATIENCE) == announcement, self.log

    def wait_until_stopped(self):
        """By a SIGSTOP that it sends to itself."""
        _, status = os.waitpid(self._process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), self.log

    def go_on(self):
        self._process.send_signal(signal.SIGCONT)

    def kill(self):
        self._process.kill()
        self._process.wait()
        self._reader.join()

    @property
    def log(self):
        """What it wrote on stderr."""
        self._log.seek(0)
        return self._log.read()

    def close(self):
        self.kill()
        for file in (self._process.stdin, self._process.stdout, self._log):
            file.close()

    def _read(self):
        for line in self._process.stdout:
            outcome = json.loads(line)
            if "announced" in outcome:
                self._announced.put(outcome["announced"])
            elif "error" in outcome:
                self._calls[outcome["number"]].set_exception(Failed(outcome["error"]))
            else:
                self._calls[outcome["number"]].set_result((outcome["answer"], outcome["seconds"]))
        self._announced.put("the end")
