"""Success over a population of problems: coverage, votes and the samples that a target takes."""

from __future__ import annotations

import numpy as np
from scipy import special

from ds3opt.laws._types import ArrayLike, FloatArray, interval, refuse
from ds3opt.laws.voting import weighted_vote_weights

_TERMS = 256
"""Factors of a product that are worked out together."""


_FEW = 512.0
"""Traces up to which the product is taken factor by factor."""
_FAR = 64.0
"""Argument from which on Stirling's series is exact to the last digits."""
_DIGITS_OF_K = 40.0
"""``ln k`` over ``ln b`` and ``2 ln a`` from which on ``r(b + k)`` is ``a ln k`` to all digits."""
_WHOLE = 2.0**53
"""Numbers beyond which doubles are not all whole numbers."""
_ROUNDS = 200
_ROUNDING = 1e-13
"""Relative rounding of a missed chance's logarithm that is forgiven where traces are counted."""


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


def _rise(a: FloatArray, x: FloatArray) -> FloatArray:
    """``ln [Gamma(x + a) / Gamma(x)]``, relatively exact for small a."""
    each = x[..., None] + np.arange(_FAR)
    steps = np.where(each < _FAR, np.log1p(a[..., None] / each), 0.0)
    high = x + np.maximum(np.ceil(_FAR - x), 0.0)
    return np.asarray(a * np.log(high) + _rest(a, high) - np.sum(steps, axis=-1))


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
    log: bool = False,
) -> FloatArray:
    """Chance that one of k traces solves a problem: ``c (1 - B(a, b + k) / B(a, b))``.

    A part c of the problems has chances of success that follow Beta(a, b), the rest has none.

    Parameters
    ----------
    alpha, beta : a, b > 0.
    solvable : c in [0, 1].
    samples : k >= 0.
    complement : the chance that none does, without cancellation.
    log : the natural logarithm instead, also where the chance underflows.

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
    log_missed = np.minimum(-_raised(a, b, k), 0.0)
    with np.errstate(divide="ignore", under="ignore"):
        if complement and log:
            return np.asarray(np.logaddexp(np.log1p(-part), np.log(part) + log_missed))[()]
        if complement:
            return np.asarray((1.0 - part) + part * np.exp(log_missed))[()]
        solved = part * -np.expm1(log_missed)
        return np.asarray(np.log(solved) if log else solved)[()]


def coverage_power_law(
    alpha: ArrayLike,
    beta: ArrayLike,
    solvable: ArrayLike,
    samples: ArrayLike,
    *,
    shifted: bool = False,
) -> FloatArray:
    """What coverage tends to with many traces, ``c (1 - C k^-a)`` with ``C = G(a + b) / G(b)``.

    Parameters
    ----------
    alpha, beta : a, b > 0.
    solvable : c in [0, 1].
    samples : k > 0.
    shifted : ``k + b + (a - 1) / 2`` in place of k, whose error falls as ``k^(-a - 2)``.

    Returns
    -------
    A value that is negative for few traces unless shifted. `beta_coverage` is exact; this is what
    papers draw.

    Notes
    -----
    DS3 E-A, whose last line leaves out the factor c and whose middle expression has a factor
    B(a, b) too many; Levi's result 2.

    >>> float(coverage_power_law(1, 1, 1, 100))    # exact: 1 - 1 / 101
    0.99
    """
    a = interval("alpha", alpha, 0, np.inf, bounds="()")
    b = interval("beta", beta, 0, np.inf, bounds="()")
    part = interval("solvable", solvable, 0, 1)
    k = interval("samples", samples, 0, np.inf, bounds="()")
    at = k + b + 0.5 * (a - 1.0) if shifted else k
    return np.asarray(part * -np.expm1(log_power_law_factor(a, b) - a * np.log(at)))[()]


def log_power_law_factor(alpha: ArrayLike, beta: ArrayLike) -> FloatArray:
    """``ln C`` of the power law of missed problems, ``C = G(a + b) / G(b)``; DS3 E-A.

    >>> float(np.exp(log_power_law_factor(1, 3)).round(12))    # G(4) / G(3)
    3.0
    """
    a = interval("alpha", alpha, 0, np.inf, bounds="()")
    b = interval("beta", beta, 0, np.inf, bounds="()")
    return np.asarray(_rise(*np.broadcast_arrays(a, b)))[()]


def samples_for_coverage(
    target: ArrayLike,
    alpha: ArrayLike,
    beta: ArrayLike,
    solvable: ArrayLike = 1.0,
    *,
    log10: bool = False,
) -> FloatArray:
    """Fewest traces of which one solves a problem with the chance `target`.

    Parameters
    ----------
    target : P in [0, 1].
    alpha, beta : a, b > 0.
    solvable : c in [0, 1].
    log10 : the decimal logarithm of the real number of traces, for those beyond doubles.

    Returns
    -------
    A whole number up to 2^53, above that the nearest double; inf where P >= c, which no number of
    traces reaches, and where k is above 1e308 (its logarithm is not). 0, with log10 -inf, for
    P = 0.

    Notes
    -----
    The inverse of DS3 (59). No power law is inverted: that errs by a factor at small k. What is
    returned is checked against `beta_coverage` itself, one trace more or fewer.

    >>> samples_for_coverage([0.5, 0.75, 1.0], 1, 1).tolist()    # 1 - 1 / (k + 1)
    [1.0, 3.0, inf]
    """
    goal = interval("target", target, 0, 1)
    a = interval("alpha", alpha, 0, np.inf, bounds="()")
    b = interval("beta", beta, 0, np.inf, bounds="()")
    part = interval("solvable", solvable, 0, 1)
    goal, a, b, part = np.broadcast_arrays(goal, a, b, part)
    reached = (goal < part) & (goal > 0.0)
    p, c = np.where(reached, goal, 0.5), np.where(reached, part, 1.0)
    # the difference of two close numbers is exact
    wanted = -np.where(p < 0.5 * c, np.log1p(-p / c), np.log((c - p) / c))
    log_k = _log_samples(wanted, a, b)
    beyond = np.where(goal > 0.0, np.inf, -np.inf)
    if log10:
        return np.asarray(np.where(reached, log_k / np.log(10.0), beyond))[()]
    with np.errstate(over="ignore"):
        real = np.where(reached, np.exp(log_k), np.where(goal > 0.0, np.inf, 0.0))
    whole = reached & (real < _WHOLE)
    near = np.where(whole, np.floor(real), 1.0)
    best = np.ceil(real)
    for k in (near + 1.0, near, np.maximum(near - 1.0, 0.0)):
        best = np.where(whole & (_raised(a, b, k) >= wanted * (1.0 - _ROUNDING)), k, best)
    return np.asarray(best)[()]


def _log_samples(wanted: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """``ln k`` at which `_raised` has a value, by Newton's method between bounds."""
    far = _DIGITS_OF_K + np.maximum(np.maximum(np.log(b), 2.0 * np.log(a)), 0.0)

    def excess(log_k: FloatArray) -> FloatArray:
        k = np.exp(np.minimum(log_k, far))
        return np.asarray(_raised(a, b, k) + a * np.maximum(log_k - far, 0.0) - wanted)

    low, high = np.full(wanted.shape, -60.0) + np.log(b / a), far
    low = np.minimum(low, far - 1.0)
    low = np.where(excess(low) > 0.0, -740.0, low)
    high = high + np.maximum(-excess(high), 0.0) / a * (1.0 + 1e-12) + 1e-9
    x = np.minimum(np.maximum(np.log(b / a * wanted), low), high)
    for _ in range(_ROUNDS):
        value = excess(x)
        low, high = np.where(value < 0.0, x, low), np.where(value < 0.0, high, x)
        k = np.exp(np.minimum(x, far))
        slope = k * (special.digamma(a + b + k) - special.digamma(b + k))
        slope = np.where(k > 1e8 * (a + b + 1.0), a, slope)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = x - value / slope
        inside = (newton > low) & (newton < high)
        following = np.where(value == 0.0, x, np.where(inside, newton, 0.5 * (low + high)))
        moved = np.abs(following - x)
        x = following
        if np.all(moved <= 4e-16 * np.maximum(np.abs(x), 1.0)):
            break
    return np.asarray(x)


