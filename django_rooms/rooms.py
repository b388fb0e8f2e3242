"""A room: what it declares, whom it lets in, and the handle to publish with. As a model is, it is all three."""

import inspect
import logging
import math
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar, Literal, Self

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.conf import settings as django_settings
from django.db import transaction
from django.utils.asyncio import async_unsafe

from django_rooms import people
from django_rooms.conf import settings
from django_rooms.feeds import hub
from django_rooms.log import pages, writer
from django_rooms.log.appends import Append
from django_rooms.log.pages import Page
from django_rooms.log.pending import in_host_transaction
from django_rooms.names import BadName, check_name
from django_rooms.patterns import Pattern
from django_rooms.presence import claims, queries
from django_rooms.protocol import frames
from django_rooms.protocol.entries import BLANK, Author, Entry, Kind
from django_rooms.protocol.presence import Member
from django_rooms.protocol.text import MAX_INTEGER
from django_rooms.threads import apart_patiently, asking

logger = logging.getLogger("django_rooms")

Action = Literal["join", "publish", "edit", "remove", "see_members"]

# Bytes of what a room class may tell of a member, as JSON in UTF-8.
MAX_INFO = 1024

# The body of an event that says no more than its name.
EMPTY: dict[str, Any] = {}

POLICY_FAILED = "can_%s of the room %r failed; that is a refusal."


