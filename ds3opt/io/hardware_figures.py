"""The figures of a description of an accelerator, as far as they can be read, with their places."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from ds3opt.errors import Location, Problem
from ds3opt.io.yaml_source import KeyPath, YamlSource
from ds3opt.units import UnitError, format_quantity, parse_quantity

RATES = tuple(f"dense_flop_per_s.{precision}" for precision in ("bf16", "fp8", "int8", "fp4"))
PRICES = tuple(f"price_per_hour.{part}" for part in ("low", "typical", "high"))
DIMENSIONS: Mapping[str, str] = {
    **dict.fromkeys(RATES, "flop_rate"),
    "memory_bytes": "bytes",
    "bandwidth_bytes_per_s": "bandwidth",
    "link_bytes_per_s": "bandwidth",
    "board_power_watts": "power",
    **dict.fromkeys(PRICES, "price_per_hour"),
    "capital_cost": "money",
    "embodied_carbon_kg": "carbon",
    "accelerators_per_server": "count",
}
"""Every figure of a description by its dotted path, with the dimension of its value."""


@dataclass(frozen=True)
class Finding:
    """One thing that is probably wrong with one figure."""

    check: str
    """schema, calibration, date, price, sparsity, direction, catalogue, ratio or range."""
    problem: Problem


@dataclass(frozen=True)
class Figure:
    """One figure as it is written."""

    field: str
    """Its dotted path."""
    value: float
    """In the base unit of its dimension."""
    location: Location
    words: str = ""
    """Source and note together."""
    as_of: datetime.date | None = None
    unusual: bool = False
    """Whether the sheet says why it is right although it looks wrong."""

    @property
    def shown(self) -> str:
        """With its unit and enough digits to be recognised."""
        return shown(self.value, self.field)

    def finding(self, check: str, message: str, hint: str = "") -> Finding:
        """A finding at the place of the figure."""
        return Finding(check, Problem(message, self.field, hint, self.location))


Figures = Mapping[str, Figure]


def shown(value: float, field: str) -> str:
    """A value of a field with its unit.

    >>> shown(3.35e12, "bandwidth_bytes_per_s")
    '3.35 TB/s'
    """
    return format_quantity(value, DIMENSIONS[field], 4)


def read_figures(source: YamlSource) -> dict[str, Figure]:
    """The figures whose values can be read, whatever else is wrong with the description."""
    found: dict[str, Figure] = {}
    for field, dimension in DIMENSIONS.items():
        path: KeyPath = tuple(field.split("."))
        node = source.find(path)
        if node is None:
            continue
        written = node.plain()
        about = written if isinstance(written, dict) else {"value": written}
        at = (*path, "value") if isinstance(written, dict) else path
        with contextlib.suppress(UnitError):
            found[field] = Figure(
                field,
                parse_quantity(about.get("value"), dimension),
                source.location(at),
                "; ".join(str(about[key]) for key in ("source", "note") if about.get(key)),
                _date(about.get("as_of")),
                bool(about.get("unusual")),
            )
    return found


def _date(value: object) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(str(value))
    except ValueError:
        return None
