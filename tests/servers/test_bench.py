"""What the bench makes of what it has measured: who received what, how flat a curve is, what of a claim holds."""

import sys

import pytest
from readme import ROOT

# Behind all else: django_rooms is to be the one that is installed.
sys.path.append(str(ROOT))

from benchmarks import rounds
from benchmarks.cases import CASES
from benchmarks.claims import CLAIMS, Claim, Met, at_least, at_most, by_theirs, judge, times_less
from benchmarks.measures.growth import greatest, off_flat, off_flat_but_first, with_members_own
from benchmarks.measures.received import received, together
from benchmarks.report import limits, results
from benchmarks.report.table import FIGURES, number


class TestReceived:
    ORDER = (10, 11, 12, 13)

    @pytest.mark.parametrize(
        ("numbers", "delivered", "doubled", "disordered"),
        [
            ([10, 11, 12, 13], 4, 0, 0),
            ([], 0, 0, 0),
            ([10, 13], 2, 0, 0),
            ([10, 11, 11, 12, 10, 13], 4, 2, 0),
            ([11, 10, 12, 13], 4, 0, 1),
            ([13, 10, 11, 12], 4, 0, 3),
        ],
    )
    def test_each_is_told_apart(self, numbers, delivered, doubled, disordered):
        one = received(self.ORDER, numbers)
        assert (one.delivered, one.doubled, one.disordered) == (delivered, doubled, disordered)
        assert one.missed == 4 - delivered
        assert one.percent == 25 * delivered

    def test_the_order_is_the_rooms_and_not_that_of_the_numbers(self):
        assert received((2, 1, 3), [2, 1, 3]).disordered == 0

    def test_what_was_never_published_is_no_result(self):
        with pytest.raises(ValueError, match="99"):
            received(self.ORDER, [10, 99])

    def test_readers_add_up(self):
        both = together([received(self.ORDER, [10, 10]), received(self.ORDER, [11, 10, 12, 13])])
        assert (both.expected, both.delivered, both.doubled, both.disordered) == (8, 5, 1, 1)


class TestGrowth:
    def points(self, *figures):
        return [{"at": at, "cost": cost} for at, cost in enumerate(figures)]

    def test_how_far_from_flat_is_by_the_farthest(self):
        assert off_flat(self.points(10, 10, 10), "cost") == 0
        assert off_flat(self.points(8, 10, 10, 11), "cost") == pytest.approx(0.2)
        assert off_flat(self.points(10, 10, 15), "cost") == pytest.approx(0.5)

    def test_the_first_may_be_left_out(self):
        assert off_flat_but_first(self.points(99, 10, 10), "cost") == 0

    def test_the_greatest_is_of_the_points_that_have_the_figure(self):
        assert greatest([{"at": 1}, {"at": 2, "cost": 3.0}, {"at": 4, "cost": 2.0}], "cost") == 3.0

    def test_a_member_costs_what_a_publish_costs_more_by_one(self):
        points = with_members_own([{"at": 1, "cpu_us_per_publish": 100}, {"at": 11, "cpu_us_per_publish": 150}])
        assert points[0] == {"at": 1, "cpu_us_per_publish": 100}
        assert points[1]["cpu_us_per_member"] == 5


def rounds_of(*pairs, case="storm", ours="rooms", theirs="peer", figure="seconds"):
    """A round for each pair of figures; None: it was not measured."""
    return [
        {case: {name: {figure: value} for name, value in zip((ours, theirs), pair, strict=True) if value is not None}}
        for pair in pairs
    ]


class TestClaims:
    def claim(self, bound, *, theirs="peer", ratio=by_theirs):
        return Claim("", "storm", "seconds", "rooms", bound, theirs, ratio)

    def test_sides_are_compared_within_their_round(self):
        verdict = judge(self.claim(at_least(2)), rounds_of((20, 10), (2, 1), (40, 20)))
        assert verdict.ratios == (2, 2, 2)
        assert verdict.met is Met.YES

    @pytest.mark.parametrize(("bound", "met"), [(at_least(4), Met.NO), (at_least(2), Met.YES), (at_most(3), Met.NO)])
    def test_the_worse_quartile_counts(self, bound, met):
        # Quartiles 2 and 4, and the median 3.
        verdict = judge(self.claim(bound), rounds_of(*((ratio, 1) for ratio in (1, 5, 3, 4, 2))))
        assert verdict.median == 3
        assert verdict.quartiles == (2, 4)
        assert verdict.met is met

    def test_of_what_shall_be_less_theirs_is_put_by_ours(self):
        verdict = judge(self.claim(at_least(5), ratio=times_less), rounds_of((1, 5)))
        assert verdict.ratios == (5,)
        assert verdict.met is Met.YES

    def test_a_figure_may_stand_alone(self):
        assert judge(self.claim(at_most(5), theirs=None), rounds_of((5, None))).met is Met.YES

    def test_a_round_without_the_peer_says_nothing(self):
        assert judge(self.claim(at_least(1)), rounds_of((1, None))).met is Met.UNKNOWN
        assert judge(self.claim(at_least(1)), rounds_of((1, None), (2, 1))).ratios == (2,)

    def test_one_failure_of_ours_is_a_no(self):
        failed = {"storm": {"rooms": {"raised": "It fell over."}, "peer": {"seconds": 1}}}
        assert judge(self.claim(at_least(1)), [*rounds_of((2, 1), (2, 1)), failed]).met is Met.NO

    def test_how_much_is_missing_is_said_as_a_part_of_what_was_asked(self):
        assert judge(self.claim(at_least(5)), rounds_of((4, 1))).short_by == pytest.approx(0.2)
        assert judge(self.claim(at_most(0), theirs=None), rounds_of((3, None))).short_by == 3

    @pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.case}: {claim.text}")
    def test_each_is_of_a_figure_that_its_case_has_of_everybody_it_names(self, claim):
        (case,) = [one for one in CASES if one.name == claim.case]
        assert set(claim.entrants) <= {one.name for one in case.entrants}
        assert claim.figure in FIGURES[case.measure.__name__]
        assert (claim.curve is None) == (case.along is None)


