"""What a command hands to a renderer: tables for people, records and data for machines."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any, TypeVar

from ds3opt.report.values import Value

T = TypeVar("T")


@dataclass(frozen=True)
class Column:
    """One column: its name for machines, its words for people, the dimension of its numbers."""

    name: str
    """With the SI unit where the name alone does not say it."""
    words: str
    dimension: str = "text"


@dataclass(frozen=True)
class Table:
    """Rows under one title."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    header: bool = True
    """Whether the words of the columns are shown."""
    footer: str = ""
    """A line under the rows."""

    def without_empty(self, keep: Sequence[str] = ()) -> Table:
        """The table without columns in which nothing stands."""
        kept = [
            i
            for i, column in enumerate(self.columns)
            if column.name in keep or any(row[i] is not None for row in self.rows)
        ]
        return replace(
            self,
            columns=tuple(self.columns[i] for i in kept),
            rows=tuple(tuple(row[i] for i in kept) for row in self.rows),
        )


@dataclass(frozen=True)
class Document:
    """One answer in every form it may be asked for."""

    title: str
    tables: tuple[Table, ...]
    """For table and markdown."""
    data: Mapping[str, Any]
    """For json and yaml."""
    records: Table = field(default_factory=lambda: Table("", (), ()))
    """For csv."""


def table_of(
    title: str, items: Sequence[T], *columns: tuple[Column, Callable[[T], Value]]
) -> Table:
    """One row for each item, one cell for each column."""
    return Table(
        title,
        tuple(column for column, _ in columns),
        tuple(tuple(cell(item) for _, cell in columns) for item in items),
    )


def plain(data: Any) -> Any:
    """Data in dicts, lists, str, bool, int, float and None, free of NaN and infinity.

    >>> plain({"a": (1, float("nan"))})
    {'a': [1, None]}
    """
    if isinstance(data, Mapping):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [plain(value) for value in data]
    if data is None or isinstance(data, (str, bool)):
        return data
    if isinstance(data, Integral):
        return int(data)
    if isinstance(data, Real):
        return float(data) if math.isfinite(data) else None
    return str(data)
