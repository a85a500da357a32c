"""Accelerators by name: the sheets of the catalogue and of the user's own folders."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ds3opt.errors import Problem, ScenarioError
from ds3opt.io.catalogue import catalogue_folder
from ds3opt.io.diagnostics import field_names_at, problems_from_validation
from ds3opt.io.files import read_text
from ds3opt.io.hardware_names import same_model
from ds3opt.io.yaml_source import YamlSource, load_yaml
from ds3opt.schema.accelerator import Accelerator, AcceleratorSheet

KIND = "description of an accelerator"
LIST_HINT = "`ds3opt hardware list` names the known ones"
_MARK = re.compile(r"^dense_flop_per_s\s*:", re.MULTILINE)
"""What sets a sheet apart from a scenario that lies in the same folder."""
_ESSENTIAL = frozenset({"dense_flop_per_s", "memory_bytes", "bandwidth_bytes_per_s"})
"""Keys of a description that stands on its own."""


@dataclass(frozen=True)
class LoadedSheet:
    """A checked sheet, its name in the catalogue, its text's places and its file."""

    name: str
    sheet: AcceleratorSheet
    source: YamlSource
    path: Path


def accelerator_files(folders: Sequence[str | Path] = ()) -> dict[str, Path]:
    """Every known accelerator's file by its name, sorted; earlier folders win, the shipped last."""
    found: dict[str, Path] = {}
    for folder in _searched(folders):
        for path in folder.glob("*.yaml"):
            if path.stem not in found and _is_sheet(path):
                found[path.stem] = path
    return dict(sorted(found.items()))


def accelerator_names(folders: Sequence[str | Path] = ()) -> list[str]:
    """Names that `load_accelerator` knows, sorted.

    >>> "h100-sxm" in accelerator_names()
    True
    """
    return list(accelerator_files(folders))


def find_accelerator(name: str, folders: Sequence[str | Path] = ()) -> Path | None:
    """The file of an accelerator; capitals, spaces and underscores make no difference."""
    spellings = dict.fromkeys((name, normal_name(name)))
    if not normal_name(name) or "/" in name or "\\" in name:
        return None
    for folder in _searched(folders):
        for spelling in spellings:
            path = folder / f"{spelling}.yaml"
            if _is_sheet(path):
                return path
    return None


def normal_name(name: str) -> str:
    """A name as files are called.

    >>> normal_name("H100 SXM"), normal_name("TPU_v5e")
    ('h100-sxm', 'tpu-v5e')
    """
    return re.sub(r"[\s_-]+", "-", name.strip().lower())


def load_sheet(path: str | Path) -> LoadedSheet:
    """Read and check one sheet; read again only if the file has changed.

    Raises
    ------
    UsageError, ScenarioError : with every problem found, each at its place.
    """
    try:
        status = Path(path).stat()
        key = (status.st_mtime_ns, status.st_size)
    except (OSError, ValueError):
        key = (0, 0)
    return _sheet(str(path), key)


@lru_cache(maxsize=256)
def _sheet(path: str, _version: tuple[int, int]) -> LoadedSheet:
    source = read_sheet(path)
    try:
        sheet = AcceleratorSheet.model_validate(source.data)
    except ValidationError as error:
        raise ScenarioError(*sheet_problems(error, source)) from None
    return LoadedSheet(Path(path).stem, sheet, source, Path(path))


def read_sheet(path: str | Path) -> YamlSource:
    """The text of a sheet as data with places, not yet checked."""
    text, name = read_text(path)
    return load_yaml(text, _from_here(name), KIND)


def _from_here(name: str) -> str:
    """A file as messages name it: relative where it lies below the working folder."""
    try:
        relative = os.path.relpath(name)
    except ValueError:  # another drive
        return name
    return relative if os.path.isabs(name) and not relative.startswith("..") else name


def sheet_problems(error: ValidationError, source: YamlSource) -> list[Problem]:
    """What the schema refuses in a sheet, each at its place."""
    return problems_from_validation(error, source, lambda at: field_names_at(AcceleratorSheet, at))


