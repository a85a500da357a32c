"""Measurements from a CSV file, each cell with its place."""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ds3opt.errors import Location, Problem, UsageError
from ds3opt.units import UnitError, parse_quantity

SERVING = ("model", "gpu", "num_gpus", "prec", "avg_batch", "avg_out")
"""Columns of a serving row, beside one of `SERVING_MEASURED`."""
MAY_BE_EMPTY = frozenset({"avg_batch"})
"""Columns whose cells may be empty: as many sequences as fit."""
SERVING_MEASURED = ("med_itl_ms", "tok_s", "J_per_tok")
TRAINING = ("gpu", "precision", "params", "seq_len", "MFU")
"""Columns that a training row needs."""
_LINE_END = re.compile("\r\n|\r|\n")
MOST_PROBLEMS = 20
"""Problems told of one file."""


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

    def number(self, column: str, *, least: float = 0.0, most: float = 1e15) -> float:
        """A cell's number above `least` and up to `most`; NaN where it is empty.

        Raises
        ------
        UsageError : with the place of the cell.
        """
        if not self.filled(column):
            return math.nan
        text = self.cells[column].strip()
        try:
            value = parse_quantity(text, "dimensionless")
        except UnitError as error:
            raise UsageError(self.problem(column, error.message)) from None
        if not least < value <= most:
            message = f"must be above {least:g} and at most {most:g}, not {text[:40]}"
            raise UsageError(self.problem(column, message))
        return value

    def required(self, column: str, **bounds: float) -> float:
        """A number that must not be missing."""
        self.word(column)
        return self.number(column, **bounds)

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


def read_measurements(text: str, source: str) -> tuple[list[Record], list[Record]]:
    """Serving rows and training rows of a CSV text.

    A row with MFU is one of training; any other one of serving. Further columns are ignored.

    Raises
    ------
    UsageError : no CSV, no rows, or columns missing; with places.
    """
    lines = _LINE_END.split(text)
    rows = _rows(text, source)
    header = next(rows, None)
    if header is None:
        raise UsageError(Problem("the file is empty", location=Location(source)))
    columns = tuple(name.strip() for name in header[1])
    _check_header(columns, Location(source, header[0], 1, lines[header[0] - 1]))
    records = [
        _record(columns, cells, source, line, lines[line - 1])
        for line, cells in rows
        if any(cell.strip() for cell in cells)
    ]
    if not records:
        raise UsageError(Problem("there is a header but no row", location=Location(source)))
    training = [one for one in records if one.filled("MFU")]
    serving = [one for one in records if not one.filled("MFU")]
    problems = [
        one.problem(name, "is empty")
        for rows_, names in ((serving, SERVING), (training, TRAINING))
        for one in rows_
        for name in names
        if name not in MAY_BE_EMPTY and not one.filled(name)
    ]
    problems += [
        one.problem(SERVING_MEASURED[0], f"a row needs one of {', '.join(SERVING_MEASURED)}")
        for one in serving
        if not any(one.filled(name) for name in SERVING_MEASURED)
    ]
    if problems:
        raise UsageError(*problems[:MOST_PROBLEMS])
    return serving, training


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
        raise UsageError(Problem(message, location=Location(source, line, 1, text)))
    return found


def _check_header(columns: tuple[str, ...], place: Location) -> None:
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise UsageError(Problem(f"column {twice[0]} stands twice", location=place))
    lacking = {
        kind: [name for name in names if name not in columns]
        for kind, names in (("serving", SERVING), ("training", TRAINING))
    }
    measured = any(name in columns for name in SERVING_MEASURED)
    if (not lacking["serving"] and measured) or not lacking["training"]:
        return
    kind = "training" if "MFU" in columns else "serving"
    missing = lacking[kind] or [f"one of {', '.join(SERVING_MEASURED)}"]
    near = [difflib.get_close_matches(name, columns, n=1) for name in missing]
    spelt = [f"{name} for {found[0]}" for name, found in zip(missing, near, strict=True) if found]
    hint = f"did you mean {', '.join(spelt)}?" if spelt else ""
    message = f"not a table of measurements: {kind} lacks column {', '.join(missing)}"
    raise UsageError(Problem(message, hint=hint, location=place))
