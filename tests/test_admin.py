"""The admin: who is where, and how to put somebody out."""

import pytest
from asgiref.sync import sync_to_async
from communicating import client as connected
from communicating import one_loop
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from registering import replace_registrations

from django_rooms import get_room
from django_rooms.models import Lease, Member, Presence
from django_rooms.people import Guest

pytestmark = pytest.mark.django_db

LIST = reverse("admin:django_rooms_member_changelist")
LIVE = {"X-Rooms-Live": "1"}


@pytest.fixture
def staff(client):
    """``staff("view_member", …)``: the client of somebody who may do that."""

    def logged_in(*may):
        user = User.objects.create_user("boss", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=may))
        client.force_login(user)
        return client

    return logged_in


@pytest.fixture
def boss(staff):
    return staff("view_member", "delete_member")


@pytest.fixture
def ann():
    return User.objects.create_user("ann", first_name="Ann")


def people(page):
    return [member.person_name for member in page.context["cl"].result_list]


def disconnect(boss, *members, **options):
    chosen = {"action": "disconnect", "index": 0, "_selected_action": [member.pk for member in members]}
    return boss.post(LIST, chosen, **options)


def test_who_may_not_see_members_sees_no_list(staff):
    assert staff("view_roomlog").get(LIST).status_code == 403


def test_a_person_in_two_rooms_is_listed_in_both_once(boss, enter, ann):
    for room in ("lobby", "notes/a", "lobby"):
        enter(room, ann)

    page = boss.get(LIST)

    rows = [(row.room_name, row.connections) for row in page.context["cl"].result_list]
    assert rows == [("lobby", 2), ("notes/a", 1)]
    assert "Ann</a>" in page.content.decode()


def test_a_guest_is_marked_as_one(boss, enter):
    enter("lobby", Guest("g1", "Bob"))
    assert "Bob (guest)</a>" in boss.get(LIST).content.decode()


@pytest.mark.parametrize(("words", "found"), [("lobby", ["Ann"]), ("bob", ["Bob"]), ("g1", ["Bob"]), ("g", [])])
def test_the_list_is_searched_by_room_by_name_and_by_key(boss, enter, ann, words, found):
    enter("lobby", ann)
    enter("notes/a", Guest("g1", "Bob"))
    assert people(boss.get(LIST, {"q": words})) == found


def test_who_has_left_is_listed_for_as_long_as_they_may_come_back(boss, enter, ann):
    connection = enter("lobby", ann)
    connection.leave(grace=60.0)
    assert "none any more" in boss.get(LIST).content.decode()

    Presence.objects.update(leaving=0)

    assert Member.objects.exists()
    assert people(boss.get(LIST)) == []


def test_whose_server_is_dead_is_not_listed(boss, enter, ann):
    enter("lobby", ann)
    Lease.objects.update(expires_at=0)
    assert people(boss.get(LIST)) == []


def test_what_is_told_of_somebody_can_be_looked_at_and_not_changed(staff, enter, ann):
    boss = staff("view_member", "change_member", "delete_member", "add_member")
    enter("lobby", ann)
    member = Member.objects.get()
    address = reverse("admin:django_rooms_member_change", args=[member.pk])

    assert member.person_key in boss.get(address).content.decode()
    assert boss.post(address, {"person_name": "Eve"}).status_code == 403
    assert boss.post(reverse("admin:django_rooms_member_delete", args=[member.pk]), {"post": "yes"}).status_code == 403
    assert boss.get(reverse("admin:django_rooms_member_add")).status_code == 403


def test_the_list_itself_comes_alone_and_leaves_messages_to_pages(boss, enter, ann):
    enter("lobby", ann)
    disconnect(boss)  # Of nobody: the admin says so on the next page.

    part = boss.get(LIST, headers=LIVE).content.decode()
    page = boss.get(LIST).content.decode()

    assert "Ann</a>" in part
    assert "In this list: 1" in part
    assert "<body" not in part
    assert "Items must be selected" not in part
    assert "Items must be selected" in page


def test_a_row_more_costs_no_query_more(boss, enter, ann, django_assert_num_queries):
    enter("lobby", ann)
    with CaptureQueriesContext(connection) as one:
        boss.get(LIST, headers=LIVE)
    enter("lobby", Guest("g1", "Bob"))
    enter("notes/a", ann)
    with django_assert_num_queries(len(one)):
        boss.get(LIST, headers=LIVE)


@one_loop
async def test_who_may_delete_members_puts_them_out_of_one_room_and_that_is_logged(boss, ann):
    async with connected(user=ann) as socket:
        for room in ("lobby", "notes/a"):
            await socket.ask("join", room=room)
        chosen = await Member.objects.aget(room_name="lobby")

        page = await sync_to_async(disconnect)(boss, chosen, follow=True)

        left = await socket.receive("left")
        assert (left["room"], left["code"], left["rejoin"]) == ("lobby", "disconnected", False)
        assert (await socket.ask("publish", room="notes/a", id="1", body={"text": "hi"}))["type"] == "ok"
    assert "1 person was disconnected." in page.content.decode()
    logged = await LogEntry.objects.aget()
    assert (logged.object_id, logged.object_repr) == (str(chosen.pk), "Ann (lobby)")
    assert logged.get_change_message() == "Disconnected from the room."


@one_loop
async def test_who_is_in_a_room_that_no_pattern_has_any_more_is_put_out_too(boss, ann, monkeypatch):
    async with connected(user=ann) as socket:
        await socket.ask("join", room="lobby")
        replace_registrations(monkeypatch)

        await sync_to_async(disconnect)(boss, await Member.objects.aget())

        assert (await socket.receive("left"))["code"] == "disconnected"


def test_who_is_in_a_room_that_no_pattern_has_any_more_is_listed(boss, enter, ann, monkeypatch):
    enter("lobby", ann)
    replace_registrations(monkeypatch)
    assert people(boss.get(LIST)) == ["Ann"]


def test_who_has_left_meanwhile_is_not_said_to_be_disconnected(boss, enter, ann):
    enter("lobby", ann).leave(grace=60.0)

    page = disconnect(boss, Member.objects.get(), follow=True)

    assert "they had left already" in page.content.decode()
    assert not LogEntry.objects.exists()


def test_who_may_only_see_members_disconnects_nobody(staff, enter, ann):
    boss = staff("view_member", "change_member")
    enter("lobby", ann)

    page = disconnect(boss, Member.objects.get(), follow=True)

    assert "disconnect" not in page.content.decode().lower()
    assert not Presence.objects.filter(expelled=True).exists()


def test_a_room_classs_own_way_to_disconnect_is_the_one_that_is_taken(boss, enter, ann, monkeypatch):
    asked = []
    monkeypatch.setattr(type(get_room("lobby")), "disconnect", lambda room, who: asked.append((room.name, who.name)))
    enter("lobby", ann)
    disconnect(boss, Member.objects.get())
    assert asked == [("lobby", "Ann")]
