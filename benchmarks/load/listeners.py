"""Many clients on one epoll: they come in, and what is delivered to them is counted.

They share the machine with the server that they measure, so what happens to every delivery is written for speed: no
object is made for a frame, and nothing is looked at but the headers of the frames and how many marks are in them. A few
*observed* members read the numbers: they say how long a message took, and whether each came once and in order.
"""

import gc
import select
import socket
import struct
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.load import websocket
from benchmarks.load.websocket import LENGTH_16, WHOLE_TEXT
from benchmarks.peers.dialects import MARK, NUMBER

# Larger than any frame of any peer.
BUFFER = 1 << 20

# The seconds that a server may take for the next thing that it has to say.
PATIENCE = 10.0

# `text_of` has this byte twice, and nothing else that a peer sends has it. To count one byte costs a third of counting
# the two of MARK.
TILDE = MARK[1:]

# How an array of frames begins. What delivers messages asks for an answer only if it is one.
ARRAY = ord("[")

# To linger for no time: closing is a reset.
CUT = struct.pack("ii", 1, 0)


class Wrong(Exception):
    """The server did not do what the figures would say that it did; the text says what."""


@dataclass(eq=False, slots=True)
class Member:
    room: str
    socket: socket.socket
    receive: Callable
    # Where it was when it came in, and where it is if positions are followed.
    came_with: dict
    position: dict
    upgraded: bool = False
    # What an observed one was delivered, in the order of arrival.
    numbers: list[int] = field(default_factory=list)


