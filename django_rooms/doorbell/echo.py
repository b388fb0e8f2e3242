"""Does the layer carry anything to this process? It calls itself through it, and listens.

A layer may go deaf without a word: a subscription that a restart of Redis lost, a member that a group has forgotten.
Nobody is wrong then, for the look finds everything, but late. So each event loop that follows a room has groups of its
own, one on each shard of the layer, and sends to them by the doorbell's way. What does not come back in time is said
once, and whatever listens here joins anew, again and again until it is heard. Nothing waits for any of this.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from django_rooms.doorbell import bell
from django_rooms.doorbell.layers import group_of_each_shard, layer, reaches_other_processes
from django_rooms.doorbell.listener import Listener

logger = logging.getLogger("django_rooms")

# Seconds between calls, and for which the echo may take.
INTERVAL = 10.0
PATIENCE = 3.0

# Never in a room's group.
CALL = "django_rooms.call"


class Echo:
    """Calls until it is cancelled. ``deaf`` is called each time that no echo came: whoever listens shall join anew."""

    def __init__(self, deaf: Callable[[], None], pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._deaf = deaf
        self._pause = pause
        self._name = f"django_rooms.echo.{secrets.token_hex(8)}"
        self._missing: set[str] = set()

    async def run(self) -> None:
        if not reaches_other_processes() or (found := layer()) is None:
            return
        groups = group_of_each_shard(found, self._name)
        listener = Listener(groups, self._hear)
        try:
            await self._call_and_listen(groups, listener)
        finally:
            listener.stop()

    async def _call_and_listen(self, groups: list[str], listener: Listener) -> None:
        heard, wait = True, INTERVAL - PATIENCE
        while True:
            await self._pause(wait)
            self._missing = set(groups)
            for group in groups:
                bell.call(group, {"type": CALL, "group": group})
            await self._pause(PATIENCE)
            if self._missing:
                if heard:
                    logger.warning(
                        "The layer is deaf: %d of %d calls of this process to itself did not come back within %s s. "
                        "Until they do, what other processes store comes by the look, and events of theirs are lost.",
                        *(len(self._missing), len(groups), PATIENCE),
                    )
                listener.anew()
                self._deaf()
            elif not heard:
                logger.warning("The layer is heard again.")
            # Whether joining helped is asked at once; whoever joins again and again does so no faster than others call.
            wait = 0 if heard and self._missing else INTERVAL - PATIENCE
            heard = not self._missing

    def _hear(self, message: dict[str, Any]) -> None:
        self._missing.discard(message.get("group", ""))
