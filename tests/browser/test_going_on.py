"""Pages go on: where the server's rendering ends, through killed servers, and across processes."""

import threading

import pytest
import serving
from browser.tab import Section

pytestmark = pytest.mark.browser

# What Chromium itself writes while there is no server.
NO_SERVER = r"WebSocket connection to .* failed|ERR_CONNECTION_REFUSED"


@pytest.mark.parametrize("program", ["uvicorn", "daphne"])
def test_pages_go_on_after_kill_9_and_miss_nothing_and_double_nothing(serve, open_tab, room, program):
    server = serve(program)
    open_tab.expected.append(NO_SERVER)
    ann, bob = open_tab(server, f"rooms/{room}/"), open_tab(server, f"rooms/{room}/")
    ann.room().say("ann before")
    bob.room().say("bob before")
    bob.room().shows("ann before", "bob before")

    server.kill()
    for tab in (ann, bob):
        tab.room().status.and_(tab.page.locator(':not([data-state="live"])')).wait_for()
    ann.room().say("ann 1", "ann 2", "ann 3")
    bob.room().say("bob 1", "bob 2")
    serving.manage(server.variables, "say", room, "nobody saw it")
    server.start()

    everything = {"ann before", "bob before", "ann 1", "ann 2", "ann 3", "bob 1", "bob 2", "nobody saw it"}
    for tab in (ann, bob):
        tab.room().comes_to(len(everything))
        tab.room().is_in_state("live", "Live")
        assert tab.never_reloaded
    ann.room().say("and after")
    bob.room().comes_to(len(everything) + 1)
    said = bob.room().said()
    assert sorted(said[:-1]) == sorted(everything)
    assert said[-1] == "and after"
    assert [text for text in said if text.startswith("ann ")] == ["ann before", "ann 1", "ann 2", "ann 3"]
    ann.room().shows(*said)
    open_tab(server, f"rooms/{room}/").room().shows(*said)


def test_what_was_on_its_way_when_the_server_was_killed_is_stored_once(serve, open_tab, room):
    server = serve()
    open_tab.expected.append(NO_SERVER)
    ann, bob = open_tab(server, f"rooms/{room}/"), open_tab(server, f"rooms/{room}/")
    ann.room().is_in_state("live")
    bob.room().is_in_state("live")
    texts = [f"{n}" for n in range(20)]

    for round_, text in enumerate(texts):
        ann.room().say(text)
        if round_ in (5, 15):
            server.kill()
            server.start()

    for tab in (bob, ann):
        tab.room().comes_to(len(texts))
        tab.room().shows(*texts)


@pytest.mark.redis
@pytest.mark.parametrize("layer", ["core", "pubsub"])
def test_two_processes_joined_by_redis_serve_one_room(serve, open_tab, room, redis_url, layer):
    one, two = (serve(layer=layer, redis=redis_url, look=3600) for _ in range(2))
    ann, bob = open_tab(one, f"rooms/{room}/"), open_tab(two, f"rooms/{room}/")

    ann.room().say("from one")
    bob.room().shows("from one")
    bob.room().say("from two")

    ann.room().shows("from one", "from two")


def test_the_socket_goes_on_exactly_where_the_rendered_page_ends(server, open_tab, room):
    for n in range(3):
        server.post(f"publish/{room}/", text=f"{n}")
    tab = open_tab(server, "rooms/")

    def say_more_first(route):
        for n in range(3, 6):
            server.post(f"publish/{room}/", text=f"{n}")
        route.continue_()

    # After the page was rendered, and before it can open a socket.
    tab.page.route("**/page.js", say_more_first)
    tab.goto(f"rooms/{room}/")
    server.post(f"publish/{room}/", text="6")

    tab.room().shows(*map(str, range(7)))


def test_pages_that_load_while_others_publish_show_everything_once(server, open_tab, room):
    texts = [f"{n}" for n in range(40)]
    talking = threading.Thread(target=lambda: [server.post(f"publish/{room}/", text=text) for text in texts])
    talking.start()

    tabs = [open_tab(server, f"rooms/{room}/") for _ in range(3)]
    talking.join()

    for tab in tabs:
        tab.room().shows(*texts)


def test_a_section_that_comes_late_asks_again_for_what_could_not_be_read(server, open_tab, room):
    ann = open_tab(server, "rooms/")
    refusals = ann.refuse_once("history", code="unavailable", message="Not just now.", retry_after=0.1)
    ann.goto(f"rooms/{room}/")
    ann.room().say("one")
    ann.room().shows("one")

    # As it was rendered before anything was said.
    ann.page.evaluate(
        """() => {
            const section = document.querySelector("django-room");
            const late = section.cloneNode(true);
            late.dataset.offset = 0;
            late.querySelector('[data-part="entries"]').replaceChildren();
            late.id = "late";
            section.after(late);
        }"""
    )
    late = Section(ann.page.locator("#late"))
    late.shows("one")
    late.say("two")

    late.shows("one", "two")
    assert not refusals


def test_offline_says_so_in_words(serve, open_tab, room):
    server = serve()
    open_tab.expected.append(NO_SERVER)
    tab = open_tab(server, f"rooms/{room}/")
    tab.room().is_in_state("live", "Live")

    server.kill()

    tab.room().is_in_state("offline", "The connection was lost. Trying again…")
    tab.room().say("kept for later")
    tab.page.get_by_text("Sending…").wait_for()
    server.start()
    tab.room().comes_to(1)
    tab.room().shows("kept for later")
    tab.room().is_in_state("live", "Live")


def test_a_socket_that_cannot_be_opened_is_said_in_words(server, open_tab, room):
    tab = open_tab(server, "rooms/")
    tab.page.route_web_socket("**/ws/**", lambda socket: socket.close())

    tab.goto(f"rooms/{room}/")

    tab.room().is_in_state("offline", "The live connection cannot be opened. Trying again…")


def test_hashed_static_files_do_without_the_unhashed_ones(serve, open_tab, room, sqlite_url, tmp_path):
    folder = tmp_path / "static"
    serving.manage(serving.environment(sqlite_url, static_root=folder), "collectstatic", "--noinput", "--verbosity=0")
    hashed = [path for path in (folder / "django_rooms").rglob("*.*") if len(path.suffixes) == 2]
    assert {path.suffix for path in hashed} >= {".js", ".css"}
    for path in set((folder / "django_rooms").rglob("*.*")) - set(hashed):
        path.unlink()
    server = serve(static_root=folder)

    ann, bob = open_tab(server, f"rooms/{room}/"), open_tab(server, f"rooms/{room}/")
    ann.room().say("hashed")

    bob.room().shows("hashed")