class Listeners:
    """Members of one server. It may listen on several ports: they are spread over them in turn."""

    def __init__(self, ports, dialect):
        self.dialect = dialect
        self.members = []
        # When each message was sent, by its number.
        self.sent = []
        # The seconds from sending to receipt, of all that was delivered to observed members.
        self.latencies = array("d")
        self.acknowledged = 0
        self.counts_acknowledgments = False
        self.follows_positions = False
        self._ports = ports
        self._tildes = 0
        self._by_fd = {}
        self._entering = set()
        self._observed = {}
        # What came of a frame, or of the answer to the upgrade, that is not complete yet.
        self._tails = {}
        self._epoll = select.epoll()
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)

    def __enter__(self):
        gc.disable()
        return self

    def __exit__(self, *failure):
        self.cut()
        self._epoll.close()
        gc.enable()

    @property
    def delivered(self):
        return self._tildes // 2

    @property
    def observed(self):
        return list(self._observed.values())

    def enter(self, rooms, *, positions=None, at_once=50, observe=50):
        """A member for each of ``rooms`` comes in, with the position that has the same place in ``positions``.

        Every ``observe``-th is observed. Returns the seconds until all were ready.
        """
        began = time.perf_counter()
        waiting = list(zip(rooms, positions or ({} for _ in rooms), strict=True))[::-1]
        while waiting or self._entering:
            while waiting and len(self._entering) < at_once:
                self._connect(*waiting.pop(), observe)
            if not self.turn():
                raise Wrong(f"{len(self._entering)} members have waited {PATIENCE:.0f} s to be let in.")
        return time.perf_counter() - began

    def cut(self):
        """All connections end at once, as a network ends them: without a word."""
        for member in self.members:
            reset(self._epoll, member.socket)
        for known in (self.members, self._by_fd, self._entering, self._observed, self._tails):
            known.clear()

    def rest(self, seconds):
        """Say nothing but what the server asks for."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.turn(left)

    def turn(self, timeout=PATIENCE):  # noqa: C901 In one piece, because a call costs as much as the rest of a frame.
        """Read what there is, once from each socket; returns from how many."""
        buffer, view, members, tails = self._buffer, self._view, self._by_fd, self._tails
        entering, observed, follows = self._entering, self._observed, self.follows_positions
        answer = self.dialect.acknowledgment if self.counts_acknowledgments else None
        count, tildes, answers = buffer.count, 0, 0
        events = self._epoll.poll(timeout)
        for fd, _ in events:
            if fd in tails or fd in entering:
                begin, size = self._go_on(fd)
            else:
                begin, size = 0, members[fd].receive(buffer)
                if not size:
                    raise Wrong("The server ended a connection.")
            hears = follows or fd in entering
            at = begin
            while at + 2 <= size:
                # Where a header is not complete, `end` is beyond `size`, whatever is read in the place of the rest.
                length = buffer[at + 1]
                if length < LENGTH_16:
                    start = at + 2
                elif length == LENGTH_16:
                    start, length = at + 4, buffer[at + 2] << 8 | buffer[at + 3]
                else:
                    start, length = at + 10, int.from_bytes(view[at + 2 : at + 10])
                end = start + length
                if end > size:
                    break
                if buffer[at] != WHOLE_TEXT:
                    self._control(fd, buffer[at], bytes(view[start:end]))
                else:
                    found = count(TILDE, start, end)
                    tildes += found
                    if not found or hears or buffer[start] == ARRAY:
                        self._hear(fd, bytes(view[start:end]))
                at = end
            if answer:
                answers += count(answer, begin, at)
            if at < size:
                tails[fd] = bytes(view[at:size])
            if fd in observed:
                self._observe(observed[fd], begin, at)
        self._tildes += tildes
        self.acknowledged += answers
        return len(events)

    def _connect(self, room, position, observe):
        place = len(self.members)
        port = self._ports[place % len(self._ports)]
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        member, fd = Member(room, connection, connection.recv_into, position, dict(position)), connection.fileno()
        self.members.append(member)
        self._by_fd[fd] = member
        self._entering.add(fd)
        if place % observe == 0:
            self._observed[fd] = member
        self._epoll.register(fd, select.EPOLLIN)
        connection.send(websocket.upgrade(self.dialect.path(room, position or None), port))

    def _go_on(self, fd):
        """Read behind what came before; returns from where and up to where the buffer has frames."""
        member, tail = self._by_fd[fd], self._tails.pop(fd, b"")
        begin = len(tail)
        if begin == BUFFER:
            raise Wrong(f"A frame has more than {BUFFER} bytes; it begins with {tail[:100]!r}.")
        self._buffer[:begin] = tail
        got = member.receive(self._view[begin:])
        if not got:
            raise Wrong(f"The server ended a connection; the last that it said was {tail[-300:]!r}.")
        size = begin + got
        return (0, size) if member.upgraded else self._upgrade(member, fd, size)

    def _upgrade(self, member, fd, size):
        begin = websocket.upgraded(self._buffer[:size])
        if not begin:
            self._tails[fd] = bytes(self._view[:size])
            return size, size
        member.upgraded = True
        self._say(member, self.dialect.hello(member.room))
        if self.dialect.ready_at_once:
            self._entering.discard(fd)
        return begin, size

    def _hear(self, fd, payload):
        """Of all that is no mere delivery: what has to be said to it."""
        member, dialect = self._by_fd[fd], self.dialect
        if self.follows_positions:
            member.position |= dialect.position(payload)
        if fd in self._entering:
            if dialect.ready(payload):
                self._entering.discard(fd)
            elif words := dialect.greeted(member.room, payload, member.came_with or None):
                self._say(member, words)
                return
        if (word := dialect.answer(payload)) is not None:
            self._say(member, [word])

    def _control(self, fd, first, payload):
        if first == websocket.WHOLE_PING:
            self._by_fd[fd].socket.send(websocket.frame(websocket.PONG, payload))
        elif first == websocket.WHOLE_CLOSE:
            raise Wrong(f"The server closed a connection: {websocket.closed(payload)}.")
        else:
            raise Wrong(f"The server sent a frame that begins with {first:#x}.")

    def _observe(self, member, begin, end):
        now, sent = time.perf_counter(), self.sent
        for digits in NUMBER.findall(self._buffer, begin, end):
            number = int(digits)
            member.numbers.append(number)
            self.latencies.append(now - sent[number])

    def _say(self, member, words):
        for word in words:
            member.socket.send(websocket.text_frame(word))


def reset(epoll, connection):
    epoll.unregister(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CUT)
    connection.close()
