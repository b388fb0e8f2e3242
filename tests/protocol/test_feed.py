"""One room in one process: what it hears may be lost, doubled, late or out of order; what it delivers is not."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_rooms.protocol.entries import Author, Entry
from django_rooms.protocol.feed import (
    KEPT_RUNS,
    MAX_HELD,
    MAX_HELD_CHARACTERS,
    RUN_CHARACTERS,
    RUN_ENTRIES,
    Feed,
    Heard,
    fitting,
)

PLENTY = 1024 * 1024


def texts(first, last):
    """Entries as the feed sees them: texts, of which it knows no more than the length."""
    return [f'{{"offset":{offset}}}' for offset in range(first, last + 1)]


def offsets(run):
    return [entry["offset"] for entry in json.loads(run.frame)["entries"]]


@pytest.fixture
def feed():
    feed = Feed("lobby", max_characters=PLENTY)
    feed.open("k3Zp", 3, texts(1, 3))
    return feed


def test_the_newest_entries_are_as_many_as_one_frame_takes():
    feed = Feed("lobby", max_characters=10 * RUN_CHARACTERS)
    feed.open("k3Zp", 8, ['"' + f"{n}" * (RUN_CHARACTERS // 4) + '"' for n in range(1, 9)])
    assert [text[1] for text in feed.newest(50)] == ["6", "7", "8"]
    assert [text[1] for text in feed.newest(2)] == ["7", "8"]
    assert feed.newest(0) == []


def test_the_newest_entries_are_read_from_the_log_where_the_tail_does_not_reach_so_far():
    feed = Feed("lobby", max_characters=10 * RUN_CHARACTERS)
    feed.open("k3Zp", 8, ["{}"] * 4)
    assert feed.newest(4) == ["{}"] * 4
    assert feed.newest(5) is None


def test_the_next_entry_is_delivered(feed):
    assert feed.hear("k3Zp", 4, texts(4, 5), 5) is Heard.DELIVERED
    assert feed.delivered == 5
    assert offsets(feed.after(3)) == [4, 5]


def test_what_was_seen_already_is_dropped(feed):
    assert feed.hear("k3Zp", 2, texts(2, 3), 3) is Heard.NOTHING
    assert feed.after(3) is None
    assert feed.hear("k3Zp", 3, texts(3, 4), 4) is Heard.DELIVERED
    assert offsets(feed.after(0)) == [1, 2, 3, 4]


def test_what_comes_after_a_gap_is_held_back_until_the_gap_is_closed(feed):
    assert feed.hear("k3Zp", 5, texts(5, 6), 6) is Heard.GAP
    assert (feed.delivered, feed.behind) == (3, True)
    assert feed.hear("k3Zp", 4, texts(4, 4), 4) is Heard.DELIVERED
    assert (feed.delivered, feed.behind) == (6, False)
    assert offsets(feed.after(3)) == [4, 5, 6]


def test_a_head_alone_shows_the_gap(feed):
    assert feed.hear("k3Zp", 7, [], 7) is Heard.GAP
    assert feed.behind


def test_no_more_than_a_bound_is_held_back(feed):
    feed.hear("k3Zp", 5, texts(5, 5 + MAX_HELD * 2), 5 + MAX_HELD * 2)
    assert feed.hear("k3Zp", 4, texts(4, 4), 4) is Heard.GAP
    assert feed.delivered == 4 + MAX_HELD


def test_no_more_characters_than_a_bound_are_held_back(feed):
    large = "x" * (MAX_HELD_CHARACTERS // 3)
    feed.hear("k3Zp", 5, [large] * 9, 13)
    assert feed.hear("k3Zp", 4, texts(4, 4), 4) is Heard.GAP
    assert feed.delivered == 4 + 3


def test_another_epoch_is_a_reset_and_delivers_nothing(feed):
    assert feed.hear("other", 4, texts(4, 4), 4) is Heard.RESET
    assert feed.delivered == 3


def test_a_room_without_a_log_takes_the_epoch_of_its_first_entry():
    feed = Feed("lobby", max_characters=PLENTY)
    feed.open("", 0, [])
    assert feed.hear("k3Zp", 1, texts(1, 1), 1) is Heard.DELIVERED
    assert json.loads(feed.after(0).frame)["epoch"] == "k3Zp"


def test_the_epoch_goes_with_the_first_entry_alone(feed):
    assert json.loads(feed.after(0).frame)["epoch"] == "k3Zp"
    assert "epoch" not in json.loads(feed.after(1).frame)


def test_all_who_are_at_one_offset_are_sent_the_same_string(feed):
    assert feed.after(1).frame is feed.after(1).frame


def test_a_kept_frame_is_forgotten_when_there_is_more_to_tell(feed):
    feed.after(1)
    feed.hear("k3Zp", 4, texts(4, 4), 4)
    assert offsets(feed.after(1)) == [2, 3, 4]


def test_no_more_than_a_bound_of_frames_is_kept():
    feed = Feed("lobby", max_characters=PLENTY)
    feed.open("k3Zp", 100, texts(1, 100))
    for offset in range(100):
        feed.after(offset)
    assert len(feed._runs) == KEPT_RUNS


def test_kept_frames_are_let_go_with_the_look(feed):
    run = feed.after(1)
    assert feed.after(1) is run
    feed.trim(PLENTY)
    assert not feed._runs
    assert feed.after(1).frame == run.frame


def test_who_is_up_to_date_or_ahead_is_told_nothing(feed):
    assert feed.after(3) is None
    assert feed.after(4) is None


def test_who_is_behind_the_tail_has_to_read_the_log():
    feed = Feed("lobby", max_characters=PLENTY)
    feed.open("k3Zp", 10, texts(8, 10))
    assert feed.tail_start == 7
    assert feed.after(6) is None
    assert offsets(feed.after(7)) == [8, 9, 10]


def test_the_tail_is_bounded_by_its_characters():
    feed = Feed("lobby", max_characters=40)
    feed.open("k3Zp", 0, [])
    feed.hear("k3Zp", 1, texts(1, 100), 100)
    assert feed.characters <= 40
    assert feed.delivered == 100
    assert offsets(feed.after(feed.tail_start))[-1] == 100
    assert feed.after(feed.tail_start - 1) is None


def test_a_tail_that_is_trimmed_lets_go_of_the_oldest(feed):
    feed.trim(0)
    assert (feed.tail_start, feed.characters) == (3, 0)


def test_a_frame_takes_no_more_entries_than_its_bound():
    feed = Feed("lobby", max_characters=PLENTY)
    feed.open("k3Zp", 2 * RUN_ENTRIES, texts(1, 2 * RUN_ENTRIES))
    run = feed.after(0)
    assert (len(offsets(run)), run.last) == (RUN_ENTRIES, RUN_ENTRIES)
    assert offsets(feed.after(run.last))[0] == run.last + 1


def test_a_frame_takes_no_more_characters_than_its_bound_beyond_its_first_entry():
    assert fitting(["x" * 2 * RUN_CHARACTERS, "y"], RUN_CHARACTERS) == ["x" * 2 * RUN_CHARACTERS]
    assert fitting(["x" * 6, "y" * 6, "z"], 10) == ["x" * 6]
    assert fitting(["x" * 5, "y" * 5, "z"], 10) == ["x" * 5, "y" * 5]
    assert fitting([], 10) == []


@st.composite
def doorbells(draw):
    """A log of n entries, committed in batches, whose doorbells are lost, doubled, emptied and shuffled."""
    bells, first = [], 1
    for size in draw(st.lists(st.integers(1, 5), max_size=12)):
        bells.append((first, size))
        first += size
    rung = draw(st.lists(st.tuples(st.sampled_from(bells), st.booleans()), max_size=30)) if bells else []
    return first - 1, draw(st.permutations(rung)), draw(st.lists(st.integers(0, 30), max_size=5))


@given(doorbells(), st.integers(0, 200))
def test_doorbells_lost_doubled_and_reordered_end_in_every_entry_once_and_in_order(heard, characters):
    n, rung, healed_after = heard
    feed = Feed("lobby", max_characters=characters)
    feed.open("", 0, [])
    got, place = [], 0

    def follow():
        """A connection: from the tail where it reaches back so far, else from the log."""
        nonlocal place
        while place < feed.delivered:
            run = feed.after(place)
            got.extend(offsets(run) if run else range(place + 1, feed.delivered + 1))
            place = run.last if run else feed.delivered

    def heal(head):
        """One read of the log, in pieces of at most four entries."""
        feed.hear("k3Zp", head + 1, [], head)
        while feed.behind:
            first = feed.delivered + 1
            feed.hear("k3Zp", first, texts(first, min(head, first + 3)), head)
            follow()

    for index, ((first, size), with_entries) in enumerate(rung):
        before = feed.delivered
        outcome = feed.hear("k3Zp", first, texts(first, first + size - 1) if with_entries else [], first + size - 1)
        assert outcome is not Heard.RESET
        assert (outcome is Heard.GAP) == feed.behind
        assert outcome is not Heard.DELIVERED or feed.delivered > before
        follow()
        if index in healed_after:
            heal(feed.head)
    if n:
        heal(n)  # The look: sooner or later every room's head is read.
    follow()
    assert got == list(range(1, n + 1))


# Removals and erasures.


def entry_text(offset, kind="message", target=None, text="secret", author="u1"):
    body = "null" if kind in ("removal", "erasure") else json.dumps({"text": text})
    shown = Author(author, "Ann")
    return Entry(offset, kind, f"id-{offset}", shown, datetime.fromtimestamp(0, UTC), body, offset, target).text


def held(feed, after=0):
    return [json.loads(text) for text in feed.texts_after(after)]


@pytest.fixture
def talk():
    """A message, another one, an edit of each."""
    feed = Feed("lobby", max_characters=PLENTY)
    feed.open("k3Zp", 0, [])
    for text in (entry_text(1), entry_text(2), entry_text(3, "edit", 1), entry_text(4, "edit", 2)):
        feed.hear("k3Zp", json.loads(text)["offset"], [text], json.loads(text)["offset"])
    return feed


def test_a_removal_blanks_the_message_and_its_edits_in_memory(talk):
    talk.after(0)
    assert talk.hear("k3Zp", 5, [entry_text(5, "removal", 1)], 5) is Heard.DELIVERED
    assert [entry["body"] and entry["body"]["text"] for entry in held(talk)] == [None, "secret", None, "secret", None]
    assert [entry["offset"] for entry in held(talk)] == [1, 2, 3, 4, 5]
    assert talk.characters == sum(map(len, talk.texts_after(0)))
    assert talk.blanked == 1


def test_a_removal_of_what_is_in_memory_no_more_is_delivered_like_any_other(talk):
    talk.trim(len(talk.texts_after(3)[0]))
    talk.hear("k3Zp", 5, [entry_text(5, "removal", 1)], 5)
    assert [entry["kind"] for entry in held(talk, 4)] == ["removal"]
    assert talk.delivered == 5


def test_a_removal_that_was_heard_too_early_blanks_when_its_turn_comes(talk):
    talk.hear("k3Zp", 6, [entry_text(6, "removal", 1)], 6)
    assert talk.blanked == 0
    talk.hear("k3Zp", 5, [entry_text(5, "edit", 1)], 5)
    assert [entry["offset"] for entry in held(talk) if entry["body"] is None] == [1, 3, 5, 6]


def test_an_erasure_leaves_nothing_in_memory_but_itself(talk):
    talk.hear("k3Zp", 5, [entry_text(5, "erasure")], 5)
    assert (talk.tail_start, talk.delivered, talk.blanked) == (4, 5, 1)
    assert talk.after(0) is None
    assert [entry["kind"] for entry in held(talk, 4)] == ["erasure"]


def test_words_that_look_like_a_removal_are_none(talk):
    text = entry_text(5, text='{"offset":5,"kind":"removal","target":1,')
    talk.hear("k3Zp", 5, [text], 5)
    assert (talk.blanked, talk.texts_after(4)) == (0, [text])