def beta_majority_vote(
    alpha: ArrayLike,
    beta: ArrayLike,
    solvable: ArrayLike,
    samples: int,
    wrong_answer_shares: ArrayLike,
    weight_ratio: float = 1.0,
) -> FloatArray:
    """Chance that the right answer wins a vote of k traces, over a Beta population.

    ``c sum over y0 of C(k, y0) B(a + y0, b + k - y0) / B(a, b) W[y0]``, with the weights of
    `voting.weighted_vote_weights`.

    Parameters
    ----------
    alpha, beta : a, b > 0.
    solvable : c in [0, 1].
    samples : k >= 1 votes, whole.
    wrong_answer_shares : c_j, how wrong votes split, sum at most 1.
    weight_ratio : weight of a right vote over that of a wrong one; 1 is majority vote.

    Notes
    -----
    DS3 (61), with j over the wrong answers only.

    >>> float(beta_majority_vote(1, 1, 1, 3, [1.0]).round(12))    # half of 0, 1, 2 or 3 right
    0.5
    """
    a = interval("alpha", alpha, 0, np.inf, bounds="()")
    b = interval("beta", beta, 0, np.inf, bounds="()")
    part = interval("solvable", solvable, 0, 1)
    weights = weighted_vote_weights(samples, wrong_answer_shares, weight_ratio)
    return np.asarray(part * (beta_binomial_masses(a, b, weights.size - 1) @ weights))[()]


