"""What is kept by the two that keep something."""

from django.db import models


class Message(models.Model):
    room = models.CharField(max_length=100, db_index=True)
    text = models.TextField()

    def __str__(self):
        return self.text
