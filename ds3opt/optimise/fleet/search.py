"""Branch and bound over model shapes and pretraining loss, with prices for all limits at once.

A cell is a range of shapes and of losses. What its tasks may do at the lower loss with the smallest
shape, while training costs what the upper loss costs with the cheapest shape, is more than any plan
in it can do; priced, that is an upper bound for the cell (`prices.bound`). Cells whose bound is
within the gap of the best plan are closed, the others are halved. Prices are found once for a cell
and inherited; while they stay, an option that no point of the cell would choose is dropped for good.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.fleet import Fleet
from ds3opt.optimise.fleet.ledger import Ledger
from ds3opt.optimise.fleet.options import Evaluator, Options, options_of
from ds3opt.optimise.fleet.prices import Offers, best_net, bound, good_prices, net_worth
from ds3opt.optimise.training import Training

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Progress = Callable[[str, float], None]

_ROOT_LOSSES = 10
_ROOT_SHAPES = 8
_SCAN_LOSSES = 9
_SCAN_SHAPES = 9
_REFINEMENTS = 6
_CHUNK = 250_000
"""Options that are evaluated together, for memory."""
_TUNED_AT_ONCE = 6
_FIRST_PRICE = 0.3
_DEEPEST = 60


@dataclass
class Plan:
    """A model and how far its training goes, with prices of the limits."""

    value: float = -np.inf
    """Worth of a mix of options that keeps every limit, in units of the ledger's scale."""
    shape: int = -1
    """-1: no model is trained."""
    loss: float = np.nan
    price: FloatArray | None = None


