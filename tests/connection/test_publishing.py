"""One connection's publishes in one room: stored in the order of their sender, whatever is refused on the way."""

import asyncio
import json
import threading

import pytest
from django.db import DataError, OperationalError
from receipts import PATIENCE, error_of

from django_rooms.connection import publishing as publishing_module
from django_rooms.connection.publishing import Publishing
from django_rooms.log import writer as writer_module
from django_rooms.log.writer import Busy, Writer
from django_rooms.protocol.codes import ErrorCode
from django_rooms.protocol.entries import Author
from django_rooms.protocol.frames import FrameError, Publish


class Database:
    """Stands in for ``log.append``: fails as told, or waits."""

    def __init__(self):
        self.stored, self.failure = [], None
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()

    def append(self, items):
        self.entered.release()
        self.open.wait(PATIENCE)
        if self.failure:
            raise self.failure
        self.stored += [item.id for item in items]
        return [None] * len(items)


class Sender:
    """Publishes, and keeps the receipts and the answers."""

    def __init__(self):
        self.answers, self.receipts = [], []
        self.answered = asyncio.Event()
        self.publishing = Publishing("lobby", "u:1", Author("u1", "Ann"), self._answer)

    def submit(self, *ids):
        for sent in ids:
            self.publishing.submit(Publish(sent, "lobby", sent, "{}"))

    def refused(self, id):
        """The code of the refusal at once."""
        with pytest.raises(FrameError) as refusal:
            self.submit(id)
        return refusal.value.code

    async def answer(self, *refs):
        """The answers to what was sent with these refs: an error's code, or ``ok``."""
        while not set(refs) <= {answer["ref"] for answer in self.answers}:
            self.answered.clear()
            await self.answered.wait()
        found = {answer["ref"]: answer.get("code", answer["type"]) for answer in self.answers}
        self.answers.clear()
        return [found[ref] for ref in refs]

    def _answer(self, frame):
        self.answers.append(json.loads(frame))
        self.answered.set()


@pytest.fixture
def database(monkeypatch):
    database = Database()
    monkeypatch.setattr(writer_module, "use_own_connection", lambda: None)
    monkeypatch.setattr(writer_module, "PAUSES", ())
    yield database
    database.open.set()


@pytest.fixture
async def sender(database, monkeypatch):
    writer, sender = Writer(database.append), Sender()

    def submit(*args):
        sender.receipts.append(writer.submit(*args))
        return sender.receipts[-1]

    monkeypatch.setattr(writer_module, "submit", submit)
    return sender


GONE = OperationalError("gone away")


async def test_what_is_published_is_stored_in_its_order(database, sender):
    sender.submit("a", "b", "c")
    assert await sender.answer("a", "b", "c") == ["ok"] * 3
    assert database.stored == ["a", "b", "c"]


async def test_what_comes_before_the_failure_is_told_is_refused(database, sender):
    database.failure = GONE
    sender.submit("a")
    # No await from here on: a has failed, and this loop cannot know it yet.
    assert error_of(sender.receipts[0]) is GONE
    database.failure = None
    assert sender.refused("b") is ErrorCode.BUSY
    assert await sender.answer("a") == ["unavailable"]
    assert sender.refused("b") is ErrorCode.BUSY
    sender.submit("a", "b")
    assert await sender.answer("a", "b") == ["ok", "ok"]
    assert database.stored == ["a", "b"]


async def test_of_several_that_failed_the_first_has_to_come_first(database, sender):
    database.failure = GONE
    database.open.clear()
    sender.submit("a", "b", "c")
    database.open.set()
    assert await sender.answer("a", "b", "c") == ["unavailable"] * 3
    database.failure = None
    assert [sender.refused(sent) for sent in ("b", "c", "new")] == [ErrorCode.BUSY] * 3
    sender.submit("a", "b", "c", "new")
    assert await sender.answer("a", "b", "c", "new") == ["ok"] * 4
    assert database.stored == ["a", "b", "c", "new"]


async def test_of_several_that_failed_and_were_not_told_yet_the_first_has_to_come_first(database, sender):
    database.failure = GONE
    database.open.clear()
    sender.submit("a", "b")
    database.open.set()
    for receipt in sender.receipts:
        error_of(receipt)
    database.failure = None
    assert sender.refused("c") is ErrorCode.BUSY
    assert sender.refused("b") is ErrorCode.BUSY
    assert await sender.answer("a", "b") == ["unavailable"] * 2
    assert [sender.refused(sent) for sent in ("c", "b")] == [ErrorCode.BUSY] * 2
    sender.submit("a", "b", "c")
    assert await sender.answer("a", "b", "c") == ["ok"] * 3
    assert database.stored == ["a", "b", "c"]


async def test_an_error_for_good_is_answered_and_blocks_nothing(database, sender, caplog):
    database.failure = DataError("too long")
    sender.submit("a")
    assert await sender.answer("a") == ["bad_body"]
    database.failure = None
    sender.submit("b")
    assert await sender.answer("b") == ["ok"]
    assert "too long" in caplog.text


