"""Intervals and verdicts: they cover what they promise, and refuse what is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ds3opt.simulate.statistics import deviation_bound, estimate, wilson


@pytest.mark.parametrize(("wins", "count"), [(0, 10), (3, 10), (10, 10), (500, 1000)])
@pytest.mark.parametrize("level", [0.9, 0.99])
def test_wilson_is_scipys(wins: int, count: int, level: float) -> None:
    z = float(stats.norm.ppf(0.5 + level / 2))
    found = wilson(wins / count, count, z)
    exact = stats.binomtest(wins, count).proportion_ci(level, method="wilson")
    assert found == pytest.approx((exact.low, exact.high), abs=1e-15)


def test_a_mean_has_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, 10_000)
    found = estimate("steps", values, 0.99)
    half = 2.5758293035489 * values.std() / 100.0
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half))
    assert (found.exact, found.z, found.agrees) == (None, None, None)


def test_the_bound_holds_as_often_as_it_says_also_for_rare_values() -> None:
    rng = np.random.default_rng(1)
    chance, count, most, alpha = 2e-3, 400, 50.0, 0.05
    outside = 0
    for _ in range(2000):
        values = np.where(rng.random(count) < chance, most, 0.0)
        bound = deviation_bound(float(values.std()), count, most, alpha)
        outside += abs(values.mean() - chance * most) > bound
    assert outside / 2000 <= alpha
    # where the normal interval misses far more often
    assert math.exp(-chance * count) > alpha


def test_rare_successes_are_tested_exactly() -> None:
    one_success = np.zeros(100_000)
    one_success[0] = 1.0
    found = estimate("success", one_success, 0.99, exact=1e-6, comparisons=3)
    assert found.z is not None
    assert found.z > 2.5  # by the normal law this would be doubtful; its chance is 10 %
    assert found.agrees
    many = np.zeros(100_000)
    many[:8] = 1.0
    assert estimate("success", many, 0.99, exact=1e-6).agrees is False


@pytest.mark.parametrize("exact", [0.0, 1.0])
def test_what_is_certain_must_be_so(exact: float) -> None:
    sure = np.full(1000, exact)
    found = estimate("success", sure, 0.99, exact=exact)
    assert (found.agrees, found.z) == (True, 0.0)
    sure[3] = 1.0 - exact
    assert estimate("success", sure, 0.99, exact=exact).agrees is False


def test_values_that_do_not_vary_agree_within_what_rare_ones_could_do() -> None:
    values = np.full(100_000, 392.0)
    assert estimate("steps", values, 0.99, exact=392.0, most=392.0).z == 0.0
    near = estimate("steps", values, 0.99, exact=392.0 - 1e-6, most=392.0)
    assert (near.agrees, near.z) == (True, None)
    assert estimate("steps", values, 0.99, exact=391.0, most=392.0).agrees is False


def test_a_wrong_mean_is_refused_and_more_comparisons_allow_more() -> None:
    values = np.random.default_rng(2).uniform(0.0, 1.0, 10_000)
    error = values.std() / 100.0
    exact = float(values.mean() + 4.0 * error)
    assert estimate("steps", values, 0.99, exact=exact, most=1.0).agrees is False
    assert estimate("steps", values, 0.99, exact=exact, most=1.0, comparisons=1000).agrees is True
    wrong = float(values.mean() + 8.0 * error)
    assert estimate("steps", values, 0.99, exact=wrong, most=1.0, comparisons=1000).agrees is False
