"""What a section shows of a room, and what of it can be changed there."""

import pytest
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.template import Context, Template, TemplateSyntaxError
from django.test import RequestFactory

from django_rooms import get_room, sections
from django_rooms.people import person_of

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
