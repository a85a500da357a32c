"""Directionality: recovered from the push-forward itself, its scale unknown, its ratios not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ds3opt.fit.directionality import (
    GRID,
    MeasuredModels,
    doubts_of_directionality,
    fit_directionality,
    fit_jointly,
    misses,
)
from ds3opt.laws.pushforward import DifficultyMixture, success_distribution

PUBLISHED = MeasuredModels(
    ("Pythia-2.8B", "Llama-3-8B-Instruct", "Llama-3-70B-Instruct"),
    np.array([0.279, 0.3205, 0.332]),
    np.array([15.3, 0.981, 0.408]),
    np.array([0.977, 1.0, 1.0]),
    np.array([2.26, 2.05, 1.92]),
    np.array([77.92, 323.68, 323.68]),
)


def beta_like(loss: float, found: float, steps: float, problems: DifficultyMixture) -> list[float]:
    """The Beta population closest to a push-forward."""
    from scipy.optimize import least_squares
    from scipy.special import betainc

    wanted = success_distribution(GRID, problems, loss, found, steps)
    best = least_squares(
        lambda x: betainc(np.exp(x[0]), np.exp(x[1]), GRID) - wanted, [np.log(0.4), 0.0]
    )
    return [*np.exp(best.x).tolist(), 1.0]


def test_ratios_are_recovered():
    problems = DifficultyMixture(1.0, 1.0, 1.4, 0.5)
    losses, steps, true = [2.3, 2.1, 2.0], [80.0, 320.0, 320.0], [0.003, 0.006, 0.012]
    fits = [beta_like(*row, problems) for row in zip(losses, true, steps, strict=True)]
    a, b, part = np.array(fits).T
    models = MeasuredModels(("s", "m", "l"), a, b, part, np.array(losses), np.array(steps))
    fit = fit_directionality(models, [1.0], [1.0])
    # Beta distributions are close to the push-forward, not the same: a quarter off at most
    assert fit.relative == pytest.approx([1.0, 2.0, 4.0], rel=0.25)
    assert np.all(fit.close[0] <= fit.relative)
    assert np.all(fit.relative <= fit.close[1])


def test_published_models():
    """DS3 Fig. 12: rising from Pythia to the 70B model; the scale costs little."""
    fit = fit_directionality(PUBLISHED, reference=1)
    assert fit.relative[0] < 1.0 < fit.relative[2]
    assert fit.relative[1] == 1.0
    assert fit.distance < 0.03
    codes = {one.code for one in doubts_of_directionality(PUBLISHED, fit)}
    assert {"scale_unknown", "group_unknown", "never_solved", "no_interval"} == codes


def test_draws_of_the_populations_give_the_interval():
    generator = np.random.default_rng(0)
    constants = np.stack([PUBLISHED.alpha, PUBLISHED.beta, PUBLISHED.solvable], axis=1)
    draws = constants * np.exp(0.05 * generator.standard_normal((20, 3, 3)))
    draws[:, :, 2] = np.minimum(draws[:, :, 2], 1.0)
    fit = fit_directionality(replace(PUBLISHED, draws=draws))
    assert fit.draws.shape == (20, 3)
    assert np.all(fit.draws[:, 0] == 1.0)
    assert np.all(fit.draws.min(axis=0)[1:] < fit.relative[1:])
    assert np.all(fit.relative[1:] < fit.draws.max(axis=0)[1:])


def test_directionalities_may_be_kept():
    problems, found, distance, at = fit_jointly(PUBLISHED)
    again = fit_jointly(PUBLISHED, given=found, start=at)
    assert again[2] == pytest.approx(distance, rel=1e-3)
    off = misses(PUBLISHED, problems, found)
    assert off.shape == (3 * GRID.size,)
    assert float(np.sqrt(np.mean(off**2))) == pytest.approx(distance)
