"""Branch and bound over pretraining loss and model size, every task with its own policy.

Many budgets are searched at once: a wave evaluates all open cells of all budgets in a few array
operations. A cell is closed when its upper bound is within the gap of the best plan found for its
budget; the others are halved, in loss or in size, and keep only those actions that can still be on
a task's concave envelope somewhere inside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.allocation import (
    Required,
    Segments,
    active,
    envelope,
    envelope_height,
    segments,
    spend,
    total_of,
)
from ds3opt.optimise.bounds import interval_bounds
from ds3opt.optimise.cells import CHUNK, Cells, Examined, blocks_of, halved
from ds3opt.optimise.menu import Actions, Values, evaluate, first_actions, refined
from ds3opt.optimise.requirement import requirement
from ds3opt.optimise.training import Training
from ds3opt.problem import Budgets, Problem

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

NODES = 4
ROOT_CELLS = 32
DEEPEST = 80
_ACTIONS_PER_CELL = 1000
"""Actions per cell that `solver.max_cells` allows for; large menus use up the cells sooner."""
_SIZE_GRID = np.linspace(0.0, 1.0, 13)
_SIZE_ROUNDS = 3
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
class Search:
    """One search; `run` returns an incumbent with its upper bound for every budget."""

    problem: Problem
    budgets: list[Budgets]
    gap: float
    targets: list[float] | None = None
    """Where given, a budget is settled as soon as it is known whether it reaches this value."""
    progress: Progress | None = None
    training: Training = field(init=False)
    incumbents: list[Incumbent] = field(init=False)
    examined: int = 0
    """Cells examined so far."""
    work: int = 0
    """Actions evaluated so far."""

    def __post_init__(self) -> None:
        self.training = Training(self.problem.space)
        self.incumbents = [Incumbent() for _ in self.budgets]
        self.served = self._tasks_served()
        with np.errstate(over="ignore"):
            self.total_cap = np.array([b.total_flop for b in self.budgets]) / self.served
            self.inference_cap = np.array([b.inference_flop for b in self.budgets]) / self.served
        self.training_cap = np.array([min(b.total_flop, b.training_flop) for b in self.budgets])
        tasks = self.problem.tasks
        assert tasks is not None
        self.weight = tasks.weight
        self.worth = tasks.value
        self.most = float(self.weight @ self.worth)
        self.groups = tasks.group
        self.requirement = requirement(self.problem)
        self.everything = None if self.problem.levels is not None else first_actions(self.problem)
        self.smooth = is_smooth(len(tasks))
        self.kind, self.kinds = self._kinds_of_price()
        self.closed = np.full(len(self.budgets), -np.inf)

    def _tasks_served(self) -> FloatArray:
        """Tasks that share the training, (budget,)."""
        return np.full(len(self.budgets), self.problem.tasks_served)

    def _kinds_of_price(self) -> tuple[IntArray, int]:
        """The kind of price that each task follows, (task,), and how many kinds there are."""
        if self.requirement is None:
            return np.zeros(self.weight.size, dtype=np.intp), 1
        needy = self.requirement.needy
        kind = np.where(needy, np.cumsum(needy), 0)
        return kind[self.groups].astype(np.intp), 1 + int(needy.sum())

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

    # -- cells ------------------------------------------------------------------------------

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
            price_low=np.zeros((count, self.kinds)),
            price_high=np.full((count, self.kinds), np.inf),
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
        spent = self.training.of(np.ravel(budget)).flop(size, loss)
        with np.errstate(invalid="ignore"):
            left = self.total_cap[budget] - spent / self.served[budget]
        room = np.minimum(np.where(np.isnan(left), np.inf, left), self.inference_cap[budget])
        possible = np.isfinite(spent) & (spent <= self.training_cap[budget])
        return np.where(possible, np.maximum(room, 0.0), -1.0)

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
        actions, count = cells.actions, len(cells)
        size = self._likely_size(cells, cells.loss_low)
        values = self._at_best(cells)
        worth = self.worth[actions.task]
        gain = worth * values.success
        attention = self.problem.space.attention(size)
        owner = actions.cell * self.weight.size + actions.task
        cost = values.effective_tokens(size[actions.cell], attention[actions.cell])
        points = envelope(owner, cost, gain)
        found = segments(
            points,
            actions.cell,
            owner,
            cost,
            gain,
            self.weight[actions.task],
            count,
            self._required(actions),
        )
        # with a skill graph the sizes that suit the two losses are far apart
        graph = self.problem.levels is not None
        size_high = self._likely_size(cells, cells.loss_high) if graph else size
        at_high = self._room(cells.budget, size_high, cells.loss_high) / (2.0 * size_high)
        at_low = self._room(cells.budget, size, cells.loss_low) / (2.0 * size)
        bought, tried = spend(found, at_high), spend(found, at_low)
        price, extra = self._prices(found, bought.price, at_high)
        wanted = self._by_kind(price, extra)
        prices = np.clip(wanted, cells.price_low, cells.price_high)
        lost = np.any(prices != wanted, axis=1)
        price = prices[:, 0]
        value = np.where(at_low >= 0.0, tried.value, -np.inf)
        self._offer(cells, value, size, tried.price)
        nodes = cells.size_low[:, None] + (cells.size_high - cells.size_low)[:, None] * np.linspace(
            0.0, 1.0, NODES
        )
        nodes[:, -1] = cells.size_high
        probes = np.concatenate([nodes, np.log(size)[:, None]], axis=1)
        phi = self._lagrangian(cells, owner, values, gain, probes, price, extra)
        with np.errstate(invalid="ignore"):
            at_size = phi[:, -1] + np.where(price > 0.0, price * np.maximum(at_high, 0.0), 0.0)
        phi = phi[:, :-1]
        bound = interval_bounds(
            self.training.of(cells.budget),
            cells.loss_high,
            nodes,
            phi,
            price,
            self.total_cap[cells.budget],
            self.inference_cap[cells.budget],
            self.served[cells.budget],
        )
        bound += cells.given_up[:, None]
        if self.requirement is not None:
            # prices of several kinds cannot be moved into their ranges one by one
            bound[lost] = np.inf
        upper = np.minimum(cells.upper, np.max(bound, axis=1))
        cells, by_size = self._narrowed(cells, nodes, bound, upper, at_size, value)
        loosened = at_size - bought.value > 0.2 * self.gap
        weight = self.weight[actions.task]
        pairs = total_of(found, bought, values.pairs, weight)
        checking = total_of(found, bought, values.checking, weight)
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
        keep = self._surviving(cells, open_, owner, values, gain, points)
        cells = replace(cells, given_up=cells.given_up + _FORGONE * self.gap)
        loose = self._worth(actions, extra) * values.slack
        return Examined(
            replace(cells, actions=actions.take(keep)), by_size, lost, loosened, loose[keep]
        )

    def _price_reach(self, depth: IntArray) -> FloatArray:
        """How far a cell's price may move in its children; few tasks make it jump."""
        if not self.smooth:
            return np.full(depth.shape, _PRICE_REACH)
        return np.asarray(np.maximum(_PRICE_REACH * 0.8**depth, 1.25))

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

    def _required(self, actions: Actions) -> Required | None:
        if self.requirement is None:
            return None
        return replace(self.requirement, group=self.groups[actions.task])

    def _prices(
        self, found: Segments, price: FloatArray, budget: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Prices of an effective token, and of a required success of every group, per cell.

        Any prices give a bound. These are the dual values of the cell's allocation; where the
        requirements cannot be met they are large enough to show it.
        """
        if self.requirement is None:
            return price, np.zeros((price.size, 0))
        total = self.most
        needed, short = found.needed, np.any(found.lack > 0.0, axis=1)
        over = np.isfinite(needed) & (needed > budget)
        with np.errstate(divide="ignore", invalid="ignore"):
            steep = 10.0 * total / np.maximum(needed - budget, 1e-9 * needed)
            price = np.where(over, np.maximum(steep, price), price)
            price = np.where(short, 0.0, price)
            extra = self.requirement.worth * (price[:, None] / found.margin - 1.0)
            extra = np.where(np.isfinite(found.margin), np.maximum(extra, 0.0), 0.0)
            lacking = 10.0 * total / np.where(found.lack > 0.0, found.lack, 1.0)
        extra = np.where(short[:, None], np.where(found.lack > 0.0, lacking, 0.0), extra)
        return price, np.nan_to_num(extra)

    def _by_kind(self, price: FloatArray, extra: FloatArray) -> FloatArray:
        """Prices in units of what successes are worth, (cell, kind)."""
        found = np.empty((price.size, self.kinds))
        found[:, 0] = price
        if self.requirement is not None:
            needy = self.requirement.needy
            worth = self.requirement.worth[needy]
            found[:, 1:] = price[:, None] * worth / (worth + extra[:, needy])
        return found

    def _worth(self, actions: Actions, extra: FloatArray) -> FloatArray:
        """Worth of a success of every action, with what a required accuracy adds to it."""
        worth = self.worth[actions.task]
        return worth + extra[actions.cell, self.groups[actions.task]] if extra.size else worth

    def _lagrangian(
        self,
        cells: Cells,
        owner: IntArray,
        values: Values,
        gain: FloatArray,
        nodes: FloatArray,
        price: FloatArray,
        extra: FloatArray,
    ) -> FloatArray:
        """Phi at every node, (cell, node)."""
        actions, count = cells.actions, len(cells)
        phi = np.zeros(nodes.shape)
        if len(actions) == 0:
            return phi
        starts = np.flatnonzero(np.concatenate([[True], np.diff(owner) != 0]))
        weight, of_cell = self.weight[actions.task[starts]], actions.cell[starts]
        worth = self._worth(actions, extra)
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
        if extra.size and self.requirement is not None:
            phi -= (extra @ self.requirement.least)[:, None]
        return phi

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
        owner: IntArray,
        values: Values,
        gain: FloatArray,
        points: IntArray,
    ) -> NDArray[np.bool_]:
        """Actions that can be on their task's envelope for some loss and size in an open cell.

        An action at its best (lower loss, slack, the size where it is cheapest) is dropped if it
        lies below the envelope of its rivals at their worst, or so little above it that leaving
        it out costs no more than `given_up` accounts for.
        """
        actions = cells.actions
        if len(actions) == 0:
            return np.zeros(0, bool)
        rivals = points[open_[actions.cell[points]]]
        keep = open_[actions.cell]
        if rivals.size == 0:
            return keep
        rival = actions.take(rivals)
        worst = self._at_worst(cells, rival)
        dear, cheap = np.exp(cells.size_low), np.exp(cells.size_high)
        space = self.problem.space
        worst_cost = worst.effective_tokens(dear[rival.cell], space.attention(dear)[rival.cell])
        worst_gain = self.worth[rival.task] * worst.success
        hull = envelope(owner[rivals], worst_cost, worst_gain)
        best_cost = values.effective_tokens(
            cheap[actions.cell], space.attention(cheap)[actions.cell], least=True
        )
        height = envelope_height(
            owner,
            best_cost,
            owner[rivals][hull],
            worst_cost[hull],
            worst_gain[hull],
            *self._price_range(cells, actions),
        )
        best_gain = gain + self.worth[actions.task] * values.slack
        # prices of required accuracies scale what a success is worth, so nothing is given up there
        forgone = np.full(len(actions), _FORGONE * self.gap)
        if self.requirement is not None:
            forgone[self.requirement.needy[self.groups[actions.task]]] = 0.0
        keep &= best_gain >= height * (1.0 - 1e-12) + forgone
        # near-ties are given up in favour of the rivals that can be best, so these must stay
        low, high = self._price_range(cells, actions.take(rivals[hull]))
        keep[rivals[hull]] |= active(
            owner[rivals][hull], worst_cost[hull], worst_gain[hull], low, high
        )
        return keep

    def _price_range(self, cells: Cells, actions: Actions) -> tuple[FloatArray, FloatArray]:
        """Prices for which each action must stay."""
        at = (actions.cell, self.kind[actions.task])
        return cells.price_low[at], cells.price_high[at]

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

    def _renewed(self, cells: Cells) -> Cells:
        """Cells whose price has left its range start again from all actions."""
        count = len(cells)
        return replace(
            cells,
            price_low=np.zeros((count, self.kinds)),
            price_high=np.full((count, self.kinds), np.inf),
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


def is_smooth(tasks: int) -> bool:
    """Whether the price moves little with loss and size, because so many tasks share the room."""
    return tasks >= _SMOOTH


def _side_by_side(menus: list[Actions]) -> Actions:
    """Menus as the actions of one cell each."""
    return Actions.joined(
        [
            replace(menu, cell=np.full(len(menu), index, dtype=np.intp))
            for index, menu in enumerate(menus)
        ]
    )
