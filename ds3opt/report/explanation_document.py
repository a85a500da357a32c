"""The document of an explanation: tables that say why, one record for each rival, plain data."""

from __future__ import annotations

import math
from dataclasses import replace

from ds3opt.explain.explanation import (
    Branching,
    ClassExplanation,
    ContourPoint,
    Exchange,
    Explanation,
    Mechanism,
    Rival,
    TurningPoint,
)
from ds3opt.report import rows
from ds3opt.report.document import Column, Document, Table, table_of
from ds3opt.report.explanation_data import change_unit, explanation_data
from ds3opt.report.values import Interval, Measure, Phrase, Value
from ds3opt.report.words import objective_words, words_of

_FEW = 3
"""Things that hold a class back that are shown unless all are asked for."""
_TWO = (Column("quantity", ""), Column("value", "", "number"), Column("note", ""))
_AT_PRICE, _AT_LIMITS = "at the plan's price of compute", "under the plan's limits"
_ALWAYS, _NEVER = "always", "never"


def explanation_document(
    explanation: Explanation, *, version: str = "", sha256: str = "", every_row: bool = False
) -> Document:
    """Why the plan is as it is, in the order in which a planner asks."""
    solution = explanation.solution
    tables = (
        (rows.infeasibility(solution),)
        if rows.is_infeasible(solution)
        else (
            _plan(explanation),
            _rivals(explanation, every_row),
            _mechanisms(explanation, every_row),
            _turning_points(explanation),
            _branching(explanation),
            _depths(explanation),
            _effective_compute(explanation.exchange),
            _contour(explanation.exchange),
        )
    )
    return Document(
        title=f"{solution.scenario}: why this plan, {objective_words(solution)}",
        tables=(*tables, _left_out(explanation), rows.warnings(solution)),
        data=explanation_data(explanation, version=version, sha256=sha256),
        records=_records(explanation),
    )


def _change(explanation: Explanation, change: float) -> Measure:
    unit = change_unit(explanation)
    kinds = {"accuracy": "points", "value": "signed", "net_value": "signed money"}
    return Measure(change + 0.0, kinds[unit])


def _price(explanation: Explanation) -> Measure:
    """With every digit: what one percent brings is little."""
    measure = _change(explanation, explanation.price_per_percent)
    return replace(measure, dimension=measure.dimension.replace("points", "fine points"))


# -- the plan ---------------------------------------------------------------------------------


def _plan(explanation: Explanation) -> Table:
    solution = explanation.solution
    answer = rows.answer(solution)
    wanted = {
        words_of(name)
        for name in (
            *("parameters", "training_tokens", "loss", "accuracy", "training_flop"),
            *("inference_flop", solution.objective),
        )
    }
    kept = [row for row in answer.rows if row[0] in wanted]
    if explanation.price_per_percent > 0.0:
        kept.append(
            (
                "price of compute",
                _price(explanation),
                "for 1 % more of what serving takes, at the margin",
            )
        )
    return Table("Plan", _TWO, tuple(kept), header=False)


# -- policies ---------------------------------------------------------------------------------


def _shown(one: ClassExplanation, every_row: bool) -> list[Rival]:
    """Those of the plan, the best other of each family, and no more unless all are asked for."""
    if every_row:
        return list(one.rivals)
    seen: set[str] = set()
    kept = []
    for rival in one.rivals:
        if rival.chosen:
            kept.append(rival)
        elif rival.family not in seen:
            seen.add(rival.family)
            kept.append(rival)
    return kept


def _rivals(explanation: Explanation, every_row: bool) -> Table:
    listed = [(one, rival) for one in explanation.classes for rival in _shown(one, every_row)]

    def budget(item: tuple[ClassExplanation, Rival]) -> Value:
        low, high = item[1].token_budget
        return Interval(low, high, "tokens") if high > 0.0 else None

    def forced(item: tuple[ClassExplanation, Rival]) -> Value:
        if item[1].chosen:
            return "in the plan"
        return _change(explanation, -item[1].lost)

    priced = explanation.price_per_percent > 0.0
    table = table_of(
        f"Policies at their best, {_AT_PRICE if priced else _AT_LIMITS}",
        listed,
        (Column("class", "class"), lambda item: item[0].name),
        (Column("policy", "policy"), lambda item: item[1].policy),
        (Column("token_budget", "token budget", "tokens"), budget),
        (Column("tokens", "tokens/task", "tokens, short"), lambda item: item[1].tokens),
        (Column("flop", "FLOP/task", "flop, short"), lambda item: item[1].flop),
        (Column("accuracy", "accuracy", "percent"), lambda item: item[1].accuracy),
        (Column("forced", "forced, at best", "number"), forced),
        (
            Column("own", "own compute", "percent"),
            lambda item: item[1].accuracy_at_own_compute,
        ),
    ).without_empty(keep=("class", "policy"))
    footer = (
        "forced: what the objective changes by at best, with this model, if the class must use the "
        "policy"
    )
    if any(rival.accuracy_at_own_compute is not None for _, rival in listed):
        footer += "; own compute: accuracy for what the class spends in the plan"
    return replace(table, footer=footer if listed else "")


