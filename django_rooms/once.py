"""What there is one of in a process, or in an event loop: made by the first who asks, from whichever thread.

A forked child has none of its parent's threads, loops and sockets, and may have copied a lock that is taken. There
everything is made anew.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class OncePerProcess(Generic[T]):
    """``once()`` is the process's own; ``made`` is it too, or ``None`` before anybody has asked."""

    made: T | None

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self.forget()
        os.register_at_fork(after_in_child=self.forget)

    def __call__(self) -> T:
        with self._lock:
            if self.made is None:
                self.made = self._make()
            return self.made

    def forget(self) -> None:
        self._lock = threading.Lock()
        self.made = None


class OncePerLoop(Generic[T]):
    """``once()`` is the running loop's own. What belonged to a loop that is closed is let go of."""

    _made: dict[asyncio.AbstractEventLoop, T]

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self.forget()
        os.register_at_fork(after_in_child=self.forget)

    def __call__(self) -> T:
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._made:
                self._made = {other: made for other, made in self._made.items() if not other.is_closed()}
                self._made[loop] = self._make()
            return self._made[loop]

    def all(self) -> list[T]:
        """Those of all loops that are not closed, from any thread."""
        with self._lock:
            return [made for loop, made in self._made.items() if not loop.is_closed()]

    def forget(self) -> None:
        self._lock = threading.Lock()
        self._made = {}
