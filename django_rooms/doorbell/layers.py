"""The project's channel layer, if it has one."""

from itertools import count
from typing import Any

from channels.layers import BaseChannelLayer, InMemoryChannelLayer, get_channel_layer

from django_rooms.conf import settings


def layer() -> BaseChannelLayer | None:
    return get_channel_layer(settings.CHANNEL_LAYER)


def reaches_other_processes() -> bool:
    found = layer()
    return found is not None and not isinstance(found, InMemoryChannelLayer)


def group_of_each_shard(found: BaseChannelLayer, name: str) -> list[str]:
    """Groups that begin with ``name``, one on each shard of a layer of channels_redis; one group of any other."""
    groups: dict[int, str] = {}
    shards = _shards(found)
    for n in count():
        if len(groups) == shards:
            break
        groups.setdefault(_shard(found, f"{name}.{n}"), f"{name}.{n}")
    return list(groups.values())


# There is no public way to ask: the core layer has `ring_size` and `consistent_hash`, pub/sub has `_shards`, and hashes
# the name of the Redis channel that it makes of the group's.


def _shards(found: Any) -> int:
    return len(found._shards) if hasattr(found, "_shards") else getattr(found, "ring_size", 1)


def _shard(found: Any, group: str) -> int:
    if hasattr(found, "_shards"):
        return found._shards.index(found._get_shard(found._get_group_channel_name(group)))
    return found.consistent_hash(group) if hasattr(found, "consistent_hash") else 0
