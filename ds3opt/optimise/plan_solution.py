"""The solution that a plan is: what it decides, reaches and uses, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ds3opt.optimise.answer import class_outcomes, task_rows
from ds3opt.optimise.baseline import baselines, model_baselines
from ds3opt.optimise.infeasible import explain
from ds3opt.optimise.learned import learned_graph
from ds3opt.optimise.local import Point
from ds3opt.optimise.notes import notes_for
from ds3opt.optimise.optimum import Found
from ds3opt.optimise.pretraining import PretrainingPlan
from ds3opt.optimise.prices import caps_of, limit_uses, required_accuracy_uses
from ds3opt.optimise.shared_rows import shared_rows
from ds3opt.optimise.solution import Certificate, Solution, Status
from ds3opt.optimise.training import Training
from ds3opt.problem import Budgets, Problem


def certified(problem: Problem, found: Found, *, details: bool) -> Solution:
    """The answer that a plan is, for objectives of accuracy and value.

    Parameters
    ----------
    found : a feasible plan, polished. details : as in `solve`.
    """
    solution = solution_of_plan(problem, problem.budgets, found, details=details)
    gap = found.upper - found.value
    status = Status.OPTIMAL if gap <= problem.gap * (1 + 1e-9) else Status.NOT_CONVERGED
    certificate = Certificate(problem.objective, found.value, found.upper, problem.gap, False)
    solution = replace(solution, status=status, certificate=certificate)
    return replace(solution, baselines=baselines(problem)) if details else solution


def solution_of_model(problem: Problem, plan: PretrainingPlan, *, details: bool) -> Solution:
    """The answer that a model is where the objective has no tasks; `details` as in `solve`."""
    caps = caps_of(
        problem,
        problem.budgets,
        plan.parameters,
        plan.training_tokens,
        plan.training_flop,
        plan.inference_flop,
    )
    found = Found(plan.value, plan.value, plan.parameters, plan.loss)
    relative = problem.objective != "loss"
    ranges = {}
    if details and np.all(np.isfinite(plan.within)):
        ranges["parameters"] = plan.within
    return replace(
        blank_solution(problem),
        status=Status.OPTIMAL,
        certificate=Certificate(
            problem.objective,
            plan.lower,
            plan.value,
            problem.resource_gap if relative else problem.gap,
            relative,
        ),
        parameters=plan.parameters,
        training_tokens=plan.training_tokens,
        loss=plan.loss,
        training_flop=plan.training_flop,
        inference_flop=plan.inference_flop,
        limits=limit_uses(problem, problem.budgets, caps, found, priced=details),
        ranges=ranges,
        baselines=model_baselines(problem) if details else (),
        warnings=notes_for(problem, plan.parameters, plan.training_tokens),
    )


def solution_of_plan(
    problem: Problem, budgets: Budgets, found: Found, *, details: bool
) -> Solution:
    """What a feasible plan decides, reaches and uses; its certificate is left to the caller.

    Parameters
    ----------
    budgets : the limits that it was found under. details : as in `solve`.
    """
    training = Training(problem.space)
    if found.shared is not None:
        tokens, flop, rows = shared_rows(problem, budgets, found.shared)
        loss = found.loss
    else:
        assert found.mix is not None
        size = np.array([found.parameters])
        tokens = float(training.tokens(size, np.array([found.loss]))[0])
        tokens = math.inf if problem.space.infinite_data else tokens
        flop = float(training.flop_of(size, np.array([tokens]))[0])
        loss = float(training.reached_loss(size, np.array([tokens]))[0])
        rows = task_rows(
            problem, found.mix, found.loss, found.parameters, problem.gap, detailed=details
        )
    untrained = problem.all_measured and problem.space.infinite_data
    inference = sum(row.inference_flop for row in rows)
    classes = class_outcomes(problem, rows)
    caps = caps_of(problem, budgets, found.parameters, tokens, flop, inference)
    uses = limit_uses(problem, budgets, caps, found, priced=details)
    uses += tuple(required_accuracy_uses(problem, found, [c.accuracy for c in classes]))
    return replace(
        blank_solution(problem),
        status=Status.OPTIMAL,
        parameters=found.parameters,
        training_tokens=None if untrained else tokens,
        loss=None if problem.all_measured or problem.levels is not None else loss,
        learned=learned_graph(problem, found.parameters, tokens),
        accuracy=min(1.0, sum(row.share * row.accuracy for row in rows)),
        value=sum(row.share * row.accuracy * row.value for row in rows),
        training_flop=flop,
        inference_flop=inference,
        tasks=rows,
        classes=classes,
        limits=uses,
        ranges=_ranges(problem, found) if details else {},
        warnings=notes_for(problem, found.parameters, tokens, rows),
    )


def _ranges(problem: Problem, found: Found) -> dict[str, tuple[float, float]]:
    gap = problem.gap
    if found.shared is not None:
        return dict(found.shared.within_gap)
    assert found.neighbourhood is not None
    return found.neighbourhood.ranges(Point(found.value, found.parameters, found.loss), gap)


def blank_solution(problem: Problem) -> Solution:
    """What an answer says of a problem before there is a plan."""
    target = None
    if problem.target_accuracy is not None:
        target = ("accuracy", problem.target_accuracy)
    elif problem.target_loss is not None:
        target = ("loss", problem.target_loss)
    return Solution(
        scenario=problem.name,
        objective=problem.objective,
        target=target,
        status=Status.INFEASIBLE,
        tasks_served=problem.tasks_served,
        served_tokens=problem.served_tokens,
        unique_tokens=(
            problem.space.unique_tokens if math.isfinite(problem.space.unique_tokens) else None
        ),
        loss_law=problem.space.law_name,
        loss_law_source=problem.space.law.source,
    )


def no_solution(problem: Problem, budgets: Budgets) -> Solution:
    """The answer where no plan keeps every limit: which cannot be kept, and what would do."""
    return replace(blank_solution(problem), infeasibility=explain(problem, budgets))
