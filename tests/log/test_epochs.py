"""After a restore everybody starts over: another epoch says that offsets are not the ones that were seen."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from django_rooms import get_room
from django_rooms.log import pages, store
from django_rooms.models import RoomLog

pytestmark = pytest.mark.django_db


@pytest.fixture
def rooms():
    for name in ("lobby", "notes/x"):
        for _ in range(3):
            get_room(name).publish({})
    return epochs()


def epochs():
    return dict(RoomLog.objects.values_list("name", "epoch"))


def command(*args):
    out = StringIO()
    call_command("rooms_epoch", *args, stdout=out)
    return out.getvalue().splitlines()


def test_it_lists_them(rooms):
    assert command() == [f"{name}: {epoch}, offsets 1 to 3" for name, epoch in rooms.items()]
    assert epochs() == rooms


def test_there_may_be_none():
    assert command() == ["No room has a log yet."]


def test_all_are_renewed_and_no_entry_is_touched(rooms):
    positions = [get_room(name).page().position for name in rooms]
    before = pages.after("lobby", 0).texts
    assert command("--renew") == ["Rooms with another epoch, whose clients start over: 2."]
    assert not set(epochs().values()) & set(rooms.values())
    assert pages.after("lobby", 0).texts == before
    assert not any(pages.after("lobby", position.offset).recovers(position) for position in positions)


def test_only_those_that_are_named(rooms):
    command("lobby", "--renew")
    assert epochs()["lobby"] != rooms["lobby"]
    assert epochs()["notes/x"] == rooms["notes/x"]


@pytest.mark.parametrize(("name", "why"), [("nowhere", "no log of 'nowhere'"), ("a//b", "no empty")])
def test_a_room_that_has_no_log_is_refused_in_words(rooms, name, why):
    with pytest.raises(CommandError, match=why):
        command(name, "--renew")
    assert epochs() == rooms


class TestARestoredLog:
    def test_it_is_renewed_where_it_ends_below_what_was_seen(self, rooms):
        store.renew("lobby", rooms["lobby"], below=4)
        assert epochs()["lobby"] != rooms["lobby"]

    def test_it_is_not_where_it_reaches_as_far(self, rooms):
        store.renew("lobby", rooms["lobby"], below=3)
        assert epochs() == rooms

    def test_of_two_who_see_it_one_renews_it(self, rooms):
        store.renew("lobby", rooms["lobby"], below=9)
        once = epochs()
        store.renew("lobby", rooms["lobby"], below=9)
        assert epochs() == once
