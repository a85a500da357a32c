"""Which options serve which part of which tasks, exactly, for one model and its loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.allocation import allocate
from ds3opt.optimise.fleet.ledger import Ledger
from ds3opt.optimise.fleet.options import Evaluated
from ds3opt.optimise.fleet.plans import FleetSearch, Plan, near_options
from ds3opt.optimise.fleet.prices import Offers
from ds3opt.optimise.linear_programme import best_mix

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True)
class FleetMix:
    """What every task does with one model."""

    plan: Plan
    value: float
    """Worth in units of the ledger's scale."""
    option: IntArray  # index into the options; (part,)
    amount: FloatArray  # (part,) of the option's task
    tasks: IntArray  # (part,) whose option it is
    found: Evaluated  # (part,)
    placed: FloatArray  # (period,) part of training in each period
    prices: FloatArray  # (limit,)
    used: FloatArray  # (limit,) parts of upper limits, training included


def best_mix_of(search: FleetSearch, ledger: Ledger, plan: Plan) -> FleetMix | None:
    """The best mix of the options near a plan, of all options where those do not suffice."""
    found = exact_mix(search, ledger, plan, near_options(search, ledger, plan))
    return found if found is not None else exact_mix(search, ledger, plan)


def exact_mix(
    search: FleetSearch, ledger: Ledger, plan: Plan, menu: IntArray | None = None
) -> FleetMix | None:
    """The best mix of options for a plan; None where none keeps every limit.

    A linear programme decides only where more than one limit is at stake: with one limit, tasks
    are served down their concave envelopes, which is exact.
    """
    menu = search.every if menu is None else menu
    if plan.shape < 0:
        menu = menu[search.options.existing[menu] >= 0]
    one = np.zeros(menu.size, dtype=np.intp)
    shape = np.full(menu.size, plan.shape)
    found = search.evaluate(menu, np.full(menu.size, plan.loss), shape, shape)
    spent = search.spent(ledger, np.array([plan.shape]), np.array([plan.loss]))
    if not np.isfinite(spent[0]):
        return None
    offers, which, extra = ledger.offers(search.options, menu, one, found, spent)
    solved = _solved(offers, ledger)
    if solved is None:
        return None
    amount, prices = solved
    value = float(amount @ offers.worth) + float(extra[0])
    periods = len(search.fleet.periods)
    placed = np.ones(1) if periods == 1 else amount[which < 0]
    if placed.size != periods:
        placed = np.zeros(periods)
    chosen = np.flatnonzero((amount > 0.0) & (which >= 0))
    position = np.searchsorted(menu, which[chosen])
    used = ledger.room_before_training(len(offers.room)) - offers.room
    used = used[0] + amount @ offers.usage
    return FleetMix(
        plan=plan,
        value=value,
        option=which[chosen],
        amount=amount[chosen],
        tasks=search.options.task[which[chosen]],
        found=Evaluated(
            found.success[position], found.uses[position], found.trace_tokens[position]
        ),
        placed=placed,
        prices=prices,
        used=used[: ledger.rows],
    )


def _solved(offers: Offers, ledger: Ledger) -> tuple[FloatArray, FloatArray] | None:
    """Amounts and prices that are optimal for one cell's offers."""
    room = offers.room[0]
    if np.any(room[: ledger.rows] < 0.0):
        return None
    if offers.owner.size == 0:
        nothing = np.zeros(0), np.zeros(room.size)
        return nothing if np.all(room >= 0.0) else None
    if not ledger.placed:
        alone = _one_limit(offers, ledger)
        if alone is not None:
            return alone
    required = np.array([offers.tasks - 1]) if ledger.placed else None
    programme = best_mix(offers.owner, offers.worth, offers.usage, room, required=required)
    if programme is None:
        return None
    amount = _kept(programme.amount, offers)
    return None if amount is None else (amount, programme.prices)


def _kept(amount: FloatArray, offers: Offers) -> FloatArray | None:
    """Amounts that keep every limit to the last digit, upper ones by serving a little less."""
    room = offers.room[0]
    per_task = np.bincount(offers.owner, amount, minlength=offers.tasks)
    amount = amount / np.maximum(per_task, 1.0)[offers.owner]
    used = amount @ offers.usage
    over = (used > room) & (room > 0.0)
    if np.any(over):
        amount = amount * (float(np.min(room[over] / used[over])) * (1.0 - 1e-15))
        used = amount @ offers.usage
    return amount if np.all(used <= room + 1e-9 * np.abs(room)) else None


def _one_limit(offers: Offers, ledger: Ledger) -> tuple[FloatArray, FloatArray] | None:
    """The optimum where a single limit decides; None where several do."""
    limits = offers.room.shape[1]
    for row in range(limits):
        found = _by_envelope(offers, row)
        if found is None:
            continue
        amount, price = found
        if np.all(amount @ offers.usage <= offers.room[0] + 1e-12 * np.abs(offers.room[0])):
            prices = np.zeros(limits)
            prices[row] = price
            return amount, prices
    return None


def _by_envelope(offers: Offers, row: int) -> tuple[FloatArray, float] | None:
    """The optimum under one limit alone: concave envelopes from the option that uses least.

    That option may use less than nothing, where the limit is a lower one.
    """
    count, tasks = offers.owner.size, offers.tasks
    usage, worth = offers.usage[:, row], offers.worth
    order = np.lexsort((-worth, usage, offers.owner))
    _, first = np.unique(offers.owner[order], return_index=True)
    lowest = order[first]
    # doing nothing uses nothing and is worth nothing
    base_usage, base_worth = np.zeros(tasks), np.zeros(tasks)
    base = np.full(tasks, -1, dtype=np.intp)
    owner = offers.owner[lowest]
    better = (usage[lowest] < 0.0) | ((usage[lowest] == 0.0) & (worth[lowest] > 0.0))
    base[owner[better]] = lowest[better]
    base_usage[owner[better]] = usage[lowest[better]]
    base_worth[owner[better]] = worth[lowest[better]]
    budget = float(offers.room[0, row] - np.sum(base_usage))
    if budget < 0.0:
        return None
    # nothing is an option again where the lowest is not nothing
    idle = np.flatnonzero(base >= 0)
    every_owner = np.concatenate([offers.owner, idle]).astype(np.intp)
    cost = np.concatenate([usage, np.zeros(idle.size)]) - base_usage[every_owner]
    gain = np.concatenate([worth, np.zeros(idle.size)]) - base_worth[every_owner]
    found = allocate(every_owner, np.maximum(cost, 0.0), gain, np.ones(tasks), budget)
    amount = np.zeros(count + idle.size)
    chosen = np.where(found.chosen >= 0, found.chosen, base)
    whole = np.ones(tasks)
    if found.split_owner >= 0:
        whole[found.split_owner] = 1.0 - found.split_fraction
        amount[found.split_action] += found.split_fraction
    some = chosen >= 0
    np.add.at(amount, chosen[some], whole[some])
    return amount[:count], found.price
