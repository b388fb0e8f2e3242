"""Who is here and who is typing, as people see it and as they hear it."""

import re
from gettext import GNUTranslations
from pathlib import Path

import django
import pytest
import serving
from django.utils.translation import to_language
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

# Milliseconds: what came and went is told after so long, and what somebody types is forgotten.
LATER = 6_000

# Milliseconds until somebody who has closed their page has left.
GOES = 20_000

COUNTS = (0, 1, 2, 4, 5, 7, 10, 12, 19, 20, 21, 22, 25, 100, 101, 102, 103, 111, 1000)


PARTS = ("number", "count", "stale", "members", "names", "member", "unfold", "news", "typing")


@pytest.fixture
def enter(server, open_tab):
    """``enter("Ann", room)``: a guest of that name, in a tab whose clock can be put forward."""

    def start(name, room):
        tab = open_tab(server, "rooms/")
        tab.page.clock.install()
        tab.page.get_by_text("You are").click()
        tab.page.get_by_label("Your name here").fill(name)
        tab.page.get_by_role("button", name="Take this name").click()
        tab.page.locator("summary", has_text=name).wait_for()
        tab.goto(f"rooms/{room}/")
        tab.room().is_in_state("live")
        return tab

    return start


def test_people_come_and_go_by_name_and_number(enter, room):
    ann = enter("Ann", room)
    number(ann, "1 person here")
    names(ann, "Ann you")

    bob = enter("Bob", room)
    names(ann, "Ann you", "Bob guest")
    names(bob, "Bob you", "Ann guest")
    number(ann, "2 people here")
    number(bob, "2 people here")
    bob.page.close()

    expect(members(ann)).to_have_count(1, timeout=GOES)
    names(ann, "Ann you")
    number(ann, "1 person here")


def test_the_server_renders_who_is_here(enter, open_tab, server, room):
    enter("Zoe", room)
    expect(members(enter("Ann", room))).to_have_count(2)

    html = open_tab(server, f"rooms/{room}/").response.text()

    assert "2 people here" in html
    assert re.findall(r'<bdi data-part="name">(\w+)</bdi>', html) == ["Ann", "Zoe"]


def test_a_second_tab_of_a_person_counts_for_nobody(enter, open_tab, server, room):
    ann, bob = enter("Ann", room), enter("Bob", room)
    expect(members(ann)).to_have_count(2)
    seen = record(ann, "count")
    open_tab(server, f"rooms/{room}/", person=bob).room().is_in_state("live")

    enter("Cleo", room)

    names(ann, "Ann you", "Bob guest", "Cleo guest")
    assert seen() == ["3 people here"]


def test_a_reload_is_no_leave(enter, room):
    ann, bob = enter("Ann", room), enter("Bob", room)
    expect(members(ann)).to_have_count(2)
    told(ann, "Bob joined.")
    seen = record(ann, "count")

    bob.goto(f"rooms/{room}/")
    bob.room().is_in_state("live")
    enter("Cleo", room)

    names(ann, "Ann you", "Bob guest", "Cleo guest")
    told(ann, "Cleo joined.")
    assert seen() == ["3 people here"]


def test_who_comes_and_goes_is_told_to_those_who_hear_the_page(enter, room):
    ann = enter("Ann", room)
    ann.page.clock.fast_forward(LATER)
    expect(news(ann)).to_have_text("")  # that one is here oneself is no news
    bob, cleo = enter("Bob", room), enter("Cleo", room)
    expect(members(ann)).to_have_count(3)
    ann.page.clock.fast_forward(LATER)

    expect(news(ann)).to_contain_text("Bob joined.")
    expect(news(ann)).to_contain_text("Cleo joined.")
    bob.page.close()

    expect(members(ann)).to_have_count(2, timeout=GOES)
    told(ann, "Bob left.")
    expect(members(cleo)).to_have_count(2)
    cleo.page.clock.fast_forward(LATER)
    expect(news(cleo)).to_have_text("Bob left.")  # who was there before her never came


def test_where_many_come_at_once_the_number_is_told(enter, room):
    ann = enter("Ann", room)
    stop_clock(ann)
    for name in ("Bob", "Cleo", "Dan", "Eve"):
        enter(name, room)
    expect(members(ann)).to_have_count(5)

    ann.page.clock.run_for(LATER)

    expect(news(ann)).to_have_text("Several people joined or left. 5 people here")


