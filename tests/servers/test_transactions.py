"""Published inside a host's own transaction: seen if and only if it commits, and no such transaction stalls a room.

Real processes with real writers. What is bounded in time is measured in the process that does it, while the other
transaction is held open until the answer is there: whoever waited for it would wait for ever.
"""

import asyncio
import uuid
from contextlib import ExitStack

import pytest
import serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers.sites import DATABASES, LOCKING_DATABASES

pytestmark = pytest.mark.servers

# Seconds. Whoever waits for a lock waits for 2 s at least, which is the writer's lock timeout.
PROMPT = 1.0


def texts(host, room):
    """Whole, and without a hole."""
    said = host("said", room)
    assert [offset for offset, _ in said] == list(range(1, len(said) + 1))
    return [text for _, text in said]


def promptly(host, act, *arguments, **also):
    answer, seconds = host.timed(act, *arguments, **also)
    assert seconds < PROMPT
    return answer


def new_room():
    return f"notes/{uuid.uuid4().hex}"


def test_it_is_seen_if_and_only_if_it_commits(pair, room):
    ann, bob = pair
    with ann.transaction():
        assert ann("publish", room, "1", "2") == [None, None]
        assert ann("said", room) == bob("said", room) == []
        assert bob("heads", room) == {}
    assert texts(bob, room) == texts(ann, room) == ["1", "2"]
    with ann.transaction(keep=False):
        ann("publish", room, "never")
    assert bob("rows", room) == [2, 0]
    assert bob("publish", room, "3") == [3]
    assert texts(ann, room) == ["1", "2", "3"]


def test_it_is_numbered_by_the_commit_itself(pair, room):
    ann, bob = pair
    with ann.transaction():
        ann("publish", room, "1")
    assert bob("rows", room) == [1, 0]  # This reads the tables, and numbers nothing.


ROOMS = ("one", "two")
SAID = st.tuples(st.sampled_from(ROOMS), st.integers(0, 999).map(str)).map(list)
TREES = st.lists(
    st.recursive(
        SAID,
        lambda inner: st.fixed_dictionaries({"keep": st.booleans(), "in": st.lists(inner, max_size=4)}),
        max_leaves=12,
    ),
    max_size=5,
)


def committed(tree):
    """What of ``tree`` is seen at its end, in the order in which it was said."""
    for item in tree:
        if isinstance(item, list):
            yield item
        elif item["keep"]:
            yield from committed(item["in"])


def placed(tree, rooms):
    return [
        {**item, "in": placed(item["in"], rooms)} if isinstance(item, dict) else [rooms[item[0]], item[1]]
        for item in tree
    ]


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(tree=TREES)
def test_of_blocks_within_blocks_what_was_kept_is_seen_in_its_order(pair, tree):
    ann, bob = pair
    rooms = {name: new_room() for name in ROOMS}
    ann("play", placed(tree, rooms))
    for name, room in rooms.items():
        assert texts(bob, room) == [text for where, text in committed(tree) if where == name]
        assert bob("rows", room)[1] == 0


def test_what_a_command_says_in_another_process_is_seen_if_and_only_if_it_commits(pair, room, database_of):
    ann, _ = pair
    variables = serving.environment(database_of(pair))
    serving.manage(variables, "say", room, "1", "2", "--atomic")
    serving.manage(variables, "say", room, "never", "--atomic", "--roll-back")
    serving.manage(variables, "say", room, "3")
    assert texts(ann, room) == ["1", "2", "3"]


def test_a_command_waits_for_no_open_transaction(locking_pair, room, database_of):
    ann, _ = locking_pair
    with ann.transaction():
        ann("publish", room, "later")
        serving.manage(serving.environment(database_of(locking_pair)), "say", room, "1", "2", "--atomic")
        assert texts(ann, room) == ["1", "2"]
    assert texts(ann, room) == ["1", "2", "later"]


def test_threads_with_a_transaction_each_are_numbered_as_they_commit(locking_pair, room):
    ann, bob = locking_pair
    names = ["a", "b", "c", "d"]
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(ann.transaction(thread=name, keep=name != "c"))
        for number in range(3):
            for name in names:
                ann("publish", room, f"{name}{number}", thread=name)
    assert texts(bob, room) == [f"{name}{number}" for name in "dba" for number in range(3)]


def test_threads_that_commit_at_once_keep_each_its_order(locking_pair, room):
    ann, bob = locking_pair
    trees = {name: [{"keep": name != "c", "in": [[room, f"{name}{n}"] for n in range(5)]}] for name in "abcd"}
    for future in [host.start("play", trees[name], thread=name) for name in trees for host in (ann, bob)]:
        future.result(30)
    said = texts(bob, room)
    for name in "abd":
        own = [text for text in said if text.startswith(name)]
        assert sorted(own) == sorted(f"{name}{n}" for n in range(5) for _ in (ann, bob))
        assert len(own) == 10
    assert len(said) == 30


