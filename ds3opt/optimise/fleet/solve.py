"""The certified optimum of a scenario on hardware, and what stands beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.fleet import Fleet, compile_fleet
from ds3opt.optimise.answer import class_outcomes
from ds3opt.optimise.baseline import on_rule
from ds3opt.optimise.fleet.answer import FleetOutcome, outcome_of
from ds3opt.optimise.fleet.branch import Branch
from ds3opt.optimise.fleet.given import search_as_given
from ds3opt.optimise.fleet.infeasible import explain, too_large, too_slow
from ds3opt.optimise.fleet.ledger import Ledger
from ds3opt.optimise.fleet.mix import FleetMix, best_mix_of
from ds3opt.optimise.fleet.nearby import beside, price_of_range, price_per_doubling, ranges
from ds3opt.optimise.fleet.options import STEPS_PER_OCTAVE
from ds3opt.optimise.fleet.plans import FleetSearch, Plan, near_options
from ds3opt.optimise.fleet.scale import resource_scale
from ds3opt.optimise.notes import about_tasks, notes_for
from ds3opt.optimise.prices import Cap, caps_of
from ds3opt.optimise.solution import (
    BASELINES,
    UNITS,
    Baseline,
    Certificate,
    FrontierPoint,
    LimitUse,
    Note,
    Solution,
    Status,
    frontier_point,
)
from ds3opt.problem import Budgets
from ds3opt.schema import Scenario

FloatArray = NDArray[np.float64]
Progress = Callable[[str, float], None]

_WORTHLESS = 1e-7
"""Price of a limit, in worth for its whole size, that is no more than rounding."""
_TIGHT = 1e-5
"""Relative distance from a limit at which it counts as binding."""


@dataclass(frozen=True)
class _Solved:
    """The optimum for one set of limits."""

    ledger: Ledger
    mix: FleetMix
    upper: float
    gap: float
    """That was asked for, in units of the ledger's scale."""
    menu: np.ndarray

    @property
    def converged(self) -> bool:
        return self.upper - self.mix.value <= self.gap * (1.0 + 1e-9)


def solve_fleet(
    scenario: Scenario,
    *,
    frontier: bool = True,
    details: bool = True,
    progress: Progress | None = None,
) -> Solution:
    """The certified optimum of a scenario that names hardware, existing models or their limits.

    Parameters
    ----------
    frontier : also solve the scenario's frontier, where it states one.
    details : also baselines, shadow prices and the ranges of decisions within the gap.
    progress : called with a stage and the fraction of it that is done.
    """
    plan = solved_mix(scenario, details=details, progress=progress)
    search, solution = plan.search, plan.solution
    asked = scenario.frontier if frontier else None
    if asked is not None:
        values = np.geomspace(asked.from_, asked.to, asked.points)
        values[0], values[-1] = asked.from_, asked.to
        points = []
        for number, value in enumerate(values):
            points.append(_point(scenario, asked.over, float(value), search))
            if progress is not None:
                progress("frontier", (number + 1) / values.size)
        solution = replace(solution, frontier_over=asked.over, frontier=tuple(points))
    return solution


@dataclass(frozen=True)
class FleetPlan:
    """A solution with the mix and the prices behind it."""

    solution: Solution
    search: FleetSearch
    ledger: Ledger | None = None
    """None where nothing is feasible."""
    mix: FleetMix | None = None


def solved_mix(
    scenario: Scenario, *, details: bool = True, progress: Progress | None = None
) -> FleetPlan:
    """The certified optimum with its mix; arguments as in `solve_fleet`, no frontier."""
    search = FleetSearch(compile_fleet(scenario))
    horizon = scenario.workload.horizon
    late = too_large(search) or too_slow(search)
    solved = None if late is not None else _solved(search, progress)
    if solved is None:
        nothing = replace(_empty(search.fleet), infeasibility=late or explain(search))
        return FleetPlan(replace(nothing, horizon_seconds=horizon), search)
    solution = _solution(search, solved, details=details)
    if details:
        solution = replace(solution, baselines=_baselines(search, solved.mix.plan.price))
    solution = replace(solution, horizon_seconds=horizon)
    return FleetPlan(solution, search, solved.ledger, solved.mix)


