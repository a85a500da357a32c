"""Tilted odds and effective votes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.laws.saturation import vote_threshold
from ds3opt.laws.tilt import effective_votes, tilt_slopes, tilted_success

unit = st.floats(0.0, 1.0)


@given(unit, st.floats(0.1, 10), st.floats(0.1, 10))
def test_odds_are_multiplied(psi, rho, other) -> None:
    found = float(tilted_success(psi, rho))
    assert 0.0 <= found <= 1.0
    if 0.0 < psi < 0.999:
        assert found / (1 - found) == pytest.approx(rho * psi / (1 - psi), rel=1e-9)
    twice = tilted_success(found, other)
    assert twice == pytest.approx(float(tilted_success(psi, rho * other)), rel=1e-9)
    assert tilted_success(psi, 1.0) == pytest.approx(psi, rel=1e-15)


@given(st.floats(0.2, 5), st.floats(0.05, 1))
def test_a_tilt_moves_the_threshold_of_a_vote_like_a_weight(rho, top) -> None:
    """Where tilted success meets the plain threshold, plain success meets the weighted one."""
    assert tilted_success(vote_threshold(top, rho), rho) == pytest.approx(
        float(vote_threshold(top)), rel=1e-12
    )


@pytest.mark.parametrize("rho", [1.0, 1.3, 8.0])
def test_slopes_are_bounds(rho: float) -> None:
    x = np.linspace(0.0, 1.0, 4001)
    y = tilted_success(x, rho)
    first, second = tilt_slopes(x, rho)
    step = x[1]
    assert np.all(np.diff(y) / step <= first[:-1] * (1 + 1e-9))
    assert np.all(-np.diff(y, 2) / step**2 <= second[:-2] * (1 + 1e-6) + 1e-7)


def test_whole_votes() -> None:
    assert effective_votes(10, 0.7) == 7.0  # 0.7 * 10 is 7.000000000000001 or less
    assert effective_votes([1, 3, 100], [0.01, 1.0, 0.29]).tolist() == [1.0, 3.0, 29.0]
    with pytest.raises(ValueError, match="share"):
        effective_votes(4, 0.0)
    with pytest.raises(ValueError, match="tilt"):
        tilted_success(0.5, 0.0)