@dataclass(frozen=True)
class Cells:
    """Open cells; arrays (cell,), and their options flattened by cell."""

    low: IntArray  # index of the smallest shape, -1 where no model is trained
    high: IntArray  # index of the largest
    loss_low: FloatArray
    loss_high: FloatArray
    price: FloatArray  # (cell, limit)
    upper: FloatArray
    age: IntArray  # halvings since its prices were found
    depth: IntArray
    start: IntArray  # (cell + 1,) where each cell's options begin
    option: IntArray  # index into the options

    def __len__(self) -> int:
        return int(self.low.size)

    def cell(self) -> IntArray:
        """The cell of every option."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))

    def take(self, index: IntArray) -> Cells:
        """Some of the cells, in order."""
        sizes = np.diff(self.start)[index]
        begin = self.start[:-1][index]
        start = np.concatenate([[0], np.cumsum(sizes)])
        option = self.option[np.repeat(begin - start[:-1], sizes) + np.arange(start[-1])]
        names = ("low", "high", "loss_low", "loss_high", "price", "upper", "age", "depth")
        return Cells(
            *(getattr(self, n)[index] for n in names), start=start.astype(np.intp), option=option
        )

    @staticmethod
    def joined(parts: list[Cells]) -> Cells:
        """Several blocks as one."""
        names = ("low", "high", "loss_low", "loss_high", "price", "upper", "age", "depth")
        sizes = np.concatenate([np.diff(part.start) for part in parts])
        return Cells(
            *(np.concatenate([getattr(p, n) for p in parts]) for n in names),
            start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp),
            option=np.concatenate([p.option for p in parts]),
        )


class FleetSearch:
    """The best plan for a fleet and the least upper bound found for any."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.space = fleet.problem.space
        self.training = Training(self.space)
        self.options = options_of(fleet, trained=fleet.models is not None)
        self.evaluate = Evaluator(fleet, self.options)
        self.without = np.flatnonzero(self.options.existing >= 0)
        self.every = np.arange(len(self.options))
        self.coarse = np.flatnonzero(self.options.coarse)
        self.examined = 0

    # -- training ---------------------------------------------------------------------------

    def flop(self, loss: FloatArray, ledger: Ledger) -> FloatArray:
        """Training FLOP of every shape for losses, (loss, shape); inf where limits forbid it."""
        models = self.fleet.models
        assert models is not None
        tokens = self.training.tokens(models.loss_parameters[None, :], loss[:, None])
        found = models.training_flop(self.space, np.asarray(tokens))
        return np.where(found <= self.shape_caps(ledger), found, np.inf)

    def shape_caps(self, ledger: Ledger) -> FloatArray:
        """The most training FLOP of every shape, (shape,); negative where it does not fit."""
        models, run = self.fleet.models, self.fleet.run
        assert models is not None
        cap = np.full(len(models), ledger.training_cap() * (1.0 + 1e-12))
        if np.isfinite(run.memory_bytes):
            states = run.bytes_per_parameter * np.asarray(models.shape.parameters)
            needed = np.maximum(np.ceil(states / run.memory_bytes), 1.0)
            cap = np.where(needed <= self.accelerators_at_most(ledger), cap, -1.0)
        return cap

    def accelerators_at_most(self, ledger: Ledger) -> float:
        """Accelerators that may train at a time."""
        run = self.fleet.run
        most = run.count
        for row, limit in zip(self.fleet.rows, ledger.limits, strict=True):
            if row.key == "limits.power" and run.watts > 0.0:
                most = min(most, float(np.floor(limit / run.watts * (1.0 + 1e-12))))
        return most

    def loss_span(self, ledger: Ledger) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest loss that each shape may be trained to, (shape,); nan for none."""
        models = self.fleet.models
        assert models is not None
        size = models.loss_parameters
        cap = self.shape_caps(ledger)
        if self.space.infinite_data:
            loss = self.training.reached_loss(size, np.full(size.shape, np.inf))
            return np.where(cap >= 0.0, loss, np.nan), np.where(cap >= 0.0, loss, np.nan)
        low_tokens, high_tokens = self.space.training_tokens
        least, most = self.space.tokens_per_parameter
        fewest = np.maximum(low_tokens, least * size)
        if self.space.on_ray:
            fewest = np.asarray(self.space.law.optimal_tokens(size))
        per_token = models.training_flop(self.space, np.ones(size.shape))
        with np.errstate(over="ignore", invalid="ignore"):
            tokens = np.minimum(np.minimum(cap / per_token, high_tokens), most * size)
        if self.space.on_ray:
            tokens = np.where(tokens >= fewest, fewest, -1.0)
        possible = (tokens >= fewest * (1.0 - 1e-12)) & (cap >= 0.0)
        tokens = np.where(possible, tokens, 1.0)
        lowest = self.training.reached_loss(size, tokens)
        highest = self.training.reached_loss(size, np.where(possible, fewest, 1.0))
        return np.where(possible, lowest, np.nan), np.where(possible, highest, np.nan)

    # -- plans ------------------------------------------------------------------------------

    def plans(
        self,
        ledger: Ledger,
        shape: IntArray,
        loss: FloatArray,
        start: FloatArray | None = None,
        *,
        menu: IntArray | None = None,
        coarsest: float = np.inf,
        finest: float = 1e-4,
    ) -> list[Plan]:
        """The best plan at each pair of shape and loss, to the accuracy of its prices.

        Parameters
        ----------
        start : (pair, limit) prices to begin from.
        menu : options that are looked at, all where none are given.
        coarsest, finest : temperatures of the search for prices.
        """
        found: list[Plan] = []
        menu = self.every if menu is None else menu
        first = np.full((shape.size, ledger.size), _FIRST_PRICE) if start is None else start
        per_block = max(1, _CHUNK // max(menu.size, 1))
        for begin in range(0, shape.size, per_block):
            part = slice(begin, begin + per_block)
            found += self._plans(ledger, shape[part], loss[part], first[part], menu, coarsest, finest)
        return found

    def _plans(
        self,
        ledger: Ledger,
        shape: IntArray,
        loss: FloatArray,
        start: FloatArray,
        menu: IntArray,
        coarsest: float,
        finest: float,
    ) -> list[Plan]:
        count = shape.size
        spent = self.spent(ledger, shape, loss)
        option = np.tile(menu, count)
        cell = np.repeat(np.arange(count), menu.size)
        offers, _, extra = self._offers(ledger, shape, shape, loss, spent, option, cell)
        possible = np.isfinite(spent) & np.all(offers.room[:, : ledger.rows] > 0.0, axis=1)
        price, _, value = good_prices(offers, start, coarsest=coarsest, finest=finest)
        value = np.where(possible, value + extra, -np.inf)
        return [
            Plan(float(value[i]), int(shape[i]), float(loss[i]), price[i]) for i in range(count)
        ]

    def spent(self, ledger: Ledger, shape: IntArray, loss: FloatArray) -> FloatArray:
        """Training FLOP of pairs of shape and loss; 0 where no model is trained."""
        if self.fleet.models is None:
            return np.zeros(shape.size)
        every = self.flop(np.nan_to_num(loss, nan=1e9), ledger)
        return np.where(shape >= 0, every[np.arange(shape.size), np.maximum(shape, 0)], 0.0)

    def _offers(
        self,
        ledger: Ledger,
        low: IntArray,
        high: IntArray,
        loss: FloatArray,
        spent: FloatArray,
        option: IntArray,
        cell: IntArray,
    ) -> tuple[Offers, IntArray, FloatArray]:
        known = (self.options.existing[option] >= 0) | (low[cell] >= 0)
        option, cell = option[known], cell[known]
        found = self.evaluate(option, loss[cell], low[cell], high[cell])
        return ledger.offers(
            self.options, option, cell, found, np.where(np.isfinite(spent), spent, 0.0)
        )

    def scan(self, ledger: Ledger) -> Plan:
        """A good plan: a coarse look at everything, then closer ones around the best."""
        best = Plan()
        if self.without.size or self.fleet.models is None:
            best = better(
                best, self.plans(ledger, np.array([-1]), np.array([np.nan]))
            )
        if self.fleet.models is None:
            return best
        lowest, highest = self.loss_span(ledger)
        able = np.flatnonzero(np.isfinite(lowest))
        if able.size == 0:
            return best
        picks = np.unique(np.round(np.linspace(0, able.size - 1, _SCAN_SHAPES)).astype(int))
        shape, loss = self._grid(able[picks], lowest, highest, np.linspace(0.02, 0.98, _SCAN_LOSSES))
        found = self.plans(ledger, shape, loss, menu=self.coarse, finest=1e-3)
        rough = better(Plan(), found)
        if not np.isfinite(rough.value):
            return best
        stride = max(1, int(np.max(np.diff(able[picks]), initial=1)))
        width = 1.0 / (_SCAN_LOSSES - 1)
        place = self._place(rough, lowest, highest)
        for round_ in range(_REFINEMENTS):
            stride = max(1, stride // 2)
            near = np.unique(np.clip([rough.shape - stride, rough.shape, rough.shape + stride],
                                     able[0], able[-1]))
            near = near[np.isfinite(lowest[near])]
            at = np.unique(np.clip(place + width * np.array([-0.67, -0.33, 0.0, 0.33, 0.67]), 0, 1))
            shape, loss = self._grid(near, lowest, highest, at)
            assert rough.price is not None
            fine = stride == 1
            start = np.tile(np.maximum(rough.price, 1e-4), (shape.size, 1))
            found = self.plans(
                ledger,
                shape,
                loss,
                start,
                menu=self.every if fine else self.coarse,
                coarsest=3e-3,
                finest=1e-4 if fine else 1e-3,
            )
            if fine:
                best = better(best, found)
            rough = better(rough, found) if not fine else better(Plan(), found)
            if not np.isfinite(rough.value):
                break
            place = self._place(rough, lowest, highest)
            width *= 0.5
        return best

    def _grid(
        self, shapes: IntArray, lowest: FloatArray, highest: FloatArray, at: FloatArray
    ) -> tuple[IntArray, FloatArray]:
        shape = np.repeat(shapes, at.size)
        part = np.tile(at, shapes.size)
        floor = self.space.law.irreducible
        low, high = np.log(lowest[shape] - floor), np.log(highest[shape] - floor)
        loss = floor + np.exp(low + part * (high - low))
        loss = np.clip(loss, lowest[shape], highest[shape])
        pairs = np.unique(np.stack([shape.astype(float), loss], axis=1), axis=0)
        return pairs[:, 0].astype(np.intp), pairs[:, 1]

    def _place(self, plan: Plan, lowest: FloatArray, highest: FloatArray) -> float:
        floor = self.space.law.irreducible
        low, high = np.log(lowest[plan.shape] - floor), np.log(highest[plan.shape] - floor)
        if high <= low:
            return 0.0
        return float((np.log(plan.loss - floor) - low) / (high - low))

    # -- branch and bound -------------------------------------------------------------------

    def run(
        self, ledger: Ledger, gap: float, most_cells: int, progress: Progress | None = None
    ) -> tuple[Plan, float]:
        """The best plan and an upper bound on the worth of any, in units of the scale."""
        best = self.scan(ledger)
        closed = -np.inf
        examined = 0
        cells = self._roots(ledger, best)
        while len(cells) and examined < most_cells:
            examined += len(cells)
            self.examined += len(cells)
            cells = self._examined(ledger, cells)
            done = cells.upper <= best.value + gap
            closed = max(closed, float(np.max(cells.upper[done], initial=-np.inf)))
            cells = cells.take(np.flatnonzero(~done))
            if len(cells) == 0:
                break
            cells, found = self._tuned(ledger, cells, best, gap)
            best = better(best, found)
            done = (cells.upper <= best.value + gap) | (cells.depth > _DEEPEST)
            closed = max(closed, float(np.max(cells.upper[done], initial=-np.inf)))
            cells = self._halved(ledger, cells.take(np.flatnonzero(~done)), gap)
            if progress is not None:
                still = float(np.max(cells.upper, initial=best.value + gap)) - best.value
                progress("searching", float(np.clip(gap / max(still, gap), 0.0, 1.0)))
        left = float(np.max(cells.upper, initial=-np.inf))
        return best, max(best.value, closed, left)

    def _roots(self, ledger: Ledger, best: Plan) -> Cells:
        price = np.full(ledger.size, _FIRST_PRICE) if best.price is None else best.price
        blocks: list[tuple[int, int, float, float]] = []
        if self.without.size or self.fleet.models is None:
            blocks.append((-1, -1, np.nan, np.nan))
        if self.fleet.models is not None:
            blocks += self._root_blocks(ledger)
        parts = []
        for low, high, first, last in blocks:
            menu = self.without if low < 0 else self.every
            parts.append(
                Cells(
                    np.array([low]), np.array([high]), np.array([first]), np.array([last]),
                    price[None, :].copy(), np.array([np.inf]), np.array([9]), np.array([0]),
                    np.array([0, menu.size]), menu,
                )
            )
        if not parts:
            nothing = np.zeros(0, dtype=np.intp)
            return Cells(nothing, nothing, np.zeros(0), np.zeros(0), np.zeros((0, ledger.size)),
                         np.zeros(0), nothing, nothing, np.zeros(1, dtype=np.intp), nothing)
        return Cells.joined(parts)

    def _root_blocks(self, ledger: Ledger) -> list[tuple[int, int, float, float]]:
        models = self.fleet.models
        assert models is not None
        lowest, highest = self.loss_span(ledger)
        able = np.flatnonzero(np.isfinite(lowest))
        if able.size == 0:
            return []
        one_loss = bool(np.all(highest[able] <= lowest[able]))
        if one_loss or not models.nested:
            groups = [np.array([s]) for s in able]
        else:
            runs = np.split(able, np.flatnonzero(np.diff(able) > 1) + 1)
            groups = [g for run in runs for g in np.array_split(run, min(run.size, _ROOT_SHAPES))]
        floor = self.space.law.irreducible
        found = []
        for group in groups:
            low, high = float(np.min(lowest[group])), float(np.max(highest[group]))
            count = 1 if high <= low else _ROOT_LOSSES
            edges = floor + np.geomspace(low - floor, high - floor, count + 1)
            edges[0], edges[-1] = low, high
            found += [
                (int(group[0]), int(group[-1]), float(edges[i]), float(edges[i + 1]))
                for i in range(count)
            ]
        return found

    def _least_flop(self, ledger: Ledger, cells: Cells) -> FloatArray:
        """Training FLOP of the cheapest shape of each cell at its upper loss; inf for none."""
        if self.fleet.models is None:
            return np.zeros(len(cells))
        every = self.flop(np.nan_to_num(cells.loss_high, nan=1e9), ledger)
        index = np.arange(every.shape[1])
        inside = (index >= cells.low[:, None]) & (index <= cells.high[:, None])
        least = np.min(np.where(inside, every, np.inf), axis=1)
        return np.where(cells.low < 0, 0.0, least)

    def _examined(self, ledger: Ledger, cells: Cells) -> Cells:
        """Cells with their bounds at their prices, without the options that these rule out."""
        spent = self._least_flop(ledger, cells)
        keep = np.flatnonzero(np.isfinite(spent))
        cells, spent = cells.take(keep), spent[keep]
        parts = []
        edges = _blocks(np.diff(cells.start))
        for begin, end in zip(edges[:-1], edges[1:], strict=True):
            parts.append(self._examine(ledger, cells.take(np.arange(begin, end)), spent[begin:end]))
        return Cells.joined(parts) if parts else cells

    def _examine(self, ledger: Ledger, cells: Cells, spent: FloatArray) -> Cells:
        cell = cells.cell()
        found = self.evaluate(
            cells.option, cells.loss_low[cell], cells.low[cell], cells.high[cell]
        )
        possible = np.all(np.isfinite(found.uses), axis=1)
        offers, which, extra = ledger.offers(self.options, cells.option, cell, found, spent)
        upper = bound(offers, cells.price) + extra
        short = np.any(offers.room[:, : ledger.rows] < 0.0, axis=1)
        upper = np.where(short, -np.inf, np.minimum(cells.upper, upper))
        net = net_worth(offers, cells.price)
        trained = which >= 0
        floor = self._sure(ledger, cells, offers, which, net)
        tasks = ledger.weight.size
        good = trained & (net >= floor.ravel()[offers.owner] - 1e-15)
        keep = np.zeros(cells.option.size, bool)
        kept_of = np.flatnonzero(possible)
        keep[kept_of] = good[trained]
        del tasks
        sizes = np.bincount(cell[keep], minlength=len(cells))
        start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)
        return replace(cells, upper=upper, start=start, option=cells.option[keep])

    def _sure(self, ledger, cells, offers, which, net):  # type: ignore[no-untyped-def]
        """Net worth that each task of each cell reaches everywhere in it, (cell, task)."""
        best = best_net(offers, net)
        flat = best.ravel()
        at = np.flatnonzero((net >= flat[offers.owner]) & (which >= 0) & (net > 0.0))
        sure = np.zeros_like(flat)
        if at.size:
            _, first = np.unique(offers.owner[at], return_index=True)
            at = at[first]
            cell = offers.cell_of()[at]
            option = which[at]
            worst = self.evaluate(
                option, cells.loss_high[cell], cells.low[cell], cells.high[cell], most=True
            )
            nothing = np.zeros(len(cells))
            there, of, _ = ledger.offers(self.options, option, cell, worst, nothing)
            real = of >= 0
            value = net_worth(there, cells.price)[real]
            np.maximum.at(sure, there.owner[real], value)
        return np.maximum(sure, 0.0).reshape(best.shape)

    def _tuned(
        self, ledger: Ledger, cells: Cells, best: Plan, gap: float
    ) -> tuple[Cells, list[Plan]]:
        """New prices for the cells that halving would not help, and plans found on the way.

        Where the bound at a cell's cheaper end alone is too high, the prices are at fault, or there
        is a better plan.
        """
        asked = self._stuck(ledger, cells, best.value + 0.4 * gap)
        most = max(1, _CHUNK // max(self.coarse.size, 1) // 4)
        worst = np.sort(asked[np.argsort(-cells.upper[asked], kind="stable")][:most])
        if worst.size == 0:
            return cells, []
        chosen = cells.take(worst)
        spent = self._least_flop(ledger, chosen)
        offers, _, _ = self._offers(
            ledger,
            chosen.low,
            chosen.high,
            chosen.loss_high,
            spent,
            *self._thin_menu(chosen),
        )
        price, _, value = good_prices(
            offers, np.maximum(chosen.price, 1e-4), coarsest=3e-3, finest=3e-4
        )
        # all options again, for these prices may want what the old ones ruled out
        fresh = self._examined(ledger, self._restarted(chosen, price))
        alone = np.flatnonzero((chosen.low == chosen.high) & np.isfinite(value))
        top = alone[np.argsort(-value[alone], kind="stable")][:2]
        plans = self.plans(
            ledger, chosen.low[top], chosen.loss_high[top], price[top], coarsest=3e-3
        )
        old = np.setdiff1d(np.arange(len(cells)), worst)
        return Cells.joined([cells.take(old), fresh]), plans

    def _thin_menu(self, cells: Cells) -> tuple[IntArray, IntArray]:
        """A thin menu for every cell and the options that it still has: options and their cells."""
        count, total = len(cells), len(self.options)
        every = np.arange(count)[:, None] * total + self.coarse
        own = cells.cell() * total + cells.option
        both = np.unique(np.concatenate([every.ravel(), own]))
        return both % total, both // total

    def _stuck(self, ledger: Ledger, cells: Cells, goal: float) -> IntArray:
        """Cells that stay above a goal however narrow they become, at their prices."""
        waiting = np.flatnonzero(cells.age > 0)
        part = cells.take(waiting)
        if len(part) == 0:
            return waiting
        spent = self._least_flop(ledger, part)
        cell = part.cell()
        found = self.evaluate(part.option, part.loss_high[cell], part.low[cell], part.high[cell])
        offers, _, extra = ledger.offers(self.options, part.option, cell, found, spent)
        return waiting[bound(offers, part.price) + extra > goal]

    def _restarted(self, cells: Cells, price: FloatArray) -> Cells:
        menus = [self.without if low < 0 else self.every for low in cells.low]
        sizes = [menu.size for menu in menus]
        return replace(
            cells,
            price=price,
            age=np.zeros(len(cells), dtype=np.intp),
            start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp),
            option=np.concatenate(menus),
        )

    def _halved(self, ledger: Ledger, cells: Cells, gap: float) -> Cells:
        """Every cell as two: half its shapes, or half its losses, whichever matters more."""
        if len(cells) == 0:
            return cells
        floor = self.space.law.irreducible
        several = cells.high > cells.low
        with np.errstate(invalid="ignore", divide="ignore"):
            wide = np.log((cells.loss_high - floor) / (cells.loss_low - floor))
        if self.fleet.models is not None:
            sizes = np.log(self.fleet.models.active)
            spread = sizes[np.maximum(cells.high, 0)] - sizes[np.maximum(cells.low, 0)]
        else:
            spread = np.zeros(len(cells))
        by_shape = several & (0.35 * spread >= wide)
        by_loss = ~by_shape & (wide > 0.0)
        middle = (cells.low + cells.high) // 2
        with np.errstate(invalid="ignore"):
            between = floor + np.sqrt((cells.loss_low - floor) * (cells.loss_high - floor))
        older = replace(cells, age=cells.age + 1, depth=cells.depth + 1)
        first = replace(
            older,
            high=np.where(by_shape, middle, cells.high),
            loss_high=np.where(by_loss, between, cells.loss_high),
        )
        second = replace(
            older,
            low=np.where(by_shape, middle + 1, cells.low),
            loss_low=np.where(by_loss, between, cells.loss_low),
        )
        split = by_shape | by_loss
        return Cells.joined([first, second.take(np.flatnonzero(split))])


def better(best: Plan, found: list[Plan]) -> Plan:
    """The best of several plans, the first of equals."""
    return max([best, *found], key=lambda plan: plan.value)


def _blocks(sizes: IntArray) -> list[int]:
    """Edges of blocks of cells with about as many options as are evaluated together."""
    edges, total = [0], 0
    for index, size in enumerate(sizes):
        if total and total + size > _CHUNK:
            edges.append(index)
            total = 0
        total += int(size)
    edges.append(len(sizes))
    return edges if len(sizes) else [0]
