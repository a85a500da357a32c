"""YAML: the data of the JSON, for people who keep results beside scenarios."""

from __future__ import annotations

from ds3opt.report.document import Document, plain


def render_yaml(document: Document) -> str:
    """The plain data of an answer; floats are written so that YAML 1.1 and 1.2 agree on them."""
    import yaml

    text: str = yaml.safe_dump(
        plain(document.data), sort_keys=False, allow_unicode=True, width=10_000
    )
    return text
