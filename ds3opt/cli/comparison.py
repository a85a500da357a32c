"""Documents of what changed between two results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ds3opt.regression import Drift, row_words
from ds3opt.report.classes import FEW
from ds3opt.report.document import Column, Table
from ds3opt.report.solution_data import RESOURCES, SCHEMA_VERSION
from ds3opt.report.values import Measure, Value
from ds3opt.report.words import dimension_of, dimension_shown, outcome_key, words_of

Data = Mapping[str, Any]
_OUTCOME = (
    *("net_value_usd", "accuracy", "value", "loss", "epochs"),
    *("training_flop", "inference_flop", "total_flop"),
)
_PLAIN = {"epochs": "number", "net_value_usd": "money"}
_MODEL = ("parameters", "training_tokens", "tokens_per_parameter")
_DRIFT_COLUMNS = (
    Column("path", "what"),
    Column("old", "old", "number"),
    Column("new", "new", "number"),
    Column("change", "change", "number"),
)


def drift_table(title: str, drifts: Sequence[tuple[str, Drift]]) -> Table:
    """Old, new and change of every drift, with the scenario where several are compared."""
    named = any(name for name, _ in drifts)
    rows: list[tuple[Value, ...]] = []
    for name, drift in drifts:
        dimension = dimension_shown(drift.path)
        cells = (
            drift.path,
            _cell(drift.old, dimension),
            _cell(drift.new, dimension),
            _change(drift.old, drift.new, dimension),
            drift.reason,
        )
        rows.append((name, *cells) if named else cells)
    columns = (*_DRIFT_COLUMNS, Column("reason", "why it counts"))
    return Table(
        title, (Column("scenario", "scenario"), *columns) if named else columns, tuple(rows)
    )


def drift_data(drifts: Sequence[Drift]) -> list[dict[str, Any]]:
    """The drifts as plain data."""
    return [
        {
            "path": drift.path,
            "old": drift.old,
            "new": drift.new,
            "relative_change": drift.change,
            "reason": drift.reason,
        }
        for drift in drifts
    ]


def difference_table(old: Data, new: Data) -> Table:
    """Outcome and allocation of two results, side by side."""
    rows = [
        (words, _cell(a, dimension), _cell(b, dimension), _change(a, b, dimension))
        for words, dimension, a, b in _pairs(old, new)
    ]
    columns = (Column("quantity", ""), *_DRIFT_COLUMNS[1:])
    return Table("Old and new", columns, tuple(rows))


def difference_data(old: Data, new: Data, drifts: Sequence[Drift]) -> dict[str, Any]:
    """The comparison as plain data."""
    return {
        "schema_version": SCHEMA_VERSION,
        "same": not drifts,
        "old": old.get("scenario"),
        "new": new.get("scenario"),
        "quantities": [
            {
                "quantity": words,
                "old": a,
                "new": b,
                "relative_change": Drift("", a, b, "").change,
            }
            for words, _, a, b in _pairs(old, new)
        ],
        "drifts": drift_data(drifts),
    }


Pair = tuple[str, str, Any, Any]
"""Words, dimension, old, new."""


def _pairs(old: Data, new: Data) -> Iterator[Pair]:
    """Every quantity that is known on either side; baselines where both have them."""
    both = old.get("baselines") and new.get("baselines")
    for pair in (
        *_top(old, new),
        *_listed(old, new),
        *_by_name(old, new, "limits", "used"),
        *(_by_name(old, new, "baselines", str(new.get("objective"))) if both else ()),
    ):
        if pair[2] is not None or pair[3] is not None:
            yield pair


def _top(old: Data, new: Data) -> Iterator[Pair]:
    yield "status", "text", old.get("status"), new.get("status")
    if old.get("objective") != new.get("objective"):
        yield "objective", "text", old.get("objective"), new.get("objective")
    names = dict.fromkeys([*(old.get("target") or {}), *(new.get("target") or {})])
    for name in names:
        a, b = ((side.get("target") or {}).get(name) for side in (old, new))
        yield f"required {words_of(name)}", dimension_of(name), a, b
    for section, keys in (("outcome", _OUTCOME), ("allocation", _MODEL)):
        first, second = old.get(section) or {}, new.get(section) or {}
        for key in keys:
            if key == "value" and "value" not in {old.get("objective"), new.get("objective")}:
                continue
            dimension = _PLAIN.get(key) or dimension_shown(key)
            yield words_of(key), dimension, first.get(key), second.get(key)
    for name in RESOURCES:
        key = outcome_key(name)
        a, b = ((side.get("outcome") or {}).get(key) for side in (old, new))
        yield words_of(name), dimension_of(name), a, b


def _listed(old: Data, new: Data) -> Iterator[Pair]:
    """Classes, and their policies and budgets where a class has few tasks."""
    first, second = old.get("allocation") or {}, new.get("allocation") or {}
    classes = [_named(side.get("classes", [])) for side in (first, second)]
    tasks = [_tasks(side) for side in (first, second)]
    for name in dict.fromkeys([*classes[0], *classes[1]]):
        a, b = classes[0].get(name, {}), classes[1].get(name, {})
        yield f"{name}: share", "percent", a.get("share"), b.get("share")
        yield f"{name}: accuracy", "percent", a.get("accuracy"), b.get("accuracy")
        yield (
            f"{name}: tokens per task",
            "tokens",
            a.get("expected_tokens"),
            b.get("expected_tokens"),
        )
        rows = [side.get(name, []) for side in tasks]
        if max(map(len, rows)) <= FEW:
            for i in range(max(map(len, rows))):
                one, other = ((side[i] if i < len(side) else {}) for side in rows)
                where = f"{name} {i + 1}" if max(map(len, rows)) > 1 else name
                yield f"{where}: policy", "text", _policy(one), _policy(other)
                budgets = [row.get("token_budget") for row in (one, other)]
                yield f"{where}: token budget", "tokens", budgets[0], budgets[1]


def _policy(row: Data) -> str | None:
    return row_words(row) if row else None


def _tasks(allocation: Data) -> dict[str, list[Data]]:
    tasks: dict[str, list[Data]] = {}
    for row in allocation.get("tasks", []):
        tasks.setdefault(row.get("name"), []).append(row)
    return tasks


def _named(rows: Sequence[Data]) -> dict[str, Data]:
    return {str(row.get("name")): row for row in rows}


def _by_name(old: Data, new: Data, section: str, key: str) -> Iterator[Pair]:
    first, second = (_named(side.get(section, [])) for side in (old, new))
    for name in dict.fromkeys([*first, *second]):
        a, b = first.get(name, {}), second.get(name, {})
        if section == "limits":
            unit = str((a or b).get("unit", ""))
            ratio = "tokens_per_parameter" in name
            dimension = dimension_shown(name) if ratio else dimension_of(name, unit)
            yield f"limit on {words_of(name)}", dimension, a.get("limit"), b.get("limit")
        else:
            words = f"baseline {words_of(name)}"
            yield words, dimension_of(key), a.get(key), b.get(key)


def _cell(value: Any, dimension: str) -> Value:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Measure(float(value), "number" if dimension == "text" else dimension)
    return None if value is None else str(value)


def _change(old: Any, new: Any, dimension: str) -> Value:
    drift = Drift("", old, new, "")
    if old == new:
        return "same"
    if dimension == "percent" and drift.change is not None:
        return Measure(new - old, "points")
    if dimension == "loss" and drift.change is not None:
        return Measure(new - old, "signed loss")
    if drift.change is not None:
        return Measure(drift.change, "change")
    return "changed"
