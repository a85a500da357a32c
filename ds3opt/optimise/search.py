"""Branch and bound over pretraining loss and model size, every task with its own policy.

Many budgets are searched at once: a wave evaluates all open cells of all budgets in a few array
operations. A cell is closed when its upper bound is within the gap of the best plan found for its
budget; the others are halved, in loss or in size, and keep only those actions that can still be on
a task's concave envelope somewhere inside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.allocation import active, envelope_height, total_of
from ds3opt.optimise.bounds import interval_bounds
from ds3opt.optimise.cells import Cells, Examined, blocks_of, halved
from ds3opt.optimise.envelopes import Envelopes
from ds3opt.optimise.ground import Ground
from ds3opt.optimise.menu import Actions, Values, evaluate, refined

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

NODES = 4
DEEPEST = 80
_ACTIONS_PER_CELL = 1000
"""Actions per cell that `solver.max_cells` allows for; large menus use up the cells sooner."""
_PRICE_REACH = 3.0
"""Actions stay for prices within this factor of their cell's, unless that proved too narrow."""

_SMOOTH = 50
"""Tasks from which on the price moves little with loss and size, and its range may narrow."""
_FORGONE = 0.01
"""Part of the gap that leaving out near-ties may cost in one wave."""

Progress = Callable[[str, float], None]


@dataclass
class Incumbent:
    """The best plan found for one budget, and the least upper bound for it."""

    value: float = -np.inf
    parameters: float = np.nan
    loss: float = np.nan
    price: float = 0.0
    actions: Actions | None = None
    """The actions among which the plan's are, for the loss of the plan and a little more."""
    upper: float = np.inf


