"""From the outcomes of draws to intervals, odds of policies, regret and broken limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.solution import Solution, Status
from ds3opt.uncertainty.outcome import GAP, MAXIMISED, ClassOutcome, Outcome, amounts_of, column

FloatArray = NDArray[np.float64]

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
"""Quantiles that are reported."""
LEVEL = LEVELS[-1] - LEVELS[0]
"""Of the intervals."""
_SELDOM = 0.5 * (1.0 - LEVEL)
"""A policy that is as good as the leading one in fewer draws than this is told apart from it."""
_TIE = 1e-3
"""Part of the gap within which two losses are the same."""


@dataclass(frozen=True)
class Spread:
    """One amount over the draws that have an answer."""

    name: str
    point: float | None
    """At the point estimate."""
    mean: float
    quantiles: tuple[float, ...]
    """At `LEVELS`."""

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of `LEVEL`."""
        return self.quantiles[0], self.quantiles[-1]

    @property
    def median(self) -> float:
        """The middle one."""
        return self.quantiles[LEVELS.index(0.5)]


@dataclass(frozen=True)
class PolicyOdds:
    """One policy of one class over the draws."""

    policy: str
    in_plan: bool
    """Whether the answer at the point estimate uses it."""
    best: float
    """Share of draws in which it is best; draws with several best ones are split, those in which
    the class is not served have none."""
    served: float
    """Part of the class's requests that the optimum serves with it, on average."""
    lost: Spread
    """What the objective loses at least where the class may use no other."""
    as_good: float
    """Share of draws in which the class is served and it is at least as good as the leading one."""
    verdict: str
    """leading, not told apart, no difference or worse."""


@dataclass(frozen=True)
class ClassOdds:
    """One class over the draws."""

    name: str
    accuracy: Spread
    tokens: Spread
    policies: tuple[PolicyOdds, ...] = ()
    """The leading one first."""


@dataclass(frozen=True)
class Regret:
    """What acting on the point estimate loses against knowing the constants, per draw."""

    mean: float
    """Over the draws in which the plan can be kept."""
    quantiles: tuple[float, ...]
    """At `LEVELS`."""
    beyond_gap: float
    """Share of draws in which it is more than twice the gap of a draw."""
    impossible: float
    """Share of draws with an answer in which no serving of the model keeps the limits."""
    relative: bool
    """Whether it is relative to the optimum, as for resources that are minimised."""


@dataclass(frozen=True)
class Spreads:
    """What the draws say of the answer."""

    draws: int
    infeasible: float
    """Share of draws in which no allocation keeps every limit."""
    not_converged: float
    """Share of draws that were stopped before their gap."""
    gap: float
    """That each draw is solved to: relative where a resource is least, else in its unit."""
    amounts: tuple[Spread, ...]
    classes: tuple[ClassOdds, ...]
    model_regret: Regret | None
    """Of training the model of the point estimate, and serving it in the light of the draw."""


def spreads_of(outcomes: Sequence[Outcome], point: Solution, *, gap: float = GAP) -> Spreads:
    """Intervals, odds and regret from the outcomes of draws.

    Parameters
    ----------
    outcomes : one for each draw, in their order.
    point : the answer at the point estimate.
    gap : that each draw was solved to.

    Notes
    -----
    Where a resource is least, policies differ in accuracy, and are compared to within `GAP` of it.
    """
    count = len(outcomes)
    solved = tuple(one for one in outcomes if one.feasible)
    stopped = sum(one.status == Status.NOT_CONVERGED.code for one in outcomes)
    at_point = amounts_of(point)
    names = dict.fromkeys([*at_point, *(name for one in solved for name in one.amounts)])
    return Spreads(
        draws=count,
        infeasible=1.0 - len(solved) / count,
        not_converged=stopped / count,
        gap=gap,
        amounts=tuple(
            spread_of(name, column(solved, name), at_point.get(name)) for name in names if solved
        ),
        classes=_classes(solved, point, gap if point.objective in MAXIMISED else GAP),
        model_regret=_model_regret(solved, point.objective, gap),
    )


def spread_of(name: str, values: FloatArray, point: float | None, *, whole: bool = False) -> Spread:
    """Mean and quantiles of one amount over draws, (draw,); those that lack it are left out.

    Quantiles of whole numbers are values of draws, and not between them.
    """
    known = values[np.isfinite(values)]
    if known.size == 0:
        return Spread(name, point, np.nan, (np.nan,) * len(LEVELS))
    found = np.quantile(known, LEVELS, method="inverted_cdf" if whole else "linear")
    return Spread(name, point, float(np.mean(known)), tuple(float(one) for one in found))


