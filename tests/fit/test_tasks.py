"""Difficulty, skills, directionality and fatigue from measured accuracies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ds3opt.fit.task_draws import likely_draws
from ds3opt.fit.task_model import CONSTANTS, Observations, TaskModel, signed_root_deviance
from ds3opt.fit.tasks import QUANTILE, fit_tasks
from ds3opt.policies import BestOfN, ChainOfThought, MajorityVote, Policy, TaskTraits, TreeOfThought

TRUTH = {"difficulty": 2.3, "skills": 8.0, "directionality": 0.7, "fatigue": 0.02}
POLICIES = (
    ChainOfThought(),
    BestOfN(samples=4),
    MajorityVote(samples=5),
    TreeOfThought(branches=2),
)
MANY = 1e7
"""Problems: accuracies without scatter."""


def observed(
    losses: list[float],
    budgets: list[float],
    policies: tuple[Policy, ...] = POLICIES[:1],
    *,
    problems: float = MANY,
    truth: dict[str, float] = TRUTH,
    seed: int | None = None,
) -> Observations:
    """Every loss with every budget of tokens and policy, 25 tokens a step."""
    loss, budget, policy = (
        x.ravel() for x in np.meshgrid(losses, budgets, np.arange(len(policies)), indexing="ij")
    )
    width = np.array([p.width for p in policies])[policy]
    count = loss.size
    traits = TaskTraits(
        np.ones(count), np.zeros(count), ((0.4, 0.3, 0.3),), np.zeros(count, dtype=np.intp)
    )
    rows = Observations(
        loss,
        np.floor(budget / 25.0 / width),
        policies,
        policy.astype(np.intp),
        np.full(count, problems),
        np.zeros(count),
        traits,
    )
    chance = told(rows, truth)
    if seed is None:
        return replace(rows, solved=problems * chance)
    drawn = np.random.default_rng(seed).binomial(int(problems), chance).astype(float)
    return replace(rows, solved=drawn)


def told(rows: Observations, truth: dict[str, float]) -> np.ndarray:
    """Accuracies by the model."""
    model = TaskModel.of(replace(rows, solved=rows.problems))
    return model.accuracy(model.coordinates(np.array([[truth[name] for name in CONSTANTS]])))[0]


@pytest.mark.parametrize(
    "truth",
    [
        TRUTH,
        {"difficulty": 2.5, "skills": 1.0, "directionality": 0.3, "fatigue": 0.0},
        {"difficulty": 2.1, "skills": 30.0, "directionality": 1.0, "fatigue": 0.005},
    ],
)
def test_constants_are_recovered_from_exact_accuracies(truth) -> None:
    rows = observed([2.0, 2.2, 2.5], [800, 2000, 8000], POLICIES, truth=truth)
    fit = fit_tasks(rows)
    assert fit.values["skills"] == truth["skills"]
    for name in CONSTANTS:
        # the deviance that is left is that of a default taken at no cost, 1e-3, and 1e7 problems
        # know each constant to about 1e-3
        assert fit.values[name] == pytest.approx(truth[name], rel=2e-3, abs=1e-4)
        assert fit.profiles[name].low <= truth[name] * (1 + 1e-9) + 1e-9
        assert fit.profiles[name].high >= truth[name] * (1 - 1e-9)
    assert fit.deviance < 0.01
    assert fit.agreeing >= 1


def test_the_truth_lies_in_the_intervals_of_measured_accuracies() -> None:
    rows = observed([2.0, 2.2, 2.5], [800, 2000, 8000], POLICIES, problems=500, seed=4)
    fit = fit_tasks(rows)
    for name in CONSTANTS:
        assert fit.profiles[name].low <= TRUTH[name] <= fit.profiles[name].high
    assert fit.freedom == len(rows) - 4
    assert fit.chance is not None
    assert fit.chance > 1e-3
    assert np.sum(fit.residuals**2) == pytest.approx(fit.deviance, rel=1e-12)


def test_one_model_does_not_tell_difficulty_from_directionality() -> None:
    fit = fit_tasks(observed([2.2], [800, 2000, 8000], POLICIES, problems=1000, seed=1))
    assert fit.values["directionality"] == 1.0, "the default, which does as well as any"
    assert fit.profiles["difficulty"].open_above
    assert fit.profiles["directionality"].high == 1.0
    (blend,) = fit.blends()
    assert set(blend) == {"difficulty", "directionality"}
    three = fit_tasks(observed([2.0, 2.2, 2.5], [800, 2000, 8000], POLICIES))
    assert three.blends() == []


def test_held_constants_stay() -> None:
    rows = observed([2.2], [800, 2000, 8000], POLICIES)
    fit = fit_tasks(rows, held={"directionality": 0.7, "skills": 8})
    assert fit.values["directionality"] == pytest.approx(0.7, rel=1e-12)
    assert fit.values["skills"] == 8.0
    assert fit.values["difficulty"] == pytest.approx(2.3, abs=1e-4)
    assert set(fit.profiles) == {"difficulty", "fatigue"}
    everything = fit_tasks(rows, held=TRUTH)
    assert everything.profiles == {}
    assert everything.values == pytest.approx(TRUTH, rel=1e-12)


def test_ends_of_an_interval_are_where_the_likelihood_says() -> None:
    rows = observed([2.0, 2.2, 2.5], [800, 2000, 8000], POLICIES, problems=300, seed=9)
    fit = fit_tasks(rows)
    limit = fit.deviance + QUANTILE * fit.dispersion
    for name in ("difficulty", "directionality", "fatigue"):
        ends = fit.profiles[name]
        for end, away in ((ends.low, -1.0), (ends.high, 1.0)):
            # the last halving is 1/128 of a step, which is at most 0.7 of the whole interval
            slack = 0.01 * (ends.high - ends.low)
            inside = fit_tasks(rows, held={name: end - away * slack}, profiles=False)
            outside = fit_tasks(rows, held={name: end + away * slack}, profiles=False)
            assert inside.deviance < limit < outside.deviance


@pytest.mark.parametrize(
    ("losses", "budgets", "policies"),
    [
        ([2.2], [800, 2000, 8000], POLICIES[:2]),
        ([2.0, 2.5], [2000, 8000], POLICIES[:1]),
    ],
)
def test_what_is_known_needs_no_intervals(losses, budgets, policies) -> None:
    rows = observed(losses, budgets, policies, problems=300, seed=5)
    full, quick = fit_tasks(rows), fit_tasks(rows, profiles=False)
    assert quick.values == full.values
    for name, one in full.profiles.items():
        other = quick.profiles[name]
        assert (other.open_below, other.open_above) == (one.open_below, one.open_above), name


def test_draws_are_joint_and_whole_and_near_the_fit() -> None:
    rows = observed([2.0, 2.2, 2.5], [800, 2000, 8000], problems=300, seed=5)
    fit = fit_tasks(rows)
    short, long = (likely_draws(fit, 512, 0, burnt) for burnt in (60, 600))
    assert np.array_equal(short, likely_draws(fit, 512, 0, 60))
    for draws in (short, long):
        assert np.array_equal(draws[:, 1], np.rint(draws[:, 1]))
        assert np.all((draws[:, 2] > 0.0) & (draws[:, 2] <= 1.0))
        assert np.all((draws[:, 3] >= 0.0) & (draws[:, 3] <= 1.0))
    # 256 walkers are about as many independent draws
    spread = long.std(axis=0)
    apart = np.abs(short.mean(axis=0) - long.mean(axis=0))
    assert np.all(apart <= 4.0 * spread * (2 / 256) ** 0.5)
    # a harder class of better directed search: they are known better together than apart
    assert abs(np.corrcoef(long[:, 0], np.log(long[:, 2]))[0, 1]) > 0.5


def test_draws_of_held_constants_stay() -> None:
    rows = observed([2.2], [800, 2000, 8000], POLICIES)
    fit = fit_tasks(rows, held={"directionality": 0.7, "skills": 8}, profiles=False)
    draws = likely_draws(fit, 100, 1)
    assert draws.shape == (100, 4)
    assert np.all(draws[:, 1] == 8.0)
    assert draws[:, 2] == pytest.approx(0.7, rel=1e-12)


def test_slopes_agree_with_differences() -> None:
    model = TaskModel.of(observed([2.0, 2.4], [800, 4000], POLICIES, problems=200, seed=3))
    model = replace(model, whole=False)
    generator = np.random.default_rng(0)
    mid, half = 0.5 * (model.low + model.high), 0.3 * (model.high - model.low)
    at = mid + half * generator.uniform(-1.0, 1.0, (20, 4))
    slopes = model.residuals(at)[1]
    for one in range(4):
        step = np.zeros(4)
        step[one] = 3e-4
        change = (model.residuals(at + step)[0] - model.residuals(at - step)[0]) / 6e-4
        chance, skills = model.accuracy(at), np.exp(at[:, [1]])
        # no accuracy lies at its floor or ceiling, and no trace has just as many steps as skills
        kept = (np.abs(chance - 0.5) < 0.5 - 1e-9) & (skills < model.rows.steps - 1.0)
        assert slopes[:, :, one][kept] == pytest.approx(change[kept], rel=1e-3, abs=1e-3)


def test_the_deviance_is_that_of_the_binomial() -> None:
    from scipy.stats import binom

    rows = observed([2.0, 2.4], [800, 4000], problems=50, seed=3)
    solved = rows.solved
    log_ratio = binom.logpmf(solved, 50, solved / 50) - binom.logpmf(solved, 50, 0.3)
    residual = signed_root_deviance(rows, np.full(4, 0.3))
    assert residual**2 == pytest.approx(2.0 * log_ratio, rel=1e-9, abs=1e-9)
    assert np.all(np.sign(residual) == np.sign(0.3 - solved / 50))


@settings(max_examples=4, deadline=None)
@given(st.permutations(range(9)))
def test_the_order_of_rows_does_not_matter(order) -> None:
    rows = observed([2.0, 2.2, 2.5], [800, 2000, 8000], problems=400, seed=2)
    one, other = (fit_tasks(r, profiles=False) for r in (rows, rows.take(order)))
    assert other.deviance == pytest.approx(one.deviance, abs=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [range(12), (2, 5, 7, 8, 9, 11)])
def test_intervals_cover_the_truth_as_often_as_they_say(chosen) -> None:
    """Nominal 95 % intervals of constants that are identified, over tables of a known class.

    Between 90 and 98 %, with three standard errors of the simulation on top. The interval of
    skills, which are whole numbers, and of the others for each of those numbers, may well cover
    more: a set of whole numbers cannot be cut to 95 %.
    """
    tables, truth = 100, {"difficulty": 2.1, "skills": 8.0, "directionality": 0.8, "fatigue": 0.03}
    known, inside = dict.fromkeys(CONSTANTS, 0), dict.fromkeys(CONSTANTS, 0)
    losses, budgets = [2.33, 2.15, 2.04], [300, 600, 1000, 2000]
    for seed in range(tables):
        rows = observed(losses, budgets, problems=500, truth=truth, seed=seed).take(chosen)
        for name, one in fit_tasks(rows).profiles.items():
            known[name] += one.known
            inside[name] += one.known and one.low - 1e-9 <= truth[name] <= one.high + 1e-9
    share = {name: inside[name] / known[name] for name in CONSTANTS}
    error = 3.0 * np.sqrt(0.95 * 0.05 / tables)
    assert all(count > 0.8 * tables for count in known.values()), known
    assert all(one >= 0.90 - error for one in share.values()), share
    assert share["difficulty"] <= 0.98 + error, share
