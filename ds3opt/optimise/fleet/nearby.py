"""Around a plan on a fleet: closer to the optimum, how flat it is, and what limits are worth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.fleet.ledger import Ledger
from ds3opt.optimise.fleet.plans import FleetSearch, Plan, polished
from ds3opt.optimise.prices import moved
from ds3opt.problem import Budgets

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_MOVE = 0.02
_CLOSE = 0.01
"""How far the reducible loss may follow a limit that moves so little, relative."""
_KINK = 0.7
"""Of what a little less of a limit costs, the part that a little more brings where it is smooth."""
_RANGE_LOSSES = np.linspace(-0.12, 0.12, 9)
_RANGE_SHAPES = 12
_BESIDE = 3
"""Token budgets to either side of a chosen one."""


def beside(search: FleetSearch, menu: IntArray, chosen: IntArray) -> IntArray:
    """A menu with the options that a mix has and those next to them, in tokens and in period."""
    last = len(search.options) - 1
    periods = len(search.fleet.periods)
    steps = np.arange(-_BESIDE, _BESIDE + 1) * periods
    around = np.clip(chosen[:, None] + steps, 0, last).ravel()
    return np.union1d(menu, around).astype(np.intp)


def ranges(
    search: FleetSearch, ledger: Ledger, plan: Plan, menu: IntArray, gap: float
) -> dict[str, tuple[float, float]]:
    """Between which sizes and training tokens plans near this one stay within the gap."""
    models = search.fleet.models
    if plan.shape < 0 or models is None or search.space.infinite_data:
        return {}
    lowest, highest = search.loss_span(ledger)
    floor = search.space.law.irreducible
    around = np.arange(plan.shape - _RANGE_SHAPES, plan.shape + _RANGE_SHAPES + 1)
    around = around[(around >= 0) & (around < lowest.size)]
    around = around[np.isfinite(lowest[around])]
    shape = np.repeat(around, _RANGE_LOSSES.size)
    steps = np.tile(_RANGE_LOSSES, around.size)
    loss = np.clip(floor + (plan.loss - floor) * np.exp(steps), lowest[shape], highest[shape])
    assert plan.price is not None
    start = np.tile(plan.price, (shape.size, 1))
    found = search.plans(ledger, shape, loss, start, menu=menu, coarsest=3e-3, finest=1e-4)
    good = [p for p in found if p.value >= plan.value - gap] + [plan]
    index = np.array([p.shape for p in good])
    tokens = np.array([tokens_of(search, p) for p in good])
    every = np.asarray(models.shape.parameters)[index]
    return {
        "parameters": (float(every.min()), float(every.max())),
        "training_tokens": (float(tokens.min()), float(tokens.max())),
        "tokens_per_parameter": (float((tokens / every).min()), float((tokens / every).max())),
    }


def tokens_of(search: FleetSearch, plan: Plan) -> float:
    """Training tokens of a plan."""
    models = search.fleet.models
    assert models is not None
    size = models.loss_parameters[plan.shape]
    found = search.training.tokens(np.array([size]), np.array([plan.loss]))
    return float(found[0])


def price_per_doubling(
    search: FleetSearch, ledger: Ledger, plan: Plan, menu: IntArray, *, row: int = -1, cap: int = -1
) -> float:
    """Change of the objective for each doubling of a limit: the plan moved along as it moves."""

    def value(factor: float) -> float:
        limits, caps = ledger.limits.copy(), ledger.caps.copy()
        if row >= 0:
            limits[row] *= factor
        else:
            caps[cap] *= factor
        there = replace(ledger, limits=limits, caps=caps)
        return _moved(search, there, _inside(search, there, plan), menu)

    return _slope(value)


def price_of_range(
    search: FleetSearch, ledger: Ledger, plan: Plan, menu: IntArray, name: str, limit: float
) -> float:
    """The same for the end of a range of training tokens or of tokens per parameter."""
    fleet = search.fleet

    def value(factor: float) -> float:
        problem, _ = moved(fleet.problem, Budgets(), name, limit * factor)
        there = FleetSearch(replace(fleet, problem=problem), search)
        return _moved(there, ledger, _inside(there, ledger, plan), menu)

    return _slope(value)


def _inside(search: FleetSearch, ledger: Ledger, plan: Plan) -> Plan:
    """The plan with a loss that its shape may be trained to under moved limits."""
    if search.fleet.models is None or plan.shape < 0:
        return plan
    lowest, highest = search.loss_span(ledger)
    inside = float(np.clip(plan.loss, lowest[plan.shape], highest[plan.shape]))
    return replace(plan, loss=inside)


def _slope(value: Callable[[float], float]) -> float:
    """Change for each doubling, from a little less and a little more; nan where unknown."""
    below, here, above = (value(factor) for factor in (1.0 - _MOVE, 1.0, 1.0 + _MOVE))
    if not all(np.isfinite([below, here, above])):
        return math.nan
    less = (here - below) / -math.log1p(-_MOVE)
    more = (above - here) / math.log1p(_MOVE)
    # where other limits take over, only what more of it would bring counts
    slope = 0.5 * (less + more) if more > _KINK * less else more
    return float(max(slope * math.log(2.0), 0.0))


def _moved(search: FleetSearch, ledger: Ledger, plan: Plan, menu: IntArray) -> float:
    start = replace(plan, value=-np.inf)
    return polished(search, ledger, start, menu, width=_CLOSE, neighbours=False).value
