"""Which Python a server runs on: the bench's own, or an older one, where .ci/bench.py has made an environment of it."""

import os

# The last one without tasks that start at once: there the rooms send by a task for each connection.
OLDER = "python3.11"

# Where that one is.
VARIABLE = "BENCH_PYTHON311"


def path(python):
    """`python` is OLDER, or a path already."""
    return os.environ[VARIABLE] if python == OLDER else python


def missing(python):
    """A sentence, where it is not there."""
    return "Python 3.11 was not found." if python == OLDER and VARIABLE not in os.environ else None
