"""A number that varies within a class: a list, a range or a distribution, as weighted points."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from ds3opt.schema.quantities import Number, Positive, Section, WholeNumbers


class Normal(Section):
    """A normal distribution."""

    mean: Number
    sd: Positive
    """Standard deviation."""


class Values(Section):
    """Listed values, equally likely unless weights are given."""

    values: tuple[Number, ...] = Field(min_length=1)
    weights: tuple[Positive, ...] | None = None
    """Relative weights, one a value; they need not sum to 1."""

    @model_validator(mode="after")
    def _match(self) -> Values:
        if self.weights is not None and len(self.weights) != len(self.values):
            raise ValueError(f"{len(self.values)} values but {len(self.weights)} weights")
        return self


class Spread(Section):
    """How a quantity is spread over the tasks of a class: give exactly one of the forms."""

    values: tuple[Number, ...] | None = None
    """Listed values."""
    weights: tuple[Positive, ...] | None = None
    """Relative weights of the listed values."""
    uniform: tuple[Number, Number] | None = None
    """Lowest and highest value, all in between equally likely."""
    normal: Normal | None = None
    """Mean and standard deviation."""
    points: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = None
    """Quadrature points of a distribution: `normal` 5, `uniform` of a real quantity 8."""

    @model_validator(mode="after")
    def _one_form(self) -> Spread:
        forms = [n for n in ("values", "uniform", "normal") if getattr(self, n) is not None]
        if len(forms) != 1:
            named = " and ".join(forms) if forms else "none"
            raise ValueError(f"give exactly one of values, uniform, normal; found {named}")
        if self.values is not None:
            Values(values=self.values, weights=self.weights)
        elif self.weights is not None:
            raise ValueError("weights go with values")
        if self.uniform is not None and self.uniform[0] > self.uniform[1]:
            low, high = self.uniform
            raise ValueError(f"the range is upside down: {low:g} is above {high:g}")
        return self


def _as_spread(value: object) -> object:
    if isinstance(value, list):
        return {"values": value}
    if isinstance(value, dict | Spread):
        return value
    return {"values": [value]}


SpreadField = Annotated[Spread, BeforeValidator(_as_spread)]


def _whole(value: object) -> object:
    spread = _as_spread(value)
    if not isinstance(spread, dict):
        return spread
    checked = Spread.model_validate(spread)
    listed: tuple[Any, ...] = checked.values or checked.uniform or ()
    if checked.normal is not None:
        raise ValueError("skills are whole numbers: use values or uniform")
    for number in listed:
        if number != int(number) or number < 0:
            raise ValueError(f"skills are whole numbers from 0 up, not {number:g}")
        if number > 1e6:
            raise ValueError(f"at most 1e6 skills a task, not {number:g}")
    return checked


SkillSpread = Annotated[Spread, BeforeValidator(_whole), WholeNumbers(0.0, 1e6)]


def _level(value: object) -> object:
    spread = _as_spread(value)
    if not isinstance(spread, dict):
        return spread
    checked = Spread.model_validate(spread)
    if checked.normal is not None:
        raise ValueError("levels are whole numbers: use values or uniform")
    for number in checked.values or checked.uniform or ():
        if number != int(number) or number < 1:
            raise ValueError(f"levels are whole numbers from 1 up, not {number:g}")
    return checked


LevelSpread = Annotated[Spread, BeforeValidator(_level), WholeNumbers(1.0)]


def weighted_points(spread: Spread, *, whole: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights (summing to 1) that stand for a spread.

    Listed values stand for themselves. A uniform range of a whole quantity is every whole number
    in it, or `points` of them evenly spread; of a real quantity, Gauss-Legendre points. A normal
    distribution gives Gauss-Hermite points.
    """
    if spread.values is not None:
        values = np.array(spread.values, dtype=np.float64)
        weights = np.array(spread.weights or np.ones(values.size), dtype=np.float64)
    elif spread.normal is not None:
        nodes, weights = np.polynomial.hermite_e.hermegauss(spread.points or 5)
        values = spread.normal.mean + spread.normal.sd * nodes
    else:
        assert spread.uniform is not None
        low, high = spread.uniform
        if whole:
            count = min(spread.points or int(high - low) + 1, int(high - low) + 1)
            values = np.unique(np.round(np.linspace(low, high, count)))
            weights = np.ones(values.size)
        else:
            nodes, weights = np.polynomial.legendre.leggauss(spread.points or 8)
            values = 0.5 * (high + low) + 0.5 * (high - low) * nodes
    return values, weights / weights.sum()
