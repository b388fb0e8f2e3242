"""What the settings of both Django projects have in common: the same for ours and for the tutorial's.

DEBUG is off, and there is no site beside the sockets. benchmarks/site.py sets the two variables.
"""

import json
import os

SECRET_KEY = "only-for-the-bench-of-django-rooms"  # noqa: S105
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "channels",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
]

DATABASES = {"default": json.loads(os.environ["BENCH_DATABASE"])}
CHANNEL_LAYERS = json.loads(os.environ["BENCH_LAYERS"])
