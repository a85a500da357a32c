"""The documents of ``ds3opt simulate``: means with intervals beside closed forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ds3opt.optimise.solution import Solution
from ds3opt.report.document import Column, Document, Table
from ds3opt.report.values import Interval, Measure, Phrase, Value
from ds3opt.report.words import dimension_shown
from ds3opt.simulate.answer import AnswerRow
from ds3opt.simulate.comparison import Comparison, Simulated, mix_estimate, together
from ds3opt.simulate.process import Process
from ds3opt.simulate.statistics import Estimate

FEW = 3
"""A class with more rows than this is summed up."""
_WORDS = {"success": "accuracy", "flop": "inference FLOP"}
_NAMES = {"success": "accuracy", "flop": "inference_flop"}
_DIMENSIONS = {
    "success": "percent",
    "steps": "number",
    "tokens": "tokens",
    "flop": "flop",
}
_UNITS = {"tokens": "tokens", "flop": "FLOP"}
_WORTH_SAYING = 1e-3
"""Relative difference of charged and exact FLOP from which a note is made of it."""
_SAME = " "


def answer_document(
    solution: Solution,
    rows: Sequence[AnswerRow],
    found: Comparison,
    *,
    whole: bool,
    own: str | None,
    version: str,
    sha256: str,
    every_row: bool,
) -> Document:
    """The simulated rows of an answer.

    Parameters
    ----------
    whole : whether these are all rows of the answer.
    own : name of the user's function that made the processes, if one did.
    """
    mix = mix_estimate(found, rows) if whole and len(rows) > 1 and found.simulated else None
    lines = _lines(found, every_row=every_row)
    what = "policies" if own is None else f"process {own}"
    return Document(
        title=f"{solution.scenario}: {what} of the answer, {_runs_words(found)}",
        tables=(
            _model(solution),
            _table("Simulated beside the closed forms", lines, mix, found),
            _not_simulated(rows),
            _notes([*_about_rows(found), *_about_answer(solution, rows)]),
        ),
        data={
            "schema_version": 1,
            "scenario": solution.scenario,
            "process": own,
            **_run_data(found),
            "parameters": solution.parameters,
            "training_tokens": solution.training_tokens,
            "loss": solution.loss,
            "accuracy": None if mix is None else _estimate_data(mix),
            "rows": [
                *(_row_data(one) for one in found.simulated),
                *(_left_out(row) for row in rows if row.task is None),
            ],
            "provenance": {"ds3opt_version": version, "scenario_sha256": sha256},
        },
        records=_records(found),
    )


def process_document(name: str, process: Process, found: Comparison, *, version: str) -> Document:
    """A process of the user's own."""
    (one,) = found.simulated
    compared = bool(process.closed_form)
    title = "Simulated beside the closed forms" if compared else "Simulated"
    return Document(
        title=f"{name}: {_runs_words(found)}",
        tables=(
            _table(title, [(name, _SAME, one.estimates)], None, found),
            _notes(_about(one, "")),
        ),
        data={
            "schema_version": 1,
            "process": name,
            **_run_data(found),
            "cut_off": one.cut,
            "refused_branches": one.refused,
            "can_stop": process.can_stop,
            "quantities": [_estimate_data(e) for e in one.estimates],
            "provenance": {"ds3opt_version": version},
        },
        records=_records(found, name),
    )


# -- for people -------------------------------------------------------------------------------

_Line = tuple[str, Value, tuple[Estimate, ...]]


def _lines(found: Comparison, *, every_row: bool) -> list[_Line]:
    by_class: dict[str, list[Simulated]] = {}
    for one in found.simulated:
        assert one.row is not None
        by_class.setdefault(one.row.allocation.name, []).append(one)
    lines: list[_Line] = []
    for name, parts in by_class.items():
        if every_row or len(parts) <= FEW:
            lines += ((name, _policy(one), one.estimates) for one in parts)
            continue
        names = [one.name for one in parts[0].estimates]
        merged = tuple(e for n in names if (e := together(parts, n)) is not None)
        lines.append((name, f"{len(parts)} rows", merged))
    return lines


def _policy(one: Simulated) -> Value:
    assert one.row is not None
    allocation = one.row.allocation
    budget = Measure(allocation.token_budget, "tokens")
    if allocation.fraction < 1.0 - 1e-12:
        part = Measure(allocation.fraction, "part")
        return Phrase(f"{allocation.words}, {{}} ({{}} of requests)", (budget, part))
    return Phrase(f"{allocation.words}, {{}}", (budget,))