@dataclass
class Search(Ground):
    """One search; `run` returns an incumbent with its upper bound for every budget."""

    targets: list[float] | None = None
    """Where given, a budget is settled as soon as it is known whether it reaches this value."""
    progress: Progress | None = None
    incumbents: list[Incumbent] = field(init=False)
    examined: int = 0
    """Cells examined so far."""
    work: int = 0
    """Actions evaluated so far."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.incumbents = [Incumbent() for _ in self.budgets]
        self.closed = np.full(len(self.budgets), -np.inf)
        self.most = float(self.weight @ self.worth)
        self.smooth = is_smooth(self.weight.size)

    def run(self) -> list[Incumbent]:
        """Search until every budget's gap is reached or the cells are used up."""
        blocks = self._wave(self._roots())
        most = self.problem.max_cells * _ACTIONS_PER_CELL
        while blocks and self.examined < self.problem.max_cells and self.work < most:
            blocks = self._wave(blocks)
            if self.progress is not None:
                self.progress("searching", self._closeness(blocks))
        open_upper = np.full(len(self.budgets), -np.inf)
        for block in blocks:
            np.maximum.at(open_upper, block.budget, block.upper)
        # solving everything is a bound too
        bounds = np.minimum(np.maximum(self.closed, open_upper), self.most)
        for incumbent, bound in zip(self.incumbents, bounds, strict=True):
            incumbent.upper = max(incumbent.value, float(bound))
        return self.incumbents

    def _wave(self, blocks: Iterable[Cells]) -> list[Cells]:
        results = []
        for block in blocks:
            self.examined += len(block)
            self.work += len(block.actions)
            results.append(self._examine(block))
        enough = self._enough()
        settled = self._settled([result.cells for result in results])
        children = []
        for result in results:
            cells = result.cells
            done = cells.upper <= enough[cells.budget]
            # gains are never negative, so a negative bound means that nothing is feasible
            done |= settled[cells.budget] | (cells.depth >= DEEPEST) | (cells.upper < 0.0)
            np.maximum.at(self.closed, cells.budget[done], cells.upper[done])
            left = np.flatnonzero(~done)
            if left.size:
                children += self._children(result, left)
        return [part for child in self._together(children) for part in blocks_of(child)]

    def _together(self, children: list[Cells]) -> list[Cells]:
        """What the next wave examines."""
        return [self._trimmed(child) for child in children]

    def _enough(self) -> FloatArray:
        """Bounds at which cells are of no more interest, (budget,)."""
        enough = np.array([i.value for i in self.incumbents]) + self.gap
        if self.targets is None:
            return enough
        return np.asarray(np.maximum(enough, np.nextafter(np.array(self.targets), -np.inf)))

    def _settled(self, open_cells: list[Cells]) -> NDArray[np.bool_]:
        settled = np.zeros(len(self.budgets), bool)
        if self.targets is None:
            return settled
        above = self.closed.copy()
        for cells in open_cells:
            np.maximum.at(above, cells.budget, cells.upper)
        values = np.array([i.value for i in self.incumbents])
        targets = np.array(self.targets)
        return (values >= targets) | (above < targets)

    def _closeness(self, blocks: list[Cells]) -> float:
        worst = self.gap
        for block in blocks:
            lower = np.array([self.incumbents[b].value for b in block.budget])
            worst = max(worst, float(np.max(block.upper - lower)))
        return float(np.clip(1.0 - np.log(worst / self.gap) / np.log(1.0 / self.gap), 0.0, 1.0))

    # -- one block of cells -----------------------------------------------------------------

    def _at_best(self, cells: Cells) -> Values:
        """The most that the cells' actions bring, and the least that they use, in their cells."""
        loss = cells.loss_low[cells.actions.cell]
        return evaluate(self.problem, cells.actions, loss, slack=True)

    def _at_worst(self, cells: Cells, actions: Actions) -> Values:
        """The least that actions bring, and the most that they use, in their cells."""
        return evaluate(self.problem, actions, cells.loss_high[actions.cell])

    def _examine(self, cells: Cells) -> Examined:
        """Bound every cell, try a plan in it, and narrow it."""
        actions = cells.actions
        size = self._likely_size(cells, cells.loss_low)
        values = self._at_best(cells)
        offered = Envelopes.of(self.problem, actions, actions.cell, values, size)
        found = offered.segments
        # with a skill graph the sizes that suit the two losses are far apart
        graph = self.problem.levels is not None
        size_high = self._likely_size(cells, cells.loss_high) if graph else size
        room_high = self._room(cells.budget, size_high, cells.loss_high)
        room_low = self._room(cells.budget, size, cells.loss_low)
        at_high = room_high / (2.0 * size_high)
        bought, tried = offered.bought(room_high, size_high), offered.bought(room_low, size)
        multipliers = self.multipliers
        price, extra = multipliers.prices(found, bought.price, at_high)
        wanted = multipliers.by_kind(price, extra)
        prices = np.clip(wanted, cells.price_low, cells.price_high)
        lost = np.any(prices != wanted, axis=1)
        price = prices[:, 0]
        value = np.where(room_low >= 0.0, tried.value, -np.inf)
        self._offer(cells, value, size, tried.price)
        nodes = cells.size_low[:, None] + (cells.size_high - cells.size_low)[:, None] * np.linspace(
            0.0, 1.0, NODES
        )
        nodes[:, -1] = cells.size_high
        probes = np.concatenate([nodes, np.log(size)[:, None]], axis=1)
        phi = multipliers.lagrangian(cells, offered, values, probes, price, extra)
        with np.errstate(invalid="ignore"):
            at_size = phi[:, -1] + np.where(price > 0.0, price * np.maximum(at_high, 0.0), 0.0)
        phi = phi[:, :-1]
        bound = interval_bounds(
            self.training.of(cells.budget),
            cells.loss_high,
            nodes,
            phi,
            price,
            self.total_flop[cells.budget],
            self.inference_flop[cells.budget],
            self.served[cells.budget],
        )
        bound += cells.given_up[:, None]
        if multipliers.required is not None:
            # prices of several kinds cannot be moved into their ranges one by one
            bound[lost] = np.inf
        upper = np.minimum(cells.upper, np.max(bound, axis=1))
        cells, by_size = self._narrowed(cells, nodes, bound, upper, at_size, value)
        loosened = at_size - bought.value > 0.2 * self.gap
        pairs = total_of(found, bought, values.pairs, offered.weight)
        checking = total_of(found, bought, values.checking, offered.weight)
        reach = np.where(cells.free_price, np.inf, self._price_reach(cells.depth))[:, None]
        cells = replace(
            cells,
            pairs=pairs,
            checking=checking,
            price_low=np.maximum(cells.price_low, prices / reach),
            price_high=np.minimum(
                cells.price_high,
                np.where(prices > 0.0, np.maximum(prices, 1e-300) * reach, np.inf),
            ),
        )
        open_ = cells.upper > self._enough()[cells.budget]
        keep = self._surviving(cells, open_, offered, values)
        cells = replace(cells, given_up=cells.given_up + _FORGONE * self.gap)
        loose = multipliers.worth(actions, extra) * values.slack
        return Examined(
            replace(cells, actions=actions.take(keep)), by_size, lost, loosened, loose[keep]
        )

    def _price_reach(self, depth: IntArray) -> FloatArray:
        """How far a cell's price may move in its children; few tasks make it jump."""
        if not self.smooth:
            return np.full(depth.shape, _PRICE_REACH)
        return np.asarray(np.maximum(_PRICE_REACH * 0.8**depth, 1.25))

    def _offer(self, cells: Cells, value: FloatArray, size: FloatArray, price: FloatArray) -> None:
        for index in np.unique(cells.budget):
            mine = np.flatnonzero(cells.budget == index)
            best = mine[np.argmax(value[mine])]
            incumbent = self.incumbents[index]
            if value[best] > incumbent.value:
                incumbent.value = float(value[best])
                incumbent.parameters = float(size[best])
                incumbent.loss = float(cells.loss_low[best])
                incumbent.price = float(price[best])
                incumbent.actions = cells.actions.in_cell(int(best))

    def _narrowed(
        self,
        cells: Cells,
        nodes: FloatArray,
        bound: FloatArray,
        upper: FloatArray,
        reference: FloatArray,
        value: FloatArray,
    ) -> tuple[Cells, NDArray[np.bool_]]:
        """Cut off sizes whose bound is below the target; say which cells to halve in size."""
        enough = self._enough()[cells.budget]
        wanted = bound > enough[:, None]
        rows = np.arange(len(cells))
        first = np.argmax(wanted, axis=1)
        last = NODES - 2 - np.argmax(wanted[:, ::-1], axis=1)
        some = np.any(wanted, axis=1)
        # what is cut off may come within the gap of the best plan, so its bound counts as closed
        place = np.arange(NODES - 1)
        cut = some[:, None] & ((place < first[:, None]) | (place > last[:, None]))
        rest = np.max(np.where(cut, bound, -np.inf), axis=1)
        np.maximum.at(self.closed, cells.budget, np.minimum(rest, cells.upper))
        size_low = np.where(some, nodes[rows, first], cells.size_low)
        size_high = np.where(some, nodes[rows, last + 1], cells.size_high)
        # at the reference size the price is exact: what is above its value there is due to size
        measured = np.isfinite(reference)
        # where nothing is feasible yet, the bound at that size has to fall to what is enough
        close = np.where(np.isfinite(value), value, np.maximum(enough, 0.0))
        from_size = np.where(measured, upper - reference, 0.0)
        from_loss = np.where(measured, reference - close, 0.0)
        wide = size_high - size_low > 1e-9
        by_size = wide & (from_size > 0.25 * self.gap) & (from_size > from_loss)
        # where no price is known at all, the wider side, in relative terms
        graph = self.problem.levels is not None
        floor = self.training.of(cells.budget).space.law.irreducible
        reducible = 1.0 if graph else cells.loss_low - floor
        loss_width = (cells.loss_high - cells.loss_low) / np.maximum(reducible, 1e-12)
        by_size |= wide & ~measured & (size_high - size_low > loss_width)
        thin = (cells.loss_high - cells.loss_low) <= 1e-12 * cells.loss_high
        by_size |= wide & thin
        # where the size follows from the loss, halving the loss halves the sizes too
        by_size &= not self.training.size_follows_loss
        return replace(cells, size_low=size_low, size_high=size_high, upper=upper), by_size

    def _surviving(
        self,
        cells: Cells,
        open_: NDArray[np.bool_],
        offered: Envelopes,
        values: Values,
    ) -> NDArray[np.bool_]:
        """Actions that can be on their task's envelope for some loss and size in an open cell.

        An action at its best (lower loss, slack, the size where it is cheapest) is dropped if it
        lies below the envelope of its rivals at their worst, or so little above it that leaving
        it out costs no more than `given_up` accounts for.
        """
        actions = cells.actions
        if len(actions) == 0:
            return np.zeros(0, bool)
        points, owner = offered.points, offered.owner
        rivals = points[open_[actions.cell[points]]]
        keep = open_[actions.cell]
        if rivals.size == 0:
            return keep
        rival = actions.take(rivals)
        worst = self._at_worst(cells, rival)
        dear, cheap = np.exp(cells.size_low), np.exp(cells.size_high)
        against = Envelopes.of(self.problem, rival, rival.cell, worst, dear)
        hull = against.points
        worst_of = against.owner[hull], against.cost[hull], against.gain[hull]
        best_cost = values.effective_tokens(
            cheap[actions.cell], self.problem.space.attention(cheap)[actions.cell], least=True
        )
        price_range = self.multipliers.price_range
        height = envelope_height(owner, best_cost, *worst_of, *price_range(cells, actions))
        best_gain = offered.gain + self.worth[actions.task] * values.slack
        # prices of required accuracies scale what a success is worth, so nothing is given up there
        forgone = np.where(self.multipliers.kind[actions.task] > 0, 0.0, _FORGONE * self.gap)
        keep &= best_gain >= height * (1.0 - 1e-12) + forgone
        # near-ties are given up in favour of the rivals that can be best, so these must stay
        standing = rivals[hull]
        keep[standing] |= active(*worst_of, *price_range(cells, actions.take(standing)))
        return keep

    def _children(self, examined: Examined, left: IntArray) -> list[Cells]:
        """Halves of the cells that are left, with a denser lattice where its slack matters."""
        cells = examined.cells
        denser = examined.loosened[cells.actions.cell]
        where = denser & (examined.loose > 0.05 * self.gap)
        cells = replace(cells, actions=refined(cells.actions, where))
        lost = examined.lost[left]
        children = []
        if not np.all(lost):
            keep = left[~lost]
            children.append(halved(cells.take(keep), examined.by_size[keep]))
        if np.any(lost):
            again = left[lost]
            children.append(halved(self._renewed(cells.take(again)), examined.by_size[again]))
        return children


def is_smooth(tasks: int) -> bool:
    """Whether the price moves little with loss and size, because so many tasks share the room."""
    return tasks >= _SMOOTH
