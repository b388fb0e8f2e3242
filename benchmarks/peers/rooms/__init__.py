"""A Django project with django_rooms, as its README has it. All settings are as they are shipped."""
