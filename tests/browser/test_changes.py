"""Edits, removals and erasures on pages: live, after a reload, and on the way."""

import pytest
import serving
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_an_edit_is_seen_live_and_after_a_reload(server, open_tab, room):
    ann, bob = open_tab(server, f"rooms/{room}/"), open_tab(server, f"rooms/{room}/")
    ann.room().say("Hello wrold", "second")
    bob.room().shows("Hello wrold", "second")

    ann.room().edit("Hello wrold", "Hello world")

    for tab in (ann, bob):
        tab.room().shows("Hello world", "second")
        tab.room().entry("Hello world").get_by_text("edited").wait_for()
        assert tab.page.get_by_text("edited").and_(tab.page.locator(":visible")).count() == 1
    bob.goto(f"rooms/{room}/")
    bob.room().shows("Hello world", "second")
    bob.room().entry("Hello world").get_by_text("edited").wait_for()
    ann.goto(f"rooms/{room}/")
    ann.room().edit("Hello world", "Hello, world!")
    bob.room().shows("Hello, world!", "second")


def test_a_removal_asks_once_and_is_seen_live_and_after_a_reload(server, open_tab, room):
    ann, bob = open_tab(server, f"rooms/{room}/"), open_tab(server, f"rooms/{room}/")
    ann.room().say("stays", "goes")
    bob.room().shows("stays", "goes")

    ann.room().open_menu("goes")
    ann.page.get_by_role("button", name="Remove").click()
    ann.page.get_by_role("button", name="Really remove?").wait_for()
    ann.page.keyboard.press("Escape")
    ann.room().shows("stays", "goes")
    ann.room().remove("goes")

    for tab in (ann, bob):
        tab.page.get_by_text("This message was removed.").and_(tab.page.locator(":visible")).wait_for()
        tab.room().shows("stays", "")
    assert "goes" not in bob.page.content()
    bob.goto(f"rooms/{room}/")
    bob.page.get_by_text("This message was removed.").and_(bob.page.locator(":visible")).wait_for()
    assert "goes" not in bob.page.content()
    bob.room().shows("stays", "")


def test_two_clicks_in_one_remove_nothing(server, open_tab, room):
    ann = open_tab(server, f"rooms/{room}/")
    ann.room().say("stays")
    ann.room().shows("stays")

    ann.room().open_menu("stays")
    ann.page.get_by_role("button", name="Remove").dblclick()
    ann.page.get_by_role("button", name="Really remove?").wait_for()

    ann.room().say("and this")
    ann.room().shows("stays", "and this")


def test_only_ones_own_messages_can_be_changed(server, open_tab, room):
    ann, bob = open_tab(server, f"rooms/{room}/"), open_tab(server, f"rooms/{room}/")
    ann.room().say("by ann")
    bob.room().shows("by ann")
    bob.room().say("by bob")
    ann.room().shows("by ann", "by bob")
    bob.goto(f"rooms/{room}/")
    bob.room().is_in_state("live")

    for tab, own, others in ((ann, "by ann", "by bob"), (bob, "by bob", "by ann")):
        menu = '[data-part="acts"]:not([hidden])'
        tab.room().entry(own).locator(menu).wait_for()
        assert tab.room().entry(others).locator(menu).count() == 0


def test_a_message_is_edited_by_keyboard_alone(server, open_tab, room):
    ann = open_tab(server, f"rooms/{room}/")
    ann.room().say("first words")
    ann.room().shows("first words")
    field = ann.page.get_by_label("Edit your message")
    menu = ann.room().entry("first words").locator("summary")

    menu.focus()
    ann.page.keyboard.press("Enter")
    ann.page.keyboard.press("Tab")
    ann.page.keyboard.press("Enter")
    field.wait_for()
    ann.page.keyboard.type(" thrown away")
    ann.page.keyboard.press("Escape")
    ann.room().shows("first words")
    assert menu.evaluate("element => element === document.activeElement")
    described = "element => document.getElementById(element.getAttribute('aria-describedby')).textContent"
    assert menu.evaluate(described) == "first words"

    ann.page.keyboard.press("Enter")
    ann.page.keyboard.press("Tab")
    ann.page.keyboard.press("Enter")
    ann.page.keyboard.type(", more words")
    ann.page.keyboard.press("Enter")
    ann.room().shows("first words, more words")


def test_a_changed_message_of_an_older_page_is_as_it_is_today(server, open_tab, room):
    ann = open_tab(server, f"rooms/{room}/")
    ann.room().say("old words", "old secret")
    ann.room().shows("old words", "old secret")
    serving.manage(server.variables, "say", room, *map(str, range(60)))
    ann.room().edit("old words", "new words")
    ann.room().remove("old secret")
    ann.page.get_by_text("This message was removed.").and_(ann.page.locator(":visible")).wait_for()

    late = open_tab(server, f"rooms/{room}/")
    late.room().is_in_state("live")
    late.page.get_by_role("button", name="Older messages").click()

    late.room().shows("new words", "", *map(str, range(60)))
    assert "old secret" not in late.page.content()


