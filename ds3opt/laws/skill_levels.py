"""The same task told in skills of another level: how many it takes there."""

from __future__ import annotations

import numpy as np

from ds3opt.laws._types import ArrayLike, FloatArray, interval

_ROUNDING = 1e-12
"""Relative rounding of a product that must not raise it to the next whole number."""


def prerequisites(levels: ArrayLike) -> FloatArray:
    """Skills of the level below that a skill of level l needs: ``sigma = ln(l) / 2``.

    Below 1 at levels 2 to 7, where going down a level therefore takes fewer skills: an artefact of
    the formula.

    Parameters
    ----------
    levels : l >= 1.

    Notes
    -----
    DS3, below (42).

    >>> prerequisites([1, 60]).round(6).tolist()
    [0.0, 2.047172]
    """
    return np.asarray(0.5 * np.log(interval("levels", levels, 1, np.inf, bounds="[)")))[()]


def skills_at_level(
    level: ArrayLike, skills: ArrayLike, reasoning_level: ArrayLike, levels: int
) -> FloatArray:
    """Skills that a task takes at another level, whole; inf beyond float64.

    Going down from l to l' multiplies them by ``sigma_{l'+1} ... sigma_l``, going up divides.

    Parameters
    ----------
    level : l in [1, L], whole.
    skills : m >= 0.
    reasoning_level : l' in [1, L], whole.
    levels : L.

    Notes
    -----
    DS3 (42); its last product ends at "l", which stands for the level of the task.

    >>> skills_at_level(60, 8, [59, 60, 61], 100).tolist()    # 8 * 2.047 and 8 / 2.055, rounded up
    [17.0, 8.0, 4.0]
    """
    of, at, m = np.broadcast_arrays(
        interval("level", level, 1, levels),
        interval("reasoning_level", reasoning_level, 1, levels),
        interval("skills", skills, 0, np.inf, bounds="[)"),
    )
    # sigma_1 = 0 enters no product
    log_sigma = np.log(prerequisites(np.arange(2.0, levels + 1.0)))
    log_product = np.concatenate([[0.0, 0.0], np.cumsum(log_sigma)])
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = np.exp(log_product[of.astype(np.intp)] - log_product[at.astype(np.intp)])
        product = m * np.where(m > 0.0, ratio, 1.0)
        nearest = np.rint(product)
        near = np.abs(product - nearest) <= _ROUNDING * nearest
    count = np.where(near, nearest, np.ceil(product))
    return np.asarray(np.where(of == at, m, count))[()]
