"""From a scenario to its solution: which search answers it, and what stands beside the answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import UsageError
from ds3opt.fleet import needs_fleet
from ds3opt.optimise.answer import class_outcomes, mixed, task_rows
from ds3opt.optimise.baseline import best_on_rule, on_rule
from ds3opt.optimise.envelopes import room_for
from ds3opt.optimise.infeasible import explain, unreachable
from ds3opt.optimise.learned import learned_graph
from ds3opt.optimise.least_resource import least_budget
from ds3opt.optimise.local import Neighbourhood, Point
from ds3opt.optimise.notes import notes_for
from ds3opt.optimise.optimum import Found, best_plans, polished
from ds3opt.optimise.overrides import fixed_actions, with_policies
from ds3opt.optimise.pretraining import PretrainingPlan, best_model
from ds3opt.optimise.prices import caps_of, limit_uses, required_accuracy_uses
from ds3opt.optimise.shared_rows import shared_rows
from ds3opt.optimise.solution import (
    BASELINES,
    Baseline,
    Certificate,
    FrontierPoint,
    LimitUse,
    Solution,
    Status,
    frontier_point,
)
from ds3opt.optimise.training import Training
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


def evaluate(
    scenario: Scenario,
    parameters: float,
    training_tokens: float | None,
    *,
    policies: Mapping[str, str] | None = None,
    token_budgets: Mapping[str, float] | None = None,
) -> Solution:
    """Score a given model under a scenario; what is not given is chosen as well as possible.

    Parameters
    ----------
    parameters : model size. training_tokens : None for endless data, or with a skill graph for
        those of its ratio.
    policies : policy per class, such as ``best_of_n:8``. token_budgets : tokens per task and class.

    Raises
    ------
    UsageError : for a class or a policy that the scenario does not have.
    """
    if needs_fleet(scenario):
        from ds3opt.optimise.fleet.solve import evaluate_fleet

        return evaluate_fleet(
            scenario, parameters, training_tokens, policies=policies, token_budgets=token_budgets
        )
    problem = compile_problem(scenario)
    _as_measured(problem, parameters, training_tokens)
    given = training_tokens if training_tokens is not None else _tokens_unsaid(problem, parameters)
    space = replace(
        problem.space,
        parameters=(parameters, parameters),
        training_tokens=(given, given),
        tokens_per_parameter=(0.0, math.inf),
    )
    if problem.levels is not None:
        law = problem.levels.law.for_model(parameters, given)
        space = replace(space, law=law)
        problem = replace(problem, levels=replace(problem.levels, law=law))
    problem = replace(problem, space=space)
    training = Training(space)
    n, d = np.array([parameters]), np.array([given])
    loss = float(training.reached_loss(n, d)[0])
    spent = float(training.flop_of(n, d)[0])
    if problem.tasks is None:
        plan = PretrainingPlan(
            loss,
            loss,
            parameters,
            given,
            loss,
            spent,
            2.0 * parameters * problem.served_tokens,
        )
        solution = _loss_solution(replace(problem, objective="loss"), plan, details=False)
        return replace(solution, status=Status.EVALUATED, certificate=None)
    room = room_for(problem, problem.budgets, n, np.array([loss * (1.0 + 1e-12)]))
    if room[0] < 0.0:
        return _nothing(problem, problem.budgets)
    problem = with_policies(problem, policies or {})
    if problem.shared_budget:
        return _scored(_evaluate_shared(problem, token_budgets or {}), policies)
    actions = fixed_actions(problem, parameters, loss, token_budgets or {})
    mix = mixed(problem, actions, loss, parameters, float(room[0]))
    if mix is None:
        return _nothing(problem, problem.budgets)
    near = Neighbourhood(problem, problem.budgets, actions)
    found = Found(mix.value, mix.value, parameters, loss, neighbourhood=near, mix=mix)
    return _scored(_answer(problem, problem.budgets, found, details=False), policies)


def _scored(solution: Solution, policies: Mapping[str, str] | None) -> Solution:
    """An answer as a score; of policies that were not asked for there is nothing to say."""
    if solution.infeasibility is not None:
        return solution
    told = solution.warnings
    if policies:
        told = tuple(note for note in told if note.code != "policy_not_offered")
    return replace(solution, status=Status.EVALUATED, certificate=None, warnings=told)


def _tokens_unsaid(problem: Problem, parameters: float) -> float:
    """Training tokens where none are given: endless, or those of a skill graph's ratio."""
    if problem.levels is None:
        return math.inf
    ratio = problem.levels.law.tokens_per_parameter
    if ratio is None:
        raise UsageError("a skill graph whose ratio is free needs training tokens, too")
    return ratio * parameters


