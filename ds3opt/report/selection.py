"""What repeated samples reach, as a document: targets, curve and plateaus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ds3opt.optimise.selection import ORACLE, Bought, Plateau, Reach, Selection
from ds3opt.report.document import Column, Document, Table, table_of
from ds3opt.report.values import Measure, Value


def selection_document(selection: Selection, population: Mapping[str, Any]) -> Document:
    """The answer for people and for machines.

    Parameters
    ----------
    population : what was given, by name, for the head of the answer and for JSON.
    """
    reach, curve = _reach(selection), _curve(selection)
    tables = [
        _population(selection, population),
        reach,
        _bought(selection),
        _plateaus(selection),
        curve,
    ]
    shown = tuple(table for table in tables if table.rows)
    records = reach if selection.reach else curve
    return Document("Repeated samples", shown, _data(selection, population), records)


def _population(selection: Selection, given: Mapping[str, Any]) -> Table:
    rows: list[tuple[Value, Value]] = [
        (name.replace("_", " "), _cell(v)) for name, v in given.items()
    ]
    rows.append(("solved by one sample", _percent(selection.single)))
    if selection.solvable is not None:
        rows.append(("solved by any number", _percent(selection.solvable)))
    columns = (Column("property", ""), Column("value", ""))
    return Table("Population", columns, tuple(rows), header=False)


def _cell(value: Any) -> Value:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _percent(share: float) -> Value:
    return Measure(share, "percent")


def _samples(one: Reach) -> Value:
    if one.samples is None:
        return None
    if one.samples >= 1e15 and one.log10_samples is not None:
        return f"10^{one.log10_samples:.4g}"
    return f"{one.samples:.0f}"


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


def _bought(selection: Selection) -> Table:
    def budget(one: Bought) -> Value:
        return Measure(one.budget.amount, "flop" if one.budget.unit == "FLOP" else "money")

    return table_of(
        "What a budget for one question reaches",
        selection.bought,
        (Column("budget", "budget"), budget),
        (Column("rule", "chosen by"), lambda one: one.rule),
        (Column("samples", "samples", "count, fixed"), lambda one: f"{one.samples:.0f}"),
        (Column("accuracy", "accuracy", "percent"), lambda one: one.accuracy),
    )


def _plateaus(selection: Selection) -> Table:
    def settled(one: Plateau) -> Value:
        return None if one.samples is None else str(one.samples)

    rows = [one for one in selection.plateaus if one.accuracy is not None]
    return table_of(
        "With ever more samples",
        rows,
        (Column("rule", "chosen by"), lambda one: one.rule),
        (Column("plateau", "accuracy", "percent"), lambda one: one.accuracy),
        (Column("samples", "within 1 % from", "count, fixed"), settled),
    ).without_empty()


def _curve(selection: Selection) -> Table:
    rules = [one.rule for one in selection.plateaus]
    columns = [Column("samples", "samples", "count, fixed")]
    columns += [Column(_key(rule), rule, "percent") for rule in rules]
    rows = tuple(
        (str(samples), *(values[rule] for rule in rules)) for samples, values in selection.curve
    )
    return Table("Accuracy by samples", tuple(columns), rows)


def _key(rule: str) -> str:
    """A rule as a name for machines.

    >>> _key("weighted vote, ratio 1.3"), _key("verifier that never errs")
    ('weighted_vote', 'coverage')
    """
    if rule == ORACLE:
        return "coverage"
    return rule.partition(",")[0].replace(" ", "_")


def _data(selection: Selection, population: Mapping[str, Any]) -> dict[str, Any]:
    return {
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
