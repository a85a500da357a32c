"""Resamples and what is read off their draws."""

import numpy as np
import pytest

from ds3opt.fit.bootstrap import resampling_weights, spread


def test_resamples_keep_their_size_and_their_seed():
    weights = resampling_weights(30, 200, seed=4)
    assert weights.shape == (200, 30)
    assert np.all(weights.sum(axis=1) == 30)
    assert np.array_equal(weights, resampling_weights(30, 200, seed=4))
    assert not np.array_equal(weights, resampling_weights(30, 200, seed=5))
    # a multinomial count has mean 1 and variance 1 - 1/30; five standard errors over 6000 counts
    assert weights.var() == pytest.approx(1 - 1 / 30, abs=5 * np.sqrt(3 / 6000))


def test_strata_keep_their_sizes():
    kinds = ["a", "b", "a", "b", "b"]
    weights = resampling_weights(5, 40, seed=0, within=kinds)
    assert np.all(weights[:, [0, 2]].sum(axis=1) == 2)
    assert np.all(weights[:, [1, 3, 4]].sum(axis=1) == 3)


def test_spread_of_draws():
    draws = np.random.default_rng(0).normal(3.0, 2.0, 20_000)
    found = spread(draws)
    # standard errors: sd / sqrt(2 n) = 0.01; of a 2.5 % quantile 2 sqrt(.024375/n) / 0.0584 = 0.038
    assert found.standard_error == pytest.approx(2.0, abs=0.05)
    assert (found.low, found.high) == pytest.approx((3 - 3.92, 3 + 3.92), abs=0.19)
    assert spread(draws[:1]) is None


def test_infinite_draws_are_extreme_and_leave_no_error():
    found = spread(np.array([1.0, 2.0, 3.0, np.inf]))
    assert np.isnan(found.standard_error)
    assert (found.low, found.high) == (1.0, np.inf)
