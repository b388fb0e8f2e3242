"""Who is here, against a machine: the real attendance, hearts, claims, leases and telling of several server processes.

The model knows which tabs are where, what was recorded under which lease and until when that counts, by a clock that
both share. Nothing runs by itself: each batch, heartbeat, sweep and handing over is a step, and so is each failure.
Between steps, and in the middle of a batch or a sweep, other processes do theirs.
"""

from collections import Counter
from dataclasses import dataclass, field

import pytest
from django.db import OperationalError, connection
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from presence.dying import Died, dies_after

from django_rooms.models import Announcement, Lease, Member, Occupied, Presence, rows
from django_rooms.names import member_key, room_key
from django_rooms.presence import claims, clock, leases, queries, recorder, telling
from django_rooms.presence.attendance import Attendance, attendance
from django_rooms.presence.claims import LeaseLost
from django_rooms.presence.heart import Heart
from django_rooms.protocol import presence as values

ROOMS = ("one", "two")
PEOPLE = ("u:ann", "u:bob")
LEASE, GRACE = 30_000, 10_000
NAMES = {(room_key(room), member_key(room_key(room), key)): (room, key) for room in ROOMS for key in PEOPLE}

# One of them most of the time: more comes of it than of steps that have nothing to do with each other.
PROCESS, OTHER = st.sampled_from([0, 0, 0, 1, 1, 2]), st.sampled_from([2, 2, 1, 0])
ROOM, PERSON = st.sampled_from(["one", *ROOMS]), st.sampled_from(["u:ann", *PEOPLE])
TABS, SOME, WHICH = st.sampled_from([(0,), (1,), (0, 1)]), st.integers(1, 3), st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5])
NAME = st.sampled_from(["", "", "", "B."])
PAUSE = st.sampled_from([1, 500, 5_000, GRACE - 1, GRACE, LEASE - 1, LEASE, LEASE + 1_000])
ALIVE = st.sampled_from([(0, 1, 2)] * 3 + [(0, 1), (1, 2), (2,), ()])
SOON = st.sampled_from([True, True, False])
FATE = st.sampled_from(["done"] * 4 + ["lost", "answer lost"])
HELD = st.sampled_from([()] * 5 + [("one",), ("two",), ROOMS])
MEANWHILE = st.sampled_from([None, None, "sweep", "commit"])


STEPS = []


def step(weight, **given):
    """A rule that is ``weight`` times as frequent as others; Hypothesis leaves out most rules of most runs."""

    def add(method):
        STEPS.extend([st.tuples(st.just(method.__name__), st.fixed_dictionaries(given))] * weight)
        return method

    return add


@dataclass(eq=False)
class Tab:
    """A connection."""

    rooms: set[str] = field(default_factory=set)
    asked: bool = False
    expelled: list[str] = field(default_factory=list)

    def prove(self):
        self.asked = True

    def expel(self, room):
        self.expelled.append(room)


class Process:
    def __init__(self, now):
        self.attendance = Attendance(lambda: now() / 1000)
        self.heart = Heart(self.lost, lambda: now() / 1000)
        self.tabs = {(key, number): Tab() for key in PEOPLE for number in (0, 1)}
        # What was taken and is not recorded yet, and under which lease that shall be.
        self.flight = None
        self.forget_proofs()
        # Between which moments they may have left whose last tab has.
        self.until = {}
        # What the last join has said of each; of whom a join has said it and it was not taken to be recorded since.
        self.named, self.said = {}, set()

    def forget_proofs(self):
        # By room and person: tabs that count; who was taken to be recorded; who has come since they were taken.
        self.here, self.taken, self.came = {}, set(), set()

    def lost(self):
        recorder._doubt()
        for tab in self.tabs.values():
            assert tab.asked or not tab.rooms
        self.forget_proofs()

    def say(self, tab, member, name):
        """Who joins again with the same tab, and is known in the same way, says nothing."""
        if tab not in self.here.get(member, ()) or self.named[member] != name:
            self.named[member] = name
            self.said.add(member)

    def come(self, tab, member):
        if tab not in self.here.setdefault(member, set()):
            self.here[member].add(tab)
            self.came.add(member)

    def go(self, tab, member, now, grace):
        tab.rooms.discard(member[0])
        if tab in self.here.get(member, ()):
            self.here[member].discard(tab)
            _, latest = self.until.get(member, (0, 0))
            self.until[member] = (now + grace, max(latest, now + grace))

    @property
    def places(self):
        """Person, tab and room; those first that count."""
        found = [(key, tab, room) for (key, _), tab in self.tabs.items() for room in sorted(tab.rooms)]
        return sorted(found, key=lambda place: place[1] not in self.here.get((place[2], place[0]), ()))

    @property
    def present(self):
        return {member: len(tabs) for member, tabs in self.here.items() if tabs}

    @property
    def idle(self):
        """All that changed is recorded."""
        return self.flight is None and not self.attendance.waiting


class PresenceMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        for model in (Announcement, Lease, Member, Occupied, Presence):
            rows(model).all().delete()
        self.now = 1_000_000
        # When each lease runs out; what is recorded, by lease and member: connections, and when they will have left.
        self.leases, self.recorded = {}, {}
        self.members = {}
        self.processes = []
        # What was claimed, by its id in its order, and what was told.
        self.claims, self.told, self.twice = {}, [], Counter()
        self.expected, self.last = [], 0
        self.fate, self.held, self.meanwhile = "done", (), None
        self.expelled, self.checked, self.locked = set(), None, set()
        # What a look found for each stamp of a room; the last stamps; the rooms that the listeners heard of.
        self.seen, self.stamps, self.heard = {}, {}, set()
        self.patch = pytest.MonkeyPatch()
        self.stand_in()
        self.processes = [self.begin() for _ in range(3)]

    def stand_in(self):
        self.patch.setattr(clock, "text", lambda: str(self.now))
        self.patch.setattr(claims, "BATCH", 2)
        self.patch.setattr(claims, "listeners", [self.heard.update])
        self.patch.setattr(claims, "_occupy", self.between(claims._occupy))
        self.patch.setattr(claims, "_lock", self.unless_held(claims._lock))
        self.patch.setattr(claims, "_stamp", self.or_fail("lost", claims._stamp))
        self.patch.setattr(claims, "_tell", self.or_fail("answer lost", claims._tell))
        self.patch.setattr(telling, "handlers", [self])
        self.patch.setattr(telling, "BATCH", 2)
        self.patch.setattr(recorder.logger, "disabled", True)

    # What fails, and what others do in the middle of it.

    def between(self, occupy):
        def occupy_and_wait(keys):
            occupy(keys)
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile is not None:
                meanwhile()

        return occupy_and_wait

    def unless_held(self, lock):
        def lock_others(keys, **how):
            self.locked = lock(set(keys) - {room_key(room) for room in self.held}, **how)
            return self.locked

        return lock_others

    def or_fail(self, fate, work):
        def work_or_fail(arguments):
            if self.fate == fate:
                raise OperationalError(fate)
            work(arguments)

        return work_or_fail

    # The handlers.

    def wanted(self):
        return True

    def tell(self, told):
        self.told.append((told.id, told.kind, (told.room, told.member.key)))

    # Processes.

    def begin(self):
        process = Process(lambda: self.now)
        self.beat_of(process)
        return process

    def switch(self, process):
        attendance.made = process.attendance
        return process

    def beat_of(self, process):
        self.switch(process)
        before = process.heart.lease
        process.heart.beat()
        alive = before in self.leases and self.leases[before] > self.now
        assert (process.heart.lease == before) == alive
        self.leases[process.heart.lease] = self.now + LEASE

    @step(1, number=PROCESS, arrives=st.booleans())
    def miss_a_beat(self, number, arrives):
        process = self.processes[number]
        if arrives and leases.renew(process.heart.lease):
            self.leases[process.heart.lease] = self.now + LEASE
        process.heart._failed = True  # As its thread notes it.

    @step(1, number=OTHER)
    def crash(self, number):
        self.processes[number] = self.begin()

    @step(1, number=OTHER)
    def end(self, number):
        """In good order: a deploy."""
        process = self.switch(self.processes[number])
        lease = process.heart.lease
        if process.idle and self.leases[lease] > self.now:
            process.attendance.leave_all(GRACE / 1000)
            for key, tab, room in process.places:
                process.go(tab, (room, key), self.now, GRACE)
            self.record_all(process)
            assert leases.renew(lease, 15.0)
            self.leases[lease] = self.now + 15_000
            self.processes[number] = self.begin()

    @step(2, pause=PAUSE)
    def wait(self, pause):
        """The database was away, or everything stood still."""
        self.now += pause

    @step(6, alive=ALIVE, beats=SOME)
    def live(self, alive, beats):
        for _ in range(beats):
            self.now += LEASE // 3
            for number in alive:
                self.beat_of(self.processes[number])
        for number in alive:
            self.sweep(number, (), None)

    # People.

    @step(6, number=PROCESS, key=PERSON, tabs=TABS, room=ROOM, name=NAME, soon=SOON)
    def join(self, number, key, tabs, room, name, soon):
        process = self.processes[number]
        for tab in [process.tabs[key, tab] for tab in tabs]:
            tab.rooms.add(room)
            process.attendance.enter(room, values.Member(key, name), tab)
            process.say(tab, (room, key), name)
            process.come(tab, (room, key))
        if soon:
            self.commit(number, "done", (), None)

    @step(5, number=PROCESS, which=WHICH, grace=st.sampled_from([0, GRACE, 3 * GRACE]), soon=SOON)
    def leave(self, number, which, grace, soon):
        if places := self.processes[number].places:
            self.leave_place(self.processes[number], *places[which % len(places)], grace)
        if soon:
            self.commit(number, "done", (), None)

    def leave_place(self, process, key, tab, room, grace):
        process.attendance.leave(room, key, tab, grace / 1000)
        process.go(tab, (room, key), self.now, grace)

    @step(3, number=PROCESS, which=WHICH, sweeper=st.sampled_from([None, None, 0, 1, 2]))
    def reload(self, number, which, sweeper):
        """Away, which is recorded, and back, which is not yet; perhaps a sweep has just found that they are away."""
        if places := self.processes[number].places:
            key, tab, room = places[which % len(places)]
            self.leave_place(self.processes[number], key, tab, room, 0)
            self.commit(number, "done", (), None)
            self.join(number, key, (0,), room, "", False)
            if sweeper is not None:
                self.sweep(sweeper, (), "commit")

    @step(2, number=PROCESS, answers=st.sampled_from([[0], [0], [0, 2], [1], range(9), []]))
    def oversleep(self, number, answers):
        """Its lease runs out, and some of its people prove that they are there."""
        process = self.processes[number]
        self.now += LEASE
        self.beat_of(process)
        for place in [place for which, place in enumerate(process.places) if which in answers]:
            self.prove(process, *place[:2])
        self.commit(number, "done", (), None)

    @step(2, number=PROCESS, which=WHICH)
    def answer(self, number, which):
        if asked := [place for place in self.processes[number].places if place[1].asked]:
            key, tab, _ = asked[which % len(asked)]
            self.prove(self.processes[number], key, tab)

    def prove(self, process, key, tab):
        tab.asked = False
        for room in sorted(tab.rooms):
            process.attendance.confirm(room, key, tab)
            process.come(tab, (room, key))

    # Recording.

    @step(2, number=PROCESS, most=SOME)
    def take(self, number, most):
        process = self.processes[number]
        if process.flight is None and (stays := process.attendance.take(most)):
            process.flight = (process.heart.lease, stays)
            for stay in stays:
                self.check_stay(process, stay, (stay.room, stay.member.key))

    def check_stay(self, process, stay, member):
        assert stay.connections == len(process.here.get(member, ()))
        assert (stay.introduced, stay.member.name) == (member in process.said, process.named[member])
        process.said.discard(member)
        if stay.known:
            assert member in process.taken
        if not stay.connections:
            earliest, latest = (max(0, moment - self.now) for moment in process.until[member])
            assert earliest <= round(stay.grace * 1000) <= latest
            # Nobody comes back by having left.
            assert stay.known or member in process.came
        process.taken.add(member)

    @step(5, number=PROCESS, fate=FATE, held=HELD, meanwhile=MEANWHILE)
    def commit(self, number, fate, held, meanwhile):
        process = self.switch(self.processes[number])
        self.take(number, 3)
        if process.flight is None:
            return
        (lease, stays), process.flight = process.flight, None
        self.meanwhile = self.by_others(process, meanwhile)
        self.fate, self.held = fate, held
        moved = self.meanwhile is not None
        recorded = []
        try:
            kept = recorder.record(lease, stays)
        except LeaseLost:
            assert self.leases[lease] <= self.now
        except OperationalError as error:
            if error.args == ("answer lost",):
                self.note(lease, [stay for stay in stays if stay.room_key in self.locked])
        else:
            assert self.leases[lease] > self.now
            assert moved or {stay.room for stay in kept} == {stay.room for stay in stays} & set(held)
            recorded = [stay for stay in stays if stay not in kept]
            self.note(lease, recorded)
            process.came -= {(stay.room, stay.member.key) for stay in recorded}
        finally:
            self.fate, self.held = "done", ()
            process.said |= {(stay.room, stay.member.key) for stay in stays if stay.introduced and stay not in recorded}

    def note(self, lease, stays):
        """They are recorded."""
        for stay in stays:
            member = (stay.room, stay.member.key)
            leaving = None if stay.connections else self.now + round(stay.grace * 1000)
            if stay.connections or not stay.known:
                if member not in self.members:
                    self.expected.append(("joined", member))
                if member not in self.members or stay.introduced:
                    self.members[member] = stay.member.name
                self.recorded[lease, member] = (stay.connections, leaving)
            elif (lease, member) in self.recorded:
                self.recorded[lease, member] = (stay.connections, leaving)

    def record_all(self, process):
        self.switch(process)
        number = self.processes.index(process)
        for _ in range(20):
            self.commit(number, "done", (), None)
        assert process.idle

    def by_others(self, process, what):
        """What all others do while ``process`` is between two statements."""

        def work():
            fate, held = self.fate, self.held
            self.fate, self.held = "done", ()
            for number, other in enumerate(self.processes):
                if other is not process and what == "sweep":
                    self.sweep(number, (), None)
                elif other is not process:
                    self.commit(number, "done", (), None)
            self.fate, self.held = fate, held
            self.switch(process)

        return work if what else None

    # Sweeping, telling, disconnecting.

    @step(4, number=PROCESS, held=HELD, meanwhile=MEANWHILE)
    def sweep(self, number, held, meanwhile):
        process = self.switch(self.processes[number])
        if not process.heart.steady:
            return
        self.meanwhile = self.by_others(process, meanwhile)
        moved = self.meanwhile is not None
        self.held = held
        recorder.sweep(process.heart.lease, lambda: True)
        self.meanwhile, self.held = None, ()
        kept = set(self.presences())
        for lease, member in [key for key in self.recorded if key not in kept]:
            assert self.over(lease, member)
            del self.recorded[lease, member]
            self.expelled.discard((lease, member))
        for member in self.members.keys() - {member for _, member in self.recorded}:
            del self.members[member]
            self.expected.append(("left", member))
        if not moved:
            assert not [key for key in self.recorded if self.over(*key) and key[1][0] not in held]

    def over(self, lease, member):
        _, leaving = self.recorded[lease, member]
        return self.leases[lease] <= self.now or (leaving is not None and leaving <= self.now)

    @step(2, number=PROCESS, death=st.sampled_from([None] * 3 + [1, 2, 3]))
    def hand_over(self, number, death):
        began = len(self.told)
        try:
            with dies_after(death):
                telling.tell(self.processes[number].heart.lease)
        except Died:
            self.twice.update(claim for claim, _, _ in self.told[began:])
            self.processes[number] = self.begin()
        order = list(self.claims)
        places = [order.index(claim) for claim, _, _ in self.told[began:]]
        assert places == sorted(places)

    @step(1, room=ROOM, key=PERSON, readers=ALIVE)
    def disconnect(self, room, key, readers):
        found = {(lease, member) for lease, member in self.recorded if member == (room, key)}
        found = {key for key in found if self.recorded[key][0]}
        assert claims.expel(room, key) == any(not self.over(*key) for key in found)
        self.expelled |= found
        for number in readers:
            self.read(number)

    def read(self, number):
        """As the feeds do it."""
        process = self.switch(self.processes[number])
        lease = process.heart.lease
        for room, tab in process.attendance.expel(claims.expelled(lease, ROOMS), ROOMS):
            tab.expel(room)
        for key, tab in process.tabs.items():
            wanted = [room for room in ROOMS if room in tab.rooms and (lease, (room, key[0])) in self.expelled]
            assert sorted(tab.expelled) == wanted
            tab.expelled.clear()
            for room in wanted:
                process.until[room, key[0]] = (0, 0)
                process.attendance.leave(room, key[0], tab, 0)
                process.go(tab, (room, key[0]), self.now, 0)
        for member in [member for of, member in self.expelled if of == lease]:
            self.expelled.discard((lease, member))
            if not process.here.get(member):
                process.until[member] = (0, 0)

    @rule(step=st.sampled_from(STEPS).flatmap(lambda step: step))
    def do(self, step):
        name, given = step
        getattr(self, name)(**given)

    # What must hold at each moment.

    @invariant()
    def check(self):
        self.what_is_recorded_is_who_is_here()
        seen, self.checked = self.checked, (self.now, connection.connection.total_changes)
        if self.checked == seen:
            return  # Nothing has changed but in memory.
        self.what_is_recorded_is_what_happened()
        self.joined_and_left_are_claimed_by_turns()
        self.each_claim_is_told_once_unless_somebody_died()
        self.whoever_looks_finds_another_stamp_where_others_are_shown()

    def presences(self):
        found = rows(Presence).values_list("lease", "room", "member", "connections", "leaving")
        return {(lease, NAMES[room, member]): (count, leaving) for lease, room, member, count, leaving in found}

    def what_is_recorded_is_what_happened(self):
        assert self.presences() == self.recorded
        named = {(row.room_name, row.person_key): row.person_name for row in rows(Member)}
        assert named == self.members
        assert self.members.keys() == {member for _, member in self.recorded}

    def what_is_recorded_is_who_is_here(self):
        for process in self.processes:
            lease = process.heart.lease
            for room in ROOMS:
                shown = {(room, key) for key in process.attendance.here(room).members}
                here = {member for member in process.present if member[0] == room}
                assert here <= shown
                assert here == shown or not process.idle
            if process.idle and self.leases.get(lease, 0) > self.now:
                found = {member: count for (of, member), (count, _) in self.recorded.items() if of == lease and count}
                assert found == process.present

    def joined_and_left_are_claimed_by_turns(self):
        found = rows(Announcement).filter(pk__gt=self.last).order_by("pk")
        new = [(row.pk, row.event_id, row.kind, (row.room_name, row.person_key)) for row in found]
        for self.last, claim, kind, member in new:
            before = [was for was, who in self.claims.values() if who == member]
            assert kind == ("left" if before[-1:] == ["joined"] else "joined")
            self.claims[claim] = (kind, member)
        assert Counter((kind, member) for _, _, kind, member in new) == Counter(self.expected)
        self.expected.clear()
        assert {m for _, m in self.claims.values() if self.last_claim(m) == "joined"} == self.members.keys()

    def last_claim(self, member):
        return [kind for kind, who in self.claims.values() if who == member][-1]

    def each_claim_is_told_once_unless_somebody_died(self):
        for claim, kind, member in self.told:
            assert self.claims[claim] == (kind, member)
        for claim, times in Counter(claim for claim, _, _ in self.told).items():
            assert times <= 1 + self.twice[claim]

    def whoever_looks_finds_another_stamp_where_others_are_shown(self):
        shown = queries.snapshots(dict.fromkeys(ROOMS, queries.Wanted(10)), None, True).rooms
        for room in ROOMS:
            stamp = shown[room].stamp
            members = {member: name for member, name in self.members.items() if member[0] == room}
            assert (stamp is not None) or not members
            here = {(room, one.key) for one in shown[room].members}
            recorded = {key for key in self.recorded if key[1][0] == room}
            assert here == {member for lease, member in recorded if not self.over(lease, member)}
            before, shown_before = self.seen.get((room, stamp), (members, here))
            assert members == before
            # The clock alone takes somebody out before that is claimed; nobody comes without another stamp.
            assert here <= shown_before
            self.seen[room, stamp] = (members, here)

    # The end.

    def teardown(self):
        try:
            self.settle()
            self.everybody_who_is_here_is_shown()
            for process in self.processes:
                for place in process.places:
                    self.leave_place(process, *place, GRACE)
            self.settle()
            self.nothing_is_left()
        finally:
            self.patch.undo()
            attendance.forget()

    def settle(self):
        """All goes well from here, for longer than any lease and any grace."""
        for number, process in enumerate(self.processes):
            self.commit(number, "done", (), None)
            self.beat_of(process)
            for key, tab, room in process.places:
                if tab.asked and tab is process.tabs[key, 1]:
                    self.leave_place(process, key, tab, room, 0)  # Nobody has answered.
                elif tab.asked:
                    self.prove(process, key, tab)
            self.record_all(process)
            self.read(number)
            self.record_all(process)
        self.live((0, 1, 2), 4)
        self.sweep(0, (), None)
        self.check()
        for number in range(3):
            self.hand_over(number, None)
        self.check()

    def everybody_who_is_here_is_shown(self):
        here = Counter()
        for process in self.processes:
            here.update((room, key) for key, _, room in process.places)
        found = {(room, one.key): one.connections for room in ROOMS for one in queries.members(room)}
        assert found == here
        assert self.members.keys() == here.keys()
        assert queries.counts(ROOMS) == dict.fromkeys(ROOMS, 0) | Counter(room for room, _ in here)
        assert all(queries.is_present(*member) == (member in here) for member in NAMES.values())

    def nothing_is_left(self):
        assert {claim for claim, _, _ in self.told} == self.claims.keys()
        claims.forget()
        for model in (Announcement, Member, Occupied, Presence):
            assert not rows(model).exists()
        self.now += 4_000_000
        leases.forget()
        assert not rows(Lease).exists()


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "sqlite", reason="Its clock is a value, and its steps are many.")
def test_who_is_here_is_shown_and_told_once():
    run_state_machine_as_test(PresenceMachine, settings=settings(max_examples=25, stateful_step_count=50))
