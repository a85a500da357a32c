"""Maps from loss to the score of a task, with their derivatives, for many constants at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import log
from types import MappingProxyType
from typing import Protocol

import numpy as np
from scipy import special

from ds3opt.laws._types import FloatArray
from ds3opt.laws.capability import step_skill_success

_STEEPEST = log(300.0)
_FLATTEST = log(0.03)
"""Ends of the rise of a map over the range of losses, in scale-free units."""
_RATES = (0.5, 2.0, 6.0, 20.0)
_PLACES = (-0.5, 0.2, 0.5, 0.8, 1.5)
_FAR = 4.0
"""Ranges of loss by which the middle of a sigmoid may lie outside of the data."""


class ScoreMap(Protocol):
    """A form of map: coordinates for a solver, constants for people."""

    @property
    def constants(self) -> tuple[str, ...]:
        """Their names."""
        ...

    def scores(self, at: FloatArray, loss: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Scores (set, row) and their derivatives (set, row, coordinate)."""
        ...

    def values(self, at: FloatArray) -> FloatArray:
        """Constants of each set, shape (set, constant)."""
        ...

    def box(self) -> tuple[FloatArray, FloatArray]:
        """Ends of the coordinates."""
        ...

    def grid(self) -> FloatArray:
        """Starts, shape (start, coordinate)."""
        ...

    def hold(self, name: str) -> int | None:
        """The coordinate that a held constant fixes; None for a constant that cannot be held."""
        ...


@dataclass(frozen=True)
class Scaled:
    """Where the losses of the data lie, so that no unit of loss matters."""

    low: float
    span: float

    @staticmethod
    def of(loss: FloatArray) -> Scaled:
        """The range of some losses that are not all equal."""
        return Scaled(float(loss.min()), float(loss.max() - loss.min()))

    def unit(self, loss: FloatArray) -> FloatArray:
        """Losses from 0 to 1."""
        return (loss - self.low) / self.span


class Sigmoid:
    """``scale / (1 + exp(slope (loss - difficulty))) + offset``, DS3 eq. (2).

    Coordinates are the score at infinite loss, the score at the least, the middle in units of the
    range of losses and the logarithm of the slope in those units.
    """

    constants = ("difficulty", "slope", "scale", "offset")

    def __init__(self, scaled: Scaled) -> None:
        self._scaled = scaled

    def scores(self, at: FloatArray, loss: FloatArray) -> tuple[FloatArray, FloatArray]:
        """As `ScoreMap.scores`."""
        offset, ceiling, middle = at[:, 0, None], at[:, 1, None], at[:, 2, None]
        slope = np.exp(at[:, 3, None])
        distance = middle - self._scaled.unit(loss)[None, :]
        rise = special.expit(slope * distance)
        steep = (ceiling - offset) * rise * special.expit(-slope * distance)
        slopes = np.stack([1.0 - rise, rise, steep * slope, steep * slope * distance], axis=2)
        return offset + (ceiling - offset) * rise, slopes

    def values(self, at: FloatArray) -> FloatArray:
        """As `ScoreMap.values`."""
        difficulty = self._scaled.low + self._scaled.span * at[:, 2]
        slope = np.exp(at[:, 3]) / self._scaled.span
        return np.stack([difficulty, slope, at[:, 1] - at[:, 0], at[:, 0]], axis=1)

    def box(self) -> tuple[FloatArray, FloatArray]:
        """As `ScoreMap.box`."""
        return (
            np.array([0.0, 0.0, -_FAR, _FLATTEST]),
            np.array([1.0, 1.0, 1.0 + _FAR, _STEEPEST]),
        )

    def grid(self) -> FloatArray:
        """As `ScoreMap.grid`."""
        levels = ((0.0, 0.25, 0.5), (0.6, 0.8, 1.0), _PLACES, [log(x) for x in _RATES])
        return np.array(list(product(*levels)))

    def hold(self, name: str) -> int | None:
        """As `ScoreMap.hold`."""
        return {"offset": 0, "ceiling": 1}.get(name)


class Exponential:
    """``floor + coefficient exp(-rate loss)``, Gadre et al. 2024 (arXiv:2403.08540, eq. 5).

    They write the error, ``eps - k exp(-gamma L)``. Coordinates are the floor, the logarithm of
    the rise above it at the lowest loss and the logarithm of the rate over the range of losses.
    """

    constants = ("floor", "coefficient", "rate")

    def __init__(self, scaled: Scaled) -> None:
        self._scaled = scaled

    def scores(self, at: FloatArray, loss: FloatArray) -> tuple[FloatArray, FloatArray]:
        """As `ScoreMap.scores`."""
        rate = np.exp(at[:, 2, None])
        unit = self._scaled.unit(loss)[None, :]
        rise = np.exp(np.clip(at[:, 1, None] - rate * unit, -700.0, 700.0))
        slopes = np.stack([np.ones_like(rise), rise, -rise * rate * unit], axis=2)
        return at[:, 0, None] + rise, slopes

    def values(self, at: FloatArray) -> FloatArray:
        """As `ScoreMap.values`."""
        rate = np.exp(at[:, 2]) / self._scaled.span
        coefficient = np.exp(np.minimum(at[:, 1] + rate * self._scaled.low, 700.0))
        return np.stack([at[:, 0], coefficient, rate], axis=1)

    def box(self) -> tuple[FloatArray, FloatArray]:
        """As `ScoreMap.box`."""
        return np.array([-1.0, -12.0, _FLATTEST]), np.array([1.0, 3.0, _STEEPEST])

    def grid(self) -> FloatArray:
        """As `ScoreMap.grid`."""
        levels = ((0.0, 0.25, 0.5), (log(0.05), log(0.3), 0.0), [log(x) for x in _RATES])
        return np.array(list(product(*levels)))

    def hold(self, name: str) -> int | None:
        """As `ScoreMap.hold`."""
        return {"offset": 0}.get(name)


MAPS: Mapping[str, type[Sigmoid] | type[Exponential]] = MappingProxyType(
    {"sigmoid": Sigmoid, "exponential": Exponential}
)
"""Forms by name."""


def score(form: str, values: Mapping[str, float], loss: FloatArray) -> FloatArray:
    """Score at some losses, from constants.

    >>> float(score("exponential", {"floor": 0.1, "coefficient": 0.5, "rate": 1.0}, np.array(0.0)))
    0.6
    """
    if form == "sigmoid":
        return step_skill_success(
            loss,
            values["difficulty"],
            slope=values["slope"],
            scale=values["scale"],
            offset=values["offset"],
        )
    return np.asarray(values["floor"] + values["coefficient"] * np.exp(-values["rate"] * loss))
