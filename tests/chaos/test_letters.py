"""What people say: the same for the same seed; changes of what they have said; kept until it is answered."""

from itertools import islice
from random import Random

import pytest

from chaos.evidence import EDIT, MESSAGE, REMOVAL, Said
from chaos.letters import SHARES, Aim, Letter, Outbox, letters

ROOM = "lobby"


def drawn(seed="1", number=500, **options):
    return list(islice(letters("ann", [ROOM, "attic"], Random(seed), 0.1, **options), number))


class Ann:
    """Somebody who says one thing after the other, and has an answer at once."""

    def __init__(self):
        self.outbox = Outbox("ann", ROOM)
        self.offset = 0

    def say(self, aim=Aim.MESSAGE, pick=0.0):
        said = self.outbox.add(Letter(ROOM, f"{len(self.outbox.letters.sent)}", "hi", 0.0, aim, pick))
        self.offset += 1
        self.outbox.acknowledged(said.id, self.offset)
        return said

    def about(self, aim, pick=0.0):
        said = self.say(aim, pick)
        return said.kind, said.target


@pytest.fixture
def ann():
    """She has said something at 1, 2, 3 and 4."""
    ann = Ann()
    for _ in range(4):
        ann.say()
    return ann


def test_the_same_seed_draws_the_same_letters():
    assert drawn(changes=True) == drawn(changes=True) != drawn("2", changes=True)


def test_who_does_not_change_anything_says_something_new():
    assert {letter.aim for letter in drawn()} == {Aim.MESSAGE}


def test_who_changes_what_they_have_said_does_it_in_every_way():
    assert {letter.aim for letter in drawn(number=100, changes=True)} == set(Aim) == set(SHARES)


def test_an_edit_is_of_any_message(ann):
    assert [ann.about(Aim.EDIT, pick) for pick in (0, 0.3, 0.5, 0.99)] == [(EDIT, target) for target in (1, 2, 3, 4)]


def test_one_message_is_edited_again_and_again(ann):
    ann.say(Aim.EDIT, pick=0.5)
    assert [ann.about(Aim.EDIT_AGAIN) for _ in range(3)] == [(EDIT, 3)] * 3


def test_what_was_removed_is_not_edited_like_any_other(ann):
    ann.say(Aim.EDIT, pick=0)
    assert ann.about(Aim.REMOVE, pick=0) == (REMOVAL, 1)
    assert {ann.about(Aim.EDIT, pick)[1] for pick in (0, 0.4, 0.9)} == {2, 3, 4}
    assert ann.about(Aim.EDIT_AGAIN) == (EDIT, 4)


def test_the_newest_is_removed_too(ann):
    assert [ann.about(Aim.REMOVE_NEWEST) for _ in range(2)] == [(REMOVAL, 4), (REMOVAL, 3)]


def test_what_was_removed_is_aimed_at_as_such(ann):
    ann.say(Aim.REMOVE, pick=0)
    assert ann.about(Aim.EDIT_REMOVED) == (EDIT, 1)
    assert ann.about(Aim.REMOVE_REMOVED) == (REMOVAL, 1)


def test_also_what_is_removed_just_now(ann):
    ann.outbox.add(Letter(ROOM, "removal", "", 0.0, Aim.REMOVE))
    assert ann.about(Aim.EDIT_REMOVED) == (EDIT, 1)


@pytest.mark.parametrize("aim", Aim)
def test_where_there_is_nothing_to_be_changed_it_is_a_message(aim):
    outbox = Outbox("ann", ROOM)
    assert outbox.add(Letter(ROOM, "1", "hi", 0.0, aim)) == Said("1", "hi", MESSAGE)


def test_what_has_no_answer_yet_cannot_be_changed():
    outbox = Outbox("ann", ROOM)
    outbox.add(Letter(ROOM, "1", "hi", 0.0))
    assert outbox.add(Letter(ROOM, "2", "hi", 0.0, Aim.EDIT)).target is None


def test_a_letter_waits_until_it_is_acknowledged_or_refused_for_good(ann):
    for name, aim in (("edit", Aim.EDIT), ("removal", Aim.REMOVE), ("late", Aim.EDIT_REMOVED)):
        ann.outbox.add(Letter(ROOM, name, "hi", 0.0, aim))
    assert list(ann.outbox.waiting) == ["edit", "removal", "late"]
    ann.outbox.acknowledged("edit", 5)
    ann.outbox.acknowledged("removal", 6)
    ann.outbox.refused_for_good("late")
    assert ann.outbox.waiting == {}
    assert ann.outbox.letters.refused == ["late"]
    assert [said.id for said in ann.outbox.letters.sent[4:]] == ["edit", "removal", "late"]
