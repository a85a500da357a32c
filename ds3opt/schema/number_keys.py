"""Which keys of a scenario hold a number, of what dimension, and between which bounds."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from ds3opt.laws._types import FloatArray
from ds3opt.schema.quantities import InUnits, WholeNumbers
from ds3opt.units import parse_quantity

KeyPath = tuple[str | int, ...]

FIXED: Mapping[str, frozenset[str] | None] = {
    "Solver": None,
    "Frontier": None,
    "FittedSpan": None,
    "SolvedCount": None,
    "ObservedAccuracy": None,
    "FittedClass": None,
    "Band": None,
    "ServingConstants": frozenset({"rows", "left_out"}),
    "Utilisation": frozenset({"rows"}),
    "Spread": frozenset({"points"}),
    "SkillGraphSpec": frozenset({"levels"}),
    "InferenceHardware": frozenset({"accelerators_per_replica", "max_sequences"}),
    "Period": frozenset({"duration"}),
    "TreeOfThoughtChoice": frozenset({"branches"}),
    "BestOfNChoice": frozenset({"samples", "branches"}),
    "MajorityVoteChoice": frozenset({"samples"}),
    "WeightedVoteChoice": frozenset({"samples"}),
    "RebaseChoice": frozenset({"samples"}),
    "MonteCarloTreeSearchChoice": frozenset({"samples"}),
}
"""Keys, by the part that has them, that are one number however little is known: choices, counts
that were made, ranges that data had, settings of the solver. None: all of the part."""
ALONE: Mapping[str, tuple[KeyPath, ...]] = {
    "ParameterRange": (("min",), ("max",)),
    "TokenRange": (("min",), ("max",)),
    "RatioRange": (("min",), ("max",)),
    "TokenBudgetRange": (("min",), ("max",)),
    "PriceRange": (("low",), ("typical",), ("high",)),
    "Spread": (("values", 0),),
}
"""Parts that may be written as one number, and which of their keys it stands for."""
_RANGES = ("ParameterRange", "TokenRange", "RatioRange", "TokenBudgetRange")


def is_fixed(part: str, key: str) -> bool:
    """Whether the numbers of a key are never uncertain; ranges that were fitted on never are.

    >>> is_fixed("Solver", "gap"), is_fixed("Capability", "fitted_loss"), is_fixed("Limits", "cost")
    (True, True, False)
    """
    held = FIXED.get(part, frozenset())
    return held is None or key in held or key.startswith("fitted")


@dataclass(frozen=True)
class Domain:
    """Values that a key accepts."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    """Whether the lower end itself is refused."""
    high_open: bool = False
    whole: bool = False
    """Whether only whole numbers are accepted."""

    def misfit(self, value: float) -> str:
        """What is wrong with a value; empty where nothing is.

        >>> Domain(low=0.0, low_open=True).misfit(-1.0)
        'must be above 0, not -1'
        """
        if not math.isfinite(value):
            return f"must be finite, not {value:g}"
        if value < self.low or (self.low_open and value == self.low):
            return f"must be {'above' if self.low_open else 'at least'} {self.low:g}, not {value:g}"
        if value > self.high or (self.high_open and value == self.high):
            words = "below" if self.high_open else "at most"
            return f"must be {words} {self.high:g}, not {value:g}"
        return ""

    def accepts(self, values: FloatArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether each value lies in the domain, whole or not."""
        above = values > self.low if self.low_open else values >= self.low
        below = values < self.high if self.high_open else values <= self.high
        return np.asarray(above & below & np.isfinite(values))

    def rounded(self, values: FloatArray) -> FloatArray:
        """Values as the key takes them: whole where it must be, else as they are."""
        return np.clip(np.rint(values), self.low, self.high) if self.whole else values


@dataclass(frozen=True)
class NumberKey:
    """The type of a number."""

    dimension: str
    domain: Domain
    read: Callable[[object], float]
    """From what is written to base units; raises ValueError."""


@dataclass(frozen=True)
class KeyType:
    """What may stand at a path."""

    known: bool
    """Whether the schema has such a key."""
    number: NumberKey | None = None
    """The number that may be written there."""
    places: tuple[KeyPath, ...] = ()
    """Keys of the validated scenario that the number goes to."""
    fixed: bool = False
    """Whether a number may stand there, but no uncertain one."""
    mapping: frozenset[str] | None = None
    """Keys of the mappings that may stand there; None where none may."""


@dataclass(frozen=True)
class _Way:
    """One reading of a path so far."""

    place: KeyPath
    annotation: Any
    marks: tuple[Any, ...]
    fixed: bool


