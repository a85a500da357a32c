"""Branch and bound over model shapes and pretraining loss, with prices for all limits at once.

A cell is a range of shapes and of losses. What its tasks may do at the lower loss with the smallest
shape, while training costs what the upper loss costs with the cheapest shape, is more than any plan
in it can do; priced, that is an upper bound for the cell (`prices.bound`). Cells whose bound is
within the gap of the best plan are closed, the others are halved. Prices are found once for a cell
and inherited; while they stay, an option that no point of the cell would choose is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.fleet.ledger import Ledger
from ds3opt.optimise.fleet.mix import best_mix_of
from ds3opt.optimise.fleet.plans import (
    CHUNK,
    FIRST_PRICE,
    FleetSearch,
    Plan,
    better,
    near_options,
    polished,
)
from ds3opt.optimise.fleet.prices import Offers, best_net, bound, good_prices, net_worth

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Progress = Callable[[str, float], None]

_ROOT_LOSSES = 5
_ROOT_SHAPES = 4
_DEEPEST = 60
_GROWN = 20.0
"""Price, in worth for the whole size of a limit, that no feasible plan asks for."""
_LOST = 3000
"""Cells to look into where no plan was found that keeps every limit."""
_UNKNOWN = 1e3
"""Parts of the scale below which a bound on what is minimised is as good as none."""
_WINDOW = 0.02
"""Net worth per task, of the scale, within which options may come to be chosen."""
_SMALL = 800
"""Options of a cell up to which its prices are found from all of them."""
_ROUNDS = 4
_MARGIN = 0.1
"""How far below the best plan, in worth over its scale, a bound need not be pushed."""
_COLUMNS = ("low", "high", "loss_low", "loss_high", "price", "upper", "age", "depth")


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
        return Cells(
            **{name: getattr(self, name)[index] for name in _COLUMNS},
            start=start.astype(np.intp),
            option=option,
        )

    @staticmethod
    def joined(parts: list[Cells]) -> Cells:
        """Several blocks as one."""
        sizes = np.concatenate([np.diff(part.start) for part in parts])
        return Cells(
            **{name: np.concatenate([getattr(p, name) for p in parts]) for name in _COLUMNS},
            start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp),
            option=np.concatenate([p.option for p in parts]),
        )


class Branch:
    """The least upper bound on any plan of a fleet, and the best plan met on the way."""

    def __init__(self, search: FleetSearch, ledger: Ledger) -> None:
        self.search = search
        self.ledger = ledger
        self.fleet = search.fleet
        self.options = search.options
        self.examined = 0
        """Cells examined so far."""

    def run(
        self, gap: float, most_cells: int, progress: Progress | None = None
    ) -> tuple[Plan, float]:
        """The best plan and an upper bound on the worth of any, in units of the scale."""
        best = self._mixed(self.search.scan(self.ledger))
        closed = -np.inf
        cells = self._roots(best)
        later = cells.take(np.zeros(0, dtype=np.intp))
        nothing = self.ledger.least_worth()
        if not np.isfinite(best.value):
            most_cells = min(most_cells, _LOST)
        while len(cells) + len(later) and self.examined < most_cells:
            self.examined += len(cells)
            cells = Cells.joined([self._examined(cells), later])
            done = cells.upper <= max(best.value + gap, nothing)
            closed = max(closed, float(np.max(cells.upper[done], initial=-np.inf)))
            cells, later, found = self._tuned(cells.take(np.flatnonzero(~done)), best, gap)
            hopes = [plan for plan in found if plan.value > best.value]
            best = better(best, [self._mixed(self._polished(plan)) for plan in hopes])
            done = cells.upper <= max(best.value + gap, nothing)
            done |= cells.depth > _DEEPEST
            closed = max(closed, float(np.max(cells.upper[done], initial=-np.inf)))
            cells = self._halved(cells.take(np.flatnonzero(~done)))
            if progress is not None:
                still = float(np.max(cells.upper, initial=best.value + gap)) - best.value
                progress("searching", float(np.clip(gap / max(still, gap), 0.0, 1.0)))
        left = max(float(np.max(part.upper, initial=-np.inf)) for part in (cells, later))
        return best, max(best.value, closed, left)

    def _polished(self, plan: Plan) -> Plan:
        menu = near_options(self.search, self.ledger, plan)
        if self.ledger.least.size:
            menu = np.union1d(menu, self.search.coarse)
        return polished(self.search, self.ledger, plan, menu)

    def _mixed(self, plan: Plan) -> Plan:
        """A plan with the worth of its exact mix, which prices only estimate."""
        if not np.isfinite(plan.value):
            return Plan()
        mix = best_mix_of(self.search, self.ledger, plan)
        return Plan() if mix is None else replace(plan, value=mix.value)

    def _roots(self, best: Plan) -> Cells:
        price = np.full(self.ledger.size, FIRST_PRICE) if best.price is None else best.price
        blocks: list[tuple[int, int, float, float]] = []
        if self.search.may_train_nothing:
            blocks.append((-1, -1, np.nan, np.nan))
        if self.fleet.models is not None:
            blocks += self._root_blocks()
        parts = []
        for low, high, first, last in blocks:
            menu = self.search.without if low < 0 else self.search.every
            parts.append(
                Cells(
                    np.array([low]),
                    np.array([high]),
                    np.array([first]),
                    np.array([last]),
                    price[None, :].copy(),
                    np.array([np.inf]),
                    np.array([9]),
                    np.array([0]),
                    np.array([0, menu.size]),
                    menu,
                )
            )
        if not parts:
            nothing = np.zeros(0, dtype=np.intp)
            return Cells(
                nothing,
                nothing,
                np.zeros(0),
                np.zeros(0),
                np.zeros((0, self.ledger.size)),
                np.zeros(0),
                nothing,
                nothing,
                np.zeros(1, dtype=np.intp),
                nothing,
            )
        return Cells.joined(parts)

    def _root_blocks(self) -> list[tuple[int, int, float, float]]:
        models = self.fleet.models
        assert models is not None
        lowest, highest = self.search.loss_span(self.ledger)
        able = np.flatnonzero(np.isfinite(lowest))
        if able.size == 0:
            return []
        one_loss = bool(np.all(highest[able] <= lowest[able]))
        if one_loss or not models.nested:
            groups = [np.array([s]) for s in able]
        else:
            runs = np.split(able, np.flatnonzero(np.diff(able) > 1) + 1)
            groups = [g for run in runs for g in np.array_split(run, min(run.size, _ROOT_SHAPES))]
        floor = self.search.space.law.irreducible
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

    def _least_flop(self, cells: Cells) -> FloatArray:
        """Training FLOP of the cheapest shape of each cell at its upper loss; inf for none."""
        if self.fleet.models is None:
            return np.zeros(len(cells))
        every = self.search.flop(np.nan_to_num(cells.loss_high, nan=1e9), self.ledger)
        index = np.arange(every.shape[1])
        inside = (index >= cells.low[:, None]) & (index <= cells.high[:, None])
        least = np.min(np.where(inside, every, np.inf), axis=1)
        return np.where(cells.low < 0, 0.0, least)

    def _examined(self, cells: Cells) -> Cells:
        """Cells with their bounds at their prices, without the options that these rule out."""
        spent = self._least_flop(cells)
        keep = np.flatnonzero(np.isfinite(spent))
        cells, spent = cells.take(keep), spent[keep]
        parts = []
        edges = _blocks(np.diff(cells.start))
        for begin, end in pairwise(edges):
            parts.append(self._examine(cells.take(np.arange(begin, end)), spent[begin:end]))
        return Cells.joined(parts) if parts else cells

    def _examine(self, cells: Cells, spent: FloatArray) -> Cells:
        cell = cells.cell()
        found = self.search.evaluate(
            cells.option, cells.loss_low[cell], cells.low[cell], cells.high[cell]
        )
        possible = np.all(np.isfinite(found.uses), axis=1)
        offers, which, extra = self.ledger.offers(self.options, cells.option, cell, found, spent)
        upper = bound(offers, cells.price) + extra
        short = np.any(offers.room[:, : self.ledger.rows] < 0.0, axis=1)
        upper = np.minimum(np.minimum(cells.upper, upper), self.ledger.most_worth())
        upper = np.where(short, -np.inf, upper)
        net = net_worth(offers, cells.price)
        trained = which >= 0
        floor = self._sure(cells, offers, which, net)
        good = trained & (net >= floor.ravel()[offers.owner] - 1e-15)
        keep = np.zeros(cells.option.size, bool)
        kept_of = np.flatnonzero(possible)
        keep[kept_of] = good[trained]
        sizes = np.bincount(cell[keep], minlength=len(cells))
        start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)
        return replace(cells, upper=upper, start=start, option=cells.option[keep])

    def _sure(self, cells: Cells, offers: Offers, which: IntArray, net: FloatArray) -> FloatArray:
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
            worst = self.search.evaluate(
                option, cells.loss_high[cell], cells.low[cell], cells.high[cell], most=True
            )
            nothing = np.zeros(len(cells))
            there, of, _ = self.ledger.offers(self.options, option, cell, worst, nothing)
            real = of >= 0
            value = net_worth(there, cells.price)[real]
            np.maximum.at(sure, there.owner[real], value)
        return np.maximum(sure, 0.0).reshape(best.shape)

    def _tuned(self, cells: Cells, best: Plan, gap: float) -> tuple[Cells, Cells, list[Plan]]:
        """New prices for the cells that halving would not help, and plans found on the way.

        Where the bound at a cell's cheaper end alone is too high, the prices are at fault, or there
        is a better plan. Cells whose turn has not come yet are returned apart, as they are.
        """
        asked = self._stuck(cells, best.value + 0.4 * gap)
        most = max(1, CHUNK // max(self.search.coarse.size, 1) // 4)
        worst = np.sort(asked[np.argsort(-cells.upper[asked], kind="stable")][:most])
        if worst.size == 0:
            return cells, cells.take(worst), []
        chosen = cells.take(worst)
        offers, which, extra = self._all_offers(chosen)
        hopeless = best.value - _MARGIN
        if not np.isfinite(hopeless):
            hopeless = -_MARGIN if np.isfinite(self.ledger.least_worth()) else -_UNKNOWN
        price = self._prices(offers, which, chosen.price, gap, hopeless)
        # all options again, for these prices may want what the old ones ruled out
        fresh = self._examined(self._restarted(chosen, price))
        alone = np.flatnonzero(chosen.low == chosen.high)
        reached = bound(offers, price) + extra
        top = alone[np.argsort(-reached[alone], kind="stable")][:2]
        plans = self.search.plans(
            self.ledger, chosen.low[top], chosen.loss_high[top], price[top], coarsest=3e-3
        )
        ready = np.setdiff1d(np.arange(len(cells)), asked)
        later = np.setdiff1d(asked, worst)
        return Cells.joined([cells.take(ready), fresh]), cells.take(later), plans

    def _all_offers(self, cells: Cells) -> tuple[Offers, IntArray, FloatArray]:
        """All options as offers, at the cheaper end of each cell."""
        spent = self._least_flop(cells)
        count, menu = len(cells), self.search.every
        option, cell = np.tile(menu, count), np.repeat(np.arange(count), menu.size)
        return self.search.offers_at(
            self.ledger, cells.low, cells.high, cells.loss_high, spent, option, cell
        )

    def _prices(
        self, offers: Offers, which: IntArray, start: FloatArray, gap: float, hopeless: float
    ) -> FloatArray:
        """Good prices for all offers, found from few of them.

        These are a thin menu and what comes close to the best at the prices so far; what comes
        close at the prices found joins them, until nothing does. Offers only ever join: else
        prices would swing between those that suit one option and those that suit its neighbour.
        """
        # prices that grew where nothing was feasible are no place to begin from
        grown = np.max(start, axis=1, initial=0.0) > _GROWN
        price = np.where(grown[:, None], FIRST_PRICE, np.maximum(start, 1e-4))
        if offers.owner.size <= _SMALL * offers.cells:
            kept = np.ones(which.size, bool)
        else:
            kept = (which < 0) | self.options.coarse[which] | self._near(offers, price)
        for round_ in range(_ROUNDS):
            few = offers.take(np.flatnonzero(kept))
            for part in (np.flatnonzero(~grown), np.flatnonzero(grown)):
                if part.size:
                    cold = round_ == 0 and bool(grown[part[0]])
                    price[part], _, _ = good_prices(
                        few.in_cells(part),
                        np.maximum(price[part], 1e-4),
                        coarsest=np.inf if cold else 3e-3,
                        # prices no better than the gap would keep it open
                        finest=float(np.clip(0.3 * gap, 1e-5, 3e-4)),
                        hopeless=hopeless,
                    )
            joining = self._near(offers, price) & ~kept
            if not np.any(joining):
                break
            kept |= joining
        return price

    def _near(self, offers: Offers, price: FloatArray) -> NDArray[np.bool_]:
        """Which offers come close to the best of their task at prices, (offer,)."""
        net = net_worth(offers, price)
        best = best_net(offers, net).ravel()[offers.owner]
        window = _WINDOW * offers.weight[offers.owner % offers.tasks]
        return np.asarray(net >= best - window)

    def _stuck(self, cells: Cells, goal: float) -> IntArray:
        """Cells that stay above a goal however narrow they become, at their prices."""
        waiting = np.flatnonzero(cells.age > 0)
        part = cells.take(waiting)
        if len(part) == 0:
            return waiting
        spent = self._least_flop(part)
        cell = part.cell()
        found = self.search.evaluate(
            part.option, part.loss_high[cell], part.low[cell], part.high[cell]
        )
        offers, _, extra = self.ledger.offers(self.options, part.option, cell, found, spent)
        return waiting[bound(offers, part.price) + extra > goal]

    def _restarted(self, cells: Cells, price: FloatArray) -> Cells:
        menus = [self.search.without if low < 0 else self.search.every for low in cells.low]
        sizes = [menu.size for menu in menus]
        return replace(
            cells,
            price=price,
            age=np.zeros(len(cells), dtype=np.intp),
            start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp),
            option=np.concatenate(menus),
        )

    def _halved(self, cells: Cells) -> Cells:
        """Every cell as two: half its shapes, or half its losses, whichever matters more."""
        if len(cells) == 0:
            return cells
        floor = self.search.space.law.irreducible
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


def _blocks(sizes: IntArray) -> list[int]:
    """Edges of blocks of cells with about as many options as are evaluated together."""
    edges, total = [0], 0
    for index, size in enumerate(sizes):
        if total and total + size > CHUNK:
            edges.append(index)
            total = 0
        total += int(size)
    edges.append(len(sizes))
    return edges if len(sizes) else [0]
