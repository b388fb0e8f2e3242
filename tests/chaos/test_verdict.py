"""The judge: it has to call by its name whatever is lost, doubled, out of order or wrong, and nothing else."""

from dataclasses import replace

import pytest

from chaos.evidence import EDIT, REMOVAL, Letters, Log, Record, Run, Said, Seen
from chaos.shown import Screen
from chaos.verdict import Fault, counts, judge, judge_here

ROOM = "lobby"


def seen(*offsets):
    return [Seen(offset, f"ann {offset}", f"text {offset}") for offset in offsets]


def log(*offsets, head=5, epochs=("e1",)):
    rows = [Seen(offset, f"ann {offset}", f"text {offset}", "g:ann") for offset in offsets or range(1, 6)]
    return Log(ROOM, head, rows, list(epochs))


def ann(acks=None, sent=(1, 2, 3, 4, 5), **options):
    acks = [(number, number) for number in sent] if acks is None else acks
    said = [Said(f"ann {number}", f"text {number}") for number in sent]
    return Letters("ann", ROOM, said, [(f"ann {n}", at) for n, at in acks], **options)


def bob(*runs):
    return Record("bob", ROOM, list(runs) or [Run("e1", 0, seen(1, 2, 3, 4, 5))])


def faults(*, of=None, record=None, letters=None):
    """What is not 0."""
    found = counts(judge([of or log()], [record or bob()], [letters or ann()]))
    return {fault: number for fault, number in found.items() if number}


def test_who_saw_everything_in_order_has_nothing_to_complain_of():
    assert faults() == {}


def test_who_came_later_misses_nothing():
    assert faults(record=bob(Run("e1", 3, seen(4, 5)))) == {}


def test_who_came_when_all_was_said_misses_nothing():
    assert faults(record=bob(Run("e1", 5))) == {}


@pytest.mark.parametrize("given", [(1, 2, 3, 4), (), (2, 3, 4, 5)])
def test_what_was_not_delivered_is_lost(given):
    found = faults(record=bob(Run("e1", 0, seen(*given))))
    assert found[Fault.LOST] == 5 - len(given)


def test_what_was_skipped_is_lost_and_the_next_is_out_of_order():
    assert faults(record=bob(Run("e1", 0, seen(1, 2, 4, 5)))) == {Fault.LOST: 1, Fault.DISORDERED: 1}


def test_what_was_given_twice_is_doubled():
    assert faults(record=bob(Run("e1", 0, seen(1, 2, 2, 3, 4, 5)))) == {Fault.DOUBLED: 1}


def test_what_was_given_again_after_a_resume_is_doubled():
    assert faults(record=bob(Run("e1", 0, seen(1, 2, 3, 2, 3, 4, 5)))) == {Fault.DOUBLED: 2}


def test_what_was_given_from_before_the_start_is_doubled():
    assert faults(record=bob(Run("e1", 3, seen(3, 4, 5)))) == {Fault.DOUBLED: 1}


def test_what_came_too_early_is_out_of_order():
    assert faults(record=bob(Run("e1", 0, seen(1, 3, 2, 4, 5)))) == {Fault.DISORDERED: 3}


def test_another_text_at_an_offset_is_wrong_and_so_is_what_is_shown_then():
    other = [*seen(1, 2, 3, 4), Seen(5, "ann 5", "something else")]
    assert faults(record=bob(Run("e1", 0, other))) == {Fault.WRONG: 2}


def test_an_entry_that_the_log_does_not_have_is_wrong():
    assert faults(record=bob(Run("e1", 0, seen(1, 2, 3, 4, 5, 6)))) == {Fault.WRONG: 1}


def test_who_was_never_let_in_has_something_wrong():
    assert faults(record=Record("bob", ROOM)) == {Fault.WRONG: 1}


def test_a_start_over_for_no_reason_is_wrong_and_what_it_skips_is_lost():
    record = bob(Run("e1", 0, seen(1, 2)), Run("e1", 4, seen(5)))
    assert faults(record=record) == {Fault.WRONG: 1, Fault.LOST: 2}


def test_a_start_over_in_a_renewed_log_may_skip():
    record = bob(Run("e1", 0, seen(1, 2)), Run("e2", 4, seen(5)))
    assert faults(of=log(epochs=("e1", "e2")), record=record) == {}


def test_a_run_before_a_renewal_is_judged_too():
    record = bob(Run("e1", 0, seen(1, 3)), Run("e2", 4, seen(5)))
    assert faults(of=log(epochs=("e1", "e2")), record=record) == {Fault.LOST: 1, Fault.DISORDERED: 1}


