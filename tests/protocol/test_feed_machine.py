"""The feed against a machine: whatever becomes of doorbells and reads, each follower is given the log, in order, once.

The model is a log that grows, is pruned, and is restored with another epoch. Doorbells and reads are taken at one time
and heard at another, in any order, twice or never. What surrounds the feed in ``feeds/hub.py`` and
``connection/place.py`` (a gap is read, another epoch opens the feed anew, who is behind the tail reads the log) is
followed here step by step.
"""

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from django_rooms.protocol import feed as feed_module
from django_rooms.protocol.entries import blank
from django_rooms.protocol.feed import Feed, Heard
from django_rooms.protocol.text import dumps

pytestmark = pytest.mark.slow

# Small enough that a short run comes to each of them.
BOUNDS = {"MAX_HELD": 3, "RUN_ENTRIES": 3, "RUN_CHARACTERS": 200, "KEPT_RUNS": 2}
PAGE = 4

WHICH = st.integers(0, 99)
PADS = st.lists(st.integers(0, 40), min_size=1, max_size=4)

# What becomes of a batch's doorbell. Most are heard as they should be: else nothing comes far enough to be worth it.
FATES = ("at once", "at once", "at once and again later", "later", "later, and its head alone", "never")


@pytest.fixture(autouse=True, scope="module")
def small_bounds():
    with pytest.MonkeyPatch.context() as patch:
        for name, bound in BOUNDS.items():
            patch.setattr(feed_module, name, bound)
        yield


@dataclass(frozen=True)
class Bell:
    epoch: str
    first: int
    texts: tuple[str, ...]
    head: int


@dataclass(frozen=True)
class Read:
    """What a statement read of the log, to be heard later. ``asked`` is the position that it was asked from."""

    asked: tuple[str, int]
    epoch: str
    floor: int
    head: int
    texts: tuple[str, ...]

    @property
    def recovers(self):
        same = self.asked[0] == self.epoch or self.asked == ("", 0)
        return same and self.floor <= self.asked[1] <= self.head


@dataclass
class Log:
    """The database: ``logs`` has each epoch's texts, those that were pruned too."""

    epoch: str = ""
    floor: int = 0
    serial: int = 0
    # Entries since it was pruned or restored.
    grown: int = 0
    logs: dict[str, list[str]] = field(default_factory=lambda: {"": []})
    # The offset of what removed them, by epoch and offset.
    removed: dict[str, dict[int, int]] = field(default_factory=lambda: {"": {}})

    @property
    def texts(self):
        return self.logs[self.epoch]

    @property
    def head(self):
        return len(self.texts)

    def append(self, pads, kind='"message"'):
        if not self.epoch:
            self.renew(0)
        first = self.head + 1
        self.grown += len(pads)
        for pad in pads:
            self.serial += 1
            beginning = f'{{"offset":{self.head + 1},"kind":{kind},"serial":{self.serial}'
            self.texts.append(f'{beginning},"body":{dumps({"pad": "x" * pad})}}}')
        return Bell(self.epoch, first, tuple(self.texts[first - 1 :]), self.head)

    def renew(self, keep):
        """A backup without its last entries was restored, and so without their removals."""
        kept, removed = self.texts[:keep], self.removed[self.epoch]
        self.epoch = f"e{len(self.logs)}"
        self.logs[self.epoch] = kept
        self.removed[self.epoch] = {offset: by for offset, by in removed.items() if by <= keep}
        self.floor, self.grown = min(self.floor, keep), 0

    def edit(self, target, pad):
        return self.append([pad], f'"edit","target":{target}')

    def remove(self, target):
        """A removal is an entry. It blanks a message and its edits; an erasure, of ``target`` 0, may blank all."""
        gone = range(1, self.head + 1) if target == 0 else (target, *self.edits_of(target))
        for offset in gone:
            self.removed[self.epoch].setdefault(offset, self.head + 1)
        return self.append([0], f'"removal","target":{target}' if target else '"erasure"')

    def edits_of(self, target):
        return [offset for offset, text in enumerate(self.texts, 1) if f'"edit","target":{target},' in text]

    def has(self, epoch, offset, text, known):
        """Whether this is the entry, to somebody who knows the log up to ``known``: what was removed is blank then."""
        said, removed = self.logs[epoch][offset - 1], self.removed[epoch].get(offset)
        return (
            text == blank(said)
            if removed and removed <= known
            else text in ((said, blank(said)) if removed else (said,))
        )

    def now(self, offset):
        """What the database has there."""
        text = self.texts[offset - 1]
        return blank(text) if offset in self.removed[self.epoch] else text

    def read(self, asked, limit=PAGE):
        """A page after ``asked``, as ``pages.after`` reads it."""
        start = max(asked[1], self.floor)
        last = min(asked[1] + limit, self.head)
        return Read(asked, self.epoch, self.floor, self.head, tuple(map(self.now, range(start + 1, last + 1))))


