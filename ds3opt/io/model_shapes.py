"""Shapes of models by name, from a config.json, or as a scenario writes them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ds3opt.errors import Problem, ScenarioError
from ds3opt.io.catalogue import catalogue_folder
from ds3opt.io.diagnostics import field_names_at, problems_from_validation
from ds3opt.io.files import read_text
from ds3opt.io.model_config import shape_from_config
from ds3opt.io.yaml_source import load_yaml
from ds3opt.schema.model_shape import ModelShapeSpec

__all__ = [
    "load_model",
    "model_names",
    "models_by_id",
    "resolve_shape",
    "shape_from_config",
]

KIND = "shape of a model"
FOLDER = "models"
"""Where a folder of hardware, or a scenario's own, keeps its models."""


def model_files(folders: Sequence[str | Path] = ()) -> dict[str, Path]:
    """Every known model's file by its name, sorted; earlier folders win, the shipped last."""
    found: dict[str, Path] = {}
    for folder in _searched(folders):
        for path in folder.glob("*.yaml"):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def model_names(folders: Sequence[str | Path] = ()) -> list[str]:
    """Names that `load_model` knows, sorted.

    >>> "llama-3.1-8b" in model_names()
    True
    """
    return list(model_files(folders))


def load_model(name: str, folders: Sequence[str | Path] = ()) -> ModelShapeSpec:
    """A model of the catalogue by name or by its identifier on the Hugging Face Hub.

    Parameters
    ----------
    name : of a file without its suffix, such as ``llama-3.1-8b``; capitals, spaces and underscores
        make no difference.
    folders : whose ``models`` are searched before the shipped catalogue, in order.

    Raises
    ------
    UsageError, ScenarioError : an unknown name, without a place; a broken file, with its places.

    >>> load_model("Llama-3.1-8B").parameters
    8030261248.0
    """
    path = _find(name, folders)
    if path is None:
        raise ScenarioError(_unknown(name, folders))
    return _load(path)[0]


def models_by_id(folders: Sequence[str | Path] = ()) -> dict[str, str]:
    """The name in the catalogue for every identifier on the Hugging Face Hub, aliases included.

    >>> models_by_id()["Qwen/Qwen3-235B-A22B-Instruct-2507-FP8"]
    'qwen3-235b-a22b'
    """
    known: dict[str, str] = {}
    for name, path in model_files(folders).items():
        model = _load(path)[0]
        for identifier in (model.model_id, *model.aliases):
            if identifier is not None:
                known.setdefault(identifier, name)
    return known


def resolve_shape(value: object, folders: Sequence[str | Path] = ()) -> dict[str, Any]:
    """What a scenario writes for a model's shape, as one full mapping for its schema to check.

    A name stands for the figures of the catalogue. A mapping with `config` starts from a
    config.json, beside the scenario unless its path is absolute; one with the `name` of the
    catalogue and without `parameters` starts from those figures; other keys replace single ones.
    Any other mapping describes a shape on its own.

    Parameters
    ----------
    value : as the scenario has it.
    folders : searched in order: the scenario's own, then others.

    Raises
    ------
    UsageError, ScenarioError : as `load_model` and `shape_from_config`.
    """
    if isinstance(value, str):
        return _plain(value, folders)
    if not isinstance(value, Mapping):
        message = "a shape is a name, or a mapping of its figures"
        raise ScenarioError(Problem(message, hint=_list_hint(folders)))
    given = dict(value)
    if "config" in given:
        path = given.pop("config")
        if not isinstance(path, str) or not path:
            raise ScenarioError(Problem("config is the path of a config.json", "config"))
        return shape_from_config(_beside(path, folders)) | given
    name = given.get("name")
    if isinstance(name, str) and "parameters" not in given:
        return _plain(name, folders) | given
    return given


def _plain(name: str, folders: Sequence[str | Path]) -> dict[str, Any]:
    path = _find(name, folders)
    if path is None:
        raise ScenarioError(_unknown(name, folders))
    return {"name": path.stem} | _load(path)[1]


def _beside(path: str, folders: Sequence[str | Path]) -> Path:
    """A path in the first of the folders that has it, else in the first of all."""
    places = [Path(folder) / path for folder in folders] or [Path(path)]
    return next((place for place in places if _is_file(place)), places[0])


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or with a NUL
        return False


def _load(path: Path) -> tuple[ModelShapeSpec, dict[str, Any]]:
    """A file's shape and its plain content; read again only if it has changed."""
    try:
        status = path.stat()
        version = (status.st_mtime_ns, status.st_size)
    except OSError:
        version = (0, 0)
    model, data = _read(str(path), version)
    return model, dict(data)


@lru_cache(maxsize=256)
def _read(path: str, _version: tuple[int, int]) -> tuple[ModelShapeSpec, dict[str, Any]]:
    text, name = read_text(path)
    source = load_yaml(text, name, KIND)
    try:
        return ModelShapeSpec.model_validate(source.data), source.data
    except ValidationError as error:
        problems = problems_from_validation(
            error, source, lambda at: field_names_at(ModelShapeSpec, at)
        )
        raise ScenarioError(*problems) from None


def _find(name: str, folders: Sequence[str | Path]) -> Path | None:
    """The file of a model; no other file is read, unless the name is one of the Hub."""
    if "/" in name:
        known = models_by_id(folders).get(name)
        return None if known is None else model_files(folders)[known]
    if not name.strip() or "\\" in name:
        return None
    for folder in _searched(folders):
        for spelling in dict.fromkeys((name, _normal(name))):
            path = folder / f"{spelling}.yaml"
            if _is_file(path):
                return path
    return None


def _normal(name: str) -> str:
    return re.sub(r"[\s_-]+", "-", name.strip().lower())


def _unknown(name: str, folders: Sequence[str | Path]) -> Problem:
    message = f"no model is named {name[:60]!r}"
    if name.endswith(".json"):
        return Problem(message, hint=f'for a config.json write {{config: "{name[:60]}"}}')
    wanted = _normal(name.rsplit("/", 1)[-1])[:60]
    near = difflib.get_close_matches(wanted, model_names(folders), n=1)
    return Problem(message, hint=f"did you mean {near[0]}?" if near else _list_hint(folders))


def _list_hint(folders: Sequence[str | Path]) -> str:
    names = model_names(folders)
    return "known are " + ", ".join(names[:12]) + (", ..." if names[12:] else "")


def _searched(folders: Sequence[str | Path]) -> list[Path]:
    own = (Path(folder) / FOLDER for folder in folders)
    return [*own, catalogue_folder("hardware") / FOLDER]
