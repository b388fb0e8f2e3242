"""What is said in the log of a layer that does not work: once in ten seconds, for it is not worth a line a message."""

import logging
import time

logger = logging.getLogger("django_rooms")

QUIET = 10.0


class Complaints:
    """About one thing, by all who meet it."""

    def __init__(self) -> None:
        self._silent_until = 0.0

    def warn(self, message: str, *args: object) -> None:
        if time.monotonic() >= self._silent_until:
            self._silent_until = time.monotonic() + QUIET
            logger.warning(message, *args)