def _model_regret(solved: tuple[Outcome, ...], objective: str, gap: float) -> Regret | None:
    asked = [one for one in solved if one.kept_asked]
    if not asked:
        return None
    best = column(tuple(asked), "objective")
    kept = np.array([np.nan if one.kept is None else one.kept for one in asked])
    return regret_of(best, kept, objective, gap)


def regret_of(best: FloatArray, kept: FloatArray, objective: str, gap: float) -> Regret:
    """Regret from the optimum and what is kept, both (draw,); nan where nothing can be kept.

    Relative where a resource is least, else in the objective's unit; so is the gap.
    """
    relative = objective not in MAXIMISED and objective != "loss"
    lost = best - kept if objective in MAXIMISED else kept - best
    if relative:
        lost = lost / np.abs(best)
    known = np.maximum(lost[np.isfinite(lost)], 0.0)
    levels = np.quantile(known, LEVELS) if known.size else np.full(len(LEVELS), np.nan)
    return Regret(
        mean=float(np.mean(known)) if known.size else float("nan"),
        quantiles=tuple(float(one) for one in levels),
        beyond_gap=float(np.mean(known > 2.0 * gap)) if known.size else 0.0,
        impossible=float(1.0 - known.size / lost.size),
        relative=relative,
    )


# -- policies ---------------------------------------------------------------------------------


def _classes(solved: tuple[Outcome, ...], point: Solution, gap: float) -> tuple[ClassOdds, ...]:
    names = [one.name for one in point.classes] or (
        [one.name for one in solved[0].classes] if solved else []
    )
    return tuple(_class(name, solved, point, gap) for name in names)


def _class(name: str, solved: tuple[Outcome, ...], point: Solution, gap: float) -> ClassOdds:
    mine = [next(one for one in draw.classes if one.name == name) for draw in solved]
    at_point = next((one for one in point.classes if one.name == name), None)
    used = {row.words for row in point.tasks if row.name == name and row.share > 0.0}
    return ClassOdds(
        name,
        spread_of(
            "accuracy",
            np.array([one.accuracy for one in mine]),
            None if at_point is None else at_point.accuracy,
        ),
        spread_of(
            "expected_tokens",
            np.array([one.tokens for one in mine]),
            None if at_point is None else at_point.expected_tokens,
        ),
        _odds(mine, used, gap),
    )


def _odds(mine: list[ClassOutcome], used: set[str], gap: float) -> tuple[PolicyOdds, ...]:
    """Every policy of a class; those that are best most often come first."""
    policies = list(dict.fromkeys(words for one in mine for words in one.lost))
    if not policies:
        return ()
    lost = np.array([[one.lost.get(words, np.nan) for words in policies] for one in mine])
    lost = np.where(np.isnan(lost), np.inf, lost)  # (draw, policy)
    least = np.min(lost, axis=1, keepdims=True)
    # policies that share a class differ by nothing but rounding
    lost = np.where(lost <= least + _TIE * gap, least, lost)
    served = np.array([[one.served.get(words, 0.0) for words in policies] for one in mine])
    # a draw in which the class is not served says nothing of its policies
    told = np.array([bool(one.served) for one in mine])
    told = told if np.any(told) else np.ones_like(told)
    first = (lost == least) & told[:, None]
    # a class that only just pays loses nothing by any policy: what serves it counts
    just = np.all(first, axis=1, keepdims=True) & np.any(served > 0.0, axis=1, keepdims=True)
    first &= ~just | (served > 0.0)
    best = np.mean(first / np.maximum(np.sum(first, axis=1, keepdims=True), 1), axis=0)
    mean_lost = np.mean(lost, axis=0)
    order = sorted(range(len(policies)), key=lambda i: (-best[i], mean_lost[i]))
    leading = order[0]
    as_good = np.mean((lost <= lost[:, [leading]]) & told[:, None], axis=0)
    with np.errstate(invalid="ignore"):
        behind = lost - lost[:, [leading]]
    near = np.abs(np.where(np.isnan(behind), 0.0, behind)) <= gap
    close = np.mean(near[told], axis=0) >= LEVEL
    return tuple(
        PolicyOdds(
            policies[i],
            policies[i] in used,
            float(best[i]),
            float(np.mean(served[:, i])),
            spread_of("lost", lost[:, i], None),
            float(as_good[i]),
            "leading" if i == leading else _verdict(bool(close[i]), float(as_good[i])),
        )
        for i in order
    )


def _verdict(close: bool, as_good: float) -> str:
    if close:
        return "no difference"
    return "not told apart" if as_good >= _SELDOM else "worse"
