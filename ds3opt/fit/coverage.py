"""A population of problems from counts of right traces: zero-inflated beta-binomial likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ds3opt.fit.ascent import maximise
from ds3opt.fit.bootstrap import resampling_weights
from ds3opt.laws._types import FloatArray
from ds3opt.laws.coverage import log_counts_chance
from ds3opt.laws.populations import BetaProblems

CONSTANTS = ("alpha", "beta", "solvable")
"""Columns of `CoverageFit.draws`."""
ENDS = (np.log(1e-6), np.log(1e6))
"""Of ln alpha and ln beta."""
LEAST_SOLVABLE = 1e-6
PROFILE = 3.841458820694124
"""Twice the log likelihood that an interval of 95 % gives up: a quantile of chi-squared."""
_SAME = 1e-6
_ALPHA_STARTS = (0.02, 0.2, 1.0, 5.0)
_BETA_STARTS = (0.05, 0.5, 3.0, 30.0, 300.0)
_BLOCK = 2_000_000
_BISECTIONS = 60
_LEVELS = 48
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Counts:
    """Traces of each problem, and how many were right."""

    samples: FloatArray  # (problem,)
    correct: FloatArray  # (problem,)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def rates(self) -> FloatArray:
        """Share of right traces of each problem."""
        return np.asarray(self.correct / self.samples)

    @cached_property
    def solved(self) -> float:
        """Share of problems that were solved at least once."""
        return float(np.mean(self.correct > 0.0))

    @cached_property
    def stopped_at_success(self) -> bool:
        """Whether sampling seems to have gone on until the first right trace.

        No problem has more than one, and those that have one were tried differently often.
        """
        once = self.correct == 1.0
        if bool(np.any(self.correct > 1.0)) or not bool(np.any(once)):
            return False
        return len(np.unique(self.samples[once])) > 1

    @cached_property
    def at_most_once(self) -> bool:
        """Whether no problem of several traces has more than one right, of all equally many."""
        if self.stopped_at_success or bool(np.any(self.correct > 1.0)):
            return False
        return bool(np.min(self.samples) > 1.0)


@dataclass(frozen=True)
class CoverageFit:
    """A fitted population and what is known of it."""

    values: dict[str, float]
    draws: FloatArray  # (draw, constant)
    log_likelihood: float
    """Of the counts in their order, without binomial coefficients."""
    likelihood_ratio: float
    """Twice the log likelihood that a point mass of unsolvable problems adds."""
    profile: tuple[float, float] | None
    """Interval of 95 % of solvable by profile likelihood."""
    starts: int
    agreeing: int
    at_edge: tuple[str, ...]

    @property
    def population(self) -> BetaProblems:
        """The population as a law."""
        return BetaProblems(*(self.values[name] for name in CONSTANTS))

    @property
    def p_value(self) -> float:
        """Chance of so large a ratio where every problem is solvable.

        Half of the ratios are then 0, as the share lies on its boundary.
        """
        from scipy.special import erfc

        if self.likelihood_ratio <= 0.0:
            return 1.0
        return 0.5 * float(erfc(np.sqrt(0.5 * self.likelihood_ratio)))

    @property
    def bimodal(self) -> float | None:
        """Share of the draws with alpha and beta below 1: a distribution like a U."""
        if not len(self.draws):
            return None
        return float(np.mean((self.draws[:, 0] < 1.0) & (self.draws[:, 1] < 1.0)))


class _Likelihood:
    """Log likelihood of many weightings of the same counts, by ln alpha and ln beta.

    The share of solvable problems is the best for these two, unless it is held.
    """

    def __init__(
        self, counts: Counts, weights: FloatArray | None = None, solvable: FloatArray | None = None
    ) -> None:
        table = np.stack([counts.samples, counts.correct], axis=1)
        rows, inverse = np.unique(table, axis=0, return_inverse=True)
        inverse = inverse.ravel()
        given = np.ones((1, len(counts))) if weights is None else weights
        pooled = np.zeros((len(given), len(rows)))
        np.add.at(pooled.T, inverse, given.T)
        none = rows[:, 1] == 0.0
        self.tried_in_vain = rows[none, 0]
        self.in_vain = pooled[:, none]
        solved = rows[~none]
        self.pieces = [
            (part[0], np.asarray(part[1]))
            for part in (
                _pooled(solved[:, 1], pooled[:, ~none]),
                _pooled(solved[:, 0] - solved[:, 1], pooled[:, ~none]),
                _pooled(solved[:, 0], pooled[:, ~none]),
            )
        ]
        self.solved = pooled[:, ~none].sum(axis=1)
        self.held = solvable

    def of(self, which: NDArray[np.intp]) -> NDArray[np.intp]:
        """The weighting of each problem; there may be one for all."""
        return which if len(self.in_vain) > 1 else np.zeros_like(which)

    def share(self, missed: FloatArray, which: NDArray[np.intp]) -> FloatArray:
        """Solvable share: held, or the best for the log of the chances of no success."""
        if self.held is not None:
            return self.held[which]
        weight, solved = self.in_vain[self.of(which)], self.solved[self.of(which)]
        hit = -np.expm1(missed)

        def slope(part: FloatArray) -> FloatArray:
            rest = np.maximum(1.0 - part[:, None] * hit, 1e-300)
            return np.asarray(solved / part - np.sum(weight * hit / rest, axis=1))

        low, high = np.full(len(which), LEAST_SOLVABLE), np.ones(len(which))
        full = slope(high) >= 0.0
        if weight.shape[1] == 1:
            total = (solved + weight[:, 0]) * hit[:, 0]
            inner = np.clip(solved / np.maximum(total, 1e-300), LEAST_SOLVABLE, 1.0)
            return np.where(full, 1.0, inner)
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            rising = slope(middle) > 0.0
            low, high = np.where(rising, middle, low), np.where(rising, high, middle)
        return np.where(full, 1.0, 0.5 * (low + high))

    def missed(self, at: FloatArray) -> FloatArray:
        """Log of the chance of no success, of each number of tries that had none."""
        a, b = np.exp(at[:, :1]), np.exp(at[:, 1:2])
        return np.asarray(np.minimum(log_counts_chance(a, b, 0.0, self.tried_in_vain), -1e-300))

    def __call__(self, at: FloatArray, which: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
        blocks = max(1, _BLOCK // max(1, sum(len(x) for x, _ in self.pieces)))
        parts = [
            self._block(at[i : i + blocks], which[i : i + blocks])
            for i in range(0, len(at), blocks)
        ]
        values, slopes = zip(*parts, strict=True)
        return np.concatenate(values), np.concatenate(slopes)

    def _block(self, at: FloatArray, which: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
        from scipy.special import digamma, gammaln

        a, b = np.exp(at[:, :1]), np.exp(at[:, 1:2])
        weighting = self.of(which)
        value, of_a, of_b = np.zeros(len(at)), np.zeros(len(at)), np.zeros(len(at))
        # the terms of log_counts_chance, each over its own distinct numbers
        for (number, weight), base, sign in zip(
            self.pieces, (a, b, a + b), (1.0, 1.0, -1.0), strict=True
        ):
            own = weight[weighting]
            value += sign * np.sum(own * (gammaln(base + number) - gammaln(base)), axis=1)
            slope = sign * np.sum(own * (digamma(base + number) - digamma(base)), axis=1)
            of_a = of_a + (slope if base is not b else 0.0)
            of_b = of_b + (slope if base is not a else 0.0)
        solved = self.solved[weighting]
        missed = self.missed(at)
        part = self.share(missed, which)
        value += np.where(solved > 0.0, solved * np.log(part), 0.0)
        if len(self.tried_in_vain):
            weight = self.in_vain[weighting]
            unsolved = 1.0 + part[:, None] * np.expm1(missed)
            value += np.sum(weight * np.log(np.maximum(unsolved, 1e-300)), axis=1)
            able = weight * part[:, None] * np.exp(missed) / np.maximum(unsolved, 1e-300)
            n = self.tried_in_vain
            of_both = digamma(a + b + n) - digamma(a + b)
            of_a = of_a - np.sum(able * of_both, axis=1)
            of_b = of_b + np.sum(able * (digamma(b + n) - digamma(b) - of_both), axis=1)
        return value, np.stack([of_a * a[:, 0], of_b * b[:, 0]], axis=1)


def _pooled(numbers: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distinct numbers and the weight of each."""
    distinct, inverse = np.unique(numbers, return_inverse=True)
    pooled = np.zeros((len(weights), len(distinct)))
    np.add.at(pooled.T, inverse.ravel(), weights.T)
    return distinct, pooled


