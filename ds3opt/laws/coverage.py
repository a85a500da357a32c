"""Success over a population of problems: coverage of a Beta population, unbiased pass@k."""

from __future__ import annotations

import numpy as np

from ds3opt.laws._types import ArrayLike, FloatArray, interval, refuse

_TERMS = 256
"""Factors of a product that are worked out together."""


_FEW = 512.0
"""Traces up to which the product is taken factor by factor."""
_FAR = 64.0
"""Argument from which on Stirling's series is exact to the last digits."""


def _raised(a: FloatArray, b: FloatArray, k: FloatArray) -> FloatArray:
    """``ln [B(a, b) / B(a, b + k)]``, relatively exact however small a is.

    With ``r(x) = ln Gamma(x + a) - ln Gamma(x)`` it is ``r(b + k) - r(b)``, and r(x) is
    ``r(x + 1) - ln(1 + a / x)``: both arguments are raised until Stirling's series takes over.
    """
    a, b, k = np.broadcast_arrays(a, b, k)
    if np.all((k == np.floor(k)) & (k <= _FEW)):
        i = np.arange(_FEW)
        share = np.where(i < k[..., None], a[..., None] / ((a + b)[..., None] + i), 0.0)
        # the factors (b + i) / (a + b + i) of the missed chance
        return np.asarray(-np.sum(np.log1p(-share), axis=-1))
    total = np.zeros(a.shape)
    ends = []
    i = np.arange(_FAR)
    for sign, x in ((1.0, b), (-1.0, b + k)):
        each = x[..., None] + i
        steps = np.where(each < _FAR, np.log1p(a[..., None] / each), 0.0)
        total = total + sign * np.sum(steps, axis=-1)
        ends.append(x + np.maximum(np.ceil(_FAR - x), 0.0))
    low, high = ends
    # the leading terms a ln x are taken together
    return np.asarray(total + a * np.log1p((high - low) / low) + _rest(a, high) - _rest(a, low))


def _rest(a: FloatArray, x: FloatArray) -> FloatArray:
    """``ln Gamma(x + a) - ln Gamma(x) - a ln x`` for large x, by Stirling's series."""
    step = np.log1p(a / x)
    series = np.zeros(np.shape(x))
    for power, factor in ((1, 1 / 12), (3, -1 / 360), (5, 1 / 1260), (7, -1 / 1680)):
        # 1 / (x + a)^n - 1 / x^n
        series = series + factor * x ** -float(power) * np.expm1(-power * step)
    return np.asarray((x + a - 0.5) * step - a + series)


def beta_coverage(
    alpha: ArrayLike,
    beta: ArrayLike,
    solvable: ArrayLike,
    samples: ArrayLike,
    *,
    complement: bool = False,
) -> FloatArray:
    """Chance that one of k traces solves a problem: ``c (1 - B(a, b + k) / B(a, b))``.

    A part c of the problems has chances of success that follow Beta(a, b), the rest has none.

    Parameters
    ----------
    alpha, beta : a, b > 0.
    solvable : c in [0, 1].
    samples : k >= 0.
    complement : the chance that none does, without cancellation.

    Notes
    -----
    DS3 (59), after Levi, "A simple model of inference scaling laws" (arXiv 2410.16377).

    >>> float(beta_coverage(1, 1, 1, 3).round(12))    # 1 - 1 / (k + 1), a uniform population
    0.75
    """
    a = interval("alpha", alpha, 0, np.inf, bounds="()")
    b = interval("beta", beta, 0, np.inf, bounds="()")
    part = interval("solvable", solvable, 0, 1)
    k = interval("samples", samples, 0, np.inf, bounds="[)")
    log_missed = -_raised(a, b, k)
    solved = part * -np.expm1(np.minimum(log_missed, 0.0))
    if complement:
        missed = (1.0 - part) + part * np.exp(np.minimum(log_missed, 0.0))
        return np.asarray(missed)[()]
    return np.asarray(solved)[()]


def pass_at_k(samples: ArrayLike, correct: ArrayLike, k: ArrayLike) -> FloatArray:
    """Unbiased estimate of the chance that one of k traces is right, from c of n that were.

    ``1 - C(n - c, k) / C(n, k)``.

    Parameters
    ----------
    samples : n >= k, traces that were tried.
    correct : c in [0, n], of them right.
    k : traces, >= 0.

    Notes
    -----
    Chen et al., "Evaluating large language models trained on code" (arXiv 2107.03374), eq. (1).

    >>> float(pass_at_k(10, 1, 1).round(12)), float(pass_at_k(10, 3, 10))
    (0.1, 1.0)
    """
    n = interval("samples", samples, 0, np.inf, bounds="[)")
    c = interval("correct", correct, 0, np.inf, bounds="[)")
    tried = interval("k", k, 0, np.inf, bounds="[)")
    if np.any(tried > n) or np.any(c > n):
        raise refuse("k and correct", "at most samples", np.max(np.maximum(tried, c)))
    wrong = n - c
    # the product runs over the smaller of k and c: choosing is symmetric in them
    fewer, more = np.minimum(tried, c), np.maximum(tried, c)
    log_missed = np.zeros(np.broadcast_shapes(n.shape, c.shape, tried.shape))
    for begin in range(0, int(np.max(fewer, initial=0.0)), _TERMS):
        i = begin + np.arange(_TERMS)
        part = (n[..., None] - i) * (i < fewer[..., None]) + (i >= fewer[..., None])
        taken = np.where(i < fewer[..., None], np.minimum(more[..., None] / part, 1.0), 0.0)
        with np.errstate(divide="ignore"):
            log_missed += np.sum(np.log1p(-taken), axis=-1)
    solved = np.where(wrong < tried, 1.0, np.abs(np.expm1(np.minimum(log_missed, 0.0))))
    return np.asarray(solved)[()]
