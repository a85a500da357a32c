"""Columns of a table by any of their usual names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ds3opt.errors import Problem, UsageError
from ds3opt.io.csv_records import SPLIT_BY, Header, Record, read_records

MOST_PROBLEMS = 20
"""Problems told of one file."""


@dataclass(frozen=True)
class Column:
    """What a column holds and what tables call it."""

    name: str
    """As it is meant."""
    also: tuple[str, ...] = ()
    """Other usual names."""
    dimension: str = "dimensionless"
    """One of `units`, or text."""
    least: float = 0.0
    """Numbers lie above it."""
    most: float = 1e30


@dataclass(frozen=True)
class Rows:
    """Rows of a table whose columns were found."""

    header: Header
    records: tuple[Record, ...]
    found: Mapping[str, str]
    """Name in the table of each column that is there."""

    def has(self, name: str) -> bool:
        """Whether the table has a column."""
        return name in self.found

    def words(self, column: Column) -> list[str]:
        """A column of text; an empty cell is an empty text."""
        return [one.cells.get(self.found[column.name], "").strip() for one in self.records]

    def numbers(self, column: Column, *, empty: float | None = None) -> list[float]:
        """A column of numbers; `empty` stands for an empty cell, which is refused without it.

        Raises
        ------
        UsageError : with the place of every cell that holds no such number.
        """
        name = self.found[column.name]
        values: list[float] = []
        problems: list[Problem] = []
        for record in self.records:
            if empty is not None and not record.filled(name):
                values.append(empty)
                continue
            try:
                value = record.required(
                    name, least=column.least, most=column.most, dimension=column.dimension
                )
            except UsageError as error:
                problems += error.problems
            else:
                values.append(value)
        if problems:
            raise UsageError(*problems[:MOST_PROBLEMS])
        return values

    def problem(self, row: int, column: str, message: str, hint: str = "") -> Problem:
        """Something wrong with a cell, at its place."""
        return self.records[row].problem(self.found[column], message, hint)


def read_rows(
    text: str, source: str, columns: Sequence[Column], called: Mapping[str, str] | None = None
) -> Rows:
    """Rows of a CSV text, and which of its columns are which.

    Parameters
    ----------
    columns : those that are looked for; which of them must be there, the caller knows.
    called : name in the table of a column, where the user has told it.

    Raises
    ------
    UsageError : no CSV, no rows, a column that two names fit, or a told name that is not there.
    """
    header, records = read_records(text, source)
    if not records:
        raise UsageError(Problem("there is a header but no row", location=header.place))
    found: dict[str, str] = {}
    for column in columns:
        told = (called or {}).get(column.name)
        if told is not None:
            if told not in header.columns:
                raise UsageError(_missing(header, told))
            found[column.name] = told
            continue
        usual = {plain_name(name) for name in (column.name, *column.also)}
        fitting = [name for name in header.columns if plain_name(name) in usual]
        exact = [name for name in fitting if name == column.name]
        if len(fitting) > 1 and not exact:
            message = f"{' and '.join(fitting)} may both be {column.name}"
            hint = f"say which: --column {column.name}={_quoted(fitting[0])}"
            if called is None:
                hint = f"rename one, or call it {column.name}"
            raise UsageError(Problem(message, hint=hint, location=header.place))
        if fitting:
            found[column.name] = (exact or fitting)[0]
    return Rows(header, tuple(records), found)


def lacking(rows: Rows, column: Column, *, told: bool = True) -> Problem:
    """A column that must be there and is not.

    Parameters
    ----------
    told : whether the user can tell which column it is.
    """
    message = f"there is no column {column.name}"
    between = next((name for sign, name in SPLIT_BY.items() if sign in rows.header.columns[0]), "")
    if len(rows.header.columns) == 1 and between:
        hint = f"columns are split by commas here, not by {between}: save the table with commas"
        return Problem(message, hint=hint, location=rows.header.place)
    names = ", ".join((column.name, *column.also))
    near = difflib.get_close_matches(column.name, rows.header.columns, n=1, cutoff=0.5)
    which = _quoted(near[0]) if near else "HEADER"
    hint = f"usual names are {names}"
    if told:
        hint += f"; or say which: --column {column.name}={which}"
    elif near:
        hint += f"; rename {which}, if it is that"
    return Problem(message, hint=hint, location=rows.header.place)


def _missing(header: Header, told: str) -> Problem:
    near = difflib.get_close_matches(told, header.columns, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "there are " + ", ".join(header.columns)
    return Problem(f"no column is called {told!r}", hint=hint, location=header.place)


def plain_name(name: str) -> str:
    """A heading as it is compared: small letters, digits and underscores.

    >>> plain_name("pass@k (%)")
    'pass_k'
    """
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name
