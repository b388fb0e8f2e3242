"""Which servers, databases and layers tests are run with."""

import pytest

# Seconds between looks, where a doorbell is to be shown.
NEVER = 3600

POSTGRESQL = pytest.mark.postgresql
MARIADB = pytest.mark.mariadb
REDIS = pytest.mark.redis

# For what a host's own processes do, beside servers.
LOCKING_DATABASES = (pytest.param("postgresql", marks=POSTGRESQL), pytest.param("mariadb", marks=MARIADB))
DATABASES = (pytest.param("sqlite"), *LOCKING_DATABASES)
ISOLATIONS = (
    pytest.param(("postgresql", "repeatable read"), marks=POSTGRESQL),
    pytest.param(("postgresql", "serializable"), marks=POSTGRESQL),
    pytest.param(("mariadb", "repeatable read"), marks=MARIADB),
)

# Each database with each of its companions somewhere; all with all would show no more and take long.
PROGRAMS_AND_DATABASES = (
    pytest.param(("uvicorn", "sqlite")),
    pytest.param(("daphne", "sqlite")),
    pytest.param(("uvicorn", "postgresql"), marks=POSTGRESQL),
    pytest.param(("daphne", "mariadb"), marks=MARIADB),
)
LAYERS = (
    pytest.param(("sqlite", "core"), marks=REDIS),
    pytest.param(("sqlite", "pubsub"), marks=REDIS),
)
# For tests to which the database makes no difference.
any_layer = pytest.mark.parametrize("any_site", LAYERS, ids="-".join, indirect=True)
# Seconds, where a lease and a grace are to pass in a test; and a look where no doorbell rings.
LEASE, GRACE, SOON = 2.4, 0.7, 0.3

DATABASES_AND_LAYERS = (
    *LAYERS,
    pytest.param(("postgresql", "pubsub"), marks=[POSTGRESQL, REDIS]),
    pytest.param(("mariadb", "core"), marks=[MARIADB, REDIS]),
)
# For who is here: with a doorbell, or with the look alone.
ATTENDED_SITES = (
    pytest.param(("sqlite", "pubsub"), marks=REDIS),
    pytest.param(("postgresql", "none"), marks=POSTGRESQL),
)
