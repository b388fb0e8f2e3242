import os

from django.apps import AppConfig

from chaos import sabotage


class ChaosConfig(AppConfig):
    name = "chaos"

    def ready(self):
        sabotage.apply(os.environ.get("CHAOS_SABOTAGE"))
