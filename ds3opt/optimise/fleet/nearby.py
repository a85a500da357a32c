"""Around a plan on a fleet: closer to the optimum, how flat it is, and what limits are worth."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.fleet.ledger import Ledger
from ds3opt.optimise.fleet.prices import best_net, net_worth
from ds3opt.optimise.fleet.search import FleetSearch, Plan, better

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_WINDOW = 0.03
"""Net worth per task, of the ledger's scale, within which options count as near."""
_FINEST = 1e-5
_ROUNDS = 5
_WIDTH = 0.04
"""First step of the reducible loss, relative."""
_MOVE = 0.02
_RANGE_LOSSES = np.linspace(-0.12, 0.12, 9)
_RANGE_SHAPES = 12


def near_options(search: FleetSearch, ledger: Ledger, plan: Plan) -> IntArray:
    """Options that are nearly as good as the best of their task at a plan's prices."""
    menu = search.every if plan.shape >= 0 else search.without
    one = np.zeros(menu.size, dtype=np.intp)
    shape = np.full(menu.size, plan.shape)
    found = search.evaluate(menu, np.full(menu.size, plan.loss), shape, shape)
    offers, which, _ = ledger.offers(search.options, menu, one, found, np.zeros(1))
    assert plan.price is not None
    net = net_worth(offers, plan.price[None, :])
    best = best_net(offers, net).ravel()
    weight = ledger.weight[offers.owner]
    return np.sort(which[(net >= best[offers.owner] - _WINDOW * weight) & (which >= 0)])


def polished(search: FleetSearch, ledger: Ledger, plan: Plan, menu: IntArray) -> Plan:
    """The best plan of the same or a neighbouring shape, with its training adjusted."""
    if plan.shape < 0 or search.fleet.models is None:
        return _at(search, ledger, plan, menu)
    lowest, highest = search.loss_span(ledger)
    floor = search.space.law.irreducible
    width = _WIDTH
    best = _at(search, ledger, plan, menu)
    count = lowest.size
    for round_ in range(_ROUNDS):
        shapes = np.clip([best.shape - 1, best.shape, best.shape + 1], 0, count - 1)
        shapes = np.unique(shapes) if round_ < 2 else np.array([best.shape])
        shapes = shapes[np.isfinite(lowest[shapes])]
        steps = width * np.linspace(-1.0, 1.0, 7)
        shape = np.repeat(shapes, steps.size)
        loss = floor + (best.loss - floor) * np.exp(np.tile(steps, shapes.size))
        loss = np.clip(loss, lowest[shape], highest[shape])
        assert best.price is not None
        start = np.tile(best.price, (shape.size, 1))
        found = search.plans(
            ledger, shape, loss, start, menu=menu, coarsest=1e-3, finest=_FINEST
        )
        best = better(best, found)
        width *= 0.35
    return best


def _at(search: FleetSearch, ledger: Ledger, plan: Plan, menu: IntArray) -> Plan:
    assert plan.price is not None
    found = search.plans(
        ledger,
        np.array([plan.shape]),
        np.array([plan.loss]),
        plan.price[None, :],
        menu=menu,
        coarsest=1e-2,
        finest=_FINEST,
    )
    return better(plan, found)


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
    sizes = models.loss_parameters[index]
    every = np.asarray(models.shape.parameters)[index]
    return {
        "parameters": (float(every.min()), float(every.max())),
        "training_tokens": (float(tokens.min()), float(tokens.max())),
        "tokens_per_parameter": (float((tokens / sizes).min()), float((tokens / sizes).max())),
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
        values.append(polished(search, there, replace(start, value=-np.inf), menu).value)
    if not all(np.isfinite(values)):
        return math.nan
    slope = (values[1] - values[0]) / math.log((1.0 + _MOVE) / (1.0 - _MOVE))
    return float(max(slope * math.log(2.0), 0.0))