_LOW = np.full(2, ENDS[0])
_HIGH = np.full(2, ENDS[1])


def _grid() -> FloatArray:
    pairs = np.meshgrid(np.log(_ALPHA_STARTS), np.log(_BETA_STARTS), indexing="ij")
    return np.stack([one.ravel() for one in pairs], axis=1)


def fit_coverage(
    counts: Counts,
    *,
    solvable: float | None = None,
    draws: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> CoverageFit:
    """The population of greatest likelihood: Beta(alpha, beta) on a share of the problems.

    Parameters
    ----------
    counts : of several problems, not all solved always and not all never.
    solvable : share of problems that can be solved at all, to hold fixed; None fits it.
    draws, seed : resamples of the problems, each fitted anew.

    Notes
    -----
    DS3 III-D and appendix E, whose "maximum likelihood on pass@k" is replaced: points of a curve
    are functions of the same counts and no sample. The likelihood of counts also holds where
    sampling stopped at the first right trace, as it does not ask why sampling stopped.
    """
    held = None if solvable is None else np.array([solvable])
    grid = _grid()

    def everywhere(part: FloatArray | None, count: int) -> FloatArray | None:
        return None if part is None else np.repeat(part, count)

    found = maximise(
        _Likelihood(counts, None, everywhere(held, len(grid))), grid, low=_LOW, high=_HIGH
    )
    best = int(np.argmax(found.value))
    at, top = found.at[[best]], float(found.value[best])
    whole = maximise(
        _Likelihood(counts, None, np.ones(len(grid) + 1)),
        np.concatenate([grid, at]),
        low=_LOW,
        high=_HIGH,
    )
    values = _values(_Likelihood(counts, None, held), at)[0]
    drawn = np.empty((0, 3))
    if draws:
        drawn = _resampled(counts, held, at, draws, seed, progress)
    ratio = 0.0 if held is not None else max(2.0 * (top - float(whole.value.max())), 0.0)
    return CoverageFit(
        values=dict(zip(CONSTANTS, map(float, values), strict=True)),
        draws=drawn,
        log_likelihood=top,
        likelihood_ratio=ratio if ratio > 1e-8 * (1.0 + abs(top)) else 0.0,
        profile=None if held is not None else _profile(counts, at, top, float(values[2])),
        starts=len(grid),
        agreeing=int(np.sum(found.value >= top - _SAME * (1.0 + abs(top)))),
        at_edge=tuple(
            name
            for name, x in zip(CONSTANTS, at[0], strict=False)
            if x <= ENDS[0] + 1e-6 or x >= ENDS[1] - 1e-6
        ),
    )


def _values(likelihood: _Likelihood, at: FloatArray) -> FloatArray:
    """Constants at points of ln alpha and ln beta."""
    part = likelihood.share(likelihood.missed(at), np.arange(len(at)))
    return np.column_stack([np.exp(at), part])


def _resampled(
    counts: Counts,
    held: FloatArray | None,
    at: FloatArray,
    draws: int,
    seed: int,
    progress: Progress | None,
) -> FloatArray:
    """The constants of each resample, from the estimate and from the best of the grid."""
    weights = resampling_weights(len(counts), draws, seed)
    part = None if held is None else np.repeat(held, draws)
    likelihood = _Likelihood(counts, weights, part)
    every = np.arange(draws)
    known = np.stack([likelihood(np.repeat(one[None], draws, axis=0), every)[0] for one in _grid()])
    ends = []
    for turn, starts in enumerate((np.repeat(at, draws, axis=0), _grid()[known.argmax(axis=0)])):

        def told(share: float, turn: int = turn) -> None:
            if progress is not None:
                progress("resamples", 0.5 * (turn + share))

        ends.append(maximise(likelihood, starts, low=_LOW, high=_HIGH, progress=told))
    first = ends[0].value >= ends[1].value
    return _values(likelihood, np.where(first[:, None], ends[0].at, ends[1].at))


def _profile(counts: Counts, at: FloatArray, top: float, best: float) -> tuple[float, float]:
    """Where the profile likelihood of the solvable share has fallen by half of `PROFILE`."""

    def lost(parts: FloatArray) -> FloatArray:
        likelihood = _Likelihood(counts, None, np.tile(parts, 3))
        starts = np.concatenate(
            [np.repeat(one[None], len(parts), axis=0) for one in (at[0], *_END_STARTS)]
        )
        found = maximise(likelihood, starts, low=_LOW, high=_HIGH)
        return np.asarray(2.0 * (top - found.value.reshape(3, -1).max(axis=0)) - PROFILE)

    def end(inside: float, outside: float) -> float:
        for _ in range(2):
            parts = np.geomspace(inside, outside, _LEVELS)
            beyond = np.flatnonzero(lost(parts) > 0.0)
            if not beyond.size:
                return outside
            first = max(int(beyond[0]), 1)
            inside, outside = float(parts[first - 1]), float(parts[first])
        return 0.5 * (inside + outside)

    return end(best, min(0.01 * best, 1e-3)), end(best, 1.0) if best < 1.0 else 1.0


_END_STARTS = (np.log([0.1, 1.0]), np.log([2.0, 100.0]))
