"""A plan for the worst draws, and weights of the draws that bound it, found in turns.

Against the weights of the moment the best model nearby is looked for; with it among the models
known, weights are made for which no mix of these does better than they must. Where that comes to
rest, weights and plan bound each other as closely as one model allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.uncertainty.robust.averages import Weights
from ds3opt.uncertainty.robust.ensemble import Ensemble
from ds3opt.uncertainty.robust.nearby import Spot, best_at, climbed_from, near_actions
from ds3opt.uncertainty.robust.tail import Slice, best_mix, slice_at, tail_mean, tail_weights

FloatArray = NDArray[np.float64]

_ROUNDS = 8
"""In which weights and models may take turns."""


@dataclass(frozen=True)
class Saddle:
    """Models known, weights of the draws against all of them, and the best plan for the tail."""

    ensemble: Ensemble
    tail: float
    slices: tuple[Slice, ...]
    draws: FloatArray
    """(draw,) weights, which are allowed for the tail."""
    bound: float
    """Of the mixes of all models known, with these weights."""
    value: float
    """Tail mean of the best plan."""
    best: Slice
    amount: FloatArray
    """Of the best slice's actions."""
    share: FloatArray
    """(slice,) part that each model has in the best mix of models."""

    @staticmethod
    def at(ensemble: Ensemble, tail: float, models: Sequence[tuple[float, float]]) -> Saddle | None:
        """The first models (size, loss) and their weights; None where none keeps the limits."""
        budgets = ensemble.common.budgets
        even = np.full(len(ensemble), 1.0 / len(ensemble))
        saddle: Saddle | None = None
        for parameters, loss in models:
            if saddle is not None:
                saddle = saddle._with(parameters, loss, (even, saddle.draws)) or saddle
                continue
            first = slice_at(ensemble, budgets, parameters, loss, [even])
            if first is None:
                continue
            whole = best_mix([first], 1.0, ensemble.tasks).amount[0]
            worst = tail_weights(first.value @ whole, tail)
            none = np.zeros(len(first.actions))
            blank = Saddle(ensemble, tail, (), worst, np.inf, -np.inf, first, none, np.zeros(0))
            saddle = blank._with(parameters, loss, (even, worst))
        return saddle

    def _with(
        self, parameters: float, loss: float, weights: tuple[FloatArray, ...]
    ) -> Saddle | None:
        """With one more model, whose actions are those for some weights."""
        budgets = self.ensemble.common.budgets
        added = slice_at(self.ensemble, budgets, parameters, loss, weights)
        return None if added is None else self._joined(added)

    def _joined(self, added: Slice) -> Saddle:
        slices, tasks = (*self.slices, added), self.ensemble.tasks
        alone = best_mix([added], self.tail, tasks)
        together = alone if len(slices) == 1 else best_mix(slices, self.tail, tasks)
        found = replace(
            self, slices=slices, draws=together.draws, bound=together.value, share=together.share
        )
        amount = _within_limits(added, alone.amount[0], tasks)
        value = tail_mean(added.value @ amount, self.tail)
        if value <= self.value:
            return found
        return replace(found, value=value, best=added, amount=amount)

    def settled(self, tolerance: float) -> Saddle:
        """With models and weights taking turns until neither gains more than the tolerance."""
        saddle = self
        for _ in range(_ROUNDS):
            spot = saddle._best_nearby()
            if spot is None or spot.value <= saddle.value + tolerance:
                break
            further = saddle.with_model(spot.parameters, spot.loss)
            if further is saddle:
                break
            saddle = further
        return saddle

    def with_model(self, parameters: float, loss: float) -> Saddle:
        """With one more model, its actions those for the weights before and with it."""
        found = self._with(parameters, loss, (self.draws,))
        if found is None:
            return self
        # the second look at the same model has all actions of the first
        again = slice_at(
            self.ensemble,
            self.ensemble.common.budgets,
            parameters,
            loss,
            (self.draws, found.draws),
        )
        return found if again is None else replace(found, slices=self.slices)._joined(again)

    def _best_nearby(self) -> Spot | None:
        """The best plan for the weights of the moment near the best model for the tail."""
        ensemble, weights = self.ensemble, Weights.of(self.ensemble, self.draws)
        budgets, model = ensemble.common.budgets, self.best
        actions = near_actions(ensemble, weights, budgets, model.parameters, model.loss)
        start = best_at(ensemble, weights, budgets, actions, model.parameters, model.loss)
        return None if start is None else climbed_from(ensemble, weights, budgets, start)


def _within_limits(found: Slice, amount: FloatArray, tasks: int) -> FloatArray:
    """Amounts without what a linear programme's rounding takes beyond limits and requests."""
    whole = np.bincount(found.actions.task, amount, minlength=tasks)
    amount = amount / np.maximum(whole, 1.0)[found.actions.task]
    used = float(found.cost @ amount)
    return np.asarray(amount / max(used, 1.0))
