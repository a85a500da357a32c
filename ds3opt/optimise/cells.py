"""Search cells as arrays: ranges of loss and size, and the actions left to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.menu import Actions

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

CHUNK = 200_000
"""Actions that are examined together."""


@dataclass(frozen=True)
class Cells:
    """Open cells, as arrays over cells, with the actions that are left to them."""

    budget: IntArray
    loss_low: FloatArray
    loss_high: FloatArray
    size_low: FloatArray  # ln N
    size_high: FloatArray
    pairs: FloatArray  # attention token pairs per task of the parent's allocation
    checking: FloatArray  # verifier FLOP per task of the parent's allocation
    price_low: FloatArray  # (cell, kind of price)
    """The actions left are complete for prices of an effective token in [price_low, price_high].

    Classes with a required accuracy have a kind of price each, in units of what their successes are
    worth with the requirement; the first kind is that of all others.
    """
    price_high: FloatArray
    free_price: NDArray[np.bool_]
    """Whether actions stay for all prices, after the price once left its range."""
    given_up: FloatArray
    """Value per task that actions left out may have had above those that stayed."""
    upper: FloatArray
    depth: IntArray
    actions: Actions

    def __len__(self) -> int:
        return int(self.budget.size)

    def take(self, index: IntArray) -> Cells:
        """The cells at an index, which may repeat, and their actions."""
        arrays = {n: getattr(self, n)[index] for n in _ARRAYS}
        start = np.searchsorted(self.actions.cell, np.arange(len(self) + 1))
        lengths = (start[1:] - start[:-1])[index]
        new = np.repeat(np.arange(index.size), lengths)
        offset = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        taken = self.actions.take(start[:-1][index][new] + offset)
        return Cells(**arrays, actions=replace(taken, cell=new.astype(np.intp)))

    @staticmethod
    def joined(parts: Sequence[Cells]) -> Cells:
        """Several blocks of cells as one."""
        starts = np.cumsum([0, *(len(part) for part in parts)])
        actions = [
            replace(part.actions, cell=part.actions.cell + start)
            for part, start in zip(parts, starts, strict=False)
        ]
        arrays = {n: np.concatenate([getattr(part, n) for part in parts]) for n in _ARRAYS}
        return Cells(**arrays, actions=Actions.joined(actions))


_ARRAYS = tuple(name for name in Cells.__dataclass_fields__ if name != "actions")


@dataclass(frozen=True)
class Examined:
    """Cells with their upper bounds, narrowed sizes and surviving actions."""

    cells: Cells
    by_size: NDArray[np.bool_]
    """Which cells to halve in size rather than in loss."""
    lost: NDArray[np.bool_]
    """Which cells' prices lie outside the range that their actions are complete for."""
    loosened: NDArray[np.bool_]
    """Which cells' bounds suffer from slack between the steps of their lattice."""
    loose: FloatArray  # (action,) worth of the slack


def halved(cells: Cells, by_size: NDArray[np.bool_]) -> Cells:
    """Both halves of every cell, cut in size under a mask and else in loss."""
    loss_middle = 0.5 * (cells.loss_low + cells.loss_high)
    size_middle = 0.5 * (cells.size_low + cells.size_high)
    twice = np.tile(np.arange(len(cells)), 2)
    both = cells.take(twice)
    second = np.repeat([False, True], len(cells))
    size_cut, loss_cut = by_size[twice], ~by_size[twice]
    return replace(
        both,
        depth=both.depth + 1,
        loss_low=np.where(loss_cut & second, loss_middle[twice], both.loss_low),
        loss_high=np.where(loss_cut & ~second, loss_middle[twice], both.loss_high),
        size_low=np.where(size_cut & second, size_middle[twice], both.size_low),
        size_high=np.where(size_cut & ~second, size_middle[twice], both.size_high),
    )


def blocks_of(cells: Cells) -> list[Cells]:
    """Cells in runs of at most CHUNK actions, at least one cell each."""
    if len(cells) == 0:
        return []
    if len(cells.actions) <= CHUNK:
        return [cells]
    lengths = np.bincount(cells.actions.cell, minlength=len(cells))
    group = np.cumsum(lengths) // CHUNK
    return [cells.take(np.flatnonzero(group == g)) for g in np.unique(group)]
