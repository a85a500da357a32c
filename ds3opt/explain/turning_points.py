"""How far a quantity must move for another kind of policy to be best for a class's typical task.

Each quantity is followed from its value both ways over a grid, which then closes in on the first
change. The model and the prices stay. A kind of policy that is best in an interval narrower than
the grid goes unseen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds3opt.explain.explanation import TurningPoint
from ds3opt.explain.setting import Menu, Setting
from ds3opt.problem import MAX_STEPS, Tasks

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_POINTS = 12
_CLOSER = 6
_ROUNDS = 4
_REFINEMENTS = 3
"""Of token budgets: a few percent of one changes net worth by little."""
_RANGE = 1e3
_FAR = 8.0
"""Standard deviations at which a verifier that scores as good as never errs."""
_NOT = "not attempted"
_TIE = 1e-7
"""Difference of success by which no policy is better than another."""


@dataclass(frozen=True)
class _Quantity:
    """Something that may move."""

    code: str
    words: str
    dimension: str
    logarithmic: bool
    span: Callable[[Setting, int], tuple[float, float, float] | None]
    """Least, present and greatest value for a task; None where it says nothing."""
    changed: Callable[[Tasks, FloatArray, Setting, IntArray], dict[str, Any]]
    """Fields of the tasks with the quantity at values, for tasks at an index."""


def turning_points_of(
    setting: Setting, typical: Sequence[int], own: Sequence[str]
) -> list[tuple[TurningPoint, ...]]:
    """The turning points of every class, for one task each.

    Parameters
    ----------
    typical : the task of every class.
    own : the kind of policy of most of every class, which ties leave as it is.
    """
    lanes = [
        _Lane(number, task, quantity, span, end)
        for number, task in enumerate(typical)
        for quantity in _QUANTITIES
        if (span := quantity.span(setting, task)) is not None
        for end in (0, 2)
        if span[end] != span[1]
    ]
    now = _kinds(setting, list(typical), [], own)
    low, high = np.zeros(len(lanes)), np.ones(len(lanes))
    kind = [""] * len(lanes)
    found = np.zeros(len(lanes), bool)
    for round_ in range(_ROUNDS):
        points = _CLOSER if round_ else _POINTS
        open_ = np.flatnonzero(found) if round_ else np.arange(len(lanes))
        if open_.size == 0:
            break
        part = np.arange(1.0, points + 1.0) / points
        place = low[open_, None] + (high - low)[open_, None] * part
        asked = [
            (lanes[i], lanes[i].value(float(t)))
            for i, row in zip(open_, place, strict=True)
            for t in row
        ]
        mine = [own[lane.number] for lane, _ in asked]
        kinds = _kinds(setting, [lane.task for lane, _ in asked], asked, mine)
        for at, i in enumerate(open_):
            mine = kinds[at * points : (at + 1) * points]
            other = [j for j, one in enumerate(mine) if one != now[lanes[i].number]]
            if not other:
                continue
            first = other[0]
            found[i], kind[i] = True, mine[first]
            before = place[at, first - 1] if first else low[i]
            low[i], high[i] = before, place[at, first]
    return _gathered(lanes, found, high, kind, len(typical))


@dataclass(frozen=True)
class _Lane:
    """One quantity of one class in one direction."""

    number: int
    task: int
    quantity: _Quantity
    span: tuple[float, float, float]
    end: int
    """0 for down, 2 for up."""

    def value(self, place: float) -> float:
        """From the present value at 0 to the end of the range at 1, dense at the lower."""
        now, end = self.span[1], self.span[self.end]
        if self.quantity.logarithmic and now > 0.0 and end > 0.0:
            return float(now * (end / now) ** place)
        if end > now:
            return float(now + (end - now) * place**3)
        return float(end + (now - end) * (1.0 - place) ** 3)


def _kinds(
    setting: Setting,
    tasks: list[int],
    asked: Sequence[tuple[_Lane, float]],
    own: Sequence[str],
) -> list[str]:
    """The kind of policy that is best for every case."""
    index = np.array(tasks, dtype=np.intp)
    cases = setting.tasks.take(index, np.full(index.size, 1.0 / max(index.size, 1)))
    factor = np.ones(index.size)
    for quantity in _QUANTITIES:
        mine = np.array(
            [i for i, (lane, _) in enumerate(asked) if lane.quantity is quantity], dtype=np.intp
        )
        if mine.size == 0:
            continue
        values = np.array([asked[i][1] for i in mine])
        if quantity.code == "price":
            factor[mine] = values
            continue
        changes = quantity.changed(
            cases.take(mine, cases.weight[mine]), values, setting, index[mine]
        )
        cases = replace(cases, **{n: _put(getattr(cases, n), mine, v) for n, v in changes.items()})
    there = setting.at(index, cases)
    menu = there.menu(_REFINEMENTS)
    net = there.worth[menu.case] * menu.success - factor[menu.case] * menu.cost
    best = np.zeros(index.size)
    np.maximum.at(best, menu.case, net)
    # of options that are as good, the class's own kind or else the one of least use
    good = np.flatnonzero((net > 0.0) & (net >= (best - _TIE * there.worth)[menu.case]))
    families = [there.ways[int(way)].family for way in menu.way[good]]
    keeps = [one == own[int(case)] for one, case in zip(families, menu.case[good], strict=True)]
    found = [_NOT] * index.size
    for i in np.lexsort((-menu.flop[good], np.array(keeps))):
        found[int(menu.case[good[i]])] = families[i]
    return found


def _put(old: Any, at: IntArray, new: Any) -> Any:
    """An array, or traits, with some places replaced."""
    if isinstance(old, np.ndarray):
        changed = old.copy()
        changed[at] = new
        return changed
    return replace(
        old,
        **{
            name: _put(getattr(old, name), at, getattr(new, name))
            for name in ("true_positive_rate", "false_positive_rate", "discrimination")
        },
    )


def _gathered(
    lanes: list[_Lane], found: NDArray[np.bool_], place: FloatArray, kind: list[str], count: int
) -> list[tuple[TurningPoint, ...]]:
    points: list[dict[str, TurningPoint]] = [{} for _ in range(count)]
    for i, lane in enumerate(lanes):
        quantity = lane.quantity
        mine = points[lane.number].setdefault(
            quantity.code,
            TurningPoint(
                quantity.code,
                quantity.words,
                quantity.dimension,
                lane.span[1],
                *(None, None, None, None),
            ),
        )
        if found[i]:
            value, side = lane.value(float(place[i])), "below" if lane.end == 0 else "above"
            update: dict[str, Any] = {side: value, f"policy_{side}": kind[i]}
            points[lane.number][quantity.code] = replace(mine, **update)
    return [tuple(one.values()) for one in points]


# -- quantities -------------------------------------------------------------------------------


def _price_span(setting: Setting, task: int) -> tuple[float, float, float] | None:
    priced = setting.paid[setting.tasks.group[task]] > 0.0
    return (1.0 / _RANGE, 1.0, _RANGE) if priced else None


def _step_span(setting: Setting, task: int) -> tuple[float, float, float] | None:
    r = float(setting.step_success[task])
    return (r / _RANGE, r, 1.0) if 0.0 < r <= 1.0 else None


def _step_changed(
    tasks: Tasks, values: FloatArray, setting: Setting, index: IntArray
) -> dict[str, Any]:
    now = setting.step_success[index]
    return {"directionality": tasks.directionality * values / now}


def _fatigue_span(setting: Setting, task: int) -> tuple[float, float, float] | None:
    if _measured(setting, task):
        return None
    return (0.0, float(setting.tasks.fatigue[task]), 1.0)


def _measured(setting: Setting, task: int) -> bool:
    """Whether success was measured, and follows from no steps."""
    return setting.tasks.group_population[int(setting.tasks.group[task])] is not None


def _judged(setting: Setting, task: int) -> bool:
    """Whether a verifier matters to the task, and no measurement stands for what it does."""
    used = any(
        bool(setting.tasks.allowed[task, i])
        for i, policy in enumerate(setting.problem.policies)
        if policy.needs > 0
    )
    return used and not _measured(setting, task)


def _discrimination(setting: Setting, task: int) -> float:
    """Distance d' of the scores of right and wrong answers; nan where a verifier does not score."""
    found = setting.tasks.traits.discrimination
    return math.nan if found is None else float(found[task])


