"""The one writer of a process: many publishes in one transaction, in the order in which they came."""

import threading

import pytest
from django.db import InterfaceError, OperationalError
from receipts import PATIENCE, error_of

from django_rooms.log import backlog
from django_rooms.log import writer as writer_module
from django_rooms.log.appends import Append, Held, Number
from django_rooms.log.writer import Busy, Writer


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


def results(receipts):
    return [receipt.result(PATIENCE) for receipt in receipts]


def submit_behind(log, writer, *items):
    """Submit ``items`` while a first batch is being stored, and then let it go on."""
    log.open.clear()
    first = writer.submit(said("first"))
    log.entered.acquire(timeout=PATIENCE)
    receipts = [writer.submit(item) for item in items]
    log.open.set()
    error_of(first)
    return receipts


def test_what_comes_while_a_batch_is_stored_is_the_next_batch(log):
    receipts = submit_behind(log, Writer(log.append), *map(said, range(10)))
    assert results(receipts) == ["entry of lobby"] * 10
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
    receipts = [writer.submit(said(n)) for n in range(3)]
    with pytest.raises(Busy, match="3 publishes"):
        writer.submit(said("too many"))
    log.open.set()
    results(receipts)
    assert "too many" not in str(log.batches)
    assert writer.submit(said("again")).result(PATIENCE)


def test_a_bad_item_fails_alone(log, caplog):
    receipts = submit_behind(log, Writer(log.append), said(1), said("bad"), said(2))
    assert results([receipts[0], receipts[2]]) == ["entry of lobby"] * 2
    assert isinstance(error_of(receipts[1]), ValueError)
    assert log.batches[1:] == [["1", "bad", "2"], ["1"], ["bad"], ["2"]]
    assert "bad cannot be stored" in caplog.text


def test_the_writer_goes_on_after_a_failure(log):
    writer = Writer(log.append)
    assert error_of(writer.submit(said("bad")))
    assert writer.submit(said(1)).result(PATIENCE)


@pytest.mark.parametrize("error", [OperationalError("gone away"), InterfaceError("closed")])
def test_a_database_that_comes_back_is_tried_again(log, error):
    log.failures = [error, error, None]
    assert Writer(log.append).submit(said(1)).result(PATIENCE)
    assert log.batches == [["1"]] * 3


def test_a_database_that_does_not_come_back_fails_the_batch_and_nothing_later(log):
    log.failures = [None] + [OperationalError("gone away")] * 4
    writer = Writer(log.append)
    receipts = submit_behind(log, writer, said(1), said(2))
    assert [type(error_of(receipt)) for receipt in receipts] == [OperationalError] * 2
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


def test_a_batch_is_bounded_by_characters_too(log, monkeypatch):
    monkeypatch.setattr(backlog, "MAX_BATCH_CHARACTERS", 5)
    results(submit_behind(log, Writer(log.append), *map(said, range(5))))
    assert log.batches == [["first"], ["0", "1", "2"], ["3", "4"]]


def test_nothing_is_taken_behind_one_that_has_failed_and_will_come_again(log, monkeypatch):
    monkeypatch.setattr(writer_module, "PAUSES", ())
    log.failures = [OperationalError("gone away")]
    writer = Writer(log.append)
    failed = writer.submit(said(1))
    assert error_of(failed)
    with pytest.raises(Busy, match="An earlier message"):
        writer.submit(said(2), failed)
    stored = writer.submit(said(1))
    assert writer.submit(said(2), stored).result(PATIENCE)
    assert log.batches == [["1"], ["1"], ["2"]] or log.batches == [["1"], ["1", "2"]]


def test_what_failed_for_good_is_waited_for_by_nobody(log):
    writer = Writer(log.append)
    failed = writer.submit(said("bad"))
    assert error_of(failed)
    assert writer.submit(said(1), failed).result(PATIENCE)


