"""``ds3opt fit accuracy``: maps from loss to the scores of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ds3opt.cli.fit import arguments as options
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import ExitCode, Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.cli.fit.table import Given
    from ds3opt.fit.accuracy import AccuracyFit, Scores
    from ds3opt.fit.doubts import Doubt
    from ds3opt.io.columns import Column
    from ds3opt.laws._types import FloatArray
    from ds3opt.report.document import Document, Table
    from ds3opt.report.values import Value
    from ds3opt.schema.law_file import CapabilityFile

SYMBOLS = {"difficulty": "L0", "slope": "b", "scale": "a", "offset": "d"}
ONE_TASK = "score"
"""What the task of a table without a column of tasks is called."""
Form = Annotated[
    Literal["sigmoid", "exponential"],
    typer.Option("--map", metavar="FORM", help="sigmoid or exponential."),
]
Law = Annotated[
    str | None,
    typer.Option(
        "--law", metavar="LAW", help="Loss from parameters and tokens: a published law or a file."
    ),
]
Offset = Annotated[
    float | None,
    typer.Option(
        "--offset", min=0.0, max=0.999, metavar="SCORE", help="Hold the score by chance fixed."
    ),
]
Ceiling = Annotated[
    float | None,
    typer.Option(
        "--ceiling", min=0.001, max=1.0, metavar="SCORE", help="Hold the best score fixed."
    ),
]


@dataclass(frozen=True)
class _Task:
    """One task: its rows, its fit and what is doubtful about it."""

    name: str
    given: Given
    scores: Scores
    fit: AccuracyFit
    doubts: tuple[Doubt, ...]


@with_view(*ALL_FORMATS, without=("verbose", "output"))
def accuracy(
    view: View,
    table: options.TableArgument,
    output: options.LawFile = None,
    form: Form = "sigmoid",
    law: Law = None,
    offset: Offset = None,
    ceiling: Ceiling = None,
    bootstrap: options.Bootstrap = options.DRAWS,
    seed: options.Seed = 0,
    drop: options.Drop = None,
    column: options.Called = None,
    name: options.Name = None,
) -> int:
    """Maps from loss to the scores of tasks, with residual bands and tested forecasts.

    Columns: score (0 to 1, or 45 %), loss, or parameters and tokens with --law; optional task.
    With loss, parameters and tokens, the fit also forecasts the largest fifth of the models from
    the others along three routes: from their measured loss (map), from size and tokens through
    a loss law (two-step), and from size and tokens alone (direct).
    """
    from ds3opt.cli.fit.report import check_law_output, write_law
    from ds3opt.cli.progress import progress_bar

    check_law_output(view, output)
    if offset is not None and ceiling is not None and offset >= ceiling:
        raise UsageError(f"--offset {offset:g} is not below --ceiling {ceiling:g}")
    if form == "exponential" and ceiling is not None:
        raise UsageError("--ceiling: an exponential map has no ceiling")
    given, tasks, loss_name = read_scores(table, column, drop, law)
    _check(tasks, form, offset, ceiling)
    fitted = []
    with progress_bar(view.quiet) as progress:
        for index, (task, (own, scores)) in enumerate(tasks.items()):
            if progress is not None:
                progress(f"task {task}", index / len(tasks))
            fitted.append(_fitted(task, own, scores, form, offset, ceiling, bootstrap, seed))
    called = options.law_name(name, output, given.stem)
    found = _law_file(given, fitted, called, loss_name, seed)
    if write_law(view, found, output, "ds3opt fit accuracy"):
        return ExitCode.DONE
    view.emit(_document(fitted, found))
    return ExitCode.DONE


def columns() -> tuple[Column, ...]:
    """What a table of scores may hold."""
    from ds3opt.io.columns import Column

    sizes = ("params", "num_params", "n_params", "model_size", "N")
    return (
        Column("score", ("accuracy", "acc"), "ratio", least=-1e-300, most=1.0),
        Column("loss", ("task_loss", "val_loss", "bpb", "bits_per_byte"), "loss", most=1e6),
        Column("parameters", sizes, "parameters"),
        Column("tokens", ("training_tokens", "train_tokens", "num_tokens", "D"), "tokens"),
        Column("task", ("benchmark",), "text"),
    )


def read_scores(
    path: str, column: Sequence[str] | None, drop: Sequence[str] | None, law: str | None
) -> tuple[Given, dict[str, tuple[Given, Scores]], str]:
    """The table, the scores of each task, and which loss they stand beside.

    Raises
    ------
    UsageError : with the place of every cell that cannot be used.
    """
    import numpy as np

    from ds3opt.cli.fit.table import read_table
    from ds3opt.fit.accuracy import Scores
    from ds3opt.io.columns import lacking

    known = columns()
    score, loss, size, tokens, task = known
    given = read_table(
        path,
        known,
        called=options.called(column, [one.name for one in known]),
        drop=options.lines(drop),
    )
    rows = given.rows
    needed = [score, size, tokens] if law is not None else [score, loss]
    missing = [lacking(rows, one) for one in needed if not rows.has(one.name)]
    if missing:
        raise UsageError(*missing)
    numbers: dict[str, FloatArray] = {}
    problems: list[Problem] = []
    for one in (score, loss, size, tokens):
        if rows.has(one.name) and not (one is loss and law is not None):
            try:
                numbers[one.name] = np.array(rows.numbers(one))
            except UsageError as error:
                problems += error.problems
    if problems:
        raise UsageError(*problems[:20])
    loss_name = f"column {rows.found.get('loss')}"
    if law is not None:
        from ds3opt.cli.laws import named_law

        chosen = named_law(law)
        loss_name = f"law {chosen.name}"
        numbers["loss"] = np.asarray(chosen.loss(numbers["parameters"], numbers["tokens"]))
    names = rows.words(task) if rows.has("task") else [ONE_TASK] * len(rows.records)
    unnamed = [i for i, name in enumerate(names) if not name]
    if unnamed:
        raise UsageError(*(rows.problem(i, "task", "is empty") for i in unnamed[:20]))
    both = "parameters" in numbers and "tokens" in numbers
    found = {}
    for name in dict.fromkeys(names):
        own = np.array([i for i, other in enumerate(names) if other == name])
        found[name] = (
            given.take(own),
            Scores(
                numbers["loss"][own],
                numbers["score"][own],
                numbers["parameters"][own] if both else None,
                numbers["tokens"][own] if both else None,
                loss_is_measured=law is None,
            ),
        )
    return given, found, loss_name


def _constants(form: str, offset: float | None, ceiling: float | None) -> int:
    """How many constants are fitted."""
    from ds3opt.fit.score_maps import MAPS

    held = sum(value is not None for value in (offset, ceiling))
    return len(MAPS[form].constants) - held


def _check(
    tasks: dict[str, tuple[Given, Scores]], form: str, offset: float | None, ceiling: float | None
) -> None:
    """Refuse what cannot be fitted, every task at once."""
    from dataclasses import replace

    from ds3opt.fit.score_doubts import obstacles

    count = _constants(form, offset, ceiling)
    problems = []
    for name, (given, scores) in tasks.items():
        for doubt in obstacles(scores, count):
            about = f"task {name}: " if len(tasks) > 1 else ""
            told = replace(doubt, message=about + doubt.message, rows=doubt.rows or (0,))
            problems.append(given.problem(told))
    if problems:
        raise UsageError(*problems)


def _fitted(
    task: str,
    given: Given,
    scores: Scores,
    form: str,
    offset: float | None,
    ceiling: float | None,
    bootstrap: int,
    seed: int,
) -> _Task:
    from ds3opt.fit.accuracy import fit_accuracy
    from ds3opt.fit.score_doubts import doubts_of_fit, doubts_of_scores

    fit = fit_accuracy(
        scores, form=form, offset=offset, ceiling=ceiling, draws=bootstrap, seed=seed
    )
    count = _constants(form, offset, ceiling)
    doubts = (*doubts_of_scores(scores, count), *doubts_of_fit(scores, fit))
    return _Task(task, given, scores, fit, doubts)


def _law_file(
    given: Given, fitted: Sequence[_Task], name: str, loss_name: str, seed: int
) -> CapabilityFile:
    from ds3opt.cli.outcome import version
    from ds3opt.schema.law_file import CapabilityFile

    return CapabilityFile(
        kind="capability",
        name=name,
        data=given.data(),
        loss=loss_name,
        ds3opt_version=version(),
        tasks={one.name: _task_map(one, seed) for one in fitted},
    )


def _task_map(one: _Task, seed: int) -> Any:
    from ds3opt.cli.fit.report import estimate, spreads
    from ds3opt.fit.accuracy import BAND, HUBER
    from ds3opt.schema.fitted import FittedSpan
    from ds3opt.schema.law_file import TaskMap

    fit, scores = one.fit, one.scores
    diagnostics: dict[str, Any] = {
        "models": len(scores),
        "huber_sum": fit.huber_sum,
        "huber_threshold": HUBER,
        "rms_error": fit.rms_error,
        "band_share": BAND,
        "band_low": fit.band[0],
        "band_high": fit.band[1],
        "starts": fit.starts,
        "starts_that_agree": fit.agreeing,
        "resamples": len(fit.draws),
        "seed": seed,
    }
    for forecast in fit.forecasts:
        route = forecast.route.replace("-", "_")
        diagnostics[f"forecast_{route}_largest"] = forecast.largest
        diagnostics[f"forecast_{route}_mean"] = forecast.mean
    known = spreads(tuple(fit.values), fit.draws)
    return TaskMap(
        form=fit.form,
        fitted_range=FittedSpan(loss=(float(scores.loss.min()), float(scores.loss.max()))),
        diagnostics=diagnostics,
        **estimate(fit.values, known, _fixed(fit), fit.draws),
    )


def _fixed(fit: AccuracyFit) -> tuple[str, ...]:
    """Constants that were given; a ceiling alone fixes none of them, but their sum."""
    renamed = {"offset": "offset" if fit.form == "sigmoid" else "floor"}
    fixed = [renamed[name] for name in fit.fixed if name in renamed]
    if {"offset", "ceiling"} <= set(fit.fixed):
        fixed.append("scale")
    return tuple(fixed)


def _document(fitted: Sequence[_Task], found: CapabilityFile) -> Document:
    from dataclasses import replace

    from ds3opt.cli.fit.report import constants_records, constants_table, spreads
    from ds3opt.cli.fit.table import warnings_data, warnings_table
    from ds3opt.report.document import Column, Document, Table

    tables: list[Table] = []
    warned: list[tuple[Value, ...]] = []
    records: list[tuple[Value, ...]] = []
    for one in fitted:
        several = f" of {one.name}" if len(fitted) > 1 else ""
        known = spreads(tuple(one.fit.values), one.fit.draws)
        constants = constants_table(
            f"Constants{several}", one.fit.values, known, _fixed(one.fit), SYMBOLS
        )
        plain = constants_records(one.fit.values, known, _fixed(one.fit))
        records += [(one.name, *row) for row in plain.rows]
        tables += [constants, _fit_table(f"Fit{several}", one), _forecast_table(several, one)]
        about = f"{one.name}: " if several else ""
        told = warnings_table(one.given, one.doubts).rows
        warned += [(about + str(row[0]),) for row in told]
    tables.append(Table("Warnings", (Column("message", ""),), tuple(warned), header=False))
    header = (Column("task", "task"), *plain.columns)
    data = found.model_dump(exclude={"tasks": {name: {"draws"} for name in found.tasks}})
    for one in fitted:
        data["tasks"][one.name]["warnings"] = warnings_data(one.given, one.doubts)
        data["tasks"][one.name]["forecasts"] = [
            {"route": f.route, "models": f.runs, "largest": f.largest, "mean": f.mean}
            for f in one.fit.forecasts
        ]
    shape = {
        "sigmoid": "scale / (1 + exp(slope (loss - difficulty))) + offset",
        "exponential": "floor + coefficient exp(-rate loss)",
    }[fitted[0].fit.form]
    title = f"{found.name}: score = {shape}, fitted to {found.data.rows} rows of "
    title += f"{found.data.file}, loss by {found.loss}"
    return Document(
        title,
        tuple(tables),
        {"schema_version": 1, **data},
        replace(plain, columns=header, rows=tuple(records)),
    )


def _fit_table(title: str, one: _Task) -> Table:
    from ds3opt.fit.accuracy import BAND
    from ds3opt.report.document import Column, Table
    from ds3opt.report.values import Interval, Measure, Phrase

    fit, scores = one.fit, one.scores
    band = tuple(Measure(end, "points") for end in fit.band)
    rows: list[tuple[Value, Value]] = [
        ("models", Measure(len(scores), "whole")),
        (
            "goodness of fit",
            f"rms error {100 * fit.rms_error:.2g} points, Huber sum {fit.huber_sum:.6g} "
            "(threshold 1 point)",
        ),
        (f"{100 * BAND:.0f} % residual band", Phrase("{} to {}", band)),
        ("starts that agree", f"{fit.agreeing} of {fit.starts}"),
        ("resamples", Measure(len(fit.draws), "whole")),
        (
            "fitted on loss",
            Interval(float(scores.loss.min()), float(scores.loss.max()), "number"),
        ),
        (
            "fitted on scores",
            Interval(float(scores.score.min()), float(scores.score.max()), "percent"),
        ),
    ]
    return Table(title, (Column("property", ""), Column("value", "")), tuple(rows), header=False)


def _forecast_table(several: str, one: _Task) -> Table:
    from ds3opt.report.document import Column, table_of

    words = {
        "map": "map, from measured loss",
        "two-step": "two-step, size and tokens to loss to score",
        "direct": "direct, size and tokens to score",
    }
    return table_of(
        f"Forecast{several} of the largest models from the others",
        one.fit.forecasts,
        (Column("route", "route"), lambda f: words[f.route]),
        (Column("models", "left out", "whole"), lambda f: f.runs),
        (Column("largest", "largest model", "points"), lambda f: f.largest),
        (Column("mean", "mean absolute error", "small points"), lambda f: f.mean),
    )
