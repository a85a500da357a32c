"""Every policy at its best for a class, beside the one that the plan uses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ds3opt.explain.explanation import Rival
from ds3opt.explain.setting import Menu, Setting
from ds3opt.optimise.allocation import allocate
from ds3opt.optimise.solution import Solution

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


def rivals_of(setting: Setting, menu: Menu, solution: Solution) -> list[tuple[Rival, ...]]:
    """The policies of every class, least loss first, those that the plan uses before all others."""
    tasks, count = setting.tasks, len(setting.ways)
    net = setting.worth[menu.case] * menu.success - menu.cost
    best = np.zeros(len(tasks))
    np.maximum.at(best, menu.case, net)
    chosen = menu.best(net, by_way=True)
    table = np.full((len(tasks), count), -1, dtype=np.intp)  # (case, way) its best option
    table[menu.case[chosen], menu.way[chosen]] = chosen
    found = []
    for group, name in enumerate(tasks.group_names):
        mine = np.flatnonzero(tasks.group == group)
        used = {row.words for row in solution.tasks if row.name == name and row.share > 0.0}
        rows = [
            _rival(setting, menu, mine, table[mine, way], way, best, net, used)
            for way in range(count)
            if np.any(table[mine, way] >= 0)
        ]
        found.append(tuple(sorted(rows, key=lambda row: (not row.chosen, row.lost, row.policy))))
    return found


def _rival(
    setting: Setting,
    menu: Menu,
    mine: IntArray,
    option: IntArray,
    way: int,
    best: FloatArray,
    net: FloatArray,
    used: set[str],
) -> Rival:
    weight = setting.tasks.weight[mine]
    share = weight / weight.sum()
    # what does not pay for itself is better left alone, also where a policy is forced
    able = (option >= 0) & (net[option] > 0.0)
    at = np.where(able, option, 0)
    words = setting.ways[way].words

    def mean(values: FloatArray) -> float:
        return float(share @ np.where(able, values[at], 0.0))

    budgets = menu.token_budget[option[able]]
    return Rival(
        policy=words,
        family=setting.ways[way].family,
        chosen=words in used,
        accuracy=mean(menu.success),
        token_budget=(float(budgets.min()), float(budgets.max())) if budgets.size else (0.0, 0.0),
        tokens=mean(menu.tokens),
        flop=mean(menu.flop),
        lost=max(float(weight @ (best[mine] - np.where(able, net[at], 0.0))), 0.0) / setting.unit,
        accuracy_at_own_compute=_at_own_compute(setting, menu, mine, way),
    )


def _at_own_compute(setting: Setting, menu: Menu, mine: IntArray, way: int) -> float | None:
    """Accuracy of a class when it spends on one policy what it spends in the plan."""
    tasks = setting.tasks
    paid = float(setting.paid[tasks.group[mine[0]]])
    if paid <= 0.0:
        return None
    place = np.full(len(tasks), -1, dtype=np.intp)
    place[mine] = np.arange(mine.size)
    at = np.flatnonzero((menu.way == way) & (place[menu.case] >= 0))
    weight = tasks.weight[mine]
    found = allocate(place[menu.case[at]], menu.cost[at], menu.success[at], weight, paid)
    return min(found.value / float(weight.sum()), 1.0)
