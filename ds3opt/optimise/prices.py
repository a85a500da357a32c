"""Shadow prices: what more of each binding limit would bring, by moving it and moving the plan."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ds3opt.optimise.local import Neighbourhood, Point
from ds3opt.optimise.optimum import Found
from ds3opt.optimise.pretraining import best_model
from ds3opt.optimise.shared import SharedSearch
from ds3opt.optimise.solution import LimitUse
from ds3opt.problem import Budgets, Problem

_MOVE = 0.02
"""Relative move of a limit, to either side."""
_TIGHT = 1e-3
"""Relative distance from a limit at which it counts as binding."""


@dataclass(frozen=True)
class Cap:
    """One limit of a scenario: where it is, what uses it, and the problem with another value."""

    name: str
    limit: float
    used: float
    unit: str
    kind: str = "at most"

    @property
    def binding(self) -> bool:
        """Whether the answer is at the limit."""
        if self.kind == "at most":
            return self.used >= self.limit * (1.0 - _TIGHT)
        return self.used <= self.limit * (1.0 + _TIGHT)


def moved(problem: Problem, budgets: Budgets, name: str, limit: float) -> tuple[Problem, Budgets]:
    """The same problem with one limit at another value."""
    space = problem.space
    if name in ("total_flop", "training_flop", "inference_flop"):
        return problem, budgets.with_limit(name, limit)
    if name == "max_parameters":
        space = replace(space, parameters=(min(space.parameters[0], limit), limit))
    elif name == "min_parameters":
        space = replace(space, parameters=(limit, max(space.parameters[1], limit)))
    elif name == "max_training_tokens":
        space = replace(space, training_tokens=(min(space.training_tokens[0], limit), limit))
    elif name == "unique_tokens":
        space = replace(space, unique_tokens=limit)
    elif name == "max_tokens_per_parameter":
        space = replace(
            space, tokens_per_parameter=(min(space.tokens_per_parameter[0], limit), limit)
        )
    return replace(problem, space=space), budgets


def caps_of(
    problem: Problem,
    budgets: Budgets,
    parameters: float,
    tokens: float,
    training_flop: float,
    inference_flop: float,
) -> list[Cap]:
    """Every limit of the scenario and its use; what is given as one value is no limit."""
    space = problem.space
    use = {
        "total_flop": training_flop + inference_flop,
        "training_flop": training_flop,
        "inference_flop": inference_flop,
    }
    caps = [Cap(name, limit, use[name], "FLOP") for name, limit in budgets.items()]
    if problem.measured:
        return caps  # a model that is given is no limit
    low, high = space.parameters
    if high < 1e14 and low < high:
        caps.append(Cap("max_parameters", high, parameters, "parameters"))
    own = 1e5 if problem.levels is None else max(1e5, problem.levels.smallest)
    if own < low < high:
        caps.append(Cap("min_parameters", low, parameters, "parameters", "at least"))
    if space.infinite_data:
        return caps
    least, most = space.training_tokens
    if most < 1e18 and least < most:
        caps.append(Cap("max_training_tokens", most, tokens, "tokens"))
    if np.isfinite(space.unique_tokens):
        distinct = min(tokens, space.unique_tokens)
        caps.append(Cap("unique_tokens", space.unique_tokens, distinct, "tokens"))
    least, most = space.tokens_per_parameter
    if np.isfinite(most) and least < most:
        ratio = tokens / parameters
        caps.append(Cap("max_tokens_per_parameter", most, ratio, "tokens/parameter"))
    return caps


def limit_uses(
    problem: Problem, budgets: Budgets, caps: list[Cap], found: Found, *, priced: bool
) -> tuple[LimitUse, ...]:
    """Limits with their shadow prices, the change of the objective per doubling of the limit."""
    uses = []
    for cap in caps:
        price: float | None = None
        if priced:
            price = _price(problem, budgets, cap, found) if cap.binding else 0.0
        uses.append(LimitUse(cap.name, cap.limit, cap.used, cap.binding, price, cap.unit, cap.kind))
    return tuple(uses)


def _price(problem: Problem, budgets: Budgets, cap: Cap, found: Found) -> float | None:
    values = []
    for factor in (1.0 - _MOVE, 1.0 + _MOVE):
        there, limits = moved(problem, budgets, cap.name, cap.limit * factor)
        values.append(_value(there, limits, found))
    if not np.all(np.isfinite(values)):
        return None
    slope = (values[1] - values[0]) / (np.log1p(_MOVE) - np.log1p(-_MOVE))
    return float(slope * np.log(2.0))


def _value(problem: Problem, budgets: Budgets, found: Found) -> float:
    """The optimum near a plan under moved limits."""
    if problem.tasks is None:
        plan = best_model(problem, budgets, 1e-3)
        return plan.value if plan is not None else np.inf
    if found.shared is not None:
        return SharedSearch(problem, [budgets], 1e-6).near(found.shared)
    assert found.neighbourhood is not None
    near: Neighbourhood = found.neighbourhood.under(problem, budgets)
    best = Point(-np.inf, found.parameters, found.loss)
    return near.climb(best, rounds=12, reach=0.08).value


def required_accuracy_uses(problem: Problem, found: Found, reached: list[float]) -> list[LimitUse]:
    """Required accuracies of classes as limits; the price is per doubling, like every other."""
    tasks = problem.tasks
    assert tasks is not None
    uses = []
    for index, least in enumerate(tasks.group_min_accuracy):
        if least <= 0.0:
            continue
        price = 0.0
        if found.mix is not None:
            share = float(tasks.group_share[index])
            price = -float(found.mix.group_prices[index]) * share * float(least) * math.log(2.0)
        cap = Cap(
            f"min_accuracy of {tasks.group_names[index]}",
            float(least),
            reached[index],
            "accuracy",
            "at least",
        )
        uses.append(
            LimitUse(cap.name, cap.limit, cap.used, cap.binding, price + 0.0, cap.unit, cap.kind)
        )
    return uses


def uses_of_least(
    problem: Problem, uses: tuple[LimitUse, ...], spent: float, reached: float
) -> tuple[LimitUse, ...]:
    """Limits where a resource is least: the accuracy first, and prices in that resource.

    With the accuracy held, what a limit is worth in accuracy is worth as much of the resource as
    brings that accuracy.

    Parameters
    ----------
    uses : of a plan under as much of the resource as it takes, priced in accuracy.
    spent : the resource. reached : the accuracy.
    """
    name, target = problem.objective, problem.target_accuracy
    assert target is not None
    # otherwise required accuracies of classes say how much is taken
    binding = reached - target <= problem.gap + problem.resource_gap
    own = next((use.shadow_price_per_doubling for use in uses if use.name == name), None)
    slope = own / math.log(2.0) if own and own > 0.0 and binding else None
    accuracy = LimitUse(
        "accuracy",
        target,
        reached,
        binding,
        None if binding else 0.0,
        "accuracy",
        "at least",
        relative_cost_per_point=None if slope is None else 0.01 / slope,
    )
    limit = getattr(problem.budgets, name)
    rows = []
    for use in uses:
        if use.name == name and not np.isfinite(limit):
            continue
        if use.name == name:
            cap = Cap(name, limit, use.used, use.unit)
            price = None if cap.binding or own is None else 0.0
            rows.append(LimitUse(name, limit, use.used, cap.binding, price, use.unit, use.kind))
        elif use.shadow_price_per_doubling:
            rows.append(_in_resource(use, slope, spent))
        else:
            rows.append(use)
    return (accuracy, *rows)


def _in_resource(use: LimitUse, slope: float | None, spent: float) -> LimitUse:
    """A use priced in a resource; `slope` is accuracy per e-fold of it, None where not known."""
    if slope is None or use.shadow_price_per_doubling is None:
        return replace(use, shadow_price_per_doubling=None)
    part = -use.shadow_price_per_doubling / slope
    per_point = None
    if use.unit == "accuracy":
        per_point = 0.01 * part / (use.limit * math.log(2.0))
    return replace(use, shadow_price_per_doubling=part * spent, relative_cost_per_point=per_point)
