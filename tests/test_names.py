"""Any room's name has one valid group and one key of its own, in every script."""

import unicodedata

import pytest
from channels.layers import BaseChannelLayer, InMemoryChannelLayer
from channels_redis.core import RedisChannelLayer
from hypothesis import assume, given
from hypothesis import strategies as st

from django_rooms.names import (
    GROUP_LENGTH,
    MAX_LENGTH,
    BadName,
    canonical,
    check_name,
    entry_key,
    group_name,
    room_key,
)

# channels_redis's pub/sub layer checks nothing.
LAYERS = [BaseChannelLayer(), InMemoryChannelLayer(), RedisChannelLayer()]

visible = st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"])
# What the escapes are made of, where two names might come out alike.
tricky = st.sampled_from("_/.-a2eé0 :")


def is_good(name):
    try:
        return check_name(name) == name
    except BadName:
        return False


def names(alphabet, **sizes):
    texts = st.text(alphabet, min_size=1, max_size=MAX_LENGTH, **sizes)
    return texts.map(lambda text: unicodedata.normalize("NFC", text)).filter(is_good)


any_name = names(visible) | names(tricky)


def unescaped(group):
    """The name in a group's readable form."""
    name, rest = "", group.removeprefix("rooms.")
    while rest:
        character, rest = rest[0], rest[1:]
        if character == "_":
            code, _, rest = rest.partition("_")
            name += chr(int(code, 16)) if code else "_"
        else:
            name += "/" if character == "." else character
    return name


@given(any_name)
def test_a_group_is_valid_on_every_layer(name):
    group = group_name(name)
    assert len(group) <= GROUP_LENGTH < BaseChannelLayer.MAX_NAME_LENGTH
    assert group.isascii()
    for layer in LAYERS:
        layer.require_valid_group_name(group)


@given(any_name)
def test_a_group_can_be_read_back_unless_it_is_too_long(name):
    group = group_name(name)
    if group.startswith("rooms-long."):
        assert len("rooms.") + len(name) > GROUP_LENGTH - 6 * len(name)
    else:
        assert unescaped(group) == name


@given(any_name, any_name)
def test_two_names_never_share_a_group_or_a_key(one, other):
    assume(one != other)
    assert group_name(one) != group_name(other)
    assert room_key(one) != room_key(other)


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("lobby", "rooms.lobby"),
        ("orders/42", "rooms.orders.42"),
        ("a_b", "rooms.a__b"),
        ("a.b", "rooms.a_2e_b"),
        ("кухня", "rooms._43a__443__445__43d__44f_"),
        ("😀", "rooms._1f600_"),
    ],
)
def test_a_group_is_readable(name, group):
    assert group_name(name) == group


TWINS = [
    ("Lobby", "lobby"),
    ("löbby", "lobby"),
    ("lobby ", "lobby"),
    (" lobby", "lobby"),
    ("😀", "😁"),
    ("straße", "strasse"),
    ("a/b", "a.b"),
    ("a_b", "a__b"),
    ("_e9_", "é"),
    ("a" * 254, "a" * 255),
    ("會" * 100, "會" * 101),
    ("a" * 200 + "b", "a" * 200 + "c"),
]


@pytest.mark.parametrize(("one", "other"), TWINS, ids=ascii)
def test_names_that_look_alike_stay_apart(one, other):
    assert group_name(one) != group_name(other)
    assert room_key(one) != room_key(other)


@pytest.mark.parametrize(
    "name",
    [
        "lobby",
        "orders/42",
        "кухня",
        "会議室",
        "غرفة",
        "a b",
        "x" * 255,
        "...",
        "a/...",
        "%2F",
        "100%",
        "?",
        "#",
        "<b>",
        "'",
    ],
)
def test_a_good_name_is_returned_as_it_is(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "0"),
        ("x" * 256, "256"),
        ("x" * 10_000, "10000"),
        ("lobby\n", "U+000A"),
        ("a\0b", "U+0000"),
        ("a\x7fb", "U+007F"),
        ("a\u200bb", "U+200B"),
        ("a\u202eb", "U+202E"),
        ("\ufeffa", "U+FEFF"),
        ("a\ud83db", "U+D83D"),
        ("a\u2028b", "U+2028"),
        ("e\u0301", "form C"),
        ("\u212b", "form C"),
        ("/", "'.' or '..'"),
        ("/a", "'.' or '..'"),
        ("a/", "'.' or '..'"),
        ("a//b", "'.' or '..'"),
        (".", "'.' or '..'"),
        ("..", "'.' or '..'"),
        ("a/../b", "'.' or '..'"),
        (None, "NoneType"),
        (42, "int"),
        (b"lobby", "bytes"),
    ],
    ids=lambda value: ascii(value)[:20],
)
@pytest.mark.parametrize("function", [check_name, group_name, room_key])
def test_a_bad_name_is_refused_with_the_reason(function, name, why):
    with pytest.raises(BadName) as refused:
        function(name)
    assert why in str(refused.value)
    assert str(refused.value).encode()
    assert len(str(refused.value)) < 2000


@given(st.text())
def test_any_text_is_a_good_name_or_a_bad_one(text):
    if is_good(text):
        assert group_name(text)
    else:
        with pytest.raises(BadName):
            group_name(text)


@pytest.mark.parametrize(("meant", "name"), [(" lobby ", "lobby"), ("cafe\u0301", "café"), ("lobby", "lobby")])
def test_what_a_person_meant_is_brought_into_form(meant, name):
    assert canonical(meant) == name


def test_an_id_counts_once_per_room_and_sender():
    room, other_room = room_key("lobby"), room_key("kitchen")
    keys = {
        entry_key(room, "u:1", "a"),
        entry_key(room, "u:1", "A"),
        entry_key(room, "u:1", "a "),
        entry_key(room, "u:1", "ä"),
        entry_key(room, "u:2", "a"),
        entry_key(room, "g:1", "a"),
        entry_key(room, "s:", "a"),
        entry_key(room, "u:11", "a"),
        entry_key(other_room, "u:1", "a"),
    }
    assert len(keys) == 9
    assert entry_key(room, "u:1", "a") == entry_key(room_key("lobby"), "u:1", "a")


def test_the_keys_are_the_same_in_every_release():
    """They are in people's databases, and the groups are on the layer while two releases run beside each other."""
    assert str(room_key("lobby")) == "ba3b0e4e-0d07-5210-ba7a-01750159e3d6"
    assert str(entry_key(room_key("lobby"), "u:1", "a")) == "646ee66c-b83f-5f6e-bb03-1caa258d16ec"
    assert (
        group_name("x" * 255)
        == "rooms-long.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.0c693e67f0a9f4d68c462529285a3d7023fee202"
    )
