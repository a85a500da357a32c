"""Many small problems of greatest likelihood at once: Newton's method within a box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws._types import FloatArray

Climb = Callable[[FloatArray, NDArray[np.intp]], tuple[FloatArray, FloatArray]]
"""Value and gradient at points (problem, coordinate) of the problems with these numbers."""
_STEP = 1e-5
_ROUNDS = 100
_LEAST_GAIN = 1e-10
_LARGEST_STEP = 1.5
"""Of one coordinate; they are logarithms."""


@dataclass(frozen=True)
class Summit:
    """Where each climb ended."""

    at: FloatArray  # (problem, coordinate)
    value: FloatArray  # (problem,)


def maximise(
    climb: Climb,
    starts: FloatArray,
    *,
    low: FloatArray,
    high: FloatArray,
    free: NDArray[np.bool_] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Summit:
    """A local maximum of each of many functions of few coordinates, uphill from its start.

    Parameters
    ----------
    climb : value and gradient; called with some of the problems only.
    starts : (problem, coordinate), within the box.
    low, high : (coordinate,) ends of the box.
    free : (coordinate,) False holds a coordinate at its start; None frees all.
    progress : called with the share that has arrived.

    Notes
    -----
    Second derivatives are differences of the gradient. Each is made negative by the same damping
    that grows where a step does not climb, so that no step goes down.
    """
    at = np.clip(np.asarray(starts, dtype=np.float64), low, high)
    count, size = at.shape
    moving = np.ones(size, dtype=bool) if free is None else np.asarray(free, dtype=bool)
    everyone = np.arange(count)
    value, slope = climb(at, everyone)
    damping = np.full(count, 1e-3)
    open_ = everyone
    for _ in range(_ROUNDS):
        if not open_.size:
            break
        here, up = at[open_], slope[open_]
        bend = _second(climb, here, up, open_, low, high, moving)
        step = _step(here, up, bend, damping[open_], low, high, moving)
        ahead = np.clip(here + step, low, high)
        found, uphill = climb(ahead, open_)
        gain = found - value[open_]
        better = gain > 0.0
        taken = open_[better]
        at[taken], value[taken], slope[taken] = ahead[better], found[better], uphill[better]
        damping[open_] = np.where(better, 0.1 * damping[open_], 10.0 * damping[open_])
        small = np.abs(gain) <= _LEAST_GAIN * (1.0 + np.abs(value[open_]))
        still = np.max(np.abs(ahead - here), axis=1) <= 1e-7
        done = (small & (better | still)) | still | (damping[open_] > 1e12)
        open_ = open_[~done]
        if progress is not None:
            progress(1.0 - open_.size / count)
    return Summit(at, value)


def _second(
    climb: Climb,
    here: FloatArray,
    up: FloatArray,
    which: NDArray[np.intp],
    low: FloatArray,
    high: FloatArray,
    moving: NDArray[np.bool_],
) -> FloatArray:
    """Second derivatives by differences, taken inwards at the ends of the box."""
    size = here.shape[1]
    bend = np.zeros((len(here), size, size))
    for one in np.flatnonzero(moving):
        side = np.where(here[:, one] + _STEP <= high[one], _STEP, -_STEP)
        beside = here.copy()
        beside[:, one] += side
        bend[:, :, one] = (climb(beside, which)[1] - up) / side[:, None]
    return 0.5 * (bend + np.swapaxes(bend, 1, 2))


def _step(
    here: FloatArray,
    up: FloatArray,
    bend: FloatArray,
    damping: FloatArray,
    low: FloatArray,
    high: FloatArray,
    moving: NDArray[np.bool_],
) -> FloatArray:
    """Damped Newton steps in the coordinates that may move."""
    pressed = ((here <= low) & (up < 0.0)) | ((here >= high) & (up > 0.0))
    held = pressed | ~moving
    curve = -np.where(held[:, :, None] | held[:, None, :], 0.0, bend)
    values, vectors = np.linalg.eigh(curve)
    steep = np.max(np.abs(values), axis=1, keepdims=True)
    firm = np.abs(values) + damping[:, None] * (steep + 1e-12) + 1e-300
    slope = np.where(held, 0.0, up)
    along = np.einsum("nij,ni->nj", vectors, slope) / firm
    step = np.where(held, 0.0, np.einsum("nij,nj->ni", vectors, along))
    return np.asarray(np.clip(step, -_LARGEST_STEP, _LARGEST_STEP))
