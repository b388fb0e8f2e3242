"""What reads the channel layer: it stays in its groups, gets over a layer that fails, and takes leave."""

import asyncio
from types import SimpleNamespace

import pytest
from channels.layers import InMemoryChannelLayer

from django_rooms import listener
from django_rooms.listener import listen


class Layer(InMemoryChannelLayer):
    """Notes who joins a group, and wakes who waits for a third time."""

    def __init__(self, **options):
        super().__init__(**options)
        self.joins, self.thrice = [], asyncio.Event()
        self.failures = []

    async def group_add(self, group, channel):
        self.joins.append((group, channel))
        if self.failures and (failure := self.failures.pop(0)):
            raise failure
        await super().group_add(group, channel)
        if len(self.joins) >= 3:
            self.thrice.set()


@pytest.fixture
def pauses(monkeypatch):
    """The seconds that the listener would have slept for."""
    pauses, sleep = [], asyncio.sleep

    async def pause(seconds):
        pauses.append(seconds)
        await sleep(0)

    stand_in = SimpleNamespace(**{name: getattr(asyncio, name) for name in ("create_task", "wait_for")}, sleep=pause)
    monkeypatch.setattr(listener, "asyncio", stand_in)
    return pauses


@pytest.fixture
async def start(monkeypatch):
    """``start(layer)`` listens to the group ``staff``, and gives what was heard and the channels."""
    tasks = []

    def start(layer, hear=None):
        monkeypatch.setattr(listener, "layer", lambda: layer)
        heard, named = asyncio.Queue(), asyncio.Queue()
        tasks.append(asyncio.create_task(listen(["staff"], hear or heard.put_nowait, named.put_nowait)))
        return heard, named, tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_groups_are_joined_again_long_before_they_forget(start, pauses):
    layer = Layer(group_expiry=30)
    _, named, _ = start(layer)
    channel = await named.get()
    await asyncio.wait_for(layer.thrice.wait(), 10)
    assert layer.joins[:3] == [("staff", channel)] * 3
    assert set(pauses) == {10}


async def test_a_layer_that_says_nothing_of_its_groups_forgets_them_after_a_day(start, pauses):
    layer = Layer()
    methods = ("new_channel", "receive", "group_add", "group_discard")
    start(SimpleNamespace(**{name: getattr(layer, name) for name in methods}))
    await asyncio.wait_for(layer.thrice.wait(), 10)
    assert set(pauses) == {86400 / 3}


async def test_a_member_that_was_forgotten_hears_again(start, pauses):
    layer = Layer(group_expiry=30)
    heard, named, _ = start(layer)
    await named.get()
    layer.groups.clear()
    layer.thrice.clear()
    await layer.thrice.wait()
    await layer.group_send("staff", {"type": "chat.alert"})
    assert await heard.get() == {"type": "chat.alert"}


async def test_joining_again_that_fails_is_tried_again(start, pauses, caplog):
    layer = Layer(group_expiry=30)
    layer.failures = [None, OSError("gone")]
    heard, named, _ = start(layer)
    await named.get()
    await layer.thrice.wait()
    await layer.group_send("staff", {"type": "chat.alert"})
    assert await heard.get()
    assert "staff could not be joined again yet" in caplog.text


async def test_a_layer_that_fails_is_heard_again_on_another_channel(start, pauses, caplog):
    layer = Layer(group_expiry=30)
    layer.failures = [OSError("gone")]
    heard, named, _ = start(layer)
    channel = await named.get()
    assert layer.joins[0][1] != channel
    await layer.group_send("staff", {"type": "chat.alert"})
    assert await heard.get()
    assert pauses[0] == listener.PAUSE
    assert "cannot be heard" in caplog.text


async def test_a_message_that_cannot_be_taken_is_passed_over(start, caplog):
    heard = asyncio.Queue()

    def hear(message):
        if message["n"] == 1:
            raise ZeroDivisionError
        heard.put_nowait(message["n"])

    layer = Layer()
    _, named, _ = start(layer, hear)
    await named.get()
    for n in (1, 2):
        await layer.group_send("staff", {"type": "chat.alert", "n": n})
    assert await heard.get() == 2
    assert "passed over" in caplog.text


async def test_who_stops_listening_leaves_the_groups_and_stays_away(start, pauses):
    layer = Layer(group_expiry=30)
    _, named, task = start(layer)
    await named.get()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not layer.groups
    joins = len(layer.joins)
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(layer.joins) == joins


async def test_without_a_layer_there_is_nothing_to_hear(start):
    _, named, task = start(None)
    await task
    assert named.empty()
