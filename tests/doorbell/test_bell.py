"""Ringing the other processes: within bounds, and never waited for."""

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from django_rooms.doorbell import bell
from django_rooms.doorbell.bell import CROWD, FEW, MAX_ROOMS, MAX_TEXT, Doorbell, ring, ring_event, ring_presence
from django_rooms.log.store import News
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

    def peal(self, message):
        self.put_in.append((None, message))

    def flush(self):
        pass


class Layer:
    """Takes what it is sent: at once while ``open``, and never what is ``hanging``."""

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
        if not self.open.is_set():
            await asyncio.to_thread(self.open.wait, PATIENCE)
        self.sent.append((group, message["n"]))
        self.taken.release()


@pytest.fixture
def queue(monkeypatch):
    queue = Queue()
    monkeypatch.setattr(bell._doorbell, "made", queue)
    monkeypatch.setattr(bell, "reaches_other_processes", lambda: True)
    return queue


@pytest.fixture
def layer(monkeypatch):
    layer = Layer()
    monkeypatch.setattr(bell, "layer", lambda: layer)
    yield layer
    layer.open.set()


def test_a_doorbell_says_what_is_new(queue):
    item = news()
    ring([item])
    ((room, message),) = queue.put_in
    assert room == group_name("lobby")
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
    assert [(room, len(message["entries"])) for room, message in queue.put_in] == [
        (group_name("lobby"), 0),
        (group_name("other"), 2),
    ]


def test_an_event_is_sent_whole_however_many_are_waiting(queue):
    queue.waiting = CROWD
    ring_event("lobby", '{"type":"event"}')
    assert queue.put_in[0][1]["frame"] == '{"type":"event"}'


def test_who_came_and_went_waits_in_no_crowd(queue):
    """Ten thousand rooms are joined at once where a server restarts: what is said in them has to come through."""
    ring_presence(["lobby"])
    queue.waiting = CROWD // 2
    ring_presence(["other"])
    assert [(room, message["type"]) for room, message in queue.put_in] == [(group_name("lobby"), bell.PRESENCE)]


def test_nothing_is_rung_where_no_other_process_hears_it(queue, monkeypatch):
    monkeypatch.setattr(bell, "reaches_other_processes", lambda: False)
    ring([news()])
    ring_event("lobby", "{}")
    assert queue.put_in == []


def test_a_layer_that_hangs_is_given_up_and_the_next_goes_through(layer, monkeypatch, caplog):
    monkeypatch.setattr(bell, "TIMEOUT", 0.01)
    layer.hanging = {1}
    doorbell = Doorbell()
    for n in (1, 2):
        doorbell.put("room", {"n": n})
    assert layer.taken.acquire(timeout=PATIENCE)
    assert layer.sent == [("room", 2)]
    assert "was not rung (TimeoutError" in caplog.text


def test_who_rings_waits_for_no_layer_and_what_waits_is_bounded(layer, monkeypatch, caplog):
    monkeypatch.setattr(bell, "TIMEOUT", PATIENCE)
    monkeypatch.setattr(bell, "MAX_WAITING", 3)
    layer.open.clear()
    doorbell = Doorbell()
    doorbell.put("room", {"n": 0})
    assert layer.entered.acquire(timeout=PATIENCE)
    for n in range(1, 8):
        doorbell.put("room", {"n": n})  # Returns, though the layer takes nothing.
    assert doorbell.waiting == 3
    assert caplog.text.count("the queue is full") == 1
    layer.open.set()
    for _ in range(4):
        assert layer.taken.acquire(timeout=PATIENCE)
    doorbell.put("room", {"n": 8})
    assert layer.taken.acquire(timeout=PATIENCE)
    assert [n for _, n in layer.sent] == [0, 1, 2, 3, 8]


def test_a_process_that_ends_waits_for_what_it_has_rung(layer, monkeypatch):
    monkeypatch.setattr(bell, "TIMEOUT", PATIENCE)
    doorbell = Doorbell()
    for n in range(3):
        doorbell.put("room", {"n": n})
    doorbell.flush()
    assert [n for _, n in layer.sent] == [0, 1, 2]


def test_a_forked_child_has_a_doorbell_and_a_name_of_its_own(queue, monkeypatch):
    before = bell.process()
    monkeypatch.setattr(bell._process, "made", before)
    bell._process.forget()
    bell._doorbell.forget()
    assert bell.process() != before
    assert bell._doorbell.made is None


def test_news_of_many_rooms_are_rung_together(queue):
    ring([news(f"room{n}") for n in range(FEW + 1)])
    ((room, message),) = queue.put_in
    assert (room, message["type"], message["from"]) == (None, "django_rooms.peal", bell.process())
    assert message["news"][0] == ("room0", "k3Zp", 4, 5, [entry.text for entry in news().entries])
    assert [item[0] for item in message["news"]] == [f"room{n}" for n in range(FEW + 1)]


def test_a_peal_is_of_so_many_rooms_at_most(queue):
    ring([news(f"room{n}") for n in range(2 * MAX_ROOMS + 1)])
    assert [len(message["news"]) for _, message in queue.put_in] == [MAX_ROOMS, MAX_ROOMS, 1]


def test_a_peal_has_the_entries_that_fit_and_says_of_the_others_where_the_log_ends(queue):
    ring([news(f"room{n}", text='"' + "x" * (MAX_TEXT // 8) + '"') for n in range(FEW + 1)])
    ((_, message),) = queue.put_in
    assert sum(len(text) for *_, texts in message["news"] for text in texts) <= MAX_TEXT
    assert [bool(texts) for *_, texts in message["news"]] == [True] * 3 + [False] * (FEW - 2)
    assert {head for _, _, _, head, _ in message["news"]} == {5}


def test_in_a_crowd_a_peal_has_no_entries(queue):
    queue.waiting = CROWD
    ring([news(f"room{n}") for n in range(FEW + 1)])
    ((_, message),) = queue.put_in
    assert not any(texts for *_, texts in message["news"])


def test_who_is_here_in_many_rooms_is_rung_together(queue):
    ring_presence([f"room{n}" for n in range(FEW + 1)])
    ((room, message),) = queue.put_in
    assert (room, message["news"], len(message["present"])) == (None, [], FEW + 1)
    queue.waiting = CROWD // 2
    ring_presence([f"room{n}" for n in range(FEW + 1)])
    assert len(queue.put_in) == 1


def test_peals_go_to_all_shards_in_turn(monkeypatch, layer):
    monkeypatch.setattr(bell, "peal_groups", lambda found: ["one", "two"])
    doorbell = Doorbell()
    for n in range(4):
        doorbell.peal({"n": n})
        assert layer.taken.acquire(timeout=PATIENCE)
    assert sorted(group for group, _ in layer.sent) == ["one", "one", "two", "two"]
