"""Layers that misbehave, each in one way and with every message: real ones of channels_redis, spoilt at one end."""

import asyncio
from random import Random

from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer


class PubSub(RedisPubSubChannelLayer):
    """It passes on by ``__getattr__`` what is overridden below."""

    async def new_channel(self, *args):
        return await self._get_layer().new_channel(*args)

    async def receive(self, channel):
        return await self._get_layer().receive(channel)

    async def group_send(self, group, message):
        await self._get_layer().group_send(group, message)


class Dropping(PubSub):
    async def group_send(self, group, message):
        pass


class Doubling(RedisChannelLayer):
    async def group_send(self, group, message):
        for _ in range(2):
            await super().group_send(group, message)


class Later(PubSub):
    """Sends in tasks of its own."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.random = Random(3)
        self._sending = set()

    def send_after(self, seconds, group, *messages):
        task = asyncio.create_task(self._send_after(seconds, group, messages))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send_after(self, seconds, group, messages):
        await asyncio.sleep(seconds)
        for message in messages:
            await super().group_send(group, message)


class Delaying(Later):
    """By 0 to 300 ms, so that some come before what was sent earlier."""

    async def group_send(self, group, message):
        self.send_after(self.random.uniform(0, 0.3), group, message)


class Reordering(Later):
    """The last of six comes first; who has no company for 20 ms comes alone."""

    TOGETHER, PATIENCE = 6, 0.02

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._held = {}

    async def group_send(self, group, message):
        held = self._held.setdefault(group, [])
        held.append(message)
        if len(held) == 1:
            asyncio.get_running_loop().call_later(self.PATIENCE, self._let_go, group, held)
        elif len(held) == self.TOGETHER:
            self._let_go(group, held)

    def _let_go(self, group, held):
        if self._held.get(group) is held:
            del self._held[group]
            self.send_after(0, group, *reversed(held))


class Deafened:
    """From ``deafen()`` on, what comes to the channels that there are is swallowed. New ones hear."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._made, self._deaf = set(), set()

    def deafen(self):
        self._deaf |= self._made

    async def new_channel(self, *args):
        channel = await super().new_channel(*args)
        self._made.add(channel)
        return channel

    async def receive(self, channel):
        while True:
            message = await super().receive(channel)
            if channel not in self._deaf:
                return message


class DeafCore(Deafened, RedisChannelLayer):
    pass


class DeafPubSub(Deafened, PubSub):
    pass
