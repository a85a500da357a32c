"""The document of a sensitivity study: which number matters, and which to measure next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ds3opt.report import rows
from ds3opt.report.document import Column, Document, Table, table_of
from ds3opt.report.sensitivity_data import AMOUNTS, sensitivity_data
from ds3opt.report.values import Interval, Measure, Noisy, Phrase, Value, shown
from ds3opt.report.words import dimension_of, dimension_shown, objective_words, words_of
from ds3opt.uncertainty.sensitivity.elasticity import Elasticities, Elasticity
from ds3opt.uncertainty.sensitivity.information import Share, Worth
from ds3opt.uncertainty.sensitivity.study import Known, Sensitivity
from ds3opt.uncertainty.sensitivity.tornado import Bar

_ROWS = 15
"""Elasticities shown without -v."""
_SHORT = {
    "parameters": "N",
    "training_tokens": "D",
    "expected_tokens": "tokens per task",
}


def sensitivity_document(
    study: Sensitivity, *, version: str = "", sha256: str = "", every_row: bool = False
) -> Document:
    """Elasticities, both ends of what is uncertain, and what to measure next."""
    point = study.point
    tables: tuple[Table, ...]
    if study.elasticities is None:
        tables = (rows.infeasibility(point), rows.warnings(point))
        title = rows.title(point)
    else:
        tables = (
            _elasticities(study, study.elasticities, every_row),
            _tornado(study),
            _information(study),
            table_of("Measure next", _advice(study), (Column("advice", ""), lambda row: row)),
            table_of("Left out", study.left_out, (Column("what", ""), lambda row: row)),
        )
        tables = tuple(replace(one, header=False) if one.title in _PLAIN else one for one in tables)
        title = f"{point.scenario}: {objective_words(point)}, which number matters"
    return Document(
        title=title,
        tables=tables,
        data=sensitivity_data(study, version=version, sha256=sha256),
        records=_records(study),
    )


_PLAIN = ("Measure next", "Left out")


# -- elasticities -----------------------------------------------------------------------------


def _elasticities(study: Sensitivity, found: Elasticities, every_row: bool) -> Table:
    listed = found.found if every_row else found.found[:_ROWS]
    names = [name for name in AMOUNTS if any(name in one.effects for one in found.found)]
    accuracy = study.point.objective == "accuracy"

    def words(name: str) -> str:
        if name == "objective":
            unit = "points" if accuracy else "%"
            return f"{words_of(study.point.objective)}, {unit}"
        return f"{_SHORT[name]}, %"

    def cell(name: str, one: Elasticity) -> Value:
        effect = one.effects.get(name)
        return None if effect is None else Noisy(effect.value, effect.noise)

    columns = [
        (Column("constant", "constant"), lambda one: one.constant.label),
        (Column("value", "value", "number"), _value),
        *(
            (Column(name, words(name), "number"), lambda one, name=name: cell(name, one))
            for name in names
        ),
        (Column("steps", "steps"), lambda one: None if one.steps == "central" else one.steps),
    ]
    table = table_of("What 1 % more of a number changes", listed, *columns).without_empty()
    return replace(table, footer=_footer(found, len(listed)))


def _value(one: Elasticity) -> Value:
    return Measure(one.constant.value, one.constant.dimension)


def _footer(found: Elasticities, listed: int) -> str:
    told = ["everything chosen anew at every step; 0 within: not told from none by the solver"]
    if len(found.found) > listed:
        told.append(f"{len(found.found) - listed} more with smaller effects, -v shows them")
    if found.without_effect:
        count = len(found.without_effect)
        told.append(f"{count} without effect on the objective")
    if found.no_relative_change:
        told.append(f"{len(found.no_relative_change)} that are 0 or cannot move")
    return "; ".join(told)


# -- both ends --------------------------------------------------------------------------------


def _tornado(study: Sensitivity) -> Table:
    table = table_of(
        "Both ends of what is uncertain",
        study.bars,
        (Column("constant", "constant"), _shifted),
        (Column("interval", "from, to", "number"), _interval),
        *(
            (Column(f"{name}_{where}_end", f"{_amount(study, name)}, {where} end", "number"), cell)
            for name in ("objective", "parameters", "training_tokens")
            for end, where in enumerate(("low", "high"))
            for cell in [_end(study, name, end)]
        ),
    ).without_empty(keep=("constant", "interval"))
    told = "2.5 % and 97.5 % quantile, the others at their value, everything chosen anew"
    if any(one.with_others for one in study.bars):
        told += "; * constants drawn with it move to where they are on average then"
    return replace(table, footer=told if study.bars else "")


def _amount(study: Sensitivity, name: str) -> str:
    return words_of(study.point.objective) if name == "objective" else _SHORT[name]


def _end(study: Sensitivity, name: str, end: int) -> Callable[[Bar], Value]:
    own = name == "objective"
    dimension = dimension_shown(study.point.objective if own else name) + ("" if own else ", short")

    def cell(one: Bar) -> Value:
        if one.solutions[end] is None:
            return "infeasible"
        value = one.amounts(name)[end]
        return None if value is None else Measure(value, dimension)

    return cell


def _interval(one: Bar) -> Value:
    low, high = one.ends
    return Interval(low, high, one.constant.dimension)


def _shifted(one: Bar) -> str:
    return one.constant.label + (" *" if one.with_others else "")


# -- what to measure --------------------------------------------------------------------------


def _information(study: Sensitivity) -> Table:
    objective = study.point.objective

    def share(name: str, one: Known) -> Value:
        found = one.shares.get(name)
        return None if found is None else _share(found)

    table = table_of(
        "What knowing it exactly would remove",
        study.known,
        (Column("constant", "constant"), lambda one: one.label),
        (
            Column("regret_removed", "expected regret", "number"),
            lambda one: None if one.removed is None else _worth(study, one.removed),
        ),
        (
            Column("objective", f"variance of {words_of(objective)}", "number"),
            lambda one: share("objective", one),
        ),
        (Column("parameters", "of ln N", "number"), lambda one: share("parameters", one)),
        (Column("training_tokens", "of ln D", "number"), lambda one: share("training_tokens", one)),
    ).without_empty()
    if study.sample is None:
        return table
    told = [f"{len(study.sample)} draws; 0 within: not told from none at two standard errors"]
    if study.infeasible:
        told.append(f"{shown(study.infeasible, 'part')} of them infeasible and left out")
    if study.regret is not None:
        told.append(
            f"expected regret: of the best of {study.plans} plans before anything is known, "
            f"{shown(_worth(study, study.regret))}"
        )
    return replace(table, footer="; ".join(told))


def _share(one: Share) -> Noisy:
    return Noisy(100.0 * one.value, 200.0 * one.standard_error, " %", signed=False)


def _worth(study: Sensitivity, one: Worth) -> Noisy:
    if study.point.objective == "accuracy":
        unit = " points"
        return Noisy(100.0 * one.value, 200.0 * one.standard_error, unit, signed=False)
    return Noisy(one.value, 2.0 * one.standard_error, signed=False)


def _advice(study: Sensitivity) -> tuple[Value, ...]:
    if study.sample is None or not study.known:
        return ()
    told: list[Value] = []
    following, most = study.measure_next, study.explains_most
    if following is not None and following.removed is not None and study.regret is not None:
        told.append(
            Phrase(
                f"{following.label}: knowing it before choosing removes {{}} of the {{}} of "
                "expected regret",
                (_worth(study, following.removed), _worth(study, study.regret)),
            )
        )
    elif study.regret is not None:
        told.append(
            Phrase(
                "no single measurement is seen to be worth more than the gap, {}",
                (_gap(study),),
            )
        )
    if most is not None:
        share = _share(most.shares["objective"])
        objective = words_of(study.point.objective)
        half = most.shares["objective"].value >= 0.5
        much, least = ("most of what", "") if half else ("more of what", " than any other")
        told.append(
            Phrase(
                f"{most.label} explains {much} is uncertain about the {objective}{least}: {{}} of "
                "the variance",
                (share,),
            )
        )
    elif study.regret is None:
        told.append("no constant alone explains a clear part of the variance of the objective")
    return tuple(told)


def _gap(study: Sensitivity) -> Measure:
    if study.point.objective == "accuracy":
        return Measure(study.gap, "small points")
    return Measure(study.gap, dimension_of(study.point.objective))


# -- records ----------------------------------------------------------------------------------


def _records(study: Sensitivity) -> Table:
    """One row for each number: its elasticities, both ends, and what knowing it removes."""
    elastic = {one.constant.path: one for one in _found(study)}
    bars = {bar.constant.path: bar for bar in study.bars}
    known = {constant.path: one for one in study.known for constant in one.constants}
    constants = {path: one.constant for path, one in elastic.items()}
    constants |= {path: bar.constant for path, bar in bars.items() if path not in constants}
    for still in () if study.elasticities is None else study.elasticities.without_effect:
        constants.setdefault(still.path, still)
    columns = ["path", "label", "value", "drawn_with"]
    columns += [f"{name}_per_percent{more}" for name in AMOUNTS for more in ("", "_noise")]
    columns += ["low", "high"]
    columns += [f"{name}_at_{end}" for name in AMOUNTS for end in ("low", "high")]
    columns += ["regret_removed", "regret_removed_standard_error"]
    shared = ("objective", "parameters", "training_tokens")
    columns += [
        f"{name}_variance_removed{more}" for name in shared for more in ("", "_standard_error")
    ]
    table = []
    for path, constant in constants.items():
        row: list[Value] = [path, constant.label, constant.value]
        bar, known_one = bars.get(path), known.get(path)
        row.append(" ".join(bar.with_others) if bar is not None and bar.with_others else None)
        for name in AMOUNTS:
            effect = elastic[path].effects.get(name) if path in elastic else None
            row += [None, None] if effect is None else [effect.value, effect.noise]
        row += [None, None] if bar is None else list(bar.ends)
        for name in AMOUNTS:
            row += [None, None] if bar is None else list(bar.amounts(name))
        worth = None if known_one is None else known_one.removed
        row += [None, None] if worth is None else [worth.value, worth.standard_error]
        for name in shared:
            share = None if known_one is None else known_one.shares.get(name)
            row += [None, None] if share is None else [share.value, share.standard_error]
        table.append(tuple(row))
    return Table("", tuple(Column(name, "") for name in columns), tuple(table))


def _found(study: Sensitivity) -> tuple[Elasticity, ...]:
    return () if study.elasticities is None else study.elasticities.found
