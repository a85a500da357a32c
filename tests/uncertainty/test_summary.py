"""Intervals, odds and regret from outcomes that are written down."""

from __future__ import annotations

import numpy as np
import pytest

from ds3opt.io.loader import load_scenario
from ds3opt.optimise.solve import solve
from ds3opt.uncertainty.outcome import ClassOutcome, Outcome, outcome_from
from ds3opt.uncertainty.summary import LEVELS, regret_of, spread_of, spreads_of


@pytest.fixture(scope="module")
def point():
    settings = ["workload.mix=[{name: only, share: 1, difficulty: 2.5, skills: 3}]"]
    return solve(load_scenario("quickstart", settings).scenario, frontier=False, details=False)


def _outcome(index: int, lost: dict[str, float], **amounts: float) -> Outcome:
    served = {min(lost, key=lost.__getitem__): 1.0}
    only = ClassOutcome("only", 0.5, 100.0, lost, served)
    return Outcome(index, "optimal", {"objective": 0.5, **amounts}, (only,), 0.4, True)


def test_quantiles_of_known_values():
    spread = spread_of("x", np.arange(1001.0), 3.0)
    assert spread.quantiles == pytest.approx([1000 * level for level in LEVELS])
    assert (spread.point, spread.mean, spread.median) == (3.0, 500.0, 500.0)
    assert spread.interval == pytest.approx((25.0, 975.0))


def test_quantiles_of_whole_numbers_are_numbers_that_were_drawn():
    spread = spread_of("skills", np.array([4.0, 5.0, 5.0, 6.0, 9.0]), 6.0, whole=True)
    assert spread.quantiles == (4.0, 4.0, 5.0, 9.0, 9.0)


def test_draws_that_lack_an_amount_are_left_out():
    assert spread_of("x", np.array([np.nan, 2.0, 2.0]), None).mean == 2.0


def test_policies_by_how_often_they_are_best(point):
    """Of 100 draws `a` is best in 60, `b` in 40; `c` always loses a lot, `d` next to nothing."""
    outcomes = [
        _outcome(i, {"a": 0.0, "b": 0.02, "c": 0.3, "d": 1e-5})
        if i < 60
        else _outcome(i, {"a": 0.02, "b": 0.0, "c": 0.3, "d": 0.03})
        for i in range(100)
    ]
    (only,) = spreads_of(outcomes, point).classes
    found = {one.policy: one for one in only.policies}
    assert [one.policy for one in only.policies][:2] == ["a", "b"]
    assert {name: one.best for name, one in found.items()} == {"a": 0.6, "b": 0.4, "c": 0, "d": 0}
    assert {name: one.verdict for name, one in found.items()} == {
        "a": "leading",
        "b": "not told apart",
        "c": "worse",
        "d": "worse",
    }
    assert found["b"].as_good == 0.4
    assert found["c"].lost.mean == pytest.approx(0.3)


def test_ties_are_split_and_near_ties_make_no_difference(point):
    outcomes = [_outcome(i, {"a": 0.0, "b": 0.0, "c": 5e-4}) for i in range(10)]
    (only,) = spreads_of(outcomes, point).classes
    assert [one.best for one in only.policies] == [0.5, 0.5, 0.0]
    assert [one.verdict for one in only.policies] == ["leading", "no difference", "no difference"]


def test_infeasible_draws_are_counted_and_nothing_more(point):
    outcomes = [_outcome(0, {"a": 0.0}), Outcome(1, "infeasible", kept_asked=True)]
    spreads = spreads_of(outcomes, point)
    assert spreads.infeasible == 0.5
    assert spreads.model_regret is not None
    assert spreads.model_regret.mean == pytest.approx(0.1)
    assert spreads.model_regret.impossible == 0.0


def test_regret_of_accuracy_is_absolute_and_of_resources_relative():
    best, kept = np.array([0.5, 0.8, 0.9]), np.array([0.4, 0.8, np.nan])
    found = regret_of(best, kept, "accuracy", 1e-3)
    assert (found.mean, found.relative) == (pytest.approx(0.05), False)
    assert found.impossible == pytest.approx(1 / 3)
    assert found.beyond_gap == 0.5
    least = regret_of(np.array([100.0]), np.array([110.0]), "total_flop", 1e-3)
    assert (least.mean, least.relative) == (pytest.approx(0.1), True)
    loss = regret_of(np.array([2.0]), np.array([2.1]), "loss", 1e-3)  # nats/token
    assert (loss.mean, loss.relative) == (pytest.approx(0.1), False)


def test_outcomes_survive_being_written_down():
    one = _outcome(3, {"a": 0.1 + 0.2, "b": 0.0}, parameters=1e9 / 3.0)
    assert outcome_from(one.as_data()) == one


def test_draws_in_which_a_class_is_not_served_say_nothing_of_its_policies(point):
    left = ClassOutcome("only", 0.0, 0.0, {"a": 0.0, "b": 0.0}, {})
    outcomes = [_outcome(i, {"a": 0.0, "b": 0.3}) for i in range(9)]
    outcomes.append(Outcome(9, "optimal", {"objective": 0.5}, (left,), 0.4, True))
    (only,) = spreads_of(outcomes, point).classes
    found = {one.policy: one for one in only.policies}
    assert (found["a"].best, found["b"].best) == (0.9, 0.0)
    assert (found["b"].as_good, found["b"].verdict) == (0.0, "worse")


def test_where_no_policy_loses_anything_those_that_serve_are_best(point):
    outcomes = [_outcome(i, {"a": 0.0, "b": 0.0}) for i in range(4)]
    (only,) = spreads_of(outcomes, point).classes
    assert [(one.policy, one.best) for one in only.policies] == [("a", 1.0), ("b", 0.0)]
