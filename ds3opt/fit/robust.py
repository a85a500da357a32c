"""Many robust non-linear least-squares problems solved side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ds3opt.laws._types import FloatArray

Residuals = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""Residuals (problem, row) and their derivatives (problem, row, coordinate) at coordinates."""
Progress = Callable[[float], None]

MOST_ITERATIONS = 200
_SETTLED = 1e-11
"""Relative decrease below which an iteration gained nothing."""
_PATIENCE = 4
"""Iterations in a row that may gain nothing before a problem is done."""
_LONGEST_STEP = 1.0
_STIFFEST = 1e9
_ELEMENTS = 3_000_000
"""Derivatives held at a time, whatever the number of problems."""


def huber(residuals: FloatArray, delta: float) -> FloatArray:
    """Huber loss of each residual: ``r^2 / 2`` up to `delta`, linear beyond.

    Parameters
    ----------
    residuals : any shape.
    delta : threshold > 0, inf for least squares.

    >>> huber(np.array([0.5, -3.0]), 1.0).tolist()    # 3 - 1/2
    [0.125, 2.5]
    """
    size = np.abs(residuals)
    near = np.minimum(size, delta)
    return near * (size - 0.5 * near)


@dataclass(frozen=True)
class Minima:
    """Where each problem ended."""

    coordinates: FloatArray  # (problem, coordinate)
    sums: FloatArray  # (problem,), weighted Huber sum


def minimise(
    residuals: Residuals,
    starts: FloatArray,
    *,
    low: FloatArray,
    high: FloatArray,
    delta: float,
    weights: FloatArray | None = None,
    free: FloatArray | None = None,
    rows: int,
    gain: float = 0.0,
    progress: Progress | None = None,
) -> Minima:
    """Local minimum of the weighted Huber sum from each start, within a box.

    Parameters
    ----------
    residuals : the model, for coordinates of shape (problem, coordinate).
    starts : (problem, coordinate); clipped into the box.
    low, high : ends of the box, (coordinate,).
    delta : Huber threshold > 0.
    weights : (problem, row) or (1, row), >= 0; None: 1.
    free : (coordinate,) or (problem, coordinate), 0 where a coordinate stays at its start; None:
        all move.
    rows : of data.
    gain : decrease of the sum, besides the relative one, below which an iteration gained nothing.
    progress : told the share that is done.

    Notes
    -----
    Damped Gauss-Newton steps. A row beyond `delta` has no curvature of its own; it is given a
    share of that of the parabola through its residual, all of it at first (then the sum can only
    fall, but slowly) and a tenth later, which comes close to Newton's step. A step that raises the
    sum is not taken, so the sums never rise.
    """
    count, size = starts.shape
    chunk = max(1, _ELEMENTS // max(rows * size, 1))
    moves = np.ones(size) if free is None else np.asarray(free, dtype=np.float64)
    moves = np.broadcast_to(moves, starts.shape)
    shared = np.ones((1, rows)) if weights is None else weights
    found, sums = np.empty((count, size)), np.empty(count)
    for begin in range(0, count, chunk):
        part = slice(begin, begin + chunk)
        own = shared if len(shared) == 1 else shared[part]
        found[part], sums[part] = _side_by_side(
            residuals, starts[part], own, low, high, delta, moves[part], gain
        )
        if progress is not None:
            progress(min(begin + chunk, count) / count)
    return Minima(found, sums)


def _side_by_side(
    residuals: Residuals,
    starts: FloatArray,
    weights: FloatArray,
    low: FloatArray,
    high: FloatArray,
    delta: float,
    free: FloatArray,
    gain: float,
) -> tuple[FloatArray, FloatArray]:
    """The problems of one chunk; those that have settled are put aside."""
    at = np.clip(starts, low, high)
    done_at, done_sums = at.copy(), np.empty(len(at))
    left = np.arange(len(at))
    damping, idle = np.full(len(at), 1e-2), np.zeros(len(at), dtype=int)
    r, jacobian = residuals(at)
    sums = (weights * huber(r, delta)).sum(axis=1)
    for iteration in range(MOST_ITERATIONS):
        # without a threshold no row is beyond it, and Newton's step is taken at once
        share = 0.1 if np.isinf(delta) else max(0.1, 0.93**iteration)
        step = _step(r, jacobian, weights, delta, damping, share, at, low, high, free)
        tried = np.clip(at + step, low, high)
        new_r, new_jacobian = residuals(tried)
        new_sums = (weights * huber(new_r, delta)).sum(axis=1)
        better = new_sums <= sums
        gained = better & (sums - new_sums > np.maximum(_SETTLED * sums, gain))
        idle = np.where(gained, 0, idle + 1)
        at = np.where(better[:, None], tried, at)
        r = np.where(better[:, None], new_r, r)
        jacobian = np.where(better[:, None, None], new_jacobian, jacobian)
        sums = np.where(better, new_sums, sums)
        damping = np.where(better, np.maximum(0.2 * damping, 1e-12), 5.0 * damping)
        settled = (damping > _STIFFEST) | ((idle >= _PATIENCE) & (share <= 0.1))
        if settled.any():
            done_at[left[settled]], done_sums[left[settled]] = at[settled], sums[settled]
            go = ~settled
            if not go.any():
                return done_at, done_sums
            left, at, r, jacobian = left[go], at[go], r[go], jacobian[go]
            sums, damping, idle, free = sums[go], damping[go], idle[go], free[go]
            weights = weights if len(weights) == 1 else weights[go]
    done_at[left], done_sums[left] = at, sums
    return done_at, done_sums


def _step(
    r: FloatArray,
    jacobian: FloatArray,
    weights: FloatArray,
    delta: float,
    damping: FloatArray,
    share: float,
    at: FloatArray,
    low: FloatArray,
    high: FloatArray,
    free: FloatArray,
) -> FloatArray:
    size = jacobian.shape[2]
    beyond = np.abs(r) > delta
    parabola = np.where(beyond, delta / np.maximum(np.abs(r), 1e-300), 1.0)
    slope = np.einsum("bn,bnp->bp", weights * np.clip(r, -delta, delta), jacobian)
    held = ((at <= low) & (slope > 0.0)) | ((at >= high) & (slope < 0.0)) | (free == 0.0)
    slope = np.where(held, 0.0, slope)
    curved = np.matmul(
        np.swapaxes(
            jacobian * (weights * np.where(beyond, share * parabola, 1.0))[:, :, None], 1, 2
        ),
        jacobian,
    )
    scale = np.einsum("bn,bnp->bp", weights * parabola, jacobian**2)
    scale = np.maximum(scale, 1e-12 * scale.max(axis=1, keepdims=True) + 1e-300)
    curved = np.where(held[:, :, None] | held[:, None, :], 0.0, curved)
    diagonal = np.where(held, 1.0, damping[:, None] * scale)
    # in units of each coordinate's own curvature, so that no scale of the data is singular
    unit = 1.0 / np.sqrt(np.where(held, 1.0, scale))
    system = (curved + diagonal[:, :, None] * np.eye(size)) * unit[:, :, None] * unit[:, None, :]
    step = -unit * np.linalg.solve(system, (slope * unit)[:, :, None])[:, :, 0]
    return np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
