"""What one draw of the constants makes of a scenario: its optimum, and what the plan is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ds3opt.errors import UsageError
from ds3opt.explain.explain import flop_setting, settled
from ds3opt.explain.rivals import rivals_of
from ds3opt.explain.setting import Setting
from ds3opt.fleet import needs_fleet
from ds3opt.optimise.climbing import Plans, polished_side_by_side
from ds3opt.optimise.envelopes import ROUNDING
from ds3opt.optimise.evaluate import evaluate
from ds3opt.optimise.plan_solution import certified
from ds3opt.optimise.side_by_side import Stack, alike
from ds3opt.optimise.solution import Solution, Status
from ds3opt.optimise.solve import solve
from ds3opt.optimise.training import Training
from ds3opt.problem import Problem, compile_problem
from ds3opt.schema import Scenario

GAP = 1e-3
"""Gap that a draw is solved to, unless the scenario asks for less: draws differ by more."""
_REFINEMENTS = 4
"""Of token budgets, when policies are compared: they are then exact to a few percent."""
BEYOND = "beyond_optimum_"
"""Before the name of a rule for training: amounts that it takes above the optimum."""
MAXIMISED = frozenset({"accuracy", "value", "net_value"})


@dataclass(frozen=True)
class ClassOutcome:
    """One class under one draw."""

    name: str
    accuracy: float
    tokens: float
    """Generated for one task on average."""
    lost: Mapping[str, float] = field(default_factory=dict)
    """By policy, in words: what the objective loses at least where the class may use no other."""
    served: Mapping[str, float] = field(default_factory=dict)
    """By policy, in words: part of the class's requests that the optimum serves with it; what it
    leaves unserved is left out."""


@dataclass(frozen=True)
class Outcome:
    """The optimum under one draw, and the plan of the point estimate under it."""

    index: int
    status: str
    """Code of the status."""
    amounts: Mapping[str, float] = field(default_factory=dict)
    """By name; what is unknown or infinite is left out."""
    classes: tuple[ClassOutcome, ...] = ()
    kept: float | None = None
    """Objective where the model is that of the point estimate, and only serving adapts; None where
    no serving keeps the limits."""
    kept_asked: bool = False
    """Whether a model was there to be kept."""

    @property
    def feasible(self) -> bool:
        """Whether the draw has an answer."""
        return self.status != Status.INFEASIBLE.code

    def as_data(self) -> dict[str, Any]:
        """Plain data, from which `outcome_from` makes the same again."""
        return asdict(self)


def outcome_from(data: Mapping[str, Any]) -> Outcome:
    """An outcome from its plain data."""
    classes = tuple(ClassOutcome(**one) for one in data["classes"])
    return Outcome(**{**data, "classes": classes})


def outcomes_of(
    draws: Sequence[tuple[int, Scenario]], point: Solution, policies: Sequence[str] = ()
) -> list[Outcome]:
    """Solve scenarios with a draw in place, and hold the point estimate's model against each.

    Parameters
    ----------
    draws : index of the draw, and the scenario with the draw in place of what is uncertain.
    point : the answer at the point estimate.
    policies : what to call the policies on offer, in their order; left out, what each draw does.

    Notes
    -----
    Accuracy and value in FLOP are solved side by side, everything else one after the other.
    """
    indices = [index for index, _ in draws]
    scenarios = [coarser(scenario) for _, scenario in draws]
    found = _outcomes(indices, scenarios, point)
    return [
        _renamed(one, policies_of(scenario), policies or policies_of(scenario))
        for one, scenario in zip(found, scenarios, strict=True)
    ]


def policies_of(scenario: Scenario) -> tuple[str, ...]:
    """The policies on offer in words, in their order."""
    return tuple(one.words() for one in scenario.reasoning.variants())


def _outcomes(indices: list[int], scenarios: list[Scenario], point: Solution) -> list[Outcome]:
    flop = not any(needs_fleet(one) or one.workload.mix is None for one in scenarios)
    problems = [compile_problem(one) for one in scenarios] if flop else []
    if problems and alike(problems):
        return _side_by_side(indices, problems, point)
    return [_alone(index, one, point) for index, one in zip(indices, scenarios, strict=True)]


def _side_by_side(indices: list[int], problems: list[Problem], point: Solution) -> list[Outcome]:
    stack = Stack.of(problems)
    found = polished_side_by_side(stack, stack.best_plans(problems[0].gap))
    kept = _kept_side_by_side(stack, point)
    outcomes = []
    for index, problem, plan, with_point in zip(indices, problems, found, kept, strict=True):
        if not plan.feasible:
            outcomes.append(_nothing(index, point))
            continue
        solution = certified(problem, plan, details=False)
        setting = flop_setting(problem, solution, plan.mix)
        outcomes.append(_outcome(index, solution, setting, point, with_point))
    return outcomes


def _renamed(outcome: Outcome, own: Sequence[str], names: Sequence[str]) -> Outcome:
    """With policies under the same names in every draw, also where their numbers are drawn."""
    other = {a: b for a, b in zip(own, names, strict=True) if a != b}
    if not other:
        return outcome

    def called(way: str) -> str:
        # an existing model stands before the policy that it serves with
        model, colon, policy = way.rpartition(": ")
        return model + colon + other.get(policy, policy)

    classes = tuple(
        replace(
            one,
            lost={called(way): lost for way, lost in one.lost.items()},
            served={called(way): part for way, part in one.served.items()},
        )
        for one in outcome.classes
    )
    return replace(outcome, classes=classes)


def _kept_side_by_side(stack: Stack, point: Solution) -> list[float | None]:
    """The objective of every problem with the model of the point estimate."""
    if point.parameters is None:
        return [None] * len(stack)
    count = len(stack)
    size = np.full(count, point.parameters)
    tokens = np.full(count, math.inf if point.training_tokens is None else point.training_tokens)
    loss = Training(stack.problem.space).reached_loss(size, tokens) * (1.0 + ROUNDING)
    values = Plans.around(stack, size, loss).values(np.arange(count), size, loss)
    return [float(value) if np.isfinite(value) else None for value in values]


def _alone(index: int, scenario: Scenario, point: Solution) -> Outcome:
    found = None if scenario.workload.mix is None else settled(scenario)
    if found is None:
        # without classes the rules for training beside the optimum cost next to nothing
        rules = scenario.workload.mix is None
        setting, solution = None, solve(scenario, frontier=False, details=rules)
    else:
        setting, solution = found
    if solution.status is Status.INFEASIBLE:
        return _nothing(index, point)
    kept = None if point.parameters is None else objective_with(scenario, point)
    return _outcome(index, solution, setting, point, kept)


def _nothing(index: int, point: Solution) -> Outcome:
    return Outcome(index, Status.INFEASIBLE.code, kept_asked=point.parameters is not None)


def _outcome(
    index: int, solution: Solution, setting: Setting | None, point: Solution, kept: float | None
) -> Outcome:
    value = reached(solution)
    if kept is not None and value is not None:
        # within the gap the model that is kept may be found to do better
        kept = min(kept, value) if solution.objective in MAXIMISED else max(kept, value)
    return Outcome(
        index,
        solution.status.code,
        amounts_of(solution),
        _classes(solution, setting),
        kept,
        point.parameters is not None,
    )


def coarser(scenario: Scenario) -> Scenario:
    """The scenario without its frontier, and to no finer a gap than draws need."""
    solver = scenario.solver
    gaps = {"gap": max(solver.gap, GAP), "resource_gap": max(solver.resource_gap, GAP)}
    return scenario.model_copy(update={"solver": solver.model_copy(update=gaps), "frontier": None})


def reached(solution: Solution) -> float | None:
    """The objective of an answer; None where there is none."""
    certificate = solution.certificate
    if certificate is None:
        return None
    return certificate.lower if solution.objective in MAXIMISED else certificate.upper


def amounts_of(solution: Solution) -> dict[str, float]:
    """Every amount of an answer that a planner asks about, by name."""
    amounts = {
        "objective": reached(solution),
        "parameters": solution.parameters,
        "training_tokens": solution.training_tokens,
        "tokens_per_parameter": solution.tokens_per_parameter,
        "loss": solution.loss,
        "accuracy": solution.accuracy,
        "value": solution.value if solution.objective in {"value", "net_value"} else None,
        "expected_tokens": solution.mean_tokens,
        "training_flop": solution.training_flop,
        "inference_flop": solution.inference_flop,
        "total_flop": solution.total_flop,
        **{use.name: use.total for use in solution.resources},
        **_beyond_optimum(solution),
    }
    return {
        name: float(amount)
        for name, amount in amounts.items()
        if amount is not None and math.isfinite(amount)
    }


def _beyond_optimum(solution: Solution) -> dict[str, float | None]:
    """What fixed rules for training take above the optimum: relative, of a loss the difference."""
    best = reached(solution)
    if best is None or solution.objective in MAXIMISED:
        return {}
    relative = solution.objective != "loss"
    return {
        BEYOND + rule.name: None
        if rule.value is None
        else rule.value / best - 1.0
        if relative
        else rule.value - best
        for rule in solution.baselines
    }


def objective_with(scenario: Scenario, point: Solution) -> float | None:
    """The objective with the model of an answer, served as well as possible; None if infeasible."""
    size, tokens = point.parameters, point.training_tokens
    assert size is not None
    if point.objective in {"accuracy", "value"} or needs_fleet(scenario):
        try:
            scored = evaluate(scenario, size, tokens)
        except UsageError:
            return None
        if scored.status is Status.INFEASIBLE:
            return None
        if point.objective in {"accuracy", "value"}:
            return scored.accuracy if point.objective == "accuracy" else scored.value
        return _resource(scored, point.objective)
    scored = solve(with_model_only(scenario, size, tokens), frontier=False, details=False)
    return None if scored.status is Status.INFEASIBLE else reached(scored)


def _resource(scored: Solution, name: str) -> float | None:
    totals = {use.name: use.total for use in scored.resources}
    if name == "net_value":
        cost = totals.get("cost")
        if cost is None or scored.value is None:
            return None
        return scored.value * scored.tasks_served - cost
    found = totals.get(name, getattr(scored, name, None))
    return None if found is None else float(found)


def with_model_only(scenario: Scenario, parameters: float, tokens: float | None) -> Scenario:
    """The scenario where nothing but one model may be trained."""
    model = scenario.model
    changed: dict[str, Any] = {
        "parameters": model.parameters.model_copy(update={"min": parameters, "max": parameters})
    }
    if tokens is not None and math.isfinite(tokens) and model.training_tokens != "infinite":
        span = model.training_tokens.model_copy(update={"min": tokens, "max": tokens})
        free = model.tokens_per_parameter.model_copy(update={"min": None, "max": None})
        changed |= {"training_tokens": span, "tokens_per_parameter": free}
    return scenario.model_copy(update={"model": model.model_copy(update=changed)})


def _classes(solution: Solution, setting: Setting | None) -> tuple[ClassOutcome, ...]:
    lost: list[dict[str, float]] = [{} for _ in solution.classes]
    if setting is not None:
        rivals = rivals_of(setting, setting.menu(_REFINEMENTS), solution)
        names = setting.tasks.group_names
        by_name = dict(zip(names, rivals, strict=True))
        lost = [
            {one.policy: one.lost for one in by_name.get(one_class.name, ())}
            for one_class in solution.classes
        ]
    return tuple(
        ClassOutcome(one.name, one.accuracy, one.expected_tokens, its, _served(solution, one.name))
        for one, its in zip(solution.classes, lost, strict=True)
    )


def _served(solution: Solution, name: str) -> dict[str, float]:
    """Part of a class's requests by what serves them."""
    rows = [row for row in solution.tasks if row.name == name and row.share > 0.0]
    whole = math.fsum(row.share for row in rows)
    served: dict[str, float] = {}
    for row in rows:
        if not row.attempted:
            continue
        served[row.words] = served.get(row.words, 0.0) + row.share / whole
    return served


def column(outcomes: tuple[Outcome, ...], name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """One amount of every draw, (draw,); nan where a draw lacks it."""
    return np.array([one.amounts.get(name, math.nan) for one in outcomes], dtype=np.float64)