def _table(title: str, lines: Sequence[_Line], mix: Estimate | None, found: Comparison) -> Table:
    rows: list[tuple[Value, ...]] = []
    for name, policy, estimates in lines:
        for index, one in enumerate(estimates):
            first = (name, policy) if index == 0 else (_SAME, _SAME)
            rows.append((*first, *_cells(one)))
    if mix is not None:
        rows.append(("all tasks", _SAME, *_cells(mix)))
    columns = (
        Column("name", "class"),
        Column("policy", "policy, token budget"),
        Column("quantity", "a request"),
        Column("mean", "simulated", "number"),
        Column("interval", f"{100 * found.confidence:g} % interval", "number"),
        Column("closed_form", "closed form", "number"),
        Column("z", "z", "number"),
        Column("agrees", "agrees"),
    )
    if all(policy == _SAME for _, policy, _ in lines):
        columns = (Column("name", "process"), *columns[1:])
    table = Table(title, columns, tuple(rows), footer=_footer(found)).without_empty(("name",))
    if all(row[1] == _SAME for row in rows):
        keep = [i for i in range(len(table.columns)) if i != 1]
        return Table(
            table.title,
            tuple(table.columns[i] for i in keep),
            tuple(tuple(row[i] for i in keep) for row in table.rows),
            footer=table.footer,
        )
    return table


def _cells(one: Estimate) -> tuple[Value, ...]:
    dimension = _DIMENSIONS.get(one.name, "number")
    return (
        _WORDS.get(one.name, one.name),
        Measure(one.mean, dimension),
        Interval(one.low, one.high, dimension),
        None if one.exact is None else Measure(one.exact, dimension),
        None if one.z is None else f"{one.z:+.2f}",
        None if one.agrees is None else "yes" if one.agrees else "NO",
    )


def _footer(found: Comparison) -> str:
    if not found.comparisons:
        return ""
    wrong = sum(e.agrees is False for one in found.simulated for e in one.estimates)
    level = f"{100 * found.confidence:g} %"
    count = f"{found.comparisons} comparison{'' if found.comparisons == 1 else 's'}"
    if wrong:
        return f"{wrong} closed forms lie outside what {count} allow at {level} together"
    return f"every closed form lies within what {count} allow at {level} together"


def _model(solution: Solution) -> Table:
    rows = [
        (words, Measure(value, dimension_shown(name)))
        for name, words, value in (
            ("parameters", "model size N", solution.parameters),
            ("training_tokens", "training tokens D", solution.training_tokens),
            ("loss", "pretraining loss", solution.loss),
        )
        if value is not None
    ]
    columns = (Column("quantity", ""), Column("value", "", "number"))
    return Table("Model", columns, tuple(rows), header=False)


def _not_simulated(rows: Sequence[AnswerRow]) -> Table:
    left = [row for row in rows if row.task is None]
    by_reason: dict[tuple[str, str, str], float] = {}
    for row in left:
        key = (row.allocation.name, row.allocation.words, row.why_not)
        by_reason[key] = by_reason.get(key, 0.0) + row.allocation.share
    columns = (
        Column("name", "class"),
        Column("share", "share", "share"),
        Column("policy", "policy"),
        Column("why", "why"),
    )
    cells = [
        (name, share, None if words == why else words, why)
        for (name, words, why), share in by_reason.items()
    ]
    return Table("Not simulated", columns, tuple(cells)).without_empty()


def _notes(messages: Sequence[Phrase | str]) -> Table:
    return Table("Notes", (Column("message", ""),), tuple((m,) for m in messages), header=False)


def _about(one: Simulated, name: str) -> list[Phrase | str]:
    """What the engine had to cut."""
    of = f"{name}: " if name else ""
    found: list[Phrase | str] = []
    if one.never_stops:
        found.append(f"{of}no way leads to stop, so every run is cut off")
    elif one.cut > 0.0:
        words = f"{of}{{}} of runs were cut off at max_steps before all their traces had stopped"
        found.append(Phrase(words, (Measure(one.cut, "part"),)))
    if one.refused > 0.0:
        words = f"{of}in {{}} of runs a branch found no room; max_traces bounds them"
        found.append(Phrase(words, (Measure(one.refused, "part"),)))
    return found


