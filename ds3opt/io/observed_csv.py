"""Measured accuracies from a CSV file, each mistake at its line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ds3opt.errors import Problem, UsageError
from ds3opt.io.columns import MOST_PROBLEMS, Column, Rows, lacking, read_rows
from ds3opt.io.csv_records import Record
from ds3opt.io.files import read_text
from ds3opt.io.plain_words import wording
from ds3opt.schema.observed import ObservedAccuracy

_SIZES = ("params", "num_params", "n_params", "model_size")
COLUMNS = (
    Column("accuracy", ("score", "acc", "pass_rate", "success_rate"), "ratio", least=-1e-300),
    Column("problems", ("n_problems", "num_problems", "questions"), most=1e12),
    Column("token_budget", ("budget", "budget_tokens"), "tokens"),
    Column("max_output_tokens", ("max_tokens", "max_new_tokens"), "tokens"),
    Column("loss", ("val_loss", "pretraining_loss"), "loss", most=1e6),
    Column("parameters", _SIZES, "parameters"),
    Column("training_tokens", ("train_tokens", "tokens", "D"), "tokens"),
    Column("policy", ("method", "strategy"), "text"),
    Column("samples", ("k", "n_samples", "num_samples", "traces"), most=1e6),
    Column("branches", ("width",), most=1e4),
    Column("class", ("task", "benchmark"), "text"),
    Column("model", ("name", "model_name"), "text"),
    Column("share", ("share_of_tasks", "traffic_share"), "ratio", most=1e3),
)
"""What a table of accuracies may hold."""
ONE_CLASS = "tasks"
"""What the class of a table without a column of classes is called."""
_ROUNDED = 5e-3
"""Of shares that are told to two digits."""
_WHOLE = ("problems", "samples", "branches")
_OF_THE_CLASS = ("class", "share")
_BY_NAME = {one.name: one for one in COLUMNS}


@dataclass(frozen=True)
class ObservedClass:
    """The rows of one class, as a scenario writes them, and where they stand."""

    name: str
    rows: tuple[dict[str, Any], ...]
    measured: tuple[ObservedAccuracy, ...]
    records: tuple[Record, ...]
    share: float | None = None


def resolve_rows(value: object, task: object, folders: Sequence[str | Path]) -> object:
    """What a class writes for observed, a CSV file replaced by its rows.

    ``observed.csv#code`` is the class `code` of a table of several; without it the class's name.
    """
    if not isinstance(value, str) or not value.partition("#")[0].endswith(".csv"):
        return value
    name, _, asked = value.partition("#")
    own = str(task.get("name", "")) if isinstance(task, dict) else ""
    places = [*(Path(folder) / name for folder in folders), Path(name)]
    path = next((place for place in places if place.is_file()), places[0])
    return read_observed_rows(path, asked or own)


def read_observed_rows(path: str | Path, name: str) -> list[dict[str, Any]]:
    """Rows of one class as a scenario writes them; rows without accuracy are left out.

    Parameters
    ----------
    name : of the class, where the table has several.

    Raises
    ------
    UsageError : with the place of every row that cannot be used.
    """
    rows, source = _read(path)
    kept = list(range(len(rows.records)))
    if rows.has("class"):
        names = rows.words(_BY_NAME["class"])
        kept = [i for i in kept if names[i] == name]
        if not kept:
            listed = ", ".join(dict.fromkeys(filter(None, names)))
            message = f"{source} has no row of class {name!r}"
            raise UsageError(Problem(message, hint=f"there are {listed}; {source}#CLASS chooses"))
    return list(_class_of(rows, name, kept, source).rows)


def read_observed_classes(path: str | Path) -> tuple[ObservedClass, ...]:
    """Every class of a table, in its order, with its share of all tasks where the table has one.

    Raises
    ------
    UsageError : with the place of every row that cannot be used.
    """
    rows, source = _read(path)
    every = range(len(rows.records))
    names = rows.words(_BY_NAME["class"]) if rows.has("class") else [ONE_CLASS for _ in every]
    empty = [rows.problem(i, "class", "is empty") for i in every if not names[i]]
    if empty:
        raise UsageError(*empty[:MOST_PROBLEMS])
    found: list[ObservedClass] = []
    problems: list[Problem] = []
    for name in dict.fromkeys(names):
        kept = [i for i in every if names[i] == name]
        try:
            one = _class_of(rows, name, kept, source)
            found.append(replace(one, share=_share(rows, name, kept)))
        except UsageError as error:
            problems += error.problems
    total = sum(one.share or 0.0 for one in found)
    if rows.has("share") and not problems and abs(total - 1.0) > _ROUNDED:
        message = f"the shares of the classes sum to {total:.6g}, not to 1"
        hint = "a share is of all tasks: one for each class, such as 0.25 or 25 %"
        problems.append(Problem(message, path="share", hint=hint, location=rows.header.place))
    if problems:
        raise UsageError(*problems[:MOST_PROBLEMS])
    # as many digits as were written need not sum to 1 exactly
    return tuple(replace(one, share=one.share and one.share / total) for one in found)


def _read(path: str | Path) -> tuple[Rows, str]:
    text, source = read_text(path)
    rows = read_rows(text, source, COLUMNS)
    needed = ["accuracy", "problems"]
    if not rows.has("max_output_tokens"):
        needed.append("token_budget")
    missing = [lacking(rows, _BY_NAME[one], told=False) for one in needed if not rows.has(one)]
    sizes = [one for one in ("parameters", "training_tokens") if not rows.has(one)]
    if sizes and not rows.has("loss"):
        size = lacking(rows, _BY_NAME[sizes[0]], told=False)
        missing.append(replace(size, hint=f"{size.hint}; or give a column loss, nats/token"))
    if missing:
        raise UsageError(*missing)
    return rows, source


def _class_of(rows: Rows, name: str, kept: Sequence[int], source: str) -> ObservedClass:
    found: list[tuple[dict[str, Any], ObservedAccuracy, Record]] = []
    problems: list[Problem] = []
    for index in kept:
        row = _cells(rows, index)
        if "accuracy" not in row:
            continue
        try:
            found.append((row, ObservedAccuracy.model_validate(row), rows.records[index]))
        except ValidationError as error:
            problems += [_problem(rows, index, one) for one in error.errors(include_url=False)]
    if problems:
        raise UsageError(*problems[:MOST_PROBLEMS])
    if not found:
        about = f" of class {name}" if rows.has("class") else ""
        raise UsageError(Problem(f"{source} has no row{about} with an accuracy"))
    written, measured, records = zip(*found, strict=True)
    return ObservedClass(name, written, measured, records)


def _share(rows: Rows, name: str, kept: Sequence[int]) -> float | None:
    """Of all tasks: the one that the rows of a class state, some or all of them."""
    if not rows.has("share"):
        return None
    column = _BY_NAME["share"]
    only = replace(rows, records=tuple(rows.records[i] for i in kept))
    known = [(i, one) for i, one in enumerate(only.numbers(column, empty=math.nan)) if one == one]
    if not known:
        raise UsageError(only.problem(0, "share", f"is empty in every row of class {name}"))
    for index, one in known:
        if one > 1.0:
            hint = f"write {one:g} % or {one / 100.0:g}" if one <= 100.0 else "a share of all tasks"
            raise UsageError(only.problem(index, "share", f"is above 1: {one:g}", hint))
        if one != known[0][1]:
            line = only.records[known[0][0]].line
            message = (
                f"class {name} has a share of {one:g} here and of {known[0][1]:g} in line {line}"
            )
            raise UsageError(only.problem(index, "share", message))
    return known[0][1]


def _cells(rows: Rows, index: int) -> dict[str, Any]:
    """What a row says, under the names of a scenario."""
    record = rows.records[index]
    found: dict[str, Any] = {}
    for name, header in rows.found.items():
        if name in _OF_THE_CLASS or not record.filled(header):
            continue
        text = record.cells[header].strip()
        found[name] = int(text) if name in _WHOLE and text.isdecimal() else text
    return found


def _problem(rows: Rows, index: int, error: Any) -> Problem:
    key = str(error["loc"][0]) if error["loc"] else ""
    inner = error.get("ctx", {}).get("error")
    key = next(iter(getattr(inner, "path", ())), key)
    column = key if rows.has(key) else next(iter(rows.found))
    message, hint = wording(error)
    if key == "accuracy" and "at most 1" in message:
        hint = "write 45 % or 0.45"
    told = f"{key}: {message}" if key and column != key else message
    return rows.problem(index, column, told, getattr(inner, "hint", "") or hint)