def _score_span(setting: Setting, task: int) -> tuple[float, float, float] | None:
    distance = _discrimination(setting, task)
    if not _judged(setting, task) or not np.isfinite(distance):
        return None
    return (0.0, distance, distance + _FAR)


def _rate_span(name: str) -> Callable[[Setting, int], tuple[float, float, float] | None]:
    def span(setting: Setting, task: int) -> tuple[float, float, float] | None:
        tasks = setting.tasks
        if not _judged(setting, task) or np.isfinite(_discrimination(setting, task)):
            return None
        true = float(tasks.traits.true_positive_rate[task])
        false = float(tasks.traits.false_positive_rate[task])
        if name == "true_positive_rate":
            return (max(false, 1e-9), true, 1.0)
        return (0.0, false, true)

    return span


def _rate_changed(
    name: str,
) -> Callable[[Tasks, FloatArray, Setting, IntArray], dict[str, Any]]:
    def changed(
        tasks: Tasks, values: FloatArray, setting: Setting, index: IntArray
    ) -> dict[str, Any]:
        traits = tasks.traits
        if name == "true_positive_rate":
            return {"traits": replace(traits, true_positive_rate=values)}
        return {"traits": replace(traits, false_positive_rate=values)}

    return changed


def _trace_span(setting: Setting, task: int) -> tuple[float, float, float] | None:
    tasks = setting.tasks
    per_step, now = float(tasks.tokens_per_step[task]), float(tasks.max_steps[task])
    if now >= MAX_STEPS or _measured(setting, task):
        return None
    least = max(float(setting.fewest_skills[task]), 1.0)
    return (min(least, now) * per_step, now * per_step, max(now, 1.0) * _RANGE * per_step)


