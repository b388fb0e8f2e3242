"""The documentation states what is shipped."""

import ast
import json
import re
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from django.contrib.auth.models import Group, User
from django.test.runner import DiscoverRunner
from readme import ROOT, blocks, page, rows, section
from registering import replace_registrations

import django_rooms
import host.asgi
from django_rooms import consumers, group_name, registry
from django_rooms.conf import DEFAULTS
from django_rooms.connection import attending, conversation, drain, publishing, pulse, sending, throttle, watch
from django_rooms.doorbell import bell
from django_rooms.feeds import budget
from django_rooms.log import writer
from django_rooms.presence import heart, recorder
from django_rooms.protocol import frames, text
from django_rooms.protocol.codes import CloseCode, ErrorCode
from django_rooms.protocol.presence import ROOM_AGAIN
from django_rooms.rooms import MAX_INFO, Room

README = page("README.md")
WIRE = page("docs/wire.md")
LIMITS = page("docs/limits.md")
PRESENCE = page("docs/presence.md")
PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


def test_the_readme_has_every_setting_with_its_default():
    stated = {key.strip("`"): ast.literal_eval(default.strip("`")) for key, default, *_ in rows(README, "key")}
    assert stated == DEFAULTS


def test_the_readme_has_the_floors_of_the_dependencies():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    options = setup["options"]
    wanted = [f"Python{options['python_requires']}", *options["install_requires"].split()]
    stated = re.search(r"^Python ≥ .*?channels ≥ [\d.]+\d", README, re.MULTILINE)[0]
    assert stated.replace(" ≥ ", ">=").split(", ") == wanted


def test_the_readme_names_every_extra_for_users():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for extra in set(setup["options.extras_require"]) - {"tests"}:
        assert f"`{extra}`" in README


def test_the_quick_start_begins_with_the_distribution_that_is_built():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    first = blocks(section(README, "## Quick start"))[0]
    assert first.commands[0] == f'pip install "{setup["metadata"]["name"]}[daphne]"'


def test_the_quick_start_says_where_each_block_goes():
    for block in blocks(section(README, "## Quick start")):
        if block.language == "console":
            assert all(line.startswith("$ ") for line in block.text.splitlines())
        else:
            assert block.path is not None


def test_the_wire_has_every_error_code_and_no_other():
    assert {code.strip("`") for code, *_ in rows(section(WIRE, "## Errors"), "code")} == set(ErrorCode)


def test_the_wire_has_every_close_code_and_whether_to_come_back():
    stated = {int(code): answer for code, _, answer in rows(section(WIRE, "## Closing"), "code")}
    assert stated == {int(code): "yes" if code.come_back else "no" for code in CloseCode}


def test_the_wire_has_every_frame_that_a_client_may_send():
    stated = {name.strip("`") for name, *_ in rows(section(WIRE, "## What a client says"), "frame")}
    assert stated == set(frames._READERS)


def test_the_wire_has_the_welcome_that_is_sent():
    example = re.search(r'\{"type":"welcome".*?"limits":\{[^}]*\}\}', WIRE, re.DOTALL)[0]
    stated = json.loads(example.replace("{…}", "null"))
    assert stated["version"] == frames.VERSION
    assert (stated["ping"], stated["pong"]) == (pulse.PING, pulse.PONG)
    assert stated["limits"] == {
        "frame": DEFAULTS["FRAME_BYTES"],
        "body": DEFAULTS["BODY_BYTES"],
        "batch": frames.MAX_BATCH,
        "id": frames.MAX_ID,
        "rooms": conversation.MAX_ROOMS,
        "history": frames.MAX_HISTORY,
        "in_flight": publishing.MAX_IN_FLIGHT,
    }


@pytest.mark.parametrize(
    "sentence",
    [
        f"`history`: 0 to {frames.MAX_HISTORY} newest entries for a fresh start, {frames.DEFAULT_HISTORY} if left out",
        f"an array of 1 to {frames.MAX_BATCH} frames",
        f"a string of at most {frames.MAX_REF} characters",
        f"a name of 1 to {frames.MAX_EVENT} characters",
        f"nested at most {text.MAX_DEPTH} deep",
        f"At most {DEFAULTS['BODY_BYTES']:,} bytes (`BODY_BYTES`)",
        f"{DEFAULTS['FRAME_BYTES']:,} bytes (`FRAME_BYTES`)",
        f"sends a `ping` behind every {pulse.STEP:,} bytes",
        f"may leave {pulse.UNANSWERED:,} bytes without that answer",
        f"Offer the sub-protocol `{frames.SUBPROTOCOL}`",
        f"Of one connection {throttle.RATE:g} a second are passed on, {throttle.BURST} at once after a pause",
        f"their last connection was lost (`GRACE`, {DEFAULTS['GRACE']:g} s)",
    ],
)
def test_the_wire_says(sentence):
    assert sentence in " ".join(WIRE.split())


