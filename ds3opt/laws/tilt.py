"""Searches that a reward model guides: tilted odds of a trace, and votes that count for less."""

from __future__ import annotations

import numpy as np

from ds3opt.laws._types import ArrayLike, FloatArray, interval

_ROUNDING = 1e-12


def tilted_success(success: ArrayLike, tilt: ArrayLike) -> FloatArray:
    """Success of a trace whose odds are multiplied, ``rho psi / (rho psi + 1 - psi)``.

    A search that spends its tokens where a reward model scores high proposes right answers with
    better odds than plain sampling does.

    Parameters
    ----------
    success : psi in [0, 1].
    tilt : rho > 0; 1 is plain sampling.

    Notes
    -----
    A description, with one fitted number, of REBASE and of Monte Carlo tree search as Wu et al.
    (arXiv 2408.00724) measure them: rho is 1.2 to 2.0 on MATH and 1.2 to 2.7 on GSM8K. In a vote it
    acts like a `weight_ratio` of the same size.

    >>> float(tilted_success(0.5, 3.0))
    0.75
    """
    psi = interval("success", success, 0, 1)
    rho = interval("tilt", tilt, 0, np.inf, bounds="()")
    return np.asarray(rho * psi / (rho * psi + (1.0 - psi)))[()]


def tilt_slopes(low: ArrayLike, tilt: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Largest first, and minus second, derivative of `tilted_success` from psi = low on.

    ``rho / (1 + (rho - 1) psi)^2`` and ``2 rho (rho - 1) / (1 + (rho - 1) psi)^3``, both falling.

    Parameters
    ----------
    low : in [0, 1].
    tilt : rho >= 1.

    >>> [float(x) for x in tilt_slopes(0.0, 3.0)]
    [3.0, 12.0]
    """
    psi = interval("low", low, 0, 1)
    rho = interval("tilt", tilt, 1, np.inf, bounds="[)")
    below = 1.0 + (rho - 1.0) * psi
    return np.asarray(rho / below**2)[()], np.asarray(2.0 * rho * (rho - 1.0) / below**3)[()]


def effective_votes(samples: ArrayLike, share: ArrayLike) -> FloatArray:
    """Whole votes that k rollouts are worth, ``f k`` rounded down, at least one.

    Parameters
    ----------
    samples : k >= 1.
    share : f in (0, 1], such as the share of rollouts that reach an answer.

    >>> effective_votes([1, 10, 64], 0.5).tolist()
    [1.0, 5.0, 32.0]
    """
    k = interval("samples", samples, 1, np.inf, bounds="[)")
    part = interval("share", share, 0, 1, bounds="(]")
    return np.asarray(np.maximum(np.floor(part * k * (1.0 + _ROUNDING)), 1.0))[()]
