"""Many robust problems side by side: the sum, the minimum, the box."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from ds3opt.fit.robust import huber, minimise

X = np.linspace(0.0, 1.0, 25)
NOISE = np.random.default_rng(3).normal(0.0, 0.05, X.size)


def decay(target, delta, starts, **options):
    """``exp(a - exp(b) x)`` fitted to a target."""

    def residuals(at):
        told = np.exp(at[:, 0, None] - np.exp(at[:, 1, None]) * X)
        slopes = np.stack([told, -told * np.exp(at[:, 1, None]) * X], axis=2)
        return told - target, slopes

    ends = {"low": np.array([-5.0, -5.0]), "high": np.array([5.0, 5.0])} | options
    return minimise(residuals, np.asarray(starts), delta=delta, rows=X.size, **ends)


@given(st.floats(-1e3, 1e3), st.floats(1e-6, 1e3))
def test_huber_is_continuous_and_below_the_square(r, delta):
    value = float(huber(np.array(r), delta))
    assert 0.0 <= value <= 0.5 * r * r * (1 + 1e-12)
    if abs(r) <= delta:
        assert value == pytest.approx(0.5 * r * r)
    else:
        assert value == pytest.approx(delta * (abs(r) - 0.5 * delta))


def test_an_infinite_threshold_is_least_squares():
    assert huber(np.array([-3.0, 4.0]), np.inf).tolist() == [4.5, 8.0]


def test_each_problem_ends_where_an_independent_solver_does():
    """Nelder-Mead from the same starts, one weighting for each problem."""
    target = np.exp(0.4 - 2.0 * X) + NOISE
    target[4] += 1.0
    weights = np.random.default_rng(0).integers(0, 3, (3, X.size)).astype(float)
    found = decay(target, 0.02, [[0.0, 0.0]] * 3, weights=weights)
    for at, total, own in zip(found.coordinates, found.sums, weights, strict=True):

        def objective(z, own=own):
            told = np.exp(z[0] - np.exp(z[1]) * X)
            return float((own * huber(told - target, 0.02)).sum())

        expected = minimize(
            objective, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14}
        )
        assert total == pytest.approx(objective(at), rel=1e-12)
        assert total <= expected.fun * (1 + 1e-9)
        assert at == pytest.approx(expected.x, abs=1e-4)


def test_held_coordinates_stay_and_the_box_is_kept():
    target = np.exp(0.4 - 2.0 * X)
    found = decay(target, 0.02, [[0.1, 0.0], [0.3, 2.0]], free=np.array([0.0, 1.0]))
    assert found.coordinates[:, 0].tolist() == [0.1, 0.3]
    found = decay(target, 0.02, [[0.0, 0.0]], high=np.array([0.2, 5.0]))
    assert found.coordinates[0, 0] == 0.2


def test_a_minimum_is_never_above_its_start():
    starts = np.random.default_rng(1).uniform(-4, 4, (50, 2))
    target = np.exp(0.4 - 2.0 * X) + NOISE
    told = np.exp(starts[:, 0, None] - np.exp(starts[:, 1, None]) * X)
    assert np.all(decay(target, 0.02, starts).sums <= huber(told - target, 0.02).sum(axis=1))


def test_progress_ends_with_everything_done():
    seen = []
    decay(np.exp(-X), 0.1, [[0.0, 0.0]] * 4, progress=seen.append)
    assert seen[-1] == 1.0
