"""``ds3opt fit loss``: a loss law from training runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ds3opt.cli.fit import arguments as options
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import ExitCode, Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.cli.fit.table import Given
    from ds3opt.fit.doubts import Doubt
    from ds3opt.fit.loss import LossFit, LossRuns
    from ds3opt.io.columns import Column
    from ds3opt.laws._types import FloatArray
    from ds3opt.report.document import Document, Table
    from ds3opt.report.values import Value
    from ds3opt.schema.law_file import LossLawFile

SYMBOLS = {
    "irreducible": "E",
    "parameter_coefficient": "A",
    "data_coefficient": "B",
    "parameter_exponent": "alpha",
    "data_exponent": "beta",
    "data_decay": "R_D*",
    "parameter_decay": "R_N*",
}
Irreducible = Annotated[
    float | None,
    typer.Option("--irreducible", min=0.0, metavar="LOSS", help="Hold E fixed, nats/token."),
]
Ratio = Annotated[
    str | None,
    typer.Option(
        "--ratio", metavar="LOW:HIGH", help="Only runs of so many training tokens per parameter."
    ),
]
Group = Annotated[
    str | None, typer.Option("--group", metavar="NAME", help="Only runs of this group.")
]
At = Annotated[
    list[str] | None,
    typer.Option("--at", metavar="FLOP", help="Training compute to split; may be repeated."),
]


@with_view(*ALL_FORMATS, without=("verbose", "output"))
def loss(
    view: View,
    table: options.TableArgument,
    output: options.LawFile = None,
    irreducible: Irreducible = None,
    bootstrap: options.Bootstrap = options.DRAWS,
    seed: options.Seed = 0,
    drop: options.Drop = None,
    ratio: Ratio = None,
    group: Group = None,
    at: At = None,
    column: options.Called = None,
    name: options.Name = None,
) -> int:
    """A loss law E + A / N^alpha + B / D^beta from training runs, with its uncertainty.

    Columns: parameters, tokens (or training_flop, 6 N D), loss (nats/token, at the end of
    training); optional unique_tokens, where tokens repeat, and group. Cells may have units: 1.4B.

    Constants have the least Huber sum of residuals of log loss (threshold 0.001), over a full
    grid of starts. Standard errors and intervals are of fits to resamples of the runs.
    """
    from ds3opt.cli.progress import progress_bar
    from ds3opt.fit.doubts import doubts_of_fit, doubts_of_runs
    from ds3opt.fit.loss import fit_loss

    options_at = _budgets(at)
    options.ends(ratio, "--ratio")
    from ds3opt.cli.fit.report import check_law_output, write_law

    check_law_output(view, output)
    given, runs = read_runs(table, column, drop, group, ratio, irreducible)
    with progress_bar(view.quiet) as progress:
        fit = fit_loss(runs, irreducible=irreducible, draws=bootstrap, seed=seed, progress=progress)
    doubts = [*doubts_of_runs(runs), *doubts_of_fit(runs, fit)]
    called = options.law_name(name, output, given.stem)
    fit = replace(fit, law=replace(fit.law, name=called))
    found = _law_file(given, runs, fit, called, seed)
    if write_law(view, found, output, "ds3opt fit loss"):
        return ExitCode.DONE
    budgets = options_at or _usual_budgets(runs)
    view.emit(_document(given, runs, fit, doubts, budgets, found))
    return ExitCode.DONE


def columns() -> tuple[Column, ...]:
    """What a table of runs may hold."""
    from ds3opt.io.columns import Column

    return (
        Column("parameters", ("params", "num_params", "n_params", "model_size", "N"), "parameters"),
        Column("tokens", ("training_tokens", "train_tokens", "num_tokens", "D"), "tokens"),
        Column(
            "training_flop",
            ("training_flops", "train_flops", "flop", "flops", "C"),
            "flop",
            most=1e60,
        ),
        Column(
            "loss", ("final_loss", "val_loss", "validation_loss", "eval_loss"), "loss", most=1e6
        ),
        Column("unique_tokens", ("unique",), "tokens"),
        Column("group", ("family", "corpus", "dataset", "task", "benchmark"), "text"),
    )


def read_runs(
    path: str,
    column: Sequence[str] | None,
    drop: Sequence[str] | None,
    group: str | None,
    ratio: str | None,
    irreducible: float | None,
) -> tuple[Given, LossRuns]:
    """The runs of a table that a law is fitted to.

    Raises
    ------
    UsageError : with the place of everything that makes a fit impossible.
    """
    import numpy as np

    from ds3opt.cli.fit.table import read_table
    from ds3opt.fit.doubts import obstacles
    from ds3opt.fit.loss import LossRuns
    from ds3opt.io.columns import lacking

    known = columns()
    size, tokens, flop, loss_, unique, _ = known
    given = read_table(
        path,
        known,
        called=options.called(column, [one.name for one in known]),
        drop=options.lines(drop),
        group=group,
    )
    rows = given.rows
    missing = [lacking(rows, one) for one in (size, loss_) if not rows.has(one.name)]
    if not rows.has(tokens.name) and not rows.has(flop.name):
        missing.append(lacking(rows, tokens))
    if missing:
        raise UsageError(*missing)
    problems: list[Problem] = []
    numbers: dict[str, FloatArray] = {}
    for one in (size, tokens if rows.has(tokens.name) else flop, loss_):
        try:
            numbers[one.name] = np.array(rows.numbers(one))
        except UsageError as error:
            problems += error.problems
    if rows.has(unique.name):
        try:
            numbers[unique.name] = np.array(rows.numbers(unique, empty=np.inf))
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(*problems[:20])
    if tokens.name not in numbers:
        numbers[tokens.name] = numbers[flop.name] / 6.0 / numbers[size.name]
    runs = LossRuns(
        numbers[size.name], numbers[tokens.name], numbers[loss_.name], numbers.get(unique.name)
    )
    low, high = options.ends(ratio, "--ratio")
    tokens_per_parameter = runs.training_tokens / runs.parameters
    kept = np.flatnonzero((tokens_per_parameter >= low) & (tokens_per_parameter <= high))
    given, runs = given.take(kept), runs.take(kept)
    if not len(runs):
        raise UsageError("no run is left")
    found = list(obstacles(runs, irreducible))
    if found:
        raise UsageError(*(given.problem(one) for one in found))
    return given, runs


def _budgets(given: Sequence[str] | None) -> list[float]:
    from ds3opt.units import UnitError, parse_quantity

    found = []
    for text in given or ():
        try:
            value = parse_quantity(text, "flop")
        except UnitError as error:
            raise UsageError(f"--at: {error.message}") from None
        if not 0.0 < value <= 1e60:
            raise UsageError(f"--at takes an amount of FLOP above 0, not {text}")
        found.append(value)
    return found


def _usual_budgets(runs: LossRuns) -> list[float]:
    """The compute of the largest run, and a hundred times that."""
    largest = float(runs.training_flop.max())
    return [largest, 100.0 * largest]


def _law_file(given: Given, runs: LossRuns, fit: LossFit, name: str, seed: int) -> LossLawFile:
    from ds3opt.cli.fit.report import estimate, spreads
    from ds3opt.cli.outcome import version
    from ds3opt.fit.loss import HUBER
    from ds3opt.schema.fitted import FittedSpan
    from ds3opt.schema.law_file import LossLawFile

    span = fit.law.fitted_range
    assert span is not None
    diagnostics: dict[str, Any] = {
        "huber_sum": fit.huber_sum,
        "huber_threshold": HUBER,
        "rms_log_error": fit.rms_log_error,
        "r_squared": _r_squared(runs, fit),
        "starts": fit.starts,
        "starts_followed": fit.polished,
        "starts_that_agree": fit.agreeing,
        "resamples": len(fit.draws),
        "seed": seed,
    }
    return LossLawFile(
        kind="loss_law",
        name=name,
        data=given.data(),
        ds3opt_version=version(),
        fitted_range=FittedSpan(
            parameters=span.parameters,
            training_tokens=span.training_tokens,
            tokens_per_parameter=span.tokens_per_parameter,
            loss=(float(runs.loss.min()), float(runs.loss.max())),
        ),
        diagnostics=diagnostics,
        **estimate(fit.values, spreads(fit.names, fit.draws), fit.fixed, fit.draws),
    )


def _r_squared(runs: LossRuns, fit: LossFit) -> float:
    """Share of the variance of log loss that the law explains."""
    import numpy as np

    return 1.0 - float(np.mean(fit.log_residuals**2) / np.var(np.log(runs.loss)))


def _document(
    given: Given,
    runs: LossRuns,
    fit: LossFit,
    doubts: Sequence[Doubt],
    budgets: Sequence[float],
    found: LossLawFile,
) -> Document:
    from ds3opt.cli.fit.optimum import optimum_data, optimum_table
    from ds3opt.cli.fit.report import constants_records, constants_table, spreads
    from ds3opt.cli.fit.table import warnings_data, warnings_table
    from ds3opt.report.document import Document

    known = spreads(fit.names, fit.draws)
    constants = constants_table("Constants", fit.values, known, fit.fixed, SYMBOLS)
    data = found.model_dump(exclude={"draws"})
    data = {"schema_version": 1, **data, "warnings": warnings_data(given, doubts)}
    data["compute_optimal"] = optimum_data(fit.law, fit.draws, budgets)
    tables = (
        constants,
        _fit_table(fit, found),
        optimum_table(fit.law, fit.draws, budgets),
        warnings_table(given, doubts),
    )
    title = f"{found.name}: L = E + A / N^alpha + B / D^beta, nats/token, fitted to "
    title += f"{found.data.rows} runs of {given.name}"
    return Document(title, tables, data, constants_records(fit.values, known, fit.fixed))


def _fit_table(fit: LossFit, found: LossLawFile) -> Table:
    from ds3opt.report.document import Column, Table
    from ds3opt.report.values import Interval, Measure
    from ds3opt.report.words import dimension_shown, words_of

    told = found.diagnostics
    left_out = f", {found.data.left_out} left out" if found.data.left_out else ""
    rows: list[tuple[Value, Value]] = [
        ("runs", f"{found.data.rows}{left_out}"),
        (
            "goodness of fit",
            f"Huber sum {fit.huber_sum:.6g} (threshold {told['huber_threshold']:g}), "
            f"rms error {fit.rms_log_error:.2g} of log loss, R^2 {told['r_squared']:.4f}",
        ),
        (
            "starts that agree",
            f"{fit.agreeing} of {fit.polished}"
            + (f" best of a grid of {fit.starts}" if fit.polished < fit.starts else ""),
        ),
        ("resamples", Measure(len(fit.draws), "whole")),
    ]
    span = fit.law.fitted_range
    assert span is not None
    for name in ("parameters", "training_tokens", "tokens_per_parameter"):
        low, high = getattr(span, name)
        rows.append((f"fitted on {words_of(name)}", Interval(low, high, dimension_shown(name))))
    if fit.law.repetition is not None:
        rows.append(("repetition", fit.law.repetition.source))
    return Table("Fit", (Column("property", ""), Column("value", "")), tuple(rows), header=False)
