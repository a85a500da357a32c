"""Numbers that are not known exactly: how they are written, and what a scenario keeps of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, WithJsonSchema, model_validator
from scipy.special import expit, logit, ndtri

from ds3opt.laws._types import FloatArray
from ds3opt.laws.distributions import (
    lognormal_scale,
    split_logit_normal,
    split_lognormal,
    split_normal,
    triangular,
)
from ds3opt.schema.fitted import parsed_draws
from ds3opt.schema.number_keys import Domain, KeyPath, NumberKey
from ds3opt.schema.quantities import ContradictionError, PositiveFraction, Section

Distribution = Literal["normal", "lognormal", "logit_normal", "uniform", "triangular"]
Quantity = Annotated[Any, WithJsonSchema({"type": ["number", "string"]})]
"""A number or text with a unit, of whatever the key holds."""
SPREADING = ("interval", "standard_error", "distribution", "draws")
"""Keys that make a mapping an uncertain number."""
_LEVEL = 0.95
_SAME = 1e-8
"""Relative difference below which printed draws of a constant that was held are the same."""


class Uncertain(Section):
    """A number that is not known exactly, in place of any number but those that are settings."""

    value: Quantity | None = None
    """The number that all commands take but those that draw; left out: the median."""
    interval: tuple[Quantity, Quantity] | None = None
    """Ends of an interval: quantiles, half of what is left out on each side."""
    level: Annotated[PositiveFraction, Field(lt=1)] = _LEVEL
    """Probability of the interval."""
    standard_error: Quantity | None = None
    """Standard deviation, beside a value."""
    distribution: Distribution | None = None
    """Left out: logit_normal for keys from 0 to 1, lognormal for keys from 0 up, normal for others
    and where a number given is the end of what the key accepts."""
    from_: Quantity | None = Field(default=None, alias="from")
    """Lowest value of a uniform or triangular distribution."""
    to: Quantity | None = None
    """Highest value of a uniform or triangular distribution."""
    draws: Annotated[str, Field(max_length=2000)] | tuple[Quantity, ...] | None = None
    """Equally likely values: a list, or a column of a CSV file as `file.csv#column`."""
    joint: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    """Name that lists of draws share whose rows belong together; columns of one file always do."""

    @model_validator(mode="after")
    def _one_form(self) -> Uncertain:
        forms = [n for n in ("interval", "standard_error", "draws") if getattr(self, n) is not None]
        ranged = self.distribution in ("uniform", "triangular")
        ends = [
            key for key in ("from", "to") if getattr(self, _ATTRIBUTE.get(key, key)) is not None
        ]
        if len(forms) > 1:
            raise ContradictionError(forms[1], f"give {forms[0]} or {forms[1]}, not both")
        if ranged and forms:
            raise ContradictionError(
                forms[0],
                f"a {self.distribution} distribution has no {forms[0]}",
                "give its ends: from and to",
            )
        if ranged and len(ends) < 2:
            lacking = "to" if ends == ["from"] else "from" if ends else "from and to"
            raise ContradictionError("distribution", f"{lacking} missing: where does it end?")
        if ends and not ranged:
            raise ContradictionError(
                ends[0],
                f"{ends[0]} goes with distribution: uniform or triangular",
                "or give an interval: [low, high]",
            )
        if not ranged and not forms:
            raise ContradictionError(
                "distribution", "its spread is missing", "give an interval or a standard_error"
            )
        if self.standard_error is not None and self.value is None:
            raise ContradictionError("standard_error", "a standard_error needs a value beside it")
        if "level" in self.model_fields_set and self.interval is None:
            raise ContradictionError("level", "level goes with an interval")
        if self.joint is not None and self.draws is None:
            raise ContradictionError("joint", "joint goes with draws")
        if self.draws is not None and self.distribution is not None:
            raise ContradictionError("distribution", "draws are a distribution by themselves")
        return self


_ATTRIBUTE = {"from": "from_"}


@dataclass(frozen=True)
class UncertainNumber:
    """One number of a scenario that is not known exactly."""

    path: KeyPath
    """As the scenario writes it."""
    places: tuple[KeyPath, ...]
    """Where the number stands in the validated scenario."""
    dimension: str
    domain: Domain
    value: float
    """The point value, in base units."""
    source: str
    """Where its spread is from, in words."""
    form: Distribution | Literal["draws"]
    spread: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Low, middle and high: quantiles, or the ends and the peak of a range."""
    level: float = _LEVEL
    draws: tuple[float, ...] = ()
    """Equally likely values."""
    group: str = ""
    """Draws of one group share their rows."""

    def quantile(self, probability: FloatArray) -> FloatArray:
        """Values of a distribution at probabilities in (0, 1).

        A value beyond a closed end of what the key accepts is put on that end, which moves no
        quantile that lies inside.
        """
        low, middle, high = self.spread
        if self.form == "uniform":
            found = low + probability * (high - low)
        elif self.form == "triangular":
            found = triangular(probability, low, middle, high)
        else:
            found = _QUANTILES[self.form](probability, low, middle, high, self.level)
        closed = self.domain
        return np.clip(
            found,
            -math.inf if closed.low_open else closed.low,
            math.inf if closed.high_open else closed.high,
        )


