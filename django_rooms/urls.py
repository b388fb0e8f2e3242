"""The rooms' own pages, for the host's ``include()``. Every path but the empty one is a room's."""

from django.urls import path

from django_rooms import views

app_name = "django_rooms"

urlpatterns = [
    path("", views.index, name="index"),
    path("<path:name>/", views.room_page, name="room"),
]
