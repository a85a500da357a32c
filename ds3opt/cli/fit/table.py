"""The table of a fit: read, rows left out, a group chosen, its hash taken."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ds3opt.errors import Location, Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.fit.doubts import Doubt
    from ds3opt.io.columns import Column, Rows
    from ds3opt.report.document import Table
    from ds3opt.schema.fitted import FittedData

_SHOWN = 5
"""Lines that a message names."""


def stem_of(name: str) -> str:
    """What a law may be called after a file.

    >>> stem_of("logs/runs.csv"), stem_of("<stdin>")
    ('runs', 'stdin')
    """
    return "stdin" if name.startswith("<") else Path(name).stem


def file_of(name: str) -> str:
    """A file as a law file names it."""
    return name if name.startswith("<") else Path(name).name


class Source(Protocol):
    """What a fit was given: a table, or a log."""

    @property
    def name(self) -> str:
        """As the user wrote it."""

    @property
    def stem(self) -> str:
        """As a law may be called."""

    def data(self) -> FittedData:
        """What a law file says of it."""

    def where(self, rows: Sequence[int]) -> str:
        """Places of some rows."""

    def line(self, row: int) -> int:
        """Line of a row."""

    def problem(self, doubt: Doubt) -> Problem:
        """A doubt as a problem at its place."""


@dataclass(frozen=True)
class Given:
    """Rows of a user's table that take part in a fit."""

    rows: Rows
    name: str
    """Of the file, as the user wrote it."""
    sha256: str
    read: int
    """Rows that the table has."""

    def take(self, chosen: Iterable[int]) -> Given:
        """The rows at these positions."""
        kept = tuple(self.rows.records[int(i)] for i in chosen)
        return replace(self, rows=replace(self.rows, records=kept))

    @property
    def stem(self) -> str:
        """The file's name as a law may be called."""
        return stem_of(self.name)

    def data(self) -> FittedData:
        """What a law file says of the table."""
        from ds3opt.schema.fitted import FittedData

        used = len(self.rows.records)
        return FittedData(
            file=file_of(self.name), sha256=self.sha256, rows=used, left_out=self.read - used
        )

    def where(self, rows: Sequence[int]) -> str:
        """Places of some rows: ``runs.csv:2, 5 and 3 more``."""
        numbers = [str(self.rows.records[i].line) for i in rows]
        text = ", ".join(numbers[:_SHOWN])
        more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
        return f"{self.name}:{text}{more}"

    def line(self, row: int) -> int:
        """Line of a row."""
        return self.rows.records[row].line

    def problem(self, doubt: Doubt) -> Problem:
        """A doubt as a problem at its first row, or at the table."""
        if not doubt.rows:
            return Problem(doubt.message, hint=doubt.hint, location=Location(self.name))
        first = self.rows.records[doubt.rows[0]]
        place = Location(first.source, first.line, 1, first.text)
        others = f" ({self.where(doubt.rows)})" if len(doubt.rows) > 1 else ""
        return Problem(doubt.message + others, hint=doubt.hint, location=place)


def read_table(
    path: str,
    columns: Sequence[Column],
    *,
    called: Mapping[str, str],
    drop: set[int],
    group: str | None = None,
) -> Given:
    """Rows of a table, without those of the lines in `drop` and of other groups than `group`.

    Raises
    ------
    UsageError : a file or rows that cannot be used; a line to drop that holds no row; several
        groups of which none is chosen.
    """
    from ds3opt.io.columns import read_rows
    from ds3opt.io.files import read_text

    text, name = read_text(path)
    rows = read_rows(text, name, columns, called)
    given = Given(rows, name, _hash(path, text), len(rows.records))
    unknown = drop - {record.line for record in rows.records}
    if unknown:
        message = f"--drop: line {min(unknown)} of {name} holds no row"
        raise UsageError(Problem(message, hint=f"rows begin at line {rows.records[0].line}"))
    given = given.take([i for i, one in enumerate(rows.records) if one.line not in drop])
    return _of_group(given, group)


