"""Rooms and what was said in them, to look at. What is written goes through a room's handle, which keeps the order."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from django_rooms.models import Entry, RoomLog


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
