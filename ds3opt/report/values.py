"""What stands in a cell, with its dimension, and how people read it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from ds3opt.units import format_number, format_quantity


@dataclass(frozen=True)
class Measure:
    """A number whose dimension is not that of its column."""

    value: float | None
    dimension: str
    """One of `units`, or number, whole, percent (of a fraction, with more digits near 0 and 1),
    share (percent, a digit less), part (of a whole, rough), points (signed), fine points (with
    every digit), change (relative, signed), signed, signed loss, small points, small percent (for
    gaps), accelerators, tokens per parameter. Before a unit, "signed " shows the sign always; after
    it, ", fixed" keeps the trailing zeros and ", short" leaves the unit to the header."""


@dataclass(frozen=True)
class Certified:
    """A value between certified bounds, or a part of that, with the digits that their gap needs.

    What is shown of `low` is never above it, of `high` never below it, and the shown gap is the
    distance between the two as shown.
    """

    low: float
    high: float
    dimension: str
    part: str = "all"
    """low, high, gap or all."""
    relative: bool = False
    """Whether the gap is relative to `high`."""
    asked: float = math.inf
    """The requested gap: a smaller one is not shown as a larger one."""

    @property
    def gap(self) -> float:
        """Distance between the bounds, relative where that is asked."""
        width = max(self.high - self.low, 0.0)
        return width / abs(self.high) if self.relative and self.high else width


@dataclass(frozen=True)
class Interval:
    """Two ends of a range, shown with their unit once."""

    low: float
    high: float
    dimension: str


@dataclass(frozen=True)
class Noisy:
    """An estimate with its error, shown with no more digits than the error allows."""

    value: float | None
    error: float
    unit: str = ""
    """Behind the number, such as " %"."""
    signed: bool = True


@dataclass(frozen=True)
class Phrase:
    """Words around values: a template with one ``{}`` for each."""

    template: str
    values: tuple[Value, ...]


Value = str | bool | int | float | None | Measure | Certified | Interval | Phrase | Noisy

LEFT = frozenset({"text"})
"""Dimensions whose columns are aligned to the left."""
CLOSE = 1e-6
"""Bounds that are relatively closer than this are shown as one value."""
MOST_DIGITS = 9
"""Digits of a certified bound, decimals where it has a fixed point."""
_NOUNS = {"flop": "FLOP", "loss": "nats/token", "accelerator_hours": "accelerator-hours"}
_PREFIXES = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12, "P": 1e15}
_COUNTS = frozenset({"tokens", "parameters", "tasks"})


def shown(value: Value, dimension: str = "text", precision: int = 3) -> str:
    """A value as people read it; a dash for nothing.

    >>> shown(0.53428, "percent"), shown(Measure(1.42e12, "tokens")), shown(None)
    ('53.43 %', '1.42 T tokens', '-')
    >>> shown(0.000123456, "percent"), shown(0.999987, "percent")
    ('0.0123 %', '99.9987 %')
    >>> shown(Certified(0.53428, 0.53431, "percent"))
    'certified 53.4280 to 53.4310 %, gap 0.0030 points'
    """
    if isinstance(value, Phrase):
        return value.template.format(*(shown(v, "text", precision) for v in value.values))
    if isinstance(value, Interval):
        low, high = (_number(end, value.dimension, precision) for end in (value.low, value.high))
        scale = _PREFIXES.get(high.removesuffix(" tokens").partition(" ")[2], 1.0)
        if value.dimension == "tokens" and scale / 1e3 <= 100 * value.low < 100 * scale:
            low = f"{format_number(value.low / scale, precision)} {high.partition(' ')[2]}"
        return _from_to(low, high)
    if isinstance(value, Certified):
        return _certified(value, precision)
    if isinstance(value, Noisy):
        return "-" if value.value is None else _noisy(value.value, value, precision)
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
    special = _SPECIAL.get(dimension)
    if special is not None:
        return special(value, precision)
    if dimension.startswith("signed "):
        return ("+" if value >= 0 else "") + _number(value, dimension[7:], precision)
    base, *how = dimension.split(", ")
    if "short" in how and base in _COUNTS:
        base = "count"
    text = format_quantity(value, base, precision)
    if "fixed" in how:
        text = _with_zeros(text, precision)
    return text.removesuffix(" " + _NOUNS.get(base, "")) if "short" in how else text


def _with_zeros(text: str, precision: int) -> str:
    number, space, unit = text.partition(" ")
    digits = number.lstrip("-0.").replace(".", "")
    if not digits.isdecimal() or len(digits) >= precision:
        return text
    point = "" if "." in number else "."
    return number + point + "0" * (precision - len(digits)) + space + unit


def _percent(value: float, precision: int) -> str:
    decimals = _percent_decimals(value, precision)
    below = 100.0 * (1.0 - value)
    if decimals <= max(MOST_DIGITS, precision - 1):
        return f"{100 * value:.{decimals}f} %"
    return f"{format_number(100 * value, precision)} %" if below > 50 else f">{_NINES} %"


_NINES = "99." + "9" * (MOST_DIGITS - 1)


def _percent_decimals(value: float, precision: int) -> int:
    """Decimals of a percentage: more below 1 % and above 99 %, where the first ones say little."""
    usual = max(precision - 1, 0)
    size, below = abs(100.0 * value), 100.0 * (1.0 - value)
    if size >= 1.0 and below >= 1.0:
        return usual
    rest, digits = (size, usual) if size < 1.0 else (below, max(usual - 1, 0))
    if rest <= 1e-10:
        return usual
    return max(usual, digits - math.floor(math.log10(rest)))


def _share(value: float, precision: int) -> str:
    return _rough(value, max(precision - 2, 0))


def _part(value: float, precision: int) -> str:
    return _rough(value, 0 if value < 0.01 or value > 0.99 else max(precision - 2, 0))


def _rough(value: float, decimals: int) -> str:
    """A percentage that says so where it is neither none nor all."""
    least = 10.0**-decimals
    text = f"{100 * value:.{decimals}f}"
    if value > 1e-12 and ((decimals == 0 and 100 * value < least) or float(text) == 0):
        return f"<{least:.{decimals}f} %"
    if value < 1 - 1e-12 and ((decimals == 0 and 100 * value > 99) or float(text) >= 100):
        return f">{100 - least:.{decimals}f} %"
    return f"{text} %"


def _points(value: float, precision: int) -> str:
    return f"{_signed(100 * value, max(precision - 1, 0))} points"


def _change(value: float, precision: int) -> str:
    if abs(value) >= 1e3:  # all digits of a factor of a thousand say nothing
        return f"{'+' if value > 0 else ''}{format_number(100 * value, precision)} %"
    return f"{_signed(100 * value, max(precision - 1, 0))} %"


def _signed(value: float, decimals: int) -> str:
    """A sign always, and two digits at least of what is not noise."""
    if 1e-9 < abs(value) < 0.5 * 10.0**-decimals:
        return ("+" if value > 0 else "") + format_number(value, 2)
    text = f"{value:+.{decimals}f}"
    return text if float(text) else f"{0.0:+.{decimals}f}"


def _loss(value: float, precision: int) -> str:
    return f"{value:.{_loss_decimals(precision)}f} nats/token"


def _loss_decimals(precision: int) -> int:
    """Losses are compared at the fourth decimal."""
    return max(4, precision - 1)


def _accelerators(value: float, precision: int) -> str:
    """Whole ones are counted, averages rounded."""
    whole = abs(value - round(value)) < 1e-9 * max(value, 1.0) and value < 1e6
    number = f"{value:.0f}" if whole else format_number(value, precision)
    return f"{number} accelerator{'' if number == '1' else 's'}"


def _tokens_per_parameter(value: float, precision: int) -> str:
    number = format_number(value, precision)
    return f"{number} token{'' if number == '1' else 's'} per parameter"


_SPECIAL: dict[str, Callable[[float, int], str]] = {
    "percent": _percent,
    "share": _share,
    "part": _part,
    "points": _points,
    "change": _change,
    "loss": _loss,
    "loss, short": lambda value, precision: f"{value:.{_loss_decimals(precision)}f}",
    "signed loss": lambda value, precision: (
        f"{_signed(value, _loss_decimals(precision))} nats/token"
    ),
    "signed": lambda value, precision: (
        ("+" if value >= 0 else "") + format_number(value, precision)
    ),
    "fine points": lambda value, precision: (
        ("+" if value >= 0 else "") + f"{format_number(100 * value, precision)} points"
    ),
    "small percent": lambda value, precision: f"{format_number(100 * value, 2)} %",
    "small points": lambda value, precision: f"{format_number(100 * value, 2)} points",
    "accelerators": _accelerators,
    "tokens per parameter": _tokens_per_parameter,
    "text": format_number,
    "number": format_number,
    "whole": lambda value, precision: f"{value:.0f}",
}


def _noisy(value: float, of: Noisy, precision: int) -> str:
    """As many digits as the error leaves, at most `precision`; else 0 within what it may be.

    >>> shown(Noisy(-1.5801, 0.12)), shown(Noisy(0.2203, 0.0006)), shown(Noisy(0.03, 0.04))
    ('-1.6', '+0.220', '0 within 0.07')
    """
    if math.isnan(value):
        return "-"
    if not abs(value) > of.error:
        most = abs(value) + of.error
        return f"0 within {format_number(most, 1)}{of.unit}" if most else f"0{of.unit}"
    size = math.floor(math.log10(abs(value)))
    known = math.floor(math.log10(of.error)) if of.error > 0.0 else size - precision
    decimals = -max(known, size - precision + 1)
    if decimals < 0:
        value = round(value, decimals)
    text = f"{value:{'+' if of.signed else ''}.{max(decimals, 0)}f}"
    return text + of.unit


def _from_to(low: str, high: str) -> str:
    if low == high:
        return low
    first, last = low.split(" "), high.split(" ")
    while len(first) == len(last) > 1 and first[-1] == last[-1]:
        first, last = first[:-1], last[:-1]
    return f"{' '.join(first)} to {high}"


def _certified(value: Certified, precision: int) -> str:
    low, high, gap = _bounds(value, precision)
    if value.dimension == "money" and not value.relative:
        gap = _number(float(gap), "money", MOST_DIGITS)
    if value.part != "all":
        return {"low": low, "high": high, "gap": gap}[value.part]
    unit = {"percent": " points", "loss": " nats/token"}.get(value.dimension, "")
    gap += " %" if value.relative else unit
    if not _is_close(value):
        return f"certified {_from_to(low, high)}, gap {gap}"
    return f"certified to {gap}" if value.gap > 1e-12 else "certified to the last digit"


def _is_close(value: Certified) -> bool:
    return value.high - value.low <= CLOSE * abs(value.high)


def _bounds(value: Certified, precision: int) -> tuple[str, str, str]:
    """Low, high and gap; the gap without a unit, in percent or points where it is one."""
    scale = 100 if value.relative or value.dimension == "percent" else 1
    if _is_close(value) or not math.isfinite(value.high - value.low):
        low, high = (_number(end, value.dimension, precision) for end in (value.low, value.high))
        return low, high, format_number(scale * value.gap, 2)
    digits = _digits(value, precision)
    low, high, gap = _rounded(value, digits)
    while digits < MOST_DIGITS and value.gap <= value.asked < float(gap) / scale:
        digits += 1
        low, high, gap = _rounded(value, digits)
    return low, high, gap


def _digits(value: Certified, precision: int) -> int:
    """Decimals, or significant digits, that show two digits of the distance of the bounds."""
    width = value.high - value.low
    if value.dimension == "percent":
        usual = _percent_decimals(value.high if value.high < 0.01 else value.low, precision)
        if value.low < 0.01 <= value.high:
            usual = precision - 1
        needed = 1 - math.floor(math.log10(100 * width))
    elif value.dimension.startswith("loss"):
        usual, needed = _loss_decimals(precision), 1 - math.floor(math.log10(width))
    else:
        usual = precision + 1
        size = max(abs(value.low), abs(value.high))
        needed = math.floor(math.log10(size)) - math.floor(math.log10(width)) + 2
    return max(precision, min(MOST_DIGITS, max(usual, needed)))


def _rounded(value: Certified, digits: int) -> tuple[str, str, str]:
    """Both ends rounded away from each other, and the distance between them."""
    percent = value.dimension == "percent"
    ends = []
    for end, rounding in ((value.low, ROUND_FLOOR), (value.high, ROUND_CEILING)):
        exact = Decimal(f"{end:.13g}") * (100 if percent else 1)  # without the last digits' noise
        if percent or value.dimension.startswith("loss"):
            ends.append(exact.quantize(Decimal(1).scaleb(-digits), rounding))
        else:
            ends.append(Context(prec=digits, rounding=rounding).create_decimal(exact))
    width = max(ends[1] - ends[0], Decimal(0))
    gap = format_number(100 * value.gap, 2) if value.relative else f"{width:f}"
    if percent:
        low, high = (f"{end:f} %" for end in ends)
    elif value.dimension.startswith("loss"):
        unit = "" if value.dimension.endswith("short") else " nats/token"
        low, high = (f"{end:f}{unit}" for end in ends)
    else:
        low, high = (_number(float(end), value.dimension, digits) for end in ends)
    return low, high, gap


def raw(value: Value) -> object:
    """A value as machines read it: full precision, no unit, None where there is nothing.

    >>> raw(Measure(1.5e12, "tokens")), raw(float("inf")), raw(Interval(1.0, 2.0, "flop"))
    (1500000000000.0, 'infinite', '1.0 to 2.0')
    """
    if isinstance(value, Certified):
        parts = {"low": value.low, "high": value.high, "gap": value.gap}
        value = parts.get(value.part, Interval(value.low, value.high, value.dimension))
    if isinstance(value, (Measure, Noisy)):
        value = value.value
    if isinstance(value, Interval):
        return f"{raw(value.low)} to {raw(value.high)}"
    if isinstance(value, Phrase):
        return value.template.format(*(raw(v) for v in value.values))
    if isinstance(value, float) and not math.isfinite(value):
        return "infinite" if value == math.inf else None
    return value
