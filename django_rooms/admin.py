"""Rooms, what was said in them, and who is there, to look at. What is written goes through a room's handle, which
keeps the order; and so does who is put out of one.
"""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import Script
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from django_rooms.models import Entry, Member, RoomLog
from django_rooms.names import BadName
from django_rooms.presence import clock, queries
from django_rooms.registry import UnknownRoom, get_room
from django_rooms.rooms import Room


class ReadOnly(admin.ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(RoomLog)
class RoomLogAdmin(ReadOnly):
    list_display = ("name", "last_offset", "last_at", "created_at")
    search_fields = ("name",)
    ordering = ("-last_at",)


@admin.register(Entry)
class EntryAdmin(ReadOnly):
    list_display = ("at", "offset", "kind", "author_name", "body")
    list_filter = ("kind", "at")
    search_fields = ("author_name", "body")
    ordering = ("-id",)
    show_full_result_count = False


@admin.register(Member)
class MemberAdmin(ReadOnly):
    """Who is here now. The page asks for its list again every few seconds (``admin.js``)."""

    list_display = ("person", "room_name", "came", "connected")
    search_fields = ("room_name", "person_name", "=person_key")
    ordering = ("room_name", "since")
    fields = ("person", "person_key", "room_name", "came", "connected", "info")
    actions = ("disconnect",)
    show_full_result_count = False

    class Media:
        js = (Script("django_rooms/admin.js", type="module"),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Not those whose time is over, or whose server is dead, and whom nobody has taken out yet."""
        return queries.everybody()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        page = super().changelist_view(request, {"title": _("Who is here"), **(extra_context or {})})
        if "X-Rooms-Live" in request.headers and isinstance(page, TemplateResponse):
            # Without the messages, which are for whoever opens a page.
            page.template_name = "django_rooms/admin_live.html"
        return page

    @admin.display(description=_("person"), ordering="person_name")
    def person(self, member: Member) -> str:
        return gettext("%(name)s (guest)") % {"name": member.person_name} if member.author.guest else member.person_name

    @admin.display(description=_("here since"), ordering="since")
    def came(self, member: Member) -> datetime:
        return clock.moment(member.since)

    @admin.display(description=_("connections"), ordering="connections")
    def connected(self, member: Any) -> str:
        return str(member.connections) if member.connections else gettext("none any more")

    def has_disconnect_permission(self, request: HttpRequest) -> bool:
        """Whoever may delete members: it takes them out of the room."""
        return request.user.has_perm("django_rooms.delete_member")

    @admin.action(description=_("Disconnect from the room"), permissions=["disconnect"])
    def disconnect(self, request: HttpRequest, members: QuerySet[Any]) -> None:
        done = [member for member in members if _disconnect(member)]
        for member in done:
            self.log_change(request, member, gettext("Disconnected from the room."))
        self.message_user(request, _said(len(done)), messages.SUCCESS if done else messages.WARNING)


def _disconnect(member: Member) -> bool:
    return _room(member.room_name).disconnect(member.author)


def _room(name: str) -> Room:
    """The room, also where no pattern has it any more: servers of before may."""
    try:
        return get_room(name)
    except (BadName, UnknownRoom):
        return Room.named(name, {})


def _said(count: int) -> str:
    if not count:
        return gettext("Nobody was disconnected: they had left already.")
    return ngettext(
        "%(count)d person was disconnected. Their pages do not come back by themselves; to keep somebody out for good, "
        "have the room refuse them.",
        "%(count)d people were disconnected. Their pages do not come back by themselves; to keep somebody out for "
        "good, have the room refuse them.",
        count,
    ) % {"count": count}
