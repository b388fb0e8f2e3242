"""The wire: what a client may say is checked before anything is done, and a refusal says what it answers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_rooms.protocol import frames
from django_rooms.protocol.codes import CloseCode, ErrorCode
from django_rooms.protocol.entries import Author, Position
from django_rooms.protocol.frames import (
    Edit,
    Event,
    FrameError,
    History,
    Join,
    Leave,
    Ping,
    Pong,
    Publish,
    Remove,
    decode,
)

BODY_BYTES = 1000


def read(frame):
    """What one frame is read as, given as a value or as text."""
    text = frame if isinstance(frame, str) else json.dumps(frame)
    (result,) = decode(text, body_bytes=BODY_BYTES)
    return result


def refused(frame):
    error = read(frame)
    assert isinstance(error, FrameError), error
    return error


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"type": "join", "room": "lobby"}, Join(None, "lobby")),
        (
            {"type": "join", "ref": 1, "room": "lobby", "position": {"epoch": "k3Zp", "offset": 41}, "history": 10},
            Join(1, "lobby", Position("k3Zp", 41), 10),
        ),
        ({"type": "join", "ref": "a"}, Join("a", None)),
        ({"type": "join", "position": None, "history": None}, Join(None, None)),
        ({"type": "join", "position": {"epoch": "", "offset": 0}}, Join(None, None, Position("", 0))),
        ({"type": "leave", "ref": 2, "room": "lobby"}, Leave(2, "lobby")),
        ({"type": "publish", "ref": 3, "room": "r", "id": "x", "body": {"t": "ü"}}, Publish(3, "r", "x", '{"t":"ü"}')),
        ({"type": "edit", "ref": 4, "room": "r", "id": "x", "target": 30, "body": {}}, Edit(4, "r", "x", 30, "{}")),
        ({"type": "remove", "ref": 5, "room": "r", "id": "x", "target": 1}, Remove(5, "r", "x", 1)),
        ({"type": "event", "room": "r", "event": "typing", "body": {"on": 1}}, Event(None, "r", "typing", {"on": 1})),
        ({"type": "event", "room": "r", "event": "typing"}, Event(None, "r", "typing", {})),
        ({"type": "event", "room": "r", "event": "typing", "body": None}, Event(None, "r", "typing", None)),
        ({"type": "history", "ref": 6, "room": "r"}, History(6, "r", None, 50)),
        ({"type": "history", "ref": 6, "room": "r", "before": 30, "limit": 256}, History(6, "r", 30, 256)),
        ({"type": "ping", "n": 7}, Ping(None, None, 7)),
        ({"type": "pong", "n": [1]}, Pong(None, None, [1])),
        ({"type": "ping", "n": 1, "something": "from a later version"}, Ping(None, None, 1)),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_a_good_frame_is_read(frame, expected):
    assert read(frame) == expected


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", ErrorCode.BAD_JSON),
        ("nonsense", ErrorCode.BAD_JSON),
        ('{"type":"ping"', ErrorCode.BAD_JSON),
        ("5", ErrorCode.BAD_FRAME),
        ("null", ErrorCode.BAD_FRAME),
        ('"ping"', ErrorCode.BAD_FRAME),
        ("[]", ErrorCode.BAD_FRAME),
        ("[[]]", ErrorCode.BAD_FRAME),
        ("{}", ErrorCode.UNKNOWN_TYPE),
        ({"type": "dance"}, ErrorCode.UNKNOWN_TYPE),
        ({"type": None}, ErrorCode.UNKNOWN_TYPE),
        ({"type": ["ping"]}, ErrorCode.UNKNOWN_TYPE),
        ({"type": {"ping": 1}}, ErrorCode.UNKNOWN_TYPE),
        ({"type": "__class__"}, ErrorCode.UNKNOWN_TYPE),
        ({"type": "welcome"}, ErrorCode.UNKNOWN_TYPE),
        ({"type": "ping", "ref": 1.5}, ErrorCode.BAD_FRAME),
        ({"type": "ping", "ref": True}, ErrorCode.BAD_FRAME),
        ({"type": "ping", "ref": [1]}, ErrorCode.BAD_FRAME),
        ({"type": "ping", "ref": "x" * 65}, ErrorCode.BAD_FRAME),
        ({"type": "join", "room": 5}, ErrorCode.BAD_FRAME),
        ({"type": "join", "room": {"name": "lobby"}}, ErrorCode.BAD_FRAME),
        ({"type": "join", "history": -1}, ErrorCode.BAD_FRAME),
        ({"type": "join", "history": 257}, ErrorCode.BAD_FRAME),
        ({"type": "join", "history": "10"}, ErrorCode.BAD_FRAME),
        ({"type": "join", "history": True}, ErrorCode.BAD_FRAME),
        ({"type": "join", "history": 1.0}, ErrorCode.BAD_FRAME),
        ({"type": "join", "position": 41}, ErrorCode.BAD_POSITION),
        ({"type": "join", "position": "41"}, ErrorCode.BAD_POSITION),
        ({"type": "join", "position": [1, 2]}, ErrorCode.BAD_POSITION),
        ({"type": "join", "position": {}}, ErrorCode.BAD_POSITION),
        ({"type": "join", "position": {"offset": 1}}, ErrorCode.BAD_POSITION),
        ({"type": "join", "position": {"epoch": "a", "offset": -1}}, ErrorCode.BAD_POSITION),
        ({"type": "join", "position": {"epoch": "a", "offset": "1"}}, ErrorCode.BAD_POSITION),
        ({"type": "join", "position": {"epoch": "a", "offset": 1.0}}, ErrorCode.BAD_POSITION),
        ({"type": "join", "position": {"epoch": "a", "offset": True}}, ErrorCode.BAD_POSITION),
        ({"type": "join", "position": {"epoch": "a", "offset": False}}, ErrorCode.BAD_POSITION),
        ({"type": "join", "position": {"epoch": 1, "offset": 1}}, ErrorCode.BAD_POSITION),
        ({"type": "join", "position": {"epoch": "x" * 33, "offset": 1}}, ErrorCode.BAD_POSITION),
        ({"type": "publish", "body": {}}, ErrorCode.BAD_ID),
        ({"type": "publish", "id": None, "body": {}}, ErrorCode.BAD_ID),
        ({"type": "publish", "id": "", "body": {}}, ErrorCode.BAD_ID),
        ({"type": "publish", "id": "x" * 65, "body": {}}, ErrorCode.BAD_ID),
        ({"type": "publish", "id": 7, "body": {}}, ErrorCode.BAD_ID),
        ({"type": "publish", "id": "a"}, ErrorCode.BAD_BODY),
        ({"type": "publish", "id": "a", "body": None}, ErrorCode.BAD_BODY),
        ({"type": "publish", "id": "a", "body": "hi"}, ErrorCode.BAD_BODY),
        ({"type": "publish", "id": "a", "body": [1]}, ErrorCode.BAD_BODY),
        ({"type": "publish", "id": "a", "body": 5}, ErrorCode.BAD_BODY),
        ({"type": "publish", "id": "a", "body": True}, ErrorCode.BAD_BODY),
        ({"type": "publish", "id": "a", "body": {"t": "x" * BODY_BYTES}}, ErrorCode.TOO_LARGE),
        ({"type": "publish", "id": "a", "body": {"t": "😀" * (BODY_BYTES // 4)}}, ErrorCode.TOO_LARGE),
        ({"type": "edit", "id": "a", "body": {}}, ErrorCode.BAD_FRAME),
        ({"type": "edit", "id": "a", "target": None, "body": {}}, ErrorCode.BAD_FRAME),
        ({"type": "edit", "id": "a", "target": 0, "body": {}}, ErrorCode.BAD_FRAME),
        ({"type": "edit", "id": "a", "target": "1", "body": {}}, ErrorCode.BAD_FRAME),
        ({"type": "edit", "id": "a", "target": True, "body": {}}, ErrorCode.BAD_FRAME),
        ({"type": "edit", "target": 1, "body": {}}, ErrorCode.BAD_ID),
        ({"type": "edit", "id": "a", "target": 1}, ErrorCode.BAD_BODY),
        ({"type": "edit", "id": "a", "target": 1, "body": {"t": "x" * BODY_BYTES}}, ErrorCode.TOO_LARGE),
        ({"type": "remove", "target": 1}, ErrorCode.BAD_ID),
        ({"type": "remove", "id": "a"}, ErrorCode.BAD_FRAME),
        ({"type": "event"}, ErrorCode.BAD_FRAME),
        ({"type": "event", "event": ""}, ErrorCode.BAD_FRAME),
        ({"type": "event", "event": "x" * 65}, ErrorCode.BAD_FRAME),
        ({"type": "event", "event": 5}, ErrorCode.BAD_FRAME),
        ({"type": "event", "event": "typing", "body": "on"}, ErrorCode.BAD_BODY),
        ({"type": "event", "event": "typing", "body": {"t": "x" * BODY_BYTES}}, ErrorCode.TOO_LARGE),
        ({"type": "history", "before": 0}, ErrorCode.BAD_FRAME),
        ({"type": "history", "before": "30"}, ErrorCode.BAD_FRAME),
        ({"type": "history", "limit": 0}, ErrorCode.BAD_FRAME),
        ({"type": "history", "limit": 257}, ErrorCode.BAD_FRAME),
    ],
    ids=lambda value: (value if isinstance(value, str) else json.dumps(value))[:60],
)
def test_a_bad_frame_is_refused_with_its_code_and_a_sentence(frame, code):
    error = refused(frame)
    assert error.code is code
    assert error.message.endswith(".")
    assert len(error.message) < 300
    json.loads(frames.error(error))


@pytest.mark.parametrize(
    "value",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "9" * 5000,
        "-" + "9" * 400,
        r'"\u0000"',
        r'"\ud83d"',
        "[" * 40 + "]" * 40,
    ],
    ids=lambda value: value[:12],
)
def test_a_body_that_cannot_be_kept_is_refused_with_the_frames_own_ref(value):
    frame = f'{{"type":"publish","ref":3,"room":"lobby","id":"a","body":{{"x":{value}}}}}'
    error = refused(frame)
    assert (error.code, error.ref, error.room) == (ErrorCode.BAD_JSON, 3, "lobby")


@pytest.mark.parametrize("value", [r'"\u0000"', r'"\ud83d"', "NaN", "9" * 5000, "[" * 40 + "]" * 40])
@pytest.mark.parametrize("field", ["ref", "room", "type", "n"])
def test_what_cannot_be_answered_is_refused_without_being_repeated(field, value):
    fields = {"type": '"ping"', field: value}
    error = refused("{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}")
    assert json.loads(frames.error(error))["ref"] is None


def test_a_nesting_deeper_than_pythons_stack_is_refused():
    assert refused("[" * 60_000).code is ErrorCode.BAD_JSON


def test_a_refusal_says_which_frame_it_answers():
    error = refused({"type": "publish", "ref": "r1", "room": "lobby", "id": "", "body": {}})
    assert (error.ref, error.room) == ("r1", "lobby")


def test_an_array_is_many_frames_and_a_bad_one_fails_no_other():
    first, second, third = decode('[{"type":"ping","n":1},{"type":"?"},{"type":"ping","n":2}]', body_bytes=10)
    assert (first, third) == (Ping(None, None, 1), Ping(None, None, 2))
    assert second.code is ErrorCode.UNKNOWN_TYPE


def test_a_value_that_cannot_be_kept_fails_no_other_frame_of_the_array():
    first, second = decode('[{"type":"ping","n":NaN,"ref":1},{"type":"ping","n":2}]', body_bytes=10)
    assert (first.code, first.ref) == (ErrorCode.BAD_JSON, 1)
    assert second == Ping(None, None, 2)


def test_an_array_has_at_most_64_frames():
    assert len(decode(json.dumps([{"type": "ping"}] * 64), body_bytes=10)) == 64
    (error,) = decode(json.dumps([{"type": "ping"}] * 65), body_bytes=10)
    assert error.code is ErrorCode.BAD_FRAME


def test_a_body_is_measured_in_bytes_of_what_is_stored():
    body = {"t": "ü" * 10}
    size = len('{"t":"' + "ü" * 10 + '"}') + 10
    assert frames.body_text(body, size)
    with pytest.raises(FrameError) as error:
        frames.body_text(body, size - 1)
    assert error.value.code is ErrorCode.TOO_LARGE


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
FIELDS = ["ref", "room", "id", "body", "position", "event", "before", "limit", "history", "n"]
almost_frames = st.fixed_dictionaries(
    {"type": st.sampled_from(["join", "leave", "publish", "event", "history", "ping", "pong"])},
    optional=dict.fromkeys(FIELDS, json_values),
)


@given(st.one_of(almost_frames, json_values, st.lists(almost_frames, max_size=3)).map(json.dumps) | st.text())
def test_whatever_comes_is_a_frame_or_an_error_that_can_be_sent(text):
    for result in decode(text, body_bytes=100):
        if isinstance(result, FrameError):
            json.loads(frames.error(result))
            frames.error(result).encode()
        elif isinstance(result, Ping):
            frames.pong(result.n).encode()


@pytest.mark.parametrize("room", ["\0", "\ud83d"], ids=ascii)
def test_a_refusal_of_a_room_that_is_no_text_can_be_sent(room):
    assert json.loads(frames.error(FrameError(ErrorCode.BAD_NAME, "No.", room=room)))["room"] is None


# What a server says.


def test_a_welcome_says_who_you_are_and_what_you_may_send():
    frame = frames.welcome(connection="c", user=Author("u1", "Ann"), ping=25, pong=10, limits={"frame": 5})
    assert json.loads(frame) == {
        "type": "welcome",
        "version": 1,
        "connection": "c",
        "user": {"key": "u1", "name": "Ann"},
        "ping": 25,
        "pong": 10,
        "limits": {"frame": 5},
    }


def test_a_joined_frame_has_its_entries_as_they_were_encoded():
    frame = frames.joined(
        1,
        "lobby",
        Position("e", 2),
        ['{"offset":1}', '{"offset":2}'],
        recovered=True,
        more=False,
        can={"publish": True},
        present='{"count":3}',
    )
    assert json.loads(frame) == {
        "type": "joined",
        "ref": 1,
        "room": "lobby",
        "position": {"epoch": "e", "offset": 2},
        "recovered": True,
        "more": False,
        "can": {"publish": True},
        "present": {"count": 3},
        "entries": [{"offset": 1}, {"offset": 2}],
    }


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (frames.entries("r", []), {"type": "entries", "room": "r", "entries": []}),
        (frames.entries("r", ["1"], epoch="e"), {"type": "entries", "room": "r", "epoch": "e", "entries": [1]}),
        (
            frames.reset("r", Position("e", 1), ["1"], "Why.", more=True),
            {
                "type": "reset",
                "room": "r",
                "position": {"epoch": "e", "offset": 1},
                "reason": "Why.",
                "more": True,
                "entries": [1],
            },
        ),
        (
            frames.history(6, "r", ["1"], more=True),
            {"type": "history", "ref": 6, "room": "r", "more": True, "entries": [1]},
        ),
        (frames.left(2, "r"), {"type": "left", "ref": 2, "room": "r"}),
        (frames.ok(3, 42), {"type": "ok", "ref": 3, "offset": 42}),
        (
            frames.event("r", "typing", Author("g", "Guest"), {"a": 1}),
            {
                "type": "event",
                "room": "r",
                "event": "typing",
                "author": {"key": "g", "name": "Guest"},
                "body": {"a": 1},
            },
        ),
        (frames.ping(7), {"type": "ping", "n": 7}),
        (frames.pong("x"), {"type": "pong", "n": "x"}),
        (
            frames.error(FrameError(ErrorCode.BUSY, "Wait.", 3, "r", retry_after=1.5)),
            {"type": "error", "ref": 3, "room": "r", "code": "busy", "message": "Wait.", "retry_after": 1.5},
        ),
        (
            frames.closing(CloseCode.RESTART, "Bye.", after=3.2),
            {"type": "closing", "code": 4001, "reason": "Bye.", "reconnect": True, "after": 3.2},
        ),
        (
            frames.closing(CloseCode.REFUSED, "No."),
            {"type": "closing", "code": 4502, "reason": "No.", "reconnect": False},
        ),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_a_frame_of_the_servers_is_as_the_wire_has_it(frame, expected):
    assert json.loads(frame) == expected
