from contextlib import nullcontext

from django.core.management import BaseCommand
from django.db import transaction

from django_rooms import get_room


class Command(BaseCommand):
    help = "Says each of the texts in a room."

    def add_arguments(self, parser):
        parser.add_argument("room")
        parser.add_argument("texts", nargs="+")
        parser.add_argument("--atomic", action="store_true", help="all in one transaction")
        parser.add_argument("--roll-back", action="store_true", help="and that is rolled back")

    def handle(self, room, texts, **options):
        with transaction.atomic() if options["atomic"] else nullcontext():
            for text in texts:
                get_room(room).publish({"text": text})
            if options["roll_back"]:
                transaction.set_rollback(True)
