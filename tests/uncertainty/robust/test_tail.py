"""The mean over the worst draws, and what its bounds rest on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds3opt.laws.loss import LOSS_LAWS, MUENNIGHOFF_REPETITION
from ds3opt.uncertainty.robust.tail import tail_mean, tail_weights

VALUES = st.lists(st.floats(-10.0, 10.0), min_size=1, max_size=12).map(np.array)
TAILS = st.floats(0.02, 1.0)


@given(VALUES, TAILS)
def test_tail_weights_are_allowed_and_the_least(values: np.ndarray, tail: float) -> None:
    weights = tail_weights(values, tail)
    most = min(1.0, 1.0 / (tail * values.size))
    assert weights.sum() == pytest.approx(1.0)
    assert np.all((weights >= 0.0) & (weights <= most * (1.0 + 1e-12)))
    # Rockafellar and Uryasev: the largest of t - mean(t - v)+ / tail, at one of the values
    short = np.maximum(values[:, None] - values, 0.0).mean(axis=1) / tail
    assert tail_mean(values, tail) == pytest.approx(float(np.max(values - short)), abs=1e-9)


@given(VALUES, TAILS, st.integers(0, 1000))
def test_any_allowed_weights_bound_the_tail(values: np.ndarray, tail: float, seed: int) -> None:
    other = np.random.default_rng(seed).normal(size=values.size)
    assert tail_weights(other, tail) @ values >= tail_mean(values, tail) - 1e-9


def test_the_tail_of_all_is_the_mean_and_a_small_one_the_minimum() -> None:
    values = np.array([0.5, 0.1, 0.9])
    assert tail_mean(values, 1.0) == pytest.approx(0.5)
    assert tail_mean(values, 0.01) == 0.1


@given(
    st.floats(6.0, 13.0),
    st.floats(6.0, 14.0),
    st.floats(-4.0, 4.0),
    st.floats(-4.0, 4.0),
    st.sampled_from([np.inf, 1e8, 1e10, 1e12]),
    st.sampled_from(sorted(LOSS_LAWS)),
)
def test_losses_are_convex_in_the_logarithms_of_size_and_tokens(
    u: float, v: float, du: float, dv: float, unique: float, name: str
) -> None:
    """On which the bounds on chords rest, with repeated data too."""
    law = LOSS_LAWS[name]
    ends = law.loss([10**u, 10 ** (u + du)], [10**v, 10 ** (v + dv)], unique)
    middle = law.loss(10 ** (u + 0.5 * du), 10 ** (v + 0.5 * dv), unique)
    assert middle <= 0.5 * ends.sum() * (1.0 + 1e-12)
    assert MUENNIGHOFF_REPETITION.data_decay > 1.0
