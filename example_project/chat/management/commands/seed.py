"""Makes two accounts and a few rooms with something in them. Again, it changes nothing."""

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand

from django_rooms import get_room

PEOPLE = {"ann": {"is_staff": True, "is_superuser": True}, "bob": {}}

WELCOMES = {
    "lobby": "Welcome. Guests pick a name and write at once; open a second tab and watch it arrive there.",
    "кухня": "Имя комнаты может быть на любом языке.",
    "会議室": "部屋の名前は、どの言語でもかまいません。",
    "members/news": "Only people with an account read this.",
    "desks/ann": "My desk: everybody with an account may read along, only I write here.",
}


class Command(BaseCommand):
    help = __doc__

    def handle(self, **options):
        people = {name: self.account(name, rights) for name, rights in PEOPLE.items()}
        for name, text in WELCOMES.items():
            get_room(name).publish({"text": text}, author=people["ann"], id="welcome")
        for name in people:
            self.stdout.write(f"  {name}, password {password(name)}")

    def account(self, name, rights):
        user, made = get_user_model().objects.get_or_create(username=name, defaults=rights)
        if made:
            user.set_password(password(name))
            user.save()
        return user


def password(name):
    """Known to all who read this: the demo serves on this machine alone."""
    return f"{name}-rooms"
