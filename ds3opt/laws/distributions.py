"""Quantile functions of the distributions that an uncertain number may have."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit, ndtri

from ds3opt.laws._types import ArrayLike, FloatArray, interval


def split_normal(
    probability: ArrayLike, low: ArrayLike, middle: ArrayLike, high: ArrayLike, level: float = 0.95
) -> FloatArray:
    """Quantiles of two half normals that meet at the median, each with a scale of its own.

    Parameters
    ----------
    probability : in (0, 1).
    low, middle, high : quantiles at (1 - level) / 2, 1/2 and (1 + level) / 2, in this order; equal
        ones leave no spread on their side.
    level : probability between `low` and `high`, in (0, 1).

    Notes
    -----
    ``middle + z(p) s / z((1 + level) / 2)`` with ``s = middle - low`` below the median and ``high -
    middle`` above it: all three given numbers are met exactly, at the price of a density that
    jumps at the median. With `middle` half way it is the normal distribution.

    >>> split_normal([0.025, 0.5, 0.975], 1.0, 2.0, 4.0).round(9).tolist()
    [1.0, 2.0, 4.0]
    """
    z = ndtri(interval("probability", probability, 0, 1, bounds="()"))
    median = np.asarray(middle, dtype=np.float64)
    side = np.where(z < 0.0, np.subtract(median, low), np.subtract(high, median))
    return np.asarray(median + z * (side / ndtri(0.5 * (1.0 + level))))[()]


def split_lognormal(
    probability: ArrayLike, low: ArrayLike, middle: ArrayLike, high: ArrayLike, level: float = 0.95
) -> FloatArray:
    """The same of a number above 0: its logarithm is `split_normal`.

    >>> split_lognormal([0.025, 0.5, 0.975], 1.0, 2.0, 8.0).round(9).tolist()
    [1.0, 2.0, 8.0]
    """
    return np.exp(split_normal(probability, np.log(low), np.log(middle), np.log(high), level))


def split_logit_normal(
    probability: ArrayLike, low: ArrayLike, middle: ArrayLike, high: ArrayLike, level: float = 0.95
) -> FloatArray:
    """The same of a number between 0 and 1: its log odds are `split_normal`.

    >>> split_logit_normal([0.025, 0.5, 0.975], 0.1, 0.5, 0.8).round(9).tolist()
    [0.1, 0.5, 0.8]
    """
    first, median, last = (logit(np.asarray(q, dtype=np.float64)) for q in (low, middle, high))
    odds = split_normal(probability, first, median, last, level)
    return np.asarray(expit(odds))[()]


def triangular(
    probability: ArrayLike, low: ArrayLike, peak: ArrayLike, high: ArrayLike
) -> FloatArray:
    """Quantiles of a density that rises linearly from `low` to `peak` and falls to `high`.

    >>> triangular([0.125, 0.5, 0.875], 0.0, 1.0, 2.0).tolist()
    [0.5, 1.0, 1.5]
    """
    p = interval("probability", probability, 0, 1)
    width = np.subtract(high, low)
    rising, falling = np.subtract(peak, low), np.subtract(high, peak)
    below = low + np.sqrt(p * width * rising)
    above = high - np.sqrt((1.0 - p) * width * falling)
    return np.asarray(np.where(p * width < rising, below, above))[()]


def lognormal_scale(relative_error: ArrayLike) -> FloatArray:
    """Standard deviation of the logarithm, from the standard deviation over the median.

    With ``u = exp(s^2)`` the variance over the squared median is ``u^2 - u``.

    >>> s = lognormal_scale(0.5)
    >>> round(float(np.exp(2 * s**2) - np.exp(s**2)), 12)
    0.25
    """
    ratio = interval("relative_error", relative_error, 0, np.inf, bounds="[)")
    # sqrt(1 + 4 r^2) - 1 without cancellation for small errors
    excess = 4.0 * ratio**2 / (1.0 + np.sqrt(1.0 + 4.0 * ratio**2))
    return np.sqrt(np.log1p(0.5 * excess))
