"""Real-time rooms for Django: live, ordered, remembered and resumable.

Importing this package, its ``routing`` and its ``consumers`` touches no model, so the order of the imports in a
project's ``asgi.py`` does not matter.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from django_rooms.names import BadName, group_name

if TYPE_CHECKING:
    from django_rooms.log.appends import UnknownTarget
    from django_rooms.log.writer import Busy
    from django_rooms.registry import UnknownRoom, get_room, register
    from django_rooms.rooms import PublicRoom, Room, SignedInRoom, acount_present, count_present

__all__ = [
    "BadName",
    "Busy",
    "PublicRoom",
    "Room",
    "SignedInRoom",
    "UnknownRoom",
    "UnknownTarget",
    "acount_present",
    "count_present",
    "get_room",
    "group_name",
    "register",
]

__version__ = "0.1.0"

_HOMES = {
    "Busy": "log.writer",
    "PublicRoom": "rooms",
    "Room": "rooms",
    "SignedInRoom": "rooms",
    "UnknownRoom": "registry",
    "UnknownTarget": "log.appends",
    "acount_present": "rooms",
    "count_present": "rooms",
    "get_room": "registry",
    "register": "registry",
}


def __getattr__(name: str) -> Any:
    """These are imported when they are asked for: they need the app registry, and this module must not."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
