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
from readme import ROOT, blocks, page, rows, section

import django_rooms
from django_rooms import consumers, group_name, registry
from django_rooms.conf import DEFAULTS
from django_rooms.connection import conversation, publishing, pulse, sending
from django_rooms.doorbell import bell
from django_rooms.log import writer
from django_rooms.protocol import frames, text
from django_rooms.protocol.codes import CloseCode, ErrorCode

README = page("README.md")
WIRE = page("docs/wire.md")
LIMITS = page("docs/limits.md")
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
        ("messages of your own that wait for one consumer", f"{consumers.MAX_INBOX}"),
        ("doorbells that wait for the layer", f"{bell.MAX_WAITING:,}"),
    ],
)
def test_the_limits_page_has_the_bound_of(what, bound):
    assert {row[0]: row[1] for row in rows(LIMITS, "what")}[what] == bound


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
    monkeypatch.setattr(registry, "_registrations", {})
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