def _as_measured(problem: Problem, parameters: float, training_tokens: float | None) -> None:
    """Refuse another model than the one that classes were measured on."""
    space = problem.space
    if not problem.measured:
        return
    size = space.parameters[0]
    if abs(parameters / size - 1.0) > 1e-9:
        raise UsageError(
            f"a class was measured on a model of {size:.4g} parameters, which says nothing of one "
            f"of {parameters:.4g}"
        )
    if training_tokens is not None and space.infinite_data:
        raise UsageError("a class was measured on a model whose training the scenario leaves out")


def _evaluate_shared(problem: Problem, token_budgets: Mapping[str, float]) -> Solution:
    if token_budgets:
        least, most = min(token_budgets.values()), max(token_budgets.values())
        if least != most:
            raise UsageError("budgets: shared has one token budget for all classes")
        problem = replace(problem, token_budget=(least, most))
    (found,) = best_plans(problem, [problem.budgets], problem.gap)
    if not found.feasible:
        return _nothing(problem, problem.budgets)
    return _answer(problem, problem.budgets, found, details=False)


# -- objectives -----------------------------------------------------------------------------


def _of_accuracy(problem: Problem, rough: Found, details: bool) -> Solution:
    if not rough.feasible:
        return _nothing(problem, problem.budgets)
    return certified(problem, polished(problem, problem.budgets, rough), details=details)


def certified(problem: Problem, found: Found, *, details: bool) -> Solution:
    """The answer that a plan is, for objectives of accuracy and value.

    Parameters
    ----------
    found : a feasible plan, polished. details : as in `solve`.
    """
    solution = _answer(problem, problem.budgets, found, details=details)
    gap = found.upper - found.value
    status = Status.OPTIMAL if gap <= problem.gap * (1 + 1e-9) else Status.NOT_CONVERGED
    certificate = Certificate(problem.objective, found.value, found.upper, problem.gap, False)
    solution = replace(solution, status=status, certificate=certificate)
    return replace(solution, baselines=_baselines(problem)) if details else solution


def _of_resource(problem: Problem, details: bool, progress: Progress | None) -> Solution:
    target = problem.target_accuracy
    assert target is not None
    least = least_budget(problem, problem.budgets, problem.objective, target, progress=progress)
    if least.found is None:
        return replace(
            _empty(problem),
            status=Status.INFEASIBLE,
            infeasibility=unreachable(problem, target, least.best),
        )
    budgets = problem.budgets.with_limit(problem.objective, least.enough)
    solution = _answer(problem, budgets, least.found, details=details)
    used = {"training_flop": solution.training_flop, "inference_flop": solution.inference_flop}
    spent = used.get(problem.objective, solution.total_flop)
    assert spent is not None
    upper = min(least.enough, spent) if spent > 0 else least.enough
    certificate = Certificate(
        problem.objective, min(least.too_little, upper), upper, problem.resource_gap, True
    )
    status = Status.OPTIMAL if certificate.gap <= problem.resource_gap else Status.NOT_CONVERGED
    own = {name for name, _ in problem.budgets.items()}
    limits = tuple(
        use for use in solution.limits if use.name != problem.objective or use.name in own
    )
    solution = replace(
        solution,
        status=status,
        certificate=certificate,
        limits=(*_target_use(solution, target), *limits),
    )
    return replace(solution, baselines=_baselines(problem)) if details else solution


