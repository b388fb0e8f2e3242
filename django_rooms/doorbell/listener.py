"""What reads the channel layer, for a room's feed or for one consumer.

A message that was sent to a group arrives without the group's name, so every feed has a channel of its own. The layer
may be absent, down or hanging: this waits for it in a task of its own, and nobody waits for this.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from channels.layers import BaseChannelLayer

from django_rooms.doorbell.complaints import Complaints
from django_rooms.doorbell.layers import layer

logger = logging.getLogger("django_rooms")

# Seconds before the second try, more or less; twice as much after each that failed. All rooms and consumers of a
# process try: together, or each second, they would keep it busy, and each try leaves a queue in the pub/sub layer.
PAUSE, LONGEST_PAUSE = 1.0, 10.0

# Seconds for taking leave of the layer.
TIMEOUT = 1.0

# Seconds after which a layer forgets who is in a group, where it does not say.
GROUP_EXPIRY = 86400.0

# Of all that listen in this process.
_complaints = Complaints()


class Listener:
    """Listens in a task of its own. ``hear`` and ``named`` as :func:`listen` has them."""

    def __init__(
        self, groups: Sequence[str], hear: Callable[[dict[str, Any]], None], named: Callable[[str], None] | None = None
    ) -> None:
        self._named = named
        self._joined = False
        self._listen = partial(listen, groups, hear, self._join)
        self._task = asyncio.create_task(self._listen())

    def anew(self) -> None:
        """Leave the layer and join it again, on another channel. One that is still about to join just goes on.

        A layer that hangs may do later what it was asked: who gave up and asked again each time would be a member many
        times over, on channels that nobody empties.
        """
        if self._joined:
            self._joined = False
            self._task.cancel()
            self._task = asyncio.create_task(self._listen_after(self._task))

    def stop(self) -> None:
        self._task.cancel()

    def _join(self, channel: str) -> None:
        self._joined = True
        if self._named is not None:
            self._named(channel)

    async def _listen_after(self, before: asyncio.Task[None]) -> None:
        # In this order: pub/sub subscribes to a group in Redis when its first member comes, and not again before its
        # last one has left. Who cannot leave is not waited for: the layer may hang.
        await asyncio.wait([before], timeout=2 * TIMEOUT)
        await self._listen()


async def listen(
    groups: Sequence[str], hear: Callable[[dict[str, Any]], None], named: Callable[[str], None] | None = None
) -> None:
    """Pass on what is sent to ``groups`` until cancelled. ``named`` is told the channel, each time it is a new one.

    One coroutine, for each connection may have a channel of its own: what it is made of is held ten thousand times.
    """
    pause = PAUSE
    while (found := layer()) is not None:
        staying: asyncio.Task[None] | None = None
        channel = ""
        try:
            try:
                channel = await found.new_channel()
                if groups:
                    staying = asyncio.create_task(_stay(found, groups, channel))
                    for group in groups:
                        await found.group_add(group, channel)
                pause = PAUSE
                if named is not None:
                    named(channel)
                while True:
                    _pass_on(await found.receive(channel), hear)
            finally:
                if staying is not None:
                    await _leave(found, groups, channel, staying)
        except Exception as error:
            _complaints.warn(
                "The channel layer cannot be heard; whoever listens to it tries again and again: %r", error
            )
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, LONGEST_PAUSE)


def _pass_on(message: dict[str, Any], hear: Callable[[dict[str, Any]], None]) -> None:
    try:
        hear(message)
    except Exception:
        logger.exception("A message from the channel layer was passed over: %.200r", message)


async def _leave(found: BaseChannelLayer, groups: Sequence[str], channel: str, staying: "asyncio.Task[None]") -> None:
    staying.cancel()
    for group in groups:
        with suppress(Exception):
            await asyncio.wait_for(found.group_discard(group, channel), TIMEOUT)


async def _stay(found: BaseChannelLayer, groups: Sequence[str], channel: str) -> None:
    """A group forgets its members after a day; a room may be followed for longer."""
    while True:
        await asyncio.sleep(getattr(found, "group_expiry", GROUP_EXPIRY) / 3)
        for group in groups:
            try:
                await found.group_add(group, channel)
            except Exception as error:
                logger.warning("The group %s could not be joined again yet: %r", group, error)
