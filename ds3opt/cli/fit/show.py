"""A law file as `ds3opt laws show` prints it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ds3opt.cli.fit.optimum import optimum_data, optimum_table
from ds3opt.cli.fit.report import constants_records, constants_table

if TYPE_CHECKING:
    from ds3opt.fit.bootstrap import Spread
    from ds3opt.report.document import Document, Table
    from ds3opt.report.values import Value
    from ds3opt.schema.fitted import Estimate
    from ds3opt.schema.law_file import LawFile


def law_file_document(found: LawFile, budgets: Sequence[float]) -> Document:
    """Constants, errors, ranges and diagnostics of a law file.

    Parameters
    ----------
    budgets : training FLOP at which a loss law is asked for its own optimum.
    """
    import numpy as np

    from ds3opt.report.document import Document
    from ds3opt.schema.fitted import parsed_draws
    from ds3opt.schema.law_file import CapabilityFile, LossLawFile, TasksFile
    from ds3opt.schema.model import LossCoefficients

    if isinstance(found, LossLawFile):
        table = _constants("Constants", found)
        law = LossCoefficients.model_validate(found.coefficients()).law()
        draws = parsed_draws(found.draws)[1] if found.draws else np.empty((0, len(found.values)))
        best = optimum_table(law, draws, budgets)
        tables: tuple[Table, ...] = (table, _about(found, "About"), best)
        data: dict[str, Any] = found.model_dump(exclude={"draws"})
        data["compute_optimal"] = optimum_data(law, draws, budgets)
        records = constants_records(found.values, _known(found), found.fixed)
    elif not isinstance(found, (CapabilityFile, TasksFile)):
        tables = (_constants("Constants", found), _about(found, "About"))
        data = found.model_dump(exclude={"draws"})
        records = constants_records(found.values, _known(found), found.fixed)
    else:
        key = "classes" if isinstance(found, TasksFile) else "tasks"
        every: Mapping[str, Estimate] = getattr(found, key)
        parts = [
            (_constants(f"Constants of {name}", one), _about(one, f"About {name}"))
            for name, one in every.items()
        ]
        tables = tuple(table for pair in parts for table in pair)
        data = found.model_dump(exclude={key: {name: {"draws"} for name in every}})
        records = _records(every)
    title = f"{found.name}: {found.source}"
    return Document(title, tables, {"schema_version": 1, **data}, records)


def _constants(title: str, found: Estimate) -> Table:
    return constants_table(title, found.values, _known(found), found.fixed)


def _known(found: Estimate) -> dict[str, Spread | None]:
    from ds3opt.fit.bootstrap import Spread

    return {
        name: Spread(found.standard_errors.get(name, math.nan), *found.intervals[name])
        for name in found.values
        if name in found.intervals
    }


def _records(tasks: Mapping[str, Estimate]) -> Table:
    from dataclasses import replace

    from ds3opt.report.document import Column

    tables = {
        name: constants_records(one.values, _known(one), one.fixed) for name, one in tasks.items()
    }
    rows = tuple((task, *row) for task, table in tables.items() for row in table.rows)
    first = next(iter(tables.values()))
    return replace(first, columns=(Column("task", "task"), *first.columns), rows=rows)


def _about(found: Estimate, title: str) -> Table:
    from ds3opt.report.document import Column, Table
    from ds3opt.report.values import Interval, Measure
    from ds3opt.report.words import dimension_shown, words_of

    rows: list[tuple[Value, Value]] = []
    for name in ("parameters", "training_tokens", "tokens_per_parameter", "loss", "samples"):
        ends = getattr(found.fitted_range, name)
        if ends is not None:
            low, high = ends
            plain = name in {"loss", "samples"}
            dimension = "number" if plain else dimension_shown(name)
            words = name if plain else words_of(name)
            rows.append((f"fitted on {words}", Interval(low, high, dimension)))
    for name, value in found.diagnostics.items():
        number = isinstance(value, (int, float))
        shown = Measure(float(value), "number") if number and value is not None else value
        rows.append((name.replace("_", " "), shown))
    return Table(title, (Column("property", ""), Column("value", "")), tuple(rows), header=False)
