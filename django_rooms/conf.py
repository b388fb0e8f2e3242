"""The ``DJANGO_ROOMS`` dictionary of a project's settings, read when it is asked for and never at import."""

from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed

DEFAULTS: dict[str, Any] = {
    # The alias of the database that holds the rooms. Always the writing one: a replica is behind.
    "DATABASE": "default",
    # The alias of the channel layer that rings the other processes.
    "CHANNEL_LAYER": "default",
    # Where the browser finds the WebSocket. Change it with the prefix under which the routes are nested.
    "WEBSOCKET_PATH": "/ws/rooms/",
    # Import each installed app's rooms.py at start.
    "AUTODISCOVER": True,
    # Dotted path of a callable: user -> Author, what others see of somebody.
    "SHOW_USER": "django_rooms.people.show_user",
    # The largest WebSocket message from a client, and the largest body of an entry, in bytes of UTF-8.
    "FRAME_BYTES": 64 * 1024,
    "BODY_BYTES": 32 * 1024,
    # Seconds between looks at the heads of the followed rooms: how late a lost doorbell makes an entry.
    "LOOK": 2.0,
    # Bytes of encoded entries that one process keeps, at four a character: half of them for the tails of its feeds,
    # half for what it has read of logs for those who come back.
    "MEMORY_BYTES": 64 * 1024 * 1024,
    # Seconds for which the people of a server process that gives no sign of life still count as here.
    "LEASE": 30.0,
    # Seconds after which somebody whose last connection ended has left: a reload is no leave.
    "GRACE": 10.0,
}


class RoomSettings:
    """``settings.LOOK`` is the project's value, or the default."""

    DATABASE: str
    CHANNEL_LAYER: str
    WEBSOCKET_PATH: str
    AUTODISCOVER: bool
    SHOW_USER: str
    FRAME_BYTES: int
    BODY_BYTES: int
    LOOK: float
    MEMORY_BYTES: int
    LEASE: float
    GRACE: float

    def __getattr__(self, name: str) -> Any:
        if name not in DEFAULTS:
            raise AttributeError(f"DJANGO_ROOMS has no setting {name!r}; it has {', '.join(DEFAULTS)}.")
        given = self.given()
        # What is no dictionary is told by checks.py, which runs after much has asked for a setting.
        value = given.get(name, DEFAULTS[name]) if isinstance(given, dict) else DEFAULTS[name]
        self.__dict__[name] = value
        return value

    @staticmethod
    def given() -> Any:
        """What the project wrote, as it wrote it."""
        return getattr(django_settings, "DJANGO_ROOMS", {})

    def forget(self, *, setting: str, **kwargs: object) -> None:
        if setting == "DJANGO_ROOMS":
            self.__dict__.clear()


settings = RoomSettings()
setting_changed.connect(settings.forget, dispatch_uid="django_rooms.conf")
