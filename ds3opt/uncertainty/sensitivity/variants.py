"""A scenario with some of its numbers changed, many times: the optimum of each, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ds3opt.errors import ScenarioError
from ds3opt.fleet import needs_fleet
from ds3opt.optimise.climbing import polished_side_by_side
from ds3opt.optimise.envelopes import ROUNDING
from ds3opt.optimise.optimum import Found
from ds3opt.optimise.plan_solution import certified
from ds3opt.optimise.side_by_side import Stack, alike
from ds3opt.optimise.solution import Solution, Status
from ds3opt.optimise.solve import solve
from ds3opt.optimise.training import Training
from ds3opt.problem import Problem, compile_problem
from ds3opt.schema import Scenario
from ds3opt.uncertainty.outcome import coarser
from ds3opt.uncertainty.placing import replaced
from ds3opt.uncertainty.processes import done_by
from ds3opt.uncertainty.run import block_size

Progress = Callable[[str, float], None]
Change = Mapping[str, float]
"""Values in base units by path."""
_HINT = "free some memory, or use --workers 1"


def optima(
    scenario: Scenario,
    changes: Sequence[Change],
    point: Solution,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    stage: str = "steps",
) -> list[Solution | None]:
    """The optimum of the scenario under each of several changes.

    Parameters
    ----------
    changes : each replaces some numbers; the others keep their point values.
    point : the answer without a change: nearby answers are also sought from its plan, so that they
        differ by what was changed and not by where the search ended.
    workers : processes; None for one on every processor.
    progress : called with the stage and the fraction of it that is done.

    Returns
    -------
    In the order of the changes; None where a change contradicts the rest of the scenario, or
    leaves no allocation that keeps the limits.

    Notes
    -----
    Accuracy and value in FLOP are searched to the gap of draws and polished, everything else is
    solved to its own gap. The number of processes does not change a byte.
    """
    scenarios = [_changed(scenario, change) for change in changes]
    found: list[Solution | None] = [None] * len(changes)
    if is_stackable(scenario):
        problems = [None if one is None else compile_problem(coarser(one)) for one in scenarios]
        blocks = _blocks(problems, block_size(scenario))
        stacks = ([problems[index] for index in block] for block in blocks)
        work = partial(_side_by_side, point=point)
        results = done_by(work, stacks, len(blocks), workers, hint=_HINT)
    else:
        able = {index: one for index, one in enumerate(scenarios) if one is not None}
        blocks = [(index,) for index in able]
        alone = iter(able.values())
        results = done_by(_alone, alone, len(blocks), workers, hint=_HINT)
    for done, (place, solutions) in enumerate(results):
        for index, solution in zip(blocks[place], solutions, strict=True):
            found[index] = solution
        if progress is not None:
            progress(stage, (done + 1) / len(blocks))
    return found


def is_stackable(scenario: Scenario) -> bool:
    """Whether variants of a scenario can be solved side by side."""
    if needs_fleet(scenario) or scenario.workload.mix is None:
        return False
    return alike([compile_problem(scenario)])


def _changed(scenario: Scenario, change: Change) -> Scenario | None:
    try:
        return replaced(scenario, change)
    except ScenarioError:
        return None


def _blocks(problems: Sequence[Problem | None], size: int) -> list[tuple[int, ...]]:
    """Places of problems that can lie side by side, at most `size` together."""
    families: list[list[int]] = []
    for index, one in enumerate(problems):
        if one is None:
            continue
        for family in families:
            first = problems[family[0]]
            if first is not None and alike([first, one]):
                family.append(index)
                break
        else:
            families.append([index])
    return [
        tuple(family[first : first + size])
        for family in families
        for first in range(0, len(family), size)
    ]


def _side_by_side(problems: Sequence[Problem], point: Solution) -> list[Solution | None]:
    """Each from its own search and from the plan of the point: the better one of the two."""
    stack = Stack.of(problems)
    rough = stack.best_plans(problems[0].gap)
    own = polished_side_by_side(stack, rough)
    best = [
        near if near.feasible and near.value > one.value else one
        for one, near in zip(own, _near_the_point(stack, rough, point), strict=True)
    ]
    return [
        certified(problem, found, details=False) if found.feasible else None
        for problem, found in zip(problems, best, strict=True)
    ]


def _near_the_point(stack: Stack, rough: Sequence[Found], point: Solution) -> list[Found]:
    """Polished plans from the point's model, where that keeps the limits."""
    nothing = [replace(one, value=-math.inf) for one in rough]
    if point.parameters is None:
        return nothing
    every = np.arange(len(stack))
    size = np.full(every.size, point.parameters)
    tokens = np.full(
        every.size, math.inf if point.training_tokens is None else point.training_tokens
    )
    loss = Training(stack.problem.space).of(every).reached_loss(size, tokens) * (1.0 + ROUNDING)
    allowed = stack.room(every, size, loss) >= 0.0
    starts = [
        replace(one, parameters=point.parameters, loss=float(loss[i])) if allowed[i] else nothing[i]
        for i, one in enumerate(rough)
    ]
    return polished_side_by_side(stack, starts)


def _alone(scenario: Scenario) -> list[Solution | None]:
    solution = solve(scenario, frontier=False, details=False)
    return [None if solution.status is Status.INFEASIBLE else solution]
