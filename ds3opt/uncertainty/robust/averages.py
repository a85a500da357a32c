"""What actions bring and use on average over draws, exactly or from one side.

Where draws differ only in the chance that a step succeeds, they are sorted by it and put together
in groups: the best draw of a group stands for all of it where the average must not be too low, the
worst where it must not be too high.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.menu import Actions, Values, evaluate
from ds3opt.uncertainty.robust.ensemble import Ensemble

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_AT_ONCE = 300_000
"""Pairs of an action and a draw that are worked out together."""
_CHANCES = 4_000_000
"""Chances of a step, by draw, cell and task, that are held together."""


class Side(Enum):
    """Which draw stands for a group."""

    BEST = 0
    MIDDLE = 1
    """Their mean chance of a step: nearest, and on neither side."""
    WORST = 2


@dataclass(frozen=True)
class Weights:
    """What a task's success and use in each draw count for; the sums over draws are averages."""

    gain: FloatArray  # (draw, task) of value, over the task's mean weight and worth
    cost: FloatArray  # (draw, task) of use, over the task's mean weight

    @staticmethod
    def of(ensemble: Ensemble, draws: FloatArray) -> Weights:
        """Weights for an objective that weights draws by `draws`, (draw,), which sum to 1."""
        tasks = ensemble.common.tasks
        assert tasks is not None
        weight = np.where(tasks.weight > 0.0, tasks.weight, 1.0)
        value = tasks.weight * tasks.value
        gain = draws[:, None] * ensemble.weight * ensemble.worth
        served = ensemble.served / ensemble.served.sum()
        return Weights(
            gain / np.where(value > 0.0, value, 1.0),
            served[:, None] * ensemble.weight / weight,
        )


def averaged(
    ensemble: Ensemble,
    weights: Weights,
    actions: Actions,
    loss: FloatArray,
    *,
    groups: int | None = None,
    side: Side = Side.BEST,
    slack: bool = False,
) -> Values:
    """Values of actions on average over draws, (action,).

    Parameters
    ----------
    actions : of the ensemble's common problem.
    loss : (draw, cell) of the actions' cells.
    groups : of draws, at most; None keeps draws apart.
    """
    found = _Sums.empty(len(actions))
    # cells are taken by as many as fit into memory with all of their draws
    together = max(1, _CHANCES // (len(ensemble) * ensemble.tasks))
    for begin in range(0, loss.shape[1], together):
        cells = np.arange(begin, min(begin + together, loss.shape[1]))
        first, last = np.searchsorted(actions.cell, [cells[0], cells[-1] + 1])
        if last > first:
            part = actions.take(np.arange(first, last))
            part = replace(part, cell=part.cell - begin)
            _of_cells(
                ensemble, weights, part, loss[:, cells], groups, side, slack, found, int(first)
            )
    return Values(
        found.success, found.slack, found.tokens, found.pairs, found.pair_slack, found.checking
    )


def _of_cells(
    ensemble: Ensemble,
    weights: Weights,
    actions: Actions,
    loss: FloatArray,
    groups: int | None,
    side: Side,
    slack: bool,
    found: _Sums,
    offset: int,
) -> None:
    """Add the averages of some cells' actions, which begin at `offset`."""
    step = ensemble.step_success(loss)  # (draw, cell, task)
    alike = ensemble.alike[actions.task]
    for mask, same in ((alike, True), (~alike, False)):
        index = np.flatnonzero(mask)
        if index.size == 0:
            continue
        if same and groups is not None and groups < len(ensemble):
            grouped = _grouped(step, weights, groups, side)
        else:
            shape = (step.shape[1], 1)
            grouped = (
                step,
                np.repeat(weights.gain[:, None, :], shape[0], axis=1),
                np.repeat(weights.cost[:, None, :], shape[0], axis=1),
            )
        _add(ensemble, found, actions.take(index), index + offset, same, grouped, slack)


@dataclass
class _Sums:
    """Weighted sums over draws, (action,)."""

    success: FloatArray
    slack: FloatArray
    tokens: FloatArray
    pairs: FloatArray
    pair_slack: FloatArray
    checking: FloatArray

    @staticmethod
    def empty(count: int) -> _Sums:
        return _Sums(*(np.zeros(count) for _ in range(6)))


def _grouped(
    step: FloatArray, weights: Weights, groups: int, side: Side
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Chance of a step and weights of groups of draws, each (group, cell, task)."""
    draws = step.shape[0]
    order = np.argsort(step, axis=0, kind="stable")
    ranked = np.take_along_axis(step, order, axis=0)
    edges = np.unique(np.linspace(0, draws, groups + 1).astype(np.intp))
    first, last = edges[:-1], edges[1:] - 1
    if side is Side.MIDDLE:
        size = (last - first + 1).astype(np.float64)
        chance = np.add.reduceat(ranked, first, axis=0) / size[:, None, None]
    else:
        chance = ranked[last if side is Side.BEST else first]
    task = np.arange(step.shape[2])
    gain = np.add.reduceat(weights.gain[order, task], first, axis=0)
    cost = np.add.reduceat(weights.cost[order, task], first, axis=0)
    return chance, gain, cost


def _add(
    ensemble: Ensemble,
    found: _Sums,
    actions: Actions,
    index: IntArray,
    same: bool,
    grouped: tuple[FloatArray, FloatArray, FloatArray],
    slack: bool,
) -> None:
    """Add the averages of some actions at their index."""
    chance, gain, cost = grouped
    groups, cells, _ = chance.shape
    problem = ensemble.common if same else ensemble.stacked
    count = len(actions)
    parts = max(1, _AT_ONCE // count)
    for begin in range(0, groups, parts):
        part = np.arange(begin, min(begin + parts, groups))
        # lattice neighbours stay side by side within each draw
        draw = np.repeat(part, count)
        repeated = actions.take(np.tile(np.arange(count), part.size))
        task = repeated.task if same else repeated.task + draw * ensemble.tasks
        repeated = replace(repeated, task=task, cell=repeated.cell + (draw - begin) * cells)
        if not same:
            repeated = _ended(ensemble, repeated)
        shape = (part.size, count)
        at = (part[:, None], actions.cell, actions.task)
        step = chance[at].ravel()
        values = evaluate(problem, repeated, step, slack=slack, step=step)
        of_gain, of_cost = gain[at], cost[at]
        found.success[index] += np.sum(of_gain * values.success.reshape(shape), axis=0)
        found.slack[index] += np.sum(of_gain * values.slack.reshape(shape), axis=0)
        for name in ("tokens", "pairs", "pair_slack", "checking"):
            total = np.sum(of_cost * getattr(values, name).reshape(shape), axis=0)
            getattr(found, name)[index] += total


def _ended(ensemble: Ensemble, actions: Actions) -> Actions:
    """Actions on the stacked tasks, whose traces end where their draw has no room for more."""
    tasks = ensemble.stacked.tasks
    assert tasks is not None
    last = tasks.max_steps[actions.task]
    return replace(
        actions,
        steps=np.minimum(actions.steps, last),
        below=np.minimum(actions.below, last),
        above=np.minimum(actions.above, last),
    )
