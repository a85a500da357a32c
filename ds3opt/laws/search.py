"""Success and length of a search for skills: chain of thought, tree of thought, best of n.

A trace advances level by level; a level is one step, or `branches` steps side by side of which one
must succeed. Per level it succeeds with probability u, and a level that fails may ruin the trace
for good (`fatigue`). All laws below follow from three numbers of a level: ``y``, the chance that it
fails harmlessly, ``x = 1 - y``, and ``s = u / x``, the chance that the first level that matters is
a success. With m skills and n levels the trace is done with probability ``s^m I_x(m, n - m + 1)``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ds3opt.laws._binomial import (
    beta_lower,
    beta_upper,
    log1mexp,
    log_beta_tail,
    log_binomial_mass,
)
from ds3opt.laws._types import ArrayLike, FloatArray, interval

_UNDERFLOW = 1e-280
"""Below this a probability's logarithm is summed as a series instead of taken."""


class _Level(NamedTuple):
    """One level of a trace."""

    x: FloatArray
    """Chance that it matters: success or ruin."""
    y: FloatArray
    """Chance of a harmless failure, 1 - x, computed on its own."""
    log_y: FloatArray
    log_intact: FloatArray | None
    """Log of s, the chance that a level that matters is a success; None where that is certain."""
    exact: bool
    """Whether x carries as many digits as y, so that 1 - x loses nothing."""


def _is_scalar(value: ArrayLike, number: float) -> bool:
    return np.ndim(value) == 0 and float(np.asarray(value)) == number


def _level(step_success: ArrayLike, branches: ArrayLike, fatigue: ArrayLike) -> _Level:
    r = interval("step_success", step_success, 0, 1)
    b = interval("branches", branches, 1, np.inf, bounds="[)")
    h = interval("fatigue", fatigue, 0, 1)
    single = _is_scalar(b, 1.0)
    log_fail = np.log1p(-r) if single else b * np.log1p(-r)
    if _is_scalar(h, 0.0):
        if single:
            return _Level(r, 1.0 - r, log_fail, None, True)
        return _Level(-np.expm1(log_fail), np.exp(log_fail), log_fail, None, False)
    advance = r if single else -np.expm1(log_fail)
    log_all_ruined = b * np.log(h)
    log_y = log_fail + log1mexp(log_all_ruined)
    ruin = np.exp(log_fail + log_all_ruined)
    odds = np.divide(
        ruin, advance, out=np.full(np.broadcast(ruin, advance).shape, np.inf), where=advance > 0.0
    )
    return _Level(-np.expm1(log_y), np.exp(log_y), log_y, -np.log1p(odds), False)


class _Race(NamedTuple):
    """m levels that matter within n levels, with guards for m = 0 and n < m."""

    m: FloatArray
    """Skills, at least 1 (0 is answered by `none_needed`)."""
    b: FloatArray
    """n - m + 1, at least 1 (less is answered by `hopeless`)."""
    none_needed: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] | None
    hopeless: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] | None

    def settle(self, value: FloatArray, done: ArrayLike, never: ArrayLike) -> FloatArray:
        """Value, but `done` where no skill is needed and `never` where the levels are too few."""
        if self.hopeless is not None:
            value = np.where(self.hopeless, never, value)
        if self.none_needed is not None:
            value = np.where(self.none_needed, done, value)
        return value[()]


def _race(skills: ArrayLike, levels: FloatArray, clamped: bool = True) -> _Race:
    m = interval("skills", skills, 0, np.inf, bounds="[)")
    hopeless = levels < m if clamped else levels <= m - 1.0
    none_needed = m == 0
    b = levels - m + 1.0
    if np.any(hopeless):
        b = np.where(hopeless, 1.0, b)
    if not np.any(none_needed):
        return _Race(m, b, None, hopeless if np.any(hopeless) else None)
    return _Race(np.where(none_needed, 1.0, m), b, none_needed, hopeless)


