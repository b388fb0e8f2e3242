"""The schedule: the same for the same seed, and with something of everything in it."""

from itertools import pairwise

import pytest

from chaos.cells import CELLS, Cell, chosen
from chaos.troubles import Kind, schedule

ALL = {"servers": 3, "sockets": 54, "readers": 10}


def drawn(cell=CELLS[-1], seed="1", seconds=15.0):
    return schedule(cell, seed, seconds, **ALL)


def test_the_same_seed_draws_the_same_troubles():
    assert drawn() == drawn()
    assert drawn() != drawn(seed="2")


def test_a_longer_run_begins_as_a_shorter_one():
    shorter, longer = drawn(seconds=15), drawn(seconds=60)
    for name, lane in shorter.items():
        # The last one of the shorter run may have been cut short.
        assert longer[name][: len(lane) - 1] == lane[:-1]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
@pytest.mark.parametrize("seed", range(20))
def test_a_quarter_of_a_minute_has_everything_that_a_cell_can_have(cell, seed):
    kinds = {trouble.kind for lane in drawn(cell, f"{seed}").values() for trouble in lane}
    missing = set() if cell.has_redis else {Kind.STOP_REDIS, Kind.RESTART_REDIS}
    assert kinds == set(Kind) - missing - (set() if cell.restarts_database else {Kind.RESTART_DATABASE})


@pytest.mark.parametrize("seed", range(20))
def test_a_lane_does_one_thing_at_a_time_and_ends_in_time(seed):
    for lane in drawn(seed=f"{seed}", seconds=60).values():
        assert all(one.at + one.lasts < other.at for one, other in pairwise(lane))
        assert lane[-1].at + lane[-1].lasts <= 60.001


@pytest.mark.parametrize("seed", range(20))
def test_two_servers_at_most_are_away_and_each_trouble_may_hit_any_of_them(seed):
    lanes = drawn(seed=f"{seed}", seconds=60)
    of_servers = [
        lane for lane in lanes.values() if {Kind.KILL, Kind.STOP_SERVER, Kind.DEPLOY} & {it.kind for it in lane}
    ]
    assert len(of_servers) == ALL["servers"] - 1
    assert all(sorted(trouble.targets) == [0, 1, 2] for lane in of_servers for trouble in lane)


@pytest.mark.parametrize("seed", range(20))
def test_a_server_is_stopped_for_longer_than_a_transaction_may_stand_still(seed):
    first = next(trouble for trouble in drawn(seed=f"{seed}")["deploys"] if trouble.kind is Kind.STOP_SERVER)
    assert 6 <= first.lasts <= 8


def test_cells_are_chosen_by_their_names_or_by_halves_of_them():
    assert chosen("") == CELLS
    assert chosen("sqlite-core, mariadb-pubsub") == (Cell("sqlite", "core"), Cell("mariadb", "pubsub"))
    assert len(chosen("postgresql")) == len(chosen("core")) == 3
    with pytest.raises(ValueError, match="'oracle'"):
        chosen("oracle")
