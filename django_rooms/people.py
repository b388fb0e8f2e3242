"""Who somebody is: to the log, to others in the room, and to the session that remembers a guest."""

import re
import secrets
import unicodedata
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from django.utils.functional import LazyObject, empty
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from django_rooms.conf import DEFAULTS, settings
from django_rooms.protocol.entries import Author
from django_rooms.protocol.text import check

SESSION_KEY = "django_rooms_guest"
MAX_GUEST_NAME = 40

# What the log has room for. A full name of Django's may have twice as many characters.
MAX_NAME = 150
MAX_KEY = 64


# Characters that are seen as nothing, though Unicode counts them as letters or marks.
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0]")


class Guest(AnonymousUser):
    """Somebody without an account, with a key that stays for as long as their session and a name of their choice."""

    def __init__(self, key: str, name: str = "") -> None:
        self.key = key
        self.name = name or _("Guest %(key)s") % {"key": key[-4:]}

    def __str__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Guest) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)


def person_of(request: HttpRequest) -> Any:
    """The request's user, or the guest that its session remembers; a new guest is remembered from now on.

    Without the session and the authentication middleware it is a guest whom nothing remembers.
    """
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return user
    session = getattr(request, "session", None)
    if session is None:
        return new_guest()
    guest = guest_in(session)
    if guest is None:
        guest = new_guest()
        # With the name, which is in the language of this request: on the socket it stays the same.
        session[SESSION_KEY] = {"key": guest.key, "name": guest.name}
    return guest


def person_in(scope: dict[str, Any]) -> Any:
    """The same for a consumer's scope, which cannot set a cookie any more: a new guest lasts for this connection."""
    user = scope.get("user")
    if user is not None and (user.is_authenticated or isinstance(user, Guest)):
        return user
    session = scope.get("session")
    return (guest_in(session) if session is not None else None) or new_guest()


def is_loaded(scope: dict[str, Any]) -> bool:
    """Whether nobody has to be asked who it is: user and session were read before, and ``show_user`` is ours."""
    user, session = scope.get("user"), scope.get("session")
    return (
        DEFAULTS["SHOW_USER"] == settings.SHOW_USER
        and not (isinstance(user, LazyObject) and user._wrapped is empty)
        and not (isinstance(session, LazyObject) and session._wrapped is empty)
        and (session is None or session.session_key is None or hasattr(session, "_session_cache"))
    )


def guest_in(session: Any) -> Guest | None:
    kept = session.get(SESSION_KEY)
    return Guest(kept["key"], kept.get("name", "")) if kept else None


def new_guest() -> Guest:
    return Guest("g" + secrets.token_hex(12))


def name_guest(request: HttpRequest, name: str) -> Guest:
    """Give the request's guest a name; raise ``ValidationError`` if it can't be had."""
    guest = Guest(person_of(request).key, check_guest_name(name))
    request.session[SESSION_KEY] = {"key": guest.key, "name": guest.name}
    return guest


def check_guest_name(name: str) -> str:
    """The name as it will be shown. A guest cannot take a user's name, nor their full name, in any case.

    Compatibility forms (``ａｎｎ``) are folded first. Letters of another script that look alike are not caught.
    """
    name = " ".join(unicodedata.normalize("NFKC", name).split())
    if not name:
        raise ValidationError(_("A name needs at least one character."), code="empty")
    if len(name) > MAX_GUEST_NAME:
        raise ValidationError(_("A name has at most %(most)d characters.") % {"most": MAX_GUEST_NAME}, code="long")
    if any(unicodedata.category(character).startswith("C") for character in name) or _INVISIBLE.search(name):
        raise ValidationError(_("A name has no control or invisible characters."), code="characters")
    if "@" in name:
        # An answer to "is it taken?" would tell which e-mail addresses have accounts.
        raise ValidationError(_("A guest's name has no @."), code="characters")
    if get_user_model()._default_manager.filter(_shown_as(name)).exists():
        raise ValidationError(_("Somebody with an account has the name “%(name)s”.") % {"name": name}, code="taken")
    return name


def _shown_as(name: str) -> Q:
    """The users whose username or full name is ``name``."""
    model = get_user_model()
    found = _is(model.USERNAME_FIELD, name)
    if {"first_name", "last_name"} <= {field.name for field in model._meta.get_fields()}:
        words = name.split(" ")
        for cut in range(len(words) + 1):
            found |= _is("first_name", " ".join(words[:cut])) & _is("last_name", " ".join(words[cut:]))
    return found


def _is(field: str, text: str) -> Q:
    """In any case: SQLite's own comparison knows only the cases of ASCII."""
    forms = [text, text.lower(), text.upper(), text.title(), text.capitalize()]
    return Q(**{f"{field}__iexact": text}) | Q(**{f"{field}__in": forms})


def sender_of(user: Any) -> str:
    """The log's name for who sent something, under which an id counts once. Never shown to others."""
    if isinstance(user, Guest):
        return f"g:{user.key}"
    return f"u:{user.pk}"


# Calls on a room's handle: no user can take one of its ids.
SERVER = "s:"


def show(user: Any) -> Author:
    """What others see of ``user``, by the ``SHOW_USER`` setting."""
    if not isinstance(user, Guest) and getattr(user, "pk", None) is None:
        raise ValueError(f"{user!r} is nobody to be shown: people.person_of(request) makes a guest of a visitor.")
    shown = checked(import_string(settings.SHOW_USER)(user))
    if shown.guest and not isinstance(user, Guest):
        raise ValueError(f"SHOW_USER gave {user!r} the key {shown.key!r}: keys that begin with g are guests'.")
    return shown


def checked(author: Author) -> Author:
    """As the log takes it: a name that is too long is cut; a key that is would be somebody else's."""
    if not author.key:
        raise ValueError(f"An author has a key; that of {author.name!r} is empty. Without an author it is the host.")
    if len(author.key) > MAX_KEY:
        raise ValueError(f"An author's key has at most {MAX_KEY} characters; this one has {len(author.key)}.")
    return check(Author(author.key, author.name[:MAX_NAME]))


def show_user(user: Any) -> Author:
    """An opaque key and a display name: full name, else username unless that is an e-mail address.

    The key is derived from the primary key under ``SECRET_KEY``: whoever changes that changes the keys of new entries.
    """
    if isinstance(user, Guest):
        return Author(user.key, user.name)
    key = "u" + salted_hmac("django_rooms.user", str(user.pk), algorithm="sha256").hexdigest()[:24]
    full_name = getattr(user, "get_full_name", str)().strip()
    username = user.get_username()
    name = full_name or ("" if "@" in username else username) or _("User %(key)s") % {"key": key[-4:]}
    return Author(key, name)
