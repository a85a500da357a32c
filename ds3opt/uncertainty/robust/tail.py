"""The worst draws: the mean over a tail, the best mix for it, and the weights that bound it.

The mean over the worst part `tail` of the draws is the least average with weights that sum to 1 and
are at most ``1 / (tail draws)`` each. Any such weights give an average that is no lower, so a bound
on the best weighted average bounds the best tail mean. The weights that bound it best are the dual
values of a linear programme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.envelopes import room_for
from ds3opt.optimise.menu import Actions
from ds3opt.problem import Budgets
from ds3opt.uncertainty.robust.averages import Weights
from ds3opt.uncertainty.robust.ensemble import Ensemble
from ds3opt.uncertainty.robust.nearby import near_actions, tokens_at
from ds3opt.uncertainty.robust.plan import in_every_draw

FloatArray = NDArray[np.float64]

_DEAREST = 1e6
"""Cost, over what is left for inference, above which an action is for too few requests to count."""
_LEAST_VALUE = 1e-14
"""Values below this only spoil the scale of the linear programme."""
_LEAST_PART = 1e-9
"""Parts of a task's requests below this are rounding of the linear programme."""


def tail_weights(values: FloatArray, tail: float) -> FloatArray:
    """Weights of the draws, (draw,), with which their average is the mean over the worst of them.

    >>> tail_weights(np.array([3.0, 1.0, 2.0, 4.0]), 0.5).tolist()
    [0.0, 0.5, 0.5, 0.0]
    """
    most = 1.0 / (tail * values.size)
    order = np.argsort(values, kind="stable")
    weights = np.zeros(values.size)
    before = np.minimum(most * np.arange(values.size), 1.0)
    weights[order] = np.clip(1.0 - before, 0.0, min(most, 1.0))
    return weights


def tail_mean(values: FloatArray, tail: float) -> float:
    """Mean over the worst part of the draws; a draw may belong to it in part.

    >>> tail_mean(np.array([3.0, 1.0, 2.0, 4.0]), 0.25)
    1.0
    """
    return float(tail_weights(values, tail) @ values)


@dataclass(frozen=True)
class Slice:
    """One model and the actions that may serve its tasks."""

    parameters: float
    loss: float
    """Under the common law."""
    training_tokens: float
    actions: Actions
    value: FloatArray  # (draw, action) of the objective
    cost: FloatArray  # (action,) mean use as a part of what is left for inference


def slice_at(
    ensemble: Ensemble,
    budgets: Budgets,
    parameters: float,
    loss: float,
    weights: Sequence[FloatArray],
) -> Slice | None:
    """The actions worth a look at a model for each of several weights of the draws.

    None where training alone breaks a limit.
    """
    size, at = np.array([parameters]), np.array([loss])
    room = float(room_for(ensemble.common, budgets, size, at)[0])
    if room < 0.0:
        return None
    found = [
        near_actions(ensemble, Weights.of(ensemble, each), budgets, parameters, loss)
        for each in weights
    ]
    joined = Actions.joined(found)
    _, first = np.unique(
        np.stack([joined.task, joined.policy, joined.steps]), axis=1, return_index=True
    )
    actions = joined.take(np.sort(first) if room > 0.0 else first[:0])
    tokens = tokens_at(ensemble, size, at)
    values = in_every_draw(ensemble, actions, ensemble.losses(size, tokens))
    draws = len(ensemble)
    attention = ensemble.common.space.attention(size)[0]
    each = np.full(values.success.size, attention)
    tokens_used = values.effective_tokens(np.full(each.size, parameters), each)
    used = (2.0 * parameters * tokens_used).reshape(len(actions), draws).T
    weight = ensemble.weight[:, actions.task]
    served = ensemble.served / ensemble.served.sum()
    value = weight * ensemble.worth[:, actions.task] * values.success.reshape(len(actions), draws).T
    cost = served @ (weight * used) / room if np.isfinite(room) else np.zeros(len(actions))
    fits = np.flatnonzero(cost <= _DEAREST)
    return Slice(parameters, loss, float(tokens[0]), actions.take(fits), value[:, fits], cost[fits])


@dataclass(frozen=True)
class TailMix:
    """The best mix over slices for a tail, and the weights of the draws that vouch for it."""

    value: float
    share: FloatArray  # (slice,)
    amount: tuple[FloatArray, ...]
    """Of every slice's actions, part of the task's requests, (action,)."""
    draws: FloatArray  # (draw,)


def best_mix(slices: Sequence[Slice], tail: float, tasks: int) -> TailMix:
    """The most tail mean that a mix of actions reaches, over slices mixed with one another.

    With several slices it is no plan, as only one model is trained, but its weights are the best
    for all of them at once.
    """
    from scipy.optimize import linprog

    draws, count = slices[0].value.shape[0], len(slices)
    value = np.concatenate([each.value for each in slices], axis=1)
    cost = np.concatenate([each.cost for each in slices])
    # in parts of requests that the limits pay for, so that no number is large
    unit = 1.0 / np.maximum(cost, 1.0)
    value = np.where(value > _LEAST_VALUE, value, 0.0) * unit
    columns = value.shape[1]
    which = np.repeat(np.arange(count), [len(each.actions) for each in slices])
    owner = which * tasks + np.concatenate([each.actions.task for each in slices])
    # variables: actions, slices, the threshold, what each draw falls short of it
    falls = np.concatenate(
        [-value, np.zeros((draws, count)), np.ones((draws, 1)), -np.eye(draws)], axis=1
    )
    whole = np.zeros((count * tasks, falls.shape[1]))
    whole[owner, np.arange(columns)] = unit
    whole[np.arange(count * tasks), columns + np.arange(count * tasks) // tasks] = -1.0
    paid = np.zeros((count, falls.shape[1]))
    paid[which, np.arange(columns)] = cost * unit
    paid[np.arange(count), columns + np.arange(count)] = -1.0
    one = np.zeros((1, falls.shape[1]))
    one[0, columns : columns + count] = 1.0
    most = 1.0 / (tail * draws)
    bounds: list[tuple[float | None, float | None]] = [(0.0, None)] * falls.shape[1]
    bounds[columns + count] = (None, None)
    rows = np.concatenate([falls, whole, paid])
    solved = linprog(
        np.concatenate([np.zeros(columns + count), [-1.0], np.full(draws, most)]),
        A_ub=rows,
        b_ub=np.zeros(rows.shape[0]),
        A_eq=one,
        b_eq=np.ones(1),
        bounds=bounds,
        method="highs",
    )
    if solved.x is None:  # any weights bound the tail, and no mix claims nothing
        even, none = np.full(draws, 1.0 / draws), [np.zeros(len(e.actions)) for e in slices]
        return TailMix(0.0, np.full(count, 1.0 / count), tuple(none), even)
    dual = np.clip(-solved.ineqlin.marginals[:draws], 0.0, most)
    amount = solved.x[:columns] * unit
    amount = np.where(amount > _LEAST_PART, amount, 0.0)
    return TailMix(
        -float(solved.fun or 0.0),
        solved.x[columns : columns + count],
        tuple(amount[which == k] for k in range(count)),
        _as_weights(dual, most),
    )


def _as_weights(dual: FloatArray, most: float) -> FloatArray:
    """Dual values made to sum to 1 exactly, each at most `most`."""
    total = float(dual.sum())
    if total >= 1.0:
        return dual / total
    left = most - dual
    return np.asarray(dual + left * ((1.0 - total) / float(left.sum())))
