"""What stands in a cell, with its dimension, and how people read it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from ds3opt.units import format_number, format_quantity


@dataclass(frozen=True)
class Measure:
    """A number whose dimension is not that of its column."""

    value: float | None
    dimension: str
    """One of `units`, or number, whole, signed, percent (of a fraction), share (percent, a digit
    less), points (signed), change (relative, signed), small points, small percent (for gaps)."""


@dataclass(frozen=True)
class Bound:
    """A certified bound, rounded away from what it bounds, so that what is shown still bounds it.

    Where digits are significant ones it is shown with one more.
    """

    value: float
    dimension: str
    above: bool
    """Whether it is an upper bound."""


@dataclass(frozen=True)
class Interval:
    """Two ends of a range, shown with their unit once."""

    low: float
    high: float
    dimension: str
    certified: bool = False
    """Whether each end is a `Bound`."""


@dataclass(frozen=True)
class Phrase:
    """Words around values: a template with one ``{}`` for each."""

    template: str
    values: tuple[Value, ...]


Value = str | bool | int | float | None | Measure | Bound | Interval | Phrase

LEFT = frozenset({"text"})
"""Dimensions whose columns are aligned to the left."""


def shown(value: Value, dimension: str = "text", precision: int = 3) -> str:
    """A value as people read it; a dash for nothing.

    >>> shown(0.53428, "percent"), shown(Measure(1.42e12, "tokens")), shown(None)
    ('53.43 %', '1.42 T tokens', '-')
    >>> shown(Interval(0.53428, 0.53431, "percent", certified=True))
    '53.42 to 53.44 %'
    """
    if isinstance(value, Phrase):
        return value.template.format(*(shown(v, "text", precision) for v in value.values))
    if isinstance(value, Interval):
        return _interval(value, precision)
    if isinstance(value, Bound):
        return _bound(value, precision)
    if isinstance(value, Measure):
        return "-" if value.value is None else _number(value.value, value.dimension, precision)
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else _number(float(value), dimension, precision)


def _number(value: float, dimension: str, precision: int) -> str:
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    decimals = max(precision - 1, 0)
    if dimension == "percent":
        return f"{100 * value:.{decimals}f} %"
    if dimension == "share":
        return f"{100 * value:.{max(precision - 2, 0)}f} %"
    if dimension in {"small percent", "small points"}:
        return f"{format_number(100 * value, 2)} {'%' if 'percent' in dimension else 'points'}"
    if dimension == "signed":
        return f"{'+' if value >= 0 else ''}{format_number(value, precision)}"
    if dimension in {"points", "change"}:
        unit = "points" if dimension == "points" else "%"
        return f"{100 * value + 0.0:+.{decimals}f} {unit}"
    if dimension in {"text", "number"}:
        return format_number(value, precision)
    if dimension == "whole":
        return f"{value:.0f}"
    return format_quantity(value, dimension, precision)


def _interval(interval: Interval, precision: int) -> str:
    low, high = (
        _bound(Bound(end, interval.dimension, above), precision)
        if interval.certified
        else _number(end, interval.dimension, precision)
        for end, above in ((interval.low, False), (interval.high, True))
    )
    if low == high and not interval.certified:
        return low
    first, last = low.split(" "), high.split(" ")
    while len(first) == len(last) > 1 and first[-1] == last[-1]:
        first, last = first[:-1], last[:-1]
    return f"{' '.join(first)} to {high}"


def _bound(bound: Bound, precision: int) -> str:
    if not math.isfinite(bound.value):
        return _number(bound.value, bound.dimension, precision)
    exact = Decimal(f"{bound.value:.12g}")  # without the noise of the last digits
    rounding = ROUND_CEILING if bound.above else ROUND_FLOOR
    if bound.dimension == "percent":
        step = Decimal(1).scaleb(1 - precision)
        return f"{(100 * exact).quantize(step, rounding)} %"
    rounded = Context(prec=precision + 1, rounding=rounding).create_decimal(exact)
    return _number(float(rounded), bound.dimension, precision + 1)


def raw(value: Value) -> object:
    """A value as machines read it: full precision, no unit, None where there is nothing.

    >>> raw(Measure(1.5e12, "tokens")), raw(float("inf")), raw(Interval(1.0, 2.0, "flop"))
    (1500000000000.0, 'infinite', '1.0 to 2.0')
    """
    if isinstance(value, (Measure, Bound)):
        value = value.value
    if isinstance(value, Interval):
        return f"{raw(value.low)} to {raw(value.high)}"
    if isinstance(value, Phrase):
        return value.template.format(*(raw(v) for v in value.values))
    if isinstance(value, float) and not math.isfinite(value):
        return "infinite" if value == math.inf else None
    return value
