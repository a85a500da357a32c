"""Plain text for a terminal or a file: aligned columns, no boxes, never cut."""

from __future__ import annotations

import textwrap
import unicodedata

from ds3opt.report.document import Document, Table
from ds3opt.report.values import LEFT, shown

_BOLD, _DIM, _YELLOW, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[33m", "\x1b[0m"
_GAP = "  "
WIDTH = 120
"""Columns beyond which a sentence goes on in the next line; numbers are never cut or moved."""
_LEAST = 48
"""Columns that a sentence gets, however wide the columns before it are."""


def render_table(document: Document, precision: int = 3, *, color: bool = False) -> str:
    """The title, then each table under its own."""
    title = "\n".join(_wrapped(_one_line(document.title), WIDTH)) if document.title else ""
    blocks = [_styled(title, _BOLD, color)] if title else []
    blocks += [_block(table, precision, color=color) for table in document.tables if table.rows]
    return "\n\n".join(blocks) + "\n"


def _block(table: Table, precision: int, *, color: bool) -> str:
    cells = cells_of(table, precision)
    header = [column.words for column in table.columns]
    rows = [header, *cells] if table.header else cells
    widths = [max(cells_wide(row[i]) for row in rows) for i in range(len(header))]
    left = aligned_left(table)
    before = sum(len(_GAP) + width for width in widths[:-1]) + len(_GAP)
    room = max(WIDTH - before, _LEAST) if left[-1] else sum(widths)
    lines = [
        _GAP
        + _GAP.join(_padded(cell, widths[i], left=left[i]) for i, cell in enumerate(line)).rstrip()
        for row in rows
        for line in _lines(row, room)
    ]
    if table.header:
        lines[0] = _styled(lines[0], _DIM, color)
    if table.footer:
        lines += [_GAP + line for line in _wrapped(_one_line(table.footer), WIDTH - len(_GAP))]
    title = _styled(table.title, _YELLOW if table.title == "Warnings" else _BOLD, color)
    return "\n".join([title, *lines] if table.title else lines)


def _lines(row: list[str], room: int) -> list[list[str]]:
    """A row whose last cell, where it is a long text, goes on below itself."""
    first, *others = _wrapped(row[-1], room)
    blank = [""] * (len(row) - 1)
    return [[*row[:-1], first], *([*blank, other] for other in others)]


def _wrapped(text: str, width: int) -> list[str]:
    if cells_wide(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def cells_of(table: Table, precision: int) -> list[list[str]]:
    """Every cell as text on one line; a note that is absent is left empty, a value shows a dash."""
    return [
        [
            ""
            if value is None and column.name == "note"
            else _one_line(shown(value, column.dimension, precision))
            for column, value in zip(table.columns, row, strict=True)
        ]
        for row in table.rows
    ]


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def aligned_left(table: Table) -> list[bool]:
    """Which columns hold words rather than numbers."""
    return [column.dimension in LEFT for column in table.columns]


def _padded(text: str, width: int, *, left: bool) -> str:
    fill = " " * (width - cells_wide(text))
    return text + fill if left else fill + text


def cells_wide(text: str) -> int:
    """Terminal cells that a text takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in {"W", "F"} else 1
        for c in text
    )


def _styled(text: str, style: str, color: bool) -> str:
    return f"{style}{text}{_RESET}" if color else text
