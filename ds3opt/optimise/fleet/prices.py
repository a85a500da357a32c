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
_STEPS = 6
"""Newton steps at one temperature."""
_HALVINGS = 12
_TO_BOUNDARY = 0.95
_MOST_RISE = 3.0
"""Relative rise of a price in one step."""
_HIGHEST = 1e9


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

    def cell_of(self) -> IntArray:
        """The cell of every offer."""
        return self.owner // self.tasks

    def take(self, keep: IntArray) -> Offers:
        """Some of the offers, in order."""
        return Offers(self.owner[keep], self.worth[keep], self.usage[keep], self.room, self.weight)


def net_worth(offers: Offers, price: FloatArray) -> FloatArray:
    """Worth of every offer net of its resources at prices (cell, limit)."""
    per_offer = price[offers.cell_of()]
    return np.asarray(offers.worth - np.einsum("ar,ar->a", offers.usage, per_offer))


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
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Prices with a nearly least bound, and a mix of offers that keeps the limits.

    Parameters
    ----------
    start : (cell, limit) prices to begin from, above 0.
    coarsest, finest : the temperatures to begin and to end with; good first prices need no coarse
        ones.

    Returns
    -------
    price : (cell, limit).
    amount : (offer,) part of its task that each offer serves in the mix.
    value : (cell,) worth of the mix; -inf where it does not keep every limit.
    """
    path = _Path(offers)
    price = np.clip(start, 1e-9, _HIGHEST)
    for temperature in _SMOOTHING:
        if not finest * (1 - 1e-9) <= temperature <= coarsest * (1 + 1e-9):
            continue
        price = path.descend(price, temperature)
    amount = path.amounts(price, finest)
    amount = path.within_room(amount)
    used = path.used(amount)
    keeps = np.all(used <= offers.room + 1e-12 * np.abs(offers.room), axis=1)
    value = np.bincount(path.cell, amount * offers.worth, minlength=offers.cells)
    return price, amount, np.where(keeps, value, -np.inf)


class _Path:
    """Newton's method on the smoothed dual, all cells at once."""

    def __init__(self, offers: Offers) -> None:
        self.offers = offers
        self.cell = offers.cell_of()
        self.starts, self.owners = _groups(offers.owner)
        self.size = np.diff(np.append(self.starts, offers.owner.size))
        self.of = np.repeat(np.arange(self.owners.size), self.size)
        self.own_weight = (
            offers.weight[self.owners % offers.tasks] if self.owners.size else (np.zeros(0))
        )
        self.own_cell = self.owners // offers.tasks
        limits = offers.room.shape[1]
        self.pairs = [(r, s) for r in range(limits) for s in range(r, limits)]

    def _softmax(self, price: FloatArray, temperature: float) -> tuple[FloatArray, FloatArray]:
        """Part of its task that every offer gets, and the smoothed best of every task."""
        offers = self.offers
        if not self.owners.size:
            return np.zeros(0), np.zeros(0)
        scale = temperature * self.own_weight
        raised = net_worth(offers, price) / scale[self.of]
        top = np.maximum(np.maximum.reduceat(raised, self.starts), 0.0)
        powers = np.exp(raised - top[self.of])
        total = np.add.reduceat(powers, self.starts) + np.exp(-top)
        return powers / total[self.of], scale * (top + np.log(total))

    def amounts(self, price: FloatArray, temperature: float) -> FloatArray:
        """Part of its task that every offer gets."""
        return self._softmax(price, temperature)[0]

    def used(self, amount: FloatArray) -> FloatArray:
        """Use of every limit, (cell, limit)."""
        offers = self.offers
        flat = [
            np.bincount(self.cell, amount * offers.usage[:, r], minlength=offers.cells)
            for r in range(offers.room.shape[1])
        ]
        return np.stack(flat, axis=1)

    def within_room(self, amount: FloatArray) -> FloatArray:
        """The mix thinned out in cells where it uses slightly more than there is."""
        used, room = self.used(amount), self.offers.room
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where((used > room) & (room > 0.0), room / used, 1.0)
        return np.asarray(amount * (np.min(part, axis=1) * (1.0 - 1e-15))[self.cell])

    def _objective(self, price: FloatArray, temperature: float) -> FloatArray:
        smooth = self._softmax(price, temperature)[1]
        total = np.bincount(self.own_cell, smooth, minlength=self.offers.cells)
        barrier = _BARRIER * temperature * np.sum(np.log(price), axis=1)
        return np.asarray(np.sum(price * self.offers.room, axis=1) + total - barrier)

    def descend(self, price: FloatArray, temperature: float) -> FloatArray:
        """A few damped Newton steps."""
        now = self._objective(price, temperature)
        for _ in range(_STEPS):
            step, decrement = self._newton(price, temperature)
            # where no task is undecided only the barrier bends, and its steps are far too long
            fall = np.max(-step / price, axis=1) / _TO_BOUNDARY
            rise = np.max(step / price, axis=1) / _MOST_RISE
            length = 1.0 / np.maximum(np.maximum(fall, rise), 1.0)
            moving = decrement > 1e-9
            for _ in range(_HALVINGS):
                trial = price + np.where(moving, length, 0.0)[:, None] * step
                value = self._objective(np.clip(trial, 1e-12, _HIGHEST), temperature)
                worse = moving & ~(value <= now - 0.1 * length * decrement)
                if not np.any(worse):
                    break
                length = np.where(worse, 0.4 * length, length)
            accepted = moving & (value < now)
            price = np.where(accepted[:, None], np.clip(trial, 1e-12, _HIGHEST), price)
            now = np.where(accepted, value, now)
            if not np.any(accepted):
                break
        return price

    def _newton(self, price: FloatArray, temperature: float) -> tuple[FloatArray, FloatArray]:
        """Newton step and decrement of every cell."""
        offers = self.offers
        cells, limits = offers.room.shape
        amount = self.amounts(price, temperature)
        barrier = _BARRIER * temperature
        gradient = offers.room - self.used(amount) - barrier / price
        curvature = np.zeros((cells, limits, limits))
        if self.owners.size:
            weighted = amount[:, None] * offers.usage
            mean = np.add.reduceat(weighted, self.starts, axis=0)
            scale = 1.0 / (temperature * self.own_weight)
            for r, s in self.pairs:
                second = np.add.reduceat(weighted[:, r] * offers.usage[:, s], self.starts)
                spread = (second - mean[:, r] * mean[:, s]) * scale
                curvature[:, r, s] = np.bincount(self.own_cell, spread, minlength=cells)
                curvature[:, s, r] = curvature[:, r, s]
        index = np.arange(limits)
        curvature[:, index, index] += barrier / price**2
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
