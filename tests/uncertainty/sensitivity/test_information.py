"""Shares of variance and the worth of knowledge, against toys whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ds3opt.uncertainty.sensitivity.information import (
    regressors,
    regret,
    regret_removed,
    variance_share,
)

RUNS = 60
DRAWS = 400


def normal(z: float) -> tuple[float, float]:
    """Density and distribution function."""
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return density, 0.5 * (1.0 + math.erf(z / math.sqrt(2.0)))


def expected_maximum(mean: float, deviation: float) -> float:
    """E[max(0, X)] of a normal number."""
    density, below = normal(mean / deviation)
    return mean * below + deviation * density


def runs(seed: int, columns: int = 3):
    random = np.random.default_rng(seed)
    for _ in range(RUNS):
        yield random.normal(size=(DRAWS, columns)), random


def test_shares_of_a_linear_answer_are_those_of_its_variances():
    # Y = 2 A + B + noise of variance 1: 4/6 and 1/6 of the variance
    found: dict[str, list[float]] = {"first": [], "second": [], "both": [], "none": []}
    inside = 0
    for x, random in runs(1):
        answer = 2.0 * x[:, 0] + x[:, 1] + random.normal(size=DRAWS)
        first = variance_share(x[:, [0]], answer)
        inside += abs(first.value - 4.0 / 6.0) <= 2.0 * first.standard_error
        found["first"].append(first.value)
        found["second"].append(variance_share(x[:, [1]], answer).value)
        found["both"].append(variance_share(x[:, :2], answer).value)
        found["none"].append(variance_share(x[:, [2]], answer).value)
    for name, truth in {"first": 4 / 6, "second": 1 / 6, "both": 5 / 6}.items():
        error = np.std(found[name]) / math.sqrt(RUNS)
        assert np.mean(found[name]) == pytest.approx(truth, abs=4.0 * error + 0.003), name
    # 95 % inside two standard errors: below 85 % of 60 runs has a probability under 1e-3
    assert inside >= 0.85 * RUNS
    # put on 0 from below, so half of the noise of an irrelevant constant is left
    assert np.mean(found["none"]) < 0.005


def test_an_irrelevant_constant_reads_zero_within_its_error():
    beyond = 0
    for x, random in runs(2, 1):
        share = variance_share(x, random.normal(size=DRAWS))
        beyond += share.value > 2.0 * share.standard_error
    # a normal number is beyond two standard errors on one side in 2.3 % of the runs
    assert beyond <= 6


def test_a_curved_effect_without_slope_counts():
    random = np.random.default_rng(3)
    x = random.normal(size=(2000, 1))
    answer = x[:, 0] ** 2 + random.normal(size=2000)  # variances 2 and 1
    share = variance_share(x, answer)
    assert share.value == pytest.approx(2.0 / 3.0, abs=4.0 * share.standard_error)


def test_tails_do_not_upset_a_share():
    random = np.random.default_rng(4)
    x = np.exp(3.0 * random.normal(size=(1000, 1)))
    answer = np.log(x[:, 0]) + 3.0 * random.normal(size=1000)
    share = variance_share(x, answer)
    assert share.value == pytest.approx(0.5, abs=4.0 * share.standard_error)


def test_constants_drawn_together_are_known_together():
    # nearly the same number twice: the answer is their difference, which neither tells alone
    random = np.random.default_rng(5)
    common, apart = random.normal(size=600), 0.01 * random.normal(size=600)
    both = np.column_stack([common, common + apart])
    alone, together = variance_share(both[:, :1], apart), variance_share(both, apart)
    assert alone.value <= 2.0 * alone.standard_error
    assert together.value > 0.98


def test_few_values_are_taken_one_by_one():
    x = np.repeat([[1.0], [2.0], [4.0]], 40, axis=0)
    answer = np.where(x[:, 0] == 2.0, 1.0, 0.0)
    assert regressors(x).shape == (120, 3)
    assert variance_share(x, answer).value == pytest.approx(1.0)


def test_an_answer_that_does_not_vary_leaves_nothing_to_remove():
    share = variance_share(np.arange(50.0)[:, None], np.full(50, 0.7))
    assert (share.value, share.standard_error) == (0.0, 0.0)


def test_worth_of_knowing_a_constant_that_decides_between_two_plans():
    # plan 0 is worth 0, plan 1 is worth m + a A + b B: E max(0, m + s Z) - m in closed form
    mean, slopes = 0.2, (1.0, 0.5, 0.0)
    truth = [expected_maximum(mean, s) - mean if s else 0.0 for s in slopes]
    found: list[list[float]] = [[], [], []]
    inside = [0, 0, 0]
    for x, _ in runs(6):
        values = np.column_stack([np.zeros(DRAWS), mean + x @ slopes])
        for i in range(3):
            worth = regret_removed(x[:, [i]], values)
            found[i].append(worth.value)
            inside[i] += abs(worth.value - truth[i]) <= 2.0 * worth.standard_error
    assert np.mean(found[0]) == pytest.approx(truth[0], rel=0.05)
    # never too much on average; wrong choices by noisy regressions cost a little
    error = np.std(found[1]) / math.sqrt(RUNS)
    assert 0.85 * truth[1] <= np.mean(found[1]) <= truth[1] + 3.0 * error
    assert np.mean(found[2]) < 0.005
    assert inside[0] >= 0.85 * RUNS


def test_worth_of_two_values_is_exact():
    # two equally likely values: plan 0 is worth 1 or 0, plan 1 is worth 0 or 0.6
    x = np.tile([[0.0], [1.0]], (100, 1))
    values = np.where(x == 0.0, [[1.0, 0.0]], [[0.0, 0.6]])
    worth = regret_removed(x, values)
    assert worth.value == pytest.approx(0.5 * 1.0 + 0.5 * 0.6 - 0.5)
    assert regret(values, np.max(values, axis=1)).value == pytest.approx(0.3)


def test_noise_does_not_read_as_worth():
    random = np.random.default_rng(7)
    clear = 0
    for _ in range(RUNS):
        x, values = random.normal(size=(DRAWS, 1)), random.normal(size=(DRAWS, 12))
        clear += regret_removed(x, values).clear
    assert clear <= 4


def test_plans_that_are_all_the_same_leave_nothing_to_choose():
    values = np.repeat(np.random.default_rng(8).normal(size=(100, 1)), 3, axis=1)
    worth = regret_removed(values[:, :1], values)
    assert (worth.value, worth.clear) == (0.0, False)


@pytest.mark.parametrize("seed", range(30))
def test_no_more_regret_is_removed_than_there_is(seed):
    """One constant decides everything, so that knowing it removes nearly all of the regret."""
    rng = np.random.default_rng(seed)
    constant, plans = rng.normal(size=(100, 1)), 12
    values = 0.3 * rng.normal(size=plans) + constant * rng.normal(size=plans)
    found = regret_removed(constant, values)
    assert found.value <= regret(values, np.max(values, axis=1)).value * (1.0 + 1e-12)
    assert found.value > 0.0
