"""Rows of a CSV text, each cell with its place."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ds3opt.errors import Location, Problem, UsageError
from ds3opt.units import UnitError, parse_quantity

SPLIT_BY = {";": "semicolons", "\t": "tabs"}
"""What other tables have between cells."""
_LINE_END = re.compile("\r\n|\r|\n")


@dataclass(frozen=True)
class Record:
    """One row: its cells by column, its place."""

    cells: dict[str, str]
    source: str
    line: int
    text: str
    """The row as it is written."""
    order: tuple[str, ...]
    """Columns in the order of the file."""

    def filled(self, column: str) -> bool:
        """Whether a cell holds anything."""
        return bool(self.cells.get(column, "").strip())

    def word(self, column: str) -> str:
        """A cell's text; Problem, as a UsageError, where it is empty."""
        if not self.filled(column):
            raise UsageError(self.problem(column, "is empty"))
        return self.cells[column].strip()

    def number(
        self,
        column: str,
        *,
        least: float = 0.0,
        most: float = 1e15,
        dimension: str = "dimensionless",
    ) -> float:
        """A cell's number above `least` and up to `most`; NaN where it is empty.

        `dimension` is one of `units`, whose units the cell may have.

        Raises
        ------
        UsageError : with the place of the cell.
        """
        if not self.filled(column):
            return math.nan
        text = self.cells[column].strip()
        try:
            value = parse_quantity(text, dimension)
        except UnitError as error:
            raise UsageError(self.problem(column, error.message, error.hint)) from None
        if not least < value <= most:
            # just below 0 stands for 0 itself
            low = "at least 0" if -1e-100 < least < 0.0 else f"above {least:g}"
            message = f"must be {low} and at most {most:g}, not {text[:40]}"
            raise UsageError(self.problem(column, message))
        return value

    def required(
        self,
        column: str,
        *,
        least: float = 0.0,
        most: float = 1e15,
        dimension: str = "dimensionless",
    ) -> float:
        """A number that must not be missing."""
        self.word(column)
        return self.number(column, least=least, most=most, dimension=dimension)

    def problem(self, column: str, message: str, hint: str = "") -> Problem:
        """Something wrong with a cell, at its place."""
        place = Location(self.source, self.line, self._start(column), self.text)
        return Problem(message, path=column, hint=hint, location=place)

    def _start(self, column: str) -> int:
        """Where a cell begins in its line, counted from 1."""
        if column not in self.order:
            return 1
        begin, quoted, cell = 1, False, 0
        for position, character in enumerate(self.text, start=2):
            if cell == self.order.index(column):
                break
            if character == '"':
                quoted = not quoted
            elif character == "," and not quoted:
                cell, begin = cell + 1, position
        return begin


@dataclass(frozen=True)
class Header:
    """The names of the columns and where they stand."""

    columns: tuple[str, ...]
    place: Location


def read_records(text: str, source: str) -> tuple[Header, list[Record]]:
    """The header and every row that is not blank.

    Raises
    ------
    UsageError : no CSV, an empty text, a column that stands twice, a row of another length.
    """
    lines = _LINE_END.split(text)
    rows = _rows(text, source)
    first = next(rows, None)
    if first is None:
        raise UsageError(Problem("the file is empty", location=Location(source)))
    columns = tuple(name.strip() for name in first[1])
    header = Header(columns, Location(source, first[0], 1, lines[first[0] - 1]))
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise UsageError(Problem(f"column {twice[0]} stands twice", location=header.place))
    records = [
        _record(columns, cells, source, line, lines[line - 1])
        for line, cells in rows
        if any(cell.strip() for cell in cells)
    ]
    return header, records


def _rows(text: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Each row and the line it begins in."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begin = 1
    try:
        for cells in reader:
            if cells:
                yield begin, cells
            begin = reader.line_num + 1
    except csv.Error as error:
        place = Location(source, reader.line_num or 1, 1)
        raise UsageError(Problem(f"not CSV: {error}", location=place)) from None


def _record(
    columns: tuple[str, ...], cells: Sequence[str], source: str, line: int, text: str
) -> Record:
    found = Record(dict(zip(columns, cells, strict=False)), source, line, text, columns)
    if len(cells) != len(columns):
        message = f"{len(cells)} cells under a header of {len(columns)}"
        between = next((name for sign, name in SPLIT_BY.items() if sign in columns[0]), "")
        hint = (
            f"columns are split by commas here, not by {between}: save the table with commas"
            if between
            else ""
        )
        raise UsageError(Problem(message, hint=hint, location=Location(source, line, 1, text)))
    return found
