"""Retention: the oldest entries go, a prefix by offset; what is left goes on."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest
import serving
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_rooms import get_room
from django_rooms.log import pages, store
from django_rooms.log.appends import Append
from django_rooms.models import Entry, PrunedId, RoomLog
from django_rooms.names import room_key
from django_rooms.protocol.entries import Position
from django_rooms.upkeep import logs, pruning

pytestmark = pytest.mark.django_db


@pytest.fixture
def room(monkeypatch):
    """A room with ten entries, one a day, the newest of today."""
    monkeypatch.setattr(type(get_room("lobby")), "retention", None)
    monkeypatch.setattr(type(get_room("lobby")), "retention_entries", None)
    room = get_room("lobby")
    for number in range(1, 11):
        room.publish({"n": number}, id=f"{number}")
        Entry.objects.filter(offset=number).update(at=timezone.now() - timedelta(days=10 - number))
    return room


def offsets():
    return list(Entry.objects.filter(room=room_key("lobby")).order_by("offset").values_list("offset", flat=True))


def floor():
    return RoomLog.objects.get(key=room_key("lobby")).floor


def command(*args):
    from io import StringIO

    out = StringIO()
    call_command("rooms_prune", *args, stdout=out, stderr=out)
    return out.getvalue().splitlines()


class TestCommand:
    def test_without_a_retention_everything_is_kept(self, room):
        assert command()[-1] == "Entries deleted: 0. Ids of earlier ones forgotten: 0."
        assert len(offsets()) == 10

    def test_by_age(self, room, monkeypatch):
        monkeypatch.setattr(type(room), "retention", timedelta(days=4, hours=12))
        assert command()[0] == "lobby: 5 deleted, up to 5"
        assert (offsets(), floor()) == ([6, 7, 8, 9, 10], 5)

    def test_by_count(self, room, monkeypatch):
        monkeypatch.setattr(type(room), "retention_entries", 3)
        command()
        assert (offsets(), floor()) == ([8, 9, 10], 7)

    def test_by_whichever_lets_go_of_more(self, room, monkeypatch):
        monkeypatch.setattr(type(room), "retention", timedelta(days=1, hours=12))
        monkeypatch.setattr(type(room), "retention_entries", 7)
        command()
        assert offsets() == [9, 10]
        monkeypatch.setattr(type(room), "retention_entries", 1)
        command()
        assert offsets() == [10]

    def test_all_of_a_log_may_be_too_old(self, room, monkeypatch):
        monkeypatch.setattr(type(room), "retention", timedelta(microseconds=1))
        Entry.objects.update(at=timezone.now() - timedelta(hours=1))
        command()
        assert (offsets(), floor()) == ([], 10)
        assert room.publish({}).offset == 11

    def test_a_dry_run_says_what_would_go_and_deletes_nothing(self, room, monkeypatch):
        monkeypatch.setattr(type(room), "retention_entries", 4)
        assert command("--dry-run") == ["lobby: 6 would be deleted, up to 6", "Entries that would be deleted: 6."]
        assert len(offsets()) == 10

    def test_it_takes_small_batches_and_goes_on_where_it_was(self, room, monkeypatch):
        monkeypatch.setattr(type(room), "retention_entries", 1)
        monkeypatch.setattr(pruning, "BATCH", 4)
        assert list(pruning.prune("lobby", 9)) == [4, 4, 1]
        assert list(pruning.prune("lobby", 9)) == []

    def test_a_hole_of_the_hosts_is_no_obstacle(self, room, monkeypatch):
        Entry.objects.filter(offset__in=(2, 5)).delete()
        assert list(pruning.prune("lobby", 5)) == [5]
        assert offsets() == [6, 7, 8, 9, 10]

    def test_only_the_rooms_that_are_named(self, room, monkeypatch):
        monkeypatch.setattr(type(room), "retention_entries", 1)
        get_room("notes/x").publish({})
        command("notes/x")
        assert len(offsets()) == 10

    def test_a_room_that_is_registered_no_more_keeps_what_it_has(self, room):
        RoomLog.objects.filter(name="lobby").update(name="nowhere")
        assert "It keeps what it has." in command()[0]

    @pytest.mark.parametrize(("name", "why"), [("nowhere", "no room"), ("a//b", "no empty")])
    def test_what_is_no_room_is_refused_in_words(self, name, why):
        with pytest.raises(CommandError, match=why):
            command(name)

    def test_a_room_without_a_log_is_no_error(self):
        assert command("lobby")[-1].startswith("Entries deleted: 0.")
        assert not RoomLog.objects.exists()


PRUNE_MANY = """
import django
from django.conf import settings
settings.DATABASES["default"]["OPTIONS"] = {"timeout": 0.1, "init_command": "PRAGMA journal_mode=DELETE"}
django.setup()
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_rooms import get_room
from django_rooms.models import RoomLog
from django_rooms.names import room_key

