"""``ds3opt fit tasks``: classes of tasks from measured accuracies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ds3opt.cli.fit import arguments as options
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import ExitCode, Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.cli.fit.observed import Observed
    from ds3opt.fit.doubts import Doubt
    from ds3opt.fit.tasks import TasksFit
    from ds3opt.laws._types import FloatArray
    from ds3opt.report.document import Document, Table
    from ds3opt.report.values import Value
    from ds3opt.schema.law_file import TasksFile

SYMBOLS = {"difficulty": "L0", "skills": "m", "directionality": "iota", "fatigue": "h"}
Law = Annotated[
    str | None,
    typer.Option(
        "--law", metavar="LAW", help="Loss from parameters and tokens: a published law or a file."
    ),
]
Slope = Annotated[
    float,
    typer.Option("--slope", min=1e-3, max=1e3, metavar="B", help="Of a step's sigmoid, per nat."),
]
StepTokens = Annotated[
    str, typer.Option("--tokens-per-step", metavar="TOKENS", help="Of one reasoning step.")
]
WrongAnswers = Annotated[
    str | None,
    typer.Option(
        "--wrong-answers",
        metavar="COUNT[:DECAY]",
        help="How wrong answers split, for votes: 9 or 9:0.75.",
    ),
]
Verifier = Annotated[
    str | None,
    typer.Option(
        "--verifier",
        metavar="RIGHT:WRONG",
        help="Rates at which best_of_n's verifier accepts right and wrong; left out: never errs.",
    ),
]
Difficulty = Annotated[
    float | None,
    typer.Option("--difficulty", metavar="LOSS", help="Hold it fixed, nats/token."),
]
Skills = Annotated[
    int | None,
    typer.Option("--skills", min=1, max=1000, metavar="M", help="Hold their number fixed."),
]
Directionality = Annotated[
    float | None,
    typer.Option("--directionality", min=1e-4, max=1.0, metavar="IOTA", help="Hold it fixed."),
]
Fatigue = Annotated[
    float | None, typer.Option("--fatigue", min=0.0, max=1.0, metavar="H", help="Hold it fixed.")
]
Draws = Annotated[
    int,
    typer.Option("--draws", min=0, max=100_000, metavar="N", help="Joint draws of the constants."),
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=2**32 - 1, metavar="N", help="Of the draws.")
]
DRAWS = 500


@dataclass(frozen=True)
class _Class:
    """One class: its rows, its fit and what is doubtful about it."""

    name: str
    given: Observed
    fit: TasksFit
    draws: FloatArray
    doubts: tuple[Doubt, ...]


@with_view(*ALL_FORMATS, without=("verbose", "output"))
def tasks(
    view: View,
    table: options.TableArgument,
    output: options.LawFile = None,
    law: Law = None,
    slope: Slope = 5.0,
    tokens_per_step: StepTokens = "25",
    wrong_answers: WrongAnswers = None,
    verifier: Verifier = None,
    difficulty: Difficulty = None,
    skills: Skills = None,
    directionality: Directionality = None,
    fatigue: Fatigue = None,
    draws: Draws = DRAWS,
    seed: Seed = 0,
    drop: options.Drop = None,
    column: options.Called = None,
    name: options.Name = None,
) -> int:
    """Difficulty, skills, directionality and fatigue of tasks from measured accuracies.

    Columns: accuracy (0 to 1, or 45 %; empty: predicted), problems, token_budget (of all traces
    of a task; or max_output_tokens, of one), and of the model loss, or parameters and
    training_tokens. Optional: policy (chain_of_thought, best_of_n, pass@8, maj@8,
    tree_of_thought), samples, branches, class, model.

    Constants have the greatest binomial likelihood under the laws that plans are made with.
    """
    from ds3opt.cli.fit.observed import read_observed, setting_of
    from ds3opt.cli.fit.report import check_law_output, write_law
    from ds3opt.cli.progress import progress_bar

    check_law_output(view, output)
    setting = setting_of(tokens_per_step, wrong_answers, verifier)
    given = read_observed(table, column, drop, law, setting)
    asked = {
        "difficulty": difficulty,
        "skills": skills,
        "directionality": directionality,
        "fatigue": fatigue,
    }
    held = {key: float(value) for key, value in asked.items() if value is not None}
    _check(given, held)
    fitted = []
    with progress_bar(view.quiet) as progress:
        for index, (one, rows) in enumerate(given.classes().items()):
            if progress is not None:
                progress(f"class {one}", index / len(given.classes()))
            fitted.append(_fitted(one, rows, slope, held, draws, seed))
    called = options.law_name(name, output, given.given.stem)
    found = _law_file(given, fitted, called, slope, seed)
    if write_law(view, found, output, "ds3opt fit tasks"):
        return ExitCode.DONE
    view.emit(_document(fitted, found))
    return ExitCode.DONE


def _check(given: Observed, held: dict[str, float]) -> None:
    """Refuse what cannot be fitted, every class at once."""
    from ds3opt.fit.task_doubts import obstacles

    problems: list[Problem] = []
    for name, own in given.classes().items():
        for doubt in obstacles(own.measured, held):
            about = f"class {name}: " if len(given.classes()) > 1 else ""
            told = replace(doubt, message=about + doubt.message, rows=doubt.rows or (0,))
            problems.append(own.given.problem(told))
    if problems:
        raise UsageError(*problems)


def _fitted(
    name: str, own: Observed, slope: float, held: dict[str, float], draws: int, seed: int
) -> _Class:
    from ds3opt.fit.task_doubts import doubts_of_fit, doubts_of_rows
    from ds3opt.fit.task_draws import likely_draws
    from ds3opt.fit.tasks import fit_tasks

    rows = own.measured
    fit = fit_tasks(rows, slope=slope, held=held)
    doubts = [*doubts_of_rows(rows), *doubts_of_fit(rows, fit)]
    # doubts count the measured rows alone
    where = own.of_measured
    doubts = [replace(one, rows=tuple(int(where[i]) for i in one.rows)) for one in doubts]
    return _Class(name, own, fit, likely_draws(fit, draws, seed), tuple(doubts))


def _law_file(
    given: Observed, fitted: Sequence[_Class], name: str, slope: float, seed: int
) -> TasksFile:
    from ds3opt.cli.outcome import version
    from ds3opt.schema.law_file import TasksFile

    return TasksFile(
        kind="tasks",
        name=name,
        data=given.given.data(),
        loss=given.loss,
        ds3opt_version=version(),
        tokens_per_step=given.setting.tokens_per_step,
        slope=slope,
        classes={one.name: _class_file(one, seed) for one in fitted},
    )


def _class_file(one: _Class, seed: int) -> Any:
    from ds3opt.cli.fit.report import estimate, spreads
    from ds3opt.schema.fitted import FittedSpan
    from ds3opt.schema.law_file import TaskClassFit

    fit, rows = one.fit, one.given.measured
    diagnostics: dict[str, Any] = {
        "rows": len(rows),
        "problems": float(rows.problems.sum()),
        "deviance": fit.deviance,
        "degrees_of_freedom": fit.freedom,
        "chance_of_such_deviance": fit.chance,
        "starts": fit.starts,
        "seed": seed,
    }
    told = estimate(fit.values, spreads(tuple(fit.values), one.draws), fit.held, one.draws)
    told["intervals"] = {key: (p.low, p.high) for key, p in fit.profiles.items()}
    identified = tuple(key for key, p in fit.profiles.items() if p.known)
    return TaskClassFit(
        identified=identified,
        doubts=tuple(doubt.message for doubt in one.doubts),
        fitted_range=FittedSpan(loss=(float(rows.loss.min()), float(rows.loss.max()))),
        diagnostics=diagnostics,
        **told,
    )


def _document(fitted: Sequence[_Class], found: TasksFile) -> Document:
    from ds3opt.cli.fit.table import warnings_data, warnings_table
    from ds3opt.report.document import Column, Document, Table

    tables: list[Table] = []
    warned: list[tuple[Value, ...]] = []
    records: list[tuple[Value, ...]] = []
    data = found.model_dump(exclude={"classes": {name: {"draws"} for name in found.classes}})
    for one in fitted:
        several = f" of {one.name}" if len(fitted) > 1 else ""
        tables += [
            _constants_table(f"Constants{several}", one.fit),
            _fit_table(f"Fit{several}", one),
            _rows_table(f"Measured and explained{several}", one, asked=False),
            _rows_table(f"Predicted{several}", one, asked=True),
        ]
        about = f"{one.name}: " if several else ""
        warned += [
            (about + str(row[0]),) for row in warnings_table(one.given.given, one.doubts).rows
        ]
        data["classes"][one.name]["warnings"] = warnings_data(one.given.given, one.doubts)
        data["classes"][one.name]["rows"] = _rows_data(one)
        records += [(one.name, *row) for row in _constants_records(one.fit)]
    tables.append(Table("Warnings", (Column("message", ""),), tuple(warned), header=False))
    plain = (
        Column("class", "class"),
        Column("constant", "constant"),
        Column("value", "value", "number"),
        Column("low", "95 % from", "number"),
        Column("high", "to", "number"),
        Column("known", "known"),
    )
    title = f"{found.name}: classes of tasks from {found.data.rows} rows of {found.data.file}, "
    title += f"loss by {found.loss}, {found.tokens_per_step:g} tokens a step"
    return Document(
        title,
        tuple(tables),
        {"schema_version": 1, **data},
        Table("", plain, tuple(records)),
    )


def known_words(fit: TasksFit, name: str) -> str:
    """How much the data say of a constant."""
    if name in fit.held:
        return "given"
    one = fit.profiles[name]
    if one.unknown or (one.open_below and one.low == one.high):
        return "not identified"
    if one.open_below:
        return "upper end only"
    if one.open_above:
        return "lower end only"
    blended = [names for names in fit.blends() if name in names and len(names) > 1]
    return "in combination" if blended else "yes"


def _constants_table(title: str, fit: TasksFit) -> Table:
    from ds3opt.report.document import Column, Table
    from ds3opt.report.values import Measure

    rows: list[tuple[Value, ...]] = []
    for name, value in fit.values.items():
        one = fit.profiles.get(name)
        kind = "whole" if name == "skills" else "number"
        ends = (None, None) if one is None else (Measure(one.low, kind), Measure(one.high, kind))
        rows.append((name, SYMBOLS[name], Measure(value, kind), *ends, known_words(fit, name)))
    columns = (
        Column("constant", "constant"),
        Column("symbol", ""),
        Column("value", "value", "number"),
        Column("low", "95 % from", "number"),
        Column("high", "to", "number"),
        Column("known", "identified"),
    )
    return Table(title, columns, tuple(rows))


def _constants_records(fit: TasksFit) -> list[tuple[Value, ...]]:
    rows: list[tuple[Value, ...]] = []
    for name, value in fit.values.items():
        one = fit.profiles.get(name)
        ends = (None, None) if one is None else (one.low, one.high)
        rows.append((name, value, *ends, known_words(fit, name)))
    return rows


def _fit_table(title: str, one: _Class) -> Table:
    from ds3opt.report.document import Column, Table
    from ds3opt.report.values import Interval, Measure

    fit, rows = one.fit, one.given.measured
    good = f"deviance {fit.deviance:.3g}, {fit.freedom} degrees of freedom"
    if fit.chance is not None:
        good += f", chance of as much {100 * fit.chance:.2g} %"
    measured = rows.accuracy
    shown: list[tuple[Value, Value]] = [
        ("rows", Measure(len(rows), "whole")),
        ("goodness of fit", good),
        ("largest difference", Measure(_largest(one), "points")),
        ("starts that agree", f"{fit.agreeing} of {fit.followed} followed, of {fit.starts}"),
        (
            "fitted on loss",
            Interval(float(rows.loss.min()), float(rows.loss.max()), "number"),
        ),
        (
            "fitted on accuracies",
            Interval(float(measured.min()), float(measured.max()), "percent"),
        ),
    ]
    return Table(title, (Column("property", ""), Column("value", "")), tuple(shown), header=False)


def _largest(one: _Class) -> float:
    off = one.fit.accuracy() - one.given.measured.accuracy
    return float(off[int(abs(off).argmax())])


def _rows_data(one: _Class) -> list[dict[str, Any]]:
    """Every row with what the fit says of it."""
    import numpy as np

    from ds3opt.fit.task_model import CONSTANTS

    rows = one.given.every
    told = one.fit.accuracy(rows)
    ends = np.full((2, len(rows)), np.nan)
    if len(one.draws):
        drawn = one.fit.model.accuracy(one.fit.model.coordinates(one.draws), rows)
        ends = np.quantile(drawn, (0.025, 0.975), axis=0)
    residuals = dict(zip(one.given.of_measured, one.fit.residuals, strict=True))
    assert one.draws.shape[1] == len(CONSTANTS)
    data = []
    for index, row in enumerate(one.given.rows):
        unknown = math.isnan(row.accuracy)
        known = bool(np.isfinite(ends[0, index]))
        data.append(
            {
                "line": one.given.given.rows.records[index].line,
                "model": one.given.models[index] or None,
                "loss": row.loss,
                "policy": row.policy.as_dict(),
                "token_budget": row.token_budget,
                "problems": None if unknown else row.problems,
                "accuracy": None if unknown else row.accuracy,
                "explained": float(told[index]),
                "interval": [float(ends[0, index]), float(ends[1, index])] if known else None,
                "residual": None if unknown else float(-residuals[index]),
            }
        )
    return data


def _rows_table(title: str, one: _Class, *, asked: bool) -> Table:
    from ds3opt.report.document import Column, Table
    from ds3opt.report.values import Interval, Measure

    shown: list[tuple[Value, ...]] = []
    for row, told in zip(one.given.rows, _rows_data(one), strict=True):
        if math.isnan(row.accuracy) != asked:
            continue
        ends = told["interval"]
        words = f"coverage of {row.policy.samples}" if row.unjudged else row.policy.words()
        shown.append(
            (
                told["line"],
                told["model"],
                row.loss,
                words,
                Measure(row.token_budget, "tokens"),
                told["problems"],
                told["accuracy"],
                told["explained"],
                None if ends is None else Interval(ends[0], ends[1], "percent"),
                told["residual"],
            )
        )
    columns = (
        Column("line", "line", "whole"),
        Column("model", "model"),
        Column("loss", "loss", "number"),
        Column("policy", "policy"),
        Column("token_budget", "token budget"),
        Column("problems", "problems", "whole"),
        Column("accuracy", "measured", "percent"),
        Column("explained", "predicted" if asked else "explained", "percent"),
        Column("interval", "95 % interval"),
        Column("residual", "standard errors off", "signed"),
    )
    return Table(title, columns, tuple(shown)).without_empty()
