"""Around a plan on a fleet: closer to the optimum, how flat it is, and what limits are worth."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.fleet.ledger import Ledger
from ds3opt.optimise.fleet.plans import FleetSearch, Plan, polished

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
    values = []
    for factor in (1.0 - _MOVE, 1.0 + _MOVE):
        limits, caps = ledger.limits.copy(), ledger.caps.copy()
        if row >= 0:
            limits[row] *= factor
        else:
            caps[cap] *= factor
        there = replace(ledger, limits=limits, caps=caps)
        start = plan
        if search.fleet.models is not None and plan.shape >= 0:
            lowest, highest = search.loss_span(there)
            inside = float(np.clip(plan.loss, lowest[plan.shape], highest[plan.shape]))
            start = replace(plan, loss=inside)
        values.append(_moved(search, there, start, menu))
    if not all(np.isfinite(values)):
        return math.nan
    here = _moved(search, ledger, plan, menu)
    less = (here - values[0]) / -math.log1p(-_MOVE)
    more = (values[1] - here) / math.log1p(_MOVE)
    # where other limits take over, only what more of it would bring counts
    slope = 0.5 * (less + more) if more > _KINK * less else more
    return float(max(slope * math.log(2.0), 0.0))


def _moved(search: FleetSearch, ledger: Ledger, plan: Plan, menu: IntArray) -> float:
    start = replace(plan, value=-np.inf)
    return polished(search, ledger, start, menu, width=_CLOSE, neighbours=False).value