type(get_room("lobby")).retention_entries = 1
times = {"created_at": timezone.now(), "last_at": timezone.now()}
names = [f"notes/{number}" for number in range(2500)]
RoomLog.objects.bulk_create([RoomLog(key=room_key(name), name=name, epoch="e", **times) for name in names])
for _ in range(3):
    get_room("lobby").publish({})
call_command("rooms_prune", skip_checks=True)
"""


@pytest.mark.slow
def test_many_rooms_are_pruned_on_sqlite_without_wal(sqlite_url):
    """There whoever still reads names keeps everybody from deleting: also the command itself."""
    done = subprocess.run(
        [sys.executable, "-c", PRUNE_MANY],
        env=serving.environment(sqlite_url),
        cwd=serving.TESTS,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stderr, done.stdout.splitlines()[0]) == ("", "lobby: 2 deleted, up to 2")


class TestReaders:
    def test_a_position_within_the_pruned_part_does_not_recover(self, room):
        epoch = room.page().position.epoch
        list(pruning.prune("lobby", 5))
        for offset, recovers in ((0, False), (4, False), (5, True), (10, True), (11, False)):
            assert pages.after("lobby", offset).recovers(Position(epoch, offset)) is recovers

    def test_a_page_ends_at_the_floor(self, room):
        list(pruning.prune("lobby", 5))
        page = pages.page("lobby", 50)
        assert ([entry.offset for entry in page.entries], page.more) == ([6, 7, 8, 9, 10], False)


class TestIds:
    def again(self):
        return store.append([Append("lobby", "s:", "3", json.dumps({"n": 3}))])[0]

    def test_what_was_pruned_is_not_stored_again(self, room):
        list(pruning.prune("lobby", 5))
        assert self.again().offset == 3
        assert room.publish({"n": 3}, id="3").offset == 3
        assert len(offsets()) == 5

    def test_its_id_is_kept_for_thirty_days_and_then_forgotten(self, room):
        list(pruning.prune("lobby", 5))
        now = timezone.now()
        assert pruning.forget_ids(now + timedelta(days=29, hours=23)) == 0
        assert self.again().offset == 3
        assert pruning.forget_ids(now + timedelta(days=30, hours=1)) == 5
        assert not PrunedId.objects.exists()
        assert self.again().offset == 11

    def test_many_are_forgotten_in_batches(self, room, monkeypatch):
        monkeypatch.setattr(pruning, "BATCH", 3)
        list(pruning.prune("lobby", 10))
        assert pruning.forget_ids(timezone.now() + timedelta(days=31)) == 10

    def test_only_a_log_that_was_pruned_is_asked_for_them(self, room):
        assert not self.asked()
        list(pruning.prune("lobby", 5))
        assert self.asked()

    def asked(self):
        with CaptureQueriesContext(connection) as queries:
            self.again()
        return [query for query in queries.captured_queries if PrunedId._meta.db_table in query["sql"]]


def test_a_publish_beside_it_waits_for_a_moment_and_is_stored(room):
    """Under the room's lock: an offset is never given while others are taken away."""
    found = logs.on_log("lobby", lambda row: (row.last_offset, row.floor))
    assert found == (10, 0)
    assert logs.on_log("notes/none", lambda row: 1) is None
