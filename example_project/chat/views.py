"""One page of the host's own, with a room in it."""

from django.shortcuts import render


def home(request):
    return render(request, "chat/home.html")