_QUANTILES: dict[str, Any] = {
    "normal": split_normal,
    "lognormal": split_lognormal,
    "logit_normal": split_logit_normal,
}


def uncertain_number(
    written: Uncertain,
    key: NumberKey,
    path: KeyPath,
    places: tuple[KeyPath, ...],
    listed: Sequence[float] = (),
    file: str = "",
) -> UncertainNumber | None:
    """What a scenario keeps of an uncertain number; None where nothing is uncertain about it.

    Parameters
    ----------
    listed, file : the values of a file that `draws` names, in base units.

    Raises
    ------
    ContradictionError : numbers that the key does not accept, an interval that is upside down or
        leaves the value out, a distribution that cannot hold them.
    """
    point = None if written.value is None else _read(written.value, key, "value")
    if point is not None and key.domain.whole and point != round(point):
        raise ContradictionError("value", f"a whole number is expected, not {point:g}")

    def found(
        median: float,
        source: str,
        form: Distribution | Literal["draws"],
        spread: tuple[float, float, float] = (0.0, 0.0, 0.0),
        **more: Any,
    ) -> UncertainNumber:
        value = float(key.domain.rounded(np.array(median))) if point is None else point
        dimension, domain = key.dimension, key.domain
        return UncertainNumber(path, places, dimension, domain, value, source, form, spread, **more)

    if written.draws is not None:
        draws = tuple(listed) if file else _listed(written.draws, key)
        if len(draws) < 2:
            raise ContradictionError("draws", f"at least 2 draws are needed, not {len(draws)}")
        group = f"draws named {written.joint}" if written.joint else f"draws of {file}"
        source = f"{len(draws)} draws" + (f" of {file}" if file else "")
        joint = group if written.joint or file else ""
        one = found(float(np.median(draws)), source, "draws", draws=draws, group=joint)
        return one if len(set(draws)) > 1 else None
    if written.distribution in ("uniform", "triangular"):
        ends = _ends(written.from_, written.to, ("from",), ("to",), point, key)
        peak = 0.5 * sum(ends) if point is None else point
        shape = written.distribution
        return found(peak, shape, shape, (ends[0], peak, ends[1])) if ends[0] < ends[1] else None
    if written.interval is not None:
        first, last = written.interval
        ends = _ends(first, last, ("interval", 0), ("interval", 1), point, key)
        form = _form(written, key.domain, (*ends, point))
        middle = _between(form, *ends) if point is None else point
        spread = (ends[0], middle, ends[1])
        source, level = f"{100 * written.level:g} % interval", written.level
    else:
        assert point is not None
        error = _read(written.standard_error, key, "standard_error", bounded=False)
        if error < 0.0:
            raise ContradictionError("standard_error", f"must be at least 0, not {error:g}")
        form = _form(written, key.domain, (point,))
        middle, level, source = point, _LEVEL, "standard error"
        spread = _around(form, point, error)
        if form == "logit_normal" and not 0.0 < spread[0] <= spread[2] < 1.0:
            raise ContradictionError(
                "standard_error", f"{error:g} is too large for a number between 0 and 1"
            )
    source += f", {form.replace('_', '-')}"
    if not spread[0] < spread[2]:
        return None
    return found(middle, source, form, spread, level=level)


