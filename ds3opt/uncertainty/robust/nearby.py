"""Around a model: the best plan for all draws at a size and loss, to the last whole step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.allocation import active, envelope, segments, spend
from ds3opt.optimise.answer import Mix, mixed
from ds3opt.optimise.local import room_for
from ds3opt.optimise.menu import Actions, Values, refined
from ds3opt.optimise.requirement import requirement
from ds3opt.optimise.training import Training
from ds3opt.problem import Budgets
from ds3opt.uncertainty.robust.averages import Side, Weights, averaged
from ds3opt.uncertainty.robust.ensemble import Ensemble

FloatArray = NDArray[np.float64]

_GROUPS = 32
"""Of draws, where a plan is looked for; the plan found is then worked out in every draw."""
_REFINEMENTS = 14
_REACH = 4.0
"""Prices within this factor of a plan's own count as near."""
_GRID = 5
_ROUNDING = 1e-12
"""Relative loss given away so that its training, worked out again, stays within the limits."""


@dataclass(frozen=True)
class Spot:
    """A model and the best mix of some actions for it; averages are exact."""

    value: float
    parameters: float
    loss: float
    """Under the common law."""
    training_tokens: float
    mix: Mix


def tokens_at(ensemble: Ensemble, parameters: FloatArray, loss: FloatArray) -> FloatArray:
    """Training tokens of models with a loss under the common law; inf where data is infinite."""
    space = ensemble.common.space
    if space.infinite_data:
        return np.full(parameters.shape, np.inf)
    return Training(space).tokens(parameters, loss)


def best_at(
    ensemble: Ensemble,
    weights: Weights,
    budgets: Budgets,
    actions: Actions,
    parameters: float,
    loss: float,
) -> Spot | None:
    """The best mix of actions for a model, averages worked out in every draw; None if none fits."""
    size, at = np.array([parameters]), np.array([loss])
    room = room_for(ensemble.common, budgets, size, at)
    tokens = tokens_at(ensemble, size, at)
    if room[0] < 0.0:
        return None
    values = averaged(ensemble, weights, actions, ensemble.losses(size, tokens))
    mix = mixed(ensemble.common, actions, loss, parameters, float(room[0]), values)
    return None if mix is None else Spot(mix.value, parameters, loss, float(tokens[0]), mix)


def near_actions(
    ensemble: Ensemble, weights: Weights, budgets: Budgets, parameters: float, loss: float
) -> Actions:
    """Actions on the tasks' envelopes at a model, to the last whole step, at prices near its own"""
    actions = ensemble.first_actions()
    size, at = np.array([parameters]), np.array([loss])
    losses = ensemble.losses(size, tokens_at(ensemble, size, at))
    for _ in range(_REFINEMENTS):
        values = _approximate(ensemble, weights, actions, losses)
        cost, gain = _cost_and_gain(ensemble, actions, values, parameters)
        on = np.zeros(len(actions), bool)
        on[envelope(actions.task, cost, gain)] = True
        gaps = (actions.above - actions.steps > 1.5) | (actions.steps - actions.below > 1.5)
        if not np.any(on & gaps):
            break
        actions = refined(actions.take(on), np.ones(int(on.sum()), bool))
    if requirement(ensemble.common) is not None:
        return actions
    room = room_for(ensemble.common, budgets, size, at)
    if room[0] <= 0.0:
        return actions
    values = _approximate(ensemble, weights, actions, losses)
    cost, gain = _cost_and_gain(ensemble, actions, values, parameters)
    points = envelope(actions.task, cost, gain)
    assert ensemble.common.tasks is not None
    weight = ensemble.common.tasks.weight[actions.task]
    nought = np.zeros(len(actions), dtype=np.intp)
    found = segments(points, nought, actions.task, cost, gain, weight, 1)
    price = spend(found, room / (2.0 * parameters)).price
    if price[0] <= 0.0 or not np.isfinite(price[0]):
        return actions
    low, high = (np.full(points.size, f * price[0]) for f in (1.0 / _REACH, _REACH))
    keep = active(actions.task[points], cost[points], gain[points], low, high)
    return actions.take(np.sort(points[keep]))


