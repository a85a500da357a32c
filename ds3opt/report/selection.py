"""What repeated samples reach, as a document: targets, curve and plateaus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ds3opt.optimise.selection import ORACLE, Bought, Plateau, Reach, Selection
from ds3opt.optimise.selection_draws import LEVEL, Ends, Sureness
from ds3opt.report.document import Column, Document, Table, table_of
from ds3opt.report.selection_draws import (
    ends_columns,
    reach_columns,
    reach_data,
    samples_text,
    sure_tables,
)
from ds3opt.report.values import Interval, Measure, Phrase, Value


def selection_document(
    selection: Selection, population: Mapping[str, Any], sure: Sureness | None = None
) -> Document:
    """The answer for people and for machines.

    Parameters
    ----------
    population : what was given, by name, for the head of the answer and for JSON.
    sure : what draws of the population say of the answer.
    """
    reach, curve = _reach(selection), _curve(selection, sure)
    tables = [
        _population(selection, population, sure),
        reach,
        *sure_tables(selection, sure),
        _bought(selection, sure),
        _plateaus(selection, sure),
        curve,
    ]
    shown = tuple(table for table in tables if table.rows)
    records = reach_columns(reach, sure) if selection.reach else curve
    return Document("Repeated samples", shown, _data(selection, population, sure), records)


def _population(selection: Selection, given: Mapping[str, Any], sure: Sureness | None) -> Table:
    rows: list[tuple[Value, Value]] = [
        (name.replace("_", " "), _cell(v)) for name, v in given.items()
    ]
    single, solvable = (None, None) if sure is None else (sure.single, sure.solvable)
    rows.append(("solved by one sample", _percent(selection.single, single)))
    if selection.solvable is not None:
        rows.append(("solved by any number", _percent(selection.solvable, solvable)))
    if sure is not None:
        rows.append(("draws of the fit", str(sure.draws)))
    columns = (Column("property", ""), Column("value", ""))
    return Table("Population", columns, tuple(rows), header=False)


def _cell(value: Any) -> Value:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _percent(share: float, ends: Ends | None = None) -> Value:
    if ends is None:
        return Measure(share, "percent")
    return Phrase("{}, 95 %: {}", (Measure(share, "percent"), Interval(*ends, "percent")))


def _samples(one: Reach) -> Value:
    return None if one.samples is None else samples_text(one.samples, one.log10_samples)


def _reach(selection: Selection) -> Table:
    columns = [
        (Column("target", "target", "percent"), lambda one: one.target),
        (Column("rule", "chosen by"), lambda one: one.rule),
        (Column("samples", "samples", "count, fixed"), _samples),
        (Column("flop", "FLOP", "flop, short"), lambda one: one.flop),
        (Column("usd", "cost", "money"), lambda one: one.usd),
        (Column("note", ""), lambda one: one.note or None),
    ]
    table = table_of("Samples for a target, for one question", selection.reach, *columns)
    return table.without_empty(keep=("target", "rule", "samples"))


def _bought(selection: Selection, sure: Sureness | None) -> Table:
    def budget(one: Bought) -> Value:
        return Measure(one.budget.amount, "flop" if one.budget.unit == "FLOP" else "money")

    table = table_of(
        "What a budget for one question reaches",
        selection.bought,
        (Column("budget", "budget"), budget),
        (Column("rule", "chosen by"), lambda one: one.rule),
        (Column("samples", "samples", "count, fixed"), lambda one: f"{one.samples:.0f}"),
        (Column("accuracy", "accuracy", "percent"), lambda one: one.accuracy),
    )
    return table if sure is None else ends_columns(table, {"accuracy": sure.bought})


def _plateaus(selection: Selection, sure: Sureness | None) -> Table:
    def settled(one: Plateau) -> Value:
        return None if one.samples is None else str(one.samples)

    known = [i for i, one in enumerate(selection.plateaus) if one.accuracy is not None]
    table = table_of(
        "With ever more samples",
        [selection.plateaus[i] for i in known],
        (Column("rule", "chosen by"), lambda one: one.rule),
        (Column("plateau", "accuracy", "percent"), lambda one: one.accuracy),
        (Column("samples", "within 1 % from", "count, fixed"), settled),
    )
    if sure is not None:
        table = ends_columns(table, {"plateau": [sure.plateaus[i] for i in known]})
    return table.without_empty()


def _curve(selection: Selection, sure: Sureness | None) -> Table:
    rules = [one.rule for one in selection.plateaus]
    columns = [Column("samples", "samples", "count, fixed")]
    columns += [Column(_key(rule), rule, "percent") for rule in rules]
    rows = tuple(
        (str(samples), *(values[rule] for rule in rules)) for samples, values in selection.curve
    )
    table = Table("Accuracy by samples", tuple(columns), rows)
    if sure is None:
        return table
    return ends_columns(table, {_key(rule): [at.get(rule) for at in sure.curve] for rule in rules})


def _key(rule: str) -> str:
    """A rule as a name for machines.

    >>> _key("weighted vote, ratio 1.3"), _key("verifier that never errs")
    ('weighted_vote', 'coverage')
    """
    if rule == ORACLE:
        return "coverage"
    return rule.partition(",")[0].replace(" ", "_")


def _data(
    selection: Selection, population: Mapping[str, Any], sure: Sureness | None
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "schema_version": 1,
        "population": {
            **population,
            "solvable": selection.solvable,
            "single": selection.single,
        },
        "targets": [
            {
                "target": one.target,
                "rule": _key(one.rule),
                "samples": one.samples,
                "log10_samples": one.log10_samples,
                "flop": one.flop,
                "usd": one.usd,
                "note": one.note,
            }
            for one in selection.reach
        ],
        "budgets": [
            {
                "budget": one.budget.amount,
                "unit": one.budget.unit,
                "rule": _key(one.rule),
                "samples": one.samples,
                "accuracy": one.accuracy,
            }
            for one in selection.bought
        ],
        "plateaus": [
            {"rule": _key(one.rule), "accuracy": one.accuracy, "within_1_percent_from": one.samples}
            for one in selection.plateaus
        ],
        "curve": [
            {"samples": samples, **{_key(rule): value for rule, value in values.items()}}
            for samples, values in selection.curve
        ],
    }
    if sure is None:
        return found
    found["population"] |= {"solvable_interval": sure.solvable, "single_interval": sure.single}
    for row, one in zip(found["targets"], sure.reach, strict=True):
        row["over_draws"] = reach_data(one)
    for name, drawn in (("budgets", sure.bought), ("plateaus", sure.plateaus)):
        for row, ends in zip(found[name], drawn, strict=True):
            row["accuracy_interval"] = ends
    for row, at in zip(found["curve"], sure.curve, strict=True):
        row["intervals"] = {_key(rule): ends for rule, ends in at.items()}
    return {**found, "draws": sure.draws, "interval_level": LEVEL}
