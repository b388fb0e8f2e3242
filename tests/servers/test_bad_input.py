"""Nobody can send anything that is not answered, or that anybody else would notice."""

import json
import uuid
from contextlib import suppress

import pytest
from servers.client import Lost

pytestmark = pytest.mark.servers

LONG = 64 * 1024


def publish(body_text, **fields):
    """The text of a publish whose body is not for Python's own encoder to write."""
    frame = json.dumps({"type": "publish", "ref": 7, "id": "bad", **fields})
    return f'{frame[:-1]},"body":{body_text}}}'


def join(**fields):
    return json.dumps({"type": "join", "ref": 7, "room": "lobby", **fields})


NO_JSON = {
    "no JSON": "hello",
    "nothing": "",
    "half of a frame": '{"type":"publish"',
    "JSON and more": '{"type":"ping"} {"type":"ping"}',
    "binary garbage": b"\x00\xff\xfe\x80garbage",
    "deeply nested arrays": "[" * 30_000,
    "deeply nested arrays that end": "[" * 30_000 + "]" * 30_000,
    "NaN": publish('{"text":NaN}'),
    "Infinity": publish('{"n":-Infinity}'),
    "1e999": publish('{"n":1e999}'),
    "an integer of 5,000 digits": publish('{"n":' + "9" * 5_000 + "}"),
    "an integer that browsers round": publish('{"n":9007199254740993}'),
    "U+0000 in a body": publish(r'{"text":"a\u0000b"}'),
    "U+0000 in a key": publish(r'{"a\u0000b":1}'),
    "a lone surrogate": publish(r'{"text":"\ud800"}'),
    "a lone surrogate in an id": publish('{"text":"hi"}', id="\udfff"),
    "a nested body": publish('{"a":' * 40 + "1" + "}" * 40),
}

REFUSED = {
    "no object": ("7", "bad_frame"),
    "a string": ('"hello"', "bad_frame"),
    "an empty array": ("[]", "bad_frame"),
    "65 frames": (json.dumps([{"type": "ping"}] * 65), "bad_frame"),
    "arrays in an array": ("[[]]", "bad_frame"),
    "no type": ('{"ref":7}', "unknown_type"),
    "an unknown type": ('{"type":"_handle"}', "unknown_type"),
    "a type that is an object": ('{"type":{}}', "unknown_type"),
    "a ref that is an object": ('{"type":"ping","ref":{}}', "bad_frame"),
    "a ref that is true": ('{"type":"ping","ref":true}', "bad_frame"),
    "a long ref": (json.dumps({"type": "ping", "ref": "x" * 65}), "bad_frame"),
    "a room that is a number": ('{"type":"join","room":1}', "bad_frame"),
    "a room that is not joined": (publish("{}", room="notes/elsewhere"), "not_joined"),
    "a name of 10,000 characters": (join(room="x" * 10_000), "bad_name"),
    "an empty name": (join(room=""), "bad_name"),
    "a name with a line break": (join(room="lobby\n"), "bad_name"),
    "a name with two dots": (join(room="notes/../lobby"), "bad_name"),
    "an invisible twin of a name": (join(room="lob\u200bby"), "bad_name"),
    "an unknown room": (join(room="nowhere"), "unknown_room"),
    "a room that is not a canonical name": (join(room="orders/042"), "unknown_room"),
    "a closed room": (join(room="closed"), "forbidden"),
    "a room for the signed in": (join(room="members/club"), "forbidden"),
    "a position that is a number": (join(position=3), "bad_position"),
    "a position without an epoch": (join(position={"offset": 1}), "bad_position"),
    "a negative offset": (join(position={"epoch": "x", "offset": -1}), "bad_position"),
    "an offset that is a string": (join(position={"epoch": "x", "offset": "1"}), "bad_position"),
    "an offset that is true": (join(position={"epoch": "x", "offset": True}), "bad_position"),
    "an offset that is a fraction": (join(position={"epoch": "x", "offset": 1.5}), "bad_position"),
    "a long epoch": (join(position={"epoch": "x" * 33, "offset": 1}), "bad_position"),
    "too much history": (join(history=257), "bad_frame"),
    "history before the beginning": ('{"type":"history","before":0}', "bad_frame"),
    "no body": ('{"type":"publish","id":"bad"}', "bad_body"),
    "a body that is an array": (publish("[]"), "bad_body"),
    "a large body": (publish(json.dumps({"text": "x" * (32 * 1024)})), "too_large"),
    "no id": ('{"type":"publish","body":{}}', "bad_id"),
    "an id that is a number": (publish("{}", id=7), "bad_id"),
    "an empty id": (publish("{}", id=""), "bad_id"),
    "a long id": (publish("{}", id="x" * 65), "bad_id"),
    "an event without a name": ('{"type":"event","body":{}}', "bad_frame"),
    "an event that is an array": ('{"type":"event","event":"typing","body":[]}', "bad_body"),
}

