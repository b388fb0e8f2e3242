"""What was read of the log: each block once for all who come for it, within a bound, and never what it says no more."""

import asyncio

import pytest
from memory_log import entry

from django_rooms.feeds.blocks import Blocks, Shelf
from django_rooms.log.pages import Extract
from django_rooms.protocol.entries import Position
from django_rooms.protocol.feed import fitting


class Log:
    """Of ``last`` entries, each at least ``width`` characters; a read takes as many as go into ``characters``."""

    def __init__(self, last, width=0, characters=10_000_000):
        self.epoch, self.floor, self.last, self.characters = "k3Zp", 0, last, characters
        self.width = width
        self.reads = []
        self.open, self.asked = asyncio.Event(), asyncio.Event()
        self.open.set()

    def text(self, offset):
        return entry(offset).text.ljust(self.width(offset) if callable(self.width) else self.width)

    async def read(self, start, size):
        self.reads.append((start, size))
        extract = self.now(start, size)
        self.asked.set()
        await self.open.wait()
        return extract

    def now(self, start, size):
        first = max(start, self.floor)
        texts = fitting(map(self.text, range(first + 1, min(start + size, self.last) + 1)), self.characters)
        return Extract(self.epoch, self.floor, self.last, first, texts)


def kept(log, max_characters=10_000_000):
    return Blocks(Shelf(max_characters), log.read)


async def held_back(log, offset):
    """A log, its blocks, and somebody who waits for a read that is under way until ``log.open`` is set."""
    blocks = kept(log)
    log.open.clear()
    waiting = asyncio.create_task(blocks.after(offset))
    await log.asked.wait()
    return log, blocks, waiting


async def everything(blocks, offset, head):
    """What somebody at ``offset`` is given, piece by piece, until there is no more."""
    found = []
    while offset < head:
        extract = await blocks.after(offset)
        assert extract.start == offset
        assert extract.texts
        found += extract.texts
        offset = extract.last
    return found


async def test_a_storm_costs_a_read_a_block_wherever_people_were():
    log = Log(1000)
    blocks = kept(log)
    heard = await asyncio.gather(*[everything(blocks, offset, 1000) for offset in range(0, 1000, 3)])
    assert log.reads == [(0, 256), (256, 256), (512, 256), (768, 256)]
    for offset, texts in zip(range(0, 1000, 3), heard, strict=True):
        assert texts == [log.text(n) for n in range(offset + 1, 1001)]


async def test_those_who_come_later_are_given_what_is_kept():
    log = Log(600)
    blocks = kept(log)
    await everything(blocks, 0, 600)
    log.reads.clear()
    assert await everything(blocks, 77, 600) == [log.text(n) for n in range(78, 601)]
    assert log.reads == []


async def test_a_block_that_had_no_more_is_read_again_by_who_knows_all_of_it():
    log = Log(10)
    blocks = kept(log)
    assert (await blocks.after(9)).last == 10
    log.last = 12
    assert (await blocks.after(10)).texts == [log.text(11), log.text(12)]
    assert (await blocks.after(12)).texts == []
    assert (await blocks.after(40)).recovers(Position("k3Zp", 40)) is False


@pytest.mark.parametrize(
    "width",
    [600, lambda offset: 4_000 if offset % 5 == 0 else 200, 6_000],
    ids=["large", "mixed", "larger than a read"],
)
async def test_large_entries_come_whole_and_cost_no_more_for_many_than_their_size(width):
    log = Log(512, width, characters=5_000)
    blocks = kept(log)
    heard = await asyncio.gather(*[everything(blocks, offset, 512) for offset in range(0, 512, 5)])
    for offset, texts in zip(range(0, 512, 5), heard, strict=True):
        assert texts == [log.text(n) for n in range(offset + 1, 513)]
    assert len(log.reads) == len(set(log.reads))
    size = sum(len(log.text(n)) for n in range(1, 513))
    assert len(log.reads) <= 5 * size // 5_000


async def test_what_is_kept_is_bounded_and_what_was_used_last_stays():
    log = Log(256 * 4, 1000)
    shelf = Shelf(3 * 256 * 1000)
    blocks = Blocks(shelf, log.read)
    for offset in (0, 256, 512, 0, 768):
        await blocks.after(offset)
    assert shelf.characters <= shelf.max_characters
    log.reads.clear()
    await blocks.after(0)
    assert log.reads == []
    await blocks.after(256)
    assert log.reads == [(256, 256)]


