"""Ringing the other processes: within bounds, and never waited for."""

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from django_rooms import doorbell as doorbell_module
from django_rooms.doorbell import CROWD, MAX_TEXT, Doorbell, ring, ring_event
from django_rooms.log import News
from django_rooms.names import group_name
from django_rooms.protocol.entries import Entry

PATIENCE = 10


def news(room="lobby", text="{}"):
    at = datetime.fromtimestamp(0, UTC)
    return News(room, "k3Zp", [Entry(n, "message", str(n), None, at, text, n) for n in (4, 5)])


class Queue:
    """Stands in for the process's doorbell, with as many waiting as told."""

    def __init__(self):
        self.waiting, self.put_in = 0, []

    def put(self, room, message):
        self.put_in.append((room, message))

    def flush(self):
        pass


class Layer:
    """Takes what it is sent, after waiting while ``hanging``."""

    def __init__(self):
        self.sent = []
        self.hanging = set()
        self.entered, self.taken = threading.Semaphore(0), threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()

    async def group_send(self, group, message):
        self.entered.release()
        if message["n"] in self.hanging:
            await asyncio.Event().wait()
        await asyncio.to_thread(self.open.wait, PATIENCE)
        self.sent.append((group, message["n"]))
        self.taken.release()


@pytest.fixture
def queue(monkeypatch):
    queue = Queue()
    monkeypatch.setattr(doorbell_module, "_current", queue)
    monkeypatch.setattr(doorbell_module, "reaches_other_processes", lambda: True)
    return queue


@pytest.fixture
def layer(monkeypatch):
    layer = Layer()
    monkeypatch.setattr(doorbell_module, "layer", lambda: layer)
    yield layer
    layer.open.set()


def test_a_doorbell_says_what_is_new(queue):
    item = news()
    ring([item])
    ((room, message),) = queue.put_in
    assert room == "lobby"
    assert (message["type"], message["epoch"], message["first"], message["head"]) == (
        "django_rooms.bell",
        "k3Zp",
        4,
        5,
    )
    assert message["entries"] == [entry.text for entry in item.entries]


def test_while_a_crowd_is_waiting_only_the_head_is_sent(queue):
    queue.waiting = CROWD - 1
    ring([news()])
    queue.waiting = CROWD
    ring([news()])
    assert [(len(message["entries"]), message["head"]) for _, message in queue.put_in] == [(2, 5), (0, 5)]


def test_of_a_large_text_only_the_head_is_sent(queue):
    ring([news(text='"' + "x" * (MAX_TEXT // 2) + '"'), news("other")])
    assert [(room, len(message["entries"])) for room, message in queue.put_in] == [("lobby", 0), ("other", 2)]


def test_an_event_is_sent_whole_however_many_are_waiting(queue):
    queue.waiting = CROWD
    ring_event("lobby", '{"type":"event"}')
    assert queue.put_in[0][1]["frame"] == '{"type":"event"}'


def test_nothing_is_rung_where_no_other_process_hears_it(queue, monkeypatch):
    monkeypatch.setattr(doorbell_module, "reaches_other_processes", lambda: False)
    ring([news()])
    ring_event("lobby", "{}")
    assert queue.put_in == []


def test_a_layer_that_hangs_is_given_up_and_the_next_goes_through(layer, monkeypatch, caplog):
    monkeypatch.setattr(doorbell_module, "TIMEOUT", 0.01)
    layer.hanging = {1}
    bell = Doorbell()
    for n in (1, 2):
        bell.put("lobby", {"n": n})
    assert layer.taken.acquire(timeout=PATIENCE)
    assert layer.sent == [(group_name("lobby"), 2)]
    assert "was not rung (TimeoutError" in caplog.text


def test_who_rings_waits_for_no_layer_and_what_waits_is_bounded(layer, monkeypatch, caplog):
    monkeypatch.setattr(doorbell_module, "TIMEOUT", PATIENCE)
    monkeypatch.setattr(doorbell_module, "MAX_WAITING", 3)
    layer.open.clear()
    bell = Doorbell()
    bell.put("lobby", {"n": 0})
    assert layer.entered.acquire(timeout=PATIENCE)
    for n in range(1, 8):
        bell.put("lobby", {"n": n})  # Returns, though the layer takes nothing.
    assert bell.waiting == 3
    assert caplog.text.count("the queue is full") == 1
    layer.open.set()
    for _ in range(4):
        assert layer.taken.acquire(timeout=PATIENCE)
    bell.put("lobby", {"n": 8})
    assert layer.taken.acquire(timeout=PATIENCE)
    assert [n for _, n in layer.sent] == [0, 1, 2, 3, 8]


def test_a_process_that_ends_waits_for_what_it_has_rung(layer):
    bell = Doorbell()
    for n in range(3):
        bell.put("lobby", {"n": n})
    bell.flush()
    assert [n for _, n in layer.sent] == [0, 1, 2]


def test_a_forked_child_has_a_doorbell_and_a_name_of_its_own(queue, monkeypatch):
    before = doorbell_module.process()
    monkeypatch.setattr(doorbell_module, "_process", before)
    doorbell_module._forget()
    assert doorbell_module.process() != before
    assert doorbell_module._current is None