def beta_binomial_masses(alpha: ArrayLike, beta: ArrayLike, samples: int) -> FloatArray:
    """Chances of 0, ..., k right ones of k traces whose success follows Beta(a, b), last axis.

    Neighbours differ by ``(k - y) (a + y) / ((y + 1) (b + k - y - 1))``; they are made to sum to 1.

    >>> beta_binomial_masses(1, 1, 3).round(12).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    a = interval("alpha", alpha, 0, np.inf, bounds="()")[..., None]
    b = interval("beta", beta, 0, np.inf, bounds="()")[..., None]
    y = np.arange(float(samples))
    steps = np.log((samples - y) / (y + 1.0)) + np.log((a + y) / (b + (samples - 1.0 - y)))
    start = np.zeros((*steps.shape[:-1], 1))
    log_mass = np.concatenate([start, np.cumsum(steps, axis=-1)], axis=-1)
    with np.errstate(under="ignore"):
        mass = np.exp(log_mass - log_mass.max(axis=-1, keepdims=True))
        return np.asarray(mass / mass.sum(axis=-1, keepdims=True))


def pass_at_k(
    samples: ArrayLike, correct: ArrayLike, k: ArrayLike, *, complement: bool = False
) -> FloatArray:
    """Unbiased estimate of the chance that one of k traces is right, from c of n that were.

    ``1 - C(n - c, k) / C(n, k)``.

    Parameters
    ----------
    samples : n >= k, traces that were tried.
    correct : c in [0, n], of them right.
    k : traces, >= 0.
    complement : the chance that none is, without cancellation.

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
    log_missed = np.minimum(log_missed, 0.0)
    if complement:
        return np.where(wrong < tried, 0.0, np.exp(log_missed))[()]
    return np.where(wrong < tried, 1.0, np.abs(np.expm1(log_missed)))[()]


def log_counts_chance(
    alpha: ArrayLike, beta: ArrayLike, correct: ArrayLike, wrong: ArrayLike
) -> FloatArray:
    """``ln [B(a + s, b + f) / B(a, b)]``: s right and f wrong traces in a given order.

    Parameters
    ----------
    alpha, beta : a, b > 0.
    correct, wrong : s, f >= 0.

    Notes
    -----
    The beta-binomial chance without its binomial coefficient, which does not depend on a and b; so
    it also holds where sampling stopped at the first right trace.

    >>> float(log_counts_chance(1, 1, 1, 1))    # 1 / 6
    -1.791759469228055
    """
    a = interval("alpha", alpha, 0, np.inf, bounds="()")
    b = interval("beta", beta, 0, np.inf, bounds="()")
    s = interval("correct", correct, 0, np.inf, bounds="[)")
    f = interval("wrong", wrong, 0, np.inf, bounds="[)")
    rise = special.gammaln(a + s) - special.gammaln(a) + special.gammaln(b + f)
    return np.asarray(
        rise - special.gammaln(b) - special.gammaln(a + b + s + f) + special.gammaln(a + b)
    )[()]
