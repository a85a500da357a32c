"""Exact allocation of inference budgets over tasks: concave envelopes, best slope first.

With one limit the best mix of actions for a fixed model is a linear programme whose optimum walks
down the segments of the tasks' concave envelopes in the order of their slopes; at most one task is
split between two actions. Many search cells are allocated in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True)
class Segments:
    """The segments of all owners' concave envelopes, by cell and then by falling slope.

    Segments that a required accuracy needs come first in their cell, whatever their slope.
    """

    cell: IntArray  # (segment,)
    owner: IntArray  # (segment,)
    action: IntArray  # (segment,) index of the action at the segment's upper end
    before: IntArray  # (segment,) index of the action at its lower end, -1 for the origin
    slope: FloatArray  # (segment,) gain per cost
    cost: FloatArray  # (segment,) weight x cost of the whole segment
    gain: FloatArray  # (segment,) weight x gain of the whole segment
    start: IntArray  # (cell + 1,) where each cell's segments begin
    part: FloatArray  # (segment,) part of the envelope's segment that this one is
    needed: FloatArray  # (cell,) cost that required accuracies take; inf where out of reach
    margin: FloatArray  # (cell, group) gain per cost at which a requirement is met, else inf
    lack: FloatArray  # (cell, group) weighted success that a group falls short of at most


@dataclass(frozen=True)
class Allocation:
    """What every owner does: an action, and one owner perhaps a second."""

    value: float
    """Sum of weight x gain."""
    used: float
    """Sum of weight x cost."""
    price: float
    """Value per unit of budget at the margin; 0 where the budget is not exhausted."""
    chosen: IntArray  # (owner,) index of the action, -1 for none
    split_owner: int
    """The owner that is split; -1 for none."""
    split_action: int
    """The action that part of the split owner's tasks have instead of `chosen`."""
    split_fraction: float
    """Part of the split owner's tasks that have `split_action`."""


def envelope(owner: IntArray, cost: FloatArray, gain: FloatArray) -> IntArray:
    """Indices of the actions on each owner's concave envelope from the origin, by owner and cost.

    Removing at once every point below the chord of its neighbours is safe: the neighbours are
    points too, so it can be on no envelope. Repeated until nothing is removed.
    """
    order = np.lexsort((-gain, cost, owner))
    order = order[gain[order] > 0.0]
    if order.size == 0:
        return order.astype(np.intp)
    top = float(np.max(gain)) * 2.0 + 1.0
    rank = np.concatenate([[0], np.cumsum(np.diff(owner[order]) != 0)])
    climbing = gain[order] + rank * top
    best = np.maximum.accumulate(climbing)
    order = order[np.concatenate([[True], climbing[1:] > best[:-1]])]
    while True:
        own, x, y = owner[order], cost[order], gain[order]
        last = np.concatenate([own[1:] != own[:-1], [True]])
        run, rise = _steps(own, x), _steps(own, y)
        next_rise = np.concatenate([rise[1:], [0.0]])
        next_run = np.concatenate([run[1:], [1.0]])
        under = ~last & (rise * next_run <= next_rise * run)
        if not np.any(under):
            return np.asarray(order, dtype=np.intp)
        order = order[~under]


def _steps(owner: IntArray, values: FloatArray) -> FloatArray:
    """Differences along each owner's points, the first from 0."""
    before = np.concatenate([[0.0], values[:-1]])
    before[np.concatenate([[True], owner[1:] != owner[:-1]])] = 0.0
    return np.asarray(values - before)


