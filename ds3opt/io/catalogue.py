"""Where the files are that ship with ds3opt."""

from __future__ import annotations

from pathlib import Path


def catalogue_folder(kind: str) -> Path:
    """Where the shipped `scenarios` or `hardware` are: in a wheel, or beside the package."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "catalogue" / kind
    return shipped if shipped.is_dir() else package.parent / kind
