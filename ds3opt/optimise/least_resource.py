"""Least of a resource for a required accuracy: certified sections of the resource's range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ds3opt.optimise.optimum import Found, best_plans, polished
from ds3opt.optimise.training import Training
from ds3opt.problem import Budgets, Problem

Progress = Callable[[str, float], None]

_SECTIONS = 9
"""Budgets that one round asks at most."""
_MOST_ROUNDS = 24
_COARSE = 3e-3
"""Accuracy gap of a round per unit of ln(bracket)."""
_LARGEST = 1e45
"""FLOP beyond which an accuracy counts as out of reach."""


@dataclass(frozen=True)
class Least:
    """The least budget found that reaches the target, and one that certainly does not."""

    enough: float
    too_little: float
    found: Found | None
    """The plan at `enough`; None where nothing reaches the target."""
    best: Found | None = None
    """Where nothing reaches the target: the best there is."""


def least_budget(
    problem: Problem,
    budgets: Budgets,
    resource: str,
    target: float,
    *,
    progress: Progress | None = None,
) -> Least:
    """Bracket the least budget of a resource for which the optimum reaches `target`.

    Every section asks several budgets at once whether their optimum reaches the target; a budget
    is too little only if its upper bound is below the target, and enough only if a plan reaches
    it. What stays undecided within the accuracy gap keeps the bracket open, and is reported.
    """
    finest = 0.02 * problem.resource_gap
    cap = getattr(budgets, resource)
    top = min(cap, _LARGEST)
    bottom = _floor(problem, budgets, resource)

    def ask(values: np.ndarray, gap: float) -> list[Found]:
        sets = [budgets.with_limit(resource, float(v)) for v in values]
        return best_plans(problem, sets, gap, targets=[target] * len(sets))

    (at_top,) = ask(np.array([top]), finest)
    if at_top.value < target:
        # the question was settled without the best plan, which is what has to be told
        limits = budgets.with_limit(resource, top)
        (best,) = best_plans(problem, [limits], problem.gap)
        at_top = polished(problem, limits, best)
        if at_top.value < target:
            return Least(np.inf, top, None, at_top)
    low, high, found = min(bottom, top), top, at_top
    for round_ in range(_MOST_ROUNDS):
        width = np.log(high / low)
        goal = 0.5 * problem.resource_gap
        if width <= goal:
            break
        # what lies near the least budget is dear to decide, so no more is asked than closes it
        sections = int(np.clip(np.ceil(width / goal) - 1, 1, _SECTIONS))
        values = np.exp(np.linspace(np.log(low), np.log(high), sections + 2)[1:-1])
        # what a coarse gap leaves undecided stays inside the bracket for the next round
        gap = max(finest, min(_COARSE * float(width), 1e-2))
        plans = ask(values, gap)
        enough = [i for i, plan in enumerate(plans) if plan.value >= target]
        little = [i for i, plan in enumerate(plans) if plan.upper < target]
        before = (low, high)
        if enough:
            high, found = float(values[enough[0]]), plans[enough[0]]
        below = [i for i in little if values[i] < high]
        if below:
            low = float(values[below[-1]])
        undecided = [plan for plan in plans if plan.value < target <= plan.upper]
        used_up = any(plan.upper - plan.value > gap for plan in undecided)
        if (low, high) == before and (gap == finest or used_up):
            break
        if progress is not None:
            progress("closing in", min(1.0, (round_ + 1) / 8))
    final = polished(problem, budgets.with_limit(resource, high), found)
    return Least(high, low, final if final.value >= target else found)


def _floor(problem: Problem, budgets: Budgets, resource: str) -> float:
    """A budget below which nothing can be trained at all."""
    if resource == "inference_flop" or problem.space.infinite_data:
        return 1.0
    training = Training(problem.space)
    _, least = training.cheapest_size(np.array([training.worst_loss()]))
    return float(max(least[0], 1.0)) if np.isfinite(least[0]) else 1.0
