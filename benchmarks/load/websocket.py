"""What a client writes on a WebSocket, as bytes, and how it reads the answer to its upgrade (RFC 6455). No I/O.

No extension is offered, so nothing is compressed. What a server writes is read in ``listeners.py``, in place.
"""

import struct
from http import HTTPStatus

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
FINAL, MASKED = 0x80, 0x80

# First bytes of frames that are not continued.
WHOLE_TEXT, WHOLE_CLOSE, WHOLE_PING = FINAL | TEXT, FINAL | CLOSE, FINAL | PING

# Lengths from here on stand in two bytes of their own, and in eight (5.2).
LENGTH_16, LENGTH_64 = 126, 127

# RFC 6455's own example (1.3). Keys and masks protect proxies and browsers' users; a load generator has neither.
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
NO_MASK = bytes(4)


class Refused(Exception):
    """The server did not upgrade; the text is how its answer begins."""


def upgrade(path, port):
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"
        f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def upgraded(data):
    """The length of the answer's head in ``data``, and 0 as long as it is not complete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    if f" {HTTPStatus.SWITCHING_PROTOCOLS.value} ".encode() not in data[:16] or ACCEPT not in data[:end]:
        raise Refused(bytes(data[:300]).decode(errors="replace"))
    return end + 4


def text_frame(text):
    return frame(TEXT, text.encode())


def frame(opcode, payload):
    """A client's: masked by four zeros, which change nothing."""
    size = len(payload)
    if size < LENGTH_16:
        return bytes((FINAL | opcode, MASKED | size)) + NO_MASK + payload
    return struct.pack("!BBH", FINAL | opcode, MASKED | LENGTH_16, size) + NO_MASK + payload


def server_frame(payload):
    """A server's text frame, which has no mask: ``feeder.py`` writes them."""
    size = len(payload)
    if size < LENGTH_16:
        return bytes((WHOLE_TEXT, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", WHOLE_TEXT, LENGTH_16, size) + payload
    return struct.pack("!BBQ", WHOLE_TEXT, LENGTH_64, size) + payload


def closed(payload):
    """The code and the reason in the payload of a close frame, as text."""
    code = int.from_bytes(payload[:2]) if len(payload) >= 2 else "no code"
    return f"{code} {payload[2:].decode(errors='replace')}".strip()
