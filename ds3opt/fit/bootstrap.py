"""Uncertainty by resampling rows: weights of the resamples, errors and intervals of the draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ds3opt.laws._types import FloatArray

LEVEL = 0.95
"""Nominal coverage of an interval."""


def resampling_weights(
    rows: int, draws: int, seed: int, within: Sequence[object] | None = None
) -> FloatArray:
    """How often each row stands in each resample, shape (draw, row).

    Parameters
    ----------
    rows : n >= 1.
    draws : resamples >= 0.
    seed : the same seed gives the same resamples.
    within : the stratum of each row; every stratum keeps its number of rows.

    >>> resampling_weights(4, 2, seed=0).sum(axis=1).tolist()
    [4.0, 4.0]
    """
    generator = np.random.default_rng(seed)
    strata = np.zeros(rows, dtype=int)
    if within is not None:
        strata = np.unique(np.asarray(within), return_inverse=True)[1]
    counts = np.zeros((draws, rows))
    for one in range(int(strata.max(initial=0)) + 1):
        members = np.flatnonzero(strata == one)
        even = np.full(len(members), 1.0 / len(members))
        counts[:, members] = generator.multinomial(len(members), even, size=draws)
    return counts


@dataclass(frozen=True)
class Spread:
    """How far a number may be off."""

    standard_error: float
    low: float
    """Lower end of the interval of nominal coverage `LEVEL`."""
    high: float


def spread(draws: FloatArray) -> Spread | None:
    """Standard deviation and percentile interval of the draws of one number; None without any.

    Notes
    -----
    Draws that are not finite count as extreme in the interval. With any of them, or where the
    variance is beyond float64, there is no standard error (NaN).

    >>> found = spread(np.arange(101.0))
    >>> round(found.low, 6), round(found.high, 6)
    (2.5, 97.5)
    """
    if len(draws) < 2:
        return None
    tail = (1.0 - LEVEL) / 2.0
    finite = bool(np.isfinite(draws).all())
    how: Literal["linear", "nearest"] = "linear" if finite else "nearest"
    low, high = np.quantile(draws, (tail, 1.0 - tail), method=how)
    with np.errstate(over="ignore"):
        error = float(np.std(draws, ddof=1)) if finite else float("nan")
    error = error if np.isfinite(error) else float("nan")
    return Spread(error, float(low), float(high))
