"""What was read of the log, for all who come for it: in aligned blocks, each read once and kept for a while.

*Naively* each client that comes back reads the log from its own position: a cut of a thousand sockets is a thousand
queries of the same rows. *Concurrently* those who are at the same position share a read, which helps as far as they
are at the same. *Chosen*: whoever wants what comes after an offset is given the rest of the block that has it, so a
storm costs as many reads as there are blocks, wherever in them people were.

Where bodies are so large that one read takes no whole block, the blocks are as much smaller: halves, quarters and so
on, aligned too. Nothing here knows the database: what reads is handed in.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from django_rooms.log.pages import EXTRACT, Extract


class Span(NamedTuple):
    """The entries after ``start``, ``size`` of them."""

    start: int
    size: int

    def cut(self, block: Extract) -> bool:
        """Whether the log has more of it than one read took."""
        return block.last < min(self.start + self.size, block.head)


class Shelf:
    """What all rooms of a process keep together; beyond the bound, what was used least recently is let go."""

    def __init__(self, max_characters: int) -> None:
        self.max_characters = max_characters
        self.characters = 0
        self._kept: OrderedDict[tuple[Blocks, Span], Extract] = OrderedDict()

    def get(self, blocks: "Blocks", span: Span) -> Extract | None:
        block = self._kept.get((blocks, span))
        if block is not None:
            self._kept.move_to_end((blocks, span))
        return block

    def put(self, blocks: "Blocks", span: Span, block: Extract) -> None:
        self.drop(blocks, span)
        self._kept[blocks, span] = block
        blocks.kept.add(span)
        self.characters += _characters(block)
        while self.characters > self.max_characters:
            self.drop(*next(iter(self._kept)))

    def drop(self, blocks: "Blocks", span: Span) -> None:
        if (block := self._kept.pop((blocks, span), None)) is not None:
            blocks.kept.discard(span)
            self.characters -= _characters(block)


class Blocks:
    """One room's. ``read(start, size)`` reads the log; each read is shared by all who wait for it."""

    def __init__(self, shelf: Shelf, read: Callable[[int, int], Awaitable[Extract]]) -> None:
        self.kept: set[Span] = set()
        self._shelf = shelf
        self._read = read
        self._reading: dict[Span, asyncio.Task[Extract]] = {}
        self._closed = False

    async def after(self, offset: int, *, fresh: bool = False) -> Extract:
        """What comes after ``offset``, as far as one block goes; ``fresh``: as it is now, whatever is kept.

        A kept block may say of the log's ends what was true when it was read. It is read again where it has nothing
        after ``offset``.
        """
        size = EXTRACT
        while True:
            span = Span(offset // size * size, size)
            block = None if fresh else self._shelf.get(self, span)
            if block is None or not (offset < block.last or span.cut(block)):
                block = await self._shared(span, offset, fresh=fresh)
            if offset < block.last or not span.cut(block):
                return _rest(block, offset)
            # It ends before the offset. Fewer are read at once, as many as it could take.
            size = 1 << (len(block.texts).bit_length() - 1)

    def forget(self) -> None:
        """Keep nothing of what was read or is being read: the log says something else now."""
        self._reading.clear()
        for span in tuple(self.kept):
            self._shelf.drop(self, span)

    def close(self) -> None:
        """Keep nothing from now on. Who still waits is given what is read: their own task must not end by it."""
        self._closed = True
        self.forget()

    async def _shared(self, span: Span, offset: int, *, fresh: bool) -> Extract:
        """A read that is under way may have begun before what is asked for was written, or ``offset`` itself, which a
        client may have from another process. Where it has nothing after ``offset``, the next one is shared, which
        begins after this was called: who knows of more would else be told that there is no more, and wait for ever.
        """
        if (under_way := self._reading.get(span)) is not None:
            block = await asyncio.shield(under_way)
            if not fresh and (offset < block.last or span.cut(block)):
                return block
        next_one = self._reading.get(span)
        if next_one is None or next_one is under_way:  # It may be done and not yet be taken away.
            next_one = self._begin(span)
        return await asyncio.shield(next_one)

    def _begin(self, span: Span) -> "asyncio.Task[Extract]":
        task = self._reading[span] = asyncio.ensure_future(self._read(*span))
        task.add_done_callback(partial(self._done, span))
        return task

    def _done(self, span: Span, task: asyncio.Task[Extract]) -> None:
        if self._reading.get(span) is not task:
            return  # It was forgotten while it was read.
        del self._reading[span]
        if not self._closed and not task.cancelled() and task.exception() is None and task.result().texts:
            self._shelf.put(self, span, task.result())


def _rest(block: Extract, offset: int) -> Extract:
    """``block`` without what is not after ``offset``."""
    start = max(offset, block.start)
    return Extract(block.epoch, block.floor, block.head, start, block.texts[start - block.start :])


def _characters(block: Extract) -> int:
    return sum(map(len, block.texts))