def load_named_sheet(name: str, folders: Sequence[str | Path] = ()) -> LoadedSheet:
    """The sheet of an accelerator by name; ScenarioError, naming the nearest, if there is none."""
    path = find_accelerator(name, folders)
    if path is None:
        raise ScenarioError(_unknown(name, folders))
    return load_sheet(path)


def load_accelerator(name: str, folders: Sequence[str | Path] = ()) -> Accelerator:
    """An accelerator by name, in plain numbers.

    Parameters
    ----------
    name : of a file without its suffix, such as ``h100-sxm``.
    folders : searched before the shipped catalogue, in order: the scenario's own, then others.

    Raises
    ------
    UsageError, ScenarioError : an unknown name, without a place; a broken sheet, with its places.

    >>> load_accelerator("h100-sxm").memory_bytes
    80000000000.0
    """
    loaded = load_named_sheet(name, folders)
    return Accelerator.model_validate(_plain(loaded))


def resolve_accelerator(value: object, folders: Sequence[str | Path] = ()) -> dict[str, Any]:
    """What a scenario writes for an accelerator, as one full mapping for its schema to check.

    A name stands for the figures of the catalogue. A mapping with a known name replaces single
    figures; a price replaces the whole range of prices, null forgets a figure. A mapping without a
    name, or with one that nobody knows, describes an accelerator on its own.

    Raises
    ------
    UsageError, ScenarioError : as `load_accelerator`.
    """
    if isinstance(value, str):
        return _plain(load_named_sheet(value, folders))
    if not isinstance(value, Mapping):
        message = "an accelerator is a name, or a mapping of its figures"
        raise ScenarioError(Problem(message, hint=LIST_HINT))
    name = value.get("name")
    if not isinstance(name, str):
        return dict(value)
    path = find_accelerator(name, folders)
    if path is None:
        if set(value) >= _ESSENTIAL:
            return dict(value)
        raise ScenarioError(_unknown(name, folders, own=True))
    known = _plain(load_sheet(path))
    return _replaced(known, {key: given for key, given in value.items() if key != "name"})


def _plain(loaded: LoadedSheet) -> dict[str, Any]:
    return loaded.sheet.plain(loaded.name, loaded.source.source)


def _replaced(known: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    rates = known["dense_flop_per_s"], given.get("dense_flop_per_s")
    merged = {**known, **given}
    if isinstance(rates[1], Mapping):
        merged["dense_flop_per_s"] = {**rates[0], **rates[1]}
    return merged


def _unknown(name: str, folders: Sequence[str | Path], *, own: bool = False) -> Problem:
    message = f"no accelerator is named {name[:60]!r}"
    if "/" in name or "\\" in name or name.endswith((".yaml", ".yml")):
        hint = "write its name, without folder and suffix; files beside the scenario are found"
        return Problem(message, hint=hint)
    for folder in _searched(folders):
        if (folder / f"{name}.yaml").is_file():
            hint = f"{folder / name}.yaml has no dense_flop_per_s, which every description needs"
            return Problem(message, hint=hint)
    near = _nearest(normal_name(name[:60]), accelerator_names(folders))
    hint = f"did you mean {' or '.join(near)}?" if near else LIST_HINT
    if own:
        hint += f", or describe it whole with {', '.join(sorted(_ESSENTIAL))}"
    return Problem(message, hint=hint)


def _nearest(name: str, names: list[str]) -> list[str]:
    """Names that may be meant: versions of the same model, or else the one spelt most alike."""
    versions = [one for one in names if same_model([name], one)]
    spelt = difflib.get_close_matches(name, versions or names, n=1, cutoff=0.8 if versions else 0.6)
    return spelt or versions[:3]


def _searched(folders: Sequence[str | Path]) -> list[Path]:
    return [*(Path(folder) for folder in folders), catalogue_folder("hardware")]


def _is_sheet(path: Path) -> bool:
    """Whether a file describes an accelerator rather than a scenario or something else."""
    try:
        with open(path, "rb") as file:
            head = file.read(2**16)
    except (OSError, ValueError):
        return False
    return _MARK.search(head.decode("utf-8", "replace")) is not None
