"""Why nothing is feasible: which limit, and the smallest value of it that can be kept."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ds3opt.optimise.optimum import Found, without_requirements
from ds3opt.optimise.pretraining import best_model
from ds3opt.optimise.saturation import beyond_plateaus
from ds3opt.optimise.search import Search
from ds3opt.optimise.shared import SharedSearch
from ds3opt.optimise.solution import Infeasibility
from ds3opt.optimise.training import Training
from ds3opt.problem import Budgets, Problem
from ds3opt.units import format_percent, format_quantity

_LARGEST = 1e60
_QUICK_CELLS = 400


def explain(problem: Problem, budgets: Budgets) -> Infeasibility:
    """The limit that cannot be kept; one that alone would make the rest feasible is preferred."""
    if not _feasible(problem, Budgets()):
        return _without_limits(problem)
    for name, given in budgets.items():
        relaxed = budgets.with_limit(name, math.inf)
        if _feasible(problem, relaxed):
            least = _smallest(problem, budgets, name, given)
            return Infeasibility(
                f"limits.{name}",
                given,
                least,
                "FLOP",
                f"limits.{name} of {format_quantity(given, 'flop')} is too small: the cheapest "
                f"feasible plan needs {format_quantity(least, 'flop')}",
            )
    name, given = budgets.items()[0]
    return Infeasibility(
        f"limits.{name}",
        given,
        None,
        "FLOP",
        "several limits are too small together: " + ", ".join(n for n, _ in budgets.items()),
    )


def _feasible(problem: Problem, budgets: Budgets) -> bool:
    if problem.tasks is None:
        return best_model(problem, budgets, 1e-3) is not None
    if problem.shared_budget:
        search = SharedSearch(problem, [budgets], 1.0)
        return search.smallest_is_feasible()
    cap = np.array([min(budgets.total_flop, budgets.training_flop)])
    if np.isnan(Training(problem.space).loss_ranges(cap)[0][0]):
        return False
    if np.all(_required(problem) == 0.0):
        return True
    # no gap to close: the search ends as soon as one plan keeps every limit, or none can;
    # what it cannot tell quickly counts as infeasible, so that what is reported is feasible
    quick = replace(problem, max_cells=min(problem.max_cells, _QUICK_CELLS))
    (incumbent,) = Search(quick, [budgets], 1.0, targets=[0.0]).run()
    return bool(np.isfinite(incumbent.value))


def _smallest(problem: Problem, budgets: Budgets, name: str, given: float) -> float:
    low, high = given, given
    while high < _LARGEST and not _feasible(problem, budgets.with_limit(name, high)):
        low, high = high, high * 16.0
    # to 0.1 % where that is quick to find out, to some 3 % where it takes a search
    width = 1e-3 if np.all(_required(problem) == 0.0) else 0.03
    while high > low * (1.0 + width):
        middle = math.sqrt(low * high)
        if _feasible(problem, budgets.with_limit(name, middle)):
            high = middle
        else:
            low = middle
    return high


def _required(problem: Problem) -> np.ndarray:
    return np.zeros(1) if problem.tasks is None else problem.tasks.group_min_accuracy


def _short_class(problem: Problem, budgets: Budgets) -> tuple[int, float, float] | None:
    """The first class whose required accuracy is out of reach even if all compute were its own."""
    tasks = problem.tasks
    assert tasks is not None
    for index, least in enumerate(tasks.group_min_accuracy):
        if least <= 0.0:
            continue
        share = float(tasks.group_share[index])
        alone = replace(tasks, value=np.where(tasks.group == index, 1.0 / share, 0.0))
        only = without_requirements(replace(problem, tasks=alone))
        search = Search(only, [budgets], 1e-3, targets=[float(least)])
        (incumbent,) = search.run()
        if incumbent.value < least:
            return index, float(least), float(incumbent.value)
    return None


def _without_limits(problem: Problem) -> Infeasibility:
    if problem.tasks is None and problem.target_loss is not None:
        lowest = problem.space.law.irreducible
        return Infeasibility(
            "objective.loss",
            problem.target_loss,
            None,
            "nats/token",
            f"no allowed model reaches a loss of {problem.target_loss:.4g}: the law's irreducible "
            f"loss is {lowest:.4g}, and model.parameters and model.training_tokens bound it too",
        )
    if problem.tasks is not None and not problem.shared_budget:
        short = _short_class(problem, Budgets())
        if short is not None:
            index, least, reached = short
            assert problem.tasks is not None
            name = problem.tasks.group_names[index]
            advice = beyond_plateaus(problem, least, index)
            return Infeasibility(
                f"min_accuracy of {name}",
                least,
                max(reached, 0.0),
                "accuracy",
                f"class {name} cannot reach {format_percent(least)}: with all compute in the world "
                f"it reaches {format_percent(max(reached, 0.0))}"
                + (f"; {advice}" if advice else ""),
            )
    if problem.tasks is not None and problem.shared_budget:
        return Infeasibility(
            "reasoning.token_budget",
            problem.token_budget[0],
            None,
            "tokens",
            "no policy on offer can serve every class, or the ranges of model.parameters, "
            "model.training_tokens and model.tokens_per_parameter contradict each other",
        )
    return Infeasibility(
        "model",
        problem.space.parameters[0],
        None,
        "parameters",
        "the ranges of model.parameters, model.training_tokens and model.tokens_per_parameter "
        "contradict each other: no model keeps all three",
    )


def unreachable(problem: Problem, target: float, best: Found | None) -> Infeasibility:
    """A required accuracy that nothing reaches within the other limits."""
    reached = max(best.value, 0.0) if best is not None and best.feasible else 0.0
    advice = beyond_plateaus(problem, target)
    return Infeasibility(
        "objective.accuracy",
        target,
        reached,
        "accuracy",
        f"an accuracy of {format_percent(target)} is out of reach: the other limits, ranges and "
        f"caps allow {format_percent(reached)}" + (f"; {advice}" if advice else ""),
    )
