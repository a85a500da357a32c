"""An accelerator: as the catalogue writes it, with sources, and as a scenario holds it."""

from __future__ import annotations

import datetime
from itertools import pairwise
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BeforeValidator, Field, StrictBool, StrictInt, model_validator

from ds3opt.errors import Problem, ScenarioError
from ds3opt.schema.quantities import (
    Bytes,
    BytesPerSecond,
    Dollars,
    FlopRate,
    Kilograms,
    PricePerHour,
    Section,
    Watts,
)

Precision = Literal["bf16", "fp8", "int8", "fp4"]
"""Number formats that accelerators publish dense rates for; bf16 stands for fp16 too."""
Text = Annotated[str, Field(min_length=1, max_length=500)]
Name = Annotated[str, Field(min_length=1, max_length=80)]
Whole = Annotated[StrictInt, Field(ge=1, le=100_000)]

DEFAULT_CALIBRATION = "default"

Q = TypeVar("Q")


def _as_date(value: object) -> object:
    """A day as YAML gives it: text. Numbers are refused rather than read as seconds."""
    if isinstance(value, datetime.date):
        return value
    if not isinstance(value, str):
        raise ValueError("a date is written 2026-05-01")
    try:
        return datetime.date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value[:40]!r} is not a date such as 2026-05-01") from None


class Figure(Section, Generic[Q]):
    """One published figure and where it stands."""

    value: Q
    """The figure with its unit."""
    source: Text
    """The document that says so, with its address where it has one."""
    as_of: Annotated[datetime.date, BeforeValidator(_as_date)]
    """The day the source was read, or that it speaks of."""
    note: Text | None = None
    """What a reader of the figure should know."""
    unusual: Text | None = None
    """Why the figure is right although it looks wrong; `ds3opt hardware lint` then believes it."""
    verified: StrictBool = True
    """False for an estimate, or where the maker publishes nothing."""


class DenseFlopFigures(Section):
    """Dense FLOP/s with sources, by number format."""

    bf16: Figure[FlopRate] | None = None
    """bf16 or fp16 with fp32 sums."""
    fp8: Figure[FlopRate] | None = None
    """8-bit floating point."""
    int8: Figure[FlopRate] | None = None
    """8-bit integers."""
    fp4: Figure[FlopRate] | None = None
    """4-bit floating point."""


class PriceFigures(Section):
    """Prices of one accelerator-hour with sources."""

    low: Figure[PricePerHour] | None = None
    """What large or committed buyers pay, or cost of ownership."""
    typical: Figure[PricePerHour] | None = None
    """The middle of what is offered on demand."""
    high: Figure[PricePerHour] | None = None
    """List price of a large cloud."""


class AcceleratorSheet(Section):
    """A file of the catalogue: one accelerator, every figure with its source.

    A figure that nobody publishes is left out: unknown stays unknown.
    """

    name: Name
    """As the maker calls it; the catalogue's name is that of the file."""
    vendor: Name
    """The maker."""
    dense_flop_per_s: DenseFlopFigures
    """Without sparsity; of one accelerator, not of a board or server with several."""
    memory_bytes: Figure[Bytes]
    """Memory beside the chip that weights and caches can use."""
    bandwidth_bytes_per_s: Figure[BytesPerSecond]
    """Of that memory."""
    link_bytes_per_s: Figure[BytesPerSecond] | None = None
    """To the other accelerators of the server, in one direction."""
    board_power_watts: Figure[Watts] | None = None
    """The limit that the maker sets, without the host."""
    price_per_hour: PriceFigures | None = None
    """USD for an accelerator-hour."""
    capital_cost: Figure[Dollars] | None = None
    """USD to buy one."""
    embodied_carbon_kg: Figure[Kilograms] | None = None
    """CO2e of making one."""
    accelerators_per_server: Figure[Whole] | None = None
    """How many one server, or one domain of the fast links, usually has."""
    calibration: Name = DEFAULT_CALIBRATION
    """The set of measured efficiencies that fits it best."""
    note: Text | None = None
    """What a reader of the sheet should know."""

    def figures(self) -> dict[str, Figure[Any]]:
        """Every figure that is known, by its dotted path, in the order of the sheet."""
        found: dict[str, Figure[Any]] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Figure):
                found[name] = value
            elif isinstance(value, Section):
                parts = {part: getattr(value, part) for part in type(value).model_fields}
                found |= {f"{name}.{part}": f for part, f in parts.items() if f is not None}
        return found

    def plain(self, name: str, file: str) -> dict[str, Any]:
        """What a scenario would write in place to describe the same accelerator, in base units.

        `name` is the catalogue's name for it and `file` the sheet's own, for messages.
        """
        data: dict[str, Any] = {"name": name, "vendor": self.vendor}
        for path, figure in self.figures().items():
            name, _, part = path.partition(".")
            if part:
                data.setdefault(name, {})[part] = figure.value
            else:
                data[name] = figure.value
        return {**data, "calibration": self.calibration, "file": file}