def _trace_changed(
    tasks: Tasks, values: FloatArray, setting: Setting, index: IntArray
) -> dict[str, Any]:
    steps = np.floor(values / tasks.tokens_per_step * (1.0 + 1e-12))
    return {"max_steps": np.minimum(steps, MAX_STEPS)}


def _check_span(setting: Setting, task: int) -> tuple[float, float, float] | None:
    tasks = setting.tasks
    dear = tasks.verifier_parameters[task] > 0.0 or tasks.flop_per_check[task] > 0.0
    return (1.0 / _RANGE, 1.0, _RANGE) if dear else None


def _check_changed(
    tasks: Tasks, values: FloatArray, setting: Setting, index: IntArray
) -> dict[str, Any]:
    return {
        "verifier_parameters": tasks.verifier_parameters * values,
        "flop_per_check": tasks.flop_per_check * values,
    }


_QUANTITIES = (
    _Quantity("price", "price of compute, times", "number", True, _price_span, lambda *_: {}),
    _Quantity("step_success", "step success r", "percent", True, _step_span, _step_changed),
    _Quantity(
        "fatigue",
        "fatigue",
        "percent",
        False,
        _fatigue_span,
        lambda tasks, values, setting, index: {"fatigue": values},
    ),
    _Quantity(
        "false_positive_rate",
        "verifier accepts wrong",
        "percent",
        False,
        _rate_span("false_positive_rate"),
        _rate_changed("false_positive_rate"),
    ),
    _Quantity(
        "true_positive_rate",
        "verifier accepts right",
        "percent",
        False,
        _rate_span("true_positive_rate"),
        _rate_changed("true_positive_rate"),
    ),
    _Quantity(
        "discrimination",
        "verifier's d'",
        "number",
        False,
        _score_span,
        lambda tasks, values, setting, index: {
            "traits": replace(tasks.traits, discrimination=values)
        },
    ),
    _Quantity("longest_trace", "longest trace", "tokens", True, _trace_span, _trace_changed),
    _Quantity(
        "verifier_cost",
        "compute of the verifier, times",
        "number",
        True,
        _check_span,
        _check_changed,
    ),
)


def typical_tasks(setting: Setting, menu: Menu) -> list[int]:
    """The task of every class whose success at the plan's prices is nearest to the class's mean."""
    net = setting.worth[menu.case] * menu.success - menu.cost
    success = np.zeros(len(setting.tasks))
    chosen = menu.best(net, by_way=False)
    chosen = chosen[net[chosen] > 0.0]
    success[menu.case[chosen]] = menu.success[chosen]
    found = []
    for group in range(len(setting.tasks.group_names)):
        mine = np.flatnonzero(setting.tasks.group == group)
        weight = setting.tasks.weight[mine]
        mean = float(weight @ success[mine] / weight.sum())
        found.append(
            int(mine[np.lexsort((-weight, np.round(np.abs(success[mine] - mean), 12)))[0]])
        )
    return found