def climbed(
    ensemble: Ensemble, weights: Weights, budgets: Budgets, start: Spot, *, rounds: int = 6
) -> Spot:
    """The best plan near a plan, by grids in (ln size, ln training FLOP); never a worse one."""
    training = Training(ensemble.common.space)
    low, high = np.log(training.space.parameters)
    cap = min(budgets.total_flop, budgets.training_flop)
    offsets = np.linspace(-1.0, 1.0, _GRID)
    actions = near_actions(ensemble, weights, budgets, start.parameters, start.loss)
    size, loss, best, reach = start.parameters, start.loss, -np.inf, 0.05
    spent = float(training.flop(np.array([size]), np.array([loss]))[0])
    for _ in range(rounds):
        u = np.clip(np.log(size) + reach * offsets, low, high)
        flop = np.minimum(spent * np.exp(2.0 * reach * offsets), cap)
        u, flop = (grid.ravel() for grid in np.meshgrid(u, flop))
        losses = training.loss_for(np.exp(u), flop) * (1.0 + _ROUNDING)
        found = _values_at(ensemble, weights, budgets, actions, np.exp(u), losses)
        at = int(np.argmax(found))
        if found[at] > best:
            best, size, loss = float(found[at]), float(np.exp(u[at])), float(losses[at])
            spent = float(flop[at])
            if abs(at // _GRID - 2) == 2 or abs(at % _GRID - 2) == 2:
                continue
        reach *= 0.45
    actions = near_actions(ensemble, weights, budgets, size, loss)
    found_there = best_at(ensemble, weights, budgets, actions, size, loss)
    if found_there is None or found_there.value < start.value:
        return start
    return found_there


def _values_at(
    ensemble: Ensemble,
    weights: Weights,
    budgets: Budgets,
    actions: Actions,
    parameters: FloatArray,
    loss: FloatArray,
) -> FloatArray:
    """About the best value of every model, (model,); -inf where limits forbid it."""
    common, count = ensemble.common, parameters.size
    tasks = common.tasks
    assert tasks is not None
    possible = np.isfinite(loss)
    room = room_for(common, budgets, parameters, loss)
    possible &= room >= 0.0
    tokens = tokens_at(ensemble, parameters, np.where(possible, loss, np.inf))
    losses = ensemble.losses(parameters, np.where(possible, tokens, 1e9))
    cell = np.repeat(np.arange(count), len(actions))
    joined = replace(actions.take(np.tile(np.arange(len(actions)), count)), cell=cell)
    values = _approximate(ensemble, weights, joined, losses)
    attention = common.space.attention(parameters)
    cost = values.effective_tokens(parameters[cell], attention[cell])
    gain = tasks.value[joined.task] * values.success
    owner = cell * len(tasks) + joined.task
    points = envelope(owner, cost, gain)
    needs = requirement(common)
    if needs is not None:
        needs = replace(needs, group=tasks.group[joined.task])
    found = segments(points, cell, owner, cost, gain, tasks.weight[joined.task], count, needs)
    with np.errstate(invalid="ignore"):
        bought = spend(found, np.where(possible, room, 0.0) / (2.0 * parameters))
    return np.where(possible, bought.value, -np.inf)


def _approximate(
    ensemble: Ensemble, weights: Weights, actions: Actions, loss: FloatArray
) -> Values:
    return averaged(ensemble, weights, actions, loss, groups=_GROUPS, side=Side.MIDDLE)


def _cost_and_gain(
    ensemble: Ensemble, actions: Actions, values: Values, parameters: float
) -> tuple[FloatArray, FloatArray]:
    size = np.array(parameters)
    cost = values.effective_tokens(size, ensemble.common.space.attention(size))
    assert ensemble.common.tasks is not None
    return cost, ensemble.common.tasks.value[actions.task] * values.success