async def test_rooms_share_one_bound():
    shelf = Shelf(3 * 256 * 1000)
    rooms = [Blocks(shelf, Log(256, 1000).read) for _ in range(5)]
    for blocks in rooms:
        await blocks.after(0)
        assert shelf.characters <= shelf.max_characters
    assert [len(blocks.kept) for blocks in rooms] == [0, 0, 1, 1, 1]
    for blocks in rooms:
        blocks.close()
    assert shelf.characters == 0


async def test_what_is_read_again_is_counted_once():
    log = Log(10, 1000)
    shelf = Shelf(1_000_000)
    blocks = Blocks(shelf, log.read)
    for log.last in range(10, 20):
        await blocks.after(log.last - 1)
    assert shelf.characters == 19 * 1000


async def test_what_was_forgotten_is_read_again():
    log = Log(256)
    blocks = kept(log)
    await blocks.after(0)
    blocks.forget()
    log.width = 500
    assert (await blocks.after(0)).texts[0] == log.text(1)
    assert len(log.reads) == 2


async def test_what_was_forgotten_while_it_was_read_is_not_kept():
    log, blocks, early = await held_back(Log(256), 0)
    blocks.forget()
    log.width = 500
    late = asyncio.create_task(blocks.after(0))
    log.open.set()
    assert len((await early).texts[0]) < 500
    for extract in (await late, await blocks.after(0)):
        assert len(extract.texts[0]) == 500
    assert len(log.reads) == 2


async def test_a_fresh_read_passes_over_what_is_kept_and_is_kept_itself():
    log = Log(10)
    blocks = kept(log)
    await blocks.after(0)
    log.epoch = "other"
    assert (await blocks.after(0)).epoch == "k3Zp"
    assert (await blocks.after(0, fresh=True)).epoch == "other"
    assert (await blocks.after(0)).epoch == "other"


async def test_who_stops_waiting_takes_the_read_from_nobody():
    log = Log(10)
    blocks = kept(log)
    log.open.clear()
    one, other = (asyncio.create_task(blocks.after(0)) for _ in range(2))
    await log.asked.wait()
    one.cancel()
    log.open.set()
    assert (await other).last == 10


async def test_a_block_that_was_pruned_within_begins_at_the_floor():
    log = Log(256)
    log.floor = 100
    blocks = kept(log)
    assert not (await blocks.after(50)).recovers(Position("k3Zp", 50))
    extract = await blocks.after(150)
    assert (extract.start, extract.texts[0]) == (150, log.text(151))
    assert extract.recovers(Position("k3Zp", 150))
    assert log.reads == [(0, 256)]


async def test_who_is_ahead_of_a_read_that_is_under_way_is_given_the_next_one():
    log, blocks, behind = await held_back(Log(39), 38)
    log.last = 40  # Written after the read began; somebody was given it in another process, and comes here.
    ahead = [asyncio.create_task(blocks.after(40)) for _ in range(3)]
    await asyncio.sleep(0)
    log.open.set()

    assert (await behind).texts == [log.text(39)]
    assert [(await extract).recovers(Position("k3Zp", 40)) for extract in ahead] == [True, True, True]
    assert len(log.reads) == 2


async def test_what_is_wanted_fresh_is_no_read_that_was_under_way():
    log, blocks, old = await held_back(Log(10), 5)
    log.epoch = "renewed"
    new = [asyncio.create_task(blocks.after(5, fresh=True)) for _ in range(3)]
    await asyncio.sleep(0)
    log.open.set()

    assert (await old).epoch == "k3Zp"
    assert [(await extract).epoch for extract in new] == ["renewed"] * 3
    assert len(log.reads) == 2


async def test_a_read_that_has_just_ended_is_none_of_the_next():
    log = Log(39)
    blocks = kept(log)

    async def come_when_it_has_ended():
        while not log.reads:  # noqa: ASYNC110  (it has to come in the very turn of the loop in which the read ends)
            await asyncio.sleep(0)
        log.last = 40
        return await blocks.after(40)

    _, extract = await asyncio.gather(blocks.after(38), come_when_it_has_ended())

    assert extract.recovers(Position("k3Zp", 40))
    assert len(log.reads) == 2


async def test_who_knows_of_more_than_a_read_that_is_under_way_is_given_the_next_one():
    log, blocks, behind = await held_back(Log(39), 38)
    log.last = 40  # Its doorbell rings, and the feed's tail is too small for it.
    there = [asyncio.create_task(blocks.after(39)) for _ in range(3)]
    await asyncio.sleep(0)
    log.open.set()

    assert (await behind).texts == [log.text(39)]
    assert [(await extract).texts for extract in there] == [[log.text(40)]] * 3
    assert len(log.reads) == 2
