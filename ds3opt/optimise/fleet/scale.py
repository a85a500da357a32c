"""The size of a minimised resource, so that the search can count in parts of it."""

from __future__ import annotations

import numpy as np

from ds3opt.optimise.fleet.ledger import Ledger
from ds3opt.optimise.fleet.plans import FleetSearch

_TRIES = 6
_NEAR = 4.0


def resource_scale(search: FleetSearch) -> float:
    """About what the optimum takes of the minimised resource; all there is to win otherwise.

    It need not be close: it only keeps numbers near 1.
    """
    fleet = search.fleet
    if fleet.minimised is None:
        return float(fleet.tasks.weight @ fleet.worth) or 1.0
    scale = _first_guess(search)
    for _ in range(_TRIES):
        plan = search.scan(Ledger.of(fleet, scale))
        if not np.isfinite(plan.value) or plan.value >= 0.0:
            return scale
        taken = max(-plan.value, 1e-12)
        scale *= taken
        if 1.0 / _NEAR <= taken <= _NEAR:
            break
    return scale


def _first_guess(search: FleetSearch) -> float:
    """What the accuracy takes when every task has its likeliest option, at the cheapest model."""
    fleet = search.fleet
    tasks = fleet.tasks
    free = Ledger.of(fleet, 1.0)
    shapes, losses = [-1], [np.nan]
    if fleet.models is not None:
        lowest, highest = search.loss_span(free)
        able = np.flatnonzero(np.isfinite(lowest))
        for shape in able[:: max(1, able.size // 6)]:
            for part in (0.1, 0.4, 0.7):
                shapes.append(int(shape))
                losses.append(float(lowest[shape] + part * (highest[shape] - lowest[shape])))
    shape, loss = np.array(shapes), np.array(losses)
    menu = search.coarse
    option = np.tile(menu, shape.size)
    cell = np.repeat(np.arange(shape.size), menu.size)
    known = (search.options.existing[option] >= 0) | (shape[cell] >= 0)
    option, cell = option[known], cell[known]
    found = search.evaluate(option, loss[cell], shape[cell], shape[cell])
    spent = search.spent(free, shape, loss)
    charge = float(np.min(fleet.objective_training))
    possible = np.all(np.isfinite(found.uses), axis=1)
    uses = np.where(possible[:, None], found.uses, 0.0)
    cost = np.sum(fleet.objective_serving[search.options.period[option]] * uses, axis=1)
    cost = np.where(possible, cost, np.inf)
    owner = cell * len(tasks) + search.options.task[option]
    order = np.lexsort((cost, -found.success, owner))
    _, first = np.unique(owner[order], return_index=True)
    best = order[first]
    weight = tasks.weight[search.options.task[option[best]]]
    with np.errstate(invalid="ignore"):
        serving = np.bincount(cell[best], weight * cost[best], minlength=shape.size)
        solved = np.bincount(cell[best], weight * found.success[best], minlength=shape.size)
    total = fleet.problem.tasks_served * serving + spent * charge
    usable = np.isfinite(total) & (total > 0.0)
    enough = usable & (solved >= (fleet.problem.target_accuracy or 0.0))
    chosen = total[enough] if np.any(enough) else total[usable]
    return float(np.min(chosen)) if chosen.size else 1.0
