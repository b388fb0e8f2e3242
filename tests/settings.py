"""Settings of pytest's own process: the host project on TEST_DATABASE_URL, or on SQLite in memory."""

import os

from databases import database

from host.settings import *  # noqa: F403

DATABASES = {"default": database(os.environ.get("TEST_DATABASE_URL", "sqlite://:memory:"))}
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
LOGGING = {}