def _about_rows(found: Comparison) -> list[Phrase | str]:
    notes: list[Phrase | str] = []
    worst = 0.0
    for one in found.simulated:
        assert one.row is not None
        notes += _about(one, one.row.allocation.name)
        if one.forms is not None and one.forms.flop > 0.0:
            worst = max(worst, 1.0 - one.forms.charged_flop / one.forms.flop)
    if worst > _WORTH_SAYING:
        words = (
            "inference FLOP: attention grows with the square of a trace's length, and DS3 (28) to "
            "(37), which the answer is charged by, put in the mean; they are up to {} too low here"
        )
        notes.append(Phrase(words, (Measure(worst, "percent"),)))
    return notes


def _about_answer(solution: Solution, rows: Sequence[AnswerRow]) -> list[Phrase | str]:
    """Where the answer's own figures are not those of the process."""
    notes: list[Phrase | str] = []
    if any(not row.whole_steps for row in rows):
        notes.append(
            "the scenario reads steps as continuous; a process has whole ones, so the closed forms "
            "here are those of whole steps and differ from the answer's accuracy"
        )
    if solution.status.code == "not_converged":
        notes.append("the answer stopped before the requested gap was reached")
    return notes


def _runs_words(found: Comparison) -> str:
    return f"{found.runs:,} requests each, seed {found.seed}"


# -- for machines -----------------------------------------------------------------------------


def _run_data(found: Comparison) -> dict[str, Any]:
    return {
        "runs": found.runs,
        "seed": found.seed,
        "confidence": found.confidence,
        "comparisons": found.comparisons,
        "agrees": found.agrees,
    }


def _estimate_data(one: Estimate) -> dict[str, Any]:
    return {
        "quantity": _NAMES.get(one.name, one.name),
        "unit": _UNITS.get(one.name),
        "mean": one.mean,
        "low": one.low,
        "high": one.high,
        "standard_error": one.standard_error,
        "closed_form": one.exact,
        "z": one.z,
        "agrees": one.agrees,
    }


def _row_data(one: Simulated) -> dict[str, Any]:
    assert one.row is not None
    allocation = one.row.allocation
    return {
        **_identity(one.row),
        "steps_of_a_trace": allocation.steps,
        "token_budget": allocation.token_budget,
        "simulated": True,
        "answer_accuracy": allocation.accuracy,
        "charged_flop": None if one.forms is None else one.forms.charged_flop,
        "cut_off": one.cut,
        "refused_branches": one.refused,
        "quantities": [_estimate_data(e) for e in one.estimates],
    }


def _left_out(row: AnswerRow) -> dict[str, Any]:
    return {**_identity(row), "simulated": False, "why_not": row.why_not}


def _identity(row: AnswerRow) -> dict[str, Any]:
    allocation = row.allocation
    return {
        "name": allocation.name,
        "share": allocation.share,
        "fraction": allocation.fraction,
        "difficulty": allocation.difficulty,
        "skills": allocation.skills,
        "policy": None if allocation.policy is None else allocation.policy.as_dict(),
        "model": allocation.model,
        "way": allocation.way,
        "period": allocation.period,
    }


def _records(found: Comparison, name: str = "") -> Table:
    names = (
        "name", "share", "difficulty_nats_per_token", "skills", "policy", "samples", "branches",
        "token_budget", "quantity", "unit", "mean", "low", "high", "standard_error",
        "closed_form", "z", "agrees",
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = []
    for one in found.simulated:
        row: tuple[Value, ...] = (name, *[None] * 7)
        if one.row is not None:
            a = one.row.allocation
            policy = a.policy
            assert policy is not None
            row = (
                a.name,
                a.share,
                a.difficulty,
                a.skills,
                policy.name,
                policy.samples,
                policy.branches,
                a.token_budget,
            )
        for e in one.estimates:
            agrees = None if e.agrees is None else str(e.agrees).lower()
            quantity, unit = _NAMES.get(e.name, e.name), _UNITS.get(e.name)
            rows.append(
                (
                    *row,
                    quantity,
                    unit,
                    e.mean,
                    e.low,
                    e.high,
                    e.standard_error,
                    e.exact,
                    e.z,
                    agrees,
                )
            )
    return Table("", tuple(Column(one, "") for one in names), tuple(rows))
