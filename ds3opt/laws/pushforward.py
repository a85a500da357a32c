"""Success over problems that differ in difficulty: push-forward of a skill distribution, DS3 E-D.

A problem needs m skills; a step executes one with probability p, which varies over problems, and
finds the next one with probability i (directionality). Of T steps at most,

    psi = I_u(m, kappa),    u = i p,    kappa = T - m + 1,

so that a distribution of p becomes one of psi. For m > T nothing is solved and psi = 0. In DS3 (69)
and (70) kappa is called k, which is also the number of samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from ds3opt.laws._types import ArrayLike, FloatArray, interval, refuse
from ds3opt.laws.capability import step_skill_success
from ds3opt.laws.search import chain_of_thought_success

_ROOT = 0.5 * (np.sqrt(5.0) - 1.0)


@dataclass(frozen=True)
class DifficultyMixture:
    """Problems in groups: how many skills they need, and how their difficulty is spread."""

    share: FloatArray  # (group,) sums to 1
    skills: FloatArray  # (group,) m >= 1
    mean: FloatArray  # (group,) of L0, nats/token
    deviation: FloatArray  # (group,) of L0, > 0

    def __post_init__(self) -> None:
        for name in ("share", "skills", "mean", "deviation"):
            object.__setattr__(self, name, np.atleast_1d(np.asarray(getattr(self, name), float)))
        interval("share", self.share, 0, 1)
        interval("skills", self.skills, 1, np.inf, bounds="[)")
        interval("mean", self.mean, -np.inf, np.inf, bounds="()")
        interval("deviation", self.deviation, 0, np.inf, bounds="()")
        sizes = {self.share.size, self.skills.size, self.mean.size, self.deviation.size}
        if len(sizes) != 1:
            raise refuse("share, skills, mean and deviation", "of one length", sorted(sizes))
        if abs(float(self.share.sum()) - 1.0) > 1e-9:
            raise refuse("sum of share", "1", float(self.share.sum()))


def trace_success(
    difficulty: ArrayLike,
    skills: ArrayLike,
    loss: ArrayLike,
    directionality: ArrayLike,
    steps: ArrayLike,
    *,
    slope: ArrayLike = 5.0,
) -> FloatArray:
    """Success of one trace on a problem of known difficulty, ``I_u(m, T - m + 1)``.

    Parameters
    ----------
    difficulty : L0, nats/token. skills : m >= 1. loss : L, nats/token.
    directionality : i in (0, 1]. steps : T > 0, not necessarily whole.
    slope : b > 0, per nat/token.

    Returns
    -------
    psi in [0, 1]; 0 where m > T.

    Notes
    -----
    DS3 (64)-(67), with the continuous T of Table II.

    >>> float(trace_success(2.0, 1, 2.0, 0.5, 1))    # one step, half of the time toward the skill
    0.25
    """
    limit = interval("steps", steps, 0, np.inf, bounds="()")
    found = interval("directionality", directionality, 0, 1, bounds="(]")
    step = found * step_skill_success(loss, difficulty, slope=slope)
    return chain_of_thought_success(step, interval("skills", skills, 1, np.inf), limit)


def success_distribution(
    success: ArrayLike,
    problems: DifficultyMixture,
    loss: float,
    directionality: float,
    steps: float,
    *,
    slope: float = 5.0,
) -> FloatArray:
    """Share of problems that one trace solves with at most this chance, ``Pr[psi <= x]``.

    Parameters
    ----------
    success : x in [0, 1].
    problems : skills and difficulties.
    loss, directionality, steps, slope : as in `trace_success`.

    Returns
    -------
    At 0 the share of problems with more skills than steps; 1 from ``I_i(m, kappa)`` on for all m.

    Notes
    -----
    In closed form: psi rises with L0, whose distribution is normal. The factor A of DS3 (70) is
    left out: the spike at 0 of problems with m > T is it, and would be counted twice.

    >>> one = DifficultyMixture(1.0, 1.0, 2.0, 0.1)
    >>> success_distribution([0.0, 0.25, 0.5], one, 2.0, 0.5, 1.0).tolist()
    [0.0, 0.5, 1.0]
    """
    psi = interval("success", success, 0, 1)
    z, known = _standardised(psi, problems, loss, directionality, steps, slope)
    below = np.where(known, special.ndtr(z), 1.0)
    return np.asarray(below @ problems.share)[()]


def success_density(
    success: ArrayLike,
    problems: DifficultyMixture,
    loss: float,
    directionality: float,
    steps: float,
    *,
    slope: float = 5.0,
) -> FloatArray:
    """Density of the chances of one trace, without the spike of `never_solved` at 0.

    Parameters
    ----------
    success : x in (0, 1).
    problems, loss, directionality, steps, slope : as in `success_distribution`.

    Notes
    -----
    DS3 (68)-(70) with kappa in place of k; 0 above the largest psi, ``I_i(m, kappa)``.

    >>> one = DifficultyMixture(1.0, 1.0, 2.0, 0.1)
    >>> float(success_density(0.6, one, 2.0, 0.5, 1.0))    # above 1/2, which nothing reaches
    0.0
    """
    psi = interval("success", success, 0, 1, bounds="()")
    z, known = _standardised(psi, problems, loss, directionality, steps, slope)
    m = problems.skills
    inside = known & np.isfinite(z)
    kappa = np.where(m <= steps, steps - m + 1.0, 1.0)
    u = np.where(inside, special.betaincinv(m, kappa, psi[..., None]), 0.5 * directionality)
    p = u / directionality
    with np.errstate(under="ignore", divide="ignore"):
        log_slope = (
            np.log(directionality * slope)
            + np.log(p)
            + np.log1p(-p)
            + (m - 1.0) * np.log(u)
            + (kappa - 1.0) * np.log1p(-u)
            - special.betaln(m, kappa)
        )
        of_difficulty = -0.5 * z * z - np.log(problems.deviation * np.sqrt(2.0 * np.pi))
        density = np.where(inside, np.exp(np.where(inside, of_difficulty - log_slope, 0.0)), 0.0)
    return np.asarray(density @ problems.share)[()]


def never_solved(problems: DifficultyMixture, steps: float) -> float:
    """Share of problems that need more skills than there are steps, ``Pr[psi = 0]``.

    >>> never_solved(DifficultyMixture([0.93, 0.07], [1, 100], [1.5, 2.2], [0.5, 0.3]), 77.92)
    0.07
    """
    return float(problems.share @ (problems.skills > steps))


def pushforward_coverage(
    samples: ArrayLike,
    problems: DifficultyMixture,
    loss: float,
    directionality: float,
    steps: float,
    *,
    slope: float = 5.0,
) -> FloatArray:
    """Chance that one of k traces solves a problem, over the difficulties, DS3 (57).

    Parameters
    ----------
    samples : k >= 0.
    problems, loss, directionality, steps, slope : as in `success_distribution`.

    Notes
    -----
    ``1 - (1 - psi)^k`` is a smooth function of L0, entire but for the poles of the sigmoid, so the
    trapezoidal rule over 9 standard deviations to either side converges geometrically.

    >>> one = DifficultyMixture(1.0, 1.0, 2.0, 1e-6)
    >>> float(pushforward_coverage(2, one, 2.0, 0.5, 1.0).round(6))    # 1 - 0.75^2
    0.4375
    """
    k = interval("samples", samples, 0, np.inf, bounds="[)")
    width = float(np.max(problems.deviation)) * slope
    step = min(0.02, 0.1 / max(width, 1e-300))
    z = np.arange(-9.0, 9.0 + step, step)
    mass = np.exp(-0.5 * z * z) / np.sum(np.exp(-0.5 * z * z))
    difficulty = problems.mean[:, None] + problems.deviation[:, None] * z
    psi = trace_success(
        difficulty, problems.skills[:, None], loss, directionality, steps, slope=slope
    )
    with np.errstate(divide="ignore", under="ignore"):
        missed = k[..., None, None] * np.where(k[..., None, None] > 0.0, np.log1p(-psi), 0.0)
        return np.asarray(problems.share @ (-np.expm1(missed) @ mass)[..., None])[..., 0][()]


def _standardised(
    psi: FloatArray,
    problems: DifficultyMixture,
    loss: float,
    directionality: float,
    steps: float,
    slope: float,
) -> tuple[FloatArray, FloatArray]:
    """Standardised L0 at which each group has a success, (..., group), and whether m <= T."""
    found = float(interval("directionality", directionality, 0, 1, bounds="(]"))
    limit = float(interval("steps", steps, 0, np.inf, bounds="()"))
    steep = float(interval("slope", slope, 0, np.inf, bounds="()"))
    m = problems.skills
    possible = m <= limit
    kappa = np.where(possible, limit - m + 1.0, 1.0)
    p = special.betaincinv(m, kappa, psi[..., None]) / found
    with np.errstate(divide="ignore"):
        logit = np.where(p < 1.0, special.logit(np.minimum(p, 1.0)), np.inf)
    z = (loss + logit / steep - problems.mean) / problems.deviation
    return np.asarray(z), np.broadcast_to(possible, z.shape)


@dataclass(frozen=True)
class RelativeDirectionality:
    """Directionality of models on the same problems, as an index: ratios mean more than values."""

    index: FloatArray  # (model,)
    distance: FloatArray  # (model,) root mean square between the two distributions at the best
    low: FloatArray  # (model,) smallest index whose distance is at most `slack` above the best
    high: FloatArray  # (model,) largest such index


def relative_directionality(
    alpha: ArrayLike,
    beta: ArrayLike,
    solvable: ArrayLike,
    loss: ArrayLike,
    steps: ArrayLike,
    problems: DifficultyMixture,
    *,
    slope: float = 5.0,
    slack: float = 0.01,
) -> RelativeDirectionality:
    """Directionality for which the push-forward of the problems comes closest to Beta fits.

    Parameters
    ----------
    alpha, beta, solvable : (model,) Beta fits of success.
    loss, steps : (model,) L and T of each model.
    problems : common to all.
    slope : b, per nat/token.
    slack : distance above the best that still counts as close, for the interval.

    Returns
    -------
    The index of every model with an interval that shows how little the data say: all indices times
    3 cost some 0.007 of distance, because L0 moves by ``ln 3 / b``. Only ratios between models on
    common problems carry meaning.

    Notes
    -----
    In place of DS3's "maximum likelihood on pass@k": points of a pass@k curve are not a sample. The
    distance is taken between distribution functions at even steps of psi, on a grid of ln i.
    """
    fits = [np.atleast_1d(np.asarray(x, dtype=np.float64)) for x in (alpha, beta, solvable, loss)]
    a, b, part, losses, limits = np.broadcast_arrays(*fits, np.atleast_1d(np.asarray(steps, float)))
    x = (np.arange(400.0) + 0.5) / 400.0
    grid = np.geomspace(1e-6, 1.0, 241)
    found: list[tuple[float, float, float, float]] = []
    for model in range(a.size):
        wanted = 1.0 - part[model] * special.betaincc(a[model], b[model], x)

        def distance(index: float, model: int = model, wanted: FloatArray = wanted) -> float:
            got = success_distribution(
                x, problems, float(losses[model]), index, float(limits[model]), slope=slope
            )
            return float(np.sqrt(np.mean((got - wanted) ** 2)))

        all_ = np.array([distance(float(i)) for i in grid])
        best = int(np.argmin(all_))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
        for _ in range(40):
            first, second = high - _ROOT * (high - low), low + _ROOT * (high - low)
            if distance(float(first)) <= distance(float(second)):
                high = second
            else:
                low = first
        index = float(0.5 * (low + high))
        least = distance(index)
        close = np.flatnonzero(all_ <= least + slack)
        ends = (grid[close[0]], grid[close[-1]]) if close.size else (index, index)
        found.append((index, least, float(min(ends[0], index)), float(max(ends[1], index))))
    columns = np.array(found).T
    return RelativeDirectionality(columns[0], columns[1], columns[2], columns[3])
