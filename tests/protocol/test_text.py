"""JSON that every database can store and every browser can read; the rest is refused with a sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_rooms.protocol.text import MAX_DEPTH, MAX_INTEGER, BadText, check, dumps, loads

characters = st.characters(codec="utf-8", exclude_characters="\0")
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-MAX_INTEGER, MAX_INTEGER),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(characters),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(characters), inner), max_leaves=20
)


def nested(depth):
    return "[" * depth + "1" + "]" * depth


@given(values)
def test_what_is_stored_is_what_is_sent_and_what_is_read_back(value):
    assert loads(dumps(value)) == value
    assert json.loads(dumps(value)) == value


def test_a_text_has_no_space_and_no_escapes_that_it_does_not_need():
    assert dumps({"text": "Grüße 😀", "n": [1, 2]}) == '{"text":"Grüße 😀","n":[1,2]}'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("{'a': 1}", "not JSON"),
        ('"open', "not JSON"),
        ("NaN", "NaN"),
        ("-Infinity", "Infinity"),
        ("1e999", "too large"),
        ("-1e999", "too large"),
        ("9007199254740992", "2**53"),
        ("-9007199254740992", "2**53"),
        ("9" * 5000, "2**53"),
        (r'"\u0000"', "U+0000"),
        (r'{"\u0000": 1}', "U+0000"),
        (r'"\ud83d"', "surrogate"),
        (r'{"\udc00": 1}', "surrogate"),
        (nested(MAX_DEPTH + 1), "deep"),
        (nested(100_000), "deep"),
    ],
    ids=lambda value: value[:20],
)
def test_a_bad_text_is_refused_with_the_reason(text, why):
    with pytest.raises(BadText) as refused:
        check(loads(text))
    assert why in str(refused.value)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("text", [nested(MAX_DEPTH), str(MAX_INTEGER), str(-MAX_INTEGER), "1e308", r'"\ud83d\ude00"'])
def test_what_is_at_the_edge_is_taken(text):
    assert loads(dumps(loads(text))) == json.loads(text)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        2**53,
        -(2**53),
        "\0",
        "\ud83d",
        {"a": "\udc00"},
        object(),
        {"at": {1, 2}},
        {(1, 2): 3},
        b"bytes",
    ],
    ids=repr,
)
def test_a_value_of_pythons_that_json_has_not_is_refused(value):
    with pytest.raises(BadText):
        dumps(value)


def test_a_value_that_holds_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(BadText, match="deep"):
        dumps(value)