@pytest.mark.parametrize(
    ("what", "bound"),
    [
        ("frames in an array", f"{frames.MAX_BATCH}"),
        ("rooms on a connection", f"{conversation.MAX_ROOMS}"),
        ("publishes of a connection in a room without an answer yet", f"{publishing.MAX_IN_FLIGHT}"),
        ("publishes that wait for a process's writer", f"{writer.MAX_WAITING:,}"),
        ("replies and events that wait for a connection", f"{sending.MAX_UNSENT // 2**20} MiB"),
        ("requests of a client that does not read the answers", f"{sending.MAX_UNSENT // 2**20} MiB"),
        ("bytes that a client has not said to have read", f"{pulse.UNANSWERED // 2**20} MiB"),
        ("one write to a socket", f"{sending.WRITE_TIMEOUT:g} s"),
        ("events of a connection", f"{throttle.RATE:g} a second, {throttle.BURST} at once"),
        ("people whom a room tells by name", f"`presence_names`, {Room.presence_names}"),
        ("what is told of a person beside their name", f"{MAX_INFO:,} bytes"),
        ("messages of your own that wait for one consumer", f"{consumers.MAX_INBOX}"),
        ("doorbells that wait for the layer", f"{bell.MAX_WAITING:,}"),
    ],
)
def test_the_limits_page_has_the_bound_of(what, bound):
    assert {row[0]: row[1] for row in rows(LIMITS, "what")}[what] == bound


def test_the_limits_page_says_how_long_an_end_takes_at_most():
    parts = drain.ENDING, recorder.ENDING, bell.TIMEOUT
    sentence = "{:g} for the sockets, {:g} for the database to learn that its people leave, {:g} for the layer"
    assert f"{sum(parts):g} s at most ({sentence.format(*parts)})" in " ".join(LIMITS.split())


# Seconds from a claim that is due until the last client of another process is told: the claim itself, a doorbell that
# was lost, and what had just been told, for long.
CLAIMED = 3 * recorder.GATHER
TOLD = 1.2 * DEFAULTS["LOOK"] + budget.LONGEST
SILENT = pulse.PING + pulse.PONG + 2 * watch.TICK


@pytest.mark.parametrize(
    ("somebody", "worst"),
    [
        ("closed the page", DEFAULTS["GRACE"] + CLAIMED + TOLD),
        ("fell silent: a pulled cable, a closed laptop", max(SILENT, attending.SILENCE) + CLAIMED + TOLD),
        ("was on a server that was killed", DEFAULTS["LEASE"] + CLAIMED + TOLD),
        ("was disconnected by the host", 2 * TOLD + CLAIMED),
        ("left the room by a `leave`", attending.BY_CHOICE + CLAIMED + TOLD),
    ],
)
def test_the_presence_page_says_in_time_when_somebody_is_gone(somebody, worst):
    stated = {row[0]: row[1] for row in rows(PRESENCE, "somebody")}[somebody]
    assert worst <= float(re.match(r"within (\d+) s", stated)[1]) <= worst + 2


def test_what_is_promised_on_the_limits_page_is_what_the_presence_page_says():
    figures = re.findall(r"\| within (\d+) s", section(PRESENCE, "## What holds"))[:3]
    sentence = (
        "{} s after their last connection was closed, {} s after they fell silent, and {} s after their server was"
    )
    assert sentence.format(*figures) in " ".join(section(LIMITS, "## Present").split())
    assert f"what is left of {attending.SILENCE:g} s of silence" in " ".join(LIMITS.split())


@pytest.mark.parametrize(
    "sentence",
    [
        f"it is good for {DEFAULTS['LEASE']:g} s (`LEASE`) and renewed every {({3: 'third'})[heart.BEATS]} of that",
        f"is still here for {DEFAULTS['GRACE']:g} s (`GRACE`)",
        f"`presence_names`, {Room.presence_names} unless you say otherwise",
        f"smaller than {({0.8: 'four fifths'})[ROOM_AGAIN]} of that",
        f"an object of at most {MAX_INFO:,} bytes",
        f"in a transaction each {({0.1: 'tenth'})[recorder.GATHER]} of a second",
    ],
)
def test_the_presence_page_says(sentence):
    assert sentence in " ".join(PRESENCE.split())


