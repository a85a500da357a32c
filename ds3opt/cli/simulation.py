"""The documents of ``ds3opt simulate``: means with intervals beside closed forms."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ds3opt.cli.simulation_data import estimate_data, left_out, records, row_data, run_data
from ds3opt.optimise.solution import Solution
from ds3opt.report.document import Column, Document, Table
from ds3opt.report.values import Interval, Measure, Phrase, Value, shown
from ds3opt.report.words import dimension_shown
from ds3opt.simulate.answer import AnswerRow
from ds3opt.simulate.comparison import Comparison, Simulated, mix_estimate, together
from ds3opt.simulate.process import Process
from ds3opt.simulate.statistics import Estimate

FEW = 3
"""A class with more rows than this is summed up."""
_WORDS = {"success": "accuracy", "flop": "inference FLOP"}
_DIMENSIONS = {
    "success": "percent",
    "steps": "count, fixed",
    "tokens": "tokens, fixed",
    "flop": "flop",
}
_MOST_DIGITS = 8
_WORTH_SAYING = 1e-3
"""Relative difference of charged and exact FLOP from which a note is made of it."""
_BLANK = " "


def answer_document(
    solution: Solution,
    rows: Sequence[AnswerRow],
    found: Comparison,
    *,
    whole: bool,
    charges_budget: bool,
    own: str | None,
    precision: int,
    version: str,
    sha256: str,
    every_row: bool,
) -> Document:
    """The simulated rows of an answer.

    Parameters
    ----------
    whole : whether these are all rows of the answer.
    charges_budget : whether the answer charges whole token budgets.
    own : name of the user's function that made the processes, if one did.
    """
    mix = mix_estimate(found, rows) if whole and len(rows) > 1 and found.simulated else None
    lines = _lines(found, every_row=every_row)
    what = "policies" if own is None else f"process {own}"
    return Document(
        title=f"{solution.scenario}: {what} of the answer, {_runs_words(found)}",
        tables=(
            _model(solution),
            _table("Simulated beside the closed forms", lines, mix, found, precision),
            _not_simulated(rows),
            _notes([*_about_rows(found), *_about_answer(solution, rows, charges_budget)]),
        ),
        data={
            "schema_version": 1,
            "scenario": solution.scenario,
            "process": own,
            **run_data(found),
            "parameters": solution.parameters,
            "training_tokens": solution.training_tokens,
            "loss": solution.loss,
            "accuracy": None if mix is None else estimate_data(mix),
            "rows": [
                *(row_data(one) for one in found.simulated),
                *(left_out(row) for row in rows if row.task is None),
            ],
            "provenance": {"ds3opt_version": version, "scenario_sha256": sha256},
        },
        records=records(found),
    )


def process_document(
    name: str, process: Process, found: Comparison, *, precision: int, version: str
) -> Document:
    """A process of the user's own."""
    (one,) = found.simulated
    compared = bool(process.closed_form)
    title = "Simulated beside the closed forms" if compared else "Simulated"
    table = _table(title, [((name,), one.estimates)], None, found, precision)
    return Document(
        title=f"{name}: {_runs_words(found)}",
        tables=(table, _notes(_about(one, ""))),
        data={
            "schema_version": 1,
            "process": name,
            **run_data(found),
            "cut_off": one.cut,
            "refused_branches": one.refused,
            "can_stop": process.can_stop,
            "quantities": [estimate_data(e) for e in one.estimates],
            "provenance": {"ds3opt_version": version},
        },
        records=records(found, name),
    )


# -- for people -------------------------------------------------------------------------------

_Line = tuple[tuple[Value, ...], tuple[Estimate, ...]]
"""Words that stand below each other beside the means."""


def _lines(found: Comparison, *, every_row: bool) -> list[_Line]:
    by_class: dict[str, list[Simulated]] = {}
    for one in found.simulated:
        assert one.row is not None
        by_class.setdefault(one.row.allocation.name, []).append(one)
    lines: list[_Line] = []
    for name, parts in by_class.items():
        if every_row or len(parts) <= FEW:
            lines += (((name, *_policy(one)), one.estimates) for one in parts)
            continue
        names = [one.name for one in parts[0].estimates]
        merged = tuple(e for n in names if (e := together(parts, n)) is not None)
        lines.append(((name, f"  {len(parts)} rows"), merged))
    return lines


