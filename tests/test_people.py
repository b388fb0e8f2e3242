"""Who somebody is: to the log, to others in the room, and to the session that remembers a guest."""

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.exceptions import ValidationError
from django.test import RequestFactory, override_settings

from django_rooms.people import (
    MAX_GUEST_NAME,
    Guest,
    check_guest_name,
    name_guest,
    person_in,
    person_of,
    sender_of,
    show,
)
from django_rooms.protocol.entries import Author


def ann(**fields):
    return User(pk=7, username="ann", **fields)


def request_of(user=None, session=None):
    request = RequestFactory().get("/")
    request.user = user or AnonymousUser()
    request.session = SessionStore() if session is None else session
    return request


def test_a_user_is_the_person_of_their_request():
    user = ann()
    assert person_of(request_of(user)) is user


def test_a_guest_is_the_same_for_as_long_as_the_session():
    session = SessionStore()
    first = person_of(request_of(session=session))
    assert isinstance(first, Guest)
    assert person_of(request_of(session=session)) == first
    assert person_of(request_of()) != first


def test_a_guest_is_nobody_to_the_rest_of_django():
    guest = person_of(request_of())
    assert not guest.is_authenticated
    assert guest.is_anonymous
    assert not guest.has_perm("auth.add_user")
    assert str(guest) == guest.name


def test_a_request_without_a_session_is_a_guest_whom_nothing_remembers():
    request = RequestFactory().get("/")
    assert person_of(request) != person_of(request)


def test_a_socket_knows_the_guest_of_its_session():
    session = SessionStore()
    guest = person_of(request_of(session=session))
    assert person_in({"session": session, "user": AnonymousUser()}) == guest


def test_a_socket_without_a_session_is_a_guest_for_itself():
    assert isinstance(person_in({}), Guest)


def test_a_socket_knows_the_user_of_its_session():
    user = ann()
    assert person_in({"user": user, "session": SessionStore()}) is user


@pytest.mark.django_db
def test_a_guest_chooses_a_name_and_keeps_the_key():
    session = SessionStore()
    before = person_of(request_of(session=session))
    named = name_guest(request_of(session=session), "  Zoë\t the   Great ")
    assert (named.name, named.key) == ("Zoë the Great", before.key)
    assert person_of(request_of(session=session)).name == "Zoë the Great"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["Zoë", "Ли", "山田", "O'Neil", "x" * MAX_GUEST_NAME, "👍"])
def test_a_name_in_any_script_can_be_chosen(name):
    assert check_guest_name(name) == name


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("x" * (MAX_GUEST_NAME + 1), "long"),
        ("x" * 10_000, "long"),
        ("a\x00b", "characters"),
        ("a\u202eb", "characters"),
        ("a\u200db", "characters"),
        ("a\ud83d", "characters"),
    ],
    ids=lambda value: ascii(value)[:12],
)
def test_a_name_that_cannot_be_chosen_is_a_validation_error(name, code):
    with pytest.raises(ValidationError) as error:
        check_guest_name(name)
    assert error.value.code == code


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["ann", "Ann", " ANN ", "ａｎｎ"])
def test_a_guest_cannot_take_a_users_name(name):
    User.objects.create_user("ann")
    with pytest.raises(ValidationError) as error:
        check_guest_name(name)
    assert error.value.code == "taken"


def test_senders_are_told_apart_whatever_their_keys():
    assert sender_of(ann()) == "u:7"
    assert sender_of(Guest("u:7")) == "g:u:7"


def test_others_see_a_full_name_or_else_the_username():
    assert show(ann()).name == "ann"
    assert show(ann(first_name="Ann", last_name="Lee")).name == "Ann Lee"


def test_others_never_see_an_email_used_as_a_username():
    shown = show(User(pk=7, username="ann@example.org"))
    assert "@" not in shown.name
    assert shown.name


def test_others_see_an_opaque_key_that_stays():
    assert show(ann()).key == show(User(pk=7, username="renamed")).key
    assert show(ann()).key != show(User(pk=8, username="ann")).key
    assert not show(ann()).guest
    assert show(Guest("g1")).guest


def test_a_name_too_long_for_the_log_is_cut():
    shown = show(ann(first_name="A" * 150, last_name="B" * 150))
    assert shown.name == "A" * 150


def test_a_project_can_say_what_others_see():
    with override_settings(DJANGO_ROOMS={"SHOW_USER": f"{__name__}.show_nickname"}):
        assert show(ann()) == Author("nick-ann", "Nick")


def show_nickname(user):
    return Author(f"nick-{user.username}", "Nick")
