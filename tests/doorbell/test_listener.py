"""What reads the channel layer: it stays in its groups, gets over a layer that fails, and takes leave."""

import asyncio
from types import SimpleNamespace

import pytest
from channels.layers import InMemoryChannelLayer

from django_rooms.doorbell import listener
from django_rooms.doorbell.complaints import Complaints
from django_rooms.doorbell.listener import listen


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
    """The seconds that the listener would have slept for. It has not complained yet."""
    pauses, sleep = [], asyncio.sleep

    async def pause(seconds):
        pauses.append(seconds)
        await sleep(0)

    stand_in = SimpleNamespace(
        **{name: getattr(asyncio, name) for name in ("create_task", "wait", "wait_for")}, sleep=pause
    )
    monkeypatch.setattr(listener, "asyncio", stand_in)
    monkeypatch.setattr(listener, "_complaints", Complaints())
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
    assert "cannot be heard" in caplog.text


async def test_a_layer_that_goes_on_failing_is_tried_less_often_and_said_once(start, pauses, caplog):
    layer = Layer(group_expiry=300)
    layer.failures = 6 * [OSError("gone")]
    _, named, _ = start(layer)
    await named.get()
    tries = [seconds for seconds in pauses if seconds < 100]
    for seconds, around in zip(tries, (1, 2, 4, 8, 10, 10), strict=True):
        assert 0.5 * around <= seconds <= 1.5 * around
    assert len(set(tries)) == 6
    assert caplog.text.count("cannot be heard") == 1


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


async def test_who_listens_anew_has_left_before_it_joins_again(monkeypatch, pauses):
    """As pub/sub needs it, which takes a group that still has a member for subscribed."""
    layer = Layer(group_expiry=30)
    members = []
    group_add = layer.group_add

    async def note_and_add(group, channel):
        members.append(set(layer.groups.get(group, ())))
        await group_add(group, channel)

    layer.group_add = note_and_add
    monkeypatch.setattr(listener, "layer", lambda: layer)
    heard, named = asyncio.Queue(), asyncio.Queue()
    listening = listener.Listener(["staff"], heard.put_nowait, named.put_nowait)
    first = await named.get()
    listening.anew()
    listening.anew()  # Twice at once is once.
    second = await named.get()
    assert first != second
    assert members[0] == members[-1] == set()
    await layer.group_send("staff", {"type": "chat.alert"})
    assert await heard.get() == {"type": "chat.alert"}
    listening.stop()
    await asyncio.gather(listening._task, return_exceptions=True)
    assert not layer.groups
    assert heard.empty()


async def test_who_is_still_about_to_join_is_not_made_to_join_again(monkeypatch, pauses):
    layer, open_, asked, asking = Layer(group_expiry=30), asyncio.Event(), [], asyncio.Event()
    group_add = layer.group_add

    async def hang_and_add(group, channel):
        asked.append(channel)
        asking.set()
        await open_.wait()
        await group_add(group, channel)

    layer.group_add = hang_and_add
    monkeypatch.setattr(listener, "layer", lambda: layer)
    named = asyncio.Queue()
    listening = listener.Listener(["staff"], lambda message: None, named.put_nowait)
    await asking.wait()
    for _ in range(5):
        listening.anew()
        await asyncio.sleep(0)
    open_.set()
    assert asked[:1] == [await named.get()]
    assert set(asked) == set(layer.groups["staff"])
    listening.stop()
    await asyncio.gather(listening._task, return_exceptions=True)


async def test_who_cannot_leave_a_layer_joins_it_all_the_same(monkeypatch, pauses):
    layer, stuck = Layer(group_expiry=30), asyncio.Event()

    async def hang(channel):
        try:
            await stuck.wait()
        finally:
            await asyncio.shield(stuck.wait())

    layer.receive = hang
    monkeypatch.setattr(listener, "layer", lambda: layer)
    monkeypatch.setattr(listener, "TIMEOUT", 0.01)
    named = asyncio.Queue()
    listening = listener.Listener(["staff"], lambda message: None, named.put_nowait)
    first = await named.get()
    listening.anew()
    assert await asyncio.wait_for(named.get(), 10) != first
    stuck.set()
    listening.stop()
    await asyncio.gather(listening._task, return_exceptions=True)
