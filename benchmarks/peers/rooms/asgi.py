"""The quick start's asgi.py; and a consumer that needs no channel of its own, in a URLRouter and nothing else."""

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from django.urls import path

from django_rooms.consumers import RoomConsumer
from django_rooms.routing import websocket_urlpatterns


class LeanConsumer(RoomConsumer):
    own_channel = False


application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)
lean = URLRouter([path("ws/rooms/<path:room>/", LeanConsumer.as_asgi())])
