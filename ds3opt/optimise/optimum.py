"""The certified best plan for each of several limit sets, whichever search the scenario needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.answer import Mix, mixed
from ds3opt.optimise.envelopes import room_for
from ds3opt.optimise.local import Neighbourhood, Point
from ds3opt.optimise.search import Search
from ds3opt.optimise.shared import SharedPlan, SharedSearch
from ds3opt.problem import Budgets, Problem

FloatArray = NDArray[np.float64]
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Found:
    """A plan and the bounds of the optimum."""

    value: float
    upper: float
    parameters: float
    loss: float
    """The loss that the plan's training is sized for."""
    shared: SharedPlan | None = None
    neighbourhood: Neighbourhood | None = None
    mix: Mix | None = None

    @property
    def feasible(self) -> bool:
        """Whether any plan keeps every limit."""
        return bool(np.isfinite(self.value))


def best_plans(
    problem: Problem,
    budgets: list[Budgets],
    gap: float,
    *,
    targets: list[float] | None = None,
    progress: Progress | None = None,
) -> list[Found]:
    """The best plan for every limit set, with its upper bound.

    With `targets` a limit set is settled as soon as it is known on which side of its target the
    optimum lies.
    """
    if problem.shared_budget:
        return [
            Found(plan.value, plan.upper, plan.parameters, plan.loss, shared=plan)
            for plan in SharedSearch(problem, budgets, gap).run()
        ]
    search = Search(problem, budgets, gap, targets=targets, progress=progress)
    return [
        Found(i.value if i.actions is not None else -np.inf, i.upper, i.parameters, i.loss)
        for i in search.run()
    ]


def polished(problem: Problem, budgets: Budgets, found: Found, *, rounds: int = 9) -> Found:
    """The best plan near a plan, with exact token budgets and its mix; never a worse one."""
    if found.shared is not None or not found.feasible:
        return found
    near = Neighbourhood.around(problem, budgets, found.parameters, found.loss)
    start = Point(-np.inf, found.parameters, found.loss)
    value = near.values(np.array([found.loss]), np.array([found.parameters]))
    best = replace(start, value=float(value[0]))
    if found.mix is None:
        best = near.climb(best, rounds=rounds)
        near = Neighbourhood.around(problem, budgets, best.parameters, best.loss)
    mix = _mix(problem, budgets, near, best.parameters, best.loss)
    if mix is None or (found.mix is not None and mix.value < found.mix.value):
        mix = found.mix
    assert mix is not None
    return Found(
        mix.value,
        max(found.upper, mix.value),
        best.parameters,
        best.loss,
        neighbourhood=near,
        mix=mix,
    )


def _mix(
    problem: Problem, budgets: Budgets, near: Neighbourhood, parameters: float, loss: float
) -> Mix | None:
    room = room_for(problem, budgets, np.array([parameters]), np.array([loss]))
    if room[0] < 0.0:
        return None
    return mixed(problem, near.actions, loss, parameters, float(room[0]))


def without_requirements(problem: Problem) -> Problem:
    """The problem without its required accuracies."""
    tasks = problem.tasks
    assert tasks is not None
    return replace(
        problem, tasks=replace(tasks, group_min_accuracy=np.zeros(tasks.group_min_accuracy.size))
    )
