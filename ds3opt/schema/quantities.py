"""Field types for quantities: a number, or text with a unit, parsed strictly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from ds3opt.units import parse_quantity


class Section(BaseModel):
    """Base of every part of a scenario: frozen, and no key is accepted that is not documented."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ContradictionError(ValueError):
    """Values that contradict each other, with the one to look at first."""

    def __init__(self, key: str | tuple[str | int, ...], message: str, hint: str = "") -> None:
        self.message, self.hint = message, hint
        self.path = tuple(key.split(".")) if isinstance(key, str) else key
        super().__init__(f"{message}; {hint}" if hint else message)


@dataclass(frozen=True)
class InUnits:
    """Mark of a number's type: the dimension, one of `units`, that it is read and shown in."""

    dimension: str


@dataclass(frozen=True)
class WholeNumbers:
    """Mark of a type whose numbers are whole."""

    least: float = 0.0
    most: float = float("inf")


def _quantity(
    dimension: str,
    words: str,
    example: str,
    *,
    gt: float | None = None,
    ge: float | None = None,
    le: float | None = None,
) -> Any:
    """A strictly parsed quantity whose bounds stand in the JSON Schema too."""

    def parse(value: object) -> float:
        return parse_quantity(value, dimension)

    bounds = {"exclusiveMinimum": gt, "minimum": ge, "maximum": le}
    number = {"type": "number", **{k: v for k, v in bounds.items() if v is not None}}
    schema = {
        "anyOf": [number, {"type": "string"}],
        "examples": [example],
        "description": f"{words}, such as {example}",
    }
    checks = (BeforeValidator(parse), WithJsonSchema(schema), Field(gt=gt, ge=ge, le=le))
    return (InUnits(dimension), *checks)


_flop = _quantity("flop", "an amount of FLOP", "5.5e21", gt=0, le=1e60)
_flop_or_zero = _quantity("flop", "an amount of FLOP", "1e12", ge=0)
_tokens = _quantity("tokens", "a number of tokens", "15 T tokens", gt=0, le=1e40)
_tokens_or_zero = _quantity("tokens", "a number of tokens", "400", ge=0, le=1e40)
_parameters = _quantity("parameters", "a number of parameters", "70 B", gt=0, le=1e30)
_parameters_or_zero = _quantity("parameters", "a number of parameters", "7 B", ge=0)
_count = _quantity("tasks", "a count of at least 1", "1e9", ge=1, le=1e40)
_seconds = _quantity("time", "a time", "365 days", gt=0, le=1e15)
_flop_rate = _quantity("flop_rate", "a FLOP rate", "989 TFLOP/s", ge=1e9, le=1e30)
_bytes = _quantity("bytes", "a number of bytes", "80 GB", ge=1e6, le=1e30)
_bytes_per_second = _quantity("bandwidth", "a bandwidth", "3.35 TB/s", ge=1e6, le=1e30)
_watts = _quantity("power", "a power", "700 W", gt=0, le=1e30)
_watts_or_zero = _quantity("power", "a power", "150 W", ge=0, le=1e30)
_dollars = _quantity("money", "an amount of money", "30 kUSD", ge=0, le=1e30)
_price_per_hour = _quantity("price_per_hour", "a price per hour", "2.95 USD/h", ge=0, le=1e12)
_price_per_energy = _quantity("price_per_energy", "a price of energy", "0.12 USD/kWh", ge=0, le=1.0)
_price_per_token = _quantity(
    "price_per_token", "a price of tokens", "0.5 USD/M tokens", ge=0, le=1e6
)
_carbon_intensity = _quantity("carbon_intensity", "CO2e of energy", "400 g/kWh", ge=0, le=1.0)
_joules = _quantity("energy", "an amount of energy", "1.2 GWh", gt=0, le=1e40)
_accelerator_hours = _quantity(
    "accelerator_hours", "accelerator-hours", "2 M accelerator-hours", gt=0, le=1e30
)
_kilograms = _quantity("carbon", "a mass of CO2e", "150 kg", ge=0, le=1e30)
_number = _quantity("dimensionless", "a number", "2.4")
_positive = _quantity("ratio", "a number above 0", "0.5", gt=0)
_non_negative = _quantity("ratio", "a number from 0 up", "1.0", ge=0)
_fraction = _quantity("ratio", "a number from 0 to 1", "0.5", ge=0, le=1)
_positive_fraction = _quantity("ratio", "a number above 0, at most 1", "0.95", gt=0, le=1)

Flop = Annotated[float, *_flop]
FlopOrZero = Annotated[float, *_flop_or_zero]
Tokens = Annotated[float, *_tokens]
TokensOrZero = Annotated[float, *_tokens_or_zero]
Parameters = Annotated[float, *_parameters]
ParametersOrZero = Annotated[float, *_parameters_or_zero]
Count = Annotated[float, *_count]
Seconds = Annotated[float, *_seconds]
FlopRate = Annotated[float, *_flop_rate]
Bytes = Annotated[float, *_bytes]
BytesPerSecond = Annotated[float, *_bytes_per_second]
Watts = Annotated[float, *_watts]
WattsOrZero = Annotated[float, *_watts_or_zero]
Dollars = Annotated[float, *_dollars]
PricePerHour = Annotated[float, *_price_per_hour]
PricePerEnergy = Annotated[float, *_price_per_energy]
PricePerToken = Annotated[float, *_price_per_token]
CarbonIntensity = Annotated[float, *_carbon_intensity]
Joules = Annotated[float, *_joules]
AcceleratorHours = Annotated[float, *_accelerator_hours]
Kilograms = Annotated[float, *_kilograms]
Number = Annotated[float, *_number]
Positive = Annotated[float, *_positive]
NonNegative = Annotated[float, *_non_negative]
Fraction = Annotated[float, *_fraction]
PositiveFraction = Annotated[float, *_positive_fraction]