def _mechanisms(explanation: Explanation, every_row: bool) -> Table:
    listed: list[tuple[ClassExplanation, Mechanism | None]] = []
    for one in explanation.classes:
        found = one.mechanisms if every_row else one.mechanisms[:_FEW]
        listed += [(one, mechanism) for mechanism in found] or [(one, None)]
    if not any(mechanism for _, mechanism in listed):
        return Table("What holds each class back", (), ())
    return table_of(
        "What holds each class back, the strongest first",
        listed,
        (Column("class", "class"), lambda item: item[0].name),
        (Column("accuracy", "accuracy", "percent"), lambda item: item[0].accuracy),
        (
            Column("mechanism", "held back by"),
            lambda item: item[1].words if item[1] else "nothing that would gain anything",
        ),
        (Column("without", "without it", "percent"), lambda i: i[1].accuracy if i[1] else None),
        (
            Column("gain", "objective, at most", "number"),
            lambda i: _change(explanation, i[1].gain) if i[1] else None,
        ),
        (Column("policy", "policy then"), lambda item: item[1].policy if item[1] else None),
    )


def _turning_points(explanation: Explanation) -> Table:
    listed = [
        (one, point)
        for one in explanation.classes
        for point in one.turning_points
        if point.below is not None or point.above is not None
    ]

    def at(value: float | None, point: TurningPoint) -> Value:
        return None if value is None else Measure(value, point.dimension)

    def kind(family: str | None) -> Value:
        return None if family is None else family.replace("_", " ")

    table = table_of(
        "What would change the kind of policy, all else as in the plan",
        listed,
        (Column("class", "class"), lambda item: item[0].name),
        (Column("quantity", "quantity"), lambda item: item[1].words),
        (Column("now", "now", "number"), lambda item: at(item[1].now, item[1])),
        (Column("below", "below", "number"), lambda item: at(item[1].below, item[1])),
        (Column("policy_below", "best there"), lambda item: kind(item[1].policy_below)),
        (Column("above", "above", "number"), lambda item: at(item[1].above, item[1])),
        (Column("policy_above", "best there"), lambda item: kind(item[1].policy_above)),
    )
    footer = (
        "found on a grid that closes in, for the task whose success is nearest to its class's mean"
    )
    return replace(table, footer=footer if listed else "")


# -- chain or tree, and depth -----------------------------------------------------------------


def _branching(explanation: Explanation) -> Table:
    def below(crossover: float) -> Value:
        if crossover >= 1.0:
            return _ALWAYS
        return _NEVER if crossover <= 0.0 else Measure(crossover, "percent")

    def better(row: Branching) -> Value:
        return f"{row.better}{'' if row.offered else ', if steps were judged'}"

    return table_of(
        "Chain or tree of thought for the same FLOP: the exact rule without fatigue",
        explanation.branching,
        (Column("class", "class"), lambda row: row.name),
        (Column("reasoning_level", "reasons at"), lambda row: row.reasoning_level),
        (Column("skills", "skills", "whole"), lambda row: row.skills),
        (Column("branches", "branches", "whole"), lambda row: row.branches),
        (Column("steps", "chain steps", "number"), lambda row: row.steps),
        (Column("levels", "tree levels", "number"), lambda row: row.levels),
        (Column("r", "step success", "percent"), lambda row: row.step_success),
        (Column("crossover", "tree below", "number"), lambda row: below(row.crossover)),
        (
            Column("continuous", "real steps", "number"),
            lambda row: below(row.crossover_continuous),
        ),
        (Column("threshold", "at length", "percent"), lambda row: row.threshold),
        (Column("better", "better"), better),
    ).without_empty()


def _depths(explanation: Explanation) -> Table:
    return table_of(
        "Depth: how steeply the success of one skill rises with step success (DS3 Theorem 2)",
        explanation.depths,
        (Column("class", "class"), lambda row: row.name),
        (Column("reasoning_level", "reasons at"), lambda row: row.reasoning_level),
        (Column("r", "step success", "percent"), lambda row: row.step_success),
        (Column("steps", "steps per skill", "number"), lambda row: row.steps_per_skill),
        (Column("now", "slope, of one step's", "number"), lambda row: row.amplification),
        (Column("steepest", "steepest at", "whole"), lambda row: row.steepest),
        (Column("largest", "slope there", "number"), lambda row: row.largest),
        (
            Column("more", "one more step"),
            lambda row: "steepens" if row.steps_per_skill + 1.0 <= row.steepest else "flattens",
        ),
    ).without_empty()


# -- training against inference ---------------------------------------------------------------


