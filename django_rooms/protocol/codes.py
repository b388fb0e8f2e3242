"""What goes wrong, by name on the wire and by number when a socket is closed."""

from enum import IntEnum, StrEnum


class ErrorCode(StrEnum):
    BAD_JSON = "bad_json"
    BAD_FRAME = "bad_frame"
    UNKNOWN_TYPE = "unknown_type"
    TOO_LARGE = "too_large"
    BAD_NAME = "bad_name"
    UNKNOWN_ROOM = "unknown_room"
    FORBIDDEN = "forbidden"
    NOT_JOINED = "not_joined"
    BAD_BODY = "bad_body"
    BAD_ID = "bad_id"
    BAD_POSITION = "bad_position"
    TOO_MANY_ROOMS = "too_many_rooms"
    UNKNOWN_TARGET = "unknown_target"
    NOT_FOUND = "not_found"
    DISCONNECTED = "disconnected"
    # These three may be retried, after ``retry_after`` seconds.
    BUSY = "busy"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"


class CloseCode(IntEnum):
    """4000–4499: come back. 4500–4999: do not."""

    RESTART = 4001
    SLOW = 4002
    SILENT = 4003
    FAILED = 4004
    VERSION = 4500
    TOO_LARGE = 4501
    REFUSED = 4502
    FLOOD = 4503
    NOT_FOUND = 4504

    @property
    def come_back(self) -> bool:
        return self < 4500
