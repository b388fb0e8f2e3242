from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DjangoRoomsConfig(AppConfig):
    name = "django_rooms"
    verbose_name = _("Rooms")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django_rooms import checks, registry, signals  # noqa: F401 - it hands claims over

        checks.register()
        registry.autodiscover()
