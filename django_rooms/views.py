"""The rooms' own pages: a list of rooms, and one page for each.

Their only path that is no room's is the empty one, which can name no room.
"""

import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from django_rooms.models import RoomLog, rows
from django_rooms.names import BadName, canonical
from django_rooms.people import name_guest, person_of, show
from django_rooms.registry import UnknownRoom, get_room, registrations
from django_rooms.rooms import count_present
from django_rooms.sections import section

MAX_LISTED = 50
# Each candidate is put to its room's policy, which may query.
MAX_ASKED = 200


@dataclass(frozen=True)
class Listed:
    name: str
    last_at: datetime | None
    # How many are there now.
    present: int = 0

    @property
    def just_now(self) -> bool:
        return self.last_at is not None and timezone.now() - self.last_at < timedelta(minutes=1)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """List the rooms; with ``?room=`` go to one; by POST give the guest a name."""
    if request.method == "POST":
        return _take_name(request)
    if "room" in request.GET:
        return _enter(request, request.GET["room"])
    return _index(request)


@never_cache
@require_safe
def room_page(request: HttpRequest, name: str) -> HttpResponse:
    """One room; or why there is none, or none for this person."""
    if not unicodedata.is_normalized("NFC", name):
        return HttpResponseRedirect(_url(request, "room", unicodedata.normalize("NFC", name)))
    shown = section(request, name)
    context = {"section": shown, "person": person_of(request), "me": show(person_of(request))}
    return render(request, "django_rooms/room_page.html", context, status=shown.status)


def _index(request: HttpRequest, status: int = 200, **context: object) -> HttpResponse:
    person = person_of(request)
    context = {"rooms": _listed(person), "person": person, "me": show(person), **context}
    return render(request, "django_rooms/index.html", context, status=status)


def _enter(request: HttpRequest, typed: str) -> HttpResponse:
    try:
        room = get_room(canonical(typed))
    except BadName as error:
        return _index(request, 400, typed=typed, room_error=str(error))
    except UnknownRoom as error:
        return _index(request, 404, typed=typed, room_error=str(error))
    return HttpResponseRedirect(_url(request, "room", room.name))


def _take_name(request: HttpRequest) -> HttpResponse:
    name = request.POST.get("name", "")
    if not person_of(request).is_authenticated:
        try:
            name_guest(request, name)
        except ValidationError as error:
            return _index(request, 400, typed_name=name, next=_next(request), name_errors=error.messages)
    return HttpResponseRedirect(_next(request))


def _next(request: HttpRequest) -> str:
    """Back to where the form was, but never to another site."""
    target = request.POST.get("next", "")
    hosts = {request.get_host()}
    if url_has_allowed_host_and_scheme(target, allowed_hosts=hosts, require_https=request.is_secure()):
        return target
    return _url(request, "index")


def _listed(person: object) -> list[Listed]:
    """The rooms that ``person`` may join: those with a log, newest first, then others with a name of their own."""
    open_to_them = (candidate for candidate in _candidates() if _may_join(candidate.name, person))
    listed = list(islice(open_to_them, MAX_LISTED))
    telling = [candidate.name for candidate in listed if get_room(candidate.name).presence_names is not None]
    counts = count_present(telling)
    return [replace(candidate, present=counts.get(candidate.name, 0)) for candidate in listed]


def _candidates() -> list[Listed]:
    newest = rows(RoomLog).order_by("-last_at")[:MAX_ASKED]
    logged = [Listed(name, last_at) for name, last_at in newest.values_list("name", "last_at")]
    names = {candidate.name for candidate in logged}
    routes = [registration.pattern.route for registration in registrations()]
    literal = [Listed(route, None) for route in routes if "<" not in route and route not in names]
    return [*logged, *literal]


def _may_join(name: str, person: object) -> bool:
    try:
        return get_room(name).allows("join", person)
    except (BadName, UnknownRoom):
        return False  # its pattern is not registered any more


def _url(request: HttpRequest, view: str, *args: str) -> str:
    """Within the namespace by which these pages were reached: a host may include them twice."""
    match = request.resolver_match
    return reverse(f"django_rooms:{view}", args=args, current_app=match.namespace if match else None)
