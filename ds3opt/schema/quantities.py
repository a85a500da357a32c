"""Field types for quantities: a number, or text with a unit, parsed strictly."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from ds3opt.units import parse_quantity


class Section(BaseModel):
    """Base of every part of a scenario: frozen, and no key is accepted that is not documented."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, populate_by_name=True
    )


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
    return (BeforeValidator(parse), WithJsonSchema(schema), Field(gt=gt, ge=ge, le=le))


_flop = _quantity("flop", "an amount of FLOP", "5.5e21", gt=0, le=1e60)
_flop_or_zero = _quantity("flop", "an amount of FLOP", "1e12", ge=0)
_tokens = _quantity("tokens", "a number of tokens", "15 T tokens", gt=0, le=1e40)
_tokens_or_zero = _quantity("tokens", "a number of tokens", "400", ge=0)
_parameters = _quantity("parameters", "a number of parameters", "70 B", gt=0, le=1e30)
_parameters_or_zero = _quantity("parameters", "a number of parameters", "7 B", ge=0)
_count = _quantity("tasks", "a count of at least 1", "1e9", ge=1, le=1e40)
_seconds = _quantity("time", "a time", "365 days", gt=0)
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
Number = Annotated[float, *_number]
Positive = Annotated[float, *_positive]
NonNegative = Annotated[float, *_non_negative]
Fraction = Annotated[float, *_fraction]
PositiveFraction = Annotated[float, *_positive_fraction]