def _solved(search: FleetSearch, progress: Progress | None) -> _Solved | None:
    """The optimum; None where no plan keeps every limit."""
    ledger = Ledger.of(search.fleet, resource_scale(search))
    problem = search.fleet.problem
    relative = search.fleet.minimised is not None
    gap = problem.resource_gap if relative else problem.gap * search.fleet.scale / ledger.scale
    plan, upper = Branch(search, ledger).run(0.9 * gap, problem.max_cells, progress)
    if not np.isfinite(plan.value):
        return None
    mix = best_mix_of(search, ledger, plan)
    if mix is None:
        return None
    menu = beside(search, near_options(search, ledger, plan), mix.option)
    if relative:
        gap *= abs(mix.value)
    return _Solved(ledger, mix, max(upper, mix.value), gap, menu)


def _solution(search: FleetSearch, solved: _Solved, *, details: bool) -> Solution:
    fleet, ledger, mix = search.fleet, solved.ledger, solved.mix
    outcome = outcome_of(search, ledger, mix)
    problem = fleet.problem
    low, high = mix.value * ledger.scale, solved.upper * ledger.scale
    if fleet.minimised is not None:
        certificate = Certificate(
            problem.objective, max(-high, 0.0), -low, problem.resource_gap, True
        )
    else:
        requested = problem.gap * fleet.scale
        if problem.objective == "accuracy":
            high = min(high, 1.0)  # weights sum to 1 up to rounding
            low = min(low, high)
        certificate = Certificate(problem.objective, low, high, requested, False)
    rows = outcome.rows
    classes = class_outcomes(problem, rows)
    return replace(
        _empty(fleet),
        status=Status.OPTIMAL if solved.converged else Status.NOT_CONVERGED,
        certificate=certificate,
        parameters=outcome.parameters,
        training_tokens=outcome.training_tokens,
        loss=outcome.loss,
        accuracy=min(1.0, math.fsum(row.share * row.accuracy for row in rows)),
        value=math.fsum(row.share * row.accuracy * row.value for row in rows),
        training_flop=outcome.training_flop,
        inference_flop=outcome.inference_flop,
        tasks=rows,
        classes=classes,
        limits=_limit_uses(search, solved, outcome, [c.accuracy for c in classes], details),
        resources=outcome.resources,
        training_plan=outcome.training_plan,
        periods=outcome.periods,
        ranges=ranges(search, ledger, mix.plan, solved.menu, solved.gap) if details else {},
        warnings=_notes(fleet, outcome),
    )


def _notes(fleet: Fleet, outcome: FleetOutcome) -> tuple[Note, ...]:
    if outcome.parameters is None or outcome.training_tokens is None:
        return tuple(about_tasks(fleet.problem, outcome.rows))
    return notes_for(fleet.problem, outcome.parameters, outcome.training_tokens, outcome.rows)


def _empty(fleet: Fleet) -> Solution:
    problem = fleet.problem
    target = problem.target_accuracy
    parts = [] if fleet.models is None else [fleet.models.scope]
    if fleet.offered is not None:
        names = dict.fromkeys(way.model for way in fleet.offered.ways)
        parts.append(f"existing {', '.join(names)}")
    step = 100.0 * (2.0 ** (1.0 / STEPS_PER_OCTAVE) - 1.0)
    budgets = f"token budgets of at most {step:.0f} % between neighbours"
    if fleet.models is not None:
        parts.append(budgets)
    return Solution(
        scenario=problem.name,
        objective=problem.objective,
        target=None if target is None else ("accuracy", target),
        status=Status.INFEASIBLE,
        tasks_served=problem.tasks_served,
        unique_tokens=(
            problem.space.unique_tokens if math.isfinite(problem.space.unique_tokens) else None
        ),
        scope="; ".join(parts),
        loss_law=problem.space.law_name if fleet.models is not None else "",
        loss_law_source=problem.space.law.source if fleet.models is not None else "",
    )


# -- limits -----------------------------------------------------------------------------------