def segments(
    points: IntArray,
    cell: IntArray,
    owner: IntArray,
    cost: FloatArray,
    gain: FloatArray,
    weight: FloatArray,
    cells: int,
    required: Required | None = None,
) -> Segments:
    """Segments of envelopes that `envelope` found, those that requirements need first.

    Parameters
    ----------
    points : indices that `envelope` returned.
    cell, owner, cost, gain : (action,)
    weight : (action,) weight of the action's owner.
    cells : number of cells.
    """
    own = owner[points]
    run, rise = _steps(own, cost[points]), _steps(own, gain[points])
    before = np.concatenate([[-1], points[:-1]])[: points.size]
    before[np.concatenate([[True], own[1:] != own[:-1]])[: points.size]] = -1
    slope = np.where(run > 0.0, rise / np.where(run > 0.0, run, 1.0), np.inf)
    of_cell = cell[points]
    order = np.lexsort((-slope, of_cell))
    heavy = weight[points]
    found = Segments(
        of_cell[order],
        own[order],
        points[order],
        before[order],
        slope[order],
        (heavy * run)[order],
        (heavy * rise)[order],
        np.searchsorted(of_cell[order], np.arange(cells + 1)).astype(np.intp),
        np.ones(order.size),
        np.zeros(cells),
        np.zeros((cells, 0)),
        np.zeros((cells, 0)),
    )
    return found if required is None else _required_first(found, required, cells)


@dataclass(frozen=True)
class Required:
    """Least weighted success of groups of tasks."""

    group: IntArray  # (action,)
    worth: FloatArray  # (group,) gain of one success; the same for all tasks of a group
    least: FloatArray  # (group,) weighted success; 0 where nothing is required

    @property
    def needy(self) -> NDArray[np.bool_]:
        """Which groups have a requirement."""
        return np.asarray(self.least > 0.0)


def _required_first(found: Segments, required: Required, cells: int) -> Segments:
    """Move the cheapest way to every requirement to the front of each cell's segments.

    A group's cheapest way to a success is down its own segments in the order of their slopes; the
    segment in which the requirement is met is cut in two.
    """
    count, groups = found.cell.size, required.least.size
    group = required.group[found.action]
    key = found.cell * groups + group
    worth = required.worth[group]
    success = found.gain / np.where(worth > 0.0, worth, 1.0)
    order = np.lexsort((-found.slope, key))
    total = np.cumsum(success[order])
    first = np.concatenate([[True], np.diff(key[order]) != 0]) if count else np.zeros(0, bool)
    # running totals only grow, so the last group start seen is the largest
    base = np.maximum.accumulate(np.where(first, total - success[order], 0.0))
    before = np.empty(count)
    before[order] = total - success[order] - base
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        forced = np.clip((required.least[group] - before) / success, 0.0, 1.0)
    forced = np.where(required.least[group] > 0.0, np.nan_to_num(forced), 0.0)
    reached = np.bincount(key, success, minlength=cells * groups).reshape(cells, groups)
    lack = np.maximum(required.least * (1.0 - 1e-12) - reached, 0.0)
    margin = np.full(cells * groups, np.inf)
    np.minimum.at(margin, key[forced > 0.0], found.slope[forced > 0.0])
    cost = np.bincount(found.cell, forced * found.cost, minlength=cells)
    needed = np.where(np.any(lack > 0.0, axis=1), np.inf, cost)
    parts = np.concatenate([forced, 1.0 - forced])
    index = np.tile(np.arange(count), 2)
    late = np.repeat([False, True], count)
    kept = parts > 0.0
    parts, index, late = parts[kept], index[kept], late[kept]
    slope = found.slope[index]
    rank = np.lexsort((-slope, late, found.cell[index]))
    parts, index = parts[rank], index[rank]
    return Segments(
        found.cell[index],
        found.owner[index],
        found.action[index],
        found.before[index],
        found.slope[index],
        found.cost[index] * parts,
        found.gain[index] * parts,
        np.searchsorted(found.cell[index], np.arange(cells + 1)).astype(np.intp),
        parts,
        needed,
        margin.reshape(cells, groups),
        lack,
    )


@dataclass(frozen=True)
class Spending:
    """What a budget buys in every cell; arrays over cells."""

    value: FloatArray
    """-inf where a requirement is out of reach."""
    price: FloatArray
    """Value per unit of budget at the margin; 0 where the budget is not exhausted."""
    place: IntArray
    """The segment at the margin."""
    fraction: FloatArray
    """Part of the segment at the margin that is bought."""