def test_who_stays_in_an_epoch_that_is_over_is_wrong():
    assert faults(of=log(epochs=("e0", "e1", "e2")), record=bob(Run("e1", 0, seen(1, 2, 3, 4, 5)))) == {Fault.WRONG: 1}


def test_who_goes_back_to_an_earlier_epoch_is_wrong():
    record = bob(Run("e1", 0, seen(1, 2)), Run("e2", 4), Run("e1", 4), Run("e2", 4, seen(5)))
    assert faults(of=log(epochs=("e1", "e2")), record=record) == {Fault.WRONG: 1}


def test_an_epoch_that_never_was_is_wrong():
    assert faults(record=bob(Run("e7", 0, seen(1, 2, 3, 4, 5)))) == {Fault.WRONG: 1}


def test_what_was_acknowledged_and_is_gone_is_lost():
    shorter = log(1, 2, 3, 4, head=4)
    assert faults(of=shorter, record=bob(Run("e1", 0, seen(1, 2, 3, 4)))) == {Fault.LOST: 1}


def test_a_hole_in_the_log_is_lost():
    found = faults(of=log(1, 2, 4, 5), letters=ann(sent=(1, 2, 4, 5)), record=bob(Run("e1", 4, seen(5))))
    assert found == {Fault.LOST: 1}


def test_what_was_not_acknowledged_and_is_there_is_no_loss_but_it_was_never_answered():
    assert faults(letters=ann(acks=[(n, n) for n in (1, 2, 3, 4)])) == {Fault.WRONG: 1}


def test_an_id_that_is_in_the_log_twice_is_doubled():
    twice = log()
    twice.rows[4] = Seen(5, "ann 4", "text 4", "g:ann")
    record = bob(Run("e1", 0, [*seen(1, 2, 3, 4), Seen(5, "ann 4", "text 4")]))
    assert faults(of=twice, record=record, letters=ann(sent=(1, 2, 3, 4))) == {Fault.DOUBLED: 1}


def test_an_offset_that_two_rows_have_is_doubled():
    twice = log()
    twice.rows.append(Seen(5, "ann 6", "text 6", "g:ann"))
    letters = ann(sent=(1, 2, 3, 4, 5, 6), acks=[(n, min(n, 5)) for n in range(1, 7)])
    assert faults(of=twice, letters=letters, record=bob(Run("e1", 5))) == {Fault.DOUBLED: 1}


def test_an_ack_with_the_offset_of_another_is_wrong():
    assert faults(letters=ann(acks=[(1, 1), (2, 2), (3, 3), (4, 4), (5, 4)])) == {Fault.WRONG: 1}


def test_a_second_ack_with_another_offset_is_wrong():
    assert faults(letters=ann(acks=[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (5, 6)])) == {Fault.WRONG: 1}


def test_a_view_tells_no_offset():
    assert faults(letters=ann(acks=[(n, None) for n in range(1, 6)], tells_offsets=False)) == {}


def test_another_order_than_that_of_sending_is_out_of_order():
    assert faults(letters=ann(sent=(1, 3, 2, 4, 5))) == {Fault.DISORDERED: 1}


def test_what_nobody_sent_is_wrong():
    assert faults(letters=ann(sent=(1, 2, 3, 4))) == {Fault.WRONG: 1}


def test_one_persons_letters_under_two_names_are_wrong():
    two = log()
    two.rows[2] = Seen(3, "ann 3", "text 3", "g:somebody")
    assert faults(of=two) == {Fault.WRONG: 1}


def test_a_row_beyond_the_head_is_wrong():
    found = faults(of=log(head=4), record=bob(Run("e1", 4)))
    assert found == {Fault.WRONG: 1}


# Pages.


def test_who_starts_from_a_page_misses_nothing_after_it():
    assert faults(record=bob(Run("e1", 4, seen(5), page=seen(2, 3, 4)))) == {}


def test_a_page_without_a_message_has_lost_it():
    assert faults(record=bob(Run("e1", 4, seen(5), page=seen(2, 4)))) == {Fault.LOST: 1}


def test_a_page_in_another_order_is_out_of_order():
    assert faults(record=bob(Run("e1", 4, seen(5), page=seen(3, 2, 4)))) == {Fault.DISORDERED: 1}