def sha256_of(path: str) -> str:
    """Of a file that has been read."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _hash(path: str, text: str) -> str:
    """SHA-256 of the file itself; of the text where it came through a pipe."""
    try:
        data = Path(path).read_bytes() if path != "-" else text.encode()
    except OSError:
        data = text.encode()
    return hashlib.sha256(data).hexdigest()


def _of_group(given: Given, group: str | None) -> Given:
    if not given.rows.has("group"):
        if group is not None:
            place = given.rows.header.place
            raise UsageError(Problem("--group: there is no column group", location=place))
        return given
    header = given.rows.found["group"]
    names = [one.cells.get(header, "").strip() for one in given.rows.records]
    listed = list(dict.fromkeys(names))
    if group is None:
        if len(listed) < 2:
            return given
        other = next(i for i, name in enumerate(names) if name != names[0])
        shown = ", ".join(repr(name) for name in listed[:_SHOWN])
        message = f"{len(listed)} groups are mixed in one table: {shown}"
        hint = f"a law holds for one: choose it with --group {listed[0] or 'NAME'}"
        raise UsageError(given.rows.problem(other, "group", message, hint))
    if group not in listed:
        hint = f"there are {', '.join(listed[:20])}"
        raise UsageError(Problem(f"--group: no row is of group {group!r}", hint=hint))
    return given.take([i for i, name in enumerate(names) if name == group])


def chosen(given: Given, column: str, name: str | None) -> Given:
    """Rows of one name of a column, such as one model; all where there is only one.

    Raises
    ------
    UsageError : several names of which none is chosen; a name that no row has.
    """
    if not given.rows.has(column):
        if name is not None:
            place = given.rows.header.place
            message = f"--{column}: there is no column {column}"
            raise UsageError(Problem(message, location=place))
        return given
    header = given.rows.found[column]
    names = [one.cells.get(header, "").strip() for one in given.rows.records]
    listed = list(dict.fromkeys(names))
    if name is None:
        if len(listed) < 2:
            return given
        other = next(i for i, one in enumerate(names) if one != names[0])
        shown = ", ".join(repr(one) for one in listed[:_SHOWN])
        more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
        message = f"{len(listed)} {column}s are mixed in one table: {shown}{more}"
        hint = f'choose one: --{column} "{listed[0] or "NAME"}"'
        raise UsageError(given.rows.problem(other, column, message, hint))
    if name not in listed:
        near = difflib.get_close_matches(name, listed, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(listed[:20])}"
        raise UsageError(Problem(f"--{column}: no row is of {column} {name!r}", hint=hint))
    return given.take([i for i, one in enumerate(names) if one == name])


def where(given: Given, settings: Sequence[str] | None) -> Given:
    """Rows whose cells are as told: ``--where metric=coverage``.

    Raises
    ------
    UsageError : another form; a column that is not there; no row left.
    """
    for text in settings or ():
        header, equals, wanted = text.partition("=")
        if not equals:
            raise UsageError(f"--where takes HEADER=VALUE, not {text!r}")
        place = given.rows.header.place
        if header not in given.rows.header.columns:
            near = difflib.get_close_matches(header, given.rows.header.columns, n=1)
            hint = f"did you mean {near[0]}?" if near else ""
            message = f"--where: there is no column {header}"
            raise UsageError(Problem(message, hint=hint, location=place))
        cells = [one.cells.get(header, "").strip() for one in given.rows.records]
        kept = [i for i, cell in enumerate(cells) if cell == wanted]
        if not kept:
            hint = f"there are {', '.join(list(dict.fromkeys(cells))[:10])}"
            raise UsageError(Problem(f"--where: no row has {header} {wanted!r}", hint=hint))
        given = given.take(kept)
    return given


def warnings_table(given: Source, doubts: Sequence[Doubt]) -> Table:
    """Doubts as a report shows them."""
    from ds3opt.report.document import Column, Table

    rows = []
    for doubt in doubts:
        where = f" ({given.where(doubt.rows)})" if doubt.rows else ""
        hint = f"; {doubt.hint}" if doubt.hint else ""
        rows.append((doubt.message + where + hint,))
    return Table("Warnings", (Column("message", ""),), tuple(rows), header=False)


def warnings_data(given: Source, doubts: Sequence[Doubt]) -> list[dict[str, object]]:
    """Doubts as machines read them."""
    return [
        {
            "code": doubt.code,
            "message": doubt.message,
            "lines": [given.line(i) for i in doubt.rows],
            "hint": doubt.hint,
        }
        for doubt in doubts
    ]
