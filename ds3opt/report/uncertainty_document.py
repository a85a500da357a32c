"""The document of a study over draws: tables for people, one record for each draw, plain data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from ds3opt.optimise.solution import BASELINES
from ds3opt.report import rows
from ds3opt.report.document import Column, Document, Table, table_of
from ds3opt.report.uncertainty_data import uncertainty_data
from ds3opt.report.values import Certified, Interval, Measure, Phrase, Value
from ds3opt.report.words import dimension_of, dimension_shown, objective_words, words_of
from ds3opt.uncertainty.outcome import BEYOND
from ds3opt.uncertainty.plan_risk import LimitRisk, PlanRisk
from ds3opt.uncertainty.study import Study
from ds3opt.uncertainty.summary import ClassOdds, PolicyOdds, Regret, Spread

_SHOWN = 0.01
"""Policies that are best in fewer draws, and lose more than the gap, are counted and not shown."""
_FEW = 40
"""Draws below which there is no quantile of 2.5 %."""
_WIDTHS = {"accuracy", "value", "net_value"}
_ABSOLUTE = {*_WIDTHS, "loss"}
"""Objectives whose gaps and regrets are in their own unit, not relative."""


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
        _acting(study),
        _limits(study.plan),
        _robust(study),
        _robust_rows(study),
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
        told.append(f"no allocation is feasible in {_percent(spreads.infeasible)} of the draws")
    if spreads.not_converged:
        told.append(f"{_percent(spreads.not_converged)} of the draws stopped before that")
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
    from ds3opt.report.values import shown

    objective = study.point.objective
    if objective == "accuracy":
        return shown(study.spreads.gap, "small points")
    if objective in _ABSOLUTE:
        return shown(study.spreads.gap, _lost_dimension(study))
    return shown(study.spreads.gap, "small percent")


def _percent(share: float) -> str:
    from ds3opt.report.values import shown

    return shown(share, "part")


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
    unit = _lost_dimension(study)
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


def _lost_dimension(study: Study) -> str:
    objective = study.point.objective
    if objective == "accuracy" or objective not in _ABSOLUTE:
        return "small points"
    return dimension_of(objective)


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


# -- acting on the point estimate -----------------------------------------------------------------


def _acting(study: Study) -> Table:
    found: list[tuple[str, Regret]] = []
    if study.plan is not None and study.plan.regret is not None:
        found.append(("the plan as it is", study.plan.regret))
    if study.spreads.model_regret is not None:
        found.append(("its model, serving adapts", study.spreads.model_regret))
    if study.robust is not None and study.robust.risk.regret is not None:
        found.append(("the robust plan as it is", study.robust.risk.regret))
    table = table_of(
        "Regret: what is lost against knowing the constants",
        found,
        (Column("what", "kept whatever the draw"), lambda row: row[0]),
        (Column("mean", "mean", "number"), lambda row: _lost(study, row[1], row[1].mean)),
        (
            Column("worst", "in the worst draws", "number"),
            lambda row: _lost(study, row[1], row[1].quantiles[-1]),
        ),
        (Column("beyond_gap", "more than rounding in", "part"), lambda row: row[1].beyond_gap),
        (
            Column("impossible", "impossible in", "part"),
            lambda row: row[1].impossible or None,
        ),
    ).without_empty()
    footer = "worst draws: exceeded in 2.5 % of them"
    risks = [study.plan, None if study.robust is None else study.robust.risk]
    if any(limit.broken for risk in risks if risk is not None for limit in risk.limits):
        footer += "; a plan as it is serves only as many requests as the limits allow"
    if any(regret.impossible for _, regret in found):
        footer += "; impossible: the limits, or what is asked for, are out of reach"
    return replace(table, footer=footer)


def _lost(study: Study, regret: Regret, value: float) -> Measure:
    if regret.relative:
        return Measure(value, "small percent")
    return Measure(value, _lost_dimension(study))


def _allowed(plan: PlanRisk | None) -> str:
    """Heading of the limits; those that are uncertain are told by their median."""
    limits = () if plan is None else plan.limits
    return "allowed" + (
        ", median"
        if any(one.limit.quantiles[0] < one.limit.quantiles[-1] for one in limits)
        else ""
    )


def _limits(plan: PlanRisk | None) -> Table:
    def beyond(one: LimitRisk) -> Value:
        return Measure(one.beyond.quantiles[-1], "change") if one.broken else None

    return table_of(
        "Limits under the plan of the point estimate",
        () if plan is None else plan.limits,
        (Column("limit", "limit"), lambda one: words_of(one.name)),
        (
            Column("allowed", _allowed(plan), "number"),
            lambda one: Measure(one.limit.median, dimension_of(one.name)),
        ),
        (
            Column("used", "used, median", "number"),
            lambda one: Measure(one.used.median, dimension_of(one.name)),
        ),
        (
            Column("interval", "95 % interval", "number"),
            lambda one: Interval(*one.used.interval, dimension_of(one.name)),
        ),
        (Column("broken", "broken in", "part"), lambda one: one.broken),
        (Column("beyond", "beyond it, worst draws", "number"), beyond),
    ).without_empty()


# -- the robust plan --------------------------------------------------------------------------


def _robust(study: Study) -> Table:
    robust = study.robust
    title, columns = (
        _robust_title(study),
        (
            Column("quantity", ""),
            Column("value", "", "number"),
            Column("note", ""),
        ),
    )
    if robust is None:
        return Table(title, columns, ())
    plan, objective = robust.plan, study.point.objective
    dimension = dimension_of(objective)
    certified = Certified(plan.value, plan.upper, dimension, asked=plan.requested_gap)
    mean = "mean " if plan.tail == 1.0 else f"mean of the worst {_percent(plan.tail)}, "
    better = plan.value - robust.point_value
    unit = "points" if objective == "accuracy" else f"signed {dimension}"
    found: list[tuple[Value, ...]] = [
        (mean + words_of(objective), Measure(plan.value, dimension), certified),
        (
            "the point plan's",
            Measure(robust.point_value, dimension),
            _against_the_point(study, Measure(better, unit)),
        ),
        ("model size N", Measure(plan.plan.parameters, "parameters, fixed"), None),
        ("training tokens D", Measure(plan.plan.training_tokens, "tokens, fixed"), None),
    ]
    for limit in robust.risk.limits:
        broken = Phrase("on average; broken in {} of the draws", (Measure(limit.broken, "part"),))
        used = Measure(limit.used.mean, dimension_of(limit.name))
        found.append((words_of(limit.name), used, broken))
    return Table(title, columns, tuple(found), header=False)


def _against_the_point(study: Study, better: Measure) -> Phrase:
    """By how much the robust plan is better, and whether the point plan may be had at all."""
    limits = () if study.plan is None else study.plan.limits
    beyond = max((one.used.mean / one.limit.mean - 1.0 for one in limits), default=0.0)
    if beyond <= 1e-9:
        return Phrase("{} by the robust plan", (better,))
    return Phrase(
        "{} by the robust plan; uses {} of a limit on average",
        (better, Measure(1.0 + beyond, "percent")),
    )


def _robust_title(study: Study) -> str:
    tail = 1.0 if study.robust is None else study.robust.plan.tail
    over = "all draws" if tail == 1.0 else f"the worst {_percent(tail)} of the draws"
    return f"Robust plan: best on average over {over}, limits kept on average"


def _robust_rows(study: Study) -> Table:
    robust = study.robust
    return table_of(
        "Classes under the robust plan",
        () if robust is None else robust.rows,
        (Column("class", "class"), lambda row: row.name),
        (Column("policy", "policy"), lambda row: row.policy.words()),
        (
            Column("fraction", "part", "part"),
            lambda row: None if row.fraction > 1.0 - 1e-12 else row.fraction,
        ),
        (Column("token_budget", "token budget", "tokens, short"), lambda row: row.token_budget),
        (Column("accuracy", "mean accuracy", "percent"), lambda row: row.accuracy),
    ).without_empty()


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
