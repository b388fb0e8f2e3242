"""What a section shows of a room, and what of it can be changed there."""

import pytest
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.exceptions import ImproperlyConfigured
from django.template import Context, Template, TemplateSyntaxError
from django.test import RequestFactory

from django_rooms import get_room, sections
from django_rooms.people import Guest, person_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def request_():
    request = RequestFactory().get("/")
    request.session = SessionStore()
    return request


def rendered(request, tag='{% room "lobby" %}'):
    return Template("{% load django_rooms %}" + tag).render(Context({"request": request}))


def entries(html):
    """The markup of each entry, but for the blank one."""
    return html.partition("<template")[0].split('<li class="django-rooms-entry"')[1:]


def test_an_edited_message_is_shown_with_its_newest_text_and_marked(request_):
    room = get_room("lobby")
    entry = room.publish({"text": "redy"})
    room.publish({"text": "untouched"})
    room.edit(entry, {"text": "ready"})

    edited, untouched = entries(rendered(request_))

    assert 'data-offset="1" data-changed="3"' in edited
    assert "ready</p>" in edited
    assert "redy" not in edited
    assert 'data-part="edited">' in edited
    assert 'data-changed="2"' in untouched
    assert 'data-part="edited" hidden>' in untouched


def test_a_removed_message_is_shown_as_removed(request_):
    room = get_room("lobby")
    room.remove(room.publish({"text": "secret"}, author=person_of(request_)))

    (removed,) = entries(rendered(request_))

    assert "data-removed" in removed
    assert 'data-part="removed">' in removed
    assert 'data-part="edited" hidden>' in removed
    assert "secret" not in removed


def test_only_ones_own_messages_come_with_the_means_to_change_them(request_):
    room = get_room("lobby")
    room.publish({"text": "by the host"})
    room.publish({"text": "by me"}, author=person_of(request_))

    by_the_host, by_me = entries(rendered(request_))

    assert 'data-part="acts"' not in by_the_host
    assert 'data-part="acts"' in by_me


def test_a_body_that_has_more_than_a_text_is_not_edited_by_its_text(request_):
    room, me = get_room("lobby"), person_of(request_)
    room.publish({"text": "a"}, author=me)
    room.publish({"text": "b", "file": 7}, author=me)

    plain, rich = entries(rendered(request_))

    assert 'data-part="edit">' in plain
    assert 'data-part="edit" hidden>' in rich


def test_a_body_without_a_text_is_not_shown(request_):
    room = get_room("lobby")
    room.publish({"moved": [1, 2]})
    room.publish({"text": 7})
    assert entries(rendered(request_)) == []


@pytest.mark.parametrize("keep", sections.KEEPS)
def test_the_tag_says_for_how_long_what_waits_is_kept(request_, keep):
    assert f'data-keep="{keep}"' in rendered(request_, f'{{% room "lobby" keep="{keep}" %}}')


def test_what_waits_is_kept_over_reloads_if_nothing_is_said(request_):
    assert 'data-keep="tab"' in rendered(request_)


def test_the_tag_knows_no_other_keep(request_):
    with pytest.raises(TemplateSyntaxError, match="tab, browser, page, not 'forever'"):
        rendered(request_, '{% room "lobby" keep="forever" %}')


# Who is here, in a host's own templates.

NAMES = '{% room_members "lobby" as members %}{% for member in members %}{{ member.name }};{% endfor %}'


@pytest.fixture
def lobby():
    return type(get_room("lobby"))


def test_members_are_named_by_their_names_after_oneself(request_, enter):
    me = person_of(request_)
    for person in (Guest("g1", "Bob"), Guest("g2", "Ann"), me):
        enter("lobby", person)
    enter("notes/a", Guest("g3", "Eve"))
    assert rendered(request_, NAMES) == f"{me.name};Ann;Bob;"


