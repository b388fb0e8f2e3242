"""Which room class a name belongs to, and how a project's rooms.py are found."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from registering import replace_registrations

from django_rooms import PublicRoom, Room, SignedInRoom, get_room, register
from django_rooms import registry as registry_module
from django_rooms.names import BadName
from django_rooms.registry import UnknownRoom, registrations, unregister

TESTS = Path(__file__).resolve().parent


@pytest.fixture
def registry(monkeypatch):
    """No room is registered, and what is registered here is forgotten again."""
    replace_registrations(monkeypatch)
    for room_class in (PublicRoom, SignedInRoom):
        monkeypatch.setattr(room_class, "patterns", ())


def register_in(module, pattern, room_class):
    """As if it were written in that module."""
    exec("register(pattern, room_class)", {"__name__": module, "register": register, **locals()})


def test_an_apps_rooms_are_found_as_its_admin_is():
    assert type(get_room("lobby")) is PublicRoom
    assert {"lobby", "orders/<int:pk>"} <= {registration.pattern.route for registration in registrations()}


def test_a_room_knows_its_name_and_the_values_in_it():
    room = get_room("orders/42")
    assert (room.name, room.kwargs) == ("orders/42", {"pk": 42})
    assert repr(room) == "<OrderRoom: orders/42>"


def test_the_decorator_returns_the_class(registry):
    @register("orders/<int:pk>")
    class OrderRoom(Room):
        pass

    assert isinstance(get_room("orders/1"), OrderRoom)
    assert OrderRoom(pk=1).name == "orders/1"


def test_a_class_may_have_several_patterns(registry):
    register("lobby", PublicRoom)
    register("notes/<path:name>", PublicRoom)
    assert PublicRoom().name == "lobby"
    assert PublicRoom(name="a/b").name == "notes/a/b"


def test_a_pattern_of_a_class_is_not_its_childrens(registry):
    @register("a/<int:n>")
    class Parent(Room):
        pass

    @register("b/<int:n>")
    class Child(Parent):
        pass

    assert (Parent(n=1).name, Child(n=1).name) == ("a/1", "b/1")


def test_the_first_registered_pattern_that_matches_wins(registry):
    register("<slug:name>", SignedInRoom)
    register("lobby", PublicRoom)
    assert type(get_room("lobby")) is SignedInRoom


def test_the_values_make_the_name_that_the_registry_finds_again(registry):
    @register("orders/<int:pk>")
    class OrderRoom(Room):
        pass

    room = OrderRoom(pk="42")
    assert (room.name, room.kwargs) == ("orders/42", {"pk": 42})
    assert get_room(room.name).kwargs == room.kwargs
    with pytest.raises(BadName):
        OrderRoom(pk="042")


@pytest.mark.parametrize("name", ["orders/042", "orders/x", "orders/", "nothing", "Lobby", "lobby/x"])
def test_a_name_that_nothing_matches_is_unknown(name):
    with pytest.raises((UnknownRoom, BadName)) as error:
        get_room(name)
    assert repr(name) in str(error.value)


@pytest.mark.parametrize("name", ["", "a//b", "lobby\n", "x" * 10_000, None])
def test_a_bad_name_is_no_rooms(name):
    with pytest.raises(BadName):
        get_room(name)


def test_values_that_no_pattern_takes_make_no_room():
    from host.rooms import OrderRoom

    with pytest.raises(BadName, match=r"OrderRoom \('orders/<int:pk>'\).*\{'id': 42\}"):
        OrderRoom(id=42)


def test_a_class_that_is_not_registered_makes_no_room():
    class LooseRoom(Room):
        pass

    with pytest.raises(BadName, match="not registered"):
        LooseRoom()


def test_values_that_make_a_name_that_may_not_be_are_refused(registry):
    register("notes/<path:name>", PublicRoom)
    with pytest.raises(BadName):
        PublicRoom(name="a//b")


def test_an_unknown_room_tells_nobody_which_rooms_there_are():
    with pytest.raises(UnknownRoom) as error:
        get_room("nothing")
    assert str(error.value) == "There is no room 'nothing'."


def test_an_unknown_room_teaches_under_debug():
    with override_settings(DEBUG=True), pytest.raises(UnknownRoom) as error:
        get_room("nothing")
    text = str(error.value)
    assert "'orders/<int:pk>'" in text
    assert 'register("lobby", PublicRoom)' in text


def test_an_unknown_room_teaches_also_where_nothing_is_registered(registry):
    with override_settings(DEBUG=True), pytest.raises(UnknownRoom, match="none yet"):
        get_room("lobby")


def test_one_pattern_in_two_modules_is_an_error_that_names_both(registry):
    register_in("shop.rooms", "lobby", PublicRoom)
    with pytest.raises(ImproperlyConfigured, match=r"'lobby'.*shop\.rooms.*forum\.rooms"):
        register_in("forum.rooms", "lobby", SignedInRoom)
    assert type(get_room("lobby")) is PublicRoom


def test_a_pattern_can_be_taken_over_from_another_app(registry):
    register_in("shop.rooms", "lobby", PublicRoom)
    unregister("lobby")
    register_in("forum.rooms", "lobby", SignedInRoom)
    assert type(get_room("lobby")) is SignedInRoom
    with pytest.raises(BadName):
        PublicRoom()


@pytest.mark.parametrize("odd", [object, "PublicRoom", PublicRoom.can_join, 5])
def test_only_a_room_class_can_be_registered(registry, odd):
    with pytest.raises(ImproperlyConfigured, match=r"subclass of django_rooms\.Room"):
        register("lobby", odd)


def test_a_pattern_that_cannot_be_read_is_an_error_where_it_is_registered(registry):
    with pytest.raises(ImproperlyConfigured):
        register("orders/<number:pk>", PublicRoom)
    assert list(registrations()) == []


# Starting a project, in a process of its own.

START = """
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_rooms", "shop", "forum"],
    DJANGO_ROOMS=%r,
)
django.setup()
from django_rooms.registry import registrations
print([registration.pattern.route for registration in registrations()])
"""


def start(folder, rooms, **files):
    """A project of two apps, each with the rooms.py that is given; what its start printed."""
    for app, text in files.items():
        (folder / app).mkdir()
        (folder / app / "__init__.py").touch()
        (folder / app / "rooms.py").write_text(text)
    package = Path(registry_module.__file__).resolve().parents[1]
    return subprocess.run(
        [sys.executable, "-c", START % rooms],
        cwd=folder,
        env={"PYTHONPATH": f"{folder}:{package}"},
        capture_output=True,
        text=True,
        timeout=60,
    )


ONE = 'from django_rooms import PublicRoom, register\nregister("lobby", PublicRoom)\n'
OTHER = 'from django_rooms import SignedInRoom, register\nregister("members", SignedInRoom)\n'


def test_the_rooms_of_every_app_are_found_at_start(tmp_path):
    assert start(tmp_path, {}, shop=ONE, forum=OTHER).stdout == "['lobby', 'members']\n"


def test_two_apps_with_one_pattern_do_not_start_and_are_both_named(tmp_path):
    started = start(tmp_path, {}, shop=ONE, forum=ONE)
    assert started.returncode != 0
    assert "The rooms 'lobby' are registered twice, in shop.rooms and in forum.rooms." in started.stderr


def test_autodiscovery_can_be_turned_off(tmp_path):
    assert start(tmp_path, {"AUTODISCOVER": False}, shop=ONE, forum="a syntax error").stdout == "[]\n"