def _limit_uses(
    search: FleetSearch,
    solved: _Solved,
    outcome: FleetOutcome,
    accuracies: list[float],
    details: bool,
) -> tuple[LimitUse, ...]:
    fleet, ledger, mix = search.fleet, solved.ledger, solved.mix
    uses: list[LimitUse] = []
    sign = -1.0 if fleet.minimised is not None else 1.0
    for index, row in enumerate(fleet.rows):
        limit = float(ledger.limits[index])
        used = float(mix.used[index]) * limit
        doubling = None
        # a limit with a price binds, even if the rounding of others leaves a trace of it
        dual = float(mix.prices[index]) * math.log(2.0)
        binding = bool(used >= limit * (1.0 - _TIGHT)) or dual > _WORTHLESS
        if details:
            doubling = 0.0
            if binding:
                moved = price_per_doubling(search, ledger, mix.plan, solved.menu, row=index)
                # at a corner the move may say nothing where the programme's own price does
                moved = dual if math.isnan(moved) or moved <= _WORTHLESS else moved
                doubling = sign * moved * ledger.scale
        uses.append(_use(row.name, limit, min(used, limit), binding, doubling, row.dimension))
    for index, cap in enumerate(fleet.caps):
        limit = float(ledger.caps[index])
        used = outcome.training_flop * cap.taken_per_flop(ledger.accelerators_at_most())
        binding = bool(used >= limit * (1.0 - _TIGHT))
        doubling = None
        if details:
            doubling = 0.0
            if binding:
                moved = price_per_doubling(search, ledger, mix.plan, solved.menu, cap=index)
                doubling = None if math.isnan(moved) else sign * moved * ledger.scale
        uses.append(_use(cap.name, limit, min(used, limit), binding, doubling, cap.dimension))
    if fleet.minimised is not None and fleet.problem.target_accuracy is not None:
        uses.insert(0, _target(search, solved, fleet.problem.target_accuracy))
    uses += _ranges_used(search, solved, outcome, sign, details)
    uses += _required(fleet, ledger, mix, accuracies)
    return tuple(uses)


def _ranges_used(
    search: FleetSearch, solved: _Solved, outcome: FleetOutcome, sign: float, details: bool
) -> list[LimitUse]:
    """Ranges of sizes and of training tokens as limits; a size has no price, shapes being whole."""
    fleet, plan = search.fleet, solved.mix.plan
    if fleet.models is None or plan.shape < 0 or outcome.training_tokens is None:
        return []
    size = float(fleet.models.loss_parameters[plan.shape])
    ends = {"max_parameters": len(fleet.models) - 1, "min_parameters": 0}
    uses = []
    for cap in caps_of(fleet.problem, Budgets(), size, outcome.training_tokens, 0.0, 0.0):
        if cap.name in ends:
            if not fleet.models.nested:
                continue
            binding, price = plan.shape == ends[cap.name], None
            uses.append(_range_use(cap, binding, price if binding or not details else 0.0))
            continue
        binding = bool(cap.used >= cap.limit * (1.0 - _TIGHT))
        price = None
        if details:
            price = 0.0
            if binding:
                found = price_of_range(
                    search, solved.ledger, plan, solved.menu, cap.name, cap.limit
                )
                price = None if math.isnan(found) else sign * found * solved.ledger.scale
        uses.append(_range_use(cap, binding, price))
    return uses


def _range_use(cap: Cap, binding: bool, price: float | None) -> LimitUse:
    used = min(cap.used, cap.limit) if cap.kind == "at most" else cap.used
    single = None if price is None else price / (math.log(2.0) * cap.limit)
    return LimitUse(
        cap.name, cap.limit, used, binding, price, cap.unit, cap.kind, shadow_price=single
    )


def _use(
    name: str, limit: float, used: float, binding: bool, doubling: float | None, dimension: str
) -> LimitUse:
    single = None if doubling is None else doubling / (math.log(2.0) * limit)
    return LimitUse(name, limit, used, binding, doubling, UNITS[dimension], shadow_price=single)


def _target(search: FleetSearch, solved: _Solved, target: float) -> LimitUse:
    """The required accuracy as a limit; its price is the resource's change per accuracy point."""
    mix, ledger = solved.mix, solved.ledger
    reached = math.fsum(
        float(search.fleet.tasks.weight[task]) * float(part) * float(success)
        for task, part, success in zip(mix.tasks, mix.amount, mix.found.success, strict=True)
    )
    # the price is worth per part of the target
    price = float(mix.prices[ledger.rows + len(ledger.groups) - 1])
    per_point = 0.01 * price / target / abs(mix.value) if mix.value else None
    return LimitUse(
        "accuracy",
        target,
        reached,
        reached <= target * (1.0 + 1e-6),
        None,
        "accuracy",
        "at least",
        relative_cost_per_point=per_point,
    )


