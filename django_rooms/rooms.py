"""A room: what it declares, whom it lets in, and the handle to publish with. As a model is, it is all three."""

import asyncio
import inspect
import logging
import math
import secrets
from datetime import timedelta
from typing import Any, ClassVar, Literal, Self

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.conf import settings as django_settings
from django.utils.asyncio import async_unsafe

from django_rooms import people
from django_rooms.conf import settings
from django_rooms.feeds import hub
from django_rooms.log import pages, writer
from django_rooms.log.appends import Append
from django_rooms.log.pages import Page
from django_rooms.names import BadName, check_name
from django_rooms.patterns import Pattern
from django_rooms.protocol import frames
from django_rooms.protocol.entries import BLANK, Author, Entry, Kind
from django_rooms.protocol.text import MAX_INTEGER
from django_rooms.threads import asking

logger = logging.getLogger("django_rooms")

Action = Literal["join", "publish", "edit", "remove"]

POLICY_FAILED = "can_%s of the room %r failed; that is a refusal."


class Room:
    """Subclass it, say who may do what, and register it for the names of a pattern.

    ``name`` is the room's name and ``kwargs`` holds the values that its pattern took from it. The policy methods
    answer for what comes over the wire or by HTTP; calls on the handle ask no policy, as ``Model.save()`` asks no form.
    """

    patterns: ClassVar[tuple[Pattern, ...]] = ()

    # How long entries are kept, and how many; ``None``: for ever. ``manage.py rooms_prune`` deletes what is beyond.
    retention: ClassVar[timedelta | None] = None
    retention_entries: ClassVar[int | None] = None

    name: str
    kwargs: dict[str, Any]

    def __init__(self, **kwargs: Any) -> None:
        """The room that the values name: ``OrderRoom(pk=42)`` is ``orders/42``. Raises ``BadName``."""
        for pattern in type(self).patterns:
            # The text "042" makes a name too, but one that the pattern does not match.
            if (name := pattern.reverse(kwargs)) and (values := pattern.match(name)) is not None:
                self.name, self.kwargs = check_name(name), values
                return
        routes = ", ".join(repr(pattern.route) for pattern in type(self).patterns) or "none: it is not registered"
        raise BadName(f"No pattern of {type(self).__name__} ({routes}) makes a name of {kwargs!r}.")

    @classmethod
    def named(cls, name: str, kwargs: dict[str, Any]) -> Self:
        room = cls.__new__(cls)
        room.name, room.kwargs = name, kwargs
        return room

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
            asked = policy(user, *about) if iscoroutinefunction(policy) else await asking.run(policy, user, *about)
            return bool(await asked if inspect.isawaitable(asked) else asked)
        except Exception:
            logger.exception(POLICY_FAILED, action, self.name)
            return False

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

    def send_event(self, event: str, body: Any = None, *, author: Any = None) -> None:
        """Not stored. Tell everybody who is in the room now; it may be dropped, and is never waited for."""
        _value_error(frames.check_event, event, body, settings.BODY_BYTES)
        hub.tell(self.name, _value_error(frames.event, self.name, event, _shown(author), body))

    async def asend_event(self, event: str, body: Any = None, *, author: Any = None) -> None:
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
    entry = await sync_to_async(writer.pend)(item) or await asyncio.wrap_future(writer.submit(item))
    assert entry is not None
    return entry


async def _awaited(verdict: Any) -> Any:
    return await verdict


def _is_by(user: Any, entry: Entry) -> bool:
    return entry.author is not None and entry.author.key == people.show(user).key


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
