"""Best of n by a score against quadrature with many digits, simulation and its limits."""

from __future__ import annotations

import json

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.laws.scored_choice import (
    area_under_curve,
    discrimination_of,
    scored_choice_curvature,
    scored_choice_success,
)

unit = st.floats(0.0, 1.0)


def exact(psi: float, k: int, d: float) -> float:
    """The integral by tanh-sinh quadrature with 30 digits."""
    with mpmath.workdps(30):
        p = mpmath.mpf(psi)

        def integrand(x):
            chance = p * mpmath.ncdf(x - d) + (1 - p) * mpmath.ncdf(x)
            return mpmath.npdf(x - d) * chance ** (k - 1)

        ends = [d + z for z in (-13, -6, -3, -1, 0, 1, 2, 3, 4, 5, 6, 8, 13)]
        return float(k * p * mpmath.quad(integrand, ends))


def test_reference_values(shared) -> None:
    for case in json.loads(shared("reference/coverage.json").read_text())["cases"]:
        if case["fn"] == "bon_binormal":
            x = case["inputs"]
            value = scored_choice_success(x["psi"], x["k"], x["d"])
            assert value == pytest.approx(case["expected"], rel=case["rtol"])


@pytest.mark.parametrize("psi", [1e-6, 0.02, 0.5, 0.97])
@pytest.mark.parametrize("d", [0.3, 1.2, 4.0])
@pytest.mark.parametrize("k", [2, 30, 100_000])
def test_against_thirty_digits(psi: float, d: float, k: int) -> None:
    assert scored_choice_success(psi, k, d) == pytest.approx(exact(psi, k, d), rel=1e-11)


@given(unit, st.integers(1, 10_000), st.floats(0.0, 12.0))
def test_limits_and_order(psi, k, d) -> None:
    found = float(scored_choice_success(psi, k, d))
    assert 0.0 <= found <= 1.0
    assert scored_choice_success(psi, k, 0.0) == pytest.approx(psi, rel=1e-11)
    assert scored_choice_success(psi, 1, d) == pytest.approx(psi, rel=1e-11)
    covered = -np.expm1(k * np.log1p(-min(psi, 1 - 1e-16)))
    assert scored_choice_success(psi, k, np.inf) == pytest.approx(covered, rel=1e-10, abs=1e-300)
    assert psi * (1 - 1e-11) <= found <= covered * (1 + 1e-11)
    assert scored_choice_success(psi, k + 1, d) >= found * (1 - 1e-11)
    assert scored_choice_success(psi, k, d + 0.1) >= found * (1 - 1e-11)
    assert scored_choice_success(min(1.0, psi + 0.01), k, d) >= found * (1 - 1e-11)


def test_simulated_scores() -> None:
    rng = np.random.default_rng(11)
    right = rng.random((200_000, 8)) < 0.2
    score = rng.standard_normal(right.shape) + 1.2 * right
    won = right[np.arange(right.shape[0]), np.argmax(score, axis=1)]
    value = scored_choice_success(0.2, 8, 1.2)
    assert abs(won.mean() - value) < 4.5 * won.std() / np.sqrt(won.size)


@pytest.mark.parametrize("k", [2, 3, 16, 500])
@pytest.mark.parametrize("d", [0.0, 0.8, 3.0, np.inf])
def test_curvature_is_a_bound(k: int, d: float) -> None:
    psi = np.linspace(0.0, 1.0, 2001)
    answer = scored_choice_success(psi, k, d)
    bend = -np.diff(answer, 2) / (psi[1] - psi[0]) ** 2
    bound = scored_choice_curvature(psi[:-2], k, d)
    assert np.all(bend <= bound * (1.0 + 1e-9) + 1e-7)
    slope = np.diff(answer) / (psi[1] - psi[0])
    most = scored_choice_success(psi[:-1], k, d, relative=True)
    assert np.all(slope <= most * (1.0 + 1e-9) + 1e-10)


@given(st.floats(0.5, 1.0))
def test_areas(area) -> None:
    assert area_under_curve(discrimination_of(area)) == pytest.approx(area, rel=1e-14)


def test_shapes_and_refusals() -> None:
    table = scored_choice_success(np.full((3, 4), 0.3), 5, 1.0)
    assert table.shape == (3, 4)
    assert np.ndim(scored_choice_success(0.3, 5, 1.0)) == 0
    with pytest.raises(ValueError, match="discrimination"):
        scored_choice_success(0.3, 5, -1.0)
    with pytest.raises(ValueError, match="samples"):
        scored_choice_success(0.3, 0, 1.0)
    with pytest.raises(ValueError, match="success"):
        scored_choice_success(np.nan, 2, 1.0)
