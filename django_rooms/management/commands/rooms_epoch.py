"""``manage.py rooms_epoch --renew``: after a restore, everybody starts over."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_rooms.log import store
from django_rooms.models import RoomLog, rows
from django_rooms.names import BadName, room_key


class Command(BaseCommand):
    help = (
        "List the epochs of the rooms' logs, or --renew them. Renew them right after the database was restored from a "
        "backup, or has failed over with a loss, and before people come back: offsets that were lost are given again, "
        "and only by another epoch a client knows that they are not the ones it has seen. No entry is touched."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("rooms", nargs="*", metavar="ROOM", help="Only these rooms; all, if left out.")
        parser.add_argument("--renew", action="store_true", help="Give them another epoch: every client starts over.")

    def handle(self, *args: Any, **options: Any) -> None:
        logs = rows(RoomLog).order_by("name")
        if options["rooms"]:
            names = {self._key(name): name for name in options["rooms"]}
            logs = logs.filter(key__in=names)
            if unknown := names.keys() - set(logs.values_list("key", flat=True)):
                raise CommandError(f"There is no log of {', '.join(sorted(repr(names[key]) for key in unknown))}.")
        if options["renew"]:
            self.stdout.write(f"Rooms with another epoch, whose clients start over: {store.renew_all(logs)}.")
            return
        if not logs.exists():
            self.stdout.write("No room has a log yet.")
        for room in logs.iterator():
            self.stdout.write(f"{room.name}: {room.epoch}, offsets {room.floor + 1} to {room.last_offset}")

    def _key(self, name: str) -> UUID:
        try:
            return room_key(name)
        except BadName as error:
            raise CommandError(str(error)) from None
