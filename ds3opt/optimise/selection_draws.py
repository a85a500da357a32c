"""How sure the answers of repeated samples are, over joint draws of a fitted population."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ds3opt.laws._types import ArrayLike, FloatArray, interval, refuse
from ds3opt.laws.coverage import beta_coverage, beta_majority_vote, samples_for_coverage
from ds3opt.laws.saturation import MOST_VOTES, vote_plateau
from ds3opt.optimise.selection import ORACLE, Prices, Reach, Selection

LEVEL = 0.95
"""Of the intervals, half of the rest on each side."""
_ENDS = (0.025, 0.975)
SURE = 0.95
"""Share of the draws in which a planner wants a target reached."""
_BLOCK = 4_000_000
"""Elements that are worked out at once, for memory."""
_TERMS = 512
"""Elements that coverage takes for one number of samples of one draw."""
_ROUNDING = 1e-9

Ends = tuple[float, float]
_Law = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class PopulationDraws:
    """Populations that the data of a fit leave possible, equally likely."""

    alpha: FloatArray  # (draw,)
    beta: FloatArray  # (draw,)
    solvable: FloatArray  # (draw,)

    def __post_init__(self) -> None:
        interval("alpha", self.alpha, 0, np.inf, bounds="()")
        interval("beta", self.beta, 0, np.inf, bounds="()")
        interval("solvable", self.solvable, 0, 1)
        if not np.size(self.alpha) == np.size(self.beta) == np.size(self.solvable) >= 2:
            raise refuse("draws", "two or more, with all constants", np.size(self.alpha))

    def __len__(self) -> int:
        return int(np.size(self.alpha))

    def covered(self, samples: ArrayLike) -> FloatArray:
        """Share that one of k traces solves, shape (k, draw); DS3 (59)."""
        k = np.atleast_1d(np.asarray(samples, dtype=np.float64))[:, None]
        return self._in_blocks(lambda a, b, part: beta_coverage(a, b, part, k), k.size)

    def samples_for(self, targets: ArrayLike, *, log10: bool = False) -> FloatArray:
        """Fewest traces for each target, shape (target, draw); inf where no number does."""
        goal = np.atleast_1d(np.asarray(targets, dtype=np.float64))[:, None]
        return self._in_blocks(
            lambda a, b, part: samples_for_coverage(goal, a, b, part, log10=log10), goal.size
        )

    def voted(self, samples: int, shares: ArrayLike, ratio: float) -> FloatArray:
        """Share that a vote of k traces gets right, shape (draw,); DS3 (61)."""
        return self._in_blocks(
            lambda a, b, part: beta_majority_vote(a, b, part, samples, shares, ratio), 1
        )

    def vote_plateau(self, shares: ArrayLike, ratio: float) -> FloatArray:
        """Share that ever more votes get right, shape (draw,)."""
        top = float(np.max(np.asarray(shares, dtype=np.float64)))
        return vote_plateau(self.alpha, self.beta, self.solvable, top, ratio)

    def _in_blocks(self, law: _Law, rows: int) -> FloatArray:
        """A law over the draws, so many at a time that its tables fit into memory."""
        size = max(1, _BLOCK // (_TERMS * max(rows, 1)))
        parts = (slice(i, i + size) for i in range(0, len(self), size))
        return np.concatenate(
            [law(self.alpha[one], self.beta[one], self.solvable[one]) for one in parts], axis=-1
        )


@dataclass(frozen=True)
class Amount:
    """A number of samples, and what it costs."""

    samples: float
    """inf where it is out of reach, or beyond doubles."""
    log10_samples: float
    """inf only where it is out of reach."""
    flop: float | None
    usd: float | None

    @property
    def out_of_reach(self) -> bool:
        """Whether no number of samples is enough."""
        return bool(self.log10_samples == np.inf)


@dataclass(frozen=True)
class SureReach:
    """How sure one row of `Selection.reach` is."""

    low: Amount
    """Enough in 2.5 % of the draws."""
    high: Amount
    """Enough in 97.5 % of the draws: out of reach where no number is in more than 2.5 % of them."""
    sure: Amount
    """Enough in a share `SURE` of the draws, the number that a planner orders."""
    enough: float | None
    """Share of draws in which the samples of the point figure are enough; None where it has none
    that can be counted."""
    out_of_reach: float
    """Share of draws in which no number of samples is."""


@dataclass(frozen=True)
class Sureness:
    """What the draws say of a `Selection`, row by row; None for rules that are not drawn."""

    draws: int
    single: Ends
    solvable: Ends
    reach: tuple[SureReach | None, ...]
    bought: tuple[Ends | None, ...]
    plateaus: tuple[Ends | None, ...]
    curve: tuple[dict[str, Ends | None], ...]


def how_sure(
    selection: Selection,
    draws: PopulationDraws,
    *,
    prices: Prices | None = None,
    wrong_answers: ArrayLike | None = None,
    weight_ratio: float | None = None,
) -> Sureness:
    """Intervals of the answers, and samples with which a target is reached in 95 % of the draws.

    Parameters
    ----------
    selection : the answer at the point estimate.
    draws : of the same fit.
    prices, wrong_answers, weight_ratio : as `select` had them.

    Notes
    -----
    The verifier that never errs is drawn in all tables, votes in all but the samples for a target,
    which need a whole curve for each draw. A verifier that errs needs an integral for each draw and
    is left out.
    """
    ratios: dict[str, float] = {}
    if wrong_answers is not None:
        votes = [one.rule for one in selection.plateaus if "vote" in one.rule]
        ratios = dict(zip(votes, (1.0, weight_ratio or 1.0), strict=False))

    def accuracies(rule: str, samples: float) -> Ends | None:
        if samples < 1.0:
            return None
        if rule == ORACLE:
            return interval_of(draws.covered(samples)[0])
        if rule not in ratios or samples > MOST_VOTES or wrong_answers is None:
            return None
        return interval_of(draws.voted(int(samples), wrong_answers, ratios[rule]))

    def plateau(rule: str) -> Ends | None:
        if rule == ORACLE:
            return interval_of(draws.solvable)
        if rule not in ratios or wrong_answers is None:
            return None
        return interval_of(draws.vote_plateau(wrong_answers, ratios[rule]))

    return Sureness(
        len(draws),
        interval_of(draws.covered(1.0)[0]),
        interval_of(draws.solvable),
        _reaches(selection.reach, draws, prices or Prices()),
        tuple(
            accuracies(one.rule, one.samples) if one.accuracy is not None else None
            for one in selection.bought
        ),
        tuple(plateau(one.rule) for one in selection.plateaus),
        tuple(
            {rule: accuracies(rule, float(samples)) for rule in values}
            for samples, values in selection.curve
        ),
    )


def interval_of(values: FloatArray) -> Ends:
    """Interval of `LEVEL` of numbers that vary without steps, (draw,).

    >>> interval_of(np.arange(81.0))
    (2.0, 78.0)
    """
    low, high = np.quantile(values, _ENDS)
    return float(low), float(high)


def enough_in(values: FloatArray, share: float) -> float:
    """Least of the drawn numbers, (draw,), that at least a share of them do not exceed.

    One of the draws and nothing between two of them, so whole numbers stay whole, and it is
    infinite just where more than the rest of the draws are.

    >>> enough_in(np.array([3.0, 1.0, 2.0, np.inf]), 0.75)
    3.0
    """
    rank = int(np.ceil(share * values.size - _ROUNDING))
    at = min(max(rank, 1), values.size) - 1
    return float(np.partition(values, at)[at])


def whole_interval(values: FloatArray) -> Ends:
    """Interval of `LEVEL` of numbers of samples, (draw,), by `enough_in`.

    >>> whole_interval(np.arange(1.0, 201.0))
    (5.0, 195.0)
    """
    low, high = (enough_in(values, end) for end in _ENDS)
    return low, high


def _reaches(
    rows: tuple[Reach, ...], draws: PopulationDraws, prices: Prices
) -> tuple[SureReach | None, ...]:
    goals = list(dict.fromkeys(one.target for one in rows))
    if not goals:
        return ()
    needed = dict(zip(goals, draws.samples_for(goals), strict=True))
    logs = dict(zip(goals, draws.samples_for(goals, log10=True), strict=True))

    def amount(goal: float, share: float) -> Amount:
        samples = enough_in(needed[goal], share)
        log10 = enough_in(logs[goal], share)
        known = np.isfinite(samples) and samples >= 1.0
        return Amount(
            samples,
            float(np.log10(samples)) if known else log10,
            prices.flop(samples, judged=False),
            prices.dollars(samples),
        )

    def sureness(one: Reach) -> SureReach | None:
        if one.rule != ORACLE:
            return None
        goal = one.target
        counted = one.samples is not None and np.isfinite(one.samples)
        low, high = (amount(goal, end) for end in _ENDS)
        return SureReach(
            low,
            high,
            amount(goal, SURE),
            float(np.mean(needed[goal] <= one.samples)) if counted else None,
            float(np.mean(logs[goal] == np.inf)),
        )

    return tuple(sureness(one) for one in rows)
