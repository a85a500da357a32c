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


def _quantity(dimension: str, example: str) -> Any:
    def parse(value: object) -> float:
        return parse_quantity(value, dimension)

    schema = {
        "anyOf": [{"type": "number"}, {"type": "string"}],
        "examples": [example],
        "description": f"a {dimension} quantity, such as {example}",
    }
    return (BeforeValidator(parse), WithJsonSchema(schema))


_flop = _quantity("flop", "5.5e21")
_tokens = _quantity("tokens", "15 T tokens")
_parameters = _quantity("parameters", "70 B")
_count = _quantity("tasks", "1e9")
_time = _quantity("time", "365 days")
_number = _quantity("ratio", "0.5")

Flop = Annotated[float, *_flop, Field(gt=0)]
Tokens = Annotated[float, *_tokens, Field(gt=0)]
TokensOrZero = Annotated[float, *_tokens, Field(ge=0)]
Parameters = Annotated[float, *_parameters, Field(gt=0)]
ParametersOrZero = Annotated[float, *_parameters, Field(ge=0)]
FlopOrZero = Annotated[float, *_flop, Field(ge=0)]
Count = Annotated[float, *_count, Field(gt=0)]
Seconds = Annotated[float, *_time, Field(gt=0)]
Number = Annotated[float, *_number]
Positive = Annotated[float, *_number, Field(gt=0)]
NonNegative = Annotated[float, *_number, Field(ge=0)]
Fraction = Annotated[float, *_number, Field(ge=0, le=1)]
PositiveFraction = Annotated[float, *_number, Field(gt=0, le=1)]