class Room:
    """Subclass it, say who may do what, and register it for the names of a pattern.

    ``name`` is the room's name, and ``kwargs`` the values that its pattern took from it. The policy methods
    answer for what comes over the wire or by HTTP; calls on the handle ask no policy, as ``Model.save()`` asks no form.
    """

    patterns: ClassVar[tuple[Pattern, ...]] = ()

    # How long entries are kept, and how many; ``None``: for ever. ``manage.py rooms_prune`` deletes what is beyond.
    retention: ClassVar[timedelta | None] = None
    retention_entries: ClassVar[int | None] = None

    # Up to how many people who are here are told by name. Beyond that a room tells how many, so that its cost does not
    # grow with the square of its members; with 0 it never tells names, and with ``None`` nobody knows who is here.
    presence_names: ClassVar[int | None] = 100

    name: str
    _kwargs: dict[str, Any]

    def __init__(self, **kwargs: Any) -> None:
        """The room that the values name: ``OrderRoom(pk=42)`` is ``orders/42``. Raises ``BadName``."""
        for pattern in type(self).patterns:
            # The text "042" makes a name too, but one that the pattern does not match.
            if (name := pattern.reverse(kwargs)) and (values := pattern.match(name)) is not None:
                self.name, self._kwargs = check_name(name), values
                return
        routes = ", ".join(repr(pattern.route) for pattern in type(self).patterns) or "none: it is not registered"
        raise BadName(f"No pattern of {type(self).__name__} ({routes}) makes a name of {kwargs!r}.")

    @classmethod
    def named(cls, name: str, kwargs: dict[str, Any]) -> Self:
        room = cls.__new__(cls)
        room.name, room._kwargs = name, kwargs
        return room

    @property
    def kwargs(self) -> dict[str, Any]:
        """The values that the pattern took from the name: a copy, for all rooms of the name have the same."""
        return dict(self._kwargs)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name}>"

    # Policy: closed by default. ``def`` or ``async def``; an exception means no.

    def can_join(self, user: Any) -> Any:
        """Whether ``user``, who may be a :class:`~django_rooms.people.Guest`, may enter and read."""
        return False

    def can_publish(self, user: Any) -> Any:
        """Whether ``user``, who has joined, may publish and send events."""
        return False

    def can_edit(self, user: Any, entry: Entry) -> Any:
        """Whether ``user``, who may publish, may give the message ``entry`` other words. Their own, by default."""
        return _is_by(user, entry)

    def can_remove(self, user: Any, entry: Entry) -> Any:
        """Whether ``user``, who may publish, may remove the message ``entry``. Their own, by default."""
        return _is_by(user, entry)

    def can_see_members(self, user: Any) -> Any:
        """Whether ``user``, who has joined, may know who else is here. Others are told how many."""
        return True

    def presence_info(self, user: Any) -> Any:
        """What others are told of ``user`` beside key and name: an object of at most :data:`MAX_INFO` bytes.

        ``None``: they are not shown, nor counted. ``def`` or ``async def``, asked at each join.
        """
        return {}

    def allows(self, action: Action, user: Any, *about: Entry) -> bool:
        """The policy's answer, from sync code."""
        try:
            return bool(self._verdict(action, user, *about))
        except Exception:
            logger.exception(POLICY_FAILED, action, self.name)
            return False

    async def aallows(self, action: Action, user: Any, *about: Entry) -> bool:
        """The policy's answer. A ``def`` policy may query: it runs in a thread of its own."""
        policy = getattr(self, f"can_{action}")
        try:
            return bool(await _asked(policy, user, *about))
        except Exception:
            logger.exception(POLICY_FAILED, action, self.name)
            return False

    async def introduce(self, user: Any, author: Author) -> Member | None:
        """``user`` as a member whom others see; ``None``: not to be shown."""
        if self.presence_names is None:
            return None
        try:
            info = await _asked(self.presence_info, user)
            return None if info is None else Member(*author, frames.body_text(info, MAX_INFO))
        except Exception:
            logger.exception("presence_info of the room %r failed; only a name is told.", self.name)
            return Member(*author)

    def lesson(self, action: Action) -> list[str]:
        """What a refusal teaches, under DEBUG only."""
        kind = type(self)
        arguments = "self, user, entry" if action in ("edit", "remove") else "self, user"
        policy = f"{kind.__module__}.{kind.__name__}.can_{action}({arguments})"
        return [f"{policy} said no; rooms are closed by default."] if django_settings.DEBUG else []

    def _verdict(self, action: Action, user: Any, *about: Entry) -> Any:
        verdict = getattr(self, f"can_{action}")(user, *about)
        # Also a ``def`` may hand on a coroutine, of ``super()`` for one; and every coroutine is true.
        return async_to_sync(_awaited)(verdict) if inspect.isawaitable(verdict) else verdict

    # The handle.

    @async_unsafe("publish() waits for the database; in async code, await apublish().")
    def publish(self, body: dict[str, Any], *, author: Any = None, id: str | None = None) -> Entry:
        """Store ``body`` as a message and show it to everybody in the room.

        On return it is committed; inside a transaction of yours it is seen if and only if that commits, and its
        ``offset`` is ``None`` until then. With an ``id`` of your choice (1–64 characters) it may be called again, by a
        retried task or a repeated webhook: it is stored once. ``author`` is a user,
        a ``Guest`` (``people.person_of(request)`` gives either), an ``Author`` or nobody. Raises ``ValueError``
        for a body that is no JSON object, cannot be stored or is too large.
        """
        return _write(self._append(body, author, id))

    async def apublish(self, body: dict[str, Any], *, author: Any = None, id: str | None = None) -> Entry:
        """:meth:`publish`, from async code."""
        return await _awrite(await sync_to_async(self._append)(body, author, id))

    @async_unsafe("edit() waits for the database; in async code, await aedit().")
    def edit(self, message: Entry | int, body: dict[str, Any], *, author: Any = None, id: str | None = None) -> Entry:
        """Give a message, or the one at an offset, another body; return the edit, an entry of its own.

        As :meth:`publish` does, it commits, or waits for your transaction, and counts once for an ``id``. ``author`` is
        who edits. Raises :class:`~django_rooms.UnknownTarget` where there is no such message any more.
        """
        return _write(self._append(body, author, id, Kind.EDIT, message))

    async def aedit(
        self, message: Entry | int, body: dict[str, Any], *, author: Any = None, id: str | None = None
    ) -> Entry:
        """:meth:`edit`, from async code."""
        return await _awrite(await sync_to_async(self._append)(body, author, id, Kind.EDIT, message))

    @async_unsafe("remove() waits for the database; in async code, await aremove().")
    def remove(self, message: Entry | int, *, author: Any = None, id: str | None = None) -> Entry:
        """Blank a message and all its edits, for everybody and for good; return the removal, an entry of its own.

        The message's place, author and time stay. Otherwise as :meth:`edit`.
        """
        return _write(self._append(None, author, id, Kind.REMOVAL, message))

    async def aremove(self, message: Entry | int, *, author: Any = None, id: str | None = None) -> Entry:
        """:meth:`remove`, from async code."""
        return await _awrite(await sync_to_async(self._append)(None, author, id, Kind.REMOVAL, message))

    def send_event(self, event: str, body: Any = EMPTY, *, author: Any = None) -> None:
        """Not stored. Tell everybody who is in the room now; it may be dropped, and is never waited for.

        The body ``None`` says that a state of the author's is over; to pages it is what ``clear()`` is in the client.
        """
        _value_error(frames.check_event, event, body, settings.BODY_BYTES)
        hub.tell(self.name, _value_error(frames.event, self.name, event, _shown(author), body))

    async def asend_event(self, event: str, body: Any = EMPTY, *, author: Any = None) -> None:
        """Not stored. :meth:`send_event`, from async code."""
        await sync_to_async(self.send_event)(event, body, author=author)

    def history(self, *, before: int | None = None, limit: int = frames.DEFAULT_HISTORY) -> list[Entry]:
        """The newest ``limit`` messages, or those before an offset, oldest first."""
        if limit < 1:
            raise ValueError(f"A history has at least one message; the limit is {limit!r}.")
        return pages.page(self.name, limit, before, characters=math.inf).entries

    async def ahistory(self, *, before: int | None = None, limit: int = frames.DEFAULT_HISTORY) -> list[Entry]:
        """:meth:`history`, from async code."""
        return await sync_to_async(self.history)(before=before, limit=limit)

    def page(self, limit: int = frames.DEFAULT_HISTORY) -> Page:
        """The newest messages with the position from which a client goes on: what a rendered page embeds.

        Fewer than ``limit`` where they are large; then ``more`` says so.
        """
        return pages.page(self.name, limit)

    # Who is here, from anywhere. These ask no policy either.

    @async_unsafe("presence() waits for the database; in async code, await apresence().")
    def presence(self) -> list[Member]:
        """Everybody who is here, by whichever server process, in the order in which they came."""
        return queries.members(self.name)

    async def apresence(self) -> list[Member]:
        """:meth:`presence`, from async code."""
        return await sync_to_async(self.presence)()

    @async_unsafe("is_present() waits for the database; in async code, await ais_present().")
    def is_present(self, user: Any) -> bool:
        """Whether ``user`` (a user, a ``Guest``, an ``Author`` or a ``Member``) is here."""
        return queries.is_present(self.name, _key(user))

    async def ais_present(self, user: Any) -> bool:
        """:meth:`is_present`, from async code."""
        return await sync_to_async(self.is_present)(user)

    @async_unsafe("disconnect() waits for the database; in async code, await adisconnect().")
    def disconnect(self, user: Any) -> bool:
        """End all connections that ``user`` has in this room, in every process; whether there are any.

        It is done within two seconds, or a look where the channel layer does not work; inside a transaction of yours,
        once that has committed. Their clients do not come back by themselves; whoever shall not come back at all has to
        be refused by ``can_join``.
        """
        key = _key(user)
        if not (in_host_transaction() and transaction.get_connection(settings.DATABASE).in_atomic_block):
            return apart_patiently(claims.expel, self.name, key)
        transaction.on_commit(
            lambda: apart_patiently(claims.expel, self.name, key), using=settings.DATABASE, robust=True
        )
        return queries.is_present(self.name, key)

    async def adisconnect(self, user: Any) -> bool:
        """:meth:`disconnect`, from async code."""
        return await sync_to_async(self.disconnect)(user)

    def _append(
        self,
        body: dict[str, Any] | None,
        author: Any,
        id: str | None,
        kind: Kind = Kind.MESSAGE,
        message: Entry | int | None = None,
    ) -> Append:
        text = BLANK if kind == Kind.REMOVAL else _value_error(frames.body_text, body, settings.BODY_BYTES)
        # The id comes before the first attempt, so that an attempt whose answer was lost can be repeated.
        chosen = secrets.token_urlsafe(12) if id is None else _value_error(frames.check_id, id)
        target = None if kind == Kind.MESSAGE else _offset(message)
        return Append(self.name, people.SERVER, chosen, text, _shown(author), kind, target)


