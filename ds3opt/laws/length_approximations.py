"""The approximations of a chain's mean length that DS3 prints, kept to be compared with the exact.

Nothing here is used to decide: `search.expected_steps` is exact, as fast, and never negative.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from ds3opt.laws._types import ArrayLike, FloatArray, interval


def gaussian_expected_steps(
    step_success: ArrayLike, skills: ArrayLike, steps: ArrayLike, *, central: float = 2.0
) -> FloatArray:
    """Mean steps of a chain of thought by the piecewise linear-Gaussian approximation.

    ``n`` below, ``m / r`` above, and between ``mu Phi(z) + n (1 - Phi(z)) - sigma phi(z)`` with
    ``mu = m / r``, ``sigma = sqrt(m (1 - r)) / r`` and ``z = (n - mu) / sigma``.

    Parameters
    ----------
    step_success : r in (0, 1).
    skills : m > 0.
    steps : n >= 0, steps available.
    central : z* > 0, half the width of the middle part, in standard deviations.

    Returns
    -------
    Steps, as printed: negative for small n where m < 4 (1 - r), with jumps of
    ``sigma (phi(z*) - z* (1 - Phi(z*)))`` at the ends of the middle part.

    Notes
    -----
    DS3 eq. (26), per step instead of per token.

    >>> float(gaussian_expected_steps(0.5, 100, 200).round(6))    # mu - sigma phi(0)
    194.358104
    """
    mean, deviation, n = _normal(step_success, skills, steps)
    width = interval("central", central, 0, np.inf, bounds="()")
    z = (n - mean) / deviation
    density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    middle = mean * special.ndtr(z) + n * special.ndtr(-z) - deviation * density
    return np.asarray(np.where(z < -width, n, np.where(z > width, mean, middle)))[()]


def linear_expected_steps(
    step_success: ArrayLike, skills: ArrayLike, steps: ArrayLike
) -> FloatArray:
    """Mean steps of a chain of thought by two straight lines: ``min(n, m / r)``.

    Parameters
    ----------
    step_success : r in (0, 1).
    skills : m > 0.
    steps : n >= 0, steps available.

    Notes
    -----
    DS3 eq. (27), "used in all main results". An upper bound of the exact mean, by Jensen.

    >>> linear_expected_steps(0.5, 3, [4, 9]).tolist()
    [4.0, 6.0]
    """
    mean, _, n = _normal(step_success, skills, steps)
    return np.asarray(np.minimum(n, mean))[()]


def _normal(
    step_success: ArrayLike, skills: ArrayLike, steps: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r = interval("step_success", step_success, 0, 1, bounds="()")
    m = interval("skills", skills, 0, np.inf, bounds="()")
    n = interval("steps", steps, 0, np.inf, bounds="[)")
    return m / r, np.sqrt(m * (1.0 - r)) / r, n
