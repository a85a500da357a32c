"""Branch and bound for one plan under many draws: the search of `optimise`, on averages.

Cells are ranges of model size and of the loss under a law between those of the draws, which is a
coordinate for training tokens. In every draw the plans of a cell have a loss within bounds of its
own; success at the least, use at the least, and the averages of both bound the average value.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.cells import Cells
from ds3opt.optimise.menu import Actions, Values
from ds3opt.optimise.search import Search
from ds3opt.uncertainty.robust.averages import Side, Weights, averaged
from ds3opt.uncertainty.robust.ensemble import Ensemble
from ds3opt.uncertainty.robust.nearby import Spot, best_at

FloatArray = NDArray[np.float64]

_FIRST_GROUPS = 16
"""Groups of draws in the first wave; they double with every wave."""
_PIECES = (8, 32)
"""Fewest and most pieces of a cell's range of sizes on which losses are bounded."""
_BISECTIONS = 40
_FINE = 0.01
"""Length in ln N that pieces need not be shorter than."""


@dataclass
class RobustSearch(Search):
    """A search over averages; `best` is the best plan found."""

    ensemble: Ensemble = field(kw_only=True)
    draws: FloatArray = field(kw_only=True)
    """(draw,) weights in the objective, which sum to 1."""
    best: Spot | None = field(kw_only=True, default=None)
    floor: float = field(kw_only=True, default=-np.inf)
    """A value that is enough to come within the gap of, whether or not it is this objective's."""
    ease: float = field(kw_only=True, default=0.0)
    """Part of the gap that need not be closed to this objective's own best plan."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.everything = self.ensemble.first_actions()
        self.weights = Weights.of(self.ensemble, self.draws)
        solved = np.sum(self.ensemble.weight * self.ensemble.worth, axis=1)
        self.most = float(self.draws @ solved)
        self.incumbents[0].value = self.floor
        if self.best is not None:
            self._settle_for(self.best)

    def _settle_for(self, found: Spot) -> None:
        self.best = found
        incumbent = self.incumbents[0]
        incumbent.value = max(incumbent.value, found.value - self.ease * self.gap)
        incumbent.parameters, incumbent.loss = found.parameters, found.loss
        incumbent.price, incumbent.actions = found.mix.price, found.mix.actions

    def _groups(self, cells: Cells) -> int:
        depth = int(np.min(cells.depth, initial=30))
        return int(_FIRST_GROUPS * 2 ** min(depth, 20))

    def _at_best(self, cells: Cells) -> Values:
        self._least, self._most = self._losses(cells)
        return averaged(
            self.ensemble,
            self.weights,
            cells.actions,
            self._least,
            groups=self._groups(cells),
            slack=True,
        )

    def _at_worst(self, cells: Cells, actions: Actions) -> Values:
        return averaged(
            self.ensemble,
            self.weights,
            actions,
            self._most,
            groups=self._groups(cells),
            side=Side.WORST,
        )

    def _losses(self, cells: Cells) -> tuple[FloatArray, FloatArray]:
        """Least and greatest loss in every draw of a cell's plans, (draw, cell)."""
        ensemble = self.ensemble
        if ensemble.one_law:
            shape = (len(ensemble), len(cells))
            return np.broadcast_to(cells.loss_low, shape), np.broadcast_to(cells.loss_high, shape)
        longest = float(np.max(cells.size_high - cells.size_low, initial=0.0))
        pieces = int(np.clip(np.ceil(longest / _FINE), *_PIECES))
        share = np.linspace(0.0, 1.0, pieces + 1)
        log_size = cells.size_low[:, None] + (cells.size_high - cells.size_low)[:, None] * share
        size = np.exp(log_size)
        # less loss takes more tokens and a larger model fewer; limits may rise with the size
        curve = self._tokens(size, cells.loss_low)
        low, high = self._token_limits(size)
        most = np.minimum(curve[:, :-1], high[:, 1:])
        least = np.maximum(self._tokens(size, cells.loss_high)[:, 1:], low[:, :-1])
        possible = least <= high[:, 1:] * (1.0 + 1e-9)
        possible[~np.any(possible, axis=1)] = True
        least = np.minimum(least, high[:, 1:])
        best = self._each(size[:, 1:], most)
        worst = self._each(size[:, :-1], least)
        if not self.training.space.infinite_data:
            best = np.maximum(best, self._on_chords(log_size, curve))
        # no plan of the cell is in a piece that cannot reach its upper loss
        best = np.where(possible, best, np.inf)
        worst = np.where(possible, worst, -np.inf)
        return np.min(best, axis=2) * (1.0 - 1e-12), np.max(worst, axis=2) * (1.0 + 1e-12)

    def _on_chords(self, log_size: FloatArray, curve: FloatArray) -> FloatArray:
        """Least loss in every draw below a curve of training tokens, (draw, cell, piece).

        In logarithms the curve is convex, so below its chords, and every draw's loss is convex and
        falls with tokens. A convex function whose values at the ends and the middle of an interval
        are a, c, b is nowhere below the least of c, 2c - a, 2c - b. -inf where there is no curve.
        """
        known = np.isfinite(curve)
        log_tokens = np.log(np.where(known, curve, 1.0))
        ends = self._each(np.exp(log_size), np.exp(log_tokens))
        middle = self._each(
            np.exp(0.5 * (log_size[:, :-1] + log_size[:, 1:])),
            np.exp(0.5 * (log_tokens[:, :-1] + log_tokens[:, 1:])),
        )
        steepest = np.maximum(np.maximum(ends[:, :, :-1], ends[:, :, 1:]), middle)
        return np.where(known[:, :-1] & known[:, 1:], 2.0 * middle - steepest, -np.inf)

    def _each(self, size: FloatArray, tokens: FloatArray) -> FloatArray:
        """Loss in every draw of models (cell, piece): (draw, cell, piece)."""
        losses = self.ensemble.losses(size.ravel(), tokens.ravel())
        return losses.reshape(len(self.ensemble), *size.shape)

    def _trimmed(self, cells: Cells) -> Cells:
        """Only sizes that are as bad as the cell's lower loss with the fewest tokens allowed.

        Larger models are better whatever they are trained on, so their plans are in other cells.
        """
        trimmed = super()._trimmed(cells)
        if self.ensemble.one_law:
            return trimmed
        low, high = trimmed.size_low.copy(), trimmed.size_high
        kept = np.flatnonzero(self._as_bad(low, trimmed.loss_low))
        trimmed, low, high = trimmed.take(kept), low[kept], high[kept]
        whole = self._as_bad(high, trimmed.loss_low)
        end = high
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + end)
            bad = self._as_bad(middle, trimmed.loss_low)
            low, end = np.where(bad, middle, low), np.where(bad, end, middle)
        return replace(trimmed, size_high=np.where(whole, high, end))

    def _as_bad(self, log_size: FloatArray, loss: FloatArray) -> NDArray[np.bool_]:
        """Whether models with the fewest tokens allowed have at least this loss."""
        size = np.exp(log_size)
        fewest, _ = self._token_limits(size)
        if self.training.space.infinite_data:
            fewest = np.full(size.shape, np.inf)
        reached = self.training.reached_loss(size, np.maximum(fewest, 1e-300))
        return np.asarray(reached >= loss * (1.0 - 1e-9))

    def _tokens(self, size: FloatArray, loss: FloatArray) -> FloatArray:
        space = self.training.space
        if space.infinite_data:
            return np.full(size.shape, np.inf)
        return np.asarray(
            space.law.training_tokens_for(loss[:, None], size, unique_tokens=space.unique_tokens)
        )

    def _token_limits(self, size: FloatArray) -> tuple[FloatArray, FloatArray]:
        space = self.training.space
        (low, high), (fewest, most) = space.training_tokens, space.tokens_per_parameter
        return np.maximum(low, fewest * size), np.minimum(high, most * size)

    def _offer(self, cells: Cells, value: FloatArray, size: FloatArray, price: FloatArray) -> None:
        """Work out the most promising cell's plan in every draw."""
        place = int(np.argmax(value))
        known = -np.inf if self.best is None else self.best.value
        if not value[place] > known:
            return
        found = best_at(
            self.ensemble,
            self.weights,
            self.budgets[0],
            cells.actions.in_cell(place),
            float(size[place]),
            float(cells.loss_low[place]),
        )
        if found is not None and found.value > known:
            self._settle_for(found)

    def _narrowed(
        self,
        cells: Cells,
        nodes: FloatArray,
        bound: FloatArray,
        upper: FloatArray,
        reference: FloatArray,
        value: FloatArray,
    ) -> tuple[Cells, NDArray[np.bool_]]:
        """As for one law, and sizes are halved where they spread losses more than the loss does."""
        narrowed, by_size = super()._narrowed(cells, nodes, bound, upper, reference, value)
        if self.ensemble.one_law:
            return narrowed, by_size
        # at the middle size the draws' losses are those of the cell's two ends
        middle = np.exp(0.5 * (cells.size_low + cells.size_high))[:, None]
        _, high = self._token_limits(middle)
        best, worst = (
            self._each(middle, np.minimum(self._tokens(middle, loss), high))[:, :, 0]
            for loss in (cells.loss_low, cells.loss_high)
        )
        of_size, of_loss = self.draws @ (best - self._least), self.draws @ (worst - best)
        wide = narrowed.size_high - narrowed.size_low > 1e-9
        return narrowed, by_size | (wide & (of_size > of_loss))