def _effective_compute(rate: Exchange | None) -> Table:
    if rate is None:
        return Table("Effective compute", _TWO, ())
    a, b = rate.training_exponent, rate.inference_exponent
    found: list[tuple[Value, Value, Value]] = [
        ("a, training", Measure(a, "fine points"), "of accuracy per decade of training FLOP"),
        ("b, inference", Measure(b, "fine points"), "of accuracy per decade of inference FLOP"),
    ]
    if a >= 0.0 and b >= 0.0 and a + b > 0.0:
        found.append(
            (
                "effective compute",
                Measure(effective_flop(rate), "flop"),
                Phrase(
                    "weights {} training, {} inference",
                    (Measure(a / (a + b), "share"), Measure(b / (a + b), "share")),
                ),
            )
        )
    if rate.decades_per_decade is not None:
        found.append(
            (
                "one decade of training",
                Measure(rate.decades_per_decade, "number"),
                "decades of inference, at equal accuracy",
            )
        )
    if rate.flop_per_flop is not None:
        found.append(
            (
                "one FLOP of training",
                Measure(rate.flop_per_flop, "number"),
                "FLOP of inference saved at equal accuracy",
            )
        )
    aside = f"; limits set aside: {', '.join(rate.set_aside)}" if rate.set_aside else ""
    return Table(
        "Effective compute around the plan: a log(training) + b log(inference)",
        _TWO,
        tuple(found),
        header=False,
        footer=f"{rate.method}, {rate.decades:g} decades to either side{aside}",
    )


def effective_flop(rate: Exchange) -> float:
    """The weighted geometric mean of training and inference FLOP."""
    a, b = rate.training_exponent, rate.inference_exponent
    whole = (a * math.log(rate.training_flop) + b * math.log(rate.inference_flop)) / (a + b)
    return math.exp(whole)


def _contour(rate: Exchange | None) -> Table:
    if rate is None or not rate.contour:
        return Table("Training against inference", (), ())
    whole = rate.inference_flop
    before: dict[float, float | None] = {}
    last: ContourPoint | None = None
    for point in rate.contour:
        before[point.training_flop] = None if last is None else _slope(last, point)
        last = point

    def needed(point: ContourPoint) -> Value:
        if point.inference_flop is None:
            if point.too_little is None:
                return "unknown"
            return Phrase("over {}", (Measure(point.too_little, "flop, short"),))
        if point.too_little is None:
            return Measure(point.inference_flop, "flop, short")
        return Interval(point.too_little, point.inference_flop, "flop, short")

    table = table_of(
        "Training against inference at the plan's accuracy",
        rate.contour,
        (Column("training_flop", "training FLOP", "flop, short"), lambda p: p.training_flop),
        (
            Column("training_ratio", "plan's, times", "number"),
            lambda p: p.training_flop / rate.training_flop,
        ),
        (Column("inference_flop", "least inference FLOP", "number"), needed),
        (
            Column("inference_ratio", "plan's, times", "number"),
            lambda p: None if p.inference_flop is None else p.inference_flop / whole,
        ),
        (
            Column("slope", "decades per decade", "number"),
            lambda p: before[p.training_flop],
        ),
    )
    return replace(
        table,
        footer="least inference: between what certainly does not suffice and what does; decades of "
        "inference saved by a decade of training, since the row above",
    )


def _slope(low: ContourPoint, high: ContourPoint) -> float | None:
    if low.inference_flop is None or high.inference_flop is None:
        return None
    change = math.log(low.inference_flop / high.inference_flop)
    return change / math.log(high.training_flop / low.training_flop)


# -- the rest ---------------------------------------------------------------------------------


def _left_out(explanation: Explanation) -> Table:
    return table_of(
        "Left out", explanation.not_applicable, (Column("what", "what"), lambda words: words)
    )


def _records(explanation: Explanation) -> Table:
    """One row for each policy of each class."""
    listed = [(one, rival) for one in explanation.classes for rival in one.rivals]
    return table_of(
        "",
        listed,
        (Column("scenario", ""), lambda item: explanation.solution.scenario),
        (Column("class", ""), lambda item: item[0].name),
        (Column("class_share", ""), lambda item: item[0].share),
        (Column("class_accuracy", ""), lambda item: item[0].accuracy),
        (
            Column("binding", ""),
            lambda item: item[0].binding.code if item[0].binding else None,
        ),
        (Column("policy", ""), lambda item: item[1].policy),
        (Column("chosen", ""), lambda item: item[1].chosen),
        (Column("accuracy", ""), lambda item: item[1].accuracy),
        (Column("token_budget_min", ""), lambda item: item[1].token_budget[0]),
        (Column("token_budget_max", ""), lambda item: item[1].token_budget[1]),
        (Column("expected_tokens", ""), lambda item: item[1].tokens),
        (Column("inference_flop_per_task", ""), lambda item: item[1].flop),
        (Column(f"{change_unit(explanation)}_lost_at_least", ""), lambda item: item[1].lost),
        (
            Column("accuracy_at_own_compute", ""),
            lambda item: item[1].accuracy_at_own_compute,
        ),
    )
