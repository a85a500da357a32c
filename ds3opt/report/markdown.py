"""Tables for a pull request or a page."""

from __future__ import annotations

from ds3opt.report.document import Document, Table
from ds3opt.report.table import aligned_left, cells_of


def render_markdown(document: Document, precision: int = 3) -> str:
    """A heading, then each table under a heading of its own."""
    blocks = [f"## {document.title}"] if document.title else []
    for table in document.tables:
        if table.rows:
            blocks += ([f"### {table.title}"] if table.title else []) + [_table(table, precision)]
            blocks += [_escaped(table.footer)] if table.footer else []
    return "\n\n".join(blocks) + "\n"


def _table(table: Table, precision: int) -> str:
    rule = [":--" if left else "--:" for left in aligned_left(table)]
    rows = [[column.words for column in table.columns], rule, *cells_of(table, precision)]
    if not table.header:
        rows[0] = ["" for _ in table.columns]
    return "\n".join("| " + " | ".join(map(_escaped, row)) + " |" for row in rows)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
