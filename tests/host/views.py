"""What a host's views do with rooms."""

import secrets
from datetime import timedelta

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from django_rooms import count_present, get_room, group_name, people


@csrf_exempt
@require_POST
def publish(request, room):
    """Publish ``text``; with ``fail`` the transaction of the request is rolled back afterwards."""
    entry = get_room(room).publish({"text": request.POST["text"]})
    if "fail" in request.POST:
        transaction.set_rollback(True)
    return JsonResponse({"offset": entry.offset})


@csrf_exempt
@require_POST
def alert(request, room):
    message = {"type": "chat.alert", "text": request.POST["text"]}
    async_to_sync(get_channel_layer().group_send)(group_name(room), message)
    return JsonResponse({})


@csrf_exempt
@require_POST
def deafen(request):
    get_channel_layer().deafen()
    return JsonResponse({})


@csrf_exempt
@require_POST
def visitors(request):
    """The session cookies of ``count`` guests, as if each had opened a page."""
    sessions = [_session(people.new_guest()) for _ in range(int(request.POST["count"]))]
    Session.objects.bulk_create(sessions)
    return JsonResponse([f"{settings.SESSION_COOKIE_NAME}={session.pk}" for session in sessions], safe=False)


def _session(guest):
    data = SessionStore().encode({people.SESSION_KEY: {"key": guest.key, "name": guest.name}})
    return Session(secrets.token_hex(16), data, timezone.now() + timedelta(days=1))


def present(request, room):
    """Who is here: keys with the numbers of their connections, and how many, asked in one query for many rooms."""
    members = {member.key: member.connections for member in get_room(room).presence()}
    return JsonResponse({"members": members, "count": count_present([room, "lobby"])[room]})


def together(request):
    """All rooms of ``?room=…&room=…`` on one page; with ``keep=browser`` what waits outlives the tab."""
    context = {"names": request.GET.getlist("room"), "keep": request.GET.get("keep", "tab")}
    return render(request, "host/together.html", context)
