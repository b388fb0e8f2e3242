from project import *  # noqa: F403
from project import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tutorial"]
ROOT_URLCONF = "tutorial.urls"