class PublicRoom(Room):
    """Everybody may join and publish, guests too."""

    def can_join(self, user: Any) -> Any:
        return True

    def can_publish(self, user: Any) -> Any:
        return True


class SignedInRoom(Room):
    """Everybody with an account may join and publish."""

    def can_join(self, user: Any) -> Any:
        return user.is_authenticated

    def can_publish(self, user: Any) -> Any:
        return user.is_authenticated


def _write(item: Append) -> Entry:
    entry = writer.write(item)
    assert entry is not None
    return entry


async def _awrite(item: Append) -> Entry:
    entry = await sync_to_async(writer.pend)(item) or await writer.submit(item)
    assert entry is not None
    return entry


@async_unsafe("count_present() waits for the database; in async code, await acount_present().")
def count_present(rooms: Iterable[Room | str]) -> dict[str, int]:
    """How many people are in each of ``rooms``, by name, in one query."""
    return queries.counts(room.name if isinstance(room, Room) else room for room in rooms)


async def acount_present(rooms: Iterable[Room | str]) -> dict[str, int]:
    """:func:`count_present`, from async code."""
    return await sync_to_async(count_present)(rooms)


# Of the methods that a host may override, ours that are asked at each join and ask nobody else.
_QUICK = frozenset(
    (
        *(Room.can_join, Room.can_publish, Room.can_see_members, Room.presence_info),
        *(PublicRoom.can_join, PublicRoom.can_publish, SignedInRoom.can_join, SignedInRoom.can_publish),
    )
)