def test_members_come_by_a_room_as_by_its_name(request_, enter):
    enter("lobby", Guest("g1", "Ann"))
    tag = "{% room_members room as members %}{{ members.0.name }} {{ members.0.guest }} {{ members.0.connections }}"
    context = Context({"request": request_, "room": get_room("lobby")})
    assert Template("{% load django_rooms %}" + tag).render(context) == "Ann True 1"


@pytest.mark.parametrize("policy", ["can_join", "can_see_members"])
def test_who_may_not_know_the_members_is_shown_none(request_, enter, lobby, monkeypatch, policy):
    enter("lobby", Guest("g1", "Ann"))
    asked = []
    monkeypatch.setattr(lobby, policy, lambda room, user: asked.append(user))
    assert rendered(request_, NAMES) == ""
    assert asked == [person_of(request_)]


@pytest.mark.parametrize(("names", "shown"), [(2, "Ann;Bob;"), (1, ""), (0, ""), (None, "")])
def test_a_room_with_more_people_than_it_names_shows_none(request_, enter, lobby, monkeypatch, names, shown):
    monkeypatch.setattr(lobby, "presence_names", names)
    for name in ("Ann", "Bob"):
        enter("lobby", Guest(f"g{name}", name))
    assert rendered(request_, NAMES) == shown


@pytest.mark.parametrize("name", ["nowhere", "a//b"])
def test_a_room_that_there_is_not_has_no_members(request_, name):
    assert rendered(request_, f'{{% room_members "{name}" as members %}}{{{{ members|length }}}}') == "0"


@pytest.mark.parametrize("tag", ["room_members", "count_present"])
@pytest.mark.parametrize("room", [None, "", 7])
def test_the_tags_of_presence_say_what_they_take(request_, tag, room):
    context = Context({"request": request_, "room": room})
    with pytest.raises(TemplateSyntaxError, match=rf"{tag} %.*, not {room!r}\."):
        Template(f"{{% load django_rooms %}}{{% {tag} room as found %}}").render(context)


def test_members_need_the_pages_request():
    with pytest.raises(ImproperlyConfigured, match="room_members"):
        Template("{% load django_rooms %}" + NAMES).render(Context())


COUNTS = """{% count_present rooms as counts %}{% for room in rooms %}{{ counts|in_room:room }} {% endfor %}"""


def counted(rooms, tag=COUNTS):
    return Template("{% load django_rooms %}" + tag).render(Context({"rooms": rooms}))


def test_many_rooms_are_counted_in_one_query(enter, django_assert_num_queries):
    for room in ("lobby", "notes/a"):
        enter(room, Guest("g1", "Ann"))
    enter("lobby", Guest("g2", "Bob"))
    with django_assert_num_queries(1):
        assert counted(["notes/a", get_room("lobby"), "notes/b"]) == "1 2 0 "


def test_one_room_is_counted_as_a_number(enter):
    enter("lobby", Guest("g1", "Ann"))
    assert counted("lobby", "{% count_present rooms %}") == "1"
    assert counted(get_room("lobby"), "{% count_present rooms %}") == "1"


def test_no_rooms_are_none():
    assert counted([]) == ""


@pytest.mark.parametrize("tag", ["{% count_present rooms %}", COUNTS])
def test_a_name_that_can_be_no_rooms_is_an_error_that_says_so(tag):
    with pytest.raises(TemplateSyntaxError, match="count_present %}: A room's name has no empty"):
        counted("a//b" if tag != COUNTS else ["a//b"], tag)


@pytest.mark.parametrize("wrong", ['{{ counts|in_room:"lobby" }}', '{{ rooms|in_room:"notes/a" }}'])
def test_of_a_room_that_was_not_counted_there_is_no_number(wrong):
    with pytest.raises(TemplateSyntaxError, match=r"counted, and one of those rooms, not '(lobby|notes/a)'"):
        counted(["notes/a"], "{% count_present rooms as counts %}" + wrong)
