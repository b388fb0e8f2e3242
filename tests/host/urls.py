"""The host's URLs: the rooms' own pages, the admin, and views that use rooms as a host's views do."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.static import serve

from host import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("publish/<path:room>/", views.publish),
    path("alert/<path:room>/", views.alert),
    path("deafen/", views.deafen),
    path("visitors/", views.visitors),
    path("present/<path:room>/", views.present),
    path("together/", views.together),
    path("rooms/", include("django_rooms.urls")),
]

if settings.STATIC_ROOT:
    # Only what was collected, as any web server has it.
    urlpatterns.append(path("static/<path:path>", serve, {"document_root": settings.STATIC_ROOT}))
