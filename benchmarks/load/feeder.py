"""A server that makes nothing: how much a crowd can take is measured against it, by `python -m benchmarks.load.feeder`.

It lets in whoever asks for an upgrade. At the first word it writes frames that were made before to all sockets in turn,
and waits only for sockets that are full.
"""

import json
import multiprocessing
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass

from benchmarks.load import websocket
from benchmarks.load.crowd import Crowd
from benchmarks.peers.dialects import Plain, text_of

ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
    + websocket.ACCEPT
    + b"\r\n\r\n"
)


@dataclass(frozen=True)
class Food:
    """How many messages each member gets, how many of them are in a frame, and how many frames in a write."""

    messages: int
    per_frame: int = 1
    per_write: int = 1

    def writes(self):
        step = self.per_frame * self.per_write
        return [self._write(range(start, min(start + step, self.messages))) for start in range(0, self.messages, step)]

    def _write(self, numbers):
        frames = [numbers[at : at + self.per_frame] for at in range(0, len(numbers), self.per_frame)]
        return b"".join(websocket.server_frame(self._payload(frame)) for frame in frames)

    def _payload(self, numbers):
        if self.per_frame == 1:
            return json.dumps({"message": text_of(numbers[0])}).encode()
        return json.dumps({"type": "entries", "room": "lobby", "entries": [_entry(n) for n in numbers]}).encode()


def _entry(number):
    """As long as those of the rooms."""
    author = {"key": "g0123456789abcdef01234", "name": "Guest 1234"}
    head = {"offset": number, "kind": "message", "id": f"0123456789ab{number}", "author": author}
    return {**head, "at": "2026-01-01T00:00:00.000Z", "body": {"text": text_of(number)}, "changed": number}


def feed(listener, members, food):
    # In place of the bench's own, which would have the child clean up after itself.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    writes = food.writes()
    sockets = [_let_in(listener) for _ in range(members)]
    sockets[0].recv(4096)
    for write in writes:
        for connection in sockets:
            connection.sendall(write)
    # The crowd goes when it has eaten.
    with suppress(ConnectionResetError):
        sockets[0].recv(4096)


def _let_in(listener):
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    asked = b""
    while not asked.endswith(b"\r\n\r\n"):
        asked += connection.recv(4096)
    connection.sendall(ANSWER)
    return connection


def ceiling(food, members=500):
    """What a crowd takes of ``food``: by the clock, and by the second of its own CPU where the feeder was slower."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        feeder = multiprocessing.get_context("fork").Process(target=feed, args=(listener, members, food))
        feeder.start()
        try:
            with Crowd([listener.getsockname()[1]], Plain()) as crowd:
                crowd.enter(["lobby"] * members)
                return _eat(crowd, food)
        finally:
            feeder.terminate()
            feeder.join()


def _eat(crowd, food):
    crowd.publish()
    began, cpu = time.perf_counter(), time.process_time()
    crowd.sent = [began] * food.messages
    while crowd.delivered < food.messages * len(crowd.members):
        crowd.turn()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    crowd.settle(receivers=len(crowd.members))
    return {
        "deliveries_per_s": crowd.delivered / seconds,
        "deliveries_per_cpu_s": crowd.delivered / cpu,
        "crowd_cpu_share": cpu / seconds,
    }


FOODS = {
    "one message a write": Food(1_000),
    "4 frames a write": Food(2_000, per_write=4),
    "64 frames a write": Food(6_400, per_write=64),
    "4 messages a frame": Food(2_000, per_frame=4),
    "64 messages a frame": Food(6_400, per_frame=64),
}

if __name__ == "__main__":
    for name, food in FOODS.items():
        taken = ceiling(food)
        print(f"{name:20}", *(f"{key} {value:,.2f}" for key, value in taken.items()))