BAD = {**{what: (message, "bad_json") for what, message in NO_JSON.items()}, **REFUSED}


@pytest.mark.parametrize("what", BAD)
async def test_a_bad_frame_is_answered_and_the_socket_lives_on(any_server, connect, room, what):
    message, code = BAD[what]
    ann, bob = await connect(any_server, room), await connect(any_server, room)

    await ann.raw(message)

    error = await ann.frame("error")
    assert error["code"] == code
    assert error["message"].endswith(".")
    await ann.publish(room, "still here")
    assert await bob.texts(room, last="still here") == ["still here"]


async def test_a_bad_frame_of_an_array_does_not_touch_its_neighbours(any_server, connect, room):
    ann = await connect(any_server, room)
    good = [{"type": "publish", "ref": n, "id": f"{n}", "body": {"text": f"{n}"}} for n in (1, 2)]

    await ann.send(good[0], {"type": "what?", "ref": 9}, [], good[1])

    assert (await ann.frame("error", ref=9))["code"] == "unknown_type"
    assert (await ann.frame("error", ref=None))["code"] == "bad_frame"
    assert await ann.texts(room, count=2) == ["1", "2"]


async def test_an_unknown_position_is_answered_with_the_newest_page(any_server, connect, room):
    ann, bob = await connect(any_server, room), await connect(any_server)
    await ann.publish(room, "hi")

    for position in ({"epoch": "other", "offset": 0}, {"epoch": ann.position(room).epoch, "offset": 2**53 - 1}):
        joined = await bob.ask("join", room=room, position=position)
        assert (joined["recovered"], joined["position"]) == (False, ann.position(room).as_dict())


async def test_a_message_of_64_kib_is_taken_and_one_byte_more_closes_the_socket(any_server, connect, room):
    ann = await connect(any_server, room)
    ping = '{"type":"ping","n":1}'

    await ann.raw(ping.ljust(LONG))
    assert await ann.frame("pong", n=1)
    await ann.raw(ping.ljust(LONG + 1))

    assert (await ann.frame("error"))["code"] == "too_large"
    assert (await ann.frame("closing"))["reconnect"] is False
    assert await ann.close_code() == 4501


async def test_bytes_are_counted_and_not_characters(any_server, connect, room):
    ann = await connect(any_server, room)

    await ann.raw(json.dumps({"type": "ping", "n": "я" * 33_000}, ensure_ascii=False))

    assert await ann.close_code() == 4501


async def test_an_oversized_message_is_never_a_crash(any_server, connect, room):
    ann = await connect(any_server, room)

    # A server may close, or drop the connection while it is still written to.
    with suppress(Lost):
        await ann.raw("x" * (4 * 1024 * 1024))

    assert await ann.close_code() in (1006, 1009, 4501)
    bob = await connect(any_server, room)
    await bob.publish(room, "fine")


@pytest.mark.parametrize("path", ["ws/elsewhere/", "elsewhere", "", "ws/rooms"])
async def test_an_unknown_path_says_so(any_server, connect, path):
    ann = await connect(any_server, path=path)

    assert (await ann.frame("error"))["code"] == "not_found"
    assert await ann.close_code() == 4504


@pytest.mark.parametrize(
    ("name", "code", "close"),
    [
        ("nowhere", "unknown_room", 4504),
        ("x" * 4_000, "bad_name", 4504),
        ("lobby%0A", "not_found", 4504),
        ("notes/a%00b", "bad_name", 4504),
        ("notes/a%00b/?offset=-1", "bad_position", 4502),
        ("closed", "forbidden", 4502),
        ("lobby/?offset=-1", "bad_position", 4502),
        ("lobby/?epoch=x&offset=99999999999999999999", "bad_position", 4502),
    ],
)
async def test_a_bad_room_in_the_url_says_so(any_server, connect, name, code, close):
    ann = await connect(any_server, path=f"ws/rooms/{name}" if "?" in name else f"ws/rooms/{name}/")

    assert (await ann.frame("error"))["code"] == code
    assert await ann.close_code() == close


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "garbage", "http://127.0.0.1.evil.example"])
async def test_a_foreign_origin_is_refused_before_accepting(any_server, connect, origin):
    from websockets.exceptions import InvalidStatus

    with pytest.raises(InvalidStatus) as refusal:
        await connect(any_server, origin=origin)

    assert refusal.value.response.status_code in (400, 403)


async def test_whoever_leaves_without_a_word_leaves_nothing_behind(any_server, connect, room):
    ann, bob = await connect(any_server, room), await connect(any_server, room)

    bob.socket.transport.abort()
    for n in range(20):
        await ann.publish(room, f"{n}", id=uuid.uuid4().hex)

    assert len(await ann.texts(room, count=20)) == 20