def _required(
    fleet: Fleet, ledger: Ledger, mix: FleetMix, accuracies: list[float]
) -> list[LimitUse]:
    tasks = fleet.tasks
    uses = []
    # more of a requirement costs accuracy, or more of what is minimised
    sign = 1.0 if fleet.minimised is not None else -1.0
    needy = np.flatnonzero(tasks.group_min_accuracy > 0.0)
    for number, group in enumerate(needy):
        least, reached = float(tasks.group_min_accuracy[group]), accuracies[int(group)]
        price = float(mix.prices[ledger.rows + number]) * ledger.scale
        uses.append(
            LimitUse(
                f"min_accuracy of {tasks.group_names[group]}",
                least,
                reached,
                reached <= least * (1.0 + 1e-6),
                sign * price * math.log(2.0) if price > 1e-12 else 0.0,
                "accuracy",
                "at least",
            )
        )
    return uses


# -- beside the answer ------------------------------------------------------------------------


def _baselines(search: FleetSearch, price: FloatArray | None) -> tuple[Baseline, ...]:
    fleet = search.fleet
    if fleet.models is None or fleet.problem.space.infinite_data:
        return ()
    return tuple(_baseline(fleet, search, price, name, words) for name, words in BASELINES)


def _baseline(
    fleet: Fleet, beside: FleetSearch, price: FloatArray | None, name: str, words: str
) -> Baseline:
    """The best that a rule for training tokens reaches: a scan of the shapes, not certified."""
    there = replace(fleet, problem=on_rule(fleet.problem, name), offered=None, known=())
    search = FleetSearch(there, beside if fleet.offered is None else None)
    ledger = Ledger.of(there, resource_scale(search))
    plan = search.scan(ledger, price if fleet.minimised is None else None)
    if not np.isfinite(plan.value) or plan.shape < 0:
        return Baseline(name, words, None, None, None)
    mix = best_mix_of(search, ledger, plan)
    if mix is None:
        return Baseline(name, words, None, None, None)
    value = mix.value * ledger.scale
    outcome = outcome_of(search, ledger, mix)
    sign = -1.0 if fleet.minimised is not None else 1.0
    return Baseline(name, words, sign * value, outcome.parameters, outcome.training_tokens)


def _point(scenario: Scenario, over: str, value: float, like: FleetSearch) -> FrontierPoint:
    """One row of the Pareto table, with what was worked out of the same tasks and shapes."""
    limits = scenario.limits.model_copy(update={over: value})
    there = scenario.model_copy(update={"limits": limits, "frontier": None})
    search = FleetSearch(compile_fleet(there, like.fleet.models), like)
    possible = too_large(search) is None and too_slow(search) is None
    solved = _solved(search, None) if possible else None
    # a row says that there is no plan, not why
    found = _empty(search.fleet) if solved is None else _solution(search, solved, details=False)
    return frontier_point(value, found)


def evaluate_fleet(
    scenario: Scenario,
    parameters: float,
    training_tokens: float | None,
    *,
    policies: Mapping[str, str] | None = None,
    token_budgets: Mapping[str, float] | None = None,
) -> Solution:
    """Score a given model on a fleet; what is not given is chosen as well as possible.

    Parameters
    ----------
    training_tokens : None where the scenario's data is infinite.
    policies, token_budgets : by class, as for scenarios without hardware.

    Raises
    ------
    UsageError : for a class or a policy that the scenario does not have.
    """
    return mix_for_model(
        scenario, parameters, training_tokens, policies=policies, token_budgets=token_budgets
    ).solution


def mix_for_model(
    scenario: Scenario,
    parameters: float,
    training_tokens: float | None,
    *,
    policies: Mapping[str, str] | None = None,
    token_budgets: Mapping[str, float] | None = None,
) -> FleetPlan:
    """A given model on a fleet with its best mix; arguments as in `evaluate_fleet`."""
    search = search_as_given(
        scenario, parameters, training_tokens, policies or {}, token_budgets or {}
    )
    fleet = search.fleet
    ledger = Ledger.of(fleet, resource_scale(search))
    lowest, _ = search.loss_span(ledger)
    plan = Plan(shape=0, loss=float(lowest[0]))
    if np.isfinite(plan.loss):
        (plan,) = search.plans(ledger, np.array([0]), lowest[:1])
    mix = None
    if np.isfinite(plan.value):
        mix = best_mix_of(search, ledger, plan)
    if mix is None:
        return FleetPlan(replace(_empty(fleet), infeasibility=explain(search)), search)
    solved = _Solved(ledger, mix, mix.value, fleet.problem.gap, search.every)
    solution = replace(
        _solution(search, solved, details=False),
        status=Status.EVALUATED,
        certificate=None,
        horizon_seconds=scenario.workload.horizon,
    )
    return FleetPlan(solution, search, ledger, mix)