def _read(value: object, key: NumberKey, *place: str | int, bounded: bool = True) -> float:
    try:
        number = float(key.read(value))
    except ValueError as error:
        message, hint = getattr(error, "message", str(error)), getattr(error, "hint", "")
        raise ContradictionError(place, message, hint) from None
    wrong = key.domain.misfit(number) if bounded else ""
    if wrong:
        raise ContradictionError(place, wrong)
    return number


def _listed(written: object, key: NumberKey) -> tuple[float, ...]:
    assert isinstance(written, tuple)
    return tuple(_read(one, key, "draws", index) for index, one in enumerate(written))


def _ends(
    low: object,
    high: object,
    at_low: tuple[str | int, ...],
    at_high: tuple[str | int, ...],
    point: float | None,
    key: NumberKey,
) -> tuple[float, float]:
    first, last = _read(low, key, *at_low), _read(high, key, *at_high)
    words = " to ".join(f"{end:g}" for end in (first, last))
    if first > last:
        raise ContradictionError(at_low[:1], f"upside down: {words}", "write the lower end first")
    if point is not None and not first <= point <= last:
        raise ContradictionError(
            "value", f"{point:g} lies outside of {words}", "the value is one of those in between"
        )
    return first, last


def _form(
    written: Uncertain, domain: Domain, given: Sequence[float | None]
) -> Literal["normal", "lognormal", "logit_normal"]:
    numbers = [number for number in given if number is not None]
    above, below = min(numbers) > 0.0, max(numbers) < 1.0
    chosen = written.distribution
    if chosen is None:
        if domain.low >= 0.0 and domain.high <= 1.0:
            return "logit_normal" if above and below else "normal"
        return "lognormal" if domain.low >= 0.0 and above else "normal"
    assert chosen in ("normal", "lognormal", "logit_normal")
    if chosen == "lognormal" and not above:
        raise ContradictionError(
            "distribution", f"a lognormal number is above 0: it cannot be {min(numbers):g}"
        )
    if chosen == "logit_normal" and not (above and below):
        wrong = min(numbers) if not above else max(numbers)
        raise ContradictionError(
            "distribution", f"a logit-normal number is between 0 and 1: it cannot be {wrong:g}"
        )
    return chosen


def _between(form: str, low: float, high: float) -> float:
    """The median that makes the distribution an ordinary one, with one scale on both sides."""
    if form == "lognormal":
        return math.sqrt(low) * math.sqrt(high)
    if form == "logit_normal":
        return float(expit(0.5 * (logit(low) + logit(high))))
    return 0.5 * (low + high)


def _around(form: str, point: float, error: float) -> tuple[float, float, float]:
    """Quantiles of the distribution with a median and a standard deviation.

    Exactly for normal and lognormal; of a logit-normal distribution by the slope of the log odds.
    """
    z = float(ndtri(0.5 * (1.0 + _LEVEL)))
    if form == "lognormal":
        factor = math.exp(z * float(lognormal_scale(error / point)))
        return point / factor, point, point * factor
    if form == "logit_normal":
        width = z * error / (point * (1.0 - point))
        odds = float(logit(point))
        return float(expit(odds - width)), point, float(expit(odds + width))
    return point - z * error, point, point + z * error


def table_group(text: str) -> str:
    """What tells a table of joint draws from others: sections with the same one share its rows."""
    return f"table {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def of_table(
    text: str,
    name: str,
    key: NumberKey,
    path: KeyPath,
    places: tuple[KeyPath, ...],
    source: str,
    value: float | None = None,
) -> Iterator[UncertainNumber]:
    """One constant of a table of joint draws; none where it never varies.

    Parameters
    ----------
    text : of the table, see `parsed_draws`.
    name : the constant's column.
    source : what the draws are of, in words.
    value : the point value; left out: the median.
    """
    names, table = parsed_draws(text)
    if name not in names or not len(table):
        return
    column = table[:, names.index(name)]
    if np.ptp(column) <= _SAME * np.max(np.abs(column)):
        return
    yield UncertainNumber(
        path,
        places,
        key.dimension,
        key.domain,
        float(np.median(column)) if value is None else value,
        f"{len(table)} draws of {source}",
        "draws",
        draws=tuple(column.tolist()),
        group=table_group(text),
    )