def _steps(steps: ArrayLike) -> FloatArray:
    return interval("steps", steps, 0, np.inf, bounds="[)")


def _share(steps: ArrayLike, among: ArrayLike, whole_levels: bool) -> FloatArray:
    """Levels that each trace gets; one division, so that nested floors agree."""
    total = _steps(steps)
    if _is_scalar(among, 1.0):
        return np.floor(total) if whole_levels else total
    parts = np.asarray(among, dtype=np.float64)
    return np.floor_divide(total, parts) if whole_levels else total / parts


def _within(level: _Level, m: FloatArray, b: FloatArray) -> FloatArray:
    """Chance of m levels that matter within ``m + b - 1``: ``I_x(m, b)``, one call per element."""
    if level.exact:
        return beta_lower(m, b, level.x)
    # Through y where y may be tiny, unless m is so small that rounding x costs nothing.
    x, y, m, b = np.broadcast_arrays(level.x, level.y, m, b)
    direct = (x <= 0.5) | (m <= 64.0)
    small = beta_lower(np.where(direct, m, b), np.where(direct, b, m), np.where(direct, x, y))
    value = np.asarray(np.where(direct, small, 1.0 - small))
    rest = ~direct & (small > 0.5)
    if np.any(rest):
        value[rest] = beta_upper(b[rest], m[rest], y[rest])
    return value


