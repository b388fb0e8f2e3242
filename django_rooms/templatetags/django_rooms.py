"""``{% load django_rooms %}{% room "lobby" %}``: a live room in any page."""

from typing import Any, cast

from django import template
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.template.context import Context
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from django_rooms import sections
from django_rooms.protocol.frames import DEFAULT_HISTORY, MAX_HISTORY
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
