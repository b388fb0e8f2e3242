"""The tutorial's asgi.py, once for each of the three consumers, and once for the loop that needs none of it."""

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from django.urls import re_path

# It loads the apps, so that the consumers may import a model.
django_asgi_app = get_asgi_application()

import bare as loop  # noqa: E402
from tutorial.consumers import ChatConsumer, HistoryConsumer, SavingConsumer  # noqa: E402


def application_of(consumer):
    return stack_around(re_path(r"ws/chat/(?P<room_name>\w+)/$", consumer.as_asgi()))


def stack_around(pattern):
    websocket_urlpatterns = [pattern]
    return ProtocolTypeRouter(
        {
            "http": django_asgi_app,
            "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
        }
    )


tutorial = application_of(ChatConsumer)
saves = application_of(SavingConsumer)
history = application_of(HistoryConsumer)
bare = stack_around(re_path(r"", loop.application))
