"""What reads the channel layer, for a room's feed or for one consumer.

A message that was sent to a group arrives without the group's name, so every feed has a channel of its own. The layer
may be absent, down or hanging: this waits for it in a task of its own, and nobody waits for this.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from channels.layers import BaseChannelLayer

from django_rooms.layers import layer

logger = logging.getLogger("django_rooms")

# Seconds between tries, and for taking leave of the layer.
PAUSE = 1.0
TIMEOUT = 1.0

# Seconds after which a layer forgets who is in a group, where it does not say.
GROUP_EXPIRY = 86400.0


async def listen(
    groups: Sequence[str], hear: Callable[[dict[str, Any]], None], named: Callable[[str], None] | None = None
) -> None:
    """Pass on what is sent to ``groups`` until cancelled. ``named`` is told the channel, each time it is a new one."""
    while (found := layer()) is not None:
        try:
            await _listen(found, groups, hear, named)
        except Exception as error:
            logger.warning("The channel layer cannot be heard; trying again in %s s: %r", PAUSE, error)
            await asyncio.sleep(PAUSE)


async def _listen(
    found: BaseChannelLayer,
    groups: Sequence[str],
    hear: Callable[[dict[str, Any]], None],
    named: Callable[[str], None] | None,
) -> None:
    channel = await found.new_channel()
    staying = asyncio.create_task(_stay(found, groups, channel)) if groups else None
    try:
        for group in groups:
            await found.group_add(group, channel)
        if named is not None:
            named(channel)
        while True:
            message = await found.receive(channel)
            try:
                hear(message)
            except Exception:
                logger.exception("A message from the channel layer was passed over: %.200r", message)
    finally:
        if staying is not None:
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
