"""``ds3opt fit coverage``: a population of problems from counts of right samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ds3opt.cli.fit import arguments as options
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import ExitCode, Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.cli.fit.table import Given
    from ds3opt.fit.bootstrap import Spread
    from ds3opt.fit.coverage import Counts, CoverageFit
    from ds3opt.fit.doubts import Doubt
    from ds3opt.io.columns import Column
    from ds3opt.laws._types import FloatArray
    from ds3opt.report.document import Document, Table
    from ds3opt.report.values import Value
    from ds3opt.schema.law_file import PopulationFile

SYMBOLS = {"alpha": "a", "beta": "b", "solvable": "A"}
_SAMPLES = (1, 3, 10, 32, 100, 320, 1000, 3200, 10_000, 32_000, 100_000)
_TARGETS = (0.5, 0.8, 0.9, 0.95)
_MOST = 1e9
Model = Annotated[
    str | None, typer.Option("--model", metavar="NAME", help="Only rows of this model.")
]
Benchmark = Annotated[
    str | None, typer.Option("--benchmark", metavar="NAME", help="Only rows of this benchmark.")
]
Solvable = Annotated[
    float | None,
    typer.Option(
        "--solvable", min=0.001, max=1.0, metavar="SHARE", help="Hold the solvable share fixed."
    ),
]
Targets = Annotated[
    str | None, typer.Option("--target", metavar="P,...", help="Coverages to reach: 0.5,90%.")
]
Samples = Annotated[
    str | None, typer.Option("--samples", metavar="K,...", help="Samples for the curve.")
]


@dataclass(frozen=True)
class Point:
    """Coverage with so many samples."""

    samples: float
    fitted: float
    spread: Spread | None
    measured: float | None
    """Unbiased pass@k; None beyond the samples of some problem."""


@dataclass(frozen=True)
class Target:
    """Samples that a coverage takes."""

    coverage: float
    samples: float
    spread: Spread | None


@with_view(*ALL_FORMATS, without=("verbose", "output"))
def coverage(
    view: View,
    table: options.TableArgument,
    output: options.LawFile = None,
    model: Model = None,
    benchmark: Benchmark = None,
    solvable: Solvable = None,
    target: Targets = None,
    samples: Samples = None,
    bootstrap: options.Bootstrap = options.DRAWS,
    seed: options.Seed = 0,
    drop: options.Drop = None,
    column: options.Called = None,
    name: options.Name = None,
) -> int:
    """How problems differ in the chance of a right sample, and what repeated samples cover.

    Columns: samples (n) and correct (c) of each problem; optional problem, model, benchmark.

    The chance of a right sample follows Beta(alpha, beta) on the solvable share of the problems
    and is 0 on the rest; the constants have the greatest likelihood of the counts. Intervals are
    of fits to resamples of the problems; that of the solvable share is also by profile likelihood.
    """
    from ds3opt.cli.fit.report import check_law_output, write_law
    from ds3opt.cli.progress import progress_bar
    from ds3opt.fit.coverage import fit_coverage
    from ds3opt.fit.coverage_doubts import doubts_of_counts, doubts_of_fit

    wanted = [_number("--target", part, 1.0) for part in _parts(target)] or list(_TARGETS)
    asked = [_whole(part) for part in _parts(samples)]
    check_law_output(view, output)
    given, counts = read_counts(table, column, drop, model, benchmark, solvable)
    with progress_bar(view.quiet) as progress:
        fit = fit_coverage(counts, solvable=solvable, draws=bootstrap, seed=seed, progress=progress)
    points = _curve(counts, fit, asked)
    targets = [_target(fit, one) for one in wanted]
    off = [one.fitted - one.measured for one in points if one.measured is not None]
    far = [*asked, *(one.samples for one in targets)]
    doubts = [*doubts_of_counts(counts), *doubts_of_fit(counts, fit, off, far)]
    called = options.law_name(name, output, given.stem)
    found = _law_file(given, counts, fit, points, called, seed)
    if write_law(view, found, output, "ds3opt fit coverage"):
        return ExitCode.DONE
    view.emit(_document(given, counts, fit, points, targets, doubts, found))
    return ExitCode.DONE


def columns() -> tuple[Column, ...]:
    """What a table of counts may hold."""
    from ds3opt.io.columns import Column

    tried = ("n", "n_samples", "num_samples", "tries", "attempts")
    right = ("c", "n_correct", "num_correct", "successes", "solved")
    return (
        Column("samples", tried, "dimensionless", most=_MOST),
        Column("correct", right, "dimensionless", least=-1e-300, most=_MOST),
        Column("problem", ("problem_id", "task_id", "doc_id", "id"), "text"),
        Column("model", ("model_name",), "text"),
        Column("benchmark", ("dataset", "task"), "text"),
    )


def read_counts(
    path: str,
    column: Sequence[str] | None,
    drop: Sequence[str] | None,
    model: str | None,
    benchmark: str | None,
    solvable: float | None,
) -> tuple[Given, Counts]:
    """The counts of a table that a population is fitted to.

    Raises
    ------
    UsageError : with the place of everything that makes a fit impossible.
    """
    import numpy as np

    from ds3opt.cli.fit.table import chosen, read_table
    from ds3opt.fit.coverage import Counts
    from ds3opt.fit.coverage_doubts import obstacles
    from ds3opt.io.columns import lacking

    known = columns()
    tried, right = known[:2]
    given = read_table(
        path,
        known,
        called=options.called(column, [one.name for one in known]),
        drop=options.lines(drop),
    )
    missing = [lacking(given.rows, one) for one in (tried, right) if not given.rows.has(one.name)]
    if missing:
        raise UsageError(*missing)
    given = chosen(given, "model", model)
    given = chosen(given, "benchmark", benchmark)
    _refuse_copies(given)
    problems: list[Problem] = []
    numbers = []
    for one in (tried, right):
        try:
            numbers.append(np.array(given.rows.numbers(one)))
        except UsageError as error:
            problems += error.problems
        else:
            problems += [
                given.rows.problem(int(i), one.name, "is no whole number")
                for i in np.flatnonzero(numbers[-1] != np.floor(numbers[-1]))
            ]
    if problems:
        raise UsageError(*problems[:20])
    counts = Counts(*numbers)
    found = list(obstacles(counts, 3 if solvable is None else 2))
    if found:
        raise UsageError(*(given.problem(one) for one in found))
    return given, counts


def _refuse_copies(given: Given) -> None:
    """Refuse a problem that stands twice: its samples belong into one row."""
    from ds3opt.fit.doubts import Doubt

    if not given.rows.has("problem"):
        return
    header = given.rows.found["problem"]
    first: dict[str, int] = {}
    for index, record in enumerate(given.rows.records):
        name = record.cells.get(header, "").strip()
        if name and name in first:
            told = Doubt(
                "duplicates",
                f"problem {name[:60]} stands twice",
                (first[name], index),
                hint="its samples belong into one row; --drop leaves lines out",
            )
            raise UsageError(given.problem(told))
        first[name] = index


def _parts(text: str | None) -> list[str]:
    return [] if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _number(option: str, text: str, most: float) -> float:
    from ds3opt.units import UnitError, parse_quantity

    try:
        value = parse_quantity(text, "ratio" if most <= 1.0 else "dimensionless")
    except UnitError as error:
        raise UsageError(Problem(f"{option} {text}: {error.message}", hint=error.hint)) from None
    if not 0.0 < value <= most:
        raise UsageError(f"{option} {text}: must be above 0 and at most {most:g}")
    return value


def _whole(text: str) -> float:
    value = _number("--samples", text, _MOST)
    if value != int(value):
        raise UsageError(f"--samples {text}: a whole number is expected")
    return value


def _curve(counts: Counts, fit: CoverageFit, asked: Sequence[float]) -> list[Point]:
    import numpy as np

    from ds3opt.fit.bootstrap import spread
    from ds3opt.fit.coverage_doubts import FAR
    from ds3opt.laws.coverage import beta_coverage
    from ds3opt.laws.populations import CountedProblems

    most = FAR * float(np.median(counts.samples))
    numbers = list(asked) or [float(k) for k in _SAMPLES if k <= most]
    measured = CountedProblems(counts.samples, counts.correct)
    a, b, part = (fit.draws[:, i, None] for i in range(3))
    drawn: FloatArray = np.empty((0, len(numbers)))
    if len(fit.draws):
        drawn = beta_coverage(a, b, part, np.array(numbers))
    return [
        Point(
            k,
            fit.population.covered(int(k)),
            spread(drawn[:, i]),
            None if counts.stopped_at_success else measured.covered(int(k)),
        )
        for i, k in enumerate(numbers)
    ]


def _target(fit: CoverageFit, share: float) -> Target:
    from ds3opt.fit.bootstrap import spread
    from ds3opt.laws.coverage import samples_for_coverage

    k = fit.population.samples_for(share)
    drawn = fit.draws
    if len(drawn):
        drawn = samples_for_coverage(share, fit.draws[:, 0], fit.draws[:, 1], fit.draws[:, 2])
    return Target(share, k, spread(drawn))


def _law_file(
    given: Given,
    counts: Counts,
    fit: CoverageFit,
    points: Sequence[Point],
    name: str,
    seed: int,
) -> PopulationFile:
    from ds3opt.cli.fit.report import estimate, spreads
    from ds3opt.cli.outcome import version
    from ds3opt.fit.coverage import CONSTANTS
    from ds3opt.schema.fitted import FittedSpan
    from ds3opt.schema.law_file import PopulationFile

    diagnostics: dict[str, Any] = {
        "problems": len(counts),
        "solved_at_least_once": counts.solved,
        "mean_rate": float(counts.rates.mean()),
        "log_likelihood": fit.log_likelihood,
        "coverage_rms_error": _rms(points),
        "likelihood_ratio_of_unsolvable": fit.likelihood_ratio,
        "p_value_of_unsolvable": fit.p_value,
        "solvable_profile_low": None if fit.profile is None else fit.profile[0],
        "solvable_profile_high": None if fit.profile is None else fit.profile[1],
        "share_of_draws_like_a_u": fit.bimodal,
        "stopped_at_first_success": "yes" if counts.stopped_at_success else "no",
        "starts": fit.starts,
        "starts_that_agree": fit.agreeing,
        "resamples": len(fit.draws),
        "seed": seed,
    }
    fixed = _fixed(fit)
    return PopulationFile(
        kind="coverage",
        name=name,
        data=given.data(),
        ds3opt_version=version(),
        fitted_range=FittedSpan(samples=(float(counts.samples.min()), float(counts.samples.max()))),
        diagnostics={key: value for key, value in diagnostics.items() if value is not None},
        **estimate(fit.values, spreads(CONSTANTS, fit.draws), fixed, fit.draws),
    )


def _fixed(fit: CoverageFit) -> tuple[str, ...]:
    """Constants that were given; without a held share there is a profile of it."""
    return ("solvable",) if fit.profile is None else ()


def _rms(points: Sequence[Point]) -> float | None:
    """Root mean square of fitted minus measured coverage; None where none was measured."""
    off = [(one.fitted - one.measured) ** 2 for one in points if one.measured is not None]
    return (sum(off) / len(off)) ** 0.5 if off else None


def _document(
    given: Given,
    counts: Counts,
    fit: CoverageFit,
    points: Sequence[Point],
    targets: Sequence[Target],
    doubts: Sequence[Doubt],
    found: PopulationFile,
) -> Document:
    from ds3opt.cli.fit.report import constants_records, constants_table, spreads
    from ds3opt.cli.fit.table import warnings_data, warnings_table
    from ds3opt.fit.coverage import CONSTANTS
    from ds3opt.report.document import Document

    known = spreads(CONSTANTS, fit.draws)
    fixed = _fixed(fit)
    data = found.model_dump(exclude={"draws"})
    data = {"schema_version": 1, **data, "warnings": warnings_data(given, doubts)}
    data["curve"] = [
        {"samples": p.samples, "fitted": p.fitted, **_ends(p.spread), "measured": p.measured}
        for p in points
    ]
    data["targets"] = [
        {"coverage": t.coverage, "samples": t.samples, **_ends(t.spread)} for t in targets
    ]
    tables = (
        constants_table("Constants", fit.values, known, fixed, SYMBOLS),
        _fit_table(counts, fit, points, found),
        _curve_table(points),
        _targets_table(targets),
        warnings_table(given, doubts),
    )
    title = f"{found.name}: chance of a right sample by Beta(a, b) on a share A of the problems, "
    title += f"fitted to {found.data.rows} problems of {given.name}"
    return Document(title, tables, data, constants_records(fit.values, known, fixed))


def _ends(found: Spread | None) -> dict[str, float | None]:
    return {end: _end(found, end) for end in ("low", "high")}


def _end(found: Spread | None, end: str) -> float | None:
    return None if found is None else float(getattr(found, end))


def _fit_table(
    counts: Counts, fit: CoverageFit, points: Sequence[Point], found: PopulationFile
) -> Table:
    from ds3opt.report.document import Column, Table
    from ds3opt.report.values import Interval, Measure, Phrase

    left_out = f", {found.data.left_out} left out" if found.data.left_out else ""
    solved = Measure(counts.solved, "percent")
    rms = _rms(points)
    good = f"log likelihood {fit.log_likelihood:.6g}"
    if rms is not None:
        good += f", rms error {100 * rms:.2g} points of measured coverage"
    rows: list[tuple[Value, Value]] = [
        ("problems", f"{found.data.rows}{left_out}"),
        ("solved at least once", solved),
        ("goodness of fit", good),
    ]
    if fit.profile is not None:
        ends = Interval(fit.profile[0], fit.profile[1], "percent")
        test = f"likelihood ratio {fit.likelihood_ratio:.2f}, p = {fit.p_value:.2g}"
        rows += [
            ("solvable share, 95 % by profile", ends),
            ("test of unsolvable problems", test),
        ]
    if fit.bimodal is not None:
        shape = Phrase("in {} of the resamples", (Measure(fit.bimodal, "share"),))
        rows.append(("most problems easy or hard (a, b < 1)", shape))
    low, high = float(counts.samples.min()), float(counts.samples.max())
    rows += [
        ("starts that agree", f"{fit.agreeing} of {fit.starts}"),
        ("resamples", Measure(len(fit.draws), "whole")),
        ("fitted on samples of a problem", Interval(low, high, "number")),
    ]
    return Table("Fit", (Column("property", ""), Column("value", "")), tuple(rows), header=False)


def _curve_table(points: Sequence[Point]) -> Table:
    from ds3opt.report.document import Column, table_of

    return table_of(
        "Coverage: one of k samples is right",
        points,
        (Column("samples", "samples k", "number"), lambda p: p.samples),
        (Column("fitted", "fitted", "percent"), lambda p: p.fitted),
        (Column("low", "95 % from", "percent"), lambda p: _end(p.spread, "low")),
        (Column("high", "to", "percent"), lambda p: _end(p.spread, "high")),
        (Column("measured", "measured", "percent"), lambda p: p.measured),
    ).without_empty()


def _targets_table(targets: Sequence[Target]) -> Table:
    from ds3opt.report.document import Column, table_of

    return table_of(
        "Samples that a coverage takes",
        targets,
        (Column("coverage", "coverage", "percent"), lambda t: t.coverage),
        (Column("samples", "samples k", "number"), lambda t: t.samples),
        (Column("low", "95 % from", "number"), lambda t: _end(t.spread, "low")),
        (Column("high", "to", "number"), lambda t: _end(t.spread, "high")),
    ).without_empty()