class TestIsolation:
    """A host that reads first and is kept from seeing what others commit."""

    def test_publishing_after_a_read_neither_fails_nor_shows_a_hole(self, isolated_pair, room):
        ann, bob = isolated_pair
        bob("publish", room, "1")
        with ann.transaction():
            assert texts(ann, room) == ["1"]
            ann("count_users")
            bob("publish", room, "2")
            with bob.transaction():
                bob("publish", room, "3")
            ann("publish", room, "4")
            assert texts(ann, room) == ["1"]
            bob("publish", room, "5")
            ann("publish", room, "6")
        assert texts(ann, room) == texts(bob, room) == ["1", "2", "3", "5", "4", "6"]

    def test_two_of_them_publish_in_the_same_rooms_and_both_commit(self, isolated_pair):
        ann, bob = isolated_pair
        one, other = new_room(), new_room()
        with ExitStack() as stack:
            for thread, rooms in {"a": (one, other), "b": (other, one)}.items():
                stack.enter_context(ann.transaction(thread=thread))
                ann("count_users", thread=thread)
                for room in rooms:
                    promptly(ann, "publish", room, thread, thread=thread)
        assert texts(bob, one) == texts(bob, other) == ["b", "a"]

    def test_the_writer_keeps_its_own_isolation(self, isolated_pair, room):
        """A snapshot of an earlier head would be a repeated offset, or an error."""
        ann, bob = isolated_pair
        for number in range(5):
            for host in (ann, bob):
                host("publish", room, f"{number}")
        assert len(texts(ann, room)) == 10


class TestNobodyWaits:
    """For a host's open transaction, whatever it published and whatever it has locked beside."""

    def test_to_publish_in_a_room_in_which_it_published(self, locking_pair, room):
        ann, bob = locking_pair
        bob("publish", room, "0")
        with ann.transaction():
            ann("publish", room, "last")
            for number in range(1, 31):
                promptly(bob, "publish", room, f"{number}")
                assert bob("heads", room) == {room: number + 1}
            promptly(ann, "publish", room, "31", thread="beside")
        assert texts(bob, room) == [*(f"{number}" for number in range(32)), "last"]

    def test_nor_in_a_new_room(self, locking_pair, room):
        ann, bob = locking_pair
        with ann.transaction():
            ann("publish", room, "last")
            promptly(bob, "publish", room, "first")
            promptly(bob, "publish", room, "second")
        assert texts(bob, room) == ["first", "second", "last"]

    def test_and_its_rollback_leaves_nothing(self, locking_pair, room):
        ann, bob = locking_pair
        with ann.transaction(keep=False):
            ann("publish", room, "never")
            for number in range(5):
                promptly(bob, "publish", room, f"{number}")
            ann("publish", room, "never")
        assert texts(bob, room) == [f"{number}" for number in range(5)]
        assert bob("rows", room) == [5, 0]

    def test_another_transaction_that_began_later_and_commits_first(self, locking_pair, room):
        ann, bob = locking_pair
        with ann.transaction():
            ann("publish", room, "1")
            with bob.transaction():
                promptly(bob, "publish", room, "2")
            ann("publish", room, "3")
            assert bob("rows", room) == [1, 0]
        assert texts(bob, room) == ["2", "1", "3"]

    def test_for_the_numbers_of_what_another_transaction_committed_meanwhile(self, locking_pair, room):
        """Many rows: a database that reads the whole table to delete them meets the one that is not committed."""
        ann, bob = locking_pair
        with ann.transaction():
            ann("publish", new_room(), "last")
            with bob.transaction():
                bob("publish", room, *(f"{number}" for number in range(20)))
            promptly(bob, "publish", room, "20")
            assert bob("rows", room) == [21, 0]
        assert texts(bob, room) == [f"{number}" for number in range(21)]

    @pytest.mark.parametrize("made", [False, True], ids=["new rooms", "rooms with a log"])
    def test_two_transactions_over_the_same_rooms_in_another_order(self, locking_pair, made):
        ann, bob = locking_pair
        one, other = new_room(), new_room()
        for room in (one, other) if made else ():
            bob("publish", room, "made")
        with ann.transaction():
            promptly(ann, "publish", one, "ann")
            with bob.transaction():
                promptly(bob, "publish", other, "bob")
                promptly(ann, "publish", other, "ann")
                promptly(bob, "publish", one, "bob")
        for room in (one, other):
            assert texts(bob, room) == ["made"] * made + ["bob", "ann"]

    def test_two_transactions_that_publish_under_the_same_id(self, locking_pair, room):
        """No unique key is taken before the commit. The first to commit is the one that counts."""
        ann, bob = locking_pair
        with ann.transaction():
            promptly(ann, "publish", room, "ann", id="shipped")
            with bob.transaction():
                promptly(bob, "publish", room, "bob", id="shipped")
            promptly(bob, "publish", room, "bob again", id="shipped")
        assert texts(bob, room) == ["bob"]
        assert bob("rows", room) == [1, 0]

    @pytest.mark.parametrize("how", ["lock", "update", "delete"])
    def test_a_transaction_that_has_locked_the_author(self, locking_pair, room, how):
        ann, bob = locking_pair
        author = bob("make_user")
        with ann.transaction():
            ann("touch_user", author, how)
            promptly(ann, "publish", room, "ann", author=author)
            promptly(bob, "publish", room, "bob", author=author)
            with bob.transaction():
                promptly(bob, "publish", room, "bob again", author=author)
        assert texts(bob, room) == ["bob", "bob again", "ann"]

    @pytest.mark.parametrize("how", ["lock", "update", "delete"])
    def test_to_lock_an_author_in_whose_name_it_published(self, locking_pair, room, how):
        ann, bob = locking_pair
        author = bob("make_user")
        with ann.transaction():
            ann("publish", room, "ann", author=author)
            promptly(bob, "touch_user", author, how) if how != "lock" else None
            with bob.transaction():
                promptly(bob, "touch_user", author, "lock") if how == "lock" else None
                promptly(bob, "publish", room, "bob", author=author)
        assert texts(bob, room) == ["bob", "ann"]


