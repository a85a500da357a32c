"""What every fit prints: constants with their uncertainty, and the law file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ds3opt.cli.view import View

if TYPE_CHECKING:
    from ds3opt.fit.bootstrap import Spread
    from ds3opt.laws._types import FloatArray
    from ds3opt.report.document import Table
    from ds3opt.report.values import Value
    from ds3opt.schema.law_file import LawFile

FIXED = "given"


def spreads(names: Sequence[str], draws: FloatArray) -> dict[str, Spread | None]:
    """Uncertainty of each constant."""
    from ds3opt.fit.bootstrap import spread

    return {name: spread(draws[:, i]) for i, name in enumerate(names)}


def constants_table(
    title: str,
    values: Mapping[str, float],
    known: Mapping[str, Spread | None],
    fixed: Sequence[str] = (),
    symbols: Mapping[str, str] | None = None,
) -> Table:
    """Value, standard error and interval of each constant, for people.

    A value is shown to the second digit of its standard error.
    """
    rows = []
    for name, value in values.items():
        found = None if name in fixed else known.get(name)
        rows.append(
            (
                name,
                (symbols or {}).get(name),
                _digits(value, found),
                FIXED if name in fixed else None if found is None else found.standard_error,
                None if found is None else found.low,
                None if found is None else found.high,
            )
        )
    return _columns(title, rows, with_symbol=True).without_empty(keep=("value",))


def constants_records(
    values: Mapping[str, float], known: Mapping[str, Spread | None], fixed: Sequence[str] = ()
) -> Table:
    """The same for the CSV, every column in its place."""
    rows = []
    for name, value in values.items():
        found = None if name in fixed else known.get(name)
        ends = (None,) * 3 if found is None else (found.standard_error, found.low, found.high)
        rows.append((name, value, *ends))
    return _columns("", rows, with_symbol=False)


def _columns(title: str, rows: Sequence[tuple[Value, ...]], *, with_symbol: bool) -> Table:
    from ds3opt.report.document import Column, Table

    columns = [
        Column("constant", "constant"),
        Column("symbol", ""),
        Column("value", "value", "number"),
        Column("standard_error", "standard error", "number"),
        Column("low", "95 % from", "number"),
        Column("high", "to", "number"),
    ]
    if not with_symbol:
        del columns[1]
    return Table(title, tuple(columns), tuple(rows))


def _digits(value: float, found: Spread | None) -> str:
    """A constant with as many digits as are known."""
    from ds3opt.units import format_number

    if found is None or not 0.0 < found.standard_error < abs(value):
        return format_number(value, 6)
    return format_number(value, 2 + math.floor(math.log10(abs(value) / found.standard_error) + 0.5))


def estimate(
    values: Mapping[str, float],
    known: Mapping[str, Spread | None],
    fixed: Sequence[str],
    draws: FloatArray,
) -> dict[str, Any]:
    """Values, errors, intervals and draws as a law file has them."""
    from ds3opt.io.law_files import draws_text

    told = {name: one for name, one in known.items() if one is not None and name not in fixed}
    return {
        "values": dict(values),
        "fixed": tuple(fixed),
        "standard_errors": {
            name: one.standard_error
            for name, one in told.items()
            if math.isfinite(one.standard_error)
        },
        "intervals": {name: (one.low, one.high) for name, one in told.items()},
        "draws": draws_text(list(values), draws),
    }


def check_law_output(view: View, law_file: str | None) -> None:
    """Refuse a law file that could not be written, before any work is done."""
    replace(view, output=law_file).check_output()


def write_law(view: View, found: LawFile, law_file: str | None, command: str) -> bool:
    """Write the law file that was asked for; True if it went to standard output."""
    from ds3opt.io.law_files import law_file_text

    if law_file is None:
        return False
    text = law_file_text(found, command)
    replace(view, output=law_file).emit_text(text)
    if law_file != "-":
        view.say(f"ds3opt: wrote {law_file}")
    return law_file == "-"
