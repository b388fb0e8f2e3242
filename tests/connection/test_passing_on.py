"""What a room tells goes straight to the sockets of those who are where it begins, and to nobody else.

Whole connections on sockets of the test's, a room's feed, and a log in memory.
"""

import asyncio
import json
import sys
from types import SimpleNamespace

import pytest
from memory_log import entry, read_by_feeds
from registering import replace_registrations

from django_rooms import registry
from django_rooms.connection import pulse, sending
from django_rooms.connection.conversation import Connection
from django_rooms.feeds import hub as hub_module
from django_rooms.feeds import rounds
from django_rooms.feeds.hub import hub
from django_rooms.log.store import News
from django_rooms.people import Guest, show
from django_rooms.protocol import frames
from django_rooms.protocol.entries import Entry, Position
from django_rooms.protocol.presence import Member, Present
from django_rooms.rooms import PublicRoom

EPOCH = "k3Zp"

# From Python 3.12 on a write that waits for nothing is done when the room has told it.
EAGER = sys.version_info >= (3, 12)


class Quiet(PublicRoom):
    """Does not tell who is there, so that nothing has to be recorded."""

    presence_names = None


class Peer:
    """A connection and what its socket was sent: ``messages``, and the frames in them."""

    def __init__(self, name):
        self.messages = []
        self._open = asyncio.Event()
        self._open.set()
        guest = Guest(f"g{name}", name)
        self.connection = Connection(self, guest, show(guest))

    @property
    def frames(self):
        found = [json.loads(message) for message in self.messages]
        return [frame for value in found for frame in (value if isinstance(value, list) else [value])]

    @property
    def order(self):
        """What came, in a word each: the offsets of entries, the names of events, and the types of the others."""
        return [word for frame in self.frames for word in words(frame)]

    @property
    def offsets(self):
        return [word for word in self.order if isinstance(word, int)]

    async def ask(self, type, **fields):
        await self.connection.receive(json.dumps({"type": type, "room": "lobby", **fields}))

    async def join(self, **fields):
        await self.ask("join", ref=1, **fields)
        await settled()

    def read(self):
        """What came until now is of no interest."""
        self.messages.clear()

    def stick(self):
        self._open.clear()

    async def go_on(self):
        self._open.set()
        await settled()

    async def send_text(self, text):
        await self._open.wait()
        self.messages.append(text)

    async def close(self, code=None, reason=None):
        self.messages.append(json.dumps({"type": "closed"}))

    def abort(self):
        pass


def words(frame):
    match frame["type"]:
        case "entries" | "reset":
            return [item["offset"] for item in frame["entries"]]
        case "event":
            return [frame["event"]]
        case kind:
            return [kind]


