"""Prices of several limits at once: the dual of allocation, solved for many cells together.

Every task takes the option with the most worth net of what its resources cost; the sum of these
over tasks, and the limits at their prices, bounds what any allocation reaches, whatever the prices
are (Lagrangian duality). Good prices make the bound tight. They are found by an interior point:
the maximum over options is smoothed to a log-sum-exp, prices are kept positive by a barrier, and
both are tightened together (Boyd and Vandenberghe, Convex Optimization, 2004, chapter 11).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_SMOOTHING = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
"""Temperatures of the log-sum-exp, in worth per task, from coarse to fine."""
_BARRIER = 0.02
"""Weight of the barrier over the temperature."""
_FIRST_STEPS, _STEPS = 14, 6
"""Newton steps at the first temperature, which may be far from its optimum, and at others."""
_DECREMENT = 1e-4
"""Newton decrement over the temperature at which prices are good enough for it."""
_HALVINGS = 24
_TO_BOUNDARY = 0.95
_MOST_RISE = 8.0
"""Relative rise of a price in one step."""
_IDLE = 1.01e-4
"""Price, in worth for its whole size, below which a limit is taken to be free at first."""
_HIGHEST = 1e5


@dataclass(frozen=True)
class Offers:
    """What tasks may choose among in several cells; sorted by cell, then task."""

    owner: IntArray  # (offer,) cell x tasks + task, non-decreasing
    worth: FloatArray  # (offer,) worth, times the weight of its task
    usage: FloatArray  # (offer, limit) of each limit's own size, times the weight of its task
    room: FloatArray  # (cell, limit) what is left of each limit
    weight: FloatArray  # (task,)

    @property
    def cells(self) -> int:
        """Number of cells."""
        return int(self.room.shape[0])

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return int(self.weight.size)

    def in_cells(self, cells: IntArray) -> Offers:
        """The offers of some of the cells, which are numbered anew."""
        number = np.full(self.cells, -1, dtype=np.intp)
        number[cells] = np.arange(cells.size)
        cell = self.cell_of()
        keep = np.flatnonzero(number[cell] >= 0)
        owner = number[cell[keep]] * self.tasks + self.owner[keep] % self.tasks
        return Offers(owner, self.worth[keep], self.usage[keep], self.room[cells], self.weight)

    def under(self, limits: IntArray) -> Offers:
        """The same offers under some of the limits."""
        return Offers(
            self.owner, self.worth, self.usage[:, limits], self.room[:, limits], self.weight
        )

    def cell_of(self) -> IntArray:
        """The cell of every offer."""
        return self.owner // self.tasks

    def take(self, keep: IntArray) -> Offers:
        """Some of the offers, in order."""
        return Offers(self.owner[keep], self.worth[keep], self.usage[keep], self.room, self.weight)


def net_worth(offers: Offers, price: FloatArray) -> FloatArray:
    """Worth of every offer net of its resources at prices (cell, limit)."""
    cell = offers.cell_of()
    net = offers.worth.copy()
    for r in range(price.shape[1]):
        net -= offers.usage[:, r] * price[cell, r]
    return net


def best_net(offers: Offers, net: FloatArray) -> FloatArray:
    """The most net worth of each task of each cell, (cell, task); 0 for doing nothing."""
    best = np.zeros(offers.cells * offers.tasks)
    starts, owners = _groups(offers.owner)
    if owners.size:
        best[owners] = np.maximum(np.maximum.reduceat(net, starts), 0.0)
    return best.reshape(offers.cells, offers.tasks)


def bound(offers: Offers, price: FloatArray) -> FloatArray:
    """Upper bound on the worth of any allocation within the limits, (cell,)."""
    best = best_net(offers, net_worth(offers, price))
    return np.asarray(np.sum(price * offers.room, axis=1) + np.sum(best, axis=1))


def good_prices(
    offers: Offers,
    start: FloatArray,
    *,
    coarsest: float = _SMOOTHING[0],
    finest: float = 1e-4,
    hopeless: float = -10.0,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Prices with a nearly least bound, and a mix of offers that keeps the limits.

    Parameters
    ----------
    start : (cell, limit) prices to begin from, above 0.
    coarsest, finest : the temperatures to begin and to end with; good first prices need no coarse
        ones.
    hopeless : worth below which a cell's bound is low enough, and its prices are left as they are;
        where no mix keeps the limits they would grow without end.

    Returns
    -------
    price : (cell, limit).
    amount : (offer,) part of its task that each offer serves in the mix.
    value : (cell,) worth of the mix; -inf where it does not keep every limit.
    """
    price = np.clip(start, 1e-9, _HIGHEST)
    active = np.flatnonzero(np.any(price > _IDLE, axis=0))
    required = bool(np.any(offers.room < 0.0))
    if 0 < active.size < price.shape[1] and not required:
        # limits that were nearly free stay so, unless the mix says otherwise; where something is
        # required, a mix that happens to keep them says little
        found = good_prices(
            offers.under(active),
            price[:, active],
            coarsest=coarsest,
            finest=finest,
            hopeless=hopeless,
        )
        amount = found[1]
        value = _value(offers, amount)
        if np.all(np.isfinite(value)):
            price = np.full(price.shape, 1e-9)
            price[:, active] = found[0]
            return price, amount, value
        price[:, active] = found[0]
        price = np.maximum(price, _IDLE)
    path = _Path(offers)
    steps = _FIRST_STEPS
    for temperature in _SMOOTHING:
        if finest * (1 - 1e-9) <= temperature <= coarsest * (1 + 1e-9):
            price = path.descend(price, temperature, steps, hopeless)
            steps = _STEPS
    amount = _within_room(offers, path.amounts(price, finest))
    return price, amount, _value(offers, amount)


