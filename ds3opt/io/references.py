"""What a scenario names and other files describe: accelerators, shapes, counts, fitted laws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ds3opt.errors import Ds3optError, Problem, ScenarioError
from ds3opt.io.accelerators import resolve_accelerator
from ds3opt.io.calibration import load_calibration
from ds3opt.io.law_files import (
    FittedWith,
    names_file,
    resolve_capability,
    resolve_class,
    resolve_difficulty,
    resolve_loss_law,
    resolve_population,
    resolve_verifier,
    resolve_wrong_answers,
)
from ds3opt.io.model_shapes import resolve_shape
from ds3opt.io.observed_csv import resolve_rows
from ds3opt.io.success_counts import read_success_counts
from ds3opt.io.yaml_source import YamlSource
from ds3opt.laws.loss import DEFAULT_LOSS_LAW
from ds3opt.schema.accelerator import DEFAULT_CALIBRATION
from ds3opt.schema.model import Capability

KeyPath = tuple[str | int, ...]
Folders = Sequence[str | Path]


def with_references(
    source: YamlSource, folders: Folders, data: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The content of a scenario with everything it names in place.

    Parameters
    ----------
    folders : searched in order for accelerators, models and files: the scenario's own, then others.
    data : the content where it is not as the source has it; left out: the source's.

    Raises
    ------
    ScenarioError : every name that nothing answers to, each at its place.
    """
    data = deepcopy(source.data if data is None else data)
    problems: list[Problem] = []

    def put(path: KeyPath, resolve: Callable[[object], object]) -> None:
        holder, value = _at(data, path[:-1]), _at(data, path)
        if value is None and not (path[-1] == "accelerator" and _has(holder, path[-1])):
            return
        try:
            holder[path[-1]] = resolve(value)
        except Ds3optError as error:
            problems.extend(_placed(problem, path, source) for problem in error.problems)

    for kind in ("training", "inference"):
        path: KeyPath = ("hardware", kind)
        put((*path, "accelerator"), lambda value: resolve_accelerator(value, folders))
        part = _at(data, path)
        if isinstance(part, dict) and isinstance(part.get("accelerator"), dict):
            part.setdefault(
                "calibration", part["accelerator"].get("calibration", DEFAULT_CALIBRATION)
            )
            put((*path, "calibration"), lambda value: _calibration(value, folders))
    put(("model", "loss_law"), lambda value: resolve_loss_law(value, folders))
    put(("model", "capability"), lambda value: resolve_capability(value, folders))
    shapes = _at(data, ("model", "shape", "list"))
    for index in range(len(shapes) if isinstance(shapes, list) else 0):
        put(("model", "shape", "list", index), lambda value: resolve_shape(value, folders))
    candidates = _at(data, ("model", "candidates"))
    for index in range(len(candidates) if isinstance(candidates, list) else 0):
        path = ("model", "candidates", index)
        put((*path, "shape"), lambda value: resolve_shape(value, folders))
        measured = _at(data, (*path, "measured"))
        for name in measured if isinstance(measured, dict) else ():
            counts = (*path, "measured", name, "success_counts")
            put(counts, lambda value: _counts(value, folders))
            spread = (*path, "measured", name, "population")
            put(spread, lambda value: resolve_population(value, folders))
    mix = _at(data, ("workload", "mix"))
    for index in range(len(mix) if isinstance(mix, list) else 0):
        path = ("workload", "mix", index)
        put((*path, "difficulty"), lambda value: resolve_difficulty(value, folders))
        put((*path, "wrong_answers"), lambda value: resolve_wrong_answers(value, folders))
        put((*path, "verifier"), lambda value: resolve_verifier(value, folders))
        put((*path, "observed"), partial(_observed, data=data, path=path, folders=folders))
        put((*path, "measured", "success_counts"), lambda value: _counts(value, folders))
        put((*path, "measured", "population"), lambda value: resolve_population(value, folders))
    if problems:
        raise ScenarioError(*dict.fromkeys(problems))
    return data


def _at(data: object, path: KeyPath) -> Any:
    """The value at a path; None where there is none."""
    for step in path:
        if isinstance(data, dict) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data


def _has(holder: object, key: str | int) -> bool:
    return isinstance(holder, dict) and key in holder


def _placed(problem: Problem, path: KeyPath, source: YamlSource) -> Problem:
    """A problem of a name, at the place where the scenario has it."""
    if problem.location is not None:
        return problem
    inner = tuple(step for step in problem.path.split(".") if step)
    dotted = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in (*path, *inner))
    return replace(problem, path=dotted[1:], location=source.location((*path, *inner)))


def _calibration(value: object, folders: Folders) -> object:
    return load_calibration(value, folders) if isinstance(value, str) else value


def _observed(value: object, data: dict[str, Any], path: KeyPath, folders: Folders) -> object:
    """The rows of a class; with a file of fitted ones nothing, and the class has its constants."""
    task = _at(data, path)
    if not isinstance(value, str) or not isinstance(task, dict):
        return value
    if not names_file(value):
        return resolve_rows(value, task, folders)
    law = _at(data, ("model", "loss_law"))
    usual = Capability()
    sigmoid = {
        key: _number(_at(data, ("model", "capability", key)), getattr(usual, key))
        for key in ("slope", "scale", "offset")
    }
    asked = FittedWith(
        str(task.get("name", "")),
        sigmoid["slope"],
        law.get("name") if isinstance(law, dict) else str(law or DEFAULT_LOSS_LAW),
        (sigmoid["scale"], sigmoid["offset"]),
    )
    found = resolve_class(value, folders, asked)
    both = [key for key in found if key in task]
    if both:
        message = f"{both[0]} is given, and the file that observed names has it too"
        raise ScenarioError(Problem(message, hint=f"leave out {both[0]}, or observed"))
    task.update(found)
    return None


def _number(value: object, usual: float) -> float:
    """A number; the usual one where there is none, or one that the schema will refuse."""
    return float(value) if isinstance(value, (int, float)) else usual


def _counts(value: object, folders: Folders) -> object:
    """Counts per problem from a CSV file with the columns samples and correct."""
    if not isinstance(value, str):
        return value
    places = [Path(folder) / value for folder in folders] or [Path(value)]
    path = next((place for place in places if place.is_file()), places[0])
    return read_success_counts(path)
