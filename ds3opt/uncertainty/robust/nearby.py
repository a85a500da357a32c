"""Around a model: the best plan for all draws at a size and loss, to the last whole step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.answer import Mix, mixed
from ds3opt.optimise.envelopes import Envelopes, in_every_case, room_for
from ds3opt.optimise.menu import Actions
from ds3opt.optimise.moves import Models, climbed, near_price, to_whole_steps
from ds3opt.optimise.requirement import requirement
from ds3opt.optimise.training import Training
from ds3opt.problem import Budgets
from ds3opt.uncertainty.robust.averages import Side, Weights, averaged
from ds3opt.uncertainty.robust.ensemble import Ensemble

FloatArray = NDArray[np.float64]

_GROUPS = 32
"""Of draws, where a plan is looked for; the plan found is then worked out in every draw."""


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
    size, at = np.array([parameters]), np.array([loss])
    losses = ensemble.losses(size, tokens_at(ensemble, size, at))

    def envelopes(actions: Actions) -> Envelopes:
        alone = replace(actions, cell=np.zeros(len(actions), dtype=np.intp))
        return _envelopes(ensemble, weights, alone, losses, size)

    actions = to_whole_steps(ensemble.first_actions(), lambda some: envelopes(some).points)
    if requirement(ensemble.common) is not None:
        return actions
    room = room_for(ensemble.common, budgets, size, at)
    return actions.take(near_price(envelopes(actions), room, size))


def climbed_from(
    ensemble: Ensemble, weights: Weights, budgets: Budgets, start: Spot, *, rounds: int = 6
) -> Spot:
    """The best plan near a plan; never a worse one."""
    size, loss = np.array([start.parameters]), np.array([start.loss])
    actions = near_actions(ensemble, weights, budgets, start.parameters, start.loss)
    best = climbed(
        Training(ensemble.common.space),
        np.array([min(budgets.total_flop, budgets.training_flop)]),
        Models(size, loss, np.array([-np.inf])),
        lambda _, sizes, losses: _values_at(ensemble, weights, budgets, actions, sizes, losses),
        rounds=rounds,
    )
    model = float(best.parameters[0]), float(best.loss[0])
    actions = near_actions(ensemble, weights, budgets, *model)
    found = best_at(ensemble, weights, budgets, actions, *model)
    return start if found is None or found.value < start.value else found


def _values_at(
    ensemble: Ensemble,
    weights: Weights,
    budgets: Budgets,
    actions: Actions,
    parameters: FloatArray,
    loss: FloatArray,
) -> FloatArray:
    """About the best value of every model, (model,); -inf where limits forbid it."""
    room = np.where(np.isfinite(loss), room_for(ensemble.common, budgets, parameters, loss), -1.0)
    possible = room >= 0.0
    tokens = tokens_at(ensemble, parameters, np.where(possible, loss, np.inf))
    losses = ensemble.losses(parameters, np.where(possible, tokens, 1e9))
    joined = in_every_case(actions, parameters.size)
    return _envelopes(ensemble, weights, joined, losses, parameters).best(room, parameters)


def _envelopes(
    ensemble: Ensemble,
    weights: Weights,
    actions: Actions,
    losses: FloatArray,
    parameters: FloatArray,
) -> Envelopes:
    """Averages over groups of draws; `losses` are (draw, case)."""
    values = averaged(ensemble, weights, actions, losses, groups=_GROUPS, side=Side.MIDDLE)
    return Envelopes.of(ensemble.common, actions, actions.cell, values, parameters)
