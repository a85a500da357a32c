"""What ``--vary`` says: a key and the values it takes, one after the other."""

from __future__ import annotations

from dataclasses import dataclass

from ds3opt.errors import Location, Problem, UsageError

MAX_POINTS = 1000
WHOLE = frozenset(
    (
        *("skills", "samples", "branches", "points", "max_cells", "count"),
        *("max_sequences", "accelerators_per_replica"),
    )
)
"""Keys that take whole numbers only: a grid over them is rounded."""
_FORMS = "write path=from:to:points, path=lin:from:to:points or path=a,b,c"


@dataclass(frozen=True)
class Variation:
    """A key and its values."""

    path: str
    values: tuple[float, ...]
    """In the base unit of the key."""
    written: tuple[str, ...]
    """The values as a scenario would say them."""
    log_grid: bool
    """Whether the values are evenly spaced in their logarithm, upward."""


def parse_variation(text: str) -> Variation:
    """Read ``path=from:to:points`` (log spaced), ``path=lin:from:to:points`` or ``path=a,b,c``.

    Raises
    ------
    UsageError : placed at the text, saying what would be right.

    >>> parse_variation("workload.mix[0].skills=1:64:4").written
    ('1', '4', '16', '64')
    >>> parse_variation("model.parameters=1 B,7 B").values
    (1000000000.0, 7000000000.0)
    """
    path, equals, spec = text.partition("=")
    path = path.strip()
    if not equals or not path or not spec.strip():
        raise _wrong(text, "a key and its values are expected")
    linear = spec.strip().startswith("lin:")
    parts = [part.strip() for part in spec.strip().removeprefix("lin:").split(":")]
    if len(parts) == 1 and not linear:
        written = tuple(part.strip() for part in spec.split(","))
        return Variation(path, tuple(_number(text, path, w) for w in written), written, False)
    if len(parts) != 3:
        raise _wrong(text, f'"{spec.strip()}" is not a range')
    low, high = _number(text, path, parts[0]), _number(text, path, parts[1])
    if not parts[2].isdecimal() or not 2 <= int(parts[2]) <= MAX_POINTS:
        raise _wrong(text, f'"{parts[2]}" is not a number of points, 2 to {MAX_POINTS}')
    if not linear and (low <= 0 or high <= 0):
        raise _wrong(text, "a log-spaced range starts and ends above 0; lin: takes any")
    values = _grid(low, high, int(parts[2]), linear=linear)
    if _leaf(path) in WHOLE:
        values = tuple(dict.fromkeys(float(round(value)) for value in values))
    return Variation(path, values, tuple(map(_written, values)), not linear and low < high)


def _number(text: str, path: str, word: str) -> float:
    from ds3opt.report.words import dimension_of
    from ds3opt.units import UnitError, parse_quantity

    dimension = dimension_of(path)
    if _leaf(path) == "value" and ("USD" in word or "$" in word):
        dimension = "money"
    try:
        return parse_quantity(word, {"percent": "ratio"}.get(dimension, dimension))
    except UnitError as error:
        raise _wrong(text, error.message, error.hint) from None


def _wrong(text: str, message: str, hint: str = _FORMS) -> UsageError:
    return UsageError(Problem(message, hint=hint, location=Location("--vary", 1, 1, text)))


def _grid(low: float, high: float, points: int, *, linear: bool) -> tuple[float, ...]:
    """Points from low to high, both ends exact, the others free of rounding noise."""

    def between(fraction: float) -> float:
        value = low + (high - low) * fraction if linear else low * (high / low) ** fraction
        return float(f"{value:.12g}")

    inner = (between(i / (points - 1)) for i in range(1, points - 1))
    return (low, *inner, high)


def _written(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _leaf(path: str) -> str:
    from ds3opt.report.words import leaf

    return leaf(path)
