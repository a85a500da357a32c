"""Tables of plans under draws: what acting on the point estimate risks, and the robust plan."""

from __future__ import annotations

from dataclasses import replace

from ds3opt.report.document import Column, Table, table_of
from ds3opt.report.values import Certified, Interval, Measure, Phrase, Value, shown
from ds3opt.report.words import dimension_of, lost_dimension, words_of
from ds3opt.uncertainty.plan_risk import LimitRisk, PlanRisk
from ds3opt.uncertainty.study import Study
from ds3opt.uncertainty.summary import Regret


def plan_tables(study: Study) -> tuple[Table, ...]:
    """Regret, broken limits and the robust plan, as far as there are any."""
    return (_acting(study), _limits(study.plan), _robust(study), _robust_rows(study))


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
    return Measure(value, lost_dimension(study.point.objective))


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
    mean = "mean " if plan.tail == 1.0 else f"mean of the worst {shown(plan.tail, 'part')}, "
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
    over = "all draws" if tail == 1.0 else f"the worst {shown(tail, 'part')} of the draws"
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