def spend(found: Segments, budget: FloatArray) -> Spending:
    """Spend a budget in every cell, (cell,), on its segments in the order of their slopes."""
    begin, end = found.start[:-1], found.start[1:]
    if found.slope.size == 0:
        nothing = np.zeros(budget.shape)
        short = np.where(found.needed > 0.0, -np.inf, 0.0)
        return Spending(short, nothing, begin, nothing)
    # in units of the cell's budget and cut off above it, so that one running sum serves cells
    # whose costs differ by many powers of ten
    some = budget > 0.0
    unit = np.where(some, budget, 1.0)[found.cell]
    with np.errstate(over="ignore"):
        shares = np.minimum(found.cost / unit, 2.0)
    spent = np.concatenate([[0.0], np.cumsum(shares)])
    place = np.searchsorted(spent[1:], spent[begin] + np.where(some, 1.0, 0.0), side="right")
    place = np.clip(place, begin, end)
    whole = np.arange(found.slope.size) < place[found.cell]
    paid = np.bincount(found.cell, found.cost * whole, minlength=begin.size)
    earned = np.bincount(found.cell, found.gain * whole, minlength=begin.size)
    partial = place < end
    at = np.minimum(place, found.slope.size - 1)
    left = np.where(partial, np.maximum(budget - paid, 0.0), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        fraction = np.where(partial, np.minimum(left / found.cost[at], 1.0), 0.0)
    value = earned + fraction * found.gain[at]
    short = np.isinf(found.needed) | (found.needed > budget * (1.0 + 1e-12))
    value = np.where(short, -np.inf, value)
    return Spending(value, np.where(partial, found.slope[at], 0.0), place, fraction)


def total_of(
    found: Segments, bought: Spending, amount: FloatArray, weight: FloatArray
) -> FloatArray:
    """Weighted sum over tasks of an amount per action, (action,), in what was bought, (cell,)."""
    if found.slope.size == 0:
        return np.zeros(bought.value.shape)
    rise = amount[found.action] - np.where(found.before >= 0, amount[found.before], 0.0)
    rise = rise * weight[found.action] * found.part
    whole = np.arange(rise.size) < bought.place[found.cell]
    total = np.bincount(found.cell, rise * whole, minlength=bought.place.size)
    at = np.minimum(bought.place, rise.size - 1)
    return np.asarray(total + bought.fraction * rise[at])


def allocate(
    owner: IntArray, cost: FloatArray, gain: FloatArray, weight: FloatArray, budget: float
) -> Allocation:
    """Most weighted gain for a budget of weighted cost.

    Parameters
    ----------
    owner : (action,) index into `weight`.
    cost, gain : (action,) cost >= 0 and gain of serving one task of the owner.
    weight : (owner,) tasks of each owner.
    budget : weighted cost at most this; may be inf.
    """
    chosen = np.full(weight.size, -1, dtype=np.intp)
    points = envelope(owner, cost, gain)
    if points.size == 0 or budget < 0.0:
        return Allocation(0.0, 0.0, 0.0, chosen, -1, -1, 0.0)
    nought = np.zeros(owner.size, dtype=np.intp)
    found = segments(points, nought, owner, cost, gain, weight[owner], 1)
    spent = np.cumsum(found.cost)
    whole = int(np.searchsorted(spent, budget, side="right"))
    used = float(spent[whole - 1]) if whole else 0.0
    value = float(np.sum(found.gain[:whole]))
    # slopes fall along an owner's envelope, so its last segment taken is the furthest
    chosen[found.owner[:whole]] = found.action[:whole]
    if whole == points.size:
        return Allocation(value, used, 0.0, chosen, -1, -1, 0.0)
    fraction = float(np.clip((budget - used) / found.cost[whole], 0.0, 1.0))
    price = float(found.slope[whole])
    if fraction == 0.0:
        return Allocation(value, used, price, chosen, -1, -1, 0.0)
    return Allocation(
        value + fraction * float(found.gain[whole]),
        min(used + fraction * float(found.cost[whole]), budget),
        price,
        chosen,
        int(found.owner[whole]),
        int(found.action[whole]),
        fraction,
    )


def envelope_height(
    owner: IntArray,
    cost: FloatArray,
    hull_owner: IntArray,
    hull_cost: FloatArray,
    hull_gain: FloatArray,
    least_slope: FloatArray,
    most_slope: FloatArray,
) -> FloatArray:
    """Height of each owner's envelope at given costs, its slopes clipped to a range, (query,).

    The envelope runs from the origin through its points (sorted by owner and cost). With clipped
    slopes it is what no action need exceed to be best at some price in [least, most].

    Parameters
    ----------
    owner, cost : (query,). hull_owner, hull_cost, hull_gain : (point,).
    least_slope, most_slope : (query,), the same for all queries of an owner.
    """
    count = hull_owner.size
    if count == 0:
        return np.zeros(cost.shape)
    run, rise = _steps(hull_owner, hull_cost), _steps(hull_owner, hull_gain)
    slope = np.where(run > 0.0, rise / np.where(run > 0.0, run, 1.0), np.inf)
    begin = np.searchsorted(hull_owner, owner, side="left")
    end = np.searchsorted(hull_owner, owner, side="right")
    # slopes fall along an owner's points, so those at least so steep come first
    steep = _count_at_least(slope, hull_owner, owner, most_slope)
    wanted = _count_at_least(slope, hull_owner, owner, least_slope)
    asks = np.repeat([0, 1], [count, cost.size])
    rank = np.lexsort(
        (asks, np.concatenate([hull_cost, cost]), np.concatenate([hull_owner, owner]))
    )
    position = np.empty(rank.size, dtype=np.intp)
    position[rank] = np.cumsum(asks[rank] == 0)
    place = np.clip(position[count:] - begin, steep, wanted)  # points left of the query's segment
    before = begin + place - 1
    has_left = place > 0
    x = np.where(has_left, hull_cost[np.maximum(before, 0)], 0.0)
    y = np.where(has_left, hull_gain[np.maximum(before, 0)], 0.0)
    after = np.minimum(before + 1, count - 1)
    ahead = np.where(before + 1 < end, slope[after], 0.0)
    behind = np.where(has_left, slope[np.maximum(before, 0)], np.inf)
    # left of the first point kept the line has the most slope, right of the last the least
    line = np.clip(np.where(cost < x, behind, ahead), least_slope, most_slope)
    with np.errstate(invalid="ignore"):
        return np.asarray(y + np.where(cost == x, 0.0, line * (cost - x)))


def active(
    owner: IntArray, cost: FloatArray, gain: FloatArray, low: FloatArray, high: FloatArray
) -> NDArray[np.bool_]:
    """Which points of envelopes (by owner and cost) are best at some price in [low, high]."""
    run, rise = _steps(owner, cost), _steps(owner, gain)
    slope = np.where(run > 0.0, rise / np.where(run > 0.0, run, 1.0), np.inf)
    last = np.concatenate([owner[1:] != owner[:-1], [True]]) if owner.size else np.zeros(0, bool)
    ahead = np.where(last, 0.0, np.concatenate([slope[1:], [0.0]]))
    return np.asarray((slope >= low) & (ahead <= high))


def _count_at_least(
    slope: FloatArray, hull_owner: IntArray, owner: IntArray, bound: FloatArray
) -> IntArray:
    """How many of an owner's segments are at least as steep as a bound, (query,)."""
    count = slope.size
    asks = np.repeat([0, 1], [count, owner.size])
    rank = np.lexsort((asks, -np.concatenate([slope, bound]), np.concatenate([hull_owner, owner])))
    position = np.empty(rank.size, dtype=np.intp)
    position[rank] = np.cumsum(asks[rank] == 0)
    return np.asarray(position[count:] - np.searchsorted(hull_owner, owner, side="left"))
