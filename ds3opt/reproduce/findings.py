"""What a reproduction is: what was plotted, how to draw it, and findings judged by numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Verdict(Enum):
    """How a claim of a paper fares; the value is the words."""

    REPRODUCED = "reproduced"
    PARTLY = "partly"
    NOT_FROM_TEXT = "not reproducible from the text"
    PAPER_WRONG = "the paper is wrong"


@dataclass(frozen=True)
class Finding:
    """One claim of a paper beside what the laws give."""

    claim: str
    """What the paper says, and where if not in the figure itself."""
    result: str
    """What we get, in numbers."""
    verdict: Verdict


@dataclass(frozen=True)
class Block:
    """Rows of the table of one figure that share their columns, such as one curve."""

    columns: Mapping[str, ArrayLike | str]
    """Numbers or text by column, broadcast against each other; units are in the names."""

    def rows(self) -> list[dict[str, object]]:
        """One mapping for each row."""
        arrays = np.broadcast_arrays(*(np.asarray(value) for value in self.columns.values()))
        cells = [array.ravel().tolist() for array in arrays]
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*cells, strict=True)]


@dataclass(frozen=True)
class Reproduction:
    """One figure or table, computed again."""

    blocks: Sequence[Block]
    """What is plotted, for the CSV file."""
    findings: Sequence[Finding]
    """The figure's main claim first."""
    draw: Callable[[Figure], None]
    size_inches: tuple[float, float] = (6.4, 4.2)

    @property
    def verdict(self) -> Verdict:
        """That of the main claim; the others stand beside it."""
        return self.findings[0].verdict

    def count(self, verdict: Verdict) -> int:
        """Claims with a verdict."""
        return sum(finding.verdict is verdict for finding in self.findings)

    def csv(self) -> str:
        """The numbers that are plotted, ten digits each, one row per point."""
        rows = [row for block in self.blocks for row in block.rows()]
        names = list(dict.fromkeys(name for row in rows for name in row))
        stream = io.StringIO()
        writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
        return stream.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.10g}"
    return value


# -- judging --------------------------------------------------------------------------------


def check(
    claim: str, holds: bool | np.bool_, result: str, otherwise: Verdict = Verdict.PARTLY
) -> Finding:
    """A claim that holds or does not, as code has found; `otherwise` is the verdict if not."""
    return Finding(claim, result, Verdict.REPRODUCED if holds else otherwise)


def statement(claim: str, holds: bool | np.bool_, result: str) -> Finding:
    """A claim that follows from the paper's own definitions, so that it is wrong if not so."""
    return check(claim, holds, result, Verdict.PAPER_WRONG)


def agree(
    claim: str,
    published: ArrayLike,
    computed: ArrayLike,
    *,
    within: float,
    unit: str = "",
    relative: bool = False,
    otherwise: Verdict = Verdict.PARTLY,
) -> Finding:
    """Published numbers beside ours: reproduced if none differs by more than `within`.

    Parameters
    ----------
    published, computed : one number, or as many of one as of the other.
    within : greatest difference that rounding in print explains; a fraction where `relative`.
    """
    theirs, ours = np.broadcast_arrays(
        np.asarray(published, np.float64), np.asarray(computed, np.float64)
    )
    apart = np.abs(ours - theirs) / (np.abs(theirs) if relative else 1.0)
    worst = float(np.max(apart))
    away = percent(worst) if relative else f"{number(worst)}{_spaced(unit)}"
    if theirs.size == 1:
        result = f"{number(float(ours), 5)}{_spaced(unit)}, {away} away"
    else:
        result = f"{theirs.size} values, the farthest {away} away"
    return check(claim, worst <= within, result, otherwise)


def missing(claim: str, result: str) -> Finding:
    """A claim whose numbers are in pixels or unpublished; what can be said instead."""
    return Finding(claim, result, Verdict.NOT_FROM_TEXT)


# -- numbers in sentences -------------------------------------------------------------------


def number(value: float, digits: int = 3) -> str:
    """A number with so many digits, its exponent plain: ``1.2e+05`` is written ``1.2e5``.

    >>> number(123456.0), number(0.25), number(1e-12)
    ('1.23e5', '0.25', '1e-12')
    """
    text = f"{float(value):.{digits}g}"
    return text.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")


def percent(fraction: float, digits: int = 2) -> str:
    """A fraction in percent.

    >>> percent(0.0123)
    '1.2 %'
    """
    value = 100.0 * float(fraction)
    return f"{value:,.0f} %" if abs(value) >= 100.0 else f"{number(value, digits)} %"


def rounding(difference: float) -> str:
    """How closely two numbers agree, in words that are the same on every machine.

    >>> rounding(3e-15), rounding(0.002)
    ('to rounding', 'to 0.002')
    """
    return "to rounding" if difference < 1e-9 else f"to {number(difference, 1)}"


def _spaced(unit: str) -> str:
    return f" {unit}" if unit else ""


def log_slope(x: ArrayLike, y: ArrayLike) -> tuple[float, float, float]:
    """Slope, intercept and R2 of the least-squares line through ``log10 y`` over ``log10 x``."""
    u, v = np.log10(np.asarray(x, np.float64)), np.log10(np.asarray(y, np.float64))
    return linear_fit(u, v)


def linear_fit(x: ArrayLike, y: ArrayLike) -> tuple[float, float, float]:
    """Slope, intercept and R2 of the least-squares line through points."""
    u, v = np.asarray(x, np.float64), np.asarray(y, np.float64)
    du, dv = u - u.mean(), v - v.mean()
    slope = float(du @ dv / (du @ du))
    spread = float(dv @ dv)
    residual = dv - slope * du
    fit = 1.0 - float(residual @ residual) / spread if spread > 0.0 else 1.0
    return slope, float(v.mean() - slope * u.mean()), fit


def is_rising(values: NDArray[np.float64], slack: float = 0.0) -> bool:
    """Whether no value lies below its predecessor by more than `slack`."""
    return bool(np.all(np.diff(values) >= -slack))
