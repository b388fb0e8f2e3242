"""What other threads have for an event loop: however many calls, it is woken once.

Waking a loop is a system call, and one wake-up for each of a thousand publishes that were committed together is most
of what answering them costs.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from django_rooms.once import OncePerLoop


class Handover:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._calls: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._woken = False

    def call(self, function: Callable[..., None], *args: object) -> None:
        """Have ``function`` called in the loop, after what was handed over before. From any thread.

        A loop that is closed has nobody left to tell.
        """
        self._calls.append((function, args))
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._run)

    def _run(self) -> None:
        self._woken = False  # First: whoever comes after this wakes the loop again.
        for _ in range(len(self._calls)):
            function, args = self._calls.popleft()
            try:
                function(*args)
            except Exception as error:
                context = {"message": f"What was handed over failed: {function!r}", "exception": error}
                self._loop.call_exception_handler(context)


# The running loop's.
handover = OncePerLoop(Handover)
