"""Quantities as people write them: "1.2 GWh" to a float in SI, and a float back to words."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

_MULTIPLIERS = {
    "k": 1e3,
    "K": 1e3,
    "M": 1e6,
    "B": 1e9,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
}
_SI = {p: 10.0**e for p, e in zip("kMGTPEZYRQ", range(3, 33, 3), strict=True)}
_BINARY = {p + "i": 1024.0**n for n, p in enumerate("KMGTPE", 1)}
_ACCELERATOR_HOURS = (
    *("accelerator-hour", "accelerator-hours", "accelerator-h", "GPU-hour", "GPU-hours", "GPU-h"),
    *("GPUh", "chip-hour", "chip-hours", "TPU-hours"),
)
_YEAR = 365 * 86400.0
_TIME = {
    **dict.fromkeys(("ns", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("us", "µs", "μs", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("week", "weeks"), 7 * 86400.0),
    **dict.fromkeys(("year", "years"), _YEAR),
}


class UnitError(ValueError):
    """A value that is not a quantity of the expected dimension."""

    def __init__(self, message: str, hint: str = "", expected: str = "") -> None:
        self.message = message
        self.hint = hint
        """What would be right: examples, or the nearest unit."""
        self.expected = expected
        """The dimension in words, where the value is of no use at all."""
        super().__init__(f"{message}; {hint}" if hint else message)


@dataclass(frozen=True)
class Dimension:
    """One kind of quantity: how it is called, read and shown."""

    noun: str
    """With its article, for messages: ``a FLOP count``."""
    units: Mapping[str, float]
    """Every accepted spelling, without spaces, and its size in the base unit."""
    examples: tuple[str, ...]
    ladder: tuple[tuple[float, str], ...]
    """Units to show a value in, smallest first; empty label for a bare number."""
    scientific: bool = False
    """Shown as a power of ten, whatever the size."""
    largest_bare: float = math.inf
    """A larger number without a unit was meant in the usual unit, not in the base unit."""
    smallest_bare: float = 0.0
    """The same of a smaller number."""


def _prefixed(
    prefixes: Mapping[str, float], bases: Iterable[str], unit: float = 1
) -> dict[str, float]:
    bases = tuple(bases)
    return {p + b: f * unit for p, f in {"": 1.0, **prefixes}.items() for b in bases}


def _count(*nouns: str) -> dict[str, float]:
    units = _prefixed(_MULTIPLIERS, ("", *nouns))
    del units[""]
    return units


def _counting(noun: str, label: str, example: str, *spellings: str) -> Dimension:
    steps = ((1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "B"), (1e12, "T"), (1e15, "P"))
    ladder = tuple((f, f"{prefix} {label}".strip()) for f, prefix in steps)
    return Dimension(noun, _count(*spellings), ("1e9", example), ladder)


def _prices(per: Mapping[str, float]) -> dict[str, float]:
    """Units of money for each unit of something else, ``$2/h`` included."""
    spellings = [(f"{money}/{{}}", 1.0) for money in ("USD", "usd", "$", "dollar", "dollars")]
    spellings += [("kUSD/{}", 1e3), ("MUSD/{}", 1e6), ("cents/{}", 0.01), ("/{}$", 1.0)]
    return {form.format(unit): f / size for form, f in spellings for unit, size in per.items()}


def _steps(unit: str, prefixes: str) -> tuple[tuple[float, str], ...]:
    return ((1.0, unit), *((_SI[p], p + unit) for p in prefixes))


@cache
def _dimensions() -> Mapping[str, Dimension]:
    rate = _prefixed(_SI, ("FLOP/s", "FLOPs/s", "flop/s", "flops/s", "FLOPS"))
    flop_by_time = {
        f"{unit}-{time}": size * _TIME[time]
        for unit, size in rate.items()
        for time in ("day", "days", "hour", "hours")
        if unit.endswith("/s")
    }
    data = _prefixed({**_SI, "K": 1e3, **_BINARY}, ("B", "byte", "bytes"))
    bits = _prefixed(_SI, ("bit/s", "bps"), 1 / 8)
    mass = {"g": 1e-3, "kg": 1.0, "t": 1e3, "tonne": 1e3, "tonnes": 1e3, "kt": 1e6, "Mt": 1e9}
    carbon = {m + c: f for m, f in mass.items() for c in ("", "CO2", "CO2e", "CO2eq")}
    mass_steps = ("g", "kg", "t", "kt", "Mt")
    joules = _prefixed({**_SI, "m": 1e-3}, ("J", "joule", "joules"))
    watts = _prefixed({**_SI, "m": 1e-3}, ("W", "watt", "watts"))
    energy = {**joules, **_prefixed(_SI, ("Wh",), 3600)}
    kilowatt_hour = 3.6e6
    hours = {unit: size / 3600 for unit, size in _TIME.items() if size >= 1}
    hours |= dict.fromkeys(("GPU-h", "GPU-hour", "GPUh", "gpu-h", "gpu-hour", "chip-hour"), 1.0)
    priced_tokens = {
        f"{count}{prefix}{noun}": size
        for prefix, size in {"": 1.0, **_MULTIPLIERS}.items()
        for noun in ("tok", "token", "tokens")
        for count in ("", "1")
    }
    time_steps = ("ns", "µs", "ms", "s", "min", "h", "days")
    tasks = _counting("a number of tasks", "tasks", "2 M tasks", "task", "tasks", "requests")
    share = Dimension("a plain number", {"%": 0.01}, ("0.4", "40%"), ((1.0, ""),))
    number = Dimension("a plain number", {}, ("2.1", "1e-3"), ((1.0, ""),))
    return MappingProxyType(
        {
            "flop": Dimension(
                "a FLOP count",
                {**_prefixed(_SI, ("FLOP", "FLOPs", "flop", "flops")), **flop_by_time},
                ("5.5e21", "5.5 ZFLOP", "10 PFLOP/s-days"),
                ((1.0, "FLOP"),),
                scientific=True,
            ),
            "flop_rate": Dimension(
                "a FLOP rate",
                rate,
                ("989e12", "989 TFLOP/s"),
                _steps("FLOP/s", "kMGTPEZYRQ"),
                smallest_bare=1e6,
            ),
            "tokens": _counting("a token count", "tokens", "15 T tokens", "token", "tokens"),
            "parameters": _counting(
                "a parameter count",
                "parameters",
                "7 B parameters",
                *("parameter", "parameters", "param", "params"),
            ),
            "tasks": tasks,
            "count": _counting("a count", "", "2 M"),
            "time": Dimension(
                "a time",
                _TIME,
                ("2 s", "365 days"),
                (*((_TIME[u], u) for u in time_steps), (2 * _YEAR, "years")),
            ),
            "bytes": Dimension(
                "a number of bytes", data, ("80 GB", "80 GiB"), _steps("B", "kMGTPE")
            ),
            "bandwidth": Dimension(
                "a bandwidth",
                {**{f"{u}/s": f for u, f in data.items()}, **bits},
                ("3.35 TB/s", "400 Gbit/s"),
                _steps("B/s", "kMGTPE"),
                smallest_bare=1e6,
            ),
            "energy": Dimension(
                "an energy",
                energy,
                ("1.2 GWh", "3.6e12 J"),
                ((1.0, "J"), *((3600 * f, u) for f, u in _steps("Wh", "kMGT"))),
            ),
            "power": Dimension("a power", watts, ("700 W", "20 MW"), _steps("W", "kMGT")),
            "money": Dimension(
                "an amount of money",
                _count("USD", "usd", "$", "dollar", "dollars"),
                ("4 MUSD", "2.5e6"),
                ((1.0, "USD"), (1e3, "kUSD"), (1e6, "MUSD"), (1e9, "BUSD"), (1e12, "TUSD")),
            ),
            "carbon": Dimension(
                "a mass of CO2e",
                carbon,
                ("300 t CO2e", "3e5 kg"),
                tuple((mass[m], f"{m} CO2e") for m in mass_steps),
            ),
            "price_per_hour": Dimension(
                "a price per hour",
                _prices(hours),
                ("2.95 USD/h", "$2.95/h"),
                ((1.0, "USD/h"), (1e3, "kUSD/h"), (1e6, "MUSD/h")),
            ),
            "price_per_energy": Dimension(
                "a price of energy",
                _prices(energy),
                ("0.12 USD/kWh", "80 USD/MWh"),
                ((1 / kilowatt_hour, "USD/kWh"), (1e3 / kilowatt_hour, "kUSD/kWh"), (1.0, "USD/J")),
                largest_bare=1e-3,
            ),
            "price_per_token": Dimension(
                "a price of tokens",
                _prices(priced_tokens),
                ("0.50 USD/M tokens", "2e-6 USD/token"),
                ((1e-6, "USD/M tokens"), (1e-3, "USD/k tokens"), (1.0, "USD/token")),
                largest_bare=1e-3,
            ),
            "carbon_intensity": Dimension(
                "a carbon intensity of energy",
                {f"{m}/{e}": f / size for m, f in carbon.items() for e, size in energy.items()},
                ("400 g/kWh", "0.4 kg CO2e/kWh"),
                (
                    (1e-3 / kilowatt_hour, "g CO2e/kWh"),
                    (1 / kilowatt_hour, "kg CO2e/kWh"),
                    (1.0, "kg CO2e/J"),
                ),
                largest_bare=1e-3,
            ),
            "accelerator_hours": Dimension(
                "a number of accelerator-hours",
                _count(*_ACCELERATOR_HOURS),
                ("2 M accelerator-hours", "1.5e6"),
                tuple(
                    (f, f"{prefix} accelerator-hours".strip())
                    for f, prefix in ((1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "B"), (1e12, "T"))
                ),
            ),
            "loss": Dimension(
                "a loss in nats per token",
                {
                    **dict.fromkeys(("nats/token", "nat/token", "nats", "nat"), 1.0),
                    **dict.fromkeys(("bits/token", "bit/token"), math.log(2)),
                },
                ("2.40", "2.40 nats/token"),
                ((1.0, "nats/token"),),
            ),
            "ratio": share,
            "dimensionless": number,
        }
    )


_NUMBER = re.compile(r"[+-]?(?:\d+(?:_\d+)*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INFINITE = re.compile(r"[+-]?\.?inf(?:inity)?", re.IGNORECASE)
_NO_FIXED_LENGTH = {"month", "months", "mo"}


def parse_quantity(value: object, dimension: str, *, allow_infinite: bool = False) -> float:
    """Size of a quantity in the base unit of its dimension.

    Parameters
    ----------
    value : a number, taken in the base unit, or text: a number and, optionally, a unit.
    dimension : one of flop, flop_rate (per s), tokens, parameters, tasks, count, time (s), bytes,
        bandwidth (bytes/s), energy (J), power (W), money (USD), price_per_hour (USD/h),
        price_per_energy (USD/J), price_per_token (USD/token), carbon (kg), carbon_intensity (kg/J),
        loss (nats/token), ratio, dimensionless.
    allow_infinite : accept infinity, for a limit that is absent.

    Notes
    -----
    A year is 365 days. Units are case-sensitive (mW is not MW), but for counts k and K agree. A
    bare 0.12 as a price of energy is refused, as is a bare 989 as a FLOP rate: 0.12 USD/J and 989
    FLOP/s are never meant.

    >>> parse_quantity("10 PFLOP/s-days", "flop")
    8.64e+20
    >>> parse_quantity("15T", "tokens")
    15000000000000.0
    """
    expected = _dimensions()[dimension]
    if isinstance(value, (bool, type(None))) or not isinstance(value, (int, float, str)):
        message = f"{_described(value)} is not {expected.noun}"
        raise UnitError(message, _examples(expected), expected.noun)
    number, unit = _split(value, expected) if isinstance(value, str) else (_as_float(value), "")
    if math.isnan(number):
        raise UnitError(f"{expected.noun} is expected, not NaN", _examples(expected))
    if math.isinf(number):
        if allow_infinite and not unit:
            return number
        raise UnitError(f"{expected.noun} must be finite", _examples(expected))
    if not unit and (
        0 < abs(number) < expected.smallest_bare or abs(number) > expected.largest_bare
    ):
        message = f"{_shortened(str(value))} has no unit, and {expected.noun} needs one"
        raise UnitError(message, _examples(expected))
    result = number * _unit_size(str(value).strip(), unit, expected)
    if math.isinf(result):
        raise UnitError(f"{_shortened(str(value))} is too large to compute with")
    return result


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise UnitError("the number is too large to compute with") from None


def _split(text: str, expected: Dimension) -> tuple[float, str]:
    stripped = text.strip()
    dollar = "$" if stripped.startswith("$") else ""
    stripped = stripped.removeprefix("$").lstrip()
    if _INFINITE.fullmatch(stripped):
        return (-math.inf if stripped.startswith("-") else math.inf), ""
    if stripped.lower() in {"nan", ".nan"}:
        return math.nan, ""
    match = _NUMBER.match(stripped)
    rest = stripped[match.end() :].strip() if match else ""
    if match is None or rest[:1] in {".", ",", "_"}:
        hint = "write digits without commas" if "," in rest else _examples(expected)
        raise UnitError(f'"{_shortened(text)}" is not {expected.noun}', hint, expected.noun)
    number = float(match[0])
    if math.isinf(number):
        raise UnitError(f"{_shortened(match[0])} is too large to compute with")
    return number, "".join(rest.split()) + dollar


def _unit_size(text: str, unit: str, expected: Dimension) -> float:
    if not unit:
        return 1.0
    size = expected.units.get(unit)
    if size is not None:
        return size
    shown = _shortened(text)
    if unit not in _MULTIPLIERS:
        for other in _dimensions().values():
            if unit in other.units:
                hint = _examples(expected)
                noun = "a percentage" if unit == "%" else other.noun
                raise UnitError(f"{shown} is {noun}, {expected.noun} is expected", hint)
    if unit in _NO_FIXED_LENGTH and "days" in expected.units:
        raise UnitError(f"{shown}: a month has no fixed length", "write it in days")
    nearest = _nearest(unit, expected.units)
    message = f'unknown unit "{_shortened(unit)}" in "{shown}", {expected.noun} is expected'
    raise UnitError(message, f'did you mean "{nearest}"?' if nearest else _examples(expected))


def _nearest(unit: str, units: Iterable[str]) -> str:
    folded: dict[str, str] = {}
    for known in units:
        folded.setdefault(known.lower(), known)
    found = difflib.get_close_matches(unit[:40].lower(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else ""


def _examples(expected: Dimension) -> str:
    return "write for example " + " or ".join(expected.examples)


def _shortened(text: str, width: int = 40) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 3] + "..."


def _described(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    names = {type(None): "an empty value", dict: "a mapping", list: "a list"}
    return names.get(type(value), f"a {type(value).__name__}")


def format_quantity(value: float | None, dimension: str, precision: int = 3) -> str:
    """Text for people: `precision` significant digits and the unit that keeps the number short.

    >>> format_quantity(1.42e12, "tokens"), format_quantity(5.5e21, "flop")
    ('1.42 T tokens', '5.50e21 FLOP')
    >>> format_quantity(999.9e6, "parameters")
    '1 B parameters'
    """
    known = _dimensions()[dimension]
    if value is None or math.isnan(value) or math.isinf(value):
        return format_number(value, precision)
    if value < 0:
        return "-" + format_quantity(-value, dimension, precision)
    ladder = known.ladder
    base = next(label for size, label in ladder if size == 1.0)
    if known.scientific:
        return _joined("0" if value == 0 else _scientific(value, precision), base)
    if value == 0 or len(ladder) == 1:
        return _joined(format_number(value, precision), base)
    rung = max((i for i, (size, _) in enumerate(ladder) if value >= size), default=0)
    number = _rung_number(value, ladder[rung], precision)
    if rung + 1 < len(ladder) and float(number) * _size(ladder[rung]) >= ladder[rung + 1][0]:
        rounded = float(number) * _size(ladder[rung])
        rung += 1
        number = _rung_number(rounded, ladder[rung], precision)
    beyond = rung + 1 == len(ladder) and float(number) >= 1e3
    if beyond or float(number) < 1e-3:
        return _joined(_scientific(value, precision), base)
    return _joined(number, ladder[rung][1])


def _size(rung: tuple[float, str]) -> float:
    return _YEAR if rung[1] == "years" else rung[0]


def _rung_number(value: float, rung: tuple[float, str], precision: int) -> str:
    return _significant(value / _size(rung), precision)


def _joined(number: str, label: str) -> str:
    if number == "1" and label in {"days", "tokens", "parameters", "tasks"}:
        label = label[:-1]
    return f"{number} {label}".strip()


def format_number(value: float | None, precision: int = 3) -> str:
    """A bare number with `precision` significant digits; a dash for nothing, `inf` for no bound.

    >>> format_number(0.12345), format_number(4.2e9), format_number(None)
    ('0.123', '4.20e9', '-')
    """
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e6:
        text = _significant(value, precision)
        if abs(float(text)) < 1e6:
            return text
    return _scientific(value, precision)


def _significant(value: float, precision: int) -> str:
    if value == 0 or abs(value) < 1e-12:
        return "0"
    decimals = max(0, precision - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scientific(value: float, precision: int) -> str:
    mantissa, exponent = f"{value:.{max(precision - 1, 0)}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def format_percent(share: float) -> str:
    """A share in words, with as many digits as tell it from a whole.

    >>> format_percent(0.6), format_percent(0.9999995), format_percent(1.0)
    ('60.00 %', '99.99995 %', '100.00 %')
    """
    digits = 2 if share >= 1.0 else math.ceil(-math.log10(1.0 - share) - 1e-9) - 2
    return f"{100.0 * share:.{min(max(digits, 2), 12)}f} %"
