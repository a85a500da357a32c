"""CSV: one record a line, units in the header, full precision."""

from __future__ import annotations

import csv
import io

from ds3opt.report.document import Document
from ds3opt.report.values import raw


def render_csv(document: Document) -> str:
    """The records of an answer, with a header; nothing stands where a value is unknown."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in document.records.columns])
    for row in document.records.rows:
        writer.writerow(["" if (value := raw(cell)) is None else value for cell in row])
    return text.getvalue()
