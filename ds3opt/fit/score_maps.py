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
_FLAT = 1e-6
"""Least rise of a sigmoid."""
_FAR = 4.0
"""Ranges of loss by which the middle of a sigmoid may lie outside of the data."""


class ScoreMap(Protocol):
    """A form of map: coordinates for a solver, constants for people."""

    @property
    def constants(self) -> tuple[str, ...]:
        """Names of the constants."""
        ...

    @property
    def coordinates(self) -> tuple[str, ...]:
        """What each coordinate stands for."""
        ...

    @property
    def held(self) -> Mapping[int, float]:
        """Coordinates that do not move, and where they stay."""
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

    Coordinates keep every set a falling map into [0, 1]: the offset, and the scale as a share of
    what is left above it; or, where only the ceiling is held, the ceiling and the offset as a share
    of it. Then the middle in units of the range of losses, and the logarithm of the slope in those
    units.
    """

    constants = ("difficulty", "slope", "scale", "offset")

    def __init__(
        self, scaled: Scaled, offset: float | None = None, ceiling: float | None = None
    ) -> None:
        self._scaled = scaled
        self._from_above = ceiling is not None and offset is None
        self.held: dict[int, float] = {}
        if ceiling is not None and offset is not None:
            self.held = {0: offset, 1: (ceiling - offset) / (1.0 - offset)}
        elif ceiling is not None:
            self.held = {0: ceiling}
        elif offset is not None:
            self.held = {0: offset}

    @property
    def coordinates(self) -> tuple[str, ...]:
        """As `ScoreMap.coordinates`."""
        first = ("ceiling", "offset") if self._from_above else ("offset", "scale")
        return (*first, "difficulty", "slope")

    def scores(self, at: FloatArray, loss: FloatArray) -> tuple[FloatArray, FloatArray]:
        """As `ScoreMap.scores`."""
        first, share, middle = at[:, 0, None], at[:, 1, None], at[:, 2, None]
        offset, scale = self._ends(first, share)
        slope = np.exp(at[:, 3, None])
        distance = middle - self._scaled.unit(loss)[None, :]
        rise = special.expit(slope * distance)
        steep = scale * rise * special.expit(-slope * distance)
        if self._from_above:
            ends = [share + (1.0 - share) * rise, first * (1.0 - rise)]
        else:
            ends = [1.0 - share * rise, (1.0 - first) * rise]
        slopes = np.stack([*ends, steep * slope, steep * slope * distance], axis=2)
        return offset + scale * rise, slopes

    def values(self, at: FloatArray) -> FloatArray:
        """As `ScoreMap.values`."""
        difficulty = self._scaled.low + self._scaled.span * at[:, 2]
        slope = np.exp(at[:, 3]) / self._scaled.span
        offset, scale = self._ends(at[:, 0], at[:, 1])
        return np.stack([difficulty, slope, scale, offset], axis=1)

    def _ends(self, first: FloatArray, share: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Offset and scale."""
        if self._from_above:
            return share * first, (1.0 - share) * first
        return first, share * (1.0 - first)

    def box(self) -> tuple[FloatArray, FloatArray]:
        """As `ScoreMap.box`."""
        least, most = (0.0, 1.0 - _FLAT) if self._from_above else (_FLAT, 1.0)
        return (
            np.array([0.0, least, -_FAR, _FLATTEST]),
            np.array([1.0, most, 1.0 + _FAR, _STEEPEST]),
        )

    def grid(self) -> FloatArray:
        """As `ScoreMap.grid`."""
        low, high = (0.0, 0.25, 0.5), (0.6, 0.8, 1.0)
        ends = (high, low) if self._from_above else (low, high)
        return np.array(list(product(*ends, _PLACES, [log(x) for x in _RATES])))


class Exponential:
    """``floor + coefficient exp(-rate loss)``, Gadre et al. 2024 (arXiv:2403.08540, eq. 5).

    They write the error, ``eps - k exp(-gamma L)``. Coordinates are the floor, the logarithm of
    the rise above it at the lowest loss and the logarithm of the rate over the range of losses.
    """

    constants = ("floor", "coefficient", "rate")
    coordinates = constants

    def __init__(
        self, scaled: Scaled, offset: float | None = None, ceiling: float | None = None
    ) -> None:
        if ceiling is not None:
            raise ValueError("an exponential map has no ceiling")
        self._scaled = scaled
        self.held: dict[int, float] = {} if offset is None else {0: offset}

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
