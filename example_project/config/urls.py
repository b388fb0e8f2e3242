"""The home page, the rooms' pages, signing in and out, and the admin."""

from chat.views import home
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", home, name="home"),
    path("rooms/", include("django_rooms.urls")),
    path("accounts/", include("django.contrib.auth.urls")),
    path("admin/", admin.site.urls),
]
