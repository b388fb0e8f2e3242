"""The quick start's asgi.py; and a consumer that needs no channel of its own, with the stack around it and without."""

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from django.urls import path

from django_rooms.consumers import RoomConsumer
from django_rooms.routing import websocket_urlpatterns


class LeanConsumer(RoomConsumer):
    own_channel = False


def application_of(patterns):
    return ProtocolTypeRouter(
        {
            "http": get_asgi_application(),
            "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(patterns))),
        }
    )


application = application_of(websocket_urlpatterns)
patterns_of_lean = [path("ws/rooms/<path:room>/", LeanConsumer.as_asgi())]
lean = URLRouter(patterns_of_lean)
lean_in_stack = application_of(patterns_of_lean)
