"""The quick start's asgi.py, with the routing imported above get_asgi_application(), as many have it.

Beside the rooms it has the host's own consumer, and the rooms once more under a prefix.
"""

import os
from importlib import import_module

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "host.settings")

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.urls import path

from django_rooms.routing import not_found, websocket_urlpatterns
from host.consumers import AlertConsumer

rooms = URLRouter(
    [
        *websocket_urlpatterns,
        path("ws/alerts/<path:room>/", AlertConsumer.as_asgi()),
        path("nested/", URLRouter(websocket_urlpatterns)),
        not_found,
    ]
)

pages = get_asgi_application()
import_module("host.watching")

application = ProtocolTypeRouter(
    {
        "http": pages if settings.STATIC_ROOT else ASGIStaticFilesHandler(pages),
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(rooms)),
    }
)
