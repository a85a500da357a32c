"""The document of a study over draws: tables for people, one record for each draw, plain data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from ds3opt.optimise.solution import BASELINES
from ds3opt.report import rows
from ds3opt.report.document import Column, Document, Table, table_of
from ds3opt.report.uncertainty_data import uncertainty_data
from ds3opt.report.uncertainty_plans import plan_tables
from ds3opt.report.values import Interval, Measure, Phrase, Value, shown
from ds3opt.report.words import ABSOLUTE, dimension_shown, lost_dimension, objective_words, words_of
from ds3opt.uncertainty.outcome import BEYOND
from ds3opt.uncertainty.study import Study
from ds3opt.uncertainty.summary import ClassOdds, PolicyOdds, Spread

_SHOWN = 0.01
"""Policies that are best in fewer draws, and lose more than the gap, are counted and not shown."""
_FEW = 40
"""Draws below which there is no quantile of 2.5 %."""
_WIDTHS = {"accuracy", "value", "net_value"}


def uncertainty_document(
    study: Study, *, version: str = "", sha256: str = "", every_row: bool = False
) -> Document:
    """How sure an answer is, in the order in which a planner asks."""
    point, spreads = study.point, study.spreads
    count = len(study.constants)
    constants = f"{count} uncertain constant{'' if count == 1 else 's'}"
    tables = (
        rows.infeasibility(point),
        _answer(study),
        _rules(study),
        _policies(study, every_row),
        _classes(spreads.classes),
        *plan_tables(study),
        _constants(study),
        _left_out(study),
        rows.warnings(point),
    )
    return Document(
        title=f"{point.scenario}: {objective_words(point)}, over {spreads.draws} draws of "
        f"{constants}",
        tables=tables,
        data=uncertainty_data(study, version=version, sha256=sha256),
        records=_records(study),
    )


# -- the answer -------------------------------------------------------------------------------


def _answer(study: Study) -> Table:
    spreads, objective = study.spreads, study.point.objective
    skipped = {"objective"} if objective in {one.name for one in spreads.amounts} else set()
    table = table_of(
        "Answer",
        [
            one
            for one in spreads.amounts
            if one.name not in skipped and not one.name.startswith(BEYOND)
        ],
        (Column("quantity", ""), lambda one: _name(study, one)),
        (Column("point", "point estimate", "number"), lambda one: _amount(study, one, one.point)),
        (Column("median", "median", "number"), lambda one: _amount(study, one, one.median)),
        (Column("interval", "95 % interval", "number"), lambda one: _interval(study, one)),
    )
    if not table.rows:
        row = ("no allocation is feasible in any of the draws",)
        return Table("Answer", (Column("quantity", ""),), (row,), header=False)
    told = [f"each draw certified within {_gap(study)}"]
    if spreads.draws < _FEW:
        told.append(f"intervals of fewer than {_FEW} draws are little more than their range")
    if spreads.infeasible:
        told.append(
            f"no allocation is feasible in {shown(spreads.infeasible, 'part')} of the draws"
        )
    if spreads.not_converged:
        told.append(f"{shown(spreads.not_converged, 'part')} of the draws stopped before that")
    return replace(table, footer="; ".join(told))


def _rules(study: Study) -> Table:
    """Fixed rules for training beside the optimum."""
    words = {f"{BEYOND}{name}": words for name, words in BASELINES}
    every = [one for one in study.spreads.amounts if one.name in words]
    found = [one for one in every if math.isfinite(one.median)]
    unit = "signed loss" if study.point.objective == "loss" else "change"
    return table_of(
        "Rules for training, against the optimum",
        found,
        (Column("rule", "rule"), lambda one: words[one.name]),
        (
            Column("point", "point estimate", "number"),
            lambda one: Measure(one.point, unit),
        ),
        (Column("median", "median", "number"), lambda one: Measure(one.median, unit)),
        (
            Column("interval", "95 % interval", "number"),
            lambda one: Interval(*one.interval, unit),
        ),
    )


def _gap(study: Study) -> str:
    objective = study.point.objective
    absolute = objective in ABSOLUTE
    return shown(study.spreads.gap, lost_dimension(objective) if absolute else "small percent")


def _name(study: Study, one: Spread) -> str:
    return words_of(study.point.objective if one.name == "objective" else one.name)


def _dimension(study: Study, one: Spread) -> str:
    return dimension_shown(study.point.objective if one.name == "objective" else one.name)


def _amount(study: Study, one: Spread, value: float | None) -> Measure:
    return Measure(value, _dimension(study, one))


def _interval(study: Study, one: Spread) -> Interval:
    return Interval(*one.interval, _dimension(study, one))


# -- classes and policies -----------------------------------------------------------------------


def _policies(study: Study, every_row: bool) -> Table:
    listed = [
        (odds, one)
        for odds in study.spreads.classes
        for one in odds.policies
        if every_row or one.best >= _SHOWN or one.in_plan or one.verdict in _OPEN
    ]
    left = sum(len(odds.policies) for odds in study.spreads.classes) - len(listed)
    unit = lost_dimension(study.point.objective)
    table = table_of(
        "Policies of every class",
        listed,
        (Column("class", "class"), lambda row: row[0].name),
        (Column("policy", "policy"), lambda row: row[1].policy),
        (Column("in_plan", "point plan"), lambda row: "yes" if row[1].in_plan else None),
        (Column("best", "best in", "part"), lambda row: row[1].best),
        (Column("served", "serves", "part"), lambda row: row[1].served),
        (
            Column("lost", "alone it loses", "number"),
            lambda row: None if row[1].lost.mean == 0.0 else Measure(row[1].lost.mean, unit),
        ),
        (Column("verdict", "verdict"), lambda row: _verdict(row[0], row[1])),
    )
    # where a resource is least, a policy costs accuracy at what the plan's resources are worth
    of = "the objective" if study.point.objective in _WIDTHS else "accuracy for the same resources"
    told = f"best in: share of the draws; alone it loses: mean loss of {of}, at least, where "
    told += "the class may use no other policy"
    if any(_unserved(odds) for odds in study.spreads.classes):
        told += "; in the draws that are left a class is not served"
    if left:
        told += f"; {left} more that are told apart from the best are left out, -v shows them"
    return replace(table, footer=told if listed else "")


def _unserved(odds: ClassOdds) -> bool:
    return bool(odds.policies) and math.fsum(one.best for one in odds.policies) < 1.0 - 1e-9


_OPEN = {"not told apart", "no difference"}


def _verdict(odds: ClassOdds, one: PolicyOdds) -> Value:
    leading = odds.policies[0].policy
    if one.verdict == "leading":
        return "leading"
    if one.verdict == "not told apart":
        return Phrase(
            f"not told apart from {leading}: as good in {{}} of the draws",
            (Measure(one.as_good, "part"),),
        )
    if one.verdict == "no difference":
        return f"no difference to {leading}: within the gap"
    return "worse"


def _classes(classes: Sequence[ClassOdds]) -> Table:
    def spread(of: Callable[[ClassOdds], Spread], dimension: str) -> Callable[[ClassOdds], Value]:
        return lambda one: Interval(*of(one).interval, dimension)

    return table_of(
        "Classes",
        classes,
        (Column("class", "class"), lambda one: one.name),
        (Column("point", "accuracy", "percent"), lambda one: one.accuracy.point),
        (
            Column("accuracy", "95 % interval", "number"),
            spread(lambda one: one.accuracy, "percent"),
        ),
        (Column("tokens_point", "tokens per task", "tokens, short"), lambda one: one.tokens.point),
        (
            Column("tokens", "95 % interval", "number"),
            spread(lambda one: one.tokens, "tokens, short"),
        ),
    )


# -- what is uncertain ------------------------------------------------------------------------


def _constants(study: Study) -> Table:
    return table_of(
        "Uncertain constants",
        study.constants,
        (Column("constant", "constant"), lambda row: row[0].label),
        (
            Column("value", "value", "number"),
            lambda row: Measure(row[0].value, row[0].dimension),
        ),
        (
            Column("interval", "95 % of the draws", "number"),
            lambda row: Interval(*row[1].interval, row[0].dimension),
        ),
        (Column("source", "from"), lambda row: row[0].source),
    )


def _left_out(study: Study) -> Table:
    table = table_of("Left out", study.left_out, (Column("what", ""), lambda row: row))
    return replace(table, header=False)


def _records(study: Study) -> Table:
    """One row for each draw: its constants, then its optimum."""
    names = [one.name for one in study.spreads.amounts]
    constants = [constant.path for constant, _ in study.constants]
    values = study.sample.values
    columns = ["draw", "status", *constants, *names, "with_the_point_model"]
    return Table(
        "",
        tuple(Column(name, "") for name in columns),
        tuple(
            (
                one.index + 1,
                one.status,
                *(float(value) for value in values[one.index]),
                *(one.amounts.get(name) for name in names),
                one.kept,
            )
            for one in study.outcomes
        ),
    )
