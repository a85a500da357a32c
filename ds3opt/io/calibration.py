"""Calibrations by name: the sets of the catalogue and of the user's own folders."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from ds3opt.errors import Problem, ScenarioError
from ds3opt.io.catalogue import catalogue_folder
from ds3opt.io.diagnostics import field_names_at, problems_from_validation
from ds3opt.io.files import read_text
from ds3opt.io.yaml_source import load_yaml
from ds3opt.schema.calibration import Calibration

KIND = "calibration"
FOLDER = "calibration"
"""Where a folder of hardware, or a scenario's own, keeps its calibrations."""


def calibration_files(folders: Sequence[str | Path] = ()) -> dict[str, Path]:
    """Every known calibration's file by its name, sorted; earlier folders win, the shipped last."""
    found: dict[str, Path] = {}
    for folder in _searched(folders):
        for path in folder.glob("*.yaml"):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def load_calibration(name: str, folders: Sequence[str | Path] = ()) -> Calibration:
    """A calibration by name.

    Parameters
    ----------
    name : of a file without its suffix, such as ``h100``.
    folders : whose ``calibration`` is searched before the shipped catalogue, in order.

    Raises
    ------
    UsageError, ScenarioError : an unknown name, without a place; a broken file, with its places.

    >>> load_calibration("default").capacity.usable_memory
    0.9
    """
    for folder in _searched(folders):
        path = folder / f"{name}.yaml"
        if name and "/" not in name and "\\" not in name and _is_file(path):
            return _load(path)
    names = list(calibration_files(folders))
    near = difflib.get_close_matches(name[:60], names, n=1)
    hint = f"did you mean {near[0]}?" if near else "known are " + ", ".join(names)
    raise ScenarioError(Problem(f"no calibration is named {name[:60]!r}", hint=hint))


def _load(path: Path) -> Calibration:
    """A file's content; read again only if it has changed."""
    try:
        status = path.stat()
        version = (status.st_mtime_ns, status.st_size)
    except OSError:
        version = (0, 0)
    return _read(str(path), version)


@lru_cache(maxsize=64)
def _read(path: str, _version: tuple[int, int]) -> Calibration:
    text, name = read_text(path)
    source = load_yaml(text, name, KIND)
    try:
        return Calibration.model_validate(source.data)
    except ValidationError as error:
        problems = problems_from_validation(
            error, source, lambda at: field_names_at(Calibration, at)
        )
        raise ScenarioError(*problems) from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or with a NUL
        return False


def _searched(folders: Sequence[str | Path]) -> list[Path]:
    own = (Path(folder) / FOLDER for folder in folders)
    return [*own, catalogue_folder("hardware") / FOLDER]
