"""The project's channel layer, if it has one."""

from channels.layers import BaseChannelLayer, InMemoryChannelLayer, channel_layers

from django_rooms.conf import settings


def layer() -> BaseChannelLayer | None:
    alias = settings.CHANNEL_LAYER
    return channel_layers[alias] if alias in channel_layers else None


def reaches_other_processes() -> bool:
    found = layer()
    return found is not None and not isinstance(found, InMemoryChannelLayer)
