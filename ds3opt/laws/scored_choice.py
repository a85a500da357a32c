"""Best of n by a score: a verifier that ranks answers instead of accepting or refusing them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special

from ds3opt.laws._types import ArrayLike, FloatArray, interval

_STEP = 0.0625
_LEFT, _RIGHT = 10.0, 12.0
"""Reach of the integral around the mean score of right answers; f falls below 1e-22 there."""
_NEGLIGIBLE = 1e-20
_CHUNK = 2_000_000
"""Elements of one block of the integrand, for memory."""


@lru_cache(maxsize=256)
@np.errstate(under="ignore")
def _scores(discrimination: float, samples: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Density of right scores times the step, and the chance of a higher right or wrong score.

    Scores are left out that are not the best of so many samples in all but 1e-20 of cases.
    """
    z = np.arange(-_LEFT, _RIGHT, _STEP)
    mass = np.exp(-0.5 * z * z) * (_STEP / np.sqrt(2.0 * np.pi))
    right, wrong = special.ndtr(-z), special.ndtr(-(z + discrimination))
    highest = np.exp((samples - 1.0) * np.log1p(-np.minimum(wrong, 1.0 - 1e-16)))
    here = samples * mass * highest > _NEGLIGIBLE
    return mass[here], right[here], wrong[here]


@np.errstate(under="ignore", divide="ignore")
def _integral(
    psi: FloatArray, power: float, mass: FloatArray, right: FloatArray, wrong: FloatArray
) -> FloatArray:
    """``integral of mass [psi F1 + (1 - psi) F0]^power`` by the trapezoidal rule, per psi."""
    flat = psi.ravel()
    found = np.empty(flat.size)
    rows = max(1, _CHUNK // mass.size)
    for begin in range(0, flat.size, rows):
        share = flat[begin : begin + rows, None]
        above = share * right + (1.0 - share) * wrong  # chance of a higher score
        below = share * (1.0 - right) + (1.0 - share) * (1.0 - wrong)
        log_below = np.where(above < 0.5, np.log1p(-above), np.log(np.maximum(below, 1e-300)))
        # not a matrix product, whose rounding depends on how many rows there are
        found[begin : begin + rows] = np.sum(np.exp(power * log_below) * mass, axis=-1)
    return found.reshape(psi.shape)


def scored_choice_success(
    success: ArrayLike, samples: int, discrimination: float, *, relative: bool = False
) -> FloatArray:
    """Probability that the best-scored of k samples is correct.

    Scores of wrong samples are standard normal, those of right ones normal about d':
    ``P = k psi integral of f1(x) [psi F1(x) + (1 - psi) F0(x)]^(k - 1) dx``.

    Parameters
    ----------
    success : psi in [0, 1], chance that one sample is correct.
    samples : k >= 1, whole.
    discrimination : d' >= 0, distance of the means in standard deviations; the area under the
        verifier's operating curve is ``Phi(d' / sqrt 2)``. 0 chooses at random, inf is an oracle.
    relative : P / psi, which is k times the integral and falls with psi.

    Returns
    -------
    Probability in [0, 1], rising with psi, k and d'.

    Notes
    -----
    Not in DS3, whose best of n (32) has an oracle. The integrand is entire and falls off at both
    ends, so that the trapezoidal rule converges faster than any power of its step: 1e-12 here, up
    to k = 1e6.

    >>> scored_choice_success(0.3, 5, 0.0).round(9).item()
    0.3
    >>> float(scored_choice_success(0.5, 2, np.inf))    # 1 - 0.5^2
    0.75
    """
    psi = interval("success", success, 0, 1)
    k = float(interval("samples", samples, 1, np.inf, bounds="[)"))
    d = float(interval("discrimination", discrimination, 0, np.inf))
    mass, right, wrong = _scores(d, k)
    ratio = k * _integral(psi, k - 1.0, mass, right, wrong)
    if relative:
        return np.asarray(ratio)[()]
    return np.asarray(np.minimum(psi * ratio, 1.0))[()]


def scored_choice_curvature(low: ArrayLike, samples: int, discrimination: float) -> FloatArray:
    """An upper bound on minus the second derivative of `scored_choice_success` from psi = low on.

    ``P'' = -2 k (k - 1) int f1 (F0 - F1) G^(k-2) + k (k - 1) (k - 2) psi int f1 (F0 - F1)^2
    G^(k-3)`` with ``G = F0 - psi (F0 - F1)``: the second part is positive, the first falls with
    psi.

    Parameters
    ----------
    low : smallest psi in [0, 1].
    samples, discrimination : as there.

    >>> scored_choice_curvature(0.0, 2, np.inf).round(9).item()    # of 1 - (1 - psi)^2
    2.0
    """
    psi = interval("low", low, 0, 1)
    k = float(interval("samples", samples, 1, np.inf, bounds="[)"))
    d = float(interval("discrimination", discrimination, 0, np.inf))
    if k < 2.0:
        return np.zeros(psi.shape)[()]
    mass, right, wrong = _scores(d, k - 1.0)
    apart = np.maximum(right - wrong, 0.0)
    return np.asarray(2.0 * k * (k - 1.0) * _integral(psi, k - 2.0, mass * apart, right, wrong))[()]


def area_under_curve(discrimination: ArrayLike) -> FloatArray:
    """Chance that a right sample scores above a wrong one, ``Phi(d' / sqrt 2)``.

    >>> float(area_under_curve(0.0))
    0.5
    """
    return np.asarray(special.ndtr(interval("discrimination", discrimination, 0, np.inf) / 2**0.5))[
        ()
    ]


def discrimination_of(area: ArrayLike) -> FloatArray:
    """The inverse of `area_under_curve`: d' of a verifier with a known area, in [1/2, 1].

    >>> discrimination_of([0.5, 1.0]).tolist()
    [0.0, inf]
    """
    return np.asarray(2**0.5 * special.ndtri(interval("area", area, 0.5, 1)))[()]
