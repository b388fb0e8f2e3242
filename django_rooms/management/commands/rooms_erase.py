"""``manage.py rooms_erase``: blank what one person said, and their name."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_rooms import people
from django_rooms.upkeep import erasing
from django_rooms.upkeep.erasing import Person


class Command(BaseCommand):
    help = (
        "Blank the messages of one person in every room, all edits of them, and the person's name, for good. "
        "Their places in the rooms stay, empty. If they are here, they are disconnected."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", nargs="?", metavar="USER", help="The username.")
        parser.add_argument(
            "--key", help="Instead: the key under which others know them, for guests and for users who are deleted."
        )
        parser.add_argument("--dry-run", action="store_true", help="Name the rooms, and erase nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        person = self._person(options["user"], options["key"])
        names = erasing.rooms_of(person)
        if options["key"] is not None and not names:
            raise CommandError(f"Nobody with the key {person.key!r} has said anything.")
        if options["dry_run"]:
            self.stdout.write("\n".join([*names, f"Rooms in which they said something: {len(names)}."]))
            return
        total = 0
        for name in names:
            done = sum(erasing.erase(name, person))
            total += done
            self.stdout.write(f"{name}: {done}")
        self.stdout.write(f"Rooms: {len(names)}. Entries that are blank now: {total}.")
        if left := erasing.disconnect(person):
            self.stdout.write(f"Rooms from which they were disconnected: {left}.")

    def _person(self, username: str | None, key: str | None) -> Person:
        if (username is None) == (key is None):
            raise CommandError("Say who: either a username, or --key and the key under which others know them.")
        if key is not None:
            return self._known_as(key, f"g:{key}")
        model = get_user_model()
        try:
            user = model._default_manager.get_by_natural_key(username)
        except model.DoesNotExist:
            raise CommandError(
                f"There is no user {username!r}. Of a deleted user the log still knows the key: use --key."
            ) from None
        return self._known_as(people.show(user).key, people.sender_of(user))

    def _known_as(self, key: str, sender: str) -> Person:
        try:
            return Person(key, sender)
        except ValueError as error:
            raise CommandError(str(error)) from None
