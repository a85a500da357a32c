"""From a scenario to its solution: which search answers it, and what stands beside the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.fleet import needs_fleet
from ds3opt.optimise.baseline import baselines
from ds3opt.optimise.infeasible import unreachable
from ds3opt.optimise.least_resource import least_budget
from ds3opt.optimise.optimum import Found, best_plans, polished
from ds3opt.optimise.plan_solution import (
    blank_solution,
    certified,
    no_solution,
    solution_of_model,
    solution_of_plan,
)
from ds3opt.optimise.pretraining import best_model
from ds3opt.optimise.prices import uses_of_least
from ds3opt.optimise.solution import (
    Certificate,
    FrontierPoint,
    Solution,
    Status,
    frontier_point,
)
from ds3opt.problem import Budgets, Problem, compile_problem
from ds3opt.schema import Scenario
from ds3opt.schema.scenario import Frontier

FloatArray = NDArray[np.float64]
Progress = Callable[[str, float], None]

_ACCURACY = ("accuracy", "value")


def solve(
    scenario: Scenario,
    *,
    frontier: bool = True,
    details: bool = True,
    progress: Progress | None = None,
) -> Solution:
    """The certified optimum of a scenario.

    Parameters
    ----------
    frontier : also solve the scenario's frontier, where it states one.
    details : also baselines, shadow prices and the ranges of decisions within the gap.
    progress : called with a stage and the fraction of it that is done.
    """
    if needs_fleet(scenario):
        from ds3opt.optimise.fleet.solve import solve_fleet

        return solve_fleet(scenario, frontier=frontier, details=details, progress=progress)
    problem = compile_problem(scenario)
    asked = scenario.frontier if frontier else None
    limits = _frontier_limits(asked) if asked is not None else np.zeros(0)
    sets = [problem.budgets.with_limit(asked.over, float(x)) for x in limits] if asked else []
    points: tuple[FrontierPoint, ...] = ()
    if problem.tasks is None:
        solution = _of_loss(problem, details)
    elif problem.objective in _ACCURACY:
        # one search for the answer and its frontier: they share their waves
        first, *rest = best_plans(problem, [problem.budgets, *sets], problem.gap, progress=progress)
        solution = _of_accuracy(problem, first, details)
        points = tuple(
            _point(problem, float(limit), budgets, plan)
            for limit, budgets, plan in zip(limits, sets, rest, strict=True)
        )
    else:
        solution = _of_resource(problem, details, progress)
    if asked is not None:
        points = points or _frontier(problem, limits, sets, progress)
        solution = replace(solution, frontier_over=asked.over, frontier=points)
    return replace(solution, horizon_seconds=scenario.workload.horizon)


# -- objectives -----------------------------------------------------------------------------


def _of_accuracy(problem: Problem, rough: Found, details: bool) -> Solution:
    if not rough.feasible:
        return no_solution(problem, problem.budgets)
    return certified(problem, polished(problem, problem.budgets, rough), details=details)


def _of_resource(problem: Problem, details: bool, progress: Progress | None) -> Solution:
    target = problem.target_accuracy
    assert target is not None
    least = least_budget(problem, problem.budgets, problem.objective, target, progress=progress)
    if least.found is None:
        return replace(
            blank_solution(problem),
            status=Status.INFEASIBLE,
            infeasibility=unreachable(problem, target, least.best),
        )
    budgets = problem.budgets.with_limit(problem.objective, least.enough)
    solution = solution_of_plan(problem, budgets, least.found, details=details)
    used = {"training_flop": solution.training_flop, "inference_flop": solution.inference_flop}
    spent = used.get(problem.objective, solution.total_flop)
    assert spent is not None
    upper = min(least.enough, spent) if spent > 0 else least.enough
    certificate = Certificate(
        problem.objective, min(least.too_little, upper), upper, problem.resource_gap, True
    )
    status = Status.OPTIMAL if certificate.gap <= problem.resource_gap else Status.NOT_CONVERGED
    assert solution.accuracy is not None
    limits = uses_of_least(problem, solution.limits, spent, solution.accuracy)
    solution = replace(solution, status=status, certificate=certificate, limits=limits)
    return replace(solution, baselines=baselines(problem)) if details else solution


def _of_loss(problem: Problem, details: bool) -> Solution:
    gap = problem.gap if problem.objective == "loss" else problem.resource_gap
    plan = best_model(problem, problem.budgets, gap)
    if plan is None:
        return no_solution(problem, problem.budgets)
    return solution_of_model(problem, plan, details=details)


# -- frontier -------------------------------------------------------------------------------


def _frontier_limits(frontier: Frontier) -> FloatArray:
    limits = np.geomspace(frontier.from_, frontier.to, frontier.points)
    limits[0], limits[-1] = frontier.from_, frontier.to
    return np.asarray(limits)


def _frontier(
    problem: Problem, limits: FloatArray, sets: list[Budgets], progress: Progress | None
) -> tuple[FrontierPoint, ...]:
    """Points of objectives that are solved limit by limit."""
    points = []
    for limit, budgets in zip(limits, sets, strict=True):
        there = replace(problem, budgets=budgets)
        solved = (
            _of_loss(there, False) if problem.tasks is None else _of_resource(there, False, None)
        )
        points.append(frontier_point(float(limit), solved))
        if progress is not None:
            progress("frontier", len(points) / limits.size)
    return tuple(points)


def _point(problem: Problem, limit: float, budgets: Budgets, found: Found) -> FrontierPoint:
    if not found.feasible:
        return FrontierPoint(float(limit), Status.INFEASIBLE, *[None] * 7)
    found = polished(problem, budgets, found, rounds=4)
    solved = certified(replace(problem, budgets=budgets), found, details=False)
    return frontier_point(float(limit), solved)
