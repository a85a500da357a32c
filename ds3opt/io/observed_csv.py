"""Measured accuracies from a CSV file, each mistake at its line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ds3opt.errors import Problem, UsageError
from ds3opt.io.columns import MOST_PROBLEMS, Column, Rows, read_rows
from ds3opt.io.files import read_text
from ds3opt.io.plain_words import wording
from ds3opt.schema.observed import ObservedAccuracy

_SIZES = ("params", "num_params", "n_params", "model_size", "N")
COLUMNS = (
    Column("accuracy", ("score", "acc", "pass_rate", "success_rate"), "ratio", least=-1e-300),
    Column("problems", ("n_problems", "num_problems", "questions", "n"), most=1e12),
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
)
"""What a table of accuracies may hold."""
_WHOLE = ("problems", "samples", "branches")


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
    text, source = read_text(path)
    rows = read_rows(text, source, COLUMNS)
    kept = range(len(rows.records))
    if rows.has("class"):
        names = rows.words(next(one for one in COLUMNS if one.name == "class"))
        kept = [i for i in kept if names[i] == name]  # type: ignore[assignment]
        if not kept:
            listed = ", ".join(dict.fromkeys(names))
            message = f"{source} has no row of class {name!r}"
            raise UsageError(Problem(message, hint=f"there are {listed}; {source}#CLASS chooses"))
    found: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for index in kept:
        row = _cells(rows, index)
        if "accuracy" not in row:
            continue
        try:
            ObservedAccuracy.model_validate(row)
        except ValidationError as error:
            problems += [_problem(rows, index, one) for one in error.errors(include_url=False)]
        found.append(row)
    if problems:
        raise UsageError(*problems[:MOST_PROBLEMS])
    if not found:
        raise UsageError(Problem(f"{source} has no row with an accuracy"))
    return found


def _cells(rows: Rows, index: int) -> dict[str, Any]:
    """What a row says, under the names of a scenario."""
    record = rows.records[index]
    found: dict[str, Any] = {}
    for name, header in rows.found.items():
        if name == "class" or not record.filled(header):
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
    told = f"{key}: {message}" if key and column != key else message
    return rows.problem(index, column, told, getattr(inner, "hint", "") or hint)
