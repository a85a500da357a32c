"""Small moves around the plans of one or several problems: whole steps, near prices, climbing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.allocation import active
from ds3opt.optimise.envelopes import ROUNDING, Envelopes
from ds3opt.optimise.menu import Actions, refined
from ds3opt.optimise.training import Training

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_REFINEMENTS = 14
_PRICE_REACH = 4.0
"""Prices within this factor of a plan's own count as near."""
_GRID = 5
_SHRINK = 0.45
MODELS_ON_GRID = _GRID**2
"""Models that one round of climbing looks at for each problem."""


@dataclass(frozen=True)
class Models:
    """A model for every problem, and what it reaches."""

    parameters: FloatArray  # (problem,)
    loss: FloatArray  # (problem,)
    value: FloatArray  # (problem,)


def to_whole_steps(
    actions: Actions, on: Callable[[Actions], IntArray], refinements: int = _REFINEMENTS
) -> Actions:
    """Those on their envelopes, with every step between them and their neighbours.

    Parameters
    ----------
    on : indices of the actions on their envelopes.
    """
    for _ in range(refinements):
        kept = np.zeros(len(actions), bool)
        kept[on(actions)] = True
        gaps = (actions.above - actions.steps > 1.5) | (actions.steps - actions.below > 1.5)
        if not np.any(kept & gaps):
            break
        actions = refined(actions.take(kept), np.ones(int(kept.sum()), bool))
    return actions


def near_price(found: Envelopes, room: FloatArray, parameters: FloatArray) -> NDArray[np.bool_]:
    """Actions that are best at some price near their case's own, (action,).

    All of a case where tokens have no price: nothing is left for them, or more than they need.
    `room` and `parameters` are (case,).
    """
    price = found.bought(np.maximum(room, 0.0), parameters).price
    free = (room <= 0.0) | (price <= 0.0) | ~np.isfinite(price)
    low = np.where(free, 0.0, price / _PRICE_REACH)
    high = np.where(free, np.inf, price * _PRICE_REACH)
    points = found.points
    here = found.case[points]
    near = active(
        found.owner[points], found.cost[points], found.gain[points], low[here], high[here]
    )
    keep = free[found.case]
    keep[points[near]] = True
    return keep


def climbed(
    training: Training,
    most_training_flop: FloatArray,
    start: Models,
    values: Callable[[IntArray, FloatArray, FloatArray], FloatArray],
    *,
    rounds: int,
    reach: float = 0.05,
) -> Models:
    """The best models near others, by grids in (ln size, ln training FLOP) that close in.

    In these coordinates every limit on training is an edge of the grid, not a curve through it on
    which a grid would stay where it first meets it.

    Parameters
    ----------
    training : of all problems. most_training_flop : (problem,).
    values : of the problem, parameters and loss of models, (model,) each; -inf where limits forbid.
    """
    count = start.parameters.size
    every = np.arange(count)
    low, high = np.log(training.space.parameters)
    size, loss, best = start.parameters, start.loss, start.value
    spent = training.flop(size, loss)
    far, offsets = np.full(count, reach), np.linspace(-1.0, 1.0, _GRID)
    problem = np.repeat(every, MODELS_ON_GRID)
    there = training.of(problem)
    for _ in range(rounds):
        u = np.clip(np.log(size)[:, None] + far[:, None] * offsets, low, high)
        flop = spent[:, None] * np.exp(2.0 * far[:, None] * offsets)
        flop = np.minimum(flop, most_training_flop[:, None])
        u = np.broadcast_to(u[:, None, :], (count, _GRID, _GRID)).reshape(-1)
        flop = np.repeat(flop, _GRID, axis=1).reshape(-1)
        at_size = np.exp(u)
        at_loss = there.loss_for(at_size, flop) * (1.0 + ROUNDING)
        found = values(problem, at_size, at_loss).reshape(count, -1)
        at = np.argmax(found, axis=1)
        pick = every * MODELS_ON_GRID + at
        better = found[every, at] > best
        best = np.where(better, found[every, at], best)
        size = np.where(better, at_size[pick], size)
        loss = np.where(better, at_loss[pick], loss)
        spent = np.where(better, flop[pick], spent)
        # stay wide while the best lies on the rim
        rim = (np.abs(at // _GRID - 2) == 2) | (np.abs(at % _GRID - 2) == 2)
        far = np.where(better & rim, far, far * _SHRINK)
    return Models(size, loss, best)
