"""A room's section of a page: what the server renders, and from where the browser goes on."""

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar, Literal, get_args

from django.http import HttpRequest
from django.utils.translation import gettext as _

from django_rooms.conf import settings
from django_rooms.log.pages import Page
from django_rooms.names import BadName
from django_rooms.people import person_of, show
from django_rooms.protocol.entries import Author, Entry
from django_rooms.protocol.frames import DEFAULT_HISTORY
from django_rooms.protocol.presence import Member
from django_rooms.registry import UnknownRoom, get_room
from django_rooms.rooms import Room, count_present

Keep = Literal["tab", "browser", "page"]
KEEPS: tuple[Keep, ...] = get_args(Keep)

# Messages of one person within this time stand together under one name.
TOGETHER = timedelta(minutes=5)


@dataclass(frozen=True)
class Line:
    """An entry as ``entry.html`` shows it: whether it is the reader's own, and follows one of the same person."""

    entry: Entry
    own: bool
    follows: bool

    @property
    def removed(self) -> bool:
        return self.entry.body is None

    @property
    def edited(self) -> bool:
        return not self.removed and self.entry.changed != self.entry.offset

    @property
    def editable(self) -> bool:
        """The page knows of texts alone: an edit of its would take away what else a body has."""
        return not self.removed and self.entry.body.keys() == {"text"}


@dataclass(frozen=True)
class Present:
    """Who is here, as far as the reader may know: ``members`` is ``None`` where only the number is told.

    The reader comes first, and the others by their names.
    """

    count: int
    members: list[Member] | None


@dataclass(frozen=True)
class Section:
    """A room that this person may read. ``position`` is the end of ``page``: the browser goes on exactly there."""

    template_name: ClassVar[str] = "django_rooms/room.html"
    status: ClassVar[int] = 200

    room: Room
    me: Author
    can_publish: bool
    page: Page
    history: int
    present: Present | None = None
    # For how long the browser keeps what was written and not stored yet: over reloads of this "tab", or in the
    # "browser", also when the tab is closed: there it could be read by whoever else uses the machine's account.
    keep: Keep = "tab"
    # Several sections on a page, of one room too, need ids of their own.
    id: str = field(default_factory=lambda: f"django-room-{secrets.token_hex(4)}")

    @property
    def name(self) -> str:
        return self.room.name

    @property
    def socket(self) -> str:
        return settings.WEBSOCKET_PATH

    @property
    def oldest(self) -> int:
        """History before this offset is not on the page."""
        return (self.page.entries[0].offset if self.page.entries else None) or self.page.position.offset + 1

    @cached_property
    def lines(self) -> list[Line]:
        shown = [entry for entry in self.page.entries if _is_shown(entry)]
        return [
            Line(entry, _key(entry) == self.me.key, before is not None and _together(before, entry))
            for before, entry in zip([None, *shown], shown, strict=False)
        ]


@dataclass(frozen=True)
class Refused:
    """A room that there is not, or not for this person, and why."""

    template_name: ClassVar[str] = "django_rooms/refused.html"

    name: str
    status: int
    reason: str


def section(
    request: HttpRequest, room: Room | str, history: int = DEFAULT_HISTORY, keep: Keep = "tab"
) -> Section | Refused:
    """The section of ``room`` for the person of ``request``. Asks the room's policy; a refusal is a value here."""
    if not isinstance(room, Room):
        try:
            room = get_room(room)
        except (BadName, UnknownRoom) as error:
            return Refused(str(room), 404, str(error))
    person = person_of(request)
    if not room.allows("join", person):
        return Refused(room.name, 403, _why_forbidden(room))
    me = show(person)
    return Section(
        room, me, room.allows("publish", person), room.page(history), history, _present(room, person, me), keep
    )


def members(request: HttpRequest, room: Room | str) -> list[Member]:
    """Who is here, for the person of ``request``: nobody, where they may not know it or the room tells no names."""
    if not isinstance(room, Room):
        try:
            room = get_room(room)
        except (BadName, UnknownRoom):
            return []
    person = person_of(request)
    present = _present(room, person, show(person)) if room.allows("join", person) else None
    return (present and present.members) or []


def _present(room: Room, person: Any, me: Author) -> Present | None:
    """Up to so many are told by name as the room's class says."""
    if room.presence_names is None:
        return None
    count = count_present([room])[room.name]
    named = count <= room.presence_names and room.allows("see_members", person)
    return Present(count, sorted(room.presence(), key=lambda it: _place(it, me)) if named else None)


def _place(member: Member, me: Author) -> tuple[bool, str]:
    return member.key != me.key, member.name.casefold()


def _why_forbidden(room: Room) -> str:
    return " ".join([_("You may not enter this room."), *room.lesson("join")])


def _is_shown(entry: Entry) -> bool:
    """Bodies are the host's: one without a text has nothing that this page could show. Removed ones have none."""
    return entry.kind == "message" and (entry.body is None or isinstance(entry.body.get("text"), str))


def _together(before: Entry, entry: Entry) -> bool:
    return _key(before) == _key(entry) and entry.at - before.at < TOGETHER


def _key(entry: Entry) -> str:
    return entry.author.key if entry.author else ""