def test_a_page_beyond_its_position_is_out_of_order():
    assert faults(record=bob(Run("e1", 4, seen(5), page=seen(4, 5)))) == {Fault.DISORDERED: 1}


# Edits and removals. Ann says 1 and 2, edits 1, edits 2, edits 1 again, removes 2, and says 7.

STORY = [
    Said("m1", "one"),
    Said("m2", "two"),
    Said("e3", "one, edited", EDIT, 1),
    Said("e4", "two, edited", EDIT, 2),
    Said("e5", "one, edited again", EDIT, 1),
    Said("r6", None, REMOVAL, 2),
    Said("m7", "seven"),
]
# As the log has them in the end; and as somebody was given them who was there all the time.
ROWS = [
    Seen(1, "m1", "one, edited again", "g:ann", changed=5),
    Seen(2, "m2", None, "g:ann", changed=6),
    Seen(3, "e3", "one, edited", "g:ann", EDIT, 1),
    Seen(4, "e4", None, "g:ann", EDIT, 2),
    Seen(5, "e5", "one, edited again", "g:ann", EDIT, 1),
    Seen(6, "r6", None, "g:ann", REMOVAL, 2),
    Seen(7, "m7", "seven", "g:ann"),
]
LIVE = [Seen(number, said.id, said.text, "", said.kind, said.target) for number, said in enumerate(STORY, 1)]


def other(entries, offset, **fields):
    """``entries`` with another one at ``offset``."""
    return [replace(entry, **fields) if entry.offset == offset else entry for entry in entries]


def changed(*, rows=ROWS, given=LIVE, run=None, story=STORY, acks=None, refused=(), **options):
    """What is not 0 where somebody was given ``given``, or ``run``."""
    acks = [(said.id, number) for number, said in enumerate(story, 1)] if acks is None else acks
    letters = Letters("ann", ROOM, list(story), acks, refused=list(refused))
    record = Record("bob", ROOM, [run or Run("e1", 0, list(given))], **options)
    return faults(of=Log(ROOM, 7, list(rows), ["e1"]), record=record, letters=letters)


def test_who_saw_every_change_has_nothing_to_complain_of():
    assert changed() == {}


def test_messages_may_come_as_they_are_today_and_their_changes_after_them():
    assert changed(given=ROWS) == {}


def test_a_message_may_come_in_a_version_between():
    assert changed(given=other(LIVE, 1, text="one, edited", changed=3)) == {}


def test_what_is_removed_may_be_blank_before_its_removal_comes():
    assert changed(given=other(other(LIVE, 2, text=None), 4, text=None)) == {}


def test_a_page_of_messages_alone_goes_on_behind_its_changes():
    assert changed(run=Run("e1", 6, LIVE[6:], page=ROWS[:2])) == {}


def test_a_page_with_a_change_has_all_of_them():
    assert changed(run=Run("e1", 6, LIVE[6:], page=[ROWS[0], ROWS[1], *ROWS[3:6]])) == {Fault.LOST: 1}


def test_a_change_of_a_message_that_one_does_not_have_is_ignored():
    assert changed(run=Run("e1", 2, LIVE[2:])) == {}


def test_a_text_that_a_message_never_had_is_wrong():
    # And shown until the next edit comes.
    assert changed(given=other(LIVE, 1, text="two")) == {Fault.WRONG: 1}


def test_a_text_of_another_version_is_wrong():
    assert changed(given=other(LIVE, 1, text="one, edited again", changed=3)) == {Fault.WRONG: 1}


def test_a_text_that_hides_its_later_changes_is_wrong_and_so_is_what_is_shown_then():
    assert changed(given=other(LIVE, 1, changed=5)) == {Fault.WRONG: 2}


def test_a_change_that_was_never_given_is_lost_and_what_is_shown_without_it_is_wrong():
    assert changed(given=[*LIVE[:4], *LIVE[5:]]) == {Fault.LOST: 1, Fault.DISORDERED: 1, Fault.WRONG: 1}


def test_changes_in_another_order_are_out_of_order_and_what_is_ignored_then_shows():
    swapped = [*LIVE[:2], LIVE[4], LIVE[3], LIVE[2], *LIVE[5:]]
    assert changed(given=swapped) == {Fault.DISORDERED: 4}
    swapped = [*LIVE[:5], LIVE[6], LIVE[5]]
    assert changed(given=swapped) == {Fault.DISORDERED: 2}


def test_an_edit_of_another_message_is_wrong():
    assert changed(given=other(LIVE, 5, target=2))[Fault.WRONG] == 2


