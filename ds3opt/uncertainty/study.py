"""A scenario over draws of what is uncertain in it: intervals, odds, regret and a robust plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import Problem as Mistake
from ds3opt.errors import UsageError
from ds3opt.fleet import needs_fleet
from ds3opt.optimise.solution import Solution, Status
from ds3opt.optimise.solve import solve
from ds3opt.policies import Policy
from ds3opt.problem import Problem, compile_problem
from ds3opt.schema import Scenario
from ds3opt.uncertainty.draws import Sample, drawn, sample
from ds3opt.uncertainty.keys import Constant
from ds3opt.uncertainty.outcome import Outcome, coarser, column
from ds3opt.uncertainty.plan_risk import PlanRisk, plan_risk
from ds3opt.uncertainty.robust.plan import score_plan
from ds3opt.uncertainty.robust.planning import RobustPlan, robust_plan
from ds3opt.uncertainty.robust.tail import tail_mean
from ds3opt.uncertainty.run import Keep, solve_draws
from ds3opt.uncertainty.summary import Spread, Spreads, spread_of, spreads_of

FloatArray = NDArray[np.float64]
Progress = Callable[[str, float], None]
TAIL = 0.1
"""Part of the draws, the worst, that a plan for the tail looks at."""


@dataclass(frozen=True)
class RobustRow:
    """What serves a task, or a part of its requests, in every draw."""

    name: str
    """The class."""
    policy: Policy
    fraction: float
    """Part of the task's requests."""
    token_budget: float
    """Mean over the draws, which may differ in the tokens of a step and in room for them."""
    accuracy: float
    """Of the whole task, mean over the draws."""


@dataclass(frozen=True)
class Robust:
    """The best single plan for all draws, and what becomes of it."""

    plan: RobustPlan
    rows: tuple[RobustRow, ...]
    risk: PlanRisk
    point_value: float
    """Value of the point estimate's plan over the same part of the draws."""


@dataclass(frozen=True)
class Study:
    """The answer at the point estimate, and how sure it is."""

    point: Solution
    sample: Sample
    constants: tuple[tuple[Constant, Spread], ...]
    outcomes: tuple[Outcome, ...]
    spreads: Spreads
    plan: PlanRisk | None = None
    """Of the point estimate's plan; None where no plan can be carried over, as `left_out` says."""
    robust: Robust | None = None
    left_out: tuple[str, ...] = ()
    """What there is no figure for, and why."""


def study(
    scenario: Scenario,
    draws: int,
    seed: int,
    *,
    frontier: bool = True,
    tail: float | None = 1.0,
    known: Mapping[int, Outcome] | None = None,
    keep: Keep | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Study:
    """Solve a scenario at its point estimate and over draws of what is uncertain in it.

    Parameters
    ----------
    draws : at least 2. seed : any whole number; the same one gives the same bytes.
    frontier : also solve the scenario's frontier at the point estimate.
    tail : part of the draws, the worst, whose mean the robust plan maximises; 1 for all of them,
        None for no robust plan.
    known, keep, workers : as in `solve_draws`.
    progress : called with a stage and the fraction of it that is done.

    Raises
    ------
    UsageError : where nothing in the scenario is uncertain.
    """
    drawn_sample = sample(scenario, draws, seed)
    if not drawn_sample.constants:
        hint = "give a number an interval, such as difficulty: {value: 2.4, interval: [2.3, 2.6]}"
        raise UsageError(Mistake("nothing in the scenario is uncertain", hint=hint))
    point = solve(scenario, frontier=frontier, progress=progress)
    outcomes = solve_draws(
        scenario, drawn_sample, point, known=known, keep=keep, workers=workers, progress=progress
    )
    gap = _gap_of_draws(scenario, point)
    found = Study(
        point,
        drawn_sample,
        tuple(
            (
                constant,
                spread_of(
                    constant.path,
                    drawn_sample.values[:, index],
                    constant.value,
                    whole=constant.domain.whole,
                ),
            )
            for index, constant in enumerate(drawn_sample.constants)
        ),
        outcomes,
        spreads_of(outcomes, point, gap=gap),
    )
    return _with_plans(found, scenario, gap, tail, progress)


def _gap_of_draws(scenario: Scenario, point: Solution) -> float:
    """The gap that draws are solved to, in the unit that the certificate has it in."""
    asked, drawn_to = scenario.solver, coarser(scenario).solver
    certificate = point.certificate
    if certificate is None:
        return drawn_to.gap
    if certificate.relative:
        return drawn_to.resource_gap
    return certificate.requested_gap * drawn_to.gap / asked.gap


def _with_plans(
    found: Study, scenario: Scenario, gap: float, tail: float | None, progress: Progress | None
) -> Study:
    why = _no_plan(scenario, found.point)
    if why:
        return replace(found, left_out=(why,))
    problems = [
        compile_problem(coarser(drawn(scenario, found.sample, index)))
        for index in range(len(found.sample))
    ]
    best = column(found.outcomes, "objective")
    try:
        score = score_plan(problems, found.point)
    except UsageError as error:
        wrong = error.problems[0]
        why = f"the plan in the draws, and a robust plan: {wrong.message} ({wrong.hint})"
        return replace(found, left_out=(why,))
    risk = plan_risk(problems, score, best, gap, found.point.value)
    found = replace(found, plan=risk)
    if tail is None:
        return found
    return _with_robust(found, problems, best, gap, tail, score.value, progress)


def _with_robust(
    found: Study,
    problems: list[Problem],
    best: FloatArray,
    gap: float,
    tail: float,
    point_values: FloatArray,
    progress: Progress | None,
) -> Study:
    try:
        plan = robust_plan(problems, tail=tail, gap=gap, start=[found.point], progress=progress)
    except UsageError as error:
        why = f"robust plan: {error.problems[0].message}"
        return replace(found, left_out=(*found.left_out, why))
    if plan is None:
        why = "robust plan: no single plan keeps the limits on average over the draws"
        return replace(found, left_out=(*found.left_out, why))
    risk = plan_risk(problems, plan.score, best, gap)
    return replace(
        found, robust=Robust(plan, _rows(problems, plan), risk, tail_mean(point_values, tail))
    )


def _rows(problems: Sequence[Problem], plan: RobustPlan) -> tuple[RobustRow, ...]:
    """What serves every task under a plan, in the order of the tasks."""
    tasks = [one.tasks for one in problems if one.tasks is not None]
    rows = []
    for one in plan.plan.choices:
        at = one.task
        tokens = [
            one.token_budget(float(t.tokens_per_step[at]), float(t.max_steps[at])) for t in tasks
        ]
        rows.append(
            RobustRow(
                tasks[0].group_names[int(tasks[0].group[at])],
                one.policy,
                one.fraction,
                float(np.mean(tokens)),
                float(np.mean(plan.score.task_success[one.task])),
            )
        )
    return tuple(rows)


def _no_plan(scenario: Scenario, point: Solution) -> str:
    """Why the point estimate's plan cannot be carried over to the draws; empty where it can."""
    if point.status is Status.INFEASIBLE:
        return "the plan in the draws: the scenario is infeasible at the point estimate"
    if needs_fleet(scenario):
        return (
            "the plan in the draws, and a robust plan: on hardware only the model is carried over, "
            "and serving adapts to each draw"
        )
    if not point.tasks:
        return "the plan in the draws, and a robust plan: the objective has no classes"
    if point.objective not in ("accuracy", "value"):
        return (
            "the plan in the draws, and a robust plan: where a resource is least only the model is "
            "carried over, and serving adapts to each draw"
        )
    return ""