@pytest.mark.django_db
def test_the_readme_does_what_it_says_of_who_is_here(enter, monkeypatch):
    replace_registrations(monkeypatch, registry._registrations)
    registry.register("teams/<slug:team>", type("TeamRoom", (Room,), {}))
    user = User.objects.create(username="ann")
    enter("teams/kitchen", user)
    (use,) = blocks(section(README, "## Who is here"))

    names = {"request": SimpleNamespace(user=user)}
    values = [eval(line.split("  #")[0], names) for line in executed(use.text, names)]

    assert values == [["ann"], True, {"teams/kitchen": 1, "lobby": 0}, True]


def executed(code, names):
    """Execute what is no expression, and return the lines that are one."""
    tree = ast.parse(code)
    for statement in tree.body:
        if not isinstance(statement, ast.Expr):
            exec(ast.unparse(statement), names)
    return [ast.unparse(statement) for statement in tree.body if isinstance(statement, ast.Expr)]


@pytest.mark.django_db
def test_the_presence_page_tests_as_a_host_would(monkeypatch):
    """The class of the page, run as Django runs it."""
    (block,) = [block for block in blocks(PRESENCE) if block.path == "shop/tests.py"]
    asgi = ModuleType("mysite.asgi")
    asgi.application = host.asgi.application
    monkeypatch.setitem(sys.modules, "mysite", ModuleType("mysite"))
    monkeypatch.setitem(sys.modules, "mysite.asgi", asgi)
    names = {}
    exec(block.text, names)
    result = (
        DiscoverRunner().test_runner().run(DiscoverRunner.test_loader.loadTestsFromTestCase(names["PresenceTests"]))
    )
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])


def test_the_rooms_page_has_the_groups_that_names_get():
    table = rows(section(page("docs/rooms.md"), "## Names"), "name")
    assert table
    for name, group in table:
        assert group.strip("`") == group_name(name.strip("`"))


def test_the_architecture_page_names_every_module():
    tables = "".join(re.findall(r"^\|.*", section(page("docs/architecture.md"), "## Files"), re.MULTILINE))
    package = Path(django_rooms.__file__).parent
    spoken_of_as_one = {"protocol", "management", "migrations", "templatetags"}
    modules = [path.relative_to(package) for path in package.rglob("*.py") if path.stem != "__init__"]
    named = {path.as_posix() for path in modules if path.parts[0] not in spoken_of_as_one}
    assert set(re.findall(r"`([\w/]+\.py)`", tables)) == named


def test_the_architecture_page_has_the_layers_that_are_checked():
    contracts = tomllib.loads(page("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    wanted = [layer.split(" : ") for layer in contracts[0]["layers"]]
    drawn = re.search(r"^    routing.*?protocol$", page("docs/architecture.md"), re.MULTILINE | re.DOTALL)[0]
    assert [layer.strip().split(", ") for layer in drawn.split("→")] == wanted


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    folder = (ROOT / name).parent
    for target in re.findall(r"\]\(([^)#]+)\)", page(name)):
        assert (folder / target).exists()


@pytest.mark.parametrize("name", PAGES)
def test_python_is_python(name):
    for block in blocks(page(name)):
        if block.language == "python":
            compile(block.text, f"{name}: {block.path}", "exec")


@pytest.mark.django_db
def test_the_readme_does_what_it_says_of_rooms_in_python(monkeypatch):
    rooms, use = blocks(section(README, "## Rooms in Python"))
    replace_registrations(monkeypatch)
    module = ModuleType("chat.rooms")
    exec(rooms.text, module.__dict__)
    monkeypatch.setitem(sys.modules, "chat", ModuleType("chat"))
    monkeypatch.setitem(sys.modules, "chat.rooms", module)
    user = User.objects.create(username="ann")
    user.groups.add(Group.objects.create(name="kitchen"))

    names = {"request": SimpleNamespace(user=user)}
    exec(use.text, names)

    assert (names["entry"].offset, names["entry"].author.name) == (1, "ann")
    room = names["room"]
    assert [entry.body for entry in room.history()] == [None, {"text": "Soup is out"}]
    assert room.allows("join", user)
    assert not room.allows("join", User.objects.create(username="bob"))