class DenseFlop(Section):
    """Dense FLOP/s by number format."""

    bf16: FlopRate | None = None
    """bf16 or fp16 with fp32 sums."""
    fp8: FlopRate | None = None
    """8-bit floating point."""
    int8: FlopRate | None = None
    """8-bit integers."""
    fp4: FlopRate | None = None
    """4-bit floating point."""


class PriceRange(Section):
    """Prices of one accelerator-hour, USD; a single price stands for all three."""

    low: PricePerHour | None = None
    """What large or committed buyers pay."""
    typical: PricePerHour | None = None
    """What is computed with."""
    high: PricePerHour | None = None
    """List price of a large cloud."""

    @model_validator(mode="after")
    def _in_order(self) -> PriceRange:
        known = [(n, getattr(self, n)) for n in ("low", "typical", "high")]
        known = [(name, price) for name, price in known if price is not None]
        for (lower, less), (upper, more) in pairwise(known):
            if less > more:
                raise ValueError(f"{lower}, {less:g} USD/h, is above {upper}, {more:g} USD/h")
        return self


def _without_sources(data: object) -> object:
    """Figures that were copied from the catalogue with their sources, as bare quantities."""
    if not isinstance(data, dict):
        return data
    if "value" in data and set(data) <= set(Figure.model_fields):
        return data["value"]
    return {key: _without_sources(value) for key, value in data.items()}


def _as_prices(value: object) -> object:
    if value is None or isinstance(value, (dict, PriceRange)):
        return value
    return {"low": value, "typical": value, "high": value}


class Accelerator(Section):
    """One accelerator in plain numbers; what is unknown is left out."""

    name: Name = "accelerator"
    """Of the catalogue (`ds3opt hardware list`), whose figures the other keys replace; or any."""
    vendor: Name | None = None
    """The maker."""
    dense_flop_per_s: DenseFlop = DenseFlop()
    """Dense FLOP/s by number format; sparse figures are twice that and never reached."""
    memory_bytes: Bytes | None = None
    """Memory of one accelerator."""
    bandwidth_bytes_per_s: BytesPerSecond | None = None
    """Of that memory."""
    link_bytes_per_s: BytesPerSecond | None = None
    """To the other accelerators of the server, in one direction."""
    board_power_watts: Annotated[Watts, Field(ge=1e-3)] | None = None
    """The limit that the maker sets, without the host."""
    price_per_hour: Annotated[PriceRange, BeforeValidator(_as_prices)] | None = None
    """USD for an accelerator-hour: one price, or low, typical and high."""
    capital_cost: Dollars | None = None
    """USD to buy one."""
    embodied_carbon_kg: Kilograms | None = None
    """CO2e of making one."""
    accelerators_per_server: Whole | None = None
    """How many one server has."""
    calibration: Name = DEFAULT_CALIBRATION
    """The set of measured efficiencies to compute with."""
    file: str = ""
    """The file of the catalogue that the figures are from; filled in."""

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, data: object) -> object:
        return _without_sources(data)

    def get(self, field: str) -> float | None:
        """A figure in SI units (prices in USD/h) by its dotted path, None where it is unknown.

        A price without a part is the typical one.

        >>> chip = Accelerator.model_validate({"price_per_hour": "2 USD/h"})
        >>> chip.get("price_per_hour"), chip.get("dense_flop_per_s.fp8")
        (2.0, None)
        """
        name, _, part = field.partition(".")
        value = getattr(self, name)
        if name == "price_per_hour":
            part = part or "typical"
        if part and value is not None:
            value = getattr(value, part)
        return None if value is None else float(value)

    def require(self, field: str, path: str = "accelerator") -> float:
        """A figure as `get` finds it, for a computation that cannot do without.

        Parameters
        ----------
        field : dotted path, such as ``dense_flop_per_s.fp8``.
        path : the scenario's key under which the accelerator stands, for the message.

        Raises
        ------
        ScenarioError : where the figure is unknown, saying where it could be given.
        """
        value = self.get(field)
        if value is not None:
            return value
        where = f" or in {self.file}" if self.file else ""
        hint = f"give it as {path}.{field}{where}"
        known = [p for p in DenseFlop.model_fields if getattr(self.dense_flop_per_s, p) is not None]
        if field.startswith("dense_flop_per_s.") and known:
            hint += f"; known are {', '.join(known)}"
        raise ScenarioError(Problem(f"{self.name} has no {field}", path=path, hint=hint))
