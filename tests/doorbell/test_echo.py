"""A process calls itself through the layer: a deaf one is noticed, said once, and joined anew until it is heard."""

import asyncio

import pytest
from channels.layers import InMemoryChannelLayer
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

from django_rooms.doorbell import echo as echo_module
from django_rooms.doorbell import listener as listener_module
from django_rooms.doorbell.echo import INTERVAL, PATIENCE, Echo
from django_rooms.doorbell.layers import group_of_each_shard


class Layer(InMemoryChannelLayer):
    """Loses what is sent to a channel that was made while ``losing``, or before."""

    def __init__(self):
        super().__init__()
        self.losing = False
        self.joined = asyncio.Semaphore(0)
        self.lost = set()

    async def group_add(self, group, channel):
        await super().group_add(group, channel)
        if self.losing:
            self.lost.add(channel)
        self.joined.release()

    async def group_send(self, group, message):
        for channel in set(self.groups[group]) - self.lost:
            await self.send(channel, message)

    def go_deaf(self):
        self.losing = True
        for members in self.groups.values():
            self.lost.update(members)


class Clock:
    """The pauses of an echo. Each ends when told, and by then what was called has been sent and heard."""

    def __init__(self):
        self.asked = asyncio.Queue()
        self._end = asyncio.Semaphore(0)

    async def pause(self, seconds):
        self.asked.put_nowait(seconds)
        await self._end.acquire()

    async def next(self):
        """The seconds of the pause that has begun."""
        return await asyncio.wait_for(self.asked.get(), 10)

    def end(self):
        self._end.release()


class Calls:
    """An echo that listens on ``layer``, with time in the test's hand."""

    def __init__(self, layer, monkeypatch):
        self.layer, self.clock, self.deaf, self.sending = layer, Clock(), 0, []
        monkeypatch.setattr(echo_module, "layer", lambda: layer)
        monkeypatch.setattr(echo_module, "reaches_other_processes", lambda: layer is not None)
        monkeypatch.setattr(listener_module, "layer", lambda: layer)
        monkeypatch.setattr(echo_module.bell, "call", self._call)
        self.task = asyncio.create_task(Echo(self._count, self.clock.pause).run())

    def _count(self):
        self.deaf += 1

    def _call(self, group, message):
        self.sending.append(asyncio.create_task(self.layer.group_send(group, message)))

    async def call(self):
        """One call; returns how long the echo paused before it."""
        seconds = await self.clock.next()
        self.clock.end()
        assert await self.clock.next() == PATIENCE
        await asyncio.gather(*self.sending)
        for _ in range(5):
            await asyncio.sleep(0)  # The listener has its turn.
        self.clock.end()
        self.clock.asked.put_nowait(await self.clock.next())  # What it makes of that comes before its next pause.
        return seconds

    async def joined(self):
        await asyncio.wait_for(self.layer.joined.acquire(), 10)


@pytest.fixture
async def calls(monkeypatch):
    calls = Calls(Layer(), monkeypatch)
    await calls.joined()
    yield calls
    calls.task.cancel()
    await asyncio.gather(calls.task, return_exceptions=True)


async def test_a_layer_that_carries_is_called_now_and_then_and_nothing_is_said(calls, caplog):
    for _ in range(3):
        assert await calls.call() == INTERVAL - PATIENCE
    assert (calls.deaf, caplog.text) == (0, "")


async def test_a_deaf_layer_is_said_once_and_joined_anew_until_it_is_heard(calls, caplog):
    await calls.call()
    calls.layer.go_deaf()
    await calls.call()
    await calls.joined()
    assert await calls.call() == 0  # It is asked at once whether joining helped.
    await calls.joined()
    assert await calls.call() == INTERVAL - PATIENCE
    await calls.joined()
    assert calls.deaf == 3
    assert caplog.text.count("The layer is deaf") == 1
    calls.layer.losing = False
    await calls.call()
    await calls.joined()
    await calls.call()
    assert await calls.call() == INTERVAL - PATIENCE
    assert calls.deaf == 4
    assert caplog.text.count("heard again") == 1


async def test_each_time_that_it_goes_deaf_is_said(calls, caplog):
    for n in (1, 2):
        calls.layer.go_deaf()
        await calls.call()
        await calls.joined()
        calls.layer.losing = False
        await calls.call()
        await calls.joined()
        await calls.call()
        assert caplog.text.count("The layer is deaf") == caplog.text.count("heard again") == n


async def test_who_calls_no_more_listens_no_more(calls):
    await calls.call()
    calls.task.cancel()
    await asyncio.gather(calls.task, return_exceptions=True)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not any(calls.layer.groups.values())


@pytest.mark.parametrize("there", [True, False], ids=["in-memory", "none"])
async def test_where_no_other_process_is_reached_nobody_calls(monkeypatch, there):
    monkeypatch.setattr(echo_module, "layer", lambda: InMemoryChannelLayer() if there else None)
    monkeypatch.setattr("django_rooms.doorbell.layers.layer", lambda: InMemoryChannelLayer() if there else None)
    await asyncio.wait_for(Echo(lambda: None, pytest.fail).run(), 10)


HOSTS = [f"redis://127.0.0.1:{port}" for port in range(7001, 7006)]


@pytest.mark.parametrize("number", [1, 2, 5])
async def test_there_is_a_group_for_each_shard_of_a_redis_layer(number):
    core, pubsub = (layer(hosts=HOSTS[:number]) for layer in (RedisChannelLayer, RedisPubSubChannelLayer))
    groups = group_of_each_shard(core, "echo")
    assert sorted(map(core.consistent_hash, groups)) == list(range(number))
    groups = group_of_each_shard(pubsub, "echo")
    shards = {pubsub._get_shard(pubsub._get_group_channel_name(group)) for group in groups}
    assert (shards, len(groups)) == (set(pubsub._shards), number)


async def test_any_other_layer_has_one_group():
    assert group_of_each_shard(InMemoryChannelLayer(), "echo") == ["echo.0"]
