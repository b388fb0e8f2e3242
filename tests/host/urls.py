"""The host's URLs: the rooms' own pages, the admin, and views that use rooms as a host's views do."""

from django.contrib import admin
from django.urls import include, path

from host import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("publish/<path:room>/", views.publish),
    path("alert/<path:room>/", views.alert),
    path("two/<slug:first>/<slug:second>/", views.two_rooms),
    path("rooms/", include("django_rooms.urls")),
]
