"""One safety taken out of a server process: what the verdict has to notice. ``CHAOS_SABOTAGE`` says which.

Each is what somebody might write who finds the safety needless, put in the place of the package's own by name: where a
name is gone, the server does not start.
"""

import time
from uuid import uuid4

# Seconds that a commit takes when acks do not wait for it: nobody would see the difference in a millisecond.
COMMIT = 0.15


def apply(name):
    if name:
        SABOTAGES[name]()


def ack_before_commit():
    """The publisher is told "kept" when the writer has taken the message."""
    from django_rooms.log import writer
    from django_rooms.log.receipt import Receipt

    submit, commit = writer.submit, writer.Writer._commit

    def submit_and_ack(item, after=None):
        submit(item)
        acked = Receipt()
        acked.stored(None)
        return acked

    def commit_late(self, items):
        time.sleep(COMMIT)
        return commit(self, items)

    writer.submit, writer.Writer._commit = submit_and_ack, commit_late


def no_gap_read():
    """A feed that knows of a gap waits for doorbells to close it."""
    from django_rooms.feeds.feed import RoomFeed

    replace(RoomFeed, "_heal", lambda self, wait: None)


def no_look():
    """Nobody asks the log what no doorbell told."""
    from django_rooms.feeds.feed import RoomFeed

    replace(RoomFeed, "look", lambda self, known, head: None)


def no_check_for_repeats():
    """An id is whatever somebody says: the same one again is stored again."""
    from django_rooms.log.appends import Append

    replace(Append, "key", property(lambda self: self.__dict__.setdefault("key", uuid4())))


def doorbell_trusted():
    """What a doorbell brings is delivered as it comes, in the order of ringing."""
    from django_rooms.protocol.feed import Feed, Heard

    hear = Feed.hear

    def trust(self, epoch, first, texts, head):
        texts = list(texts)
        if epoch != self.epoch or not texts:
            return hear(self, epoch, first, texts, head)
        for text in texts:
            self._deliver(text)
        self._runs.clear()
        return Heard.DELIVERED

    replace(Feed, "hear", trust)


def removal_keeps_edits():
    """A removal blanks the message, and not what it was edited to."""
    from django_rooms.log.changes import Changes

    replace(Changes, "_blank_edits", lambda self, message: None)


def the_dead_stay():
    """Nobody takes out the people of a process that gives no sign of life."""
    from django_rooms.presence import texts

    dead = "WHERE l.{expires_at} <= {now}"
    assert dead in texts._DUE
    replace(texts, "_DUE", texts._DUE.replace(dead, "WHERE 1 = 0"))


def replace(owner, name, value):
    getattr(owner, name)
    setattr(owner, name, value)


SABOTAGES = {
    "ack-before-commit": ack_before_commit,
    "no-gap-read": no_gap_read,
    "no-look": no_look,
    "no-check-for-repeats": no_check_for_repeats,
    "doorbell-trusted": doorbell_trusted,
    "removal-keeps-edits": removal_keeps_edits,
    "the-dead-stay": the_dead_stay,
}