def test_a_message_that_became_blank_and_was_not_removed_is_wrong():
    assert changed(given=other(LIVE, 7, text=None)) == {Fault.WRONG: 2}


@pytest.mark.parametrize(("offset", "words"), [(2, "two, edited"), (4, "two, edited")])
def test_words_of_a_removed_message_in_the_log_are_wrong(offset, words):
    assert changed(rows=other(ROWS, offset, text=words))[Fault.WRONG] >= 1


def test_words_of_an_edit_of_a_removed_message_in_the_log_are_one_wrong():
    assert changed(rows=other(ROWS, 4, text="two, edited")) == {Fault.WRONG: 1}


def test_a_row_with_an_earlier_text_or_version_is_wrong():
    # And so is what bob shows, who knows better.
    assert changed(rows=other(ROWS, 1, text="one, edited")) == {Fault.WRONG: 2}
    assert changed(rows=other(ROWS, 1, changed=3)) == {Fault.WRONG: 1}


def test_who_comes_afterwards_may_not_be_given_what_was_removed():
    assert changed(given=other(other(LIVE, 2, text=None), 4, text=None), afterwards=True) == {}
    assert changed(given=other(LIVE, 2, text=None), afterwards=True) == {Fault.WRONG: 1}
    assert changed(given=other(LIVE, 4, text=None), afterwards=True) == {Fault.WRONG: 1}


LATE_EDIT = Said("e8", "two, after all", EDIT, 2)
ACKS = [(said.id, number) for number, said in enumerate(STORY, 1)]


def test_a_change_of_what_one_has_removed_is_refused_for_good():
    assert changed(story=[*STORY, LATE_EDIT], acks=ACKS, refused=["e8"]) == {}


def test_a_change_that_was_neither_acknowledged_nor_refused_was_never_answered():
    assert changed(story=[*STORY, LATE_EDIT], acks=ACKS) == {Fault.WRONG: 1}


def test_a_refusal_of_what_is_there_is_wrong():
    # It was said before the removal, and stored; and one that was not.
    assert changed(acks=[ack for ack in ACKS if ack[0] != "e4"], refused=["e4"]) == {Fault.WRONG: 2}
    early = [*STORY[:5], LATE_EDIT, *STORY[5:]]
    assert changed(story=early, acks=ACKS, refused=["e8"]) == {Fault.WRONG: 1}


def test_a_change_of_what_one_has_removed_that_was_kept_is_wrong():
    # In the log, behind the removal; acknowledged; and not shown, for it is as it was sent.
    late = Seen(7, "e8", None, "g:ann", EDIT, 2)
    story = [*STORY[:6], LATE_EDIT]
    found = changed(rows=[*ROWS[:6], late], story=story, given=[*LIVE[:6], late])
    assert found == {Fault.WRONG: 2}


def test_a_message_is_never_refused_so():
    assert changed(acks=ACKS[:6], refused=["m7"]) == {Fault.WRONG: 2}


def test_changes_that_are_stored_in_another_order_than_sent_are_out_of_order():
    story = [*STORY[:2], STORY[4], STORY[3], STORY[2], *STORY[5:]]
    assert changed(story=story, acks=ACKS) == {Fault.DISORDERED: 2}


def test_a_change_that_is_stored_as_another_is_wrong():
    story = [*STORY[:2], Said("e3", "one, edited", EDIT, 2), *STORY[3:]]
    assert changed(story=story) == {Fault.WRONG: 1}


def test_changes_that_had_come_with_their_message_are_counted():
    assert Screen.of(Run("e1", 0, LIVE)).known == 0
    assert Screen.of(Run("e1", 0, ROWS)).known == 4
    assert Screen.of(Run("e1", 0, ROWS)).texts == Screen.of(Run("e1", 0, LIVE)).texts


def test_the_verdict_names_who_is_shown_and_gone_and_who_is_there_and_not_shown():
    found = list(judge_here("wide 1", {"notes/1": {"ann", "bob"}}, {"notes/1": {"bob", "cem"}}))
    assert [(finding.fault, finding.sentence) for finding in found] == [
        (Fault.HERE, "notes/1: wide 1 is shown ann, who is not there"),
        (Fault.HERE, "notes/1: wide 1 is not shown cem, who is there"),
    ]


def test_who_shows_whoever_is_there_is_no_finding():
    assert not list(judge_here("wide 1", {"notes/1": {"ann"}}, {"notes/1": {"ann"}, "notes/2": {"bob"}}))
