"""Which room class a name belongs to: the first registered pattern that matches, as with URLs."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import autodiscover_modules

from django_rooms.conf import settings
from django_rooms.names import check_name
from django_rooms.patterns import Pattern
from django_rooms.rooms import Room


class UnknownRoom(LookupError):
    """No registered pattern has a room of that name; ``str()`` says so in a sentence."""


@dataclass(frozen=True)
class Registration:
    pattern: Pattern
    room_class: type[Room]
    module: str


_registrations: dict[str, Registration] = {}


def register(pattern: str, room_class: type[Room] | None = None) -> Any:
    """Register a room class for the names of ``pattern``: as a decorator, or directly.

    ``pattern`` is what Django's ``path()`` takes: ``"lobby"``, ``"orders/<int:pk>"``, ``"docs/<path:name>"``. One
    pattern has one class. A class may have several patterns; the first registered one that fits names its rooms (of
    stacked decorators that is the lowest). Raises ``ImproperlyConfigured``.
    """
    module = sys._getframe(1).f_globals["__name__"]
    if room_class is not None:
        return _register(pattern, room_class, module)
    return lambda room_class: _register(pattern, room_class, module)


def _register(route: str, room_class: Any, module: str) -> Any:
    if not (isinstance(room_class, type) and issubclass(room_class, Room)):
        raise ImproperlyConfigured(f"register({route!r}) wants a subclass of django_rooms.Room, not {room_class!r}.")
    other = _registrations.get(route)
    if other is not None and (other.module, other.room_class.__qualname__) != (module, room_class.__qualname__):
        raise ImproperlyConfigured(f"The rooms {route!r} are registered twice, in {other.module} and in {module}.")
    registration = Registration(Pattern(route), room_class, module)
    registration.pattern.check()
    room_class.patterns = (*room_class.__dict__.get("patterns", ()), registration.pattern)
    _registrations[route] = registration
    _find.cache_clear()
    return room_class


def unregister(pattern: str) -> None:
    """Take a pattern out again, such as one that another app has registered."""
    registration = _registrations.pop(pattern)
    _find.cache_clear()
    room_class = registration.room_class
    room_class.patterns = tuple(other for other in room_class.patterns if other != registration.pattern)


def registrations() -> Iterator[Registration]:
    """All registrations, in the order in which names are tried against them."""
    return iter(_registrations.values())


def get_room(name: str) -> Room:
    """The room ``name``. Touches no database.

    Raises :class:`~django_rooms.names.BadName` or :class:`UnknownRoom`.
    """
    room_class, kwargs = _find(name)
    return room_class.named(name, kwargs)


@lru_cache(maxsize=10_000)
def _find(name: str) -> tuple[type[Room], dict[str, Any]]:
    check_name(name)
    for registration in registrations():
        if (kwargs := registration.pattern.match(name)) is not None:
            return registration.room_class, kwargs
    raise UnknownRoom(_explain(name))


def _explain(name: str) -> str:
    """Under DEBUG a refusal teaches; elsewhere it tells nobody which rooms a site has."""
    text = f"There is no room {name!r}."
    if not django_settings.DEBUG:
        return text
    routes = ", ".join(repr(registration.pattern.route) for registration in registrations()) or "none yet"
    return f"{text} Registered patterns: {routes}. To add one, write in a rooms.py of an installed app:\n\n{_LESSON}"


_LESSON = 'from django_rooms import PublicRoom, register\n\nregister("lobby", PublicRoom)'


def autodiscover() -> None:
    """Import each installed app's ``rooms`` module, as ``admin`` modules are found."""
    if settings.AUTODISCOVER:
        autodiscover_modules("rooms")