@cache
def key_type(model: type[BaseModel], path: KeyPath) -> KeyType:
    """What may stand at a path as users write it, short forms included."""
    ways = list(_opened(_Way((), model, (), False)))
    for step in path:
        ways = [after for way in ways for one in _step(way, step) for after in _opened(one)]
    numbers = [way for way in ways if way.annotation in (float, int)]
    models = [way for way in ways if _is_model(way.annotation)]
    for way in models:
        for steps in ALONE.get(way.annotation.__name__, ()):
            alone = [way]
            for step in steps:
                alone = [a for one in alone for b in _step(one, step) for a in _opened(b)]
            numbers += [one for one in alone if one.annotation in (float, int)]
    mapping: frozenset[str] | None = None
    if models or any(_is_mapping(way.annotation) for way in ways):
        mapping = frozenset(name for way in models for name in _fields(way.annotation))
    if not numbers:
        return KeyType(bool(ways), mapping=mapping)
    first = numbers[0]
    places = tuple(dict.fromkeys(way.place for way in numbers))
    return KeyType(True, _number(first), places, any(way.fixed for way in numbers), mapping)


def _step(way: _Way, step: str | int) -> Iterator[_Way]:
    kind, arguments = way.annotation, typing.get_args(way.annotation)
    if _is_model(kind):
        fields, name = _fields(kind), str(step)
        listed = kind.__name__
        if isinstance(step, int) and listed in _RANGES and step < 2:
            name = ("min", "max")[step]
        elif isinstance(step, int) and listed == "Spread":
            values = replace(
                way, place=(*way.place, "values"), annotation=fields["values"].annotation
            )
            for opened in _opened(values):
                yield from _step(opened, step)
            return
        if name in fields:
            field = fields[name]
            fixed = way.fixed or is_fixed(listed, name)
            marks = (*_inherited(way.marks), *field.metadata)
            if listed == "Spread" and name == "uniform" and _inherited(way.marks):
                fixed = True  # the whole numbers in between are tasks: as many in every draw
            place = (*way.place, _attribute(kind, name))
            yield _Way(place, field.annotation, marks, fixed)
    elif _is_mapping(kind):
        yield replace(way, place=(*way.place, step), annotation=arguments[1])
    elif isinstance(step, int) and typing.get_origin(kind) in (tuple, list):
        inner = arguments[0] if Ellipsis in arguments or len(arguments) == 1 else None
        if inner is None and step < len(arguments):
            inner = arguments[step]
        if inner is not None:
            yield replace(way, place=(*way.place, step), annotation=inner)


def _opened(way: _Way) -> Iterator[_Way]:
    """The members of a union, each with the marks on it."""
    kind = way.annotation
    origin = typing.get_origin(kind)
    if origin is Annotated:
        base, *marks = typing.get_args(kind)
        yield from _opened(replace(way, annotation=base, marks=(*way.marks, *marks)))
    elif origin in (typing.Union, types.UnionType):
        for member in typing.get_args(kind):
            yield from _opened(replace(way, annotation=member))
    elif kind is not types.NoneType:
        yield way


def _number(way: _Way) -> NumberKey:
    marks = [inner for mark in way.marks for inner in _unpacked(mark)]
    low, high, low_open, high_open = -math.inf, math.inf, False, False
    whole = way.annotation is int
    dimension, read = "dimensionless", None
    for mark in marks:
        if isinstance(mark, WholeNumbers):
            whole, low, high = True, max(low, mark.least), min(high, mark.most)
        elif isinstance(mark, InUnits):
            dimension = mark.dimension
        elif isinstance(mark, BeforeValidator) and way.annotation is float:
            read = mark.func
        elif isinstance(mark, (Gt, Ge)):
            bound = float(typing.cast(float, mark.gt if isinstance(mark, Gt) else mark.ge))
            if bound >= low:
                low_open = isinstance(mark, Gt) or (low_open and bound == low)
                low = bound
        elif isinstance(mark, (Lt, Le)):
            bound = float(typing.cast(float, mark.lt if isinstance(mark, Lt) else mark.le))
            if bound <= high:
                high_open = isinstance(mark, Lt) or (high_open and bound == high)
                high = bound
    domain = Domain(low, high, low_open, high_open, whole)
    of_units = any(isinstance(mark, InUnits) for mark in marks)
    plain: Callable[[object], float] = lambda value: parse_quantity(value, dimension)  # noqa: E731
    own = typing.cast("Callable[[object], float] | None", read)
    return NumberKey(dimension, domain, plain if of_units or own is None else own)


def _unpacked(mark: Any) -> Iterator[Any]:
    if isinstance(mark, FieldInfo):
        yield from mark.metadata
    else:
        yield mark


def _inherited(marks: tuple[Any, ...]) -> tuple[Any, ...]:
    """Marks on a spread that speak of its numbers."""
    return tuple(mark for mark in marks if isinstance(mark, WholeNumbers))


@cache
def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Fields by every name that they may be written with."""
    found = dict(model.model_fields)
    return found | {f.alias: f for f in model.model_fields.values() if f.alias}


def _attribute(model: type[BaseModel], name: str) -> str:
    if name in model.model_fields:
        return name
    return next(own for own, field in model.model_fields.items() if field.alias == name)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _is_mapping(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping)
