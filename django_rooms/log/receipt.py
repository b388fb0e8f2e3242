"""What the writer gives for an item: it says when that is committed, or why it never was.

*Naively* it is a ``concurrent.futures.Future``, which makes a condition, a lock and a queue for each publish. Nearly
always nobody waits for it and one callback is called: that was a twentieth of all that a publish takes.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Generator
from functools import partial

from django_rooms.handover import handover
from django_rooms.protocol.entries import Entry

logger = logging.getLogger("django_rooms")


class Receipt:
    """``await`` it, or wait for its ``result()``, or have a callback called. Ended once, by whoever stores."""

    __slots__ = ("_callbacks", "_entry", "done", "error")

    def __init__(self) -> None:
        self.done = False
        # Why it was not stored.
        self.error: BaseException | None = None
        self._entry: Entry | None = None
        self._callbacks: list[Callable[[Receipt], None]] = []

    def then(self, callback: Callable[["Receipt"], None]) -> None:
        """Have ``callback`` called with this when it is done: at once, or in the thread that ends it."""
        self._callbacks.append(callback)
        if self.done:
            self._call()

    def stored(self, entry: Entry | None) -> None:
        self._entry, self.done = entry, True
        self._call()

    def failed(self, error: BaseException) -> None:
        self.error, self.done = error, True
        self._call()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it is done. After ``timeout`` seconds ``TimeoutError`` is raised."""
        if not self.done:
            over = threading.Event()
            self.then(lambda receipt: over.set())
            if not over.wait(timeout):
                raise TimeoutError

    def result(self, timeout: float | None = None) -> Entry | None:
        """:meth:`wait`, and return what was stored; raise why nothing was."""
        self.wait(timeout)
        if self.error is not None:
            raise self.error
        return self._entry

    def __await__(self) -> Generator[asyncio.Future[None], None, Entry | None]:
        if not self.done:
            over = asyncio.get_running_loop().create_future()
            self.then(partial(handover().call, _end, over))
            yield from over
        return self.result()

    def _call(self) -> None:
        """Each callback once, also where two threads are here: a list gives each of its items to one of them."""
        while self._callbacks:
            try:
                callback = self._callbacks.pop(0)
            except IndexError:
                return
            try:
                callback(self)
            except Exception:
                logger.exception("What was to be done when a publish had ended failed: %r", callback)


def _end(over: asyncio.Future[None], receipt: Receipt) -> None:
    if not over.done():  # Whoever waited may have given up.
        over.set_result(None)
