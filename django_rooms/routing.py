"""WebSocket routes for the host's ``URLRouter``. Importing this touches no model.

URLRouter([*websocket_urlpatterns, *my_own_urlpatterns, not_found])
"""

from typing import Any

from django.urls import path, re_path

from django_rooms.consumers import NotFoundConsumer, RoomConsumer

# Django's path() is typed for views; Channels' URLRouter takes ASGI applications in their place.
_room: Any = RoomConsumer.as_asgi()
_not_found: Any = NotFoundConsumer.as_asgi()

websocket_urlpatterns = [
    path("ws/rooms/", _room, name="rooms"),
    path("ws/rooms/<path:room>/", _room, name="room"),
]

#: Answers on every other path. It has to be the last one.
not_found = re_path(r"", _not_found, name="not_found")
