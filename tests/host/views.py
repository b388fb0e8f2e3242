"""What a host's views do with rooms."""

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from django.http import JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from django_rooms import get_room, group_name


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


def together(request):
    """All rooms of ``?room=…&room=…`` on one page; with ``keep=browser`` what waits outlives the tab."""
    context = {"names": request.GET.getlist("room"), "keep": request.GET.get("keep", "tab")}
    return render(request, "host/together.html", context)
