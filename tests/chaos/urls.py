"""The host's URLs, and a view that says something under an id of the caller's, as a webhook does."""

from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from django_rooms import get_room
from host.urls import urlpatterns as host_urls


@csrf_exempt
@require_POST
def say(request, room):
    """In the request's own transaction: it is stored if and only if the answer is 200."""
    get_room(room).publish({"text": request.POST["text"]}, id=request.POST["id"])
    return JsonResponse({})


urlpatterns = [path("say/<path:room>/", say), *host_urls]
