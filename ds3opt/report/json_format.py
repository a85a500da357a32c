"""JSON: stable key order, full precision, no NaN; the same bytes for the same input."""

from __future__ import annotations

import json

from ds3opt.report.document import Document, plain


def render_json(document: Document) -> str:
    """The plain data of an answer, indented."""
    text = json.dumps(plain(document.data), indent=2, ensure_ascii=False, allow_nan=False)
    return text + "\n"
