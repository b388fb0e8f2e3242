"""The outbox against a list: the order is kept, the bound too, and of all that waits only events are ever dropped."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from django_rooms.protocol.outbox import Outbox, Overflow

SIZES = st.integers(1, 60)


class OutboxMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.waiting: list[str] = []
        self.number = 0

    @initialize(bound=st.integers(0, 100))
    def begin(self, bound):
        self.bound = bound
        self.outbox = Outbox(bound)

    @property
    def characters(self):
        return sum(map(len, self.waiting))

    def frame(self, size):
        self.number += 1
        return f"{self.number}".ljust(size, ".")

    def fits(self, frame):
        return not self.waiting or self.characters + len(frame) <= self.bound

    @rule(size=SIZES)
    def reply(self, size):
        """It is queued, or the caller is told that it is not; and told only if it does not fit."""
        frame = self.frame(size)
        if self.fits(frame):
            self.outbox.put(frame)
            self.waiting.append(frame)
        else:
            with pytest.raises(Overflow):
                self.outbox.put(frame)

    @rule(size=SIZES)
    def event(self, size):
        """It is dropped, which the caller is told, while half of the room is taken; it never ends a connection."""
        frame = self.frame(size)
        crowded = self.characters > self.bound // 2
        assert self.outbox.offer(frame) == (not crowded and self.fits(frame))
        if not crowded and self.fits(frame):
            self.waiting.append(frame)

    @rule(most=st.integers(1, 4), characters=SIZES)
    def take(self, most, characters):
        taken = self.outbox.take(most, characters)
        assert taken == self.waiting[: len(taken)]
        del self.waiting[: len(taken)]
        full = len(taken) == most or sum(map(len, taken)) >= characters
        assert full or not self.waiting
        assert sum(map(len, taken[:-1])) < characters
        assert len(taken) <= most

    @invariant()
    def what_is_counted_is_what_waits(self):
        assert self.outbox.characters == self.characters
        assert self.outbox.crowded == (self.characters > self.bound // 2)

    @invariant()
    def the_bound_holds_but_for_one_frame_alone(self):
        assert self.outbox.characters <= self.bound or len(self.waiting) == 1

    def teardown(self):
        while self.waiting:
            assert self.outbox.take(1, 1) == [self.waiting.pop(0)]
        assert self.outbox.take(1, 1) == []


OutboxMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestOutboxMachine = OutboxMachine.TestCase