async def settled():
    """Let every task that can run do so, and what waits for a thread's answer too."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def log(monkeypatch):
    log = read_by_feeds(monkeypatch)
    log.fill(EPOCH, 3)
    return log


@pytest.fixture
async def come(log, monkeypatch):
    """``await come("ann", …)``: they are in the lobby, live, and have read what came until then.

    Rounds follow each other without a rest, however long they take.
    """
    monkeypatch.setattr(rounds, "SHORT", 3600)
    replace_registrations(monkeypatch)
    registry.register("lobby", Quiet)
    registry.register("other", Quiet)
    peers = []

    async def come(*names, room="lobby"):
        new = [Peer(name) for name in names]
        peers.extend(new)
        for peer in new:
            await peer.join(room=room)
            peer.read()
        return new

    yield come
    for peer in peers:
        peer.connection.closed()


def feed():
    return hub().feeds["lobby"]


def let_go_of_the_tail():
    """Whoever wants what was said until now reads the log."""
    bound = feed().feed.max_characters
    feed().feed.trim(0)
    feed().feed.trim(bound)


def say(log, *offsets):
    """Have it stored, and heard at once as far as it is one after the other."""
    log.fill(EPOCH, max(offsets))
    feed().hear(EPOCH, offsets[0], [entry(offset).text for offset in offsets], offsets[-1])


def tell(event, sender=None):
    frame = frames.event("lobby", event, None, {})
    hub().hear_event("lobby", frame, sender and sender.connection)


def place(peer):
    return peer.connection._places.get("lobby")


# Who is live.


async def test_who_is_live_gets_one_and_the_same_text_for_all_that_was_said_at_once(log, come):
    peers = await come("ann", "bob", "cy")
    for offset in range(4, 54):
        say(log, offset)
    await settled()
    assert [len(peer.messages) for peer in peers] == [1, 1, 1]
    assert len({id(peer.messages[0]) for peer in peers}) == 1
    assert peers[0].offsets == list(range(4, 54))


async def test_what_is_said_after_a_round_is_of_the_next_one(log, come):
    ann, bob = await come("ann", "bob")
    for offset in (4, 5, 6):
        say(log, offset)
        await settled()
    assert ann.messages == bob.messages
    assert [words(frame) for frame in ann.frames] == [[4], [5], [6]]


async def test_a_connection_that_fails_keeps_the_news_from_nobody_and_comes_on(log, come, caplog, monkeypatch):
    ann, bob, cy = await come("ann", "bob", "cy")
    with monkeypatch.context() as patch:
        patch.setattr(bob, "send_text", None)
        say(log, 4)
        feed().tell()
    await settled()
    assert ann.offsets == bob.offsets == cy.offsets == [4]
    assert "could not be told" in caplog.text
    say(log, 5)
    await settled()
    assert ann.offsets == bob.offsets == cy.offsets == [4, 5]


async def test_the_first_entries_of_a_room_come_with_their_epoch_and_the_next_go_straight(log, come):
    log.fill("", 0)
    (ann,) = await come("ann")
    say(log, 1)
    await settled()
    assert (ann.offsets, ann.frames[0]["epoch"]) == ([1], EPOCH)
    assert place(ann).position == Position(EPOCH, 1)
    ann.read()
    say(log, 2, 3)
    await settled()
    assert ann.offsets == [2, 3]
    assert len(ann.messages) == 1
    assert "epoch" not in ann.frames[0]


async def test_more_than_one_message_takes_is_told_to_its_end(log, come):
    ann, bob = await come("ann", "bob")
    say(log, *range(4, 904))
    await settled()
    assert ann.offsets == bob.offsets == list(range(4, 904))
    ann.read()
    say(log, 904)
    await settled()
    assert ann.offsets == [904]


async def test_an_event_and_an_entry_keep_their_order(log, come):
    ann, bob = await come("ann", "bob")
    tell("one")
    tell("two")
    say(log, 4)
    tell("three")
    say(log, 5)
    await settled()
    # Where a write is under way until the loop's next turn, events that came behind entries go before them.
    assert ann.order == bob.order == (["one", "two", 4, 5, "three"] if EAGER else ["one", "two", "three", 4, 5])


async def test_an_event_before_and_one_after_an_entry_are_before_and_after_it_in_rounds_of_their_own(log, come):
    (ann,) = await come("ann")
    tell("before")
    await settled()
    say(log, 4)
    await settled()
    tell("after")
    await settled()
    assert ann.order == ["before", 4, "after"]


# Who said it.


async def test_who_sends_an_event_is_not_told_of_it(log, come):
    ann, bob = await come("ann", "bob")
    await ann.ask("event", event="typing")
    await settled()
    assert (ann.order, bob.order) == ([], ["typing"])


async def test_nobody_is_told_their_own_where_events_of_several_are_gathered(log, come):
    ann, bob, cy = await come("ann", "bob", "cy")
    for n in range(3):
        tell(f"ann {n}", ann)
        tell(f"bob {n}", bob)
    tell("host")
    await settled()
    assert ann.order == ["bob 0", "bob 1", "bob 2", "host"]
    assert bob.order == ["ann 0", "ann 1", "ann 2", "host"]
    assert cy.order == ["ann 0", "bob 0", "ann 1", "bob 1", "ann 2", "bob 2", "host"]
    assert len(cy.messages) == 1


async def test_who_is_told_events_one_by_one_has_them_before_the_entries_behind_them(log, come):
    ann, bob = await come("ann", "bob")
    tell("ann", ann)
    tell("bob", bob)
    say(log, 4)
    await settled()
    assert ann.order == ["bob", 4]
    assert bob.order == ["ann", 4]
    ann.read()
    say(log, 5)
    await settled()
    assert ann.order == [5]


async def test_a_publish_and_its_answer_are_one_message(log, come, monkeypatch):
    """As after a commit: the log tells its news first, and then who published."""
    ann, bob = await come("ann", "bob")
    say(log, 4)
    ann.connection.sending.put(frames.ok(9, 4))
    await settled()
    assert [ann.order, bob.order] == [["ok", 4], [4]]
    assert len(ann.messages) == 1


# Who is behind, joining, or has something before it.


async def test_who_is_behind_gets_all_of_it_in_order_and_once(log, come):
    ann, bob = await come("ann", "bob")
    let_go_of_the_tail()
    place(ann).position = Position(EPOCH, 1)
    ann.connection.wake("lobby")
    for offset in (4, 5, 6):  # Each passes by while the log is read, or after that.
        say(log, offset)
        await asyncio.sleep(0)
    await settled()
    assert (ann.offsets, bob.offsets) == ([2, 3, 4, 5, 6], [4, 5, 6])
    ann.read()
    say(log, 7)
    await settled()
    assert ann.offsets == [7]


async def test_who_is_behind_in_the_tail_gets_all_of_it_in_order_and_once(log, come):
    (ann,) = await come("ann")
    place(ann).position = Position(EPOCH, 1)
    say(log, 4)
    await settled()
    say(log, 5)
    await settled()
    assert ann.offsets == [2, 3, 4, 5]


async def test_while_somebodys_log_is_read_nothing_passes_it(log, come):
    ann, bob = await come("ann", "bob")
    let_go_of_the_tail()
    place(ann).position = Position(EPOCH, 1)
    log.open.clear()
    log.asked.clear()
    ann.connection.wake("lobby")
    await asyncio.wait_for(log.asked.wait(), 10)
    say(log, 4)
    await settled()
    tell("event")
    await settled()
    assert (ann.order, bob.order) == (["event"], [4, "event"])
    log.open.set()
    await settled()
    assert ann.order == ["event", 2, 3, 4]


async def test_what_comes_while_the_log_is_read_for_who_was_ahead_comes_once(log, come):
    """They come from another process, which has heard more: this one hears of it while they wait for the log."""
    (ann,) = await come("ann")
    place(ann).position = Position(EPOCH, 5)
    log.fill(EPOCH, 5)
    log.open.clear()
    log.asked.clear()
    ann.connection.wake("lobby")
    await asyncio.wait_for(log.asked.wait(), 10)
    say(log, 4, 5)
    await settled()
    say(log, 6)
    await settled()
    assert ann.offsets == []
    log.open.set()
    await settled()
    assert ann.offsets == [6]


async def test_what_was_found_in_another_rooms_log_goes_first(log, come):
    """Who has a frame waiting is asked for it before anything passes."""
    (ann,) = await come("ann")
    await ann.join(room="other")
    ann.read()
    ann.connection._places._found = ("gone", SimpleNamespace(), "found")
    assert not ann.connection._places.is_live(place(ann))
    say(log, 4)
    await settled()
    assert ann.offsets == [4]
    assert ann.connection._places.is_live(place(ann))


async def test_what_is_said_while_somebody_joins_comes_once(log, come):
    (ann,) = await come("ann")
    let_go_of_the_tail()
    log.open.clear()
    log.asked.clear()
    cy = Peer("cy")
    joining = asyncio.create_task(cy.ask("join", ref=1, history=3))
    await asyncio.wait_for(log.asked.wait(), 10)
    say(log, 4)
    await settled()
    say(log, 5)
    await settled()
    assert (ann.offsets, cy.order) == ([4, 5], [])
    log.open.set()
    await joining
    await settled()
    joined = next(frame for frame in cy.frames if frame["type"] == "joined")
    assert cy.order[0] == "joined"
    assert [item["offset"] for item in joined["entries"]] + cy.offsets == [3, 4, 5]
    cy.read()
    say(log, 6)
    await settled()
    assert cy.offsets == [6]
    cy.connection.closed()


async def test_who_joins_again_further_back_gets_nothing_between_twice(log, come):
    (ann,) = await come("ann")
    say(log, 4, 5)
    await settled()
    ann.read()
    await ann.ask("join", ref=2, position={"epoch": EPOCH, "offset": 4})
    say(log, 6)
    await settled()
    joined = ann.frames[0]
    assert [item["offset"] for item in joined["entries"]] + ann.offsets == [5, 6]


async def test_what_is_told_waits_while_the_socket_takes_nothing_and_comes_then_in_order(log, come):
    ann, bob = await come("ann", "bob")
    ann.stick()
    for offset in range(4, 10):
        say(log, offset)
        tell(f"event {offset}")
        await settled()
    assert ann.messages == []
    assert bob.offsets == list(range(4, 10))
    await ann.go_on()
    assert ann.offsets == list(range(4, 10))
    assert [word for word in ann.order if isinstance(word, str)] == [f"event {offset}" for offset in range(4, 10)]
    assert len(ann.messages) == 2  # What was being written, and all the rest.
    ann.read()
    say(log, 10)
    await settled()
    assert ann.offsets == [10]


async def test_a_ping_that_is_due_goes_before_what_the_room_tells(log, come, monkeypatch):
    (ann,) = await come("ann")
    monkeypatch.setattr(pulse, "STEP", 100)  # A ping has fewer bytes, and these entries have more.
    for offset in (4, 5):
        say(log, offset)
        await settled()
    assert ann.order[:4] == ["ping", 4, "ping", 5]


async def test_at_the_bound_of_what_is_unread_nothing_passes_and_events_are_dropped(log, come, monkeypatch):
    (ann,) = await come("ann")
    monkeypatch.setattr(pulse, "STEP", 100)
    monkeypatch.setattr(pulse, "UNANSWERED", 150)
    say(log, 4)
    await settled()
    tell("event")
    say(log, 5)
    await settled()
    assert ann.order == ["ping"]
    await ann.connection.receive(json.dumps({"type": "pong", "n": ann.frames[0]["n"]}))
    await settled()
    assert (ann.offsets, "event" in ann.order) == ([4, 5], False)


async def test_nothing_is_passed_on_to_who_has_left(log, come):
    ann, bob = await come("ann", "bob")
    say(log, 4)
    tell("event", bob)
    await ann.ask("leave", ref=2)
    await settled()
    assert ann.order == ["left"]
    assert bob.offsets == [4]


async def test_nothing_is_passed_on_behind_a_last_word(log, come):
    ann, _ = await come("ann", "bob")
    ann.stick()
    say(log, 4)
    await settled()
    ann.connection.end(sending.CloseCode.RESTART, "Bye.")
    say(log, 5)
    await settled()
    await ann.go_on()
    assert ann.order == [4, "closing", "closed"]


async def test_a_log_that_starts_over_passes_nothing_to_who_is_in_the_old_one(log, come):
    ann, bob = await come("ann", "bob")
    say(log, 4)
    await settled()
    log.fill("new", 2)
    feed().hear("new", 3, [], 2)
    await settled()
    log.fill("new", 3)
    feed().hear("new", 3, [entry(3).text], 3)
    await settled()
    assert ann.order == bob.order == [4, 1, 2, 3]
    assert [frame["type"] for frame in ann.frames] == ["entries", "reset", "entries"]


# What came from the log of another process.


async def test_a_gap_is_told_when_it_has_closed_and_in_order(log, come):
    ann, bob = await come("ann", "bob")
    feed().hear(EPOCH, 5, [entry(5).text], 5)
    await asyncio.sleep(0)
    feed().hear(EPOCH, 4, [entry(4).text], 5)
    await settled()
    assert ann.offsets == bob.offsets == [4, 5]


async def test_what_is_heard_twice_is_told_once(log, come):
    (ann,) = await come("ann")
    for _ in range(2):
        say(log, 4)
        await settled()
    say(log, 4)
    say(log, 5)
    await settled()
    assert ann.offsets == [4, 5]


async def test_the_hub_tells_each_room_its_own(log, come):
    (ann,) = await come("ann")
    (bob,) = await come("bob", room="other")
    said = Entry(4, "message", "id", None, entry(4).at, "{}", 4)
    hub_module._hear([News("lobby", EPOCH, [said]), News("other", EPOCH, [said])])
    await settled()
    assert [peer.frames[0]["room"] for peer in (ann, bob)] == ["lobby", "other"]


# Who is here.


@pytest.fixture
async def here(come, monkeypatch):
    """``here("bob", …)``: these are in the lobby now, and all who are in it are told so."""
    await hub().feed("lobby")
    present = Present("lobby", 20)
    opening = asyncio.get_running_loop().create_future()
    opening.set_result(None)
    nothing = {"come": lambda: None, "changed": lambda: None, "close": lambda: None}
    feed().presence = SimpleNamespace(present=present, opening=opening, **nothing)

    def here(*names):
        present.become([Member(name, name) for name in names], len(names))
        feed().tell_presence()

    return here


def revisions(peer):
    return [frame["revision"] for frame in peer.frames if frame["type"] == "presence"]


async def test_who_is_here_goes_past_the_queue_where_nothing_comes_before_it(here, come, monkeypatch):
    ann, bob = await come("ann", "bob")
    woken = []
    monkeypatch.setattr(Connection, "wake", lambda self, room: woken.append(room))
    here("ann")
    if EAGER:
        assert ann.order == ["presence"]  # At once, in no task of its own.
    await settled()
    assert ann.messages == bob.messages
    assert len({id(peer.messages[0]) for peer in (ann, bob)}) == 1
    here("ann", "bob")
    await settled()
    assert revisions(ann) == revisions(bob) == [1, 2]
    assert woken == []


async def test_who_is_here_comes_behind_entries_that_come_first(here, log, come):
    (ann,) = await come("ann")
    place(ann).position = Position(EPOCH, 1)
    ann.connection._places.note_news("lobby")
    here("ann")
    await settled()
    assert ann.order == [2, 3, "presence"]


async def test_who_is_here_comes_behind_entries_that_are_being_read(here, log, come):
    (ann,) = await come("ann")
    let_go_of_the_tail()
    place(ann).position = Position(EPOCH, 1)
    log.open.clear()
    log.asked.clear()
    ann.connection.wake("lobby")
    await asyncio.wait_for(log.asked.wait(), 10)
    here("ann")
    await settled()
    assert ann.order == []
    log.open.set()
    await settled()
    assert ann.order == [2, 3, "presence"]


async def test_who_is_here_comes_behind_what_is_being_written(here, log, come):
    ann, bob = await come("ann", "bob")
    ann.stick()
    say(log, 4)
    await settled()
    here("ann")
    here("ann", "bob")
    await ann.go_on()
    assert ann.order == [4, "presence"]
    assert revisions(ann) == [2]
    assert revisions(bob) == [1, 2]


async def test_who_is_here_is_told_nobody_who_is_still_joining(here, log, come):
    (ann,) = await come("ann")
    let_go_of_the_tail()
    log.open.clear()
    log.asked.clear()
    cy = Peer("cy")
    joining = asyncio.create_task(cy.ask("join", ref=1))
    await asyncio.wait_for(log.asked.wait(), 10)
    here("ann", "cy")
    await settled()
    assert (ann.order, cy.order) == (["presence"], [])
    log.open.set()
    await joining
    await settled()
    assert cy.order == ["joined"]
    assert cy.frames[0]["present"]["revision"] == 1
    cy.connection.closed()


async def test_who_is_here_is_not_lost_behind_replies_that_fill_a_message(here, come):
    (ann,) = await come("ann")
    for n in range(frames.MAX_BATCH):
        ann.connection.sending.put(frames.pong(n))
    here("ann")
    await settled()
    assert ann.order == [*["pong"] * frames.MAX_BATCH, "presence"]
    here("ann", "bob")
    await settled()
    assert revisions(ann) == [1, 2]


async def test_who_is_here_is_told_nobody_twice(here, come):
    (ann,) = await come("ann")
    here("ann")
    feed().tell_presence()
    await settled()
    assert revisions(ann) == [1]
