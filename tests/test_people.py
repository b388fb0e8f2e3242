"""Who somebody is: to the log, to others in the room, and to the session that remembers a guest."""

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.exceptions import ValidationError
from django.test import RequestFactory, override_settings
from django.utils import translation

from django_rooms.people import (
    MAX_GUEST_NAME,
    Guest,
    check_guest_name,
    checked,
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


def test_a_guest_has_one_name_on_pages_in_their_language_and_on_sockets():
    session = SessionStore()
    with translation.override("de"):
        guest = person_of(request_of(session=session))
    assert guest.name.startswith("Gast ")
    assert person_in({"session": session}).name == guest.name


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
        ("\u3164", "characters"),
        ("a\u3164b", "characters"),
        ("a\uffa0b", "characters"),
        ("a\u115fb", "characters"),
        ("a\u034fb", "characters"),
        ("a\u17b4b", "characters"),
        ("a\u180eb", "characters"),
        ("a\u2800b", "characters"),
        ("a\ufe0fb", "characters"),
        ("@", "characters"),
        ("ann@example.org", "characters"),
        ("ann＠example.org", "characters"),
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


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["Anna Maria Lee", "anna maria lee", "ANNA  MARIA LEE", "Ａnna Maria Lee"])
@pytest.mark.parametrize(
    ("first_name", "last_name"),
    [("Anna", "Maria Lee"), ("Anna Maria", "Lee"), ("Anna Maria Lee", ""), ("", "Anna Maria Lee")],
)
def test_a_guest_cannot_take_a_users_full_name(name, first_name, last_name):
    User.objects.create_user("ann", first_name=first_name, last_name=last_name)
    with pytest.raises(ValidationError) as error:
        check_guest_name(name)
    assert error.value.code == "taken"


@pytest.mark.django_db
def test_a_part_of_a_full_name_is_free():
    User.objects.create_user("ann", first_name="Anna", last_name="Lee")
    assert [check_guest_name(name) for name in ("Anna", "Lee", "Lee Anna")] == ["Anna", "Lee", "Lee Anna"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["иван", "Иван", "ИВАН"])
@pytest.mark.parametrize("taken", ["иван", "Иван", "ИВАН"])
def test_a_guest_cannot_take_a_users_name_in_another_case_of_any_script(name, taken):
    """SQLite's own comparison without case knows ASCII alone."""
    User.objects.create_user(taken)
    with pytest.raises(ValidationError) as error:
        check_guest_name(name)
    assert error.value.code == "taken"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["Иван Петров", "иван петров", "ИВАН ПЕТРОВ"])
def test_a_guest_cannot_take_a_full_name_in_another_case_of_any_script(name):
    User.objects.create_user("ivan", first_name="Иван", last_name="Петров")
    with pytest.raises(ValidationError) as error:
        check_guest_name(name)
    assert error.value.code == "taken"


@pytest.mark.django_db
def test_a_name_with_an_at_sign_tells_nothing_of_who_has_an_account():
    User.objects.create_user("ann@example.org")
    codes = set()
    for name in ("ann@example.org", "nobody@example.org"):
        with pytest.raises(ValidationError) as error:
            check_guest_name(name)
        codes.add((error.value.code, error.value.message))
    assert len(codes) == 1


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


def test_a_user_is_never_shown_under_the_key_of_a_guest():
    with override_settings(DJANGO_ROOMS={"SHOW_USER": f"{__name__}.show_greta"}):
        with pytest.raises(ValueError, match=r"'greta'.*guests'"):
            show(ann())
        assert show(Guest("g1")).key == "greta"


@pytest.mark.parametrize(
    "author", [Author("u\0", "Ann"), Author("u1", "A\0"), Author("u\ud83d", "Ann"), Author("u1", "\udc4b")], ids=ascii
)
def test_an_author_that_cannot_be_stored_is_a_value_error(author):
    with pytest.raises(ValueError, match=r"U\+0000|surrogate"):
        checked(author)


def test_a_key_that_is_too_long_is_a_value_error():
    with pytest.raises(ValueError, match="at most 64 characters; this one has 65"):
        checked(Author("u" * 65, "Ann"))


def test_an_author_without_a_key_is_refused():
    """The log would keep the name and show nobody."""
    with pytest.raises(ValueError, match="that of 'Bot' is empty"):
        checked(Author("", "Bot"))


def show_greta(user):
    return Author("greta", "Greta")


def show_nickname(user):
    return Author(f"nick-{user.username}", "Nick")
