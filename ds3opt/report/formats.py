"""The formats of a report; RENDERERS is the one place that lists them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from ds3opt.report.csv_format import render_csv
from ds3opt.report.document import Document
from ds3opt.report.json_format import render_json
from ds3opt.report.markdown import render_markdown
from ds3opt.report.table import render_table
from ds3opt.report.yaml_format import render_yaml

RENDERERS: Mapping[str, Callable[[Document, int, bool], str]] = MappingProxyType(
    {
        "table": lambda document, precision, color: render_table(document, precision, color=color),
        "json": lambda document, precision, color: render_json(document),
        "csv": lambda document, precision, color: render_csv(document),
        "markdown": lambda document, precision, color: render_markdown(document, precision),
        "yaml": lambda document, precision, color: render_yaml(document),
    }
)
FOR_PEOPLE = frozenset({"table", "markdown"})
"""Formats in which numbers are rounded and warnings are part of the text."""


def render(document: Document, form: str, *, precision: int = 3, color: bool = False) -> str:
    """A document in a format, ending with a newline."""
    return RENDERERS[form](document, precision, color)
