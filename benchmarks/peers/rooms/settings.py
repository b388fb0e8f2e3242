from project import *  # noqa: F403
from project import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_rooms", "rooms"]
ASGI_APPLICATION = "rooms.asgi.application"
ROOT_URLCONF = "rooms.urls"
