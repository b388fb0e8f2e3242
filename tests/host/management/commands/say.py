from django.core.management import BaseCommand

from django_rooms import get_room


class Command(BaseCommand):
    help = "Says each of the texts in a room."

    def add_arguments(self, parser):
        parser.add_argument("room")
        parser.add_argument("texts", nargs="+")

    def handle(self, room, texts, **options):
        for text in texts:
            get_room(room).publish({"text": text})