@dataclass
class Follower:
    epoch: str = ""
    offset: int = 0
    reading: Read | None = None


class FeedMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.log = Log()
        self.feed = Feed("lobby", max_characters=400)
        self.bells: list[Bell] = []
        self.reads: list[Read] = []
        self.followers: list[Follower] = []
        self.asked = 0
        # The read with which the feed is to be opened, and the heads that were heard meanwhile.
        self.opening: Read | None = None
        self.heard: dict[str, int] = {}

    # The log.

    @initialize(batches=st.lists(PADS, max_size=3), count=st.integers(1, 3))
    def begin(self, batches, count):
        for pads in batches:
            self.log.append(pads)
        self.reopen()
        self.finish_opening()
        self.followers = [Follower(self.feed.epoch, self.feed.delivered) for _ in range(count)]

    @rule(batches=st.lists(st.tuples(PADS, st.sampled_from(FATES)), min_size=1, max_size=4))
    def append(self, batches):
        for pads, fate in batches:
            self.let_it_be(self.log.append(pads), fate)
        if self.opening and self.log.grown > 4:  # A run in which it never ends would show nothing more.
            self.finish_opening()

    @rule(back=st.integers(0, 3), fate=st.sampled_from(FATES), what=st.sampled_from(["edit", "removal", "erasure"]))
    @precondition(lambda self: self.log.head > 4)
    def change(self, back, fate, what):
        target = 0 if what == "erasure" else self.log.head - back
        bell = self.log.edit(target, back) if what == "edit" else self.log.remove(target)
        self.let_it_be(bell, fate)

    @rule(lost=st.integers(0, 5), again=PADS)
    @precondition(lambda self: self.log.grown > 8)
    def restore(self, lost, again):
        self.log.renew(max(0, self.log.head - lost))
        self.bells.append(self.log.append(again))

    @rule(offset=WHICH)
    @precondition(lambda self: self.log.grown > 8)
    def prune(self, offset):
        self.log.floor = max(self.log.floor, offset % (self.log.head + 1))
        self.log.grown = 0

    # Doorbells: lost, doubled, late, in any order, and in part.

    @rule(which=WHICH, fate=st.sampled_from(["heard", "heard and kept", "lost"]))
    @precondition(lambda self: self.bells)
    def ring(self, which, fate):
        bell = self.bells.pop(which % len(self.bells))
        if "heard" in fate:
            self.hear(bell)
        if "kept" in fate:
            self.bells.append(bell)

    @rule(which=WHICH, start=st.integers(0, 3), size=st.integers(1, 3))
    @precondition(lambda self: any(bell.texts for bell in self.bells))
    def ring_in_part(self, which, start, size):
        bells = [bell for bell in self.bells if bell.texts]
        bell = bells[which % len(bells)]
        self.hear(Bell(bell.epoch, bell.first + start, bell.texts[start : start + size], bell.head))

    @rule()
    @precondition(lambda self: (self.log.epoch, self.log.head) != (self.feed.epoch, self.feed.head))
    def look(self):
        if self.log.epoch:
            self.learn(self.log.epoch, self.log.head)

    # Reads for the feed, taken at one time and heard at another.

    @rule(at_once=st.booleans())
    @precondition(lambda self: self.opening is None and self.feed.behind)
    def read_gap(self, at_once):
        self.reads.append(self.log.read((self.feed.epoch, self.feed.delivered)))
        if at_once:
            self.finish_gap_read(len(self.reads) - 1)

    @rule(which=WHICH)
    @precondition(lambda self: self.reads)
    def finish_gap_read(self, which):
        read = self.reads.pop(which % len(self.reads))
        self.learn(read.epoch, read.head)
        if not read.recovers or not read.texts:
            self.reopen()
        else:
            self.hear(Bell(read.epoch, read.asked[1] + 1, read.texts, read.head))

    @rule()
    @precondition(lambda self: self.opening)
    def finish_opening(self):
        read, self.opening = self.opening, None
        delivered = read.asked[1] + len(read.texts) if read.texts else read.head
        self.feed.open(read.epoch, delivered, read.texts)
        assert (self.feed.delivered, self.feed.behind) == (delivered, False)
        self.feed.hear(read.epoch, 0, [], max(read.head, self.heard.get(read.epoch, 0)))

    @rule(characters=st.sampled_from([0, 100, 400, 400]))
    @precondition(lambda self: self.feed.characters > 100)
    def trim(self, characters):
        self.feed.trim(characters)

    # Followers, each at its own speed.

    @rule(which=WHICH, steps=st.integers(1, 4))
    @precondition(lambda self: self.opening is None)
    def follow(self, which, steps):
        """What a follower reads of the log it is given when it is its turn again."""
        follower = self.followers[which % len(self.followers)]
        for _ in range(steps):
            self.finish_read(follower)
            self.step(follower)

    @rule(which=WHICH, back=st.integers(0, 8))
    @precondition(lambda self: self.opening is None and self.feed.delivered)
    def join(self, which, back):
        """Somebody comes anew: at the feed's own position, or at an earlier one."""
        self.followers[which % len(self.followers)] = Follower(self.feed.epoch, max(0, self.feed.delivered - back))

    @rule(back=st.integers(1, 4), where_another_asked=st.booleans())
    @precondition(lambda self: self.opening is None and self.feed.delivered)
    def ask(self, back, where_another_asked):
        """Of all who are a little behind: they are given the same run, and all that it may hold."""
        offset = self.asked if where_another_asked else self.feed.delivered - back
        self.asked = offset
        run = self.feed.after(offset)
        assert (run is None) == (not self.feed.tail_start <= offset < self.feed.delivered)
        if run:
            texts = [dumps(entry) for entry in json.loads(run.frame)["entries"]]
            assert texts == self.feed.texts_after(offset)
            assert len(texts) == run.last - offset
            self.check(texts, offset, self.feed.delivered)
            assert self.feed.after(offset) is run

    # What feeds/hub.py and connection/place.py do.

    def let_it_be(self, bell, fate):
        if "head alone" in fate:
            bell = Bell(bell.epoch, bell.first, (), bell.head)
        if "at once" in fate:
            self.hear(bell)
        if "later" in fate:
            self.bells.append(bell)

    def hear(self, bell):
        if self.opening:
            self.heard[bell.epoch] = max(self.heard.get(bell.epoch, 0), bell.head)
            return
        epoch, before = self.feed.epoch, self.feed.delivered
        outcome = self.feed.hear(bell.epoch, bell.first, bell.texts, bell.head)
        assert (outcome is Heard.RESET) == (epoch not in ("", bell.epoch))
        if outcome is Heard.RESET:
            assert (self.feed.epoch, self.feed.delivered) == (epoch, before)
            self.reopen()
            return
        assert self.feed.epoch == bell.epoch
        assert (outcome is Heard.GAP) == self.feed.behind
        assert outcome is not Heard.DELIVERED or self.feed.delivered > before
        assert outcome is not Heard.NOTHING or self.feed.delivered == before

    def learn(self, epoch, head):
        self.hear(Bell(epoch, head + 1, (), head))

    def reopen(self):
        if self.opening is None:
            self.heard.clear()
            self.opening = self.log.read(("", max(self.log.floor, self.log.head - PAGE)))

    def step(self, follower):
        if follower.reading:
            return
        if (follower.epoch, follower.offset) == ("", 0):
            follower.epoch = self.feed.epoch
        if follower.epoch != self.feed.epoch:
            follower.epoch, follower.offset = self.log.epoch, self.log.head  # A page, and from there on.
        elif run := self.feed.after(follower.offset):
            frame = json.loads(run.frame)
            assert frame.get("epoch") == (follower.epoch if follower.offset == 0 else None)
            self.give(follower, [dumps(entry) for entry in frame["entries"]], self.feed.delivered)
            assert run.last == follower.offset
        elif follower.offset < self.feed.delivered:
            follower.reading = self.log.read((follower.epoch, follower.offset))

    def finish_read(self, follower):
        read, follower.reading = follower.reading, None
        if read is None:
            return
        self.learn(read.epoch, read.head)
        if read.recovers:
            follower.epoch = read.epoch
            self.give(follower, read.texts, read.head)
        else:
            follower.epoch, follower.offset = self.log.epoch, self.log.head

    def give(self, follower, texts, known):
        """In order and each once: what is given is what the log has after the follower's offset."""
        self.check(texts, follower.offset, known, follower.epoch)
        follower.offset += len(texts)

    def check(self, texts, start, known, epoch=None):
        epoch = self.feed.epoch if epoch is None else epoch
        assert start + len(texts) <= len(self.log.logs[epoch])
        for offset, text in enumerate(texts, start + 1):
            assert self.log.has(epoch, offset, text, known), (offset, text)

    # What holds at any time.

    @invariant()
    def the_tail_is_the_end_of_what_was_delivered(self):
        """And what was removed since has left it."""
        feed = self.feed
        self.check(feed._tail, feed.tail_start, feed.delivered)
        assert feed.tail_start >= 0
        assert feed.characters == sum(map(len, feed._tail))

    @invariant()
    def nothing_is_claimed_that_the_log_does_not_have(self):
        assert self.feed.delivered <= self.feed.head <= len(self.log.logs[self.feed.epoch])

    @invariant()
    def everything_is_bounded(self):
        assert self.feed.characters <= self.feed.max_characters
        assert len(self.feed._held) <= BOUNDS["MAX_HELD"]
        assert len(self.feed._runs) <= BOUNDS["KEPT_RUNS"]

    @invariant()
    def what_is_held_is_ahead_of_what_was_delivered(self):
        assert all(offset > self.feed.delivered + 1 for offset in self.feed._held)

    @invariant()
    def a_run_that_is_kept_for_others_is_what_the_tail_has(self):
        feed = self.feed
        for offset, run in feed._runs.items():
            if feed.tail_start <= offset < feed.delivered:
                entries = [dumps(entry) for entry in json.loads(run.frame)["entries"]]
                assert entries == feed.texts_after(offset)

    def teardown(self):
        """Doorbells end here. One look, and reads as long as there is a gap: everybody is at the head."""
        if not self.followers:
            return
        while self.reads:
            self.finish_gap_read(0)
        for follower in self.followers:
            self.finish_read(follower)
        self.look()
        if self.opening:
            self.finish_opening()
            self.look()
        for _ in range(self.log.head + 1):
            if self.feed.behind:
                self.read_gap(True)
            if self.opening:
                self.finish_opening()
        assert (self.feed.epoch, self.feed.delivered) == (self.log.epoch, self.log.head)
        assert not self.feed.behind
        for follower in self.followers:
            for _ in range(self.log.head + 2):
                self.step(follower)
                self.finish_read(follower)
            assert (follower.epoch, follower.offset) == (self.log.epoch, self.log.head)
        self.the_tail_is_the_end_of_what_was_delivered()


FeedMachine.TestCase.settings = settings(max_examples=250, stateful_step_count=50)
TestFeedMachine = FeedMachine.TestCase
