"""Who a client shows as being in a room, and what it finds odd."""

import pytest
from here import Here

ANN, BOB = ({"key": key, "name": key.title(), "info": {}} for key in ("ann", "bob"))


def state(revision, *members):
    return {"revision": revision, "count": len(members), "members": list(members)}


def change(revision, count, joined=(), left=()):
    return {"revision": revision, "count": count, "joined": list(joined), "left": list(left)}


def shown(*frames):
    here = Here()
    for frame in frames:
        here.take(frame)
    return here


@pytest.mark.parametrize(
    ("frames", "keys"),
    [
        ([state(1, ANN)], {"ann"}),
        ([state(1, ANN), change(2, 2, [BOB])], {"ann", "bob"}),
        ([state(1, ANN, BOB), change(2, 1, left=["ann"])], {"bob"}),
        ([state(1, ANN), {"revision": 2, "count": 300}], set()),
        ([{"revision": 1, "count": 300}, state(5, BOB)], {"bob"}),
        ([state(1, ANN), change(2, 1, [{**ANN, "info": {"away": True}}])], {"ann"}),
    ],
)
def test_the_rule_is_followed(frames, keys):
    here = shown(*frames)
    assert (here.keys, here.odd) == (keys, [])


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([state(1, ANN), change(3, 1, [BOB])], "a difference at 3"),
        ([{"revision": 1, "count": 300}, change(2, 301, [BOB])], "a difference at 2"),
        ([state(1, ANN), change(2, 1, [ANN])], "told again of Ann"),
        ([state(1, ANN), change(2, 1, left=["bob"])], "bob left"),
        ([state(2, ANN), state(2, ANN)], "revision 2 after 2"),
        ([state(1, ANN), change(2, 1)], "no difference at 2"),
        ([{**state(1, ANN), "count": 2}], "counts 2 and names 1"),
    ],
)
def test_what_the_rule_does_not_allow_is_said(frames, words):
    (odd,) = shown(*frames).odd
    assert words in odd
