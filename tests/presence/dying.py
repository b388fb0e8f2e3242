"""A process that dies while it hands claims over: nothing of it runs any more, also no ``finally``."""

from contextlib import contextmanager
from unittest import mock

from django_rooms.presence import telling


class Died(BaseException):
    pass


@contextmanager
def dies_after(number):
    """After so many claims were handed over, within the block; ``None``: it lives."""
    left = [number]

    def wait(function, *args):
        function(*args)
        if number is not None:
            left[0] -= 1
            if left[0] == 0:
                raise Died

    def delete(model, keys):
        if left[0] != 0:
            kept(model, keys)

    kept = telling.models.delete
    with mock.patch.object(telling.asking, "wait", wait), mock.patch.object(telling.models, "delete", delete):
        yield
