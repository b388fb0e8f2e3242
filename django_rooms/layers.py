"""The project's channel layer, if it has one."""

from channels.layers import BaseChannelLayer, InMemoryChannelLayer, get_channel_layer

from django_rooms.conf import settings


def layer() -> BaseChannelLayer | None:
    return get_channel_layer(settings.CHANNEL_LAYER)


def reaches_other_processes() -> bool:
    found = layer()
    return found is not None and not isinstance(found, InMemoryChannelLayer)