def used(offers: Offers, amount: FloatArray) -> FloatArray:
    """Use of every limit by a mix, (cell, limit)."""
    cell = offers.cell_of()
    total = np.empty(offers.room.shape)
    for r in range(offers.room.shape[1]):
        total[:, r] = np.bincount(cell, amount * offers.usage[:, r], minlength=offers.cells)
    return total


def _within_room(offers: Offers, amount: FloatArray) -> FloatArray:
    """The mix thinned out in cells where it uses slightly more than there is."""
    taken, room = used(offers, amount), offers.room
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        part = np.where((taken > room) & (room > 0.0), room / taken, 1.0)
    least = np.min(part, axis=1, initial=1.0) * (1.0 - 1e-15)
    return np.asarray(amount * least[offers.cell_of()])


def _value(offers: Offers, amount: FloatArray) -> FloatArray:
    """Worth of a mix, (cell,); -inf where it does not keep every limit."""
    room = offers.room
    keeps = np.all(used(offers, amount) <= room + 1e-12 * np.abs(room), axis=1)
    value = np.bincount(offers.cell_of(), amount * offers.worth, minlength=offers.cells)
    return np.where(keeps, value, -np.inf)


class _Path:
    """Newton's method on the smoothed dual, all cells at once."""

    def __init__(self, offers: Offers) -> None:
        self.offers = offers
        self.starts, self.owners = _groups(offers.owner)
        self.size = np.diff(np.append(self.starts, offers.owner.size))
        self.per_cell = np.bincount(offers.cell_of(), minlength=offers.cells)
        self.usage = np.ascontiguousarray(offers.usage.T)  # (limit, offer)
        weight = offers.weight[self.owners % offers.tasks]
        self.own_weight = weight if self.owners.size else np.zeros(0)
        self.own_cell = self.owners // offers.tasks
        limits = offers.room.shape[1]
        self.pairs = [(r, s) for r in range(limits) for s in range(r, limits)]
        # limits of different periods have no offer in common
        used = (self.usage != 0.0).astype(np.float32)
        self.meet = (used @ used.T) > 0.0

    def _net(self, price: FloatArray) -> FloatArray:
        net = self.offers.worth.copy()
        for use, each in zip(self.usage, price.T, strict=True):
            net -= use * np.repeat(each, self.per_cell)
        return net

    def _softmax(self, price: FloatArray, temperature: float) -> tuple[FloatArray, FloatArray]:
        """Part of its task that every offer gets, and the smoothed best of every task."""
        if not self.owners.size:
            return np.zeros(0), np.zeros(0)
        scale = temperature * self.own_weight
        raised = self._net(price)
        raised /= np.repeat(scale, self.size)
        top = np.maximum(np.maximum.reduceat(raised, self.starts), 0.0)
        raised -= np.repeat(top, self.size)
        powers = np.exp(raised, out=raised)
        total = np.add.reduceat(powers, self.starts) + np.exp(-top)
        powers /= np.repeat(total, self.size)
        return powers, scale * (top + np.log(total))

    def amounts(self, price: FloatArray, temperature: float) -> FloatArray:
        """Part of its task that every offer gets."""
        return self._softmax(price, temperature)[0]

    def _smoothed(self, price: FloatArray, temperature: float) -> tuple[FloatArray, FloatArray]:
        """The smoothed bound with its barrier, (cell,), and the amounts, (offer,)."""
        amount, smooth = self._softmax(price, temperature)
        total = np.bincount(self.own_cell, smooth, minlength=self.offers.cells)
        barrier = _BARRIER * temperature * np.sum(np.log(price), axis=1)
        return np.asarray(np.sum(price * self.offers.room, axis=1) + total - barrier), amount

    def descend(
        self, price: FloatArray, temperature: float, steps: int, hopeless: float
    ) -> FloatArray:
        """A few damped Newton steps."""
        now, amount = self._smoothed(price, temperature)
        price = price.copy()
        for done in range(steps):
            step, decrement = self._newton(price, temperature, amount)
            # where no task is undecided only the barrier bends, and its steps are far too long
            fall = np.max(-step / price, axis=1, initial=0.0) / _TO_BOUNDARY
            rise = np.max(step / price, axis=1, initial=0.0) / _MOST_RISE
            length = 1.0 / np.maximum(np.maximum(fall, rise), 1.0)
            moving = (decrement > _DECREMENT * temperature) & (now > hopeless)
            few = np.flatnonzero(moving)
            if few.size == 0:
                break
            if few.size < 0.6 * moving.size:
                part = _Path(self.offers.in_cells(few))
                price[few] = part.descend(price[few], temperature, steps - done, hopeless)
                break
            for _ in range(_HALVINGS):
                trial = price + np.where(moving, length, 0.0)[:, None] * step
                trial = np.clip(trial, 1e-12, _HIGHEST)
                value, amount = self._smoothed(trial, temperature)
                worse = moving & ~(value <= now - 0.1 * length * decrement)
                if not np.any(worse):
                    break
                length = np.where(worse, 0.4 * length, length)
            accepted = moving & (value < now)
            if not np.any(accepted):
                break
            price = np.where(accepted[:, None], trial, price)
            now = np.where(accepted, value, now)
            if np.any(moving & ~accepted):
                now, amount = self._smoothed(price, temperature)
        return price

    def _newton(
        self, price: FloatArray, temperature: float, amount: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Newton step and decrement of every cell."""
        offers = self.offers
        cells, limits = offers.room.shape
        barrier = _BARRIER * temperature
        gradient = offers.room - barrier / price
        curvature = np.zeros((cells, limits, limits))
        if self.owners.size:
            weighted = amount * self.usage
            mean = np.add.reduceat(weighted, self.starts, axis=1)  # (limit, owner)
            for r in range(limits):
                gradient[:, r] -= np.bincount(self.own_cell, mean[r], minlength=cells)
            scale = 1.0 / (temperature * self.own_weight)
            for r, s in self.pairs:
                spread = -mean[r] * mean[s]
                if self.meet[r, s]:
                    spread += np.add.reduceat(weighted[r] * self.usage[s], self.starts)
                spread *= scale
                curvature[:, r, s] = np.bincount(self.own_cell, spread, minlength=cells)
                curvature[:, s, r] = curvature[:, r, s]
        index = np.arange(limits)
        curvature[:, index, index] += barrier / price**2
        # where nothing is feasible prices grow without end: those at the end stay, others go on
        stopped = (price >= 0.99 * _HIGHEST) & (gradient < 0.0)
        gradient = np.where(stopped, 0.0, gradient)
        free = ~stopped
        curvature *= free[:, :, None] & free[:, None, :]
        curvature[:, index, index] += np.where(stopped, 1.0, 0.0)
        # scaled by the barrier's own curvature, so that prices of any size are well conditioned
        scaled = curvature * price[:, :, None] * price[:, None, :]
        scaled[:, index, index] += 1e-12 * (1.0 + scaled[:, index, index])
        step = -price * np.linalg.solve(scaled, (gradient * price)[:, :, None])[:, :, 0]
        return step, -np.sum(step * gradient, axis=1)


def _groups(owner: IntArray) -> tuple[IntArray, IntArray]:
    """Where each owner's offers begin, and the owners."""
    if owner.size == 0:
        empty = np.zeros(0, dtype=np.intp)
        return empty, empty
    starts = np.flatnonzero(np.concatenate([[True], np.diff(owner) != 0])).astype(np.intp)
    return starts, owner[starts]