def _policy(one: Simulated) -> tuple[Value, ...]:
    """Policy, then token budget and part of the requests."""
    assert one.row is not None
    allocation = one.row.allocation
    budget = Measure(allocation.token_budget, "tokens")
    if allocation.fraction < 1.0 - 1e-12:
        part = Measure(allocation.fraction, "part")
        return f"  {allocation.words}", Phrase("  {}, {} of requests", (budget, part))
    return f"  {allocation.words}", Phrase("  {}", (budget,))


def _table(
    title: str, lines: Sequence[_Line], mix: Estimate | None, found: Comparison, precision: int
) -> Table:
    own = any(one.row is None for one in found.simulated)
    rows: list[tuple[Value, ...]] = []
    for words, estimates in lines:
        for index in range(max(len(words), len(estimates))):
            label = words[index] if index < len(words) else _BLANK
            cells: tuple[str | None, ...] = (_BLANK,) * 6
            if index < len(estimates):
                cells = _cells(estimates[index], precision)
            rows.append((label, *cells))
    if mix is not None:
        rows.append(("all tasks", *_cells(mix, precision)))
    columns = (
        Column("name", "process" if own else "class"),
        Column("quantity", "a request"),
        Column("mean", "simulated", "number"),
        Column("interval", f"{100 * found.confidence:g} % interval", "number"),
        Column("closed_form", "closed form", "number"),
        Column("z", "z", "number"),
        Column("agrees", "agrees"),
    )
    return Table(title, columns, tuple(rows), footer=_footer(found)).without_empty(("name",))


def _cells(one: Estimate, precision: int) -> tuple[str | None, ...]:
    """The cells of one mean, with the digits that its interval needs."""
    dimension = _DIMENSIONS.get(one.name, "count, fixed")
    digits = max(precision, min(_digits(one), _MOST_DIGITS))

    def text(value: Value) -> str:
        return shown(value, dimension, digits)

    return (
        _WORDS.get(one.name, one.name),
        text(one.mean),
        text(Interval(one.low, one.high, dimension)),
        None if one.exact is None else text(one.exact),
        None if one.z is None else f"{one.z:+.2f}",
        None if one.agrees is None else "yes" if one.agrees else "NO",
    )


def _digits(one: Estimate) -> int:
    """Digits that show two of the width of an interval."""
    width = one.high - one.low
    if width <= 0.0:
        return 0
    if one.name == "success":
        return 2 - math.floor(math.log10(100.0 * width))
    size = max(abs(one.low), abs(one.high))
    return math.floor(math.log10(size)) - math.floor(math.log10(width)) + 2


def _footer(found: Comparison) -> str:
    if not found.comparisons:
        return ""
    wrong = sum(e.agrees is False for one in found.simulated for e in one.estimates)
    level = f"{100 * found.confidence:g} %"
    many = found.comparisons != 1
    count = f"{found.comparisons} comparisons" if many else "one comparison"
    allow = f"allow at {level} together" if many else f"allows at {level}"
    if wrong:
        lie = "closed form lies" if wrong == 1 else "closed forms lie"
        return f"{wrong} {lie} outside what {count} {allow}"
    return f"every closed form lies within what {count} {allow}"


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


def _about_answer(
    solution: Solution, rows: Sequence[AnswerRow], charges_budget: bool
) -> list[Phrase | str]:
    """Where the answer's own figures are not those of the process."""
    notes: list[Phrase | str] = []
    if any(not row.whole_steps for row in rows):
        words = (
            "the scenario reads steps as continuous, which gives the answer its accuracy of {}; a "
            "process has whole steps, and the closed forms here are theirs"
        )
        notes.append(Phrase(words, (Measure(solution.accuracy, "percent"),)))
    if charges_budget:
        notes.append("the answer charges whole token budgets; what requests use is shown here")
    if solution.status.code == "not_converged":
        notes.append("the answer stopped before the requested gap was reached")
    return notes


def _runs_words(found: Comparison) -> str:
    return f"{found.runs:,} requests each, seed {found.seed}"
