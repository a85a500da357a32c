"""What becomes of one plan in every draw: what it reaches, and which limits it breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.problem import Problem
from ds3opt.uncertainty.robust.plan import Score, within_limits
from ds3opt.uncertainty.summary import Regret, Spread, regret_of, spread_of

FloatArray = NDArray[np.float64]
_ROUNDING = 1e-9
"""Of a limit: use beyond it by no more is not a breach."""


@dataclass(frozen=True)
class LimitRisk:
    """One limit under one plan over the draws."""

    name: str
    limit: Spread
    """Of the draws; all the same where the limit is known."""
    used: Spread
    broken: float
    """Share of draws in which more is used than the limit allows."""
    beyond: Spread
    """Use over limit, less 1."""


@dataclass(frozen=True)
class PlanRisk:
    """One plan over the draws, carried out as it is."""

    objective: Spread
    classes: tuple[tuple[str, Spread], ...]
    """Accuracy of every class."""
    regret: Regret | None
    """Against the optimum of every draw, where the plan serves fewer requests if it would break a
    limit; None where no draw has an optimum."""
    limits: tuple[LimitRisk, ...]


def plan_risk(
    problems: Sequence[Problem],
    score: Score,
    best: FloatArray,
    gap: float,
    point_value: float | None = None,
) -> PlanRisk:
    """Spread of what a plan reaches and uses, and its regret.

    Parameters
    ----------
    problems : one for each draw. score : of the plan in all of them.
    best : (draw,) the optimum of each draw; nan where nothing keeps its limits.
    gap : that each draw was solved to.
    point_value : what the plan reaches at the point estimate.
    """
    first = problems[0]
    names = () if first.tasks is None else first.tasks.group_names
    known = np.isfinite(best)
    regret = None
    if np.any(known):
        kept = np.minimum(within_limits(problems, score)[known], best[known])
        regret = regret_of(best[known], kept, first.objective, gap)
    return PlanRisk(
        spread_of(first.objective, score.value, point_value),
        tuple(
            (name, spread_of("accuracy", values, None))
            for name, values in zip(names, score.accuracy, strict=True)
        ),
        regret,
        tuple(_limit(name, problems, score) for name, _ in first.budgets.items()),
    )


def _limit(name: str, problems: Sequence[Problem], score: Score) -> LimitRisk:
    limit = np.array([getattr(one.budgets, name) for one in problems])
    used = score.used[name]
    beyond = used / limit - 1.0
    return LimitRisk(
        name,
        spread_of(name, limit, None),
        spread_of(name, used, None),
        float(np.mean(beyond > _ROUNDING)),
        spread_of("beyond", beyond, None),
    )
