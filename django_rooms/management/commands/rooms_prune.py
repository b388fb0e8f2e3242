"""``manage.py rooms_prune``: delete what rooms no longer keep."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_rooms.models import RoomLog, rows
from django_rooms.names import BadName
from django_rooms.registry import UnknownRoom, get_room
from django_rooms.rooms import Room
from django_rooms.upkeep import pruning


class Command(BaseCommand):
    help = (
        "Delete the entries that are older than their room class's `retention`, or more than its `retention_entries`. "
        "Run it regularly; it may run at any time, and as often as you like."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("rooms", nargs="*", metavar="ROOM", help="Only these rooms; all, if left out.")
        parser.add_argument("--dry-run", action="store_true", help="Say what would be deleted, and delete nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        rooms = [self._named(name) for name in options["rooms"]] or self._all()
        total = sum(self._prune(room, dry_run=options["dry_run"]) for room in rooms)
        if options["dry_run"]:
            self.stdout.write(f"Entries that would be deleted: {total}.")
        else:
            self.stdout.write(f"Entries deleted: {total}. Ids of earlier ones forgotten: {pruning.forget_ids()}.")

    def _named(self, name: str) -> Room:
        try:
            return get_room(name)
        except (BadName, UnknownRoom) as error:
            raise CommandError(str(error)) from None

    def _all(self) -> Iterator[Room]:
        # All names are read at once: SQLite without WAL lets nobody write while one statement still reads.
        for name in list(rows(RoomLog).order_by("name").values_list("name", flat=True)):
            try:
                yield get_room(name)
            except (BadName, UnknownRoom) as error:
                self.stderr.write(f"{error} It keeps what it has.")

    def _prune(self, room: Room, *, dry_run: bool) -> int:
        floor, wanted = pruning.expired(room)
        if dry_run:
            done = wanted - floor
        else:
            done = 0
            for taken in pruning.prune(room.name, wanted):
                done += taken
                if self.stdout.isatty():
                    self.stdout.write(f"{room.name}: {done} of {wanted - floor}", ending="\r")
        if done:
            self.stdout.write(f"{room.name}: {done} {'would be ' if dry_run else ''}deleted, up to {wanted}")
        return done
