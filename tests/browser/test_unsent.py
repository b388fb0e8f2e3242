"""What somebody wrote and the server has not answered, over reloads, closed tabs and other people."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def visible(tab, words):
    return tab.page.get_by_text(words).and_(tab.page.locator(":visible"))


def test_what_was_written_offline_is_shown_after_a_reload_and_sent_once_and_in_order(server, open_tab, room):
    ann, bob = open_tab(server, f"rooms/{room}/"), open_tab(server, f"rooms/{room}/")
    ann.room().say("before")
    bob.room().shows("before")

    ann.unplug()
    ann.room().say("1", "2", "3")
    for _ in range(2):
        ann.goto(f"rooms/{room}/")
        expect(ann.room().texts).to_have_text(["before", "1", "2", "3"])
        expect(visible(ann, "Sending…")).to_have_count(3)
    ann.room().say("4")
    ann.plug_in()

    bob.room().shows("before", "1", "2", "3", "4")
    ann.room().shows("before", "1", "2", "3", "4")
    expect(visible(ann, "Sending…")).to_have_count(0)
    ann.keeps_nothing()
    bob.room().say("after")
    ann.room().shows("before", "1", "2", "3", "4", "after")


def test_what_was_stored_and_not_answered_is_shown_once_after_a_reload(server, open_tab, room):
    ann, bob = open_tab(server, f"rooms/{room}/"), open_tab(server, f"rooms/{room}/")
    ann.hear_no_more()
    ann.goto(f"rooms/{room}/")
    ann.room().is_in_state("live")

    ann.room().say("heard by bob")
    bob.room().shows("heard by bob")
    expect(visible(ann, "Sending…")).to_have_count(1)
    ann.unplug()
    ann.deaf = False
    ann.goto(f"rooms/{room}/")

    ann.room().shows("heard by bob")
    ann.plug_in()
    ann.room().is_in_state("live", "Live")
    ann.room().shows("heard by bob")
    expect(visible(ann, "Sending…")).to_have_count(0)
    ann.room().say("a sign")
    ann.room().shows("heard by bob", "a sign")
    ann.keeps_nothing()


def test_a_duplicated_tab_sends_nothing_twice(server, open_tab, room):
    ann = open_tab(server, f"rooms/{room}/")
    ann.unplug()
    ann.room().say("1", "2")
    stored = ann.page.evaluate("JSON.stringify(sessionStorage)")
    twin = open_tab(server, "rooms/", person=ann)
    # As a browser does it that duplicates a tab.
    twin.page.evaluate("stored => Object.assign(sessionStorage, JSON.parse(stored))", stored)
    twin.goto(f"rooms/{room}/")
    twin.room().shows("1", "2")

    ann.plug_in()

    for tab in (ann, twin):
        tab.room().is_in_state("live", "Live")
        tab.room().shows("1", "2")
        expect(visible(tab, "Sending…")).to_have_count(0)
        tab.keeps_nothing()


def test_what_one_person_wrote_is_neither_shown_nor_sent_nor_kept_for_the_next(server, open_tab, room):
    ann = open_tab(server, f"rooms/{room}/")
    ann.unplug()
    ann.room().say("ann's secret")
    assert "secret" in ann.page.evaluate("JSON.stringify(sessionStorage)")

    ann.context.clear_cookies()
    ann.goto(f"rooms/{room}/")
    assert "secret" not in ann.page.content()
    ann.plug_in()

    ann.room().is_in_state("live", "Live")
    assert ann.page.evaluate("sessionStorage.length") == 0
    ann.room().say("somebody else's")
    ann.room().shows("somebody else's")


def test_a_page_that_stays_while_its_reader_changes_hides_what_was_not_sent(server, open_tab, room):
    ann = open_tab(server, f"rooms/{room}/")
    ann.room().say("hello")
    ann.room().shows("hello")
    ann.unplug()
    ann.room().say("ann's secret")

    ann.context.clear_cookies()
    ann.plug_in()

    ann.page.get_by_role("alert").get_by_text("You are somebody else now, so this was not sent.").wait_for()
    assert "secret" not in ann.page.content()
    assert ann.page.evaluate("sessionStorage.length") == 0
    expect(visible(ann, "Try again")).to_have_count(0)
    assert ann.room().entry("hello").locator('[data-part="acts"]:not([hidden])').count() == 0
    ann.page.get_by_role("button", name="Discard").click()
    ann.room().shows("hello")


def test_what_is_refused_is_marked_also_after_a_reload_and_can_be_tried_again_or_discarded(server, open_tab, room):
    ann = open_tab(server, f"rooms/{room}/")
    bad = "x" * 20
    ann.refuse_bodies_with(bad)
    ann.goto(f"rooms/{room}/")
    ann.room().say(bad, "good", f"{bad} too")
    expect(visible(ann, "Not with me.")).to_have_count(2)

    ann.goto(f"rooms/{room}/")
    expect(visible(ann, "Not with me.")).to_have_count(2)
    expect(ann.room().texts).to_have_text(["good", bad, f"{bad} too"])
    ann.room().unsent(f"{bad} too").get_by_role("button", name="Discard").click()
    ann.refuse_bodies_with(None)
    ann.goto(f"rooms/{room}/")
    expect(ann.room().texts).to_have_text(["good", bad])
    ann.room().unsent(bad).get_by_role("button", name="Try again").click()

    ann.room().shows("good", bad)
    ann.keeps_nothing()


def test_what_waits_in_a_closed_tab_goes_on_in_another_where_the_host_wants_it(server, open_tab, room):
    ann, bob = open_tab(server, f"together/?room={room}&keep=browser"), open_tab(server, f"rooms/{room}/")
    ann.room().is_in_state("live")
    ann.unplug()
    ann.room().say("1", "2")
    other = open_tab(server, f"together/?room={room}&keep=browser", person=ann)
    other.room().is_in_state("live")
    expect(other.room().texts).to_have_count(0)

    ann.page.close()

    other.room().shows("1", "2")
    bob.room().shows("1", "2")
    other.keeps_nothing("localStorage")


def test_a_storage_that_is_forbidden_is_done_without(server, open_tab, room):
    ann = open_tab(server, "rooms/")
    ann.page.add_init_script(
        "for (const name of ['sessionStorage', 'localStorage'])"
        "  Object.defineProperty(window, name, { get() { throw new DOMException('Denied', 'SecurityError'); } });"
    )
    ann.goto(f"rooms/{room}/")

    ann.room().say("all the same")

    ann.room().shows("all the same")


def test_what_was_written_in_a_section_that_is_taken_away_is_sent_all_the_same(server, open_tab, room):
    ann, bob = open_tab(server, f"rooms/{room}/"), open_tab(server, f"rooms/{room}/")
    ann.unplug()
    ann.room().say("1", "2")

    ann.page.evaluate("document.querySelector('django-room').remove()")
    ann.plug_in()

    bob.room().shows("1", "2")