def test_on_sqlite_a_publish_waits_for_an_open_transaction_and_comes_after_it(host, room):
    """Whoever writes there locks the whole database; ``docs/limits.md`` says so."""
    ann, bob = host(), host()
    with ann.transaction():
        ann("publish", room, "1")
        later = bob.start("publish", room, "2")
        ann("publish", room, "3")
        assert not later.done()
    later.result(30)
    assert texts(bob, room) == ["1", "3", "2"]


class TestAfterTheCommit:
    @pytest.mark.parametrize("kind", DATABASES)
    @pytest.mark.parametrize("made", [False, True], ids=["a new room", "a room with a log"])
    def test_a_process_killed_before_it_numbered_loses_nothing(self, kind, made, host, database_url, room):
        ann, bob = host(database_url(kind)), host(database_url(kind))
        if made:
            bob("publish", room, "earlier")
        ann("announce_commit")
        ann.start("play", [{"keep": True, "in": [[room, "1"], [room, "2"]]}])
        ann.wait_for("committed")
        ann.kill()
        assert bob("rows", room) == [made, 2]
        assert bob("heads", room) == {room: made + 2}  # One look.
        assert texts(bob, room) == ["earlier"] * made + ["1", "2"]
        assert bob("publish", room, "3") == [made + 3]

    @pytest.mark.parametrize("kind", DATABASES)
    async def test_a_socket_of_another_process_hears_of_it_within_the_look(
        self, kind, host, serve, connect, database_url, room
    ):
        ann, server = host(database_url(kind)), serve(database=database_url(kind), look=0.2)
        bob = await connect(server, room)
        ann("announce_commit")
        ann.start("play", [{"keep": True, "in": [[room, "kept"]]}])
        await asyncio.to_thread(ann.wait_for, "committed")
        ann.kill()
        assert await bob.texts(room, count=1) == ["kept"]

    @pytest.mark.parametrize("how", ["busy", "lost", "odd"])
    @pytest.mark.parametrize("kind", DATABASES)
    def test_what_goes_wrong_then_never_reaches_the_host(self, kind, how, host, database_url, room):
        ann, bob = host(database_url(kind)), host(database_url(kind))
        ann("fail_after_commit", how)
        assert ann("call_back_after_commit", [room, "kept"]) == ["before", "after"]
        assert bob("rows", room) == [0, 1]
        assert "Error calling" in ann.log
        assert texts(bob, room) == ["kept"]

    @pytest.mark.parametrize("kind", LOCKING_DATABASES)
    def test_a_room_that_is_held_then_keeps_the_host_waiting_for_two_seconds_at_most(
        self, kind, host, database_url, room
    ):
        ann, bob = host(database_url(kind)), host(database_url(kind))
        bob("publish", room, "1")
        with bob.transaction():
            assert bob("hold", room) == 1
            called, seconds = ann.timed("call_back_after_commit", [room, "2"])
            assert called == ["before", "after"]
            assert seconds < 2 + PROMPT
        assert bob("publish", room, "3") == [3]
        assert texts(bob, room) == ["1", "2", "3"]

    @pytest.mark.parametrize("kind", LOCKING_DATABASES)
    def test_many_publishes_in_it_are_waited_for_no_longer_than_one(self, kind, host, database_url, room):
        ann, bob = host(database_url(kind)), host(database_url(kind))
        bob("publish", room, "0")
        with bob.transaction():
            assert bob("hold", room) == 1
            ann("begin")
            ann("publish", room, *"1234")
            _, seconds = ann.timed("commit")
            assert seconds < 2 + PROMPT
        # Behind what is still to be numbered, which a read passes over while it is being done.
        ann("publish", room, "5")
        assert texts(bob, room) == [*"012345"]