class TestPlan:
    def test_everybody_is_first_in_a_round(self):
        plan = rounds.plan(quick=False, rounds=5, only=["idle"])
        (case,) = plan.cases
        turns = list(rounds.turns(plan))
        firsts = [next(entrant for number, _, entrant in turns if number == each).name for each in range(5)]
        assert firsts == [case.entrants[each % len(case.entrants)].name for each in range(5)]
        assert len(turns) == 5 * len(case.entrants)

    def test_the_quick_run_has_who_is_claimed_of_on_postgresql(self):
        plan = rounds.plan(quick=True, rounds=1)
        assert {entrant.choice.database for _, _, entrant in rounds.turns(plan)} <= {"postgresql", None}
        assert plan.kind is rounds.Kind.QUICK

    def test_only_a_run_of_everything_is_full(self):
        assert rounds.plan(quick=False, rounds=5).kind is rounds.Kind.FULL
        for part in ({"only": ["idle"]}, {"peers": ["rooms"]}, {"seconds": 1.0}, {"rounds": 4}):
            assert rounds.plan(**{"quick": False, "rounds": 5, **part}).kind is rounds.Kind.PART


def made(cases, *outcomes):
    found = results.Results("The full run", len(outcomes), {}, "", cases, {}, {})
    for place, each in enumerate(outcomes):
        for (case, entrant), outcome in each.items():
            found.note(place, case, entrant, outcome)
    return found


STORING = {"storing": {"values": []}}


class TestLimits:
    def shares(self, rate, server, database, redis):
        return {
            ("storing", "rooms/postgresql"): {
                "stored_per_s": rate,
                "server_cpu_share": server,
                "postgresql_cpu_share": database,
                "redis-1_cpu_share": redis,
                "redis-2_cpu_share": 0.0,
            }
        }

    def test_the_server_is_full_first_and_something_else_with_more_of_them(self):
        (sentence,) = limits.sentences(made(STORING, self.shares(5_000, 1.0, 0.2, 0.01)))
        assert "the CPU of the server is full first, at 5,000 messages/s for each process" in sentence
        assert "With 5 processes" in sentence
        assert "PostgreSQL is, at 25,000 messages/s" in sentence

    def test_the_database_may_be_full_first(self):
        (sentence,) = limits.sentences(made(STORING, self.shares(5_000, 0.2, 1.0, 0.01)))
        assert "PostgreSQL is full first, at 5,000 messages/s" in sentence

    def test_nothing_is_said_of_what_was_not_measured(self):
        assert limits.sentences(made(STORING)) == []
        assert limits.rows(made({}))[1:] == []

    def test_of_idle_connections_memory_is_set_beside_a_core(self):
        cases = {"connections": {"values": []}, "quiet": {"values": [], "parameters": {"members": 10_000}}}
        outcome = {
            ("connections", "rooms/postgresql"): {"kib_per_connection": 32.0},
            ("quiet", limits.QUIET): {"cpu_percent": 5.0},
        }
        (sentence,) = limits.sentences(made(cases, outcome))
        assert "32,768 in a GiB" in sentence
        assert "A core would be full with 200,000 of them, which hold 6.1 GiB" in sentence


class TestResults:
    def test_they_are_read_as_they_were_written(self, tmp_path):
        found = made({"storm": {"values": []}}, {("storm", "rooms/postgresql"): {"seconds": 1.23456789}})
        results.write(found, tmp_path / "results.json")
        assert results.read(tmp_path / "results.json") == found
        assert found.median("storm", "rooms/postgresql", "seconds") == 1.2346

    def test_a_failure_of_ours_or_of_the_bench_fails_the_run_and_that_of_a_peer_does_not(self):
        wrong = {"raised": "It lost a message."}
        assert not made({}, {("storm", "peer"): wrong}).failed()
        assert made({}, {("storm", "peer"): {**wrong, "failed": True}}).failed()
        assert made({}, {("storm", "rooms/sqlite"): wrong}).failed()


@pytest.mark.parametrize(
    ("value", "text"), [(99.999, "99.99"), (100.0, "100"), (1.2345, "1.23"), (12_345, "12,345"), (0.0123, "0.0123")]
)
def test_no_figure_is_rounded_up_to_a_hundred(value, text):
    assert number(value) == text