def _target_use(solution: Solution, target: float) -> tuple[LimitUse, ...]:
    """The required accuracy as a limit; its price is the resource's change per accuracy point."""
    price = None
    for use in solution.limits:
        if use.name == solution.objective and use.shadow_price_per_doubling:
            per_e_fold = use.shadow_price_per_doubling / math.log(2.0)
            price = 0.01 / per_e_fold if per_e_fold > 0 else None
    assert solution.accuracy is not None
    return (
        LimitUse(
            "accuracy",
            target,
            solution.accuracy,
            True,
            None,
            "accuracy",
            "at least",
            relative_cost_per_point=price,
        ),
    )


def _of_loss(problem: Problem, details: bool) -> Solution:
    gap = problem.gap if problem.objective == "loss" else problem.resource_gap
    plan = best_model(problem, problem.budgets, gap)
    if plan is None:
        return _nothing(problem, problem.budgets)
    return _loss_solution(problem, plan, details=details)


def _loss_solution(problem: Problem, plan: PretrainingPlan, *, details: bool) -> Solution:
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
        _empty(problem),
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
        baselines=_loss_baselines(problem) if details else (),
        warnings=notes_for(problem, plan.parameters, plan.training_tokens),
    )


# -- the answer -----------------------------------------------------------------------------


def _answer(problem: Problem, budgets: Budgets, found: Found, *, details: bool) -> Solution:
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
        _empty(problem),
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


def _empty(problem: Problem) -> Solution:
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


def _nothing(problem: Problem, budgets: Budgets) -> Solution:
    return replace(_empty(problem), infeasibility=explain(problem, budgets))


# -- baselines and frontier -----------------------------------------------------------------


def _baselines(problem: Problem) -> tuple[Baseline, ...]:
    fixed = problem.levels is not None and problem.levels.law.tokens_per_parameter is not None
    # with the ratio fixed there is nothing that a rule for it would take away
    if problem.space.infinite_data or fixed:
        return ()
    law = "loss law" if problem.levels is None else "skill graph"
    return tuple(
        _baseline(on_rule(problem, name), name, words.replace("loss law", law))
        for name, words in BASELINES
    )


def _baseline(problem: Problem, name: str, words: str) -> Baseline:
    if not problem.shared_budget:
        plan = best_on_rule(problem)
        if plan is None:
            return Baseline(name, words, None, None, None)
        return Baseline(name, words, plan.objective, plan.parameters, plan.training_tokens)
    if problem.target_accuracy is not None:
        least = least_budget(problem, problem.budgets, problem.objective, problem.target_accuracy)
        found, value = least.found, least.enough
    else:
        (found,) = best_plans(problem, [problem.budgets], problem.gap)
        value = found.value
    if found is None or not found.feasible:
        return Baseline(name, words, None, None, None)
    size = np.array([found.parameters])
    tokens = Training(problem.space).tokens(size, np.array([found.loss * (1.0 + 1e-12)]))
    return Baseline(name, words, value, found.parameters, float(tokens[0]))


def _loss_baselines(problem: Problem) -> tuple[Baseline, ...]:
    result = []
    for name, words in BASELINES:
        if problem.space.infinite_data:
            continue
        there = on_rule(problem, name)
        plan = best_model(there, there.budgets, there.resource_gap)
        if plan is None:
            result.append(Baseline(name, words, None, None, None))
        else:
            result.append(Baseline(name, words, plan.value, plan.parameters, plan.training_tokens))
    return tuple(result)


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
    solved = _answer(problem, budgets, found, details=False)
    converged = found.upper - found.value <= problem.gap * (1 + 1e-9)
    solved = replace(
        solved,
        status=Status.OPTIMAL if converged else Status.NOT_CONVERGED,
        certificate=Certificate(problem.objective, found.value, found.upper, problem.gap, False),
    )
    return frontier_point(float(limit), solved)
