"""The admin's list of who is where: live, and with a way to put somebody out."""

import uuid

import pytest
import serving
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


@pytest.fixture
def open_admin(open_tab):
    """``open_admin(server, room)``: a tab of a superuser at the list of who is in the room."""

    # The admin's pages name no icon.
    open_tab.expected.append("favicon.ico")

    def start(server, room):
        name, password = f"boss-{uuid.uuid4().hex[:8]}", "only for this test"
        variables = {**server.variables, "DJANGO_SUPERUSER_PASSWORD": password}
        serving.manage(variables, "createsuperuser", "--noinput", f"--username={name}", "--email=")
        tab = open_tab(server, f"admin/login/?next=/admin/django_rooms/member/%3Fq={room}")
        tab.page.get_by_label("Username").fill(name)
        tab.page.get_by_label("Password").fill(password)
        tab.page.get_by_role("button", name="Log in").click()
        tab.page.get_by_role("heading", name="Who is here").wait_for()
        tab.page.evaluate("window.neverReloaded = true")
        return tab

    return start


def named(server, open_tab, room, name):
    """Somebody with that name in the room."""
    tab = open_tab(server, f"rooms/{room}/")
    tab.page.get_by_text("You are").click()
    tab.page.get_by_label("Your name here").fill(name)
    tab.page.get_by_role("button", name="Take this name").click()
    tab.page.get_by_text(f"Message as {name}").wait_for()
    tab.room().is_in_state("live")
    return tab


def people(admin):
    return admin.page.locator("#result_list tbody th")


def box(admin, name):
    return admin.page.get_by_role("row", name=name).get_by_role("checkbox")


def test_who_comes_is_listed_without_a_reload_and_who_is_disconnected_is_out(serve, open_tab, open_admin, room):
    server = serve(atomic_requests=1)  # Then a disconnect has to wait for the commit, or would wait for ever.
    admin = open_admin(server, room)
    expect(people(admin)).to_have_count(0)

    ann = named(server, open_tab, room, "Ann")
    expect(people(admin)).to_have_text(["Ann (guest)"])
    box(admin, "Ann").check()
    box(admin, "Ann").focus()
    bob = named(server, open_tab, room, "Bob")
    expect(people(admin)).to_have_text(["Ann (guest)", "Bob (guest)"])

    expect(admin.page.get_by_role("status").filter(has_text="In this list")).to_have_text("In this list: 2")
    expect(admin.page.locator(".action-counter")).to_have_text("1 of 2 selected")
    expect(box(admin, "Ann")).to_be_checked()
    expect(box(admin, "Ann")).to_be_focused()
    expect(admin.page.locator("#changelist-search")).to_contain_text("2 results")
    assert admin.never_reloaded

    admin.page.locator("select[name=action]").select_option(label="Disconnect from the room")
    admin.page.locator("button[name=index]").click()

    admin.page.get_by_text("1 person was disconnected.").wait_for()
    ann.room().is_in_state("refused")
    expect(people(admin)).to_have_text(["Bob (guest)"])
    bob.room().say("Where is Ann?")
    bob.room().shows("Where is Ann?")


def test_what_is_selected_by_the_box_above_the_list_are_all_who_are_shown_by_then(server, open_tab, open_admin, room):
    named(server, open_tab, room, "Ann")
    admin = open_admin(server, room)
    expect(people(admin)).to_have_count(1)
    named(server, open_tab, room, "Bob")
    expect(people(admin)).to_have_count(2)

    admin.page.locator("#action-toggle").check()

    expect(admin.page.locator(".action-counter")).to_have_text("2 of 2 selected")
    expect(box(admin, "Bob")).to_be_checked()


def test_a_list_is_left_alone_while_nobody_wants_it_up_to_date(server, open_tab, open_admin, room):
    admin = open_admin(server, room)
    admin.page.clock.install()
    admin.page.reload()
    switch = admin.page.get_by_label("Keep this list up to date")
    switch.uncheck()
    admin.page.evaluate("window.asked = 0; const real = fetch; fetch = (...what) => (asked++, real(...what)); null")
    named(server, open_tab, room, "Ann")

    admin.page.clock.fast_forward(60_000)
    assert admin.page.evaluate("asked") == 0
    switch.check()

    expect(people(admin)).to_have_text(["Ann (guest)"])


def test_a_list_whose_reader_has_signed_out_says_that_it_is_not_up_to_date_any_more(server, open_admin, room):
    admin = open_admin(server, room)

    admin.page.context.clear_cookies()

    admin.page.get_by_text("Not up to date any more: reload the page.").wait_for()