def test_what_waits_behind_a_failure_fails_with_it(log, monkeypatch):
    """It would be stored before what failed, which will be sent again."""
    monkeypatch.setattr(writer_module, "PAUSES", ())
    log.failures = [OperationalError("gone away")]
    writer = Writer(log.append)
    log.open.clear()
    first = writer.submit(said("first"))
    log.entered.acquire(timeout=PATIENCE)
    behind = [writer.submit(said(n)) for n in range(3)]
    log.open.set()
    assert [type(error_of(receipt)) for receipt in (first, *behind)] == [OperationalError] * 4
    assert log.batches == [["first"]]


def test_what_waits_behind_a_failure_in_a_batch_that_was_split_fails_with_it(log, monkeypatch):
    monkeypatch.setattr(writer_module, "PAUSES", ())
    log.failures = [*[None] * 4, OperationalError("gone away")]
    writer = Writer(log.append)
    receipts = submit_behind(log, writer, said(1), said("bad"), said(2), said(3))
    assert error_of(receipts[0]) is None
    assert isinstance(error_of(receipts[1]), ValueError)
    assert [type(error_of(receipt)) for receipt in receipts[2:]] == [OperationalError] * 2
    assert log.batches == [["first"], ["1", "bad", "2", "3"], ["1"], ["bad"], ["2"]]
    assert writer.submit(said(4)).result(PATIENCE)


def test_a_batch_that_was_split_keeps_the_order_of_a_room_that_was_held(log):
    """The room is held when its first item is tried alone, and free when its second would be."""

    def append(items):
        log.held = {"held"} if len(log.batches) == 2 else set()
        return log.append(items)

    receipts = submit_behind(log, Writer(append), said(1, "held"), said("bad"), said(2, "held"), said("free"))
    assert results([receipts[0], receipts[2], receipts[3]])
    assert log.batches[:4] == [["first"], ["1", "bad", "2", "free"], ["1"], ["bad"]]
    stored = [item for batch in log.batches[3:] for item in batch]
    assert stored == ["bad", "free", "1", "2"]


def test_a_held_room_delays_no_other_and_is_tried_again(log):
    log.held = {"held"}
    writer = Writer(log.append)
    held = [writer.submit(said(n, "held")) for n in (1, 2)]
    for n in range(5):
        assert writer.submit(said(f"free {n}")).result(PATIENCE)
    log.held.clear()
    results(held)
    assert not any(batch.count("2") and batch.index("2") < batch.index("1") for batch in log.batches if "1" in batch)


def test_a_room_that_is_held_for_too_long_fails_and_the_others_go_on(log, monkeypatch):
    monkeypatch.setattr(writer_module, "HELD_PATIENCE", 0)
    log.held = {"held"}
    writer = Writer(log.append)
    free = submit_behind(log, writer, said(1, "held"), said(2))
    with pytest.raises(OperationalError, match="'held' was held by another process for 0 s"):
        free[0].result(PATIENCE)
    assert free[1].result(PATIENCE)


def test_a_room_that_is_held_for_too_long_fails_as_a_whole(log, monkeypatch):
    """The younger ones would be stored before the first, which will be sent again."""
    monkeypatch.setattr(backlog, "MAX_BATCH", 2)
    log.held = {"held"}
    writer = Writer(log.append)
    log.open.clear()
    writer.submit(said("first"))
    log.entered.acquire(timeout=PATIENCE)
    held = [writer.submit(said(n, "held")) for n in range(4)]
    free = writer.submit(said("free"))
    writer._backlog._waiting[0].since -= writer_module.HELD_PATIENCE  # The others came just now.
    log.open.set()
    assert [type(error_of(receipt)) for receipt in held] == [OperationalError] * 4
    assert free.result(PATIENCE)
    assert log.batches == [["first"], ["0", "1"], ["free"]]
    log.held.clear()
    assert writer.submit(said(0, "held")).result(PATIENCE)


def test_a_number_is_written_as_an_item_is(log):
    assert Writer(log.append).submit(Number("lobby")).result(PATIENCE)
    assert log.batches == [["lobby"]]


def test_a_forked_child_has_a_writer_of_its_own(monkeypatch):
    before = writer_module.writer()
    assert writer_module.writer() is before
    monkeypatch.setattr(writer_module.writer, "made", before)
    writer_module.writer.forget()
    assert writer_module.writer() is not before
