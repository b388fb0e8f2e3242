"""A clock that the test moves."""


class Clock:
    """In seconds. Moved by binary fractions of them, its sums are exact."""

    now = 100.0

    def __call__(self):
        return self.now
