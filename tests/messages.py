"""What is in one WebSocket message: a frame, or an array of them."""

import json


def frames_of(text, **options):
    value = json.loads(text, **options)
    return value if isinstance(value, list) else [value]
