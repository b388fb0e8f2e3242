"""What waits to be stored: in order within each room, and no room waits for another that is held."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_rooms.log import backlog as backlog_module
from django_rooms.log.appends import Append, Number
from django_rooms.log.backlog import MAX_BATCH, MAX_BATCH_CHARACTERS, Backlog, Job


def said(n, room="lobby", characters=2):
    return Job(Append(room, "u:1", str(n), "x" * characters))


def filled(*jobs):
    backlog = Backlog()
    for job in jobs:
        backlog.add(job)
    return backlog


def ids(jobs):
    return [job.item.id for job in jobs]


def hold(backlog, *rooms):
    """Take a batch and store what is in no room of ``rooms``; return both."""
    batch = backlog.take()
    held = [job for job in batch if job.room in rooms]
    backlog.put_back(batch, held)
    return ids(batch), ids(job for job in batch if job not in held)


def test_a_batch_is_taken_in_the_order_of_arrival():
    backlog = filled(said(1, "a"), said(2, "b"), said(3, "a"))
    assert (ids(backlog.take()), len(backlog)) == (["1", "2", "3"], 0)


def test_a_batch_is_bounded_by_its_items():
    backlog = filled(*map(said, range(MAX_BATCH + 1)))
    assert len(backlog.take()) == MAX_BATCH
    assert ids(backlog.take()) == [str(MAX_BATCH)]


def test_a_batch_is_bounded_by_its_characters():
    backlog = filled(*[said(n, characters=MAX_BATCH_CHARACTERS // 2) for n in range(5)])
    assert [ids(backlog.take()) for _ in range(3)] == [["0", "1"], ["2", "3"], ["4"]]


def test_an_item_beyond_the_bound_of_a_batch_is_taken_all_the_same():
    backlog = filled(said(1, characters=2 * MAX_BATCH_CHARACTERS), said(2))
    assert [ids(backlog.take()) for _ in range(2)] == [["1"], ["2"]]


def test_what_is_held_counts_for_the_characters_of_its_batch():
    half = MAX_BATCH_CHARACTERS // 2
    backlog = filled(said(1, "held", half))
    hold(backlog, "held")
    for n in (2, 3):
        backlog.add(said(n, "free", half))
    assert hold(backlog, "held") == (["1", "2"], ["2"])


def test_a_number_waits_as_an_item_does_and_has_no_characters():
    backlog = filled(said(1), Job(Number("lobby")))
    assert len(backlog) == 2
    assert sum(job.characters for job in backlog.take()) == 2


def test_a_held_room_delays_no_other():
    backlog = filled(said(1, "held"), said(2, "free"), said(3, "held"), said(4, "free"))
    assert hold(backlog, "held")[1] == ["2", "4"]
    assert backlog.only_held
    backlog.add(said(5, "free"))
    assert not backlog.only_held
    assert hold(backlog, "held") == (["1", "5"], ["5"])


def test_a_held_room_takes_one_place_of_a_batch_however_much_waits_there():
    backlog = filled(*[said(n, "held") for n in range(MAX_BATCH)])
    hold(backlog, "held")
    for n in range(MAX_BATCH):
        backlog.add(said(f"held {n}", "held"))
        backlog.add(said(f"free {n}", "free"))
    tried, stored = hold(backlog, "held")
    assert tried[0] == "0"
    assert stored == [f"free {n}" for n in range(MAX_BATCH - 1)]


def test_a_room_that_is_free_again_goes_on_in_its_order():
    backlog = filled(said(1), said(2), said(3))
    hold(backlog, "lobby")
    backlog.add(said(4))
    assert hold(backlog, "lobby") == (["1"], [])
    backlog.add(said(5))
    # What came while the first was tried may come with it; the others then come in front of all that is new.
    assert hold(backlog) == (["1"], ["1"])
    backlog.add(said(6))
    assert hold(backlog) == (["2", "3", "4", "5", "6"], ["2", "3", "4", "5", "6"])
    assert len(backlog) == 0


def test_a_room_of_which_a_part_was_stored_goes_on_with_the_rest():
    """A batch that was split may find a room free at first, and then held."""
    backlog = filled(*map(said, range(4)))
    batch = backlog.take()
    backlog.put_back(batch, batch[2:])
    assert hold(backlog) == (["2"], ["2"])
    assert hold(backlog) == (["3"], ["3"])


def test_more_rooms_than_a_batch_takes_are_all_tried_and_leave_room_for_others(monkeypatch):
    monkeypatch.setattr(backlog_module, "MAX_BATCH", 4)
    rooms = [f"r{n}" for n in range(9)]
    backlog = filled(*[said(room, room) for room in rooms])
    for _ in rooms:
        hold(backlog, *rooms)
    assert backlog.only_held
    tried = []
    for _ in range(5):
        backlog.add(said("free", "free"))
        found, stored = hold(backlog, *rooms)
        assert stored == ["free"]
        tried += found
    assert set(tried) == {*rooms, "free"}


def test_clearing_takes_everything_in_order():
    backlog = filled(said(1, "held"), said(2, "held"))
    hold(backlog, "held")
    for job in (said(3, "held"), said(4, "free")):
        backlog.add(job)
    assert ids(backlog.clear()) == ["1", "2", "3", "4"]
    assert (len(backlog), backlog.only_held) == (0, True)


def test_one_room_can_be_cleared_and_the_others_stay():
    backlog = filled(said(1, "late"), said(2, "held"))
    hold(backlog, "late", "held")
    for job in (said(3, "late"), said(4, "free"), said(5, "late")):
        backlog.add(job)
    assert ids(backlog.clear("late")) == ["1", "3", "5"]
    assert ids(backlog.take()) == ["2", "4"]


ROOMS = ["a", "b", "c", "d", "e"]
COUNTS = st.dictionaries(st.sampled_from(ROOMS), st.integers(0, 3))
STEPS = st.lists(st.one_of(st.lists(st.sampled_from(ROOMS), min_size=1, max_size=8), COUNTS), max_size=30)


class Model:
    """A list a room: what waits there, in order."""

    def __init__(self):
        self.backlog = Backlog()
        self.waiting = {room: [] for room in ROOMS}

    def add(self, room):
        job = said("", room)
        self.waiting[room].append(job)
        self.backlog.add(job)

    def store(self, counts):
        """Try a batch. Of each room in ``counts`` no more than so many are stored before it is found to be held."""
        batch, stored = self.backlog.take(), []
        for job in batch:
            if len([other for other in stored if other.room == job.room]) < counts.get(job.room, len(batch)):
                stored.append(job)
        for room in ROOMS:
            mine = [job for job in stored if job.room == room]
            assert mine == self.waiting[room][: len(mine)]
            del self.waiting[room][: len(mine)]
        self.backlog.put_back(batch, [job for job in batch if job not in stored])
        return batch

    def check(self):
        assert len(self.backlog) == sum(map(len, self.waiting.values()))


@pytest.fixture(scope="module")
def small_batches():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backlog_module, "MAX_BATCH", 4)
        patch.setattr(backlog_module, "MAX_BATCH_CHARACTERS", 7)
        yield


def played(steps):
    model = Model()
    for step in steps:
        if isinstance(step, dict):
            model.store(step)
        else:
            for room in step:
                model.add(room)
        model.check()
    return model


@given(steps=STEPS)
def test_whatever_is_held_every_room_keeps_its_order_and_loses_nothing(small_batches, steps):
    model = played(steps)
    while any(model.waiting.values()):
        assert model.store({}), "Something waits, and none of it is tried."
        model.check()
    assert model.backlog.take() == []


@given(steps=STEPS, cleared=st.sampled_from([None, *ROOMS]))
def test_what_is_cleared_is_all_that_waits_in_its_order(small_batches, steps, cleared):
    model = played(steps)
    found = model.backlog.clear(cleared)
    for room in ROOMS:
        wanted = model.waiting[room] if cleared in (None, room) else []
        assert [job for job in found if job.room == room] == wanted
    assert len(model.backlog) == sum(map(len, model.waiting.values())) - len(found)
