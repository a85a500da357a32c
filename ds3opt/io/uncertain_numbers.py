"""Uncertain numbers of a scenario's text: found, checked, and their point values put in place."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ds3opt.errors import Ds3optError, Problem, ScenarioError, UsageError
from ds3opt.io.columns import MOST_PROBLEMS
from ds3opt.io.csv_records import read_records
from ds3opt.io.diagnostics import field_names_at, problems_from_validation
from ds3opt.io.files import read_text
from ds3opt.io.law_files import difficulty_draws
from ds3opt.io.problem_text import format_path
from ds3opt.io.yaml_source import KeyPath, YamlSource
from ds3opt.schema import Scenario
from ds3opt.schema.number_keys import KeyType, NumberKey, key_type
from ds3opt.schema.quantities import ContradictionError
from ds3opt.schema.uncertain import (
    SPREADING,
    Uncertain,
    UncertainNumber,
    of_table,
    uncertain_number,
)

Folders = Sequence[str | Path]
_KEYS = frozenset(field_names_at(Uncertain, ()))


@dataclass(frozen=True)
class PointData:
    """The content of a scenario without its uncertainty, and what was uncertain."""

    data: dict[str, Any]
    uncertain: tuple[UncertainNumber, ...]


def point_data(source: YamlSource, folders: Folders) -> PointData:
    """The content of a scenario with a plain number in place of each uncertain one.

    Parameters
    ----------
    folders : searched for the files that `draws` names.

    Raises
    ------
    ScenarioError : every uncertain number that cannot be understood, each at its place.
    """
    data: dict[str, Any] = deepcopy(source.data)
    problems: list[Problem] = []
    found: list[UncertainNumber] = []
    for path, written, kind in list(_written(source.data, ())):
        try:
            number, point = _understood(source, path, written, kind, folders)
        except ScenarioError as error:
            problems += error.problems
            continue
        _put(data, path, point)
        if number is not None:
            found.append(number)
    problems += _unequal(found, source)
    if problems:
        raise ScenarioError(*dict.fromkeys(problems))
    return PointData(data, tuple(found))


def of_named_maps(source: YamlSource, folders: Folders) -> tuple[UncertainNumber, ...]:
    """Difficulties that classes take from files of `ds3opt fit accuracy`, with their draws."""
    workload = source.data.get("workload")
    mix = workload.get("mix") if isinstance(workload, dict) else None
    found: list[UncertainNumber] = []
    for index, task in enumerate(mix if isinstance(mix, list) else ()):
        named = task.get("difficulty") if isinstance(task, dict) else None
        value, table = difficulty_draws(named, folders)
        path = ("workload", "mix", index, "difficulty")
        key = key_type(Scenario, path)
        if table and key.number is not None:
            places = key.places
            found += of_table(table, "difficulty", key.number, path, places, str(named), value)
    return tuple(found)


def _written(data: object, path: KeyPath) -> Iterator[tuple[KeyPath, dict[str, Any], KeyType]]:
    """Every mapping that is meant as an uncertain number."""
    if isinstance(data, list):
        for index, item in enumerate(data):
            yield from _written(item, (*path, index))
    if not isinstance(data, dict):
        return
    kind = key_type(Scenario, path)
    if path and _is_meant(set(data), kind):
        yield path, data, kind
        return
    for name, item in data.items():
        yield from _written(item, (*path, name))


def _is_meant(keys: set[str], kind: KeyType) -> bool:
    if not kind.known:
        return False
    if kind.number is None:
        return kind.mapping is None and bool(keys & set(SPREADING)) and keys <= _KEYS
    if kind.mapping is not None and keys & kind.mapping:
        return False  # a spread or a range, say, that is written as such
    return any(difflib.get_close_matches(key, SPREADING, n=1, cutoff=0.75) for key in keys)


def _understood(
    source: YamlSource, path: KeyPath, written: dict[str, Any], kind: KeyType, folders: Folders
) -> tuple[UncertainNumber | None, object]:
    """The number, or None where nothing is uncertain about it, and its point value as text has it.

    Raises
    ------
    ScenarioError : with every place.
    """
    if kind.number is None or kind.fixed:
        what = "is no number, so it cannot be uncertain"
        message = f"{path[-1]} {what}" if kind.number is None else "this number cannot be uncertain"
        hint = (
            "" if kind.number is None else "it is a setting, a choice or a count: write one number"
        )
        if "uniform" in path:
            hint = "it says how many tasks there are: list them as values, which may be uncertain"
        place = source.location(path, key=True)
        raise ScenarioError(Problem(message, format_path(path), hint, place))
    try:
        spec = Uncertain.model_validate(written)
        listed, file = _of_file(spec.draws, kind.number, folders)
        number = uncertain_number(spec, kind.number, path, kind.places, listed, file)
    except ValidationError as error:
        node = source.find(path)
        assert node is not None
        inner = problems_from_validation(
            error, YamlSource(source.source, node), lambda at: field_names_at(Uncertain, at)
        )
        raise ScenarioError(*(_below(problem, path) for problem in inner)) from None
    except ContradictionError as error:
        at = (*path, *error.path)
        node = source.find(at)
        key = node is None or isinstance(node.value, (dict, list))
        place = source.location(at, key=key)
        raise ScenarioError(Problem(error.message, format_path(at), error.hint, place)) from None
    except Ds3optError as error:
        at = (*path, "draws")
        place, words = source.location(at), format_path(at)
        raise ScenarioError(
            *(p if p.location else replace(p, path=words, location=place) for p in error.problems)
        ) from None
    return number, _point(spec, number, kind.number)


def _point(spec: Uncertain, number: UncertainNumber | None, key: NumberKey) -> object:
    """What stands for the number in the text: as written, or the median in base units."""
    if spec.value is not None:
        return spec.value
    if number is not None:
        return int(number.value) if key.domain.whole else number.value
    return (
        spec.interval[0] if spec.interval else spec.from_ if spec.draws is None else spec.draws[0]
    )


def _below(problem: Problem, path: KeyPath) -> Problem:
    inner = problem.path if problem.path.startswith("[") or not problem.path else f".{problem.path}"
    return replace(problem, path=format_path(path) + inner)


def _of_file(draws: object, key: NumberKey, folders: Folders) -> tuple[tuple[float, ...], str]:
    """Values of a column of a CSV file, and its name; nothing where draws are listed in place.

    Raises
    ------
    UsageError : a file or column that is not there, cells that are no numbers of the key.
    """
    if not isinstance(draws, str):
        return (), ""
    name, _, column = draws.partition("#")
    places = [*(Path(folder) / name for folder in folders), Path(name)]
    text, shown = read_text(next((place for place in places if _is_file(place)), places[0]))
    header, records = read_records(text, shown)
    if not column and len(header.columns) == 1:
        column = header.columns[0]
    if column not in header.columns:
        near = difflib.get_close_matches(column, header.columns, n=1)
        meant = (near or header.columns)[0]
        message = f"{name} has no column {column!r}" if column else f"{name} has several columns"
        listed = ", ".join(header.columns[:12])
        hint = f"did you mean {name}#{meant}?" if near else f"write {name}#COLUMN: {listed}"
        raise UsageError(Problem(message, hint=hint))
    values: list[float] = []
    problems: list[Problem] = []
    for record in records:
        try:
            value = float(key.read(record.word(column)))
        except UsageError as error:
            problems += error.problems
            continue
        except ValueError as error:
            problems.append(record.problem(column, getattr(error, "message", str(error))))
            continue
        wrong = key.domain.misfit(value)
        if wrong:
            problems.append(record.problem(column, wrong))
        values.append(value)
    if problems:
        raise UsageError(*problems[:MOST_PROBLEMS])
    return tuple(values), name


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _unequal(found: Sequence[UncertainNumber], source: YamlSource) -> Iterator[Problem]:
    """Draws that belong together and are not equally many."""
    first: dict[str, UncertainNumber] = {}
    for number in found:
        other = first.setdefault(number.group, number) if number.group else number
        if len(number.draws) != len(other.draws):
            at = (*number.path, "draws")
            message = (
                f"{len(number.draws)} draws, but {len(other.draws)} at {format_path(other.path)}, "
                "whose rows belong with them"
            )
            hint = "joint draws are equally many: each row is one possible world"
            yield Problem(message, format_path(at), hint, source.location(at, key=True))


def _put(data: Any, path: KeyPath, value: object) -> None:
    for step in path[:-1]:
        data = data[step]
    data[path[-1]] = value
