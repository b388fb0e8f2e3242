"""Listeners who publish too: in turn, with so many messages in flight, and each looked for at the end."""

import time

from benchmarks.load import websocket
from benchmarks.load.listeners import PATIENCE, Listeners, Wrong
from benchmarks.peers.dialects import text_of

# Clients on this machine are woken within the server's own calls of send(), one for each message, which costs a bare
# loop 2.5 of its 9.3 µs for each delivery. Clients elsewhere cost it nothing. A crowd that sleeps when it has read from
# fewer than FEW sockets is woken by a clock instead, and delays nothing by more than that.
NAP, FEW = 0.0003, 32


class Crowd(Listeners):
    """Members of one server, who publish in turn. A message is in flight until all its ``receivers`` have it, or until
    it is acknowledged where that is counted. Rooms have equally many members."""

    def __init__(self, ports, dialect):
        super().__init__(ports, dialect)
        # Who publishes, unless it is only some of them.
        self.publishers = self.members

    def publish(self):
        """The next message, by the member whose turn it is."""
        number = len(self.sent)
        member = self._publisher(number)
        text = self.dialect.publish(member.room, number, text_of(number))
        self.sent.append(time.perf_counter())
        member.socket.send(websocket.text_frame(text))

    def run(self, *, window, receivers, seconds=float("inf"), messages=float("inf"), nap=0.0):
        """Keep ``window`` messages in flight, for so long, or until so many more are through.

        After so long some are still in flight: ``settle`` waits for them.
        """
        end, last, clock = time.perf_counter() + seconds, len(self.sent) + messages, time.perf_counter
        while clock() < end:
            through = self.through(receivers)
            if through == last:
                return
            for _ in range(min(window - len(self.sent) + through, last - len(self.sent))):
                self.publish()
            read = self.turn()
            if not read:
                raise Wrong(f"Nothing came for {PATIENCE:.0f} s; {through} of {len(self.sent)} messages were through.")
            if nap and read < FEW:
                time.sleep(nap)

    def through(self, receivers):
        """How many messages are in flight no more."""
        return self.acknowledged if self.counts_acknowledgments else self.delivered // receivers

    def settle(self, *, receivers):
        """Wait for all that is in flight, and a little for what should not come. Raises Wrong unless all came once."""
        expected = len(self.sent) * receivers
        while (self.delivered < expected or self.through(receivers) < len(self.sent)) and self.turn():
            pass
        self.rest(0.2)
        if self.delivered != expected or self.through(receivers) != len(self.sent):
            through = f"{self.through(receivers)} of {len(self.sent)} messages were through"
            raise Wrong(f"{self.delivered} deliveries came of {expected}; {through}.")
        self._compare()

    def _compare(self):
        """Whether each observed member had each message of its room once."""
        for member in self.observed:
            expected = [number for number in range(len(self.sent)) if self._is_for(member, number)]
            if sorted(member.numbers) != expected:
                had = f"{len(member.numbers)} deliveries, {len(set(member.numbers))} different ones"
                raise Wrong(f"A member of {member.room!r} had {had}, and should have had {len(expected)}.")

    def _is_for(self, member, number):
        publisher = self._publisher(number)
        return publisher.room == member.room and (self.dialect.to_sender or publisher is not member)

    def _publisher(self, number):
        return self.publishers[number % len(self.publishers)]

    def disordered(self):
        """How many observed members saw messages in another order than the first who is observed in their room did."""
        firsts = {}
        return sum(in_other_order(firsts.setdefault(one.room, one).numbers, one.numbers) for one in self.observed)


def in_other_order(some, others):
    """Whether the numbers that are in both are in another order in each."""
    both = set(some) & set(others)
    return [number for number in some if number in both] != [number for number in others if number in both]
