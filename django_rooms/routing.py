"""WebSocket routes for the host's ``URLRouter``. Importing this touches no model.

    URLRouter([*websocket_urlpatterns, *my_own_urlpatterns, not_found])
"""

from django.urls import path, re_path

from django_rooms.consumers import NotFoundConsumer, RoomConsumer

websocket_urlpatterns = [
    path("ws/rooms/", RoomConsumer.as_asgi(), name="rooms"),
    path("ws/rooms/<path:room>/", RoomConsumer.as_asgi(), name="room"),
]

#: Answers on every other path. It has to be the last one.
not_found = re_path(r"", NotFoundConsumer.as_asgi(), name="not_found")
