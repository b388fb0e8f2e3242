"""JSON that every database can store and every browser can read.

Python's ``json`` takes more than RFC 8259 allows, and each of these breaks somebody: ``NaN`` and ``Infinity`` make
every browser's ``JSON.parse`` throw, U+0000 is refused by PostgreSQL's ``text``, a lone surrogate has no UTF-8, an
integer beyond 2**53 - 1 is rounded in JavaScript (RFC 8259, section 6), and deep nesting ends in a RecursionError.
"""

import json
import math
from typing import Any

MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1
BEYOND = 2**53


class BadText(ValueError):
    """Not JSON that can be kept and shown; ``str()`` says why, in a sentence."""


def loads(text: str) -> Any:
    """The value of ``text``, still to be checked by :func:`check`: what it refuses may be but a part of it."""
    try:
        return _decode(text)
    except RecursionError:
        raise BadText(f"JSON may be nested {MAX_DEPTH} deep.") from None
    except json.JSONDecodeError as error:
        raise BadText(f"This is not JSON: {error.msg} at character {error.pos + 1}.") from None


def loads_sound(text: str) -> tuple[Any, bool]:
    """The value, and whether it is known to have nothing that :func:`check` refuses: so is nearly all that people send.

    ASCII that escapes nothing by its number has no character that is refused, and with so few brackets nothing is
    nested too deep. What is odd about a number is noticed as it is read.
    """
    if text.isascii() and "\\u" not in text and text.count("{") + text.count("[") <= MAX_DEPTH:
        try:
            return _decode_sound(text), True
        except (_Odd, json.JSONDecodeError):
            pass
    return loads(text), False


def dumps(value: Any) -> str:
    """The one text of ``value``: what is stored is what is sent."""
    try:
        return encoded(check(value))
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, BadText) else BadText(f"This cannot be written as JSON: {error}.") from None


# The text of what was checked before, or made here.
encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def size_of(text: str, errors: str = "strict") -> int:
    """Its bytes in UTF-8. ``errors``, as ``str.encode`` has it, is for what may be no text."""
    return len(text) if text.isascii() else len(text.encode(errors=errors))


def check(value: Any) -> Any:
    """Return ``value`` if all in it can be kept and shown, else raise :class:`BadText`."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _check_string(item)
            elif isinstance(item, dict):
                inner += item.keys()
                inner += item.values()
            elif isinstance(item, (list, tuple)):
                inner += item
            elif isinstance(item, int) and not -MAX_INTEGER <= item <= MAX_INTEGER:
                raise BadText("An integer is beyond 2**53 - 1, which browsers round; send it as a string.")
            elif isinstance(item, float) and not math.isfinite(item):
                raise BadText("NaN, Infinity and numbers too large for a browser are not JSON.")
        if not inner:
            return value
        level = inner
    raise BadText(f"JSON may be nested {MAX_DEPTH} deep.")


def _check_string(text: str) -> None:
    if "\0" in text:
        raise BadText("A string has the character U+0000, which databases refuse.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadText("A string has half of a surrogate pair, which is no character.") from None


def _integer(digits: str) -> int:
    # 2**53 has 16 digits; int() itself refuses thousands of them, and takes quadratic time before that.
    return int(digits) if len(digits) <= 17 else BEYOND


class _Odd(Exception):
    """A number that may be refused."""


def _sound_integer(digits: str) -> int:
    if len(digits) > 15:
        raise _Odd
    return int(digits)


def _sound_float(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise _Odd
    return number


def _no_constant(name: str) -> None:
    raise _Odd


# Made once: json.loads() makes a decoder for each call that wants one of its own.
_decode = json.JSONDecoder(parse_int=_integer).decode
_decode_sound = json.JSONDecoder(parse_int=_sound_integer, parse_float=_sound_float, parse_constant=_no_constant).decode