def test_a_change_that_comes_before_the_older_messages_that_it_changes_is_not_lost(server, open_tab, room):
    ann = open_tab(server, f"rooms/{room}/")
    ann.room().say("old words", "old secret")
    ann.room().shows("old words", "old secret")
    serving.manage(server.variables, "say", room, *map(str, range(60)))
    late = open_tab(server, "rooms/")
    late.delay_history()
    late.goto(f"rooms/{room}/")
    late.room().is_in_state("live")
    late.page.get_by_role("button", name="Older messages").click()
    expect(late.page.get_by_role("button", name="Older messages")).to_be_disabled()
    late.wait_for_late_history()
    ann.room().is_in_state("live")

    ann.room().edit("old words", "new words")
    ann.room().remove("old secret")
    ann.room().say("a sign")
    late.room().locator.get_by_text("a sign").wait_for()
    late.let_history_come()

    late.room().shows("new words", "", *map(str, range(60)), "a sign")


def test_an_older_change_does_not_overwrite_a_newer_one(server, open_tab, room):
    ann = open_tab(server, f"rooms/{room}/")
    ann.room().say("newest")
    ann.room().shows("newest")
    # As if the page had been rendered after changes that are still to come over the socket.
    ann.room().kept.evaluate("element => element.dataset.changed = 1000")
    bob = open_tab(server, f"rooms/{room}/", person=ann)

    bob.room().edit("newest", "older")
    bob.room().shows("older")
    bob.room().say("a sign")

    ann.room().shows("newest", "a sign")


def test_somebody_who_was_erased_is_gone_from_open_pages(server, open_tab, room):
    ann, bob = open_tab(server, f"rooms/{room}/"), open_tab(server, f"rooms/{room}/")
    ann.page.get_by_text("You are").click()
    ann.page.get_by_label("Your name here").fill("Ann Onymous")
    ann.page.get_by_role("button", name="Take this name").click()
    ann.page.get_by_text("Message as Ann Onymous").wait_for()
    ann.room().say("one", "two")
    bob.room().shows("one", "two")
    bob.room().say("three")
    ann.room().shows("one", "two", "three")
    key = ann.room().locator.get_attribute("data-me")

    serving.manage(server.variables, "rooms_erase", "--key", key)

    bob.room().shows("", "", "three")
    ann.page.get_by_text("You were disconnected from this room.").wait_for()
    bob.page.get_by_text("Ann Onymous").wait_for(state="detached")
    assert "Ann Onymous" not in bob.page.content()
    bob.goto(f"rooms/{room}/")
    bob.room().shows("", "", "three")
    assert "Ann Onymous" not in bob.page.content()


def test_an_edit_that_is_refused_says_so_and_can_be_discarded_or_tried_again(server, open_tab, room):
    ann = open_tab(server, "rooms/")
    ann.refuse_bodies_with("better")
    ann.goto(f"rooms/{room}/")
    ann.room().say("as it was")
    ann.room().shows("as it was")

    ann.room().edit("as it was", "better")
    alert = ann.page.get_by_role("alert").get_by_text("Not with me.")
    alert.wait_for()
    ann.room().shows("better")
    ann.page.get_by_role("button", name="Discard").click()
    ann.room().shows("as it was")
    alert.wait_for(state="hidden")

    ann.room().edit("as it was", "better")
    alert.wait_for()
    ann.refuse_bodies_with(None)
    ann.goto(f"rooms/{room}/")
    alert.wait_for()
    ann.page.get_by_role("button", name="Try again").click()
    alert.wait_for(state="hidden")
    ann.goto(f"rooms/{room}/")
    ann.room().shows("better")


def test_edits_and_removals_that_were_made_offline_are_sent_after_a_reload(server, open_tab, room):
    ann, bob = open_tab(server, f"rooms/{room}/"), open_tab(server, f"rooms/{room}/")
    ann.room().say("one", "two")
    bob.room().shows("one", "two")
    bob_sees = bob.room()
    sending = ann.page.get_by_text("Sending…").and_(ann.page.locator(":visible"))

    ann.unplug()
    ann.room().edit("one", "one, better")
    ann.room().remove("two")
    ann.room().say("three")
    ann.goto(f"rooms/{room}/")
    expect(ann.room().texts).to_have_text(["one, better", "two", "three"])
    expect(sending).to_have_count(3)
    bob_sees.shows("one", "two")
    ann.plug_in()

    for tab in (ann, bob):
        tab.room().shows("one, better", "", "three")
    expect(sending).to_have_count(0)
