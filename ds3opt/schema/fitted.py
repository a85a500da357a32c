"""What every fitted law says of itself: ranges, errors, draws, data and diagnostics."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from ds3opt.laws._types import FloatArray
from ds3opt.laws.loss import FittedRange, Repetition
from ds3opt.schema.quantities import Number, Positive, Section

Text = Annotated[str, Field(max_length=2000)]
Count = Annotated[int, Field(ge=0, le=10**12)]


class FittedSpan(Section):
    """Lowest and highest of what the data of a fit hold."""

    parameters: tuple[Positive, Positive] | None = None
    """Model size."""
    training_tokens: tuple[Positive, Positive] | None = None
    """Training tokens, repeats included."""
    tokens_per_parameter: tuple[Positive, Positive] | None = None
    """Training tokens per parameter."""
    loss: tuple[Number, Number] | None = None
    """Loss."""
    samples: tuple[Positive, Positive] | None = None
    """Traces of a problem."""
    source: Text = ""
    """Where these numbers are from."""

    @model_validator(mode="after")
    def _upright(self) -> FittedSpan:
        for name in ("parameters", "training_tokens", "tokens_per_parameter", "loss", "samples"):
            ends = getattr(self, name)
            if ends is not None and ends[0] > ends[1]:
                raise ValueError(f"{name} is upside down: {ends[0]:g} is above {ends[1]:g}")
        return self

    def range(self) -> FittedRange:
        """The part that a loss law knows of."""
        return FittedRange(
            self.parameters, self.training_tokens, self.tokens_per_parameter, self.source
        )


class RepetitionDecay(Section):
    """How fast repeated tokens, and parameters beyond what unique tokens can fill, lose value."""

    data_decay: Positive
    """R_D*, in repeats."""
    parameter_decay: Positive
    """R_N*, in repeats."""
    source: Text = ""
    """Where the constants are from."""

    def repetition(self) -> Repetition:
        """The part of a loss law."""
        return Repetition(self.data_decay, self.parameter_decay, self.source)


def parsed_draws(text: str) -> tuple[tuple[str, ...], FloatArray]:
    """Names of the constants and one row for each draw, from a table of words and numbers.

    >>> names, draws = parsed_draws("irreducible data_exponent\\n1.7 0.3\\n1.8 0.4\\n")
    >>> names, draws.tolist()
    (('irreducible', 'data_exponent'), [[1.7, 0.3], [1.8, 0.4]])
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if not lines:
        return (), np.empty((0, 0))
    names = tuple(lines[0])
    for number, cells in enumerate(lines[1:], start=1):
        if len(cells) != len(names):
            raise ValueError(f"draw {number} has {len(cells)} numbers for {len(names)} constants")
    try:
        values = np.array(lines[1:], dtype=np.float64).reshape(-1, len(names))
    except ValueError as error:
        raise ValueError(f"draws are numbers: {error}") from None
    if not np.isfinite(values).all():
        raise ValueError("draws are finite numbers")
    return names, values


def _table_of_draws(text: str) -> str:
    parsed_draws(text)
    return text


JointDraws = Annotated[str, AfterValidator(_table_of_draws)]
"""A line with the names of constants, then a line of numbers for each draw."""


class FittedData(Section):
    """The data of a fit."""

    file: Text
    """Name of the table."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Hash of its bytes."""
    rows: Count
    """Rows that were used."""
    left_out: Count = 0
    """Rows that the user left out."""


class Estimate(Section):
    """Constants and how well they are known."""

    values: dict[str, Number]
    """Constants by name."""
    fixed: tuple[str, ...] = ()
    """Constants that were given and not fitted."""
    standard_errors: dict[str, Number] = Field(default_factory=dict)
    """Standard deviation of the draws of each constant."""
    intervals: dict[str, tuple[Number, Number]] = Field(default_factory=dict)
    """95 % interval of each constant."""
    fitted_range: FittedSpan = FittedSpan()
    """What the data hold."""
    diagnostics: dict[str, float | int | str | None] = Field(default_factory=dict)
    """How well it fits."""
    draws: JointDraws = ""
    """Joint draws: constants are correlated, so intervals alone do not say what they give."""

    @model_validator(mode="after")
    def _of_the_constants(self) -> Estimate:
        for place in ("standard_errors", "intervals"):
            for name in getattr(self, place):
                if name not in self.values:
                    raise ValueError(f"{place} has {name}, which is not among the values")
        drawn = tuple(self.draws.split("\n", 1)[0].split())
        lacking = [name for name in drawn if name not in self.values]
        if lacking:
            raise ValueError(f"values lacks {', '.join(lacking)}, which draws has")
        if drawn and drawn != tuple(self.values):
            raise ValueError(f"draws are of {' '.join(drawn)}, not of the values in their order")
        return self


def only_these(found: set[str], *allowed: tuple[str, ...]) -> None:
    """Refuse values that are not just the constants of a law.

    Raises
    ------
    ValueError : with the constants that are missing, or that no such law has.
    """
    if not any(found == set(names) for names in allowed):
        missing = [name for name in allowed[0] if name not in found]
        known = {name for names in allowed for name in names}
        extra = sorted(found - known)
        told = [f"lacks {', '.join(missing)}"] if missing else []
        told += [f"has {', '.join(extra)}, which is no constant of it"] if extra else []
        raise ValueError("the law " + (" and ".join(told) or "needs both decays"))


def source_of(data: FittedData) -> str:
    """The data of a fit in one line."""
    return f"fitted to {data.rows} rows of {data.file}, sha256 {data.sha256[:12]}"
