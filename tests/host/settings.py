"""A host project as the tests need it. SERVER_* steers server processes; tests/settings.py builds on it."""

import os

from databases import database

LAYERS = {
    "memory": "channels.layers.InMemoryChannelLayer",
    "core": "channels_redis.core.RedisChannelLayer",
    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
    "dropping": "host.layers.Dropping",
    "doubling": "host.layers.Doubling",
    "delaying": "host.layers.Delaying",
    "reordering": "host.layers.Reordering",
    "deaf-core": "host.layers.DeafCore",
    "deaf-pubsub": "host.layers.DeafPubSub",
}


def channel_layers(layer, redis_url):
    """CHANNEL_LAYERS for `none` or one of LAYERS."""
    if layer == "none":
        return {}
    config = {"hosts": [redis_url]} if layer != "memory" else {}
    return {"default": {"BACKEND": LAYERS[layer], "CONFIG": config}}


SECRET_KEY = "only-for-the-tests-of-django-rooms"
DEBUG = os.environ.get("SERVER_DEBUG") == "1"
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
ROOT_URLCONF = "host.urls"
ASGI_APPLICATION = "host.asgi.application"
USE_TZ = True
LANGUAGE_CODE = "en"
STATIC_URL = "/static/"
STATIC_ROOT = os.environ.get("SERVER_STATIC_ROOT")  # With it, static files have a hash in their names.
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "channels",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_rooms",
    "host",
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "host.policy.strict_content",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

if STATIC_ROOT:
    STORAGES = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}}

DATABASES = {"default": database(os.environ.get("SERVER_DATABASE_URL", "sqlite://:memory:"))}
DATABASES["default"]["ATOMIC_REQUESTS"] = os.environ.get("SERVER_ATOMIC_REQUESTS") == "1"
CHANNEL_LAYERS = channel_layers(os.environ.get("SERVER_LAYER", "memory"), os.environ.get("SERVER_REDIS_URL"))
SECONDS = [name for name in ("LOOK", "LEASE", "GRACE") if f"SERVER_{name}" in os.environ]
DJANGO_ROOMS = {name: float(os.environ[f"SERVER_{name}"]) for name in SECONDS}


def not_the_layers_own(record):
    """channels_redis says with tracebacks, and by tasks that nobody awaits, that Redis is gone. Tests see to that."""
    return "channels_redis" not in f"{record.name} {record.getMessage()}"


# A server process says everything on stderr, where tests/serving.py reads it. Django alone says nothing without DEBUG.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"layer": {"()": "django.utils.log.CallbackFilter", "callback": not_the_layers_own}},
    "formatters": {"plain": {"format": "{levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["layer"]}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "daphne": {"level": "INFO"},  # Says on which port it listens.
        "django_rooms": {"level": os.environ.get("SERVER_LOG", "WARNING")},
    },
}