async def test_an_error_for_good_blocks_nothing_before_it_is_told_either(database, sender):
    database.failure = DataError("too long")
    sender.submit("a")
    error_of(sender.receipts[0])
    database.failure = None
    sender.submit("b")
    assert await sender.answer("a", "b") == ["bad_body", "ok"]


async def test_one_that_failed_and_then_fails_for_good_blocks_nothing(database, sender):
    database.failure = GONE
    sender.submit("a")
    await sender.answer("a")
    database.failure = DataError("too long")
    sender.submit("a")
    assert await sender.answer("a") == ["bad_body"]
    database.failure = None
    sender.submit("b")
    assert await sender.answer("b") == ["ok"]


async def test_one_that_is_given_up_is_waited_for_no_more(database, sender):
    database.failure = GONE
    sender.submit("a")
    await sender.answer("a")
    database.failure = None
    sender.publishing.give_up("b")
    assert sender.refused("b") is ErrorCode.BUSY
    sender.publishing.give_up("a")
    sender.submit("b")
    assert await sender.answer("b") == ["ok"]
    assert database.stored == ["b"]


async def test_a_full_writer_holds_the_order_too(database, sender, monkeypatch):
    with monkeypatch.context() as patch:

        def full(item, after=None):
            raise Busy

        patch.setattr(writer_module, "submit", full)
        assert sender.refused("a") is ErrorCode.BUSY
    assert sender.refused("b") is ErrorCode.BUSY
    sender.submit("a", "b")
    assert await sender.answer("a", "b") == ["ok"] * 2
    assert database.stored == ["a", "b"]


async def test_what_fails_comes_before_what_was_refused_behind_it(database, sender, monkeypatch):
    """Else the one would be stored before the other, or neither ever."""
    monkeypatch.setattr(publishing_module, "MAX_IN_FLIGHT", 2)
    database.failure = GONE
    database.open.clear()
    sender.submit("a", "b")
    assert sender.refused("c") is ErrorCode.BUSY
    database.open.set()
    for receipt in sender.receipts:
        error_of(receipt)
    database.failure = None
    assert sender.refused("c") is ErrorCode.BUSY  # This loop was not told yet that a and b failed.
    assert await sender.answer("a", "b") == ["unavailable"] * 2
    assert [sender.refused(sent) for sent in ("c", "b")] == [ErrorCode.BUSY] * 2
    sender.submit("a", "b")
    assert await sender.answer("a", "b") == ["ok"] * 2
    sender.submit("c")
    assert await sender.answer("c") == ["ok"]
    assert database.stored == ["a", "b", "c"]


async def test_what_is_under_way_is_bounded(database, sender, monkeypatch):
    monkeypatch.setattr(publishing_module, "MAX_IN_FLIGHT", 2)
    database.open.clear()
    sender.submit("a", "b")
    assert sender.refused("c") is ErrorCode.BUSY
    database.open.set()
    assert await sender.answer("a", "b") == ["ok"] * 2
    assert sender.refused("d") is ErrorCode.BUSY
    sender.submit("c", "d")
    assert await sender.answer("c", "d") == ["ok"] * 2
    assert database.stored == ["a", "b", "c", "d"]


async def test_a_copy_of_what_was_stored_since_a_refusal_is_acknowledged_and_waits_for_nothing(
    database, sender, monkeypatch
):
    """Who hears of a refusal sends all again that has no answer yet, also what is being stored at that moment."""
    monkeypatch.setattr(publishing_module, "MAX_IN_FLIGHT", 2)
    database.open.clear()
    sender.submit("a", "b")
    assert sender.refused("c") is ErrorCode.BUSY
    database.open.set()
    assert await sender.answer("a", "b") == ["ok", "ok"]
    # "c" has to come first of what is new; the copies before it are no news.
    sender.submit("a", "b")
    assert await sender.answer("a", "b") == ["ok", "ok"]
    sender.submit("c")
    assert await sender.answer("c") == ["ok"]
    assert database.stored == ["a", "b", "c"]


async def test_a_copy_of_what_was_answered_is_answered_again_whatever_became_of_the_database(database, sender):
    sender.submit("a", "b")
    assert await sender.answer("a", "b") == ["ok", "ok"]
    database.failure = GONE
    sender.submit("a", "b")
    assert await sender.answer("a", "b") == ["ok", "ok"]
    database.failure = None
    sender.submit("c")
    assert await sender.answer("c") == ["ok"]


async def test_nothing_waits_for_a_copy_of_what_was_answered(database, sender):
    """It could not be told whether the copy may be stored. Its sender has an answer, and sends it no more."""
    sender.submit("a")
    assert await sender.answer("a") == ["ok"]
    sender.publishing.give_up("b")
    sender.publishing.hold("a")
    sender.publishing.hold("b")
    sender.submit("c")
    assert await sender.answer("c") == ["ok"]


async def test_what_is_remembered_has_a_bound(database, sender, monkeypatch):
    monkeypatch.setattr(publishing_module, "MAX_REMEMBERED", 3)
    database.failure = GONE
    sender.submit("a")
    assert await sender.answer("a") == ["unavailable"]
    database.failure = None
    for sent in "abcde":
        sender.submit(sent)
        assert await sender.answer(sent) == ["ok"]
    assert list(sender.publishing._stored) == ["c", "d", "e"]
