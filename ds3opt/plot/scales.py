"""Axes with units: what a quantity is called, and numbers as the tables write them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ds3opt.report.words import dimension_of, words_of

if TYPE_CHECKING:
    from matplotlib.axis import Axis

_UNITS = {
    "percent": "%",
    "flop": "FLOP",
    "energy": "J",
    "money": "USD",
    "carbon": "kg CO2e",
    "accelerator_hours": "accelerator-hours",
    "power": "W",
    "time": "s",
    "tokens": "tokens",
    "parameters": "parameters",
    "loss": "nats/token",
    "tasks": "tasks",
    "accelerators": "accelerators",
}
_FEW_DECADES, _ONE = 2.2, 0.7
_POWERS = frozenset({"flop", "percent", "loss"})
"""Dimensions that are read in powers of ten, or plainly."""


def axis_label(name: str) -> str:
    """A quantity and its unit, such as ``Total compute (FLOP)``.

    >>> axis_label("total_flop"), axis_label("energy"), axis_label("tokens_per_parameter")
    ('Total compute (FLOP)', 'Energy (J)', 'Tokens per parameter (1)')
    """
    words = words_of(name).replace(" FLOP", " compute")
    return f"{words[:1].upper()}{words[1:]} ({unit_of(name)})"


def unit_of(name: str) -> str:
    """The unit in which a quantity is drawn."""
    return _UNITS.get(dimension_of(name), "1")


def scale_of(name: str) -> float:
    """What a value is multiplied with before it is drawn: shares are drawn in percent."""
    return 100.0 if dimension_of(name) == "percent" else 1.0


def engineering_ticks(axis: Axis, name: str) -> None:
    """Numbers of a log axis as the tables write them: 1 k, 10 k, 1 M; to be called last.

    Over few decades 2 and 5 have numbers, too.
    """
    dimension = dimension_of(name)
    if dimension in _POWERS:
        return
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    decades = math.log10(high / low) if 0.0 < low < high else math.inf
    if decades < _FEW_DECADES:
        subs = (1.0, 2.0, 5.0) if decades > _ONE else tuple(map(float, range(1, 10)))
        axis.set_major_locator(LogLocator(base=10.0, subs=subs))

    from ds3opt.units import format_quantity

    def words(value: float, position: object) -> str:
        return format_quantity(value, "count")

    axis.set_major_formatter(FuncFormatter(words))
    axis.set_minor_formatter(NullFormatter())
