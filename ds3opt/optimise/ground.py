"""What a search covers: limits, the first cells, and what training leaves in cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.cells import CHUNK, Cells
from ds3opt.optimise.envelopes import room_left
from ds3opt.optimise.menu import Actions, first_actions
from ds3opt.optimise.multipliers import Multipliers
from ds3opt.optimise.training import Training
from ds3opt.problem import Budgets, Problem

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

ROOT_CELLS = 32
_SIZE_GRID = np.linspace(0.0, 1.0, 13)
_SIZE_ROUNDS = 3


@dataclass
class Ground:
    """A problem under several limit sets, cut into cells."""

    problem: Problem
    budgets: list[Budgets]
    gap: float

    def __post_init__(self) -> None:
        self.training = Training(self.problem.space)
        self.served = self._tasks_served()
        self.total_flop = np.array([b.total_flop for b in self.budgets])
        self.inference_flop = np.array([b.inference_flop for b in self.budgets])
        self.training_cap = np.array([min(b.total_flop, b.training_flop) for b in self.budgets])
        tasks = self.problem.tasks
        assert tasks is not None
        self.weight = tasks.weight
        self.worth = tasks.value
        self.multipliers = Multipliers.of(self.problem)
        self.everything = None if self.problem.levels is not None else first_actions(self.problem)

    def _tasks_served(self) -> FloatArray:
        """Tasks that share the training, (budget,)."""
        return np.full(len(self.budgets), self.problem.tasks_served)

    def _roots(self) -> Iterator[Cells]:
        """The first cells, block by block, so that large menus are never all in memory."""
        floors = np.broadcast_to(self.problem.space.law.irreducible, len(self.budgets))
        rows: list[tuple[int, float, float]] = []
        lowest, highest = self.training.loss_ranges(self.training_cap)
        for index in np.flatnonzero(np.isfinite(lowest)).tolist():
            irreducible, span = floors[index], (float(lowest[index]), float(highest[index]))
            low, high = (max(loss - irreducible, 1e-12) for loss in span)
            count = ROOT_CELLS if high > low else 1
            edges = irreducible + np.geomspace(low, high, count + 1)
            edges[0], edges[-1] = span
            rows += [(index, edges[i], edges[i + 1]) for i in range(count)]
        part: list[Actions] = []
        begin = held = 0
        for place, (index, low, high) in enumerate(rows):
            menu = self._menu(index, low, high)
            if part and held + len(menu) > CHUNK:
                yield from self._block(rows[begin:place], part)
                part, begin, held = [], place, 0
            part.append(menu)
            held += len(menu)
        if part:
            yield from self._block(rows[begin:], part)

    def _menu(self, budget: int, low: float, high: float) -> Actions:
        """All actions that may be best for some loss in [low, high] under a budget."""
        if self.everything is not None:
            return self.everything
        return first_actions(self.problem, losses=(low, high))

    def _block(self, rows: list[tuple[int, float, float]], menus: list[Actions]) -> Iterator[Cells]:
        """Root cells (budget, lower and upper loss) with their menus; none if nothing is left."""
        count = len(rows)
        alone = Cells(
            budget=np.array([r[0] for r in rows], dtype=np.intp),
            loss_low=np.array([r[1] for r in rows]),
            loss_high=np.array([r[2] for r in rows]),
            size_low=np.full(count, np.log(self.problem.space.parameters[0])),
            size_high=np.full(count, np.log(self.problem.space.parameters[1])),
            pairs=np.zeros(count),
            checking=np.zeros(count),
            price_low=np.zeros((count, self.multipliers.kinds)),
            price_high=np.full((count, self.multipliers.kinds), np.inf),
            free_price=np.zeros(count, bool),
            given_up=np.zeros(count),
            upper=np.full(count, np.inf),
            depth=np.zeros(count, dtype=np.intp),
            actions=_side_by_side(menus),
        )
        trimmed = self._trimmed(alone)
        if len(trimmed):
            yield trimmed

    def _trimmed(self, cells: Cells) -> Cells:
        """Drop what no plan reaches, and narrow sizes to those that reach the cell's upper loss."""
        training = self.training.of(cells.budget)
        low, high = training.size_interval(cells.loss_high, self.training_cap[cells.budget])
        with np.errstate(invalid="ignore"):
            low, high = np.log(low), np.log(high)
        keep = np.flatnonzero(
            np.isfinite(low) & (high >= cells.size_low) & (low <= cells.size_high)
        )
        kept = cells if keep.size == len(cells) else cells.take(keep)
        size_low = np.maximum(kept.size_low, low[keep])
        # a larger model is better than the cell's loss, so its plans are in another cell
        high = np.minimum(high[keep], np.log(self.training.largest_size(kept.loss_low)))
        size_high = np.maximum(np.minimum(kept.size_high, high), size_low)
        training = self.training.of(kept.budget)
        best, worst = training.loss_span(np.exp(size_low), np.exp(size_high))
        loss_low = np.maximum(kept.loss_low, best)
        return replace(
            kept,
            loss_low=loss_low,
            loss_high=np.maximum(np.minimum(kept.loss_high, worst), loss_low),
            size_low=size_low,
            size_high=size_high,
        )

    def _room(self, budget: IntArray, size: FloatArray, loss: FloatArray) -> FloatArray:
        """Inference FLOP per task that training leaves; negative where training is too dear."""
        return room_left(
            self.training.of(np.ravel(budget)).flop(size, loss),
            self.total_flop[budget],
            self.training_cap[budget],
            self.inference_flop[budget],
            self.served[budget],
        )

    def _likely_size(self, cells: Cells, loss: FloatArray) -> FloatArray:
        """The size in each cell that leaves most tokens at a loss, net of the rest."""
        low, high = cells.size_low, cells.size_high
        rows = np.arange(len(cells))
        reachable = np.zeros(len(cells), bool)
        for _ in range(_SIZE_ROUNDS):
            u = low[:, None] + (high - low)[:, None] * _SIZE_GRID
            net = self._net_tokens(cells, u, loss)
            reachable = np.any(net > -np.inf, axis=1)
            if not np.all(reachable):
                at_high = self._net_tokens(cells, u, cells.loss_high)
                net = np.where(reachable[:, None], net, at_high)
            best = np.argmax(net, axis=1)
            low = u[rows, np.maximum(best - 1, 0)]
            high = u[rows, np.minimum(best + 1, _SIZE_GRID.size - 1)]
        return np.asarray(np.exp(u[rows, best]))

    def _net_tokens(self, cells: Cells, u: FloatArray, loss: FloatArray) -> FloatArray:
        size = np.exp(u)
        room = self._room(cells.budget[:, None], size, np.broadcast_to(loss[:, None], u.shape))
        extra = 2.0 * self.problem.space.attention(size) * cells.pairs[:, None]
        net = (room - extra - cells.checking[:, None]) / size
        return np.asarray(np.where(room > 0.0, np.where(np.isinf(room), -u, net), -np.inf))

    def _renewed(self, cells: Cells) -> Cells:
        """Cells whose price has left its range start again from all actions."""
        count = len(cells)
        return replace(
            cells,
            price_low=np.zeros((count, self.multipliers.kinds)),
            price_high=np.full((count, self.multipliers.kinds), np.inf),
            free_price=np.ones(count, bool),
            given_up=np.zeros(count),
            actions=_side_by_side(
                [
                    self._menu(int(budget), float(low), float(high))
                    for budget, low, high in zip(
                        cells.budget, cells.loss_low, cells.loss_high, strict=True
                    )
                ]
            ),
        )


def _side_by_side(menus: list[Actions]) -> Actions:
    """Menus as the actions of one cell each."""
    return Actions.joined(
        [
            replace(menu, cell=np.full(len(menu), index, dtype=np.intp))
            for index, menu in enumerate(menus)
        ]
    )
