"""Multipliers of limits and requirements, with which the value of every plan of a cell is bounded.

A plan is worth at most what its tasks bring net of a price per effective token, where the successes
of a class that must reach an accuracy are worth something extra. Any prices give a bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.allocation import Required, Segments
from ds3opt.optimise.cells import Cells
from ds3opt.optimise.envelopes import Envelopes
from ds3opt.optimise.menu import Actions, Values
from ds3opt.optimise.requirement import requirement
from ds3opt.problem import Problem

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


_ROUNDING = 1e-14
"""Part of a required success that rounding may take; close to a ceiling it is worth a lot."""


@dataclass(frozen=True)
class Multipliers:
    """What bounds of a problem take from its tasks."""

    problem: Problem
    weight: FloatArray  # (task,)
    value: FloatArray  # (task,) of a success
    group: IntArray  # (task,) its class
    required: Required | None
    kind: IntArray  # (task,) the kind of price that it follows
    kinds: int

    @staticmethod
    def of(problem: Problem) -> Multipliers:
        """Classes with a required accuracy have a kind of price each, all others the first."""
        tasks, required = problem.tasks, requirement(problem)
        assert tasks is not None
        kind, kinds = np.zeros(len(tasks), dtype=np.intp), 1
        if required is not None:
            kind = np.where(required.needy, np.cumsum(required.needy), 0)[tasks.group]
            kinds += int(required.needy.sum())
        return Multipliers(
            problem, tasks.weight, tasks.value, tasks.group, required, kind.astype(np.intp), kinds
        )

    def prices(
        self, found: Segments, price: FloatArray, budget: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Prices of an effective token, and of a required success of every group, per cell.

        Any prices give a bound. These are the dual values of the cell's allocation; where the
        requirements cannot be met they are large enough to show it.
        """
        if self.required is None:
            return price, np.zeros((price.size, 0))
        total = float(self.weight @ self.value)
        needed, short = found.needed, np.any(found.lack > 0.0, axis=1)
        over = np.isfinite(needed) & (needed > budget)
        with np.errstate(divide="ignore", invalid="ignore"):
            steep = 10.0 * total / np.maximum(needed - budget, 1e-9 * needed)
            price = np.where(over, np.maximum(steep, price), price)
            price = np.where(short, 0.0, price)
            extra = self.required.worth * (price[:, None] / found.margin - 1.0)
            extra = np.where(np.isfinite(found.margin), np.maximum(extra, 0.0), 0.0)
            lacking = 10.0 * total / np.where(found.lack > 0.0, found.lack, 1.0)
        extra = np.where(short[:, None], np.where(found.lack > 0.0, lacking, 0.0), extra)
        return price, np.nan_to_num(extra)

    def by_kind(self, price: FloatArray, extra: FloatArray) -> FloatArray:
        """Prices in units of what successes are worth, (cell, kind)."""
        found = np.empty((price.size, self.kinds))
        found[:, 0] = price
        if self.required is not None:
            needy = self.required.needy
            worth = self.required.worth[needy]
            found[:, 1:] = price[:, None] * worth / (worth + extra[:, needy])
        return found

    def worth(self, actions: Actions, extra: FloatArray) -> FloatArray:
        """Worth of a success of every action, with what a required accuracy adds to it."""
        worth = self.value[actions.task]
        return worth + extra[actions.cell, self.group[actions.task]] if extra.size else worth

    def lagrangian(
        self,
        cells: Cells,
        offered: Envelopes,
        values: Values,
        nodes: FloatArray,
        price: FloatArray,
        extra: FloatArray,
    ) -> FloatArray:
        """Most value net of the price of tokens at every ln N, (cell, node); see `bounds`.

        Parameters
        ----------
        offered, values : of the cells' actions. nodes : (cell, node) ln N.
        price : (cell,). extra : (cell, class).
        """
        actions, count = cells.actions, len(cells)
        phi = np.zeros(nodes.shape)
        if len(actions) == 0:
            return phi
        starts = np.flatnonzero(np.concatenate([[True], np.diff(offered.owner) != 0]))
        weight, of_cell = offered.weight[starts], actions.cell[starts]
        worth = self.worth(actions, extra)
        best_gain = worth * (values.success + values.slack)
        nearest = (actions.below / actions.steps) ** 2
        of_action = price[actions.cell]
        size = np.exp(nodes)
        attention = self.problem.space.attention(size)
        for node in range(nodes.shape[1]):
            cost = values.effective_tokens(
                size[actions.cell, node], attention[actions.cell, node], least=True
            )
            net = best_gain - of_action * cost
            if values.top is not None:
                # what lies between an action and its neighbours succeeds no more often than the
                # upper one and costs no less than the lower, whose cost is at least that share
                net = np.minimum(net, worth * values.top - of_action * nearest * cost)
            best = np.maximum.reduceat(net, starts)
            phi[:, node] = np.bincount(of_cell, weight * np.maximum(best, 0.0), minlength=count)
        if extra.size and self.required is not None:
            phi -= (extra @ self.required.least)[:, None] * (1.0 - _ROUNDING)
        return phi

    def price_range(self, cells: Cells, actions: Actions) -> tuple[FloatArray, FloatArray]:
        """Prices for which each action must stay."""
        at = (actions.cell, self.kind[actions.task])
        return cells.price_low[at], cells.price_high[at]
