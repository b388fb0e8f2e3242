"""The one writer of a process: many publishes in one transaction, in the order in which they came."""

import threading

import pytest
from django.db import InterfaceError, OperationalError

from django_rooms import backlog
from django_rooms import writer as writer_module
from django_rooms.appends import Append, Held, Number
from django_rooms.writer import Busy, Writer

PATIENCE = 10


def said(n, room="lobby"):
    return Append(room, "u:1", str(n), "{}")


class Log:
    """Stands in for ``log.append``: notes each batch, waits while told to, and fails as told."""

    def __init__(self):
        self.batches, self.failures = [], []
        self.held = set()
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()

    def append(self, items):
        self.batches.append([item.room if isinstance(item, Number) else item.id for item in items])
        self.entered.release()
        self.open.wait(PATIENCE)
        if self.failures and (failure := self.failures.pop(0)):
            raise failure
        if bad := [item for item in items if isinstance(item, Append) and item.id.startswith("bad")]:
            raise ValueError(f"{bad[0].id} cannot be stored.")
        return [Held.HELD if item.room in self.held else f"entry of {item.room}" for item in items]


@pytest.fixture
def log(monkeypatch):
    monkeypatch.setattr(writer_module, "use_own_connection", lambda: None)
    monkeypatch.setattr(writer_module, "PAUSES", (0, 0, 0))
    monkeypatch.setattr(writer_module, "HELD_PAUSE", 0)
    log = Log()
    yield log
    log.held.clear()
    log.open.set()


def results(futures):
    return [future.result(PATIENCE) for future in futures]


def submit_behind(log, writer, *items):
    """Submit ``items`` while a first batch is being stored, and then let it go on."""
    log.open.clear()
    first = writer.submit(said("first"))
    log.entered.acquire(timeout=PATIENCE)
    futures = [writer.submit(item) for item in items]
    log.open.set()
    first.exception(PATIENCE)
    return futures


def test_what_comes_while_a_batch_is_stored_is_the_next_batch(log):
    futures = submit_behind(log, Writer(log.append), *map(said, range(10)))
    assert results(futures) == ["entry of lobby"] * 10
    assert log.batches == [["first"], [str(n) for n in range(10)]]


def test_an_item_alone_waits_for_no_others(log):
    assert Writer(log.append).submit(said(1)).result(PATIENCE) == "entry of lobby"
    assert log.batches == [["1"]]


def test_a_batch_is_bounded(log, monkeypatch):
    monkeypatch.setattr(backlog, "MAX_BATCH", 3)
    results(submit_behind(log, Writer(log.append), *map(said, range(7))))
    assert log.batches == [["first"], ["0", "1", "2"], ["3", "4", "5"], ["6"]]


def test_what_waits_is_bounded_and_one_too_many_is_busy(log, monkeypatch):
    monkeypatch.setattr(writer_module, "MAX_WAITING", 3)
    writer = Writer(log.append)
    log.open.clear()
    writer.submit(said("first"))
    log.entered.acquire(timeout=PATIENCE)
    futures = [writer.submit(said(n)) for n in range(3)]
    with pytest.raises(Busy, match="3 publishes"):
        writer.submit(said("too many"))
    log.open.set()
    results(futures)
    assert "too many" not in str(log.batches)
    assert writer.submit(said("again")).result(PATIENCE)


def test_a_bad_item_fails_alone(log, caplog):
    futures = submit_behind(log, Writer(log.append), said(1), said("bad"), said(2))
    assert results([futures[0], futures[2]]) == ["entry of lobby"] * 2
    assert isinstance(futures[1].exception(PATIENCE), ValueError)
    assert log.batches[1:] == [["1", "bad", "2"], ["1"], ["bad"], ["2"]]
    assert "bad cannot be stored" in caplog.text


def test_the_writer_goes_on_after_a_failure(log):
    writer = Writer(log.append)
    assert writer.submit(said("bad")).exception(PATIENCE)
    assert writer.submit(said(1)).result(PATIENCE)


@pytest.mark.parametrize("error", [OperationalError("gone away"), InterfaceError("closed")])
def test_a_database_that_comes_back_is_tried_again(log, error):
    log.failures = [error, error, None]
    assert Writer(log.append).submit(said(1)).result(PATIENCE)
    assert log.batches == [["1"]] * 3


def test_a_database_that_does_not_come_back_fails_the_batch_and_nothing_later(log):
    log.failures = [None] + [OperationalError("gone away")] * 4
    writer = Writer(log.append)
    futures = submit_behind(log, writer, said(1), said(2))
    assert [type(future.exception(PATIENCE)) for future in futures] == [OperationalError] * 2
    assert log.batches == [["first"]] + [["1", "2"]] * 4
    assert writer.submit(said(3)).result(PATIENCE)


def test_a_room_that_is_held_goes_in_front_of_the_next_batch_in_its_order(log):
    log.held = {"held"}
    writer = Writer(log.append)
    log.open.clear()
    writer.submit(said("first"))
    log.entered.acquire(timeout=PATIENCE)
    free = writer.submit(said("a"))
    held = [writer.submit(said(n, "held")) for n in (1, 2)]
    log.open.set()
    free.result(PATIENCE)
    for _ in range(2):
        log.entered.acquire(timeout=PATIENCE)
    log.open.clear()  # A batch with the held ones is under way, or about to be.
    later = writer.submit(said(3, "held"))
    log.held.clear()
    log.open.set()
    assert results([*held, later]) == ["entry of held"] * 3
    assert log.batches[1] == ["a", "1", "2"]
    stored = [item for batch in log.batches[2:] for item in batch]
    assert stored.index("1") < stored.index("2") < stored.index("3")
    assert log.batches[-1][-1] == "3"


def test_a_number_is_written_as_an_item_is(log):
    assert Writer(log.append).submit(Number("lobby")).result(PATIENCE)
    assert log.batches == [["lobby"]]


def test_nobody_can_cancel_what_will_be_stored(log):
    future = submit_behind(log, Writer(log.append), said(1))[0]
    assert not future.cancel()
    assert future.result(PATIENCE)


def test_a_forked_child_has_a_writer_of_its_own(monkeypatch):
    monkeypatch.setattr(writer_module, "_writer", None)
    before = writer_module.writer()
    assert writer_module.writer() is before
    writer_module._forget()
    assert writer_module.writer() is not before
