"""``{% load django_rooms %}{% room "lobby" %}``: a live room in any page; and who is in a room, for pages of a host."""

from collections.abc import Iterable
from typing import Any, cast

from django import template
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.template.context import Context
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from django_rooms import rooms as counting
from django_rooms import sections
from django_rooms.names import BadName
from django_rooms.protocol.frames import DEFAULT_HISTORY, MAX_HISTORY
from django_rooms.protocol.presence import Member
from django_rooms.rooms import Room

register = template.Library()


@register.simple_tag(takes_context=True)
def room(
    context: Context,
    room: Room | str | sections.Section | sections.Refused,
    history: int = DEFAULT_HISTORY,
    keep: sections.Keep = "tab",
) -> SafeString:
    """The room, by its name or as a ``Room``, with its newest ``history`` messages; or why it is refused.

    ``keep`` says for how long the browser keeps what was written and not stored yet: over reloads of the "tab", in the
    "browser" also when the tab is closed, or on the "page" alone.
    """
    request = _request(context, "room")
    if not isinstance(room, sections.Section | sections.Refused):
        room = sections.section(request, room, _checked(history), _kept(keep))
    return render_to_string(room.template_name, {"section": room, "assets": _claim_assets(request)}, request)


@register.simple_tag(takes_context=True)
def room_assets(context: Context) -> SafeString:
    """The style and script of rooms, for a page's head. Without it the first ``{% room %}`` brings them."""
    request = _request(context, "room_assets")
    return render_to_string("django_rooms/assets.html", {"assets": _claim_assets(request)}, request)


@register.simple_tag(takes_context=True)
def room_members(context: Context, room: Room | str) -> list[Member]:
    """Who is in the room: ``{% room_members "orders/42" as members %}``. Each has ``name``, ``key`` and ``info``.

    The page's person comes first, and the others by their names. Asks ``can_join`` and ``can_see_members`` for that
    person; empty where one says no, and in a room with more people than its class tells by name.
    """
    return sections.members(_request(context, "room_members"), _one(room, "room_members"))


@register.simple_tag
def count_present(rooms: Room | str | Iterable[Room | str]) -> int | dict[str, int]:
    """How many are in each of ``rooms``, in one query: ``{% count_present rooms as counts %}``; of one room the number.

    In a loop over the rooms, ``{{ counts|in_room:room }}``. Asks no policy: it tells how many, of rooms of your choice.
    """
    if isinstance(rooms, Room | str):
        return _counted([_one(rooms, "count_present")]).popitem()[1]
    if not isinstance(rooms, Iterable):
        raise template.TemplateSyntaxError(f"{{% count_present %}} takes a room, or several, not {rooms!r}.")
    return _counted([_one(room, "count_present") for room in rooms])


@register.filter
def in_room(counts: dict[str, int], room: Room | str) -> int:
    """Of what ``{% count_present rooms as counts %}`` counted, the number of one room."""
    name = room.name if isinstance(room, Room) else room
    if not isinstance(counts, dict) or name not in counts:
        raise template.TemplateSyntaxError(
            f"{{{{ counts|in_room:room }}}} takes what {{% count_present rooms as counts %}} counted, and one of those "
            f"rooms, not {name!r}."
        )
    return counts[name]


def _one(room: Any, tag: str) -> Room | str:
    if isinstance(room, Room) or (isinstance(room, str) and room):
        return room
    raise template.TemplateSyntaxError(f"{{% {tag} %}} takes a room by its name or as a Room, not {room!r}.")


def _counted(rooms: list[Room | str]) -> dict[str, int]:
    try:
        return counting.count_present(rooms)
    except BadName as error:
        raise template.TemplateSyntaxError(f"{{% count_present %}}: {error}") from None


def _request(context: Context, tag: str) -> HttpRequest:
    request: Any = context.get("request") or getattr(context, "request", None)
    if isinstance(request, HttpRequest):
        return request
    raise ImproperlyConfigured(
        f"{{% {tag} %}} needs to know who asks: render the template with its request, as render(request, …) does, and "
        "have 'django.template.context_processors.request' among the context_processors of TEMPLATES."
    )


def _checked(history: Any) -> int:
    if isinstance(history, int) and 1 <= history <= MAX_HISTORY:
        return history
    raise template.TemplateSyntaxError(f"{{% room %}} takes a history of 1 to {MAX_HISTORY}, not {history!r}.")


def _kept(keep: Any) -> sections.Keep:
    if keep in sections.KEEPS:
        return cast(sections.Keep, keep)
    raise template.TemplateSyntaxError(f"{{% room %}} takes a keep of {', '.join(sections.KEEPS)}, not {keep!r}.")


def _claim_assets(request: HttpRequest) -> bool:
    """True the first time only: a page needs its style and script once, however many rooms are on it."""
    first = not getattr(request, "django_rooms_assets", False)
    request.django_rooms_assets = True  # type: ignore[attr-defined]
    return first