def test_who_has_come_and_is_gone_again_is_no_news(open_tab, server, room):
    ann = open_tab(server, "rooms/")
    ann.page.clock.install()
    ann.overhear()
    ann.goto(f"rooms/{room}/")
    expect(members(ann)).to_have_count(1)
    stop_clock(ann)

    for present in (["Bob"], ["Bob", "Cleo"], ["Bob"], ["Bob", "Dan"]):
        ann.tell(state(room, *present))
        names(ann, *present)
    ann.page.clock.run_for(LATER)

    expect(news(ann)).to_have_text("Bob joined. Dan joined.")


def test_who_was_erased_is_told_by_name_no_more(enter, server, room):
    bob = enter("Bob", room)
    ann = enter("Ann", room)
    ann.room().say("one")
    expect(members(bob)).to_have_count(2)
    told(bob, "Ann joined.")

    serving.manage(server.variables, "rooms_erase", "--key", ann.room().locator.get_attribute("data-me"))
    bob.room().shows("")
    expect(news(bob)).to_have_text("")
    ann.page.close()

    expect(members(bob)).to_have_count(1, timeout=GOES)
    bob.page.clock.fast_forward(LATER)
    expect(news(bob)).to_have_text("")
    assert "Ann" not in bob.page.content()


def test_several_sections_of_a_room_tell_it_once(enter, room):
    ann = enter("Ann", room)
    ann.goto(f"together/?room={room}&room={room}")
    expect(members(ann)).to_have_count(2)  # once in each

    enter("Bob", room)

    expect(members(ann)).to_have_count(4)
    told(ann, "Bob joined.", "")


def test_who_types_is_seen_until_they_send_or_think_better_of_it(enter, room):
    ann, bob = enter("Ann", room), enter("Bob", room)
    expect(members(bob)).to_have_count(2)
    expect(members(ann)).to_have_count(2)
    stop_clock(ann)  # so that nothing is forgotten by itself

    bob.room().field.press_sequentially("hel")
    expect(typing(ann)).to_have_text("Bob is typing…")
    bob.room().field.press_sequentially("lo")
    bob.room().field.press("Enter")
    ann.room().shows("hello")
    expect(typing(ann)).to_have_text("")

    bob.room().field.press_sequentially("never mind")
    expect(typing(ann)).to_have_text("Bob is typing…")
    bob.room().field.fill("")
    expect(typing(ann)).to_have_text("")


def test_who_falls_silent_is_not_typing_any_more(enter, room):
    ann, bob = enter("Ann", room), enter("Bob", room)
    expect(members(bob)).to_have_count(2)
    bob.room().field.fill("well, ")
    expect(typing(ann)).to_have_text("Bob is typing…")

    ann.page.clock.fast_forward(LATER)

    expect(typing(ann)).to_have_text("")


def test_white_space_is_no_typing(enter, room):
    ann, bob = enter("Ann", room), enter("Bob", room)
    expect(members(bob)).to_have_count(2)
    stop_clock(ann)
    seen = record(ann, "typing")

    bob.room().field.press_sequentially("  ")
    bob.room().field.press_sequentially("x")
    expect(typing(ann)).to_have_text("Bob is typing…")
    bob.room().field.fill("   ")
    expect(typing(ann)).to_have_text("")

    assert seen() == ["Bob is typing…", ""]


def test_several_who_type_are_named_up_to_two(enter, room):
    ann, bob, cleo, dan = (enter(name, room) for name in ("Ann", "Bob", "Cleo", "Dan"))
    expect(members(dan)).to_have_count(4)

    bob.room().field.fill("…")
    expect(typing(ann)).to_have_text("Bob is typing…")
    cleo.room().field.fill("…")
    expect(typing(ann)).to_have_text("Bob and Cleo are typing…")
    dan.room().field.fill("…")

    expect(typing(ann)).to_have_text("Several people are typing…")
    expect(typing(dan)).to_have_text("Bob and Cleo are typing…")


def test_typing_moves_nothing_and_is_not_read_out(enter, room):
    ann, bob = enter("Ann", room), enter("Bob", room)
    expect(members(bob)).to_have_count(2)
    field = ann.room().field.bounding_box()

    bob.room().field.fill("…")
    expect(typing(ann)).to_have_text("Bob is typing…")

    assert ann.room().field.bounding_box() == field
    spoken = ann.page.locator(':is([role="status"], [role="log"], [role="alert"], [aria-live])')
    expect(spoken.locator(typing(ann))).to_have_count(0)
    expect(spoken.and_(typing(ann))).to_have_count(0)


