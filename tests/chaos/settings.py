"""The host project of the chaos run. CHAOS_SABOTAGE takes one safety out (sabotage.py)."""

from host.settings import *  # noqa: F403
from host.settings import CHANNEL_LAYERS, DJANGO_ROOMS, INSTALLED_APPS, LOGGING, MIDDLEWARE

ROOT_URLCONF = "chaos.urls"
INSTALLED_APPS = [*INSTALLED_APPS, "chaos.apps.ChaosConfig"]

# Not the one that is sync alone. Where a view runs under such a middleware while daphne ends, both may wait for each
# other for ever, in a project without rooms too: the view's thread for a loop that has stopped, the process for the
# thread.
MIDDLEWARE = [name for name in MIDDLEWARE if name != "host.policy.strict_content"]

# Tails that a stopped reader falls out of within seconds, and a lease that a stopped server loses; all else is as it is
# shipped.
DJANGO_ROOMS = {**DJANGO_ROOMS, "MEMORY_BYTES": 256 * 1024, "LEASE": 5.0, "GRACE": 2.0}

if "RedisChannelLayer" in CHANNEL_LAYERS.get("default", {}).get("BACKEND", ""):
    # Of the doorbells that come before a process has taken the last one, none arrives.
    CHANNEL_LAYERS["default"]["CONFIG"]["capacity"] = 1

# The paths that are counted are told at DEBUG.
LOGGING = {
    **LOGGING,
    "formatters": {"plain": {"format": "{levelname} {asctime} {name}: {message}", "style": "{"}},
    "loggers": {**LOGGING["loggers"], "django_rooms": {"level": "DEBUG"}},
}
