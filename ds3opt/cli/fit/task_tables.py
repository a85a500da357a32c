"""The report of ``ds3opt fit tasks``: constants, fit, rows explained and rows predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ds3opt.cli.fit.observed import Observed
    from ds3opt.fit.doubts import Doubt
    from ds3opt.fit.tasks import TasksFit
    from ds3opt.laws._types import FloatArray
    from ds3opt.report.document import Document, Table
    from ds3opt.report.values import Value
    from ds3opt.schema.law_file import TasksFile

SYMBOLS = {"difficulty": "L0", "skills": "m", "directionality": "iota", "fatigue": "h"}


@dataclass(frozen=True)
class FittedClass:
    """One class: its rows, its fit and what is doubtful about it."""

    name: str
    given: Observed
    fit: TasksFit
    draws: FloatArray
    doubts: tuple[Doubt, ...]


def document(fitted: Sequence[FittedClass], found: TasksFile) -> Document:
    """Every class, one after the other."""
    from ds3opt.cli.fit.table import warnings_data, warnings_table
    from ds3opt.report.document import Column, Document, Table

    tables: list[Table] = []
    warned: list[tuple[Value, ...]] = []
    records: list[tuple[Value, ...]] = []
    data = found.model_dump(exclude={"classes": {name: {"draws"} for name in found.classes}})
    for one in fitted:
        several = f" of {one.name}" if len(fitted) > 1 else ""
        tables += [
            _constants_table(f"Constants{several}", one.fit),
            _fit_table(f"Fit{several}", one),
            _rows_table(f"Measured and explained{several}", one, asked=False),
            _rows_table(f"Predicted{several}", one, asked=True),
        ]
        about = f"{one.name}: " if several else ""
        warned += [
            (about + str(row[0]),) for row in warnings_table(one.given.given, one.doubts).rows
        ]
        data["classes"][one.name]["warnings"] = warnings_data(one.given.given, one.doubts)
        data["classes"][one.name]["rows"] = _rows_data(one)
        records += [(one.name, *row) for row in _constants_records(one.fit)]
    tables.append(Table("Warnings", (Column("message", ""),), tuple(warned), header=False))
    plain = (
        Column("class", "class"),
        Column("constant", "constant"),
        Column("value", "value", "number"),
        Column("low", "95 % from", "number"),
        Column("high", "to", "number"),
        Column("known", "known"),
    )
    rows = "1 row" if found.data.rows == 1 else f"{found.data.rows} rows"
    title = f"{found.name}: classes of tasks from {rows} of {found.data.file}, "
    title += f"loss by {found.loss}, {found.tokens_per_step:g} tokens a step"
    return Document(
        title,
        tuple(tables),
        {"schema_version": 1, **data},
        Table("", plain, tuple(records)),
    )


def known_words(fit: TasksFit, name: str) -> str:
    """How much the data say of a constant."""
    if name in fit.held:
        return "given"
    one = fit.profiles[name]
    if one.unknown or (one.open_below and one.low == one.high):
        return "not identified"
    if one.open_below:
        return "upper end only"
    if one.open_above:
        return "lower end only"
    blended = [names for names in fit.blends() if name in names and len(names) > 1]
    return "in combination" if blended else "yes"


def _constants_table(title: str, fit: TasksFit) -> Table:
    from ds3opt.report.document import Column, Table
    from ds3opt.report.values import Measure

    rows: list[tuple[Value, ...]] = []
    for name, value in fit.values.items():
        one = fit.profiles.get(name)
        kind = "whole" if name == "skills" else "number"
        ends = (None, None) if one is None else (Measure(one.low, kind), Measure(one.high, kind))
        rows.append((name, SYMBOLS[name], Measure(value, kind), *ends, known_words(fit, name)))
    columns = (
        Column("constant", "constant"),
        Column("symbol", ""),
        Column("value", "value", "number"),
        Column("low", "95 % from", "number"),
        Column("high", "to", "number"),
        Column("known", "identified"),
    )
    return Table(title, columns, tuple(rows))


def _constants_records(fit: TasksFit) -> list[tuple[Value, ...]]:
    rows: list[tuple[Value, ...]] = []
    for name, value in fit.values.items():
        one = fit.profiles.get(name)
        ends = (None, None) if one is None else (one.low, one.high)
        rows.append((name, value, *ends, known_words(fit, name)))
    return rows


def _fit_table(title: str, one: FittedClass) -> Table:
    from ds3opt.report.document import Column, Table
    from ds3opt.report.values import Interval, Measure

    fit, rows = one.fit, one.given.measured
    good = f"deviance {fit.deviance:.3g}, {fit.freedom} degrees of freedom"
    if fit.chance is not None:
        good += f", chance of as much {100 * fit.chance:.2g} %"
    measured = rows.accuracy
    shown: list[tuple[Value, Value]] = [
        ("rows", Measure(len(rows), "whole")),
        ("goodness of fit", good),
        ("largest difference", Measure(_largest(one), "points")),
        ("starts that agree", f"{fit.agreeing} of {fit.followed} followed, of {fit.starts}"),
        (
            "fitted on loss",
            Interval(float(rows.loss.min()), float(rows.loss.max()), "number"),
        ),
        (
            "fitted on accuracies",
            Interval(float(measured.min()), float(measured.max()), "percent"),
        ),
    ]
    return Table(title, (Column("property", ""), Column("value", "")), tuple(shown), header=False)


def _largest(one: FittedClass) -> float:
    off = one.fit.accuracy() - one.given.measured.accuracy
    return float(off[int(abs(off).argmax())])


def _rows_data(one: FittedClass) -> list[dict[str, Any]]:
    """Every row with what the fit says of it."""
    import numpy as np

    from ds3opt.fit.task_model import CONSTANTS

    rows = one.given.every
    told = one.fit.accuracy(rows)
    ends = np.full((2, len(rows)), np.nan)
    if len(one.draws):
        drawn = one.fit.model.accuracy(one.fit.model.coordinates(one.draws), rows)
        ends = np.quantile(drawn, (0.025, 0.975), axis=0)
    residuals = dict(zip(one.given.of_measured, one.fit.residuals, strict=True))
    assert one.draws.shape[1] == len(CONSTANTS)
    data = []
    for index, row in enumerate(one.given.rows):
        unknown = math.isnan(row.accuracy)
        known = bool(np.isfinite(ends[0, index]))
        data.append(
            {
                "line": one.given.given.rows.records[index].line,
                "model": one.given.models[index] or None,
                "loss": row.loss,
                "policy": row.policy.as_dict(),
                "token_budget": row.token_budget,
                "problems": None if unknown else row.problems,
                "accuracy": None if unknown else row.accuracy,
                "explained": float(told[index]),
                "interval": [float(ends[0, index]), float(ends[1, index])] if known else None,
                "residual": None if unknown else float(-residuals[index]),
            }
        )
    return data


def _rows_table(title: str, one: FittedClass, *, asked: bool) -> Table:
    from ds3opt.report.document import Column, Table
    from ds3opt.report.values import Interval, Measure

    shown: list[tuple[Value, ...]] = []
    for row, told in zip(one.given.rows, _rows_data(one), strict=True):
        if math.isnan(row.accuracy) != asked:
            continue
        ends = told["interval"]
        words = f"coverage of {row.policy.samples}" if row.unjudged else row.policy.words()
        shown.append(
            (
                told["line"],
                told["model"],
                row.loss,
                words,
                Measure(row.token_budget, "tokens"),
                told["problems"],
                told["accuracy"],
                told["explained"],
                None if ends is None else Interval(ends[0], ends[1], "percent"),
                told["residual"],
            )
        )
    columns = (
        Column("line", "line", "whole"),
        Column("model", "model"),
        Column("loss", "loss", "number"),
        Column("policy", "policy"),
        Column("token_budget", "token budget"),
        Column("problems", "problems", "whole"),
        Column("accuracy", "measured", "percent"),
        Column("explained", "predicted" if asked else "explained", "percent"),
        Column("interval", "95 % interval"),
        Column("residual", "standard errors off", "signed"),
    )
    return Table(title, columns, tuple(shown)).without_empty()