def test_a_name_is_text_and_never_markup(enter, room):
    ann = enter("Ann", room)
    name = "<img src=x onerror=alert(1)>{name}$&"

    mallory = enter(name, room)
    names(ann, "Ann you", f"{name} guest")
    told(ann, f"{name} joined.")
    expect(members(mallory)).to_have_count(2)
    mallory.room().field.fill("…")
    expect(typing(ann)).to_have_text(f"{name} is typing…")

    ann.goto(f"rooms/{room}/")
    names(ann, "Ann you", f"{name} guest")


def test_a_crowd_is_a_number(enter, room):
    ann = enter("Ann", f"crowds/{room}")
    enter("Bob", f"crowds/{room}")

    number(ann, "2 people here")
    expect(part(ann, "members")).to_be_hidden()
    assert members(ann).count() == 0
    ann.page.clock.fast_forward(LATER)
    expect(news(ann)).to_have_text("")


def test_a_number_has_the_words_of_its_form_in_each_language(open_tab, server, room):
    ann = open_tab(server, "rooms/")
    ann.overhear()
    ann.goto(f"rooms/{room}/")
    ann.room().is_in_state("live")
    ann.page.evaluate(
        """() => {
            const room = document.querySelector("django-room");
            for (const name of room.getAttributeNames()) {
                const [, sample] = name.match(/^data-say-here-(\\d+)$/) ?? [];
                if (sample) room.setAttribute(name, `as ${sample}`);
            }
        }"""
    )

    for language, alike in plurals().items():
        ann.page.evaluate("(language) => { document.documentElement.lang = language; }", language)
        for count, others in alike.items():
            ann.tell({"type": "presence", "room": room, "revision": 1, "count": count})
            expect(part(ann, "count")).to_have_text(re.compile(rf"^as ({others})$"))


def test_who_was_here_stays_while_there_is_no_connection_and_is_marked(enter, room):
    ann = enter("Ann", room)
    enter("Bob", room)
    expect(members(ann)).to_have_count(2)
    expect(part(ann, "stale")).to_be_hidden()
    told(ann, "Bob joined.")

    ann.unplug()
    number(ann, "2 people here when the connection was lost")
    names(ann, "Ann you", "Bob guest")
    enter("Cleo", room)
    ann.plug_in()

    names(ann, "Ann you", "Bob guest", "Cleo guest")
    number(ann, "3 people here")
    expect(part(ann, "stale")).to_be_hidden()
    told(ann, "Cleo joined.")


def test_who_may_not_join_any_more_is_not_shown_who_the_page_had(enter, open_tab, server, room):
    enter("Bob", room)
    ann = open_tab(server, "rooms/")
    ann.refuse_once("join", code="forbidden", message="Not you.")
    ann.goto(f"rooms/{room}/")
    ann.room().is_in_state("refused", "Not you.")

    for name in ("number", "members", "stale"):
        expect(part(ann, name)).to_be_hidden()


def test_names_that_take_more_than_a_line_are_unfolded(enter, room):
    ann = enter("Ann", room)
    ann.page.set_viewport_size({"width": 360, "height": 640})
    expect(unfold(ann)).to_be_hidden()
    top = ann.room().locator.locator('[data-part="scroller"]').bounding_box()["y"]
    for letter in "BCD":
        enter(letter * 20, room)
    expect(members(ann)).to_have_count(4)
    assert ann.room().locator.locator('[data-part="scroller"]').bounding_box()["y"] == top

    unfold(ann).click()
    expect(unfold(ann)).to_have_attribute("aria-expanded", "true")
    expect(members(ann).last).to_be_in_viewport(ratio=1)
    unfold(ann).press("Enter")

    expect(unfold(ann)).to_have_attribute("aria-expanded", "false")
    assert ann.room().locator.locator('[data-part="scroller"]').bounding_box()["y"] == top


