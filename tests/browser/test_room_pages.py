"""The page that people see, in Chromium, under a strict Content-Security-Policy."""

import pytest
import serving
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_two_tabs_of_one_room_see_each_other_and_another_room_hears_nothing(server, open_tab, room):
    ann, bob = open_tab(server, f"rooms/{room}/"), open_tab(server, f"rooms/{room}/")
    elsewhere = open_tab(server, f"rooms/{room}/elsewhere/")

    ann.room().say("Hello!")
    bob.room().shows("Hello!")
    bob.room().say("Hello yourself!")
    ann.room().shows("Hello!", "Hello yourself!")

    elsewhere.room().say("Anybody here?")
    elsewhere.room().shows("Anybody here?")


def test_a_reload_shows_what_was_said(server, open_tab, room):
    ann = open_tab(server, f"rooms/{room}/")
    ann.room().say("one", "two")
    ann.room().shows("one", "two")

    ann.goto(f"rooms/{room}/")

    ann.room().shows("one", "two")
    ann.room().say("three")
    ann.room().shows("one", "two", "three")


def test_two_rooms_on_one_page_share_a_socket_and_nothing_else(server, open_tab, room):
    both = open_tab(server, f"together/?room={room}/a&room={room}/b")
    alone = open_tab(server, f"rooms/{room}/b/")

    both.room(f"{room}/a").say("into a")
    both.room(f"{room}/b").say("into b")
    alone.room().shows("into b")
    alone.room().say("back")

    both.room(f"{room}/a").shows("into a")
    both.room(f"{room}/b").shows("into b", "back")


def test_one_room_twice_on_a_page_shows_everything_twice(server, open_tab, room):
    page = open_tab(server, f"together/?room={room}&room={room}").page

    field = page.locator('[data-part="text-field"]').first
    field.fill("hi")
    field.press("Enter")

    page.locator('[data-part="entries"] > [data-offset]').nth(1).wait_for()
    assert page.locator('[data-part="entries"] [data-part="text"]').all_text_contents() == ["hi", "hi"]


@pytest.mark.parametrize("name", ["notes/кухня", "notes/会議室", "notes/a b&c?d#e%f"])
def test_a_room_of_any_script_is_entered_by_its_name(server, open_tab, name):
    ann, bob = open_tab(server, "rooms/"), open_tab(server, "rooms/")

    for tab in (ann, bob):
        tab.page.get_by_label("Enter a room by its name").fill(name)
        tab.page.get_by_role("button", name="Enter").click()
        expect(tab.page.get_by_role("heading")).to_have_text(name)
    ann.room().say("да, はい")

    bob.room().shows("да, はい")


def test_a_guest_picks_a_name_under_which_others_see_them(server, open_tab, room):
    ann, bob = open_tab(server, f"rooms/{room}/"), open_tab(server, f"rooms/{room}/")

    ann.page.get_by_text("You are").click()
    ann.page.get_by_label("Your name here").fill("Ann of Green Gables")
    ann.page.get_by_role("button", name="Take this name").click()
    ann.page.get_by_text("Message as Ann of Green Gables").wait_for()
    ann.room().say("It's me")

    bob.room().shows("It's me")
    assert bob.room().locator.locator('[data-part="author"]').first.inner_text() == "Ann of Green Gables"


def test_what_people_write_is_text_and_never_markup(server, open_tab, room):
    ann, bob = open_tab(server, f"rooms/{room}/"), open_tab(server, f"rooms/{room}/")
    markup = "<img src=x onerror=alert(1)> & </script><b>bold</b> {{ braces }}"

    ann.room().say(markup)

    bob.room().shows(markup)
    late = open_tab(server, f"rooms/{room}/")
    late.room().shows(markup)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("rooms/closed/", 403, "This room is closed to you"),
        ("rooms/members/club/", 403, "This room is closed to you"),
        ("rooms/nowhere/", 404, "There is no such room"),
        ("together/?room=closed", 200, "This room is closed to you"),
        ("together/?room=nowhere", 200, "There is no such room"),
    ],
)
def test_a_refused_room_renders_why(server, open_tab, path, status, words):
    open_tab.expected.append(f"the server responded with a status of {status}")

    tab = open_tab(server, path)

    assert tab.response.status == status
    tab.page.get_by_role("heading", name=words).wait_for()
    assert tab.page.locator(".django-rooms-refused").inner_text().rstrip().endswith(".")


def test_under_debug_a_refusal_teaches(serve, open_tab):
    server = serve(debug=1)
    open_tab.expected.append("the server responded with a status of 404")

    refused = open_tab(server, "rooms/nowhere/").page.locator(".django-rooms-refused")

    assert "register(" in refused.inner_text()
    assert "orders/<int:pk>" in refused.inner_text()


def test_older_messages_are_fetched_when_asked_for(server, open_tab, room):
    serving.manage(server.variables, "say", room, *map(str, range(1, 121)))
    tab = open_tab(server, f"rooms/{room}/")
    tab.room().shows(*map(str, range(71, 121)))

    older = tab.page.get_by_role("button", name="Older messages")
    older.click()
    tab.room().shows(*map(str, range(21, 121)))
    older.click()

    tab.room().shows(*map(str, range(1, 121)))
    assert older.is_hidden()


def test_older_messages_can_be_asked_for_only_where_they_can_come(server, open_tab, room):
    serving.manage(server.variables, "say", room, *map(str, range(1, 61)))
    tab = open_tab(server, f"rooms/{room}/")
    older = tab.page.get_by_role("button", name="Older messages")

    tab.unplug()
    assert older.is_disabled()
    tab.plug_in()

    older.click()  # waits until it may be
    tab.room().shows(*map(str, range(1, 61)))


def test_the_policy_that_pages_live_under_is_strict_and_its_violations_are_seen(server, open_tab, room):
    tab = open_tab(server, f"rooms/{room}/")
    open_tab.expected.append("Content Security Policy")

    assert tab.response.headers["content-security-policy"].startswith("default-src 'self'")
    with tab.page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        tab.page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {text: 'window.hacked = 1'}))"
        )

    assert tab.page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in line for line in tab.complaints)
