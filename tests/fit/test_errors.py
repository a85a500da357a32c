"""Quantiles of errors, and when a band is missed."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.fit.errors import errors, too_few


def test_hand_values():
    """Ratios 0.5, 1, 2: the errors of the prediction are 1, 0 and 1/2."""
    found = errors(np.array([1.0, 2.0, 4.0]), np.array([2.0, 2.0, 2.0]))
    assert (found.rows, found.p50, found.median_error) == (3, 1.0, 0.5)
    assert found.p10 == pytest.approx(0.6)  # a fifth of the way from 0.5 to 1
    assert found.p90 == pytest.approx(1.8)
    assert found.p90_error == pytest.approx(0.9)


def test_what_was_not_measured_does_not_count():
    nothing = np.array([np.nan, np.nan])
    assert errors(nothing, np.ones(2)) is None
    assert errors(np.array([np.nan, 3.0]), np.array([1.0, 3.0])).rows == 1


@given(st.integers(0, 60), st.integers(1, 60))
def test_too_few_is_the_binomial_tail(inside, rows):
    inside = min(inside, rows)
    tail = sum(
        Fraction(4, 5) ** i * Fraction(1, 5) ** (rows - i) * math.comb(rows, i)
        for i in range(inside + 1)
    )
    assert too_few(inside, rows) == (tail < Fraction(1, 100))


def test_no_rows_miss_nothing():
    assert not too_few(0, 0)
