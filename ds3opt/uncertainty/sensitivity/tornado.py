"""The answer at both ends of each uncertain constant, the others at their point values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.solution import Solution
from ds3opt.schema import Scenario
from ds3opt.uncertainty.draws import Sample, quantiles
from ds3opt.uncertainty.keys import Constant
from ds3opt.uncertainty.outcome import amounts_of
from ds3opt.uncertainty.sensitivity.variants import Change, optima

FloatArray = NDArray[np.float64]
Progress = Callable[[str, float], None]
ENDS = (0.025, 0.975)
"""Quantiles of a constant that its bar goes between."""
_FOR_A_CURVE = 20
"""Different draws of a constant from which the others' dependence on it is taken as curved."""


@dataclass(frozen=True)
class Bar:
    """The answer at both ends of one constant."""

    constant: Constant
    ends: tuple[float, float]
    """Of the constant, at `ENDS`."""
    solutions: tuple[Solution | None, Solution | None]
    """None where no allocation keeps the limits there."""
    with_others: tuple[str, ...] = ()
    """Paths of constants drawn with it, which follow it."""

    def amounts(self, name: str) -> tuple[float | None, float | None]:
        """One amount at both ends; None where an end has no answer."""
        low, high = (None if one is None else amounts_of(one).get(name) for one in self.solutions)
        return low, high

    @property
    def width(self) -> float:
        """Distance of the objective between the ends; infinite where an end has no answer."""
        low, high = self.amounts("objective")
        return float("inf") if low is None or high is None else abs(high - low)


def tornado(
    scenario: Scenario,
    sample: Sample,
    point: Solution,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[Bar, ...]:
    """The answer at both ends of each uncertain constant, the widest bar first.

    Parameters
    ----------
    sample : draws, from which it is read how constants that are drawn together go together.
    point : the answer at the point estimate; feasible.

    Notes
    -----
    A constant of a group takes the others along: each moves from its point value as far as its mean
    given the constant does, by a regression on the constant over the draws, in logarithms for
    constants above zero: quadratic, or linear where there are few rows. To leave them where they
    are would give laws that no data support.
    """
    ends = quantiles(scenario, ENDS)
    changes: list[Change] = []
    others: list[tuple[str, ...]] = []
    for index in range(len(sample.constants)):
        group = _others(sample, index)
        others.append(tuple(sample.constants[i].path for i in group))
        changes += [_shifted(sample, index, group, float(end)) for end in ends[index]]
    solved = optima(scenario, changes, point, workers=workers, progress=progress, stage="both ends")
    bars = [
        Bar(
            constant,
            (float(ends[index, 0]), float(ends[index, 1])),
            (solved[2 * index], solved[2 * index + 1]),
            others[index],
        )
        for index, constant in enumerate(sample.constants)
    ]
    return tuple(sorted(bars, key=lambda bar: (-bar.width, bar.constant.path)))


def _others(sample: Sample, index: int) -> tuple[int, ...]:
    group = sample.constants[index].group
    return tuple(i for i, one in enumerate(sample.constants) if one.group == group and i != index)


def _shifted(sample: Sample, index: int, others: Sequence[int], end: float) -> Mapping[str, float]:
    """One constant at an end, and those drawn with it where they are on average then."""
    constant = sample.constants[index]
    found = {constant.path: end}
    forward, _ = _scale_of(constant, sample.values[:, index])
    own = forward(sample.values[:, index])
    centre, spread = float(np.mean(own)), float(np.std(own))
    degree = 2 if np.unique(own).size >= _FOR_A_CURVE else 1
    to, start = (
        (float(forward(np.array(value))) - centre) / (spread or 1.0)
        for value in (end, constant.value)
    )
    for i in others:
        other = sample.constants[i]
        onto, back = _scale_of(other, sample.values[:, i])
        fit = np.polyfit((own - centre) / (spread or 1.0), onto(sample.values[:, i]), degree)
        step = float(np.polyval(fit, to) - np.polyval(fit, start)) if spread > 0.0 else 0.0
        value = float(back(onto(np.array(other.value)) + step))
        domain = other.domain
        value = float(domain.rounded(np.clip(np.array(value), domain.low, domain.high)))
        found[other.path] = value if not domain.misfit(value) else other.value
    return found


_Map = Callable[[FloatArray], FloatArray]


def _scale_of(constant: Constant, values: FloatArray) -> tuple[_Map, _Map]:
    """To the scale on which a constant is shifted, and back: logarithms where it is above zero."""
    if constant.domain.low >= 0.0 and constant.value > 0.0 and np.all(values > 0.0):
        return np.log, np.exp
    return np.array, np.array