async def _asked(method: Any, *args: Any) -> Any:
    """What a method of the host's answers. A ``def`` may query: it runs in a thread of its own."""
    at_once = getattr(method, "__func__", None) in _QUICK or iscoroutinefunction(method)
    asked = method(*args) if at_once else await asking.run(method, *args)
    return await asked if inspect.isawaitable(asked) else asked


async def _awaited(verdict: Any) -> Any:
    return await verdict


def _is_by(user: Any, entry: Entry) -> bool:
    return entry.author is not None and entry.author.key == people.show(user).key


def _key(user: Any) -> str:
    return user.key if isinstance(user, Author | Member) else people.show(user).key


def _offset(message: Entry | int | None) -> int:
    offset = message.offset if isinstance(message, Entry) else message
    if not isinstance(offset, int) or isinstance(offset, bool) or not 1 <= offset <= MAX_INTEGER:
        raise ValueError(f"{message!r} is no message's offset, nor a message that has one; it comes with the commit.")
    return offset


def _shown(author: Any) -> Author | None:
    if author is None:
        return None
    return people.checked(author) if isinstance(author, Author) else people.show(author)


def _value_error(check: Any, *args: Any) -> Any:
    """What a frame may hold, for a caller in Python, who expects a ``ValueError``."""
    try:
        return check(*args)
    except frames.FrameError as error:
        raise ValueError(error.message) from None