def test_what_a_host_tells_of_people_is_shown_where_its_template_has_a_place_for_it(open_tab, server, room):
    ann = open_tab(server, "rooms/")
    ann.overhear()
    ann.goto(f"rooms/{room}/")
    expect(members(ann)).to_have_count(1)
    ann.page.evaluate(
        """() => {
            const place = document.createElement("em");
            place.dataset.info = "mood";
            document.querySelector("template[data-part=member]").content.querySelector("li").append(place);
        }"""
    )

    ann.tell(state(room, "Bob", "Cleo", info={"mood": "<b>merry</b>"}))
    names(ann, "Bob <b>merry</b>", "Cleo <b>merry</b>")
    ann.tell(state(room, "Bob", info={}))

    names(ann, "Bob")


def test_who_has_the_focus_keeps_it_when_others_come_and_go(open_tab, server, room):
    ann = open_tab(server, "rooms/")
    ann.overhear()
    ann.goto(f"rooms/{room}/")
    ann.room().is_in_state("live")
    ann.tell(state(room, "Bob", "Dee"))
    expect(members(ann)).to_have_count(2)
    ann.page.evaluate("document.querySelector('[data-part=names]').lastElementChild.tabIndex = 0")
    members(ann).last.focus()

    for others in (["Bob", "Cleo"], ["Abe", "Eve"], []):
        ann.tell(state(room, *others, "Dee"))
        names(ann, *sorted([*others, "Dee"]))
        expect(ann.page.locator("[data-key=uDee]")).to_be_focused()


def test_a_host_may_leave_all_of_it_out(enter, open_tab, server, room):
    ann = open_tab(server, "rooms/")
    ann.page.clock.install()
    ann.overhear()
    parts = ", ".join(f"[data-part={name}]" for name in PARTS)
    ann.page.add_init_script(
        f"""new MutationObserver(() => {{
            for (const part of document.querySelectorAll("{parts}")) part.removeAttribute("data-part");
        }}).observe(document, {{ childList: true, subtree: true }});"""
    )
    ann.goto(f"rooms/{room}/")
    ann.room().is_in_state("live")
    assert part(ann, "names").count() == 0

    bob = enter("Bob", room)
    expect(members(bob)).to_have_count(2)
    ann.tell(state(room, "Cleo"))
    ann.tell(state(room, "Cleo", "Dan"))
    bob.room().say("hello")
    ann.room().shows("hello")
    ann.page.clock.fast_forward(LATER)
    ann.room().say("hello yourself")

    bob.room().shows("hello", "hello yourself")


def part(tab, name):
    return tab.room().locator.locator(f'[data-part="{name}"]')


def members(tab):
    return part(tab, "names").locator("li")


def news(tab):
    return part(tab, "news")


def typing(tab):
    return part(tab, "typing")


def unfold(tab):
    return tab.page.locator('[data-part="unfold"]')


def names(tab, *names):
    """With their marks, and without what is hidden."""
    expect(members(tab)).to_have_text(list(names), use_inner_text=True)


def number(tab, words):
    expect(part(tab, "number")).to_have_text(words, use_inner_text=True)


def told(tab, *words):
    """What each section tells those who hear the page, when it is time for it."""
    tab.page.clock.fast_forward(LATER)
    expect(news(tab)).to_have_text(list(words))


def stop_clock(tab):
    tab.page.clock.pause_at(tab.page.evaluate("Date.now() / 1000 + 1"))


def state(room, *names, info=None):
    """What the server says of who is here."""
    people = [{"key": f"u{name}", "name": name, "info": info or {}} for name in names]
    return {"type": "presence", "room": room, "revision": 1, "count": len(people), "members": people}


def plurals():
    """For one language of each way to count: which numbers have the same form as each of COUNTS, as Django has it."""
    found = {}
    for path in sorted(Path(django.__file__).parent.glob("conf/locale/*/LC_MESSAGES/django.mo")):
        with path.open("rb") as file:
            form = GNUTranslations(file).plural
        alike = {count: "|".join(str(n) for n in range(200) if form(n) == form(count)) for count in COUNTS}
        if alike not in found.values():
            found[to_language(path.parent.parent.name)] = alike
    return found


def record(tab, name):
    """What a part says from now on, each word of it that differs from the one before."""
    selector = f'[data-part="{name}"]'
    tab.page.evaluate(
        """(selector) => {
            const part = document.querySelector(selector);
            window.seen = [];
            const note = () => part.textContent !== window.seen.at(-1) && window.seen.push(part.textContent);
            new MutationObserver(note).observe(part, { childList: true, characterData: true, subtree: true });
        }""",
        selector,
    )
    return lambda: tab.page.evaluate("window.seen")
