"""Elasticities of the answer: what one percent of each constant changes, by small steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.solution import Solution
from ds3opt.schema import Scenario
from ds3opt.uncertainty.keys import Constant
from ds3opt.uncertainty.outcome import amounts_of
from ds3opt.uncertainty.sensitivity.variants import Change, is_stackable, optima

FloatArray = NDArray[np.float64]
Progress = Callable[[str, float], None]

AMOUNTS = ("objective", "parameters", "training_tokens", "expected_tokens")
"""Whose elasticity is told."""
_STEPS = (0.005, 0.01, 0.03)
_STEPS_ALONE = (0.01, 0.04)
"""Relative steps. Small ones suit the objective, which bends; large ones suit the decisions, which
jump a little from one step to the next because policies and whole steps of a trace are discrete."""
_FIRST = 0.01
_UNMOVED = 1e-7
"""An objective that changes relatively by no more at 1 % of a constant does not depend on it."""
_FLOOR = {"objective": 1e-8}
_FLOOR_DECISIONS = 1e-4
"""Least noise of one solve: what polishing settles of the objective, and of the decisions."""
_FEW = 5


@dataclass(frozen=True)
class Effect:
    """What one percent of a constant changes in one amount, and how much of it may be noise."""

    value: float | None
    """Percent per percent; of accuracy, points per percent; None where there is no answer."""
    noise: float = 0.0

    @property
    def clear(self) -> bool:
        """Whether the effect stands clear of the noise."""
        return self.value is not None and abs(self.value) > self.noise


@dataclass(frozen=True)
class Elasticity:
    """What one percent of a constant changes in the answer."""

    constant: Constant
    effects: Mapping[str, Effect]
    """By name, those of `AMOUNTS` that the answer has."""
    steps: str = "central"
    """central; upwards or downwards, where the other side is not allowed; whole numbers."""


@dataclass(frozen=True)
class Elasticities:
    """Elasticities of the answer, the largest effect on the objective first."""

    found: tuple[Elasticity, ...]
    without_effect: tuple[Constant, ...] = ()
    no_relative_change: tuple[Constant, ...] = ()
    """Constants that are zero, and those with which no step to either side is allowed."""


@dataclass
class _Tries:
    """The steps of one constant, and the amounts at each."""

    constant: Constant
    offsets: list[float] = field(default_factory=list)
    """Relative changes of the constant."""
    found: dict[float, FloatArray] = field(default_factory=dict)
    """(amount,) by relative change; logarithms of what is told relatively."""


def elasticities(
    scenario: Scenario,
    constants: Sequence[Constant],
    point: Solution,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Elasticities:
    """Elasticities by differences of optima that are solved anew at every step.

    Parameters
    ----------
    constants : those of `uncertainty.keys.numeric_keys` that are asked about.
    point : the answer without a change; feasible.

    Notes
    -----
    Differences are central, ``(f(c + h) - f(c - h)) / 2h``, where both sides are allowed. Of
    several steps each amount takes the one with the least error: noise, which falls with the step,
    and bending, which grows with it and shows in the difference to the next smaller step. The noise
    of one solve is the spread of these differences over all constants. Whole numbers move by one.
    """
    steps = _STEPS if is_stackable(scenario) else _STEPS_ALONE
    names = tuple(name for name in AMOUNTS if name in amounts_of(point))
    scale = _scale(point)
    tries = [_Tries(one) for one in constants if one.value != 0.0]
    zero = tuple(one for one in constants if one.value == 0.0)
    (base,) = optima(scenario, [{}], point, workers=1)
    origin = _read(base if base is not None else point, names, scale)

    def solve(wanted: list[tuple[_Tries, float]], stage: str) -> None:
        changes: list[Change] = [{t.constant.path: _moved(t.constant, h)} for t, h in wanted]
        solved = optima(scenario, changes, point, workers=workers, progress=progress, stage=stage)
        for (one, h), solution in zip(wanted, solved, strict=True):
            if solution is not None:
                one.found[h] = _read(solution, names, scale)

    solve([(one, h) for one in tries for h in _offsets(one.constant, (_FIRST,))], "steps")
    moved = [one for one in tries if _moves(one, origin)]
    more = tuple(h for h in steps if h != _FIRST)
    solve(
        [
            (one, h)
            for one in moved
            if not one.constant.domain.whole
            for h in _offsets(one.constant, more)
        ],
        "finer steps",
    )
    noise = _noise(moved, steps, names)
    found = [_elasticity(one, origin, steps, names, noise) for one in moved]
    found.sort(key=lambda one: (-_size(one.effects["objective"]), one.constant.path))
    stuck = tuple(one.constant for one in tries if not one.found)
    still = tuple(one.constant for one in tries if one.found and one not in moved)
    return Elasticities(tuple(found), still, zero + stuck)


def _size(effect: Effect) -> float:
    return abs(effect.value) if effect.value is not None and effect.clear else 0.0


def _scale(point: Solution) -> float:
    """What objectives are divided by: accuracy is told in points, others relatively."""
    value = amounts_of(point).get("objective", 1.0)
    return 1.0 if point.objective == "accuracy" else abs(value) or 1.0


def _read(solution: Solution, names: Sequence[str], scale: float) -> FloatArray:
    amounts = amounts_of(solution)
    return np.array(
        [
            amounts.get(name, math.nan) / scale
            if name == "objective"
            else math.log(amounts[name])
            if amounts.get(name, 0.0) > 0.0
            else math.nan
            for name in names
        ]
    )


def _moved(constant: Constant, offset: float) -> float:
    value = constant.value * (1.0 + offset)
    return float(round(value)) if constant.domain.whole else value


def _offsets(constant: Constant, steps: Sequence[float]) -> list[float]:
    """Relative changes that the key accepts."""
    sizes = (abs(1.0 / constant.value),) if constant.domain.whole else steps
    return [
        sign * size
        for size in sizes
        for sign in (1.0, -1.0)
        if not constant.domain.misfit(_moved(constant, sign * size))
    ]


def _moves(one: _Tries, origin: FloatArray) -> bool:
    return any(abs(found[0] - origin[0]) > _UNMOVED for found in one.found.values())


# -- from steps to elasticities ---------------------------------------------------------------


def _central(one: _Tries, step: float) -> FloatArray | None:
    """Central difference; None where a side is missing."""
    if step in one.found and -step in one.found:
        return (one.found[step] - one.found[-step]) / (2.0 * step)
    return None


def _noise(moved: Sequence[_Tries], steps: Sequence[float], names: Sequence[str]) -> FloatArray:
    """Standard deviation of one solve, (amount,), from how the two smallest steps differ."""
    small, large = steps[0], steps[1]
    rows = []
    for one in moved:
        a, b = _central(one, small), _central(one, large)
        if a is not None and b is not None and not one.constant.domain.whole:
            rows.append(np.abs(b - a) / math.sqrt(0.5 / small**2 + 0.5 / large**2))
    floor = np.array([_FLOOR.get(name, _FLOOR_DECISIONS) for name in names])
    if not rows:
        return floor
    table = np.where(np.isnan(rows), 0.0, rows)
    # the median of the size of a normal number is 0.67 of its standard deviation
    found = np.max(table, axis=0) if len(rows) < _FEW else np.median(table, axis=0) / 0.6745
    return np.asarray(np.maximum(found, floor))


def _elasticity(
    one: _Tries,
    origin: FloatArray,
    steps: Sequence[float],
    names: Sequence[str],
    noise: FloatArray,
) -> Elasticity:
    offsets = sorted(one.found)
    both = [h for h in offsets if h > 0.0 and -h in one.found]
    whole = one.constant.domain.whole
    if both and (len(both) == len(steps) or whole):
        value, error = _of_central(one, both, noise)
        how = "whole numbers" if whole else "central"
    else:
        side = [h for h in offsets if h > 0.0] or offsets[::-1]
        value, error = _of_one_side(one, side, origin, noise)
        how = "whole numbers" if whole else ("upwards" if side[0] > 0.0 else "downwards")
    effects = {
        name: Effect(None if math.isnan(v) else float(v), 0.0 if math.isnan(v) else float(e))
        for name, v, e in zip(names, value, error, strict=True)
    }
    return Elasticity(one.constant, effects, how)


def _of_central(
    one: _Tries, steps: Sequence[float], noise: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The difference with the least error, (amount,), and twice its standard error and bending."""
    size = np.array(steps)
    slopes = np.array([_central(one, h) for h in steps])  # (step, amount)
    spread = 2.0 * noise / (math.sqrt(2.0) * size[:, None])
    bending = np.zeros_like(slopes)
    if len(steps) > 1:
        apart = np.abs(np.diff(slopes, axis=0))
        usual = np.hypot(spread[1:], spread[:-1])
        ratio = (size[1:] / size[:-1])[:, None] ** 2
        # of an error that grows with the square of the step
        bending[1:] = np.maximum(apart - usual, 0.0) * ratio / (ratio - 1.0)
        bending[0] = bending[1] / ratio[0]
        bending = np.maximum.accumulate(bending, axis=0)
    error = np.where(np.isnan(slopes), np.inf, spread + bending)
    best = np.argmin(error, axis=0)
    every = np.arange(slopes.shape[1])
    return slopes[best, every], error[best, every]


def _of_one_side(
    one: _Tries, steps: Sequence[float], origin: FloatArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Differences to one side, extrapolated to no step, (amount,), and their error."""
    ordered = sorted(steps, key=abs)
    slopes = [(one.found[h] - origin) / h for h in ordered[:2]]
    spread = 2.0 * math.sqrt(2.0) * noise / abs(ordered[0])
    if len(slopes) == 1:
        return slopes[0], spread
    part = ordered[0] / (ordered[1] - ordered[0])
    extrapolated = slopes[0] + part * (slopes[0] - slopes[1])
    return extrapolated, (1.0 + abs(part)) * spread + 0.5 * np.abs(extrapolated - slopes[0])
