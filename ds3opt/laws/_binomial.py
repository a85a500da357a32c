"""Tails of the binomial distribution to full relative precision, also where they underflow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ds3opt.laws._types import ArrayLike, FloatArray

_FEW = 40.0
_MANY = 2048.0
_HALF_LOG_TAU = 0.9189385332046727  # log(2 pi) / 2


@np.errstate(divide="ignore", under="ignore")
def log1mexp(log_probability: ArrayLike) -> FloatArray:
    """Log of ``1 - exp(z)`` for ``z <= 0``: of the complement of a probability given by its log.

    >>> float(np.exp(log1mexp(np.log(0.25))).round(12))
    0.75
    """
    z = np.asarray(log_probability, dtype=np.float64)
    near = z > -0.6931471805599453
    return np.where(near, np.log(-np.expm1(z)), np.log1p(-np.exp(np.where(near, -1.0, z))))[()]


def stirling_error(count: ArrayLike) -> FloatArray:
    """Error of Stirling's formula: ``log Gamma(z+1) - (z+1/2) log z + z - log(2 pi)/2``.

    Notes
    -----
    Loader, "Fast and accurate computation of binomial probabilities" (2000), with the series of
    Abramowitz and Stegun 6.1.41 from z = 16.

    >>> float(stirling_error(1.0).round(6))    # 1 - log(2 pi) / 2
    0.081061
    """
    z = np.asarray(count, dtype=np.float64)
    large = np.maximum(z, 16.0)
    w = 1.0 / (large * large)
    series = (
        1 / 12
        - w * (1 / 360 - w * (1 / 1260 - w * (1 / 1680 - w * (1 / 1188 - w * (691 / 360360)))))
    ) / large
    low = np.clip(z, 1e-300, 16.0)
    direct = special.gammaln(low + 1.0) - (low + 0.5) * np.log(low) + low - _HALF_LOG_TAU
    return np.where(z >= 16.0, series, direct)[()]


def deviance(count: ArrayLike, mean: ArrayLike, log_mean: ArrayLike) -> FloatArray:
    """Half the Poisson deviance, ``x log(x/m) + m - x``, without cancellation near x = m.

    Takes ``log m`` beside m, since m may underflow.

    >>> float(deviance(2.0, 1.0, 0.0).round(6))    # 2 log 2 - 1
    0.386294
    """
    x, mu, log_mu = np.broadcast_arrays(
        np.asarray(count, dtype=np.float64),
        np.asarray(mean, dtype=np.float64),
        np.asarray(log_mean, dtype=np.float64),
    )
    far: FloatArray = x * (np.log(np.maximum(x, 1e-300)) - log_mu) + mu - x
    # With v = (x-m)/(x+m): x log(x/m) + m - x = (x-m) v + 2 x (v^3/3 + v^5/5 + ...).
    total = x + mu
    v = np.where(total > 0.0, x - mu, 0.0) / np.where(total > 0.0, total, 1.0)
    near = np.abs(v) < 0.1
    v = np.where(near, v, 0.0)
    square = v * v
    tail = np.zeros_like(v)
    for odd in range(19, 1, -2):
        tail = square * (1.0 / odd + tail)
    return np.where(near, (x - mu) * v + 2.0 * x * v * tail, far)[()]


def log_binomial_mass(
    successes: ArrayLike,
    failures: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    log_x: ArrayLike,
    log_y: ArrayLike,
) -> FloatArray:
    """Log of ``C(a+b, a) x^a y^b`` for real a, b > 0, where ``x + y = 1``.

    The saddle point expansion of Loader (2000): no differences of large log-gammas. The logs of x
    and y are asked for because either may underflow or round to 1.

    >>> half, log_half = 0.5, np.log(0.5)
    >>> float(np.exp(log_binomial_mass(1, 1, half, half, log_half, log_half)).round(12))
    0.5
    """
    a = np.asarray(successes, dtype=np.float64)
    b = np.asarray(failures, dtype=np.float64)
    n = a + b
    log_n = np.log(n)
    return (
        stirling_error(n)
        - stirling_error(a)
        - stirling_error(b)
        - deviance(a, n * np.asarray(x), log_n + np.asarray(log_x))
        - deviance(b, n * np.asarray(y), log_n + np.asarray(log_y))
        + 0.5 * (log_n - np.log(a) - np.log(b))
        - _HALF_LOG_TAU
    )


def log_beta_tail(
    a: FloatArray, b: FloatArray, x: FloatArray, y: FloatArray, log_x: FloatArray, log_y: FloatArray
) -> FloatArray:
    """Log of the regularised incomplete beta function ``I_x(a, b)`` far below its mean.

    ``I_x(a, b) = C(a+b, a) x^a y^b * b/(a+b) * F(a+b, 1; a+1; x)``: a series of positive terms,
    which shrink at least as fast as ``((a+b) x / a)^k``.
    """
    term = np.ones_like(x)
    total = np.ones_like(x)
    for step in range(1, 1_000_000):
        term = term * ((a + b + (step - 1.0)) / (a + step) * x)
        total = total + term
        if np.all(term < 1e-17 * total):
            break
    log_mass = log_binomial_mass(a, b, x, y, log_x, log_y)
    log_tail: FloatArray = log_mass + np.log(b / (a + b)) + np.log(total)
    return log_tail


def beta_lower(a: FloatArray, b: FloatArray, x: FloatArray) -> FloatArray:
    """Regularised incomplete beta function ``I_x(a, b)``, with the digits SciPy's lacks.

    For whole a up to 40 and large b, `scipy.special.betainc` loses digits in proportion to b above
    the median (3e-10 at b = 1e7), so there the few terms of the complement are added up.
    """
    value: FloatArray = np.asarray(special.betainc(a, b, x), dtype=np.float64)
    few = np.asarray(_sums_few(a, b) & (value > 0.25) & (value < 1.0 - 1e-12))
    if np.any(few):
        value[few] = 1.0 - _few_successes(*_at(few, a, b, x))
    return value


def beta_upper(a: FloatArray, b: FloatArray, x: FloatArray) -> FloatArray:
    """Complement ``1 - I_x(a, b)`` to full relative precision."""
    few = np.asarray(_sums_few(a, b) & (b * x < 600.0))
    if not np.any(few):
        return np.asarray(special.betaincc(a, b, x))
    value: FloatArray = np.empty(few.shape)
    value[few] = _few_successes(*_at(few, a, b, x))
    value[~few] = special.betaincc(*_at(~few, a, b, x))
    return value


def _sums_few(a: FloatArray, b: FloatArray) -> NDArray[np.bool_]:
    return np.asarray((b > _MANY) & (a <= _FEW) & (a == np.floor(a)))


def _at(mask: NDArray[np.bool_], *arrays: FloatArray) -> list[FloatArray]:
    return [np.broadcast_to(array, mask.shape)[mask] for array in arrays]


def _few_successes(a: FloatArray, b: FloatArray, x: FloatArray) -> FloatArray:
    """``1 - I_x(a, b)`` for whole a: fewer than a successes in ``a + b - 1`` trials."""
    trials = a + b - 1.0
    odds = x / (1.0 - x)
    term = np.exp(trials * np.log1p(-x))
    total = term
    for successes in range(1, int(a.max(initial=0.0))):
        term = term * ((trials - (successes - 1.0)) / successes * odds)
        total = total + np.where(successes < a, term, 0.0)
    return total