def _within_and_not(level: _Level, m: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``I_x(m, b)`` and its complement, each to full relative precision."""
    x, y, m, b = np.broadcast_arrays(level.x, level.y, m, b)
    low = x <= 0.5
    first, second, at = np.where(low, m, b), np.where(low, b, m), np.where(low, x, y)
    small = beta_lower(first, second, at)
    other = np.asarray(1.0 - small)
    large = small > 0.5
    if np.any(large):
        other[large] = beta_upper(first[large], second[large], at[large])
    return np.where(low, small, other), np.where(low, other, small)


def _log_tails(level: _Level, m: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Logs of ``I_x(m, b)`` and of its complement, also where these underflow."""
    x, y, log_y, m, b = np.broadcast_arrays(level.x, level.y, level.log_y, m, b)
    log_x = np.where(x <= 0.5, np.log(x), np.log1p(-y))
    p, q = _within_and_not(level, m, b)
    log_p = np.asarray(np.where(p < 0.5, np.log(p), np.log1p(-q)))
    log_q = np.asarray(np.where(q < 0.5, np.log(q), np.log1p(-p)))
    rare = (p < _UNDERFLOW) & (x > 0.0)
    if np.any(rare):
        log_p[rare] = log_beta_tail(*(v[rare] for v in (m, b, x, y, log_x, log_y)))
    rare = (q < _UNDERFLOW) & (log_y > -np.inf)
    if np.any(rare):
        log_q[rare] = log_beta_tail(*(v[rare] for v in (b, m, y, x, log_y, log_x)))
    return log_p, log_q


@np.errstate(under="ignore", divide="ignore")
def _success(
    level: _Level,
    skills: ArrayLike,
    levels: FloatArray,
    complement: bool,
    log: bool,
    clamped: bool = True,
) -> FloatArray:
    """Chance that a trace gains all its skills within its levels, or of the contrary."""
    race = _race(skills, levels, clamped)
    m, b = race.m, race.b
    if log:
        log_p, log_q = _log_tails(level, m, b)
        if level.log_intact is not None:
            kept = m * level.log_intact
            log_q = np.logaddexp(log1mexp(kept), kept + log_q)
            log_p = kept + log_p
            log_q = np.where(log_p < -0.7, log1mexp(log_p), log_q)
        sure, never = (-np.inf, 0.0) if complement else (0.0, -np.inf)
        return race.settle(log_q if complement else log_p, sure, never)
    if complement:
        p, q = _within_and_not(level, m, b)
        if level.log_intact is not None:
            kept = m * level.log_intact
            q = -np.expm1(kept) + np.exp(kept) * q
        return race.settle(q, 0.0, 1.0)
    p = _within(level, m, b)
    if level.log_intact is not None:
        p = np.exp(m * level.log_intact) * p
    return race.settle(p, 1.0, 0.0)


def chain_of_thought_success(
    step_success: ArrayLike,
    skills: ArrayLike,
    steps: ArrayLike,
    *,
    fatigue: ArrayLike = 0.0,
    complement: bool = False,
    log: bool = False,
    clamped: bool = True,
) -> FloatArray:
    """Probability that one chain of thought finishes its task within a step budget.

    The steps needed for `skills` successes are negative binomial, so
    ``Pr(T <= steps) = I_r(m, steps - m + 1)`` (regularised incomplete beta); zero if ``steps < m``.

    Parameters
    ----------
    step_success : r = iota_hat * p in [0, 1], chance that a step finds and executes the next skill.
    skills : m >= 0, skills the task needs, in order.
    steps : steps available, token budget // tokens per step, in [0, inf).
    fatigue : h in [0, 1], chance that a failed step ruins the trace, which does not notice.
    complement : return the failure probability, computed without cancellation.
    log : return the natural logarithm, also where the value underflows.
    clamped : 0 wherever ``steps < m``; otherwise the incomplete beta as DS3 prints it, which for
        steps that are not whole is above 0 from ``m - 1`` up.

    Returns
    -------
    Probability in [0, 1], broadcast shape, non-decreasing in `step_success` and `steps`.

    Notes
    -----
    DS3 eq. (20). The sentence before it prints T_max = omega * Omega; the unit-consistent
    Omega / omega of Table I is used. Steps that are not whole give the continuous reading of
    Table I, except that it is 0 below m. DS3 has ``fatigue = 0``, and 1 with m = 1 in its
    "catastrophic" example; between them ``s^m I_x(m, steps - m + 1)`` with
    ``x = 1 - (1-r)(1-h)``, ``s = r / x``.

    >>> chain_of_thought_success(0.2, 5, [4, 40, 400]).round(6).tolist()
    [0.0, 0.924086, 1.0]
    >>> float(chain_of_thought_success(0.5, 2, 2))    # two steps, both must succeed
    0.25
    >>> float(chain_of_thought_success(0.5, 1, 9, fatigue=1))    # only the first step counts
    0.5
    """
    with np.errstate(under="ignore", divide="ignore"):
        level = _level(step_success, 1, fatigue)
    return _success(level, skills, _steps(steps), complement, log, clamped)


def success_by_skills(
    step_success: ArrayLike, most_skills: int, steps: ArrayLike, *, clamped: bool = True
) -> FloatArray:
    """Success of a chain of thought for every number of skills 1, 2, ..., at once.

    ``I_r(m+1, n-m) = I_r(m, n-m+1) - q_m`` with ``q_m = binom(n, m) r^m (1-r)^(n-m)``, so one
    running sum gives all m for the price of one exponential each.

    Parameters
    ----------
    step_success : r in [0, 1], chance that a step finds and executes the next skill.
    most_skills : M >= 1.
    steps : n steps available, in [0, inf); need not be whole.
    clamped : as in `chain_of_thought_success`.

    Returns
    -------
    Probabilities for m = 1..M on a new last axis, to an absolute error of 1e-13.

    Notes
    -----
    DS3 eq. (20), the same values as `chain_of_thought_success` to that error; meant for sums over
    a mix of tasks, where the relative error of a tail does not matter.

    >>> success_by_skills(0.5, 3, 2.0).round(12).tolist()    # at least 1, 2, 3 heads in 2 throws
    [0.75, 0.25, 0.0]
    """
    r = np.minimum(interval("step_success", step_success, 0, 1), 1.0 - 1e-15)[..., None]
    n = _steps(steps)[..., None]
    m = np.arange(float(most_skills))
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        fall = np.where(n > m, np.log(np.maximum(n - m, 0.0) / (m + 1.0)), -np.inf)
        fall = np.cumsum(fall[..., :-1], axis=-1)
        fall = np.concatenate([np.zeros((*fall.shape[:-1], 1)), fall], axis=-1)
        odds = np.where(m > 0.0, m * (np.log(r) - np.log1p(-r)), 0.0)
        mass = np.exp(fall + odds + n * np.log1p(-r))
    value = np.maximum(1.0 - np.cumsum(mass, axis=-1), 0.0)
    return np.where(n < m + 1.0 if clamped else n <= m, 0.0, value)


def tree_of_thought_success(
    step_success: ArrayLike,
    skills: ArrayLike,
    steps: ArrayLike,
    branches: ArrayLike,
    *,
    fatigue: ArrayLike = 0.0,
    complement: bool = False,
    log: bool = False,
    whole_levels: bool = True,
) -> FloatArray:
    """Probability that a tree of thought, re-branched after every skill, finishes within budget.

    A level tries `branches` steps and goes on from one that succeeds, which a process verifier
    must point out: ``I_x(m, L - m + 1)`` with ``x = 1 - (1-r)^b`` and ``L = steps // b`` levels.

    Parameters
    ----------
    step_success : r in [0, 1].
    skills : m >= 0.
    steps : steps of all branches together, in [0, inf).
    branches : b >= 1.
    fatigue : h in [0, 1], chance that a failed step ruins its branch; a level ruins the trace when
        it ruins every branch, h^b.
    complement : return the failure probability, computed without cancellation.
    log : return the natural logarithm, also where the value underflows.
    whole_levels : False divides without rounding down, the continuous reading of DS3 Table I.

    Notes
    -----
    DS3 eq. (29), called ToT(1). `x` is computed as ``-expm1(b log1p(-r))``.

    >>> float(tree_of_thought_success(0.5, 1, 3, 2))    # one level of two: 1 - 0.5^2
    0.75
    """
    with np.errstate(under="ignore", divide="ignore"):
        level = _level(step_success, branches, fatigue)
    return _success(level, skills, _share(steps, branches, whole_levels), complement, log)


@np.errstate(under="ignore", divide="ignore")
def best_of_n_success(
    step_success: ArrayLike,
    skills: ArrayLike,
    steps: ArrayLike,
    samples: ArrayLike,
    branches: ArrayLike = 1,
    *,
    fatigue: ArrayLike = 0.0,
    complement: bool = False,
    log: bool = False,
    whole_levels: bool = True,
) -> FloatArray:
    """Probability that the best of `samples` independent traces finishes: ``1 - (1 - psi)^k``.

    Each trace, a chain of thought or with branches a tree, has ``steps // (k b)`` levels; an
    outcome verifier must point out one that finished.

    Parameters
    ----------
    step_success : r in [0, 1].
    skills : m >= 0.
    steps : steps of all samples and branches together, in [0, inf).
    samples : k >= 1.
    branches : b >= 1 in each sample.
    fatigue : h in [0, 1].
    complement : return the failure probability, computed without cancellation.
    log : return the natural logarithm, also where the value underflows.
    whole_levels : False divides without rounding down.

    Notes
    -----
    DS3 eq. (32) and (35). The middle of (32) prints Pr(T <= floor(T_max / k)); read the fastest of
    k traces.

    >>> float(best_of_n_success(0.5, 1, 3, 3))    # three samples of one step: 1 - 0.5^3
    0.875
    """
    k = interval("samples", samples, 1, np.inf, bounds="[)")
    level = _level(step_success, branches, fatigue)
    traces = k if _is_scalar(branches, 1.0) else k * np.asarray(branches, dtype=np.float64)
    levels = _share(steps, traces, whole_levels)
    if not log and not complement:
        return -np.expm1(k * np.log1p(-_success(level, skills, levels, False, False)))
    log_fail = k * _success(level, skills, levels, True, True)
    if complement:
        return log_fail if log else np.exp(log_fail)
    # Of k traces that practically never finish, any may be the one.
    rare = np.log(k) + _success(level, skills, levels, False, True)
    return np.where(log_fail > -1e-290, rare, log1mexp(log_fail))[()]


@np.errstate(under="ignore", divide="ignore")
def any_success(
    successes: ArrayLike,
    axis: int = -1,
    *,
    samples: ArrayLike = 1.0,
    complement: bool = False,
    log: bool = False,
) -> FloatArray:
    """Probability that at least one of several independent policies succeeds.

    ``1 - prod(1 - psi_j)^k_j`` along `axis`: best of a mixture of different policies.

    Parameters
    ----------
    successes : psi_j in [0, 1].
    samples : k_j >= 0, traces of each policy.
    axis : along which the policies lie.
    complement : return the probability that all fail.
    log : return the natural logarithm.

    Notes
    -----
    DS3 footnote 10.

    >>> float(any_success([0.5, 0.5, 0.2]).round(12))    # 1 - 0.5 * 0.5 * 0.8
    0.8
    """
    psi = interval("successes", successes, 0, 1)
    k = interval("samples", samples, 0, np.inf, bounds="[)")
    log_fail = np.sum(np.where(k > 0.0, k * np.log1p(-np.where(k > 0.0, psi, 0.0)), 0.0), axis=axis)
    if complement:
        return np.asarray(log_fail if log else np.exp(log_fail))[()]
    return np.asarray(log1mexp(log_fail) if log else -np.expm1(log_fail))[()]


@np.errstate(under="ignore", divide="ignore")
def finish_probability(
    step_success: ArrayLike,
    skills: ArrayLike,
    steps: ArrayLike,
    *,
    branches: ArrayLike = 1,
    fatigue: ArrayLike = 0.0,
    log: bool = False,
) -> FloatArray:
    """Probability that a trace gains its last skill exactly at level `steps`.

    ``Pr(T = n) = s^m C(n-1, m-1) x^m y^(n-m)``, the difference of the success within n and within
    n - 1 levels, computed directly.

    Parameters
    ----------
    step_success : r in [0, 1].
    skills : m >= 0.
    steps : n >= 0, levels of one trace; each costs `branches` steps.
    branches : b >= 1.
    fatigue : h in [0, 1].
    log : return the natural logarithm.

    Notes
    -----
    DS3 eq. (19), with a tree or fatigue by its `x`, `y`, `s`.

    >>> finish_probability(0.5, 1, [1, 2, 3]).round(12).tolist()
    [0.5, 0.25, 0.125]
    """
    level = _level(step_success, branches, fatigue)
    levels = _steps(steps)
    race = _race(skills, levels)
    x, y, log_y, m, b = np.broadcast_arrays(level.x, level.y, level.log_y, race.m, race.b)
    idle = b - 1.0
    log_x = np.where(x <= 0.5, np.log(x), np.log1p(-y))
    value = np.asarray(m * log_x)
    some = (idle > 0.0) & (x > 0.0)
    if np.any(some):
        at = [v[some] for v in (m, idle, x, y, log_x, log_y)]
        share = np.log(at[0]) - np.log(at[0] + at[1])
        value[some] = np.where(at[5] > -np.inf, share + log_binomial_mass(*at), -np.inf)
    if level.log_intact is not None:
        value = value + m * level.log_intact
    value = race.settle(value, np.where(levels == 0.0, 0.0, -np.inf), -np.inf)
    return value if log else np.exp(value)


def _moments(
    level: _Level, race: _Race, n: FloatArray, within: FloatArray, order: int
) -> FloatArray:
    """E[min(T, n)^order] for order 1 or 2, a sum of what finishes and what spends the budget.

    `within` is the chance of m levels that matter within n.
    """
    m, b = race.m, race.b
    rate = np.maximum(level.x, 5e-324)
    finished = m * (_within(level, m + 1.0, b) / rate)
    if order == 2:
        finished = (m * (m + 1.0)) * (_within(level, m + 2.0, b) / rate / rate) - finished
    # Beyond fifty times the mean the rest is below rounding, but n times rounding is not.
    failed = np.where(n * level.x > 50.0 * m, 0.0, 1.0 - within)
    if level.log_intact is not None:
        kept = m * level.log_intact
        finished = np.exp(kept) * finished
        failed = -np.expm1(kept) + np.exp(kept) * failed
    most = n if order == 1 else n * n
    value = np.minimum(finished + most * failed, most)
    return race.settle(value, 0.0, most)


@np.errstate(under="ignore", divide="ignore")
def expected_steps(
    step_success: ArrayLike,
    skills: ArrayLike,
    steps: ArrayLike,
    *,
    branches: ArrayLike = 1,
    fatigue: ArrayLike = 0.0,
) -> FloatArray:
    """Mean levels that one trace uses, ``E[min(T, n)]``, exactly.

    ``(m/r) I_r(m+1, n-m+1) + n I_(1-r)(n-m+1, m)``: what the traces that finish use, plus n for
    those that run out.

    Parameters
    ----------
    step_success : r in [0, 1].
    skills : m >= 0.
    steps : n >= 0, the levels of one trace: ``steps // (samples * branches)`` of a budget.
    branches : b >= 1; a level costs b steps, so multiply by b, and by the samples, for steps.
    fatigue : h in [0, 1]; a ruined trace does not notice and uses all n.

    Notes
    -----
    DS3 eq. (23) in closed form, without its sum over T_max terms. The normal approximation (26) is
    negative for m < 4 (1 - r), and (27) is an upper bound.

    >>> float(expected_steps(0.5, 1, 2))    # one step half of the time, else two
    1.5
    """
    level, n = _level(step_success, branches, fatigue), _steps(steps)
    race = _race(skills, n)
    return _moments(level, race, n, _within(level, race.m, race.b), 1)


@np.errstate(under="ignore", divide="ignore")
def success_and_expected_steps(
    step_success: ArrayLike, skills: ArrayLike, steps: ArrayLike, *, fatigue: ArrayLike = 0.0
) -> tuple[FloatArray, FloatArray]:
    """`chain_of_thought_success` and `expected_steps` of the same traces, for less than both.

    Arguments as there.

    >>> [float(value) for value in success_and_expected_steps(0.5, 1, 2)]
    [0.75, 1.5]
    """
    level, n = _level(step_success, 1, fatigue), _steps(steps)
    race = _race(skills, n)
    within = _within(level, race.m, race.b)
    success = within
    if level.log_intact is not None:
        success = np.exp(race.m * level.log_intact) * within
    return race.settle(success, 1.0, 0.0), _moments(level, race, n, within, 1)


@np.errstate(under="ignore", divide="ignore", over="ignore")
def expected_squared_steps(
    step_success: ArrayLike,
    skills: ArrayLike,
    steps: ArrayLike,
    *,
    branches: ArrayLike = 1,
    fatigue: ArrayLike = 0.0,
) -> FloatArray:
    """Mean square of the levels that one trace uses, ``E[min(T, n)^2]``, exactly.

    Parameters as in `expected_steps`. What attention costs on average depends on this, not on the
    square of the mean that DS3 eq. (28), (31), (34) and (37) put in.

    >>> float(expected_squared_steps(0.5, 1, 2))    # (1 + 4) / 2
    2.5
    """
    level, n = _level(step_success, branches, fatigue), _steps(steps)
    race = _race(skills, n)
    return _moments(level, race, n, _within(level, race.m, race.b), 2)
