"""Quantile functions of uncertain numbers against closed forms and mpmath."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit, ndtri

from ds3opt.laws.distributions import (
    lognormal_scale,
    split_logit_normal,
    split_lognormal,
    split_normal,
    triangular,
)

P = np.array([1e-9, 0.01, 0.1, 0.3, 0.5, 0.6, 0.9, 0.999, 1 - 1e-9])
LEVELS = st.floats(0.05, 0.999)


def test_with_its_median_half_way_it_is_the_normal_distribution() -> None:
    mean, sd = 3.0, 0.25
    ends = [mean + sd * float(ndtri(p)) for p in (0.1, 0.9)]
    found = split_normal(P, ends[0], mean, ends[1], level=0.8)
    exact = [mean + sd * float(mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1)) for p in P]
    np.testing.assert_allclose(found, exact, rtol=1e-9)


@given(st.floats(-50, 50), st.floats(0, 10), st.floats(0, 10), LEVELS)
def test_the_three_given_numbers_are_quantiles(middle, below, above, level) -> None:
    ends = (middle - below, middle, middle + above)
    at = [0.5 * (1 - level), 0.5, 0.5 * (1 + level)]
    # 1e-12 of the size: ndtri is good to a few units in the last place
    np.testing.assert_allclose(split_normal(at, *ends, level), ends, rtol=1e-12, atol=1e-11)
    assert np.all(np.diff(split_normal(P, *ends, level)) >= 0.0)


@given(st.floats(1e-6, 1e6), st.floats(1, 100), st.floats(1, 100), LEVELS)
def test_so_they_are_of_numbers_above_0(middle, below, above, level) -> None:
    ends = (middle / below, middle, middle * above)
    at = [0.5 * (1 - level), 0.5, 0.5 * (1 + level)]
    np.testing.assert_allclose(split_lognormal(at, *ends, level), ends, rtol=1e-11)
    assert np.all(split_lognormal(P, *ends, level) > 0.0)


@given(st.floats(-8, 8), st.floats(0, 5), st.floats(0, 5), LEVELS)
def test_so_they_are_of_numbers_between_0_and_1(odds, below, above, level) -> None:
    ends = tuple(float(expit(o)) for o in (odds - below, odds, odds + above))
    at = [0.5 * (1 - level), 0.5, 0.5 * (1 + level)]
    found = split_logit_normal(at, *ends, level)
    # logit loses up to 1 / (1 - p) of the last place near 1
    np.testing.assert_allclose(logit(found), [odds - below, odds, odds + above], atol=1e-9)


def test_triangular_meets_its_distribution_function() -> None:
    low, peak, high = 1.0, 2.0, 6.0
    x = triangular(P, low, peak, high)
    rising = (x - low) ** 2 / ((high - low) * (peak - low))
    falling = 1 - (high - x) ** 2 / ((high - low) * (high - peak))
    np.testing.assert_allclose(np.where(x < peak, rising, falling), P, rtol=1e-7)


@pytest.mark.parametrize("peak", [1.0, 6.0])
def test_a_triangle_may_peak_at_an_end(peak) -> None:
    found = triangular([0.0, 0.25, 1.0], 1.0, peak, 6.0)
    assert found[0] == 1.0
    assert found[2] == 6.0
    middle = 6.0 - 5.0 * np.sqrt(0.75) if peak == 1.0 else 1.0 + 5.0 * np.sqrt(0.25)
    assert found[1] == pytest.approx(middle, rel=1e-12)


@given(st.floats(1e-9, 1e6))
def test_the_scale_of_a_lognormal_gives_its_standard_deviation(ratio) -> None:
    s = mpmath.mpf(float(lognormal_scale(ratio)))
    variance = mpmath.exp(s**2) * mpmath.expm1(s**2)
    assert float(mpmath.sqrt(variance)) == pytest.approx(ratio, rel=1e-9)


def test_probabilities_outside_are_refused() -> None:
    with pytest.raises(ValueError, match="probability must be in"):
        split_normal([0.0], 1.0, 2.0, 3.0)
    with pytest.raises(ValueError, match="probability must be in"):
        triangular(1.5, 1.0, 2.0, 3.0)
