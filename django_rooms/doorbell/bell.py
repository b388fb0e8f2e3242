"""Ring the other processes: "the room X now reaches offset N", with the new entries along where they fit.

What is new in a few rooms is told to those who follow them, a message a room. What is new in many at once is told to
every process together: a layer's message costs the sender and each who hears it more than a hundred entries in it.

A channel layer may hang for ever, so nobody waits for it. Doorbells go through a bounded queue to one thread with a
loop and a lasting connection of its own; when the queue is full they are dropped, and when the layer does not answer
within a second too. The others find what they missed by their look at the log.
"""

import asyncio
import atexit
import threading
import uuid
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from django_rooms.doorbell.complaints import Complaints
from django_rooms.doorbell.layers import group_of_each_shard, layer, reaches_other_processes
from django_rooms.log.store import News
from django_rooms.names import group_name
from django_rooms.once import OncePerProcess

T = TypeVar("T")

MAX_WAITING = 10_000
TIMEOUT = 1.0

# A doorbell with more text than this says where the log ends and no more; so do all while as many wait.
MAX_TEXT = 64 * 1024
CROWD = 100

# With news of more rooms than these all processes are rung together, of so many rooms at once.
FEW = 8
MAX_ROOMS = 256

BELL = "django_rooms.bell"
PEAL = "django_rooms.peal"
EVENT = "django_rooms.event"
PRESENCE = "django_rooms.presence"


def ring(news: list[News]) -> None:
    """Callable from any thread. An in-memory layer needs no doorbell: the hubs of this process are told directly."""
    if not reaches_other_processes():
        return
    if len(news) > FEW:
        for some in _batches(news):
            _doorbell().peal({"type": PEAL, "from": process(), "news": _together(some), "present": []})
        return
    for item in news:
        fits = _size(item) <= MAX_TEXT and _doorbell().waiting < CROWD
        message = {"type": BELL, "epoch": item.epoch, "head": item.head, "first": item.first}
        _doorbell().put(group_name(item.room), {**message, "entries": item.texts if fits else []})


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), MAX_ROOMS):
        yield items[start : start + MAX_ROOMS]


def _together(news: Iterable[News]) -> list[tuple[str, str, int, int, list[str]]]:
    """The news of many rooms: the name, the epoch, the first offset, the head, and the entries that fit."""
    left, together = MAX_TEXT if _doorbell().waiting < CROWD else 0, []
    for item in news:
        left -= _size(item)
        together.append((item.room, item.epoch, item.first, item.head, item.texts if left >= 0 else []))
    return together


def _size(item: News) -> int:
    return sum(map(len, item.texts))


def ring_event(room: str, frame: str) -> None:
    if reaches_other_processes():
        _doorbell().put(group_name(room), {"type": EVENT, "from": process(), "frame": frame})


def ring_presence(rooms: Collection[str]) -> None:
    """Somebody came or went there; who is there now is read by those whom it concerns.

    In a crowd it is left to their look: people who come back to ten thousand rooms must not keep entries waiting.
    """
    if not reaches_other_processes():
        return
    if len(rooms) > FEW:
        for some in _batches(list(rooms)):
            if _doorbell().waiting < CROWD // 2:
                _doorbell().peal({"type": PEAL, "from": process(), "news": [], "present": list(some)})
        return
    for room in rooms:
        if _doorbell().waiting < CROWD // 2:
            _doorbell().put(group_name(room), {"type": PRESENCE, "from": process()})


def peal_groups(found: Any) -> list[str]:
    """Where all processes are rung together: one group on each shard of the layer."""
    return group_of_each_shard(found, "django_rooms.peal")


def call(group: str, message: dict[str, Any]) -> None:
    """Send to a group that is no room's, as doorbells are sent."""
    _doorbell().put(group, message)


def process() -> str:
    """Who this process is to the others, so that it does not hear its own events twice."""
    return _process()


class Doorbell:
    """The queue and its one sender."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str | None, dict[str, Any]] | threading.Event] = deque()
        self._peals = 0
        self._loop = asyncio.new_event_loop()
        self._something = asyncio.Event()
        self._complaints = Complaints()
        threading.Thread(target=self._loop.run_until_complete, args=[self._run()], daemon=True).start()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def peal(self, message: dict[str, Any]) -> None:
        """To all processes; over the shards in turn."""
        self.put(None, message)

    def put(self, group: str | None, message: dict[str, Any]) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._complain("the queue is full")
            return
        self._put((group, message))

    def flush(self) -> None:
        """Let a process that ends, such as a management command, be heard; for a moment only."""
        # An empty queue would not say that the last one was sent: it may be on its way.
        sent = threading.Event()
        self._put(sent)
        sent.wait(TIMEOUT)

    def _put(self, item: tuple[str | None, dict[str, Any]] | threading.Event) -> None:
        self._waiting.append(item)
        if not self._something.is_set():  # Else it is about to look: it clears this first.
            self._loop.call_soon_threadsafe(self._something.set)

    async def _run(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            while self._waiting:
                item = self._waiting.popleft()
                if isinstance(item, threading.Event):
                    item.set()
                else:
                    await self._send(*item)

    async def _send(self, group: str | None, message: dict[str, Any]) -> None:
        try:
            if (found := layer()) is not None:
                if group is None:
                    groups = peal_groups(found)
                    self._peals += 1
                    group = groups[self._peals % len(groups)]
                await asyncio.wait_for(found.group_send(group, message), TIMEOUT)
        except Exception as error:
            self._complain(f"{type(error).__name__}: {error}")

    def _complain(self, why: str) -> None:
        self._complaints.warn("The channel layer was not rung (%s). Other processes find it by their next look.", why)


_doorbell = OncePerProcess(Doorbell)
_process = OncePerProcess(lambda: uuid.uuid4().hex)


@atexit.register
def flush() -> None:
    """Let a process that ends be heard; waits for a moment only."""
    if _doorbell.made is not None:
        _doorbell.made.flush()
