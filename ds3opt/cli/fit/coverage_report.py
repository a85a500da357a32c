"""What `ds3opt fit coverage` answers: constants, the curve, samples for targets, the law file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ds3opt.cli.fit.table import Source
    from ds3opt.fit.bootstrap import Spread
    from ds3opt.fit.coverage import Counts, CoverageFit
    from ds3opt.fit.coverage_curve import Curve, CurveFit
    from ds3opt.fit.doubts import Doubt
    from ds3opt.laws._types import FloatArray
    from ds3opt.laws.populations import BetaProblems
    from ds3opt.report.document import Document, Table
    from ds3opt.report.values import Value
    from ds3opt.schema.sample_law_file import PopulationFile

SYMBOLS = {"alpha": "a", "beta": "b", "solvable": "A"}
_SAMPLES = (1, 3, 10, 32, 100, 320, 1000, 3200, 10_000, 32_000, 100_000)


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


@dataclass(frozen=True)
class Answer:
    """A fit to counts or to a curve, as it is told."""

    values: dict[str, float]
    draws: FloatArray  # (draw, constant)
    fixed: tuple[str, ...]
    samples: tuple[float, float]
    """Fewest and most of a problem, or of the curve."""
    what: str
    """What it was fitted to, in words."""
    properties: tuple[tuple[str, Value], ...]
    """Of the fit, for people."""
    diagnostics: dict[str, Any]
    """Of the fit, for the law file."""
    points: tuple[Point, ...]
    targets: tuple[Target, ...]
    doubts: tuple[Doubt, ...]


def of_counts(
    counts: Counts,
    fit: CoverageFit,
    doubts: Sequence[Doubt],
    wanted: Sequence[float],
    asked: Sequence[float],
    seed: int,
) -> Answer:
    """The answer of a fit to counts.

    Parameters
    ----------
    doubts : about the file.
    wanted, asked : coverages to reach, and numbers of samples to tell the coverage of.
    """
    import numpy as np

    from ds3opt.fit.coverage_doubts import FAR, doubts_of_counts, doubts_of_fit
    from ds3opt.laws.populations import CountedProblems

    most = FAR * float(np.median(counts.samples))
    numbers = list(asked) or [float(k) for k in _SAMPLES if k <= most]
    problems = CountedProblems(counts.samples, counts.correct)
    measured = [None if counts.stopped_at_success else problems.covered(int(k)) for k in numbers]
    points = _points(fit.population, fit.draws, numbers, measured)
    targets = tuple(_target(fit.population, fit.draws, one) for one in wanted)
    off = [one.fitted - one.measured for one in points if one.measured is not None]
    far = [*asked, *(one.samples for one in targets)]
    return Answer(
        fit.values,
        fit.draws,
        ("solvable",) if fit.profile is None else (),
        (float(counts.samples.min()), float(counts.samples.max())),
        f"{len(counts)} problems",
        tuple(_properties(counts, fit, points)),
        _diagnostics(counts, fit, points, seed),
        points,
        targets,
        (*doubts, *doubts_of_counts(counts), *doubts_of_fit(counts, fit, off, far)),
    )


def with_tokens(answer: Answer, tokens: float) -> Answer:
    """An answer that tells the mean output tokens of a sample too, which a scenario asks for."""
    from ds3opt.report.values import Measure

    return replace(
        answer,
        properties=(*answer.properties, ("output tokens of a sample", Measure(tokens, "tokens"))),
        diagnostics={**answer.diagnostics, "mean_output_tokens": tokens},
    )


def of_curve(
    curve: Curve, fit: CurveFit, wanted: Sequence[float], asked: Sequence[float]
) -> Answer:
    """The answer of a fit to a curve, as `of_counts`."""
    import numpy as np

    from ds3opt.fit.coverage_curve import doubts_of_curve
    from ds3opt.report.values import Interval

    known = dict(zip(curve.samples.tolist(), curve.coverage.tolist(), strict=True))
    numbers = list(asked) or sorted(known)
    none: FloatArray = np.empty((0, 3))
    low, high = float(curve.samples.min()), float(curve.samples.max())
    good = f"least squares, rms error {100 * fit.rms_error:.2g} points"
    return Answer(
        fit.values,
        none,
        fit.fixed,
        (low, high),
        f"{len(curve)} points of a curve",
        (
            ("points", f"{len(curve)}"),
            ("goodness of fit", good),
            ("starts that agree", f"{fit.agreeing} of {fit.starts}"),
            ("fitted on samples", Interval(low, high, "number")),
        ),
        {
            "method": "least squares on a curve",
            "points": len(curve),
            "coverage_rms_error": fit.rms_error,
            "starts": fit.starts,
            "starts_that_agree": fit.agreeing,
        },
        _points(fit.population, none, numbers, [known.get(k) for k in numbers]),
        tuple(_target(fit.population, none, one) for one in wanted),
        tuple(doubts_of_curve(curve, fit)),
    )


def _points(
    population: BetaProblems,
    draws: FloatArray,
    numbers: Sequence[float],
    measured: Sequence[float | None],
) -> tuple[Point, ...]:
    import numpy as np

    from ds3opt.fit.bootstrap import spread
    from ds3opt.laws.coverage import beta_coverage

    drawn: FloatArray = np.empty((0, len(numbers)))
    if len(draws):
        a, b, part = (draws[:, i, None] for i in range(3))
        drawn = beta_coverage(a, b, part, np.array(numbers))
    return tuple(
        Point(k, population.covered(int(k)), spread(drawn[:, i]), measured[i])
        for i, k in enumerate(numbers)
    )


def _target(population: BetaProblems, draws: FloatArray, share: float) -> Target:
    from ds3opt.fit.bootstrap import spread
    from ds3opt.laws.coverage import samples_for_coverage
    from ds3opt.optimise.selection_draws import whole_interval

    drawn = draws
    if len(draws):
        drawn = samples_for_coverage(share, draws[:, 0], draws[:, 1], draws[:, 2])
    found = spread(drawn)
    if found is not None:  # samples are whole, as `ds3opt coverage` has them
        low, high = whole_interval(drawn)
        found = replace(found, low=low, high=high)
    return Target(share, population.samples_for(share), found)


def _diagnostics(
    counts: Counts, fit: CoverageFit, points: Sequence[Point], seed: int
) -> dict[str, Any]:
    found: dict[str, Any] = {
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
    return {key: value for key, value in found.items() if value is not None}


def law_file(source: Source, answer: Answer, name: str) -> PopulationFile:
    """The law file of an answer."""
    from ds3opt.cli.fit.report import estimate, spreads
    from ds3opt.cli.outcome import version
    from ds3opt.fit.coverage import CONSTANTS
    from ds3opt.schema.fitted import FittedSpan
    from ds3opt.schema.sample_law_file import PopulationFile

    known = spreads(CONSTANTS, answer.draws)
    return PopulationFile(
        kind="coverage",
        name=name,
        data=source.data(),
        ds3opt_version=version(),
        fitted_range=FittedSpan(samples=answer.samples),
        diagnostics=answer.diagnostics,
        **estimate(answer.values, known, answer.fixed, answer.draws),
    )


def document(source: Source, answer: Answer, found: PopulationFile) -> Document:
    """An answer as a report."""
    from ds3opt.cli.fit.report import constants_records, constants_table, spreads
    from ds3opt.cli.fit.table import warnings_data, warnings_table
    from ds3opt.fit.coverage import CONSTANTS
    from ds3opt.report.document import Column, Document, Table

    known = spreads(CONSTANTS, answer.draws)
    data = found.model_dump(exclude={"draws"})
    data = {"schema_version": 1, **data, "warnings": warnings_data(source, answer.doubts)}
    data["curve"] = [
        {"samples": p.samples, "fitted": p.fitted, **_ends(p.spread), "measured": p.measured}
        for p in answer.points
    ]
    data["targets"] = [
        {"coverage": t.coverage, "samples": t.samples, **_ends(t.spread)} for t in answer.targets
    ]
    header = (Column("property", ""), Column("value", ""))
    tables = (
        constants_table("Constants", answer.values, known, answer.fixed, SYMBOLS),
        Table("Fit", header, answer.properties, header=False),
        _curve_table(answer.points),
        _targets_table(answer.targets),
        warnings_table(source, answer.doubts),
    )
    title = f"{found.name}: chance of a right sample by Beta(a, b) on a share A of the problems, "
    title += f"fitted to {answer.what} of {source.name}"
    records = constants_records(answer.values, known, answer.fixed)
    return Document(title, tables, data, records)


def _properties(
    counts: Counts, fit: CoverageFit, points: Sequence[Point]
) -> list[tuple[str, Value]]:
    from ds3opt.report.values import Interval, Measure, Phrase

    rms = _rms(points)
    good = f"log likelihood {fit.log_likelihood:.6g}"
    if rms is not None:
        good += f", rms error {100 * rms:.2g} points of measured coverage"
    rows: list[tuple[str, Value]] = [
        ("problems", f"{len(counts)}"),
        ("samples in all", Measure(float(counts.samples.sum()), "whole")),
        ("solved at least once", Measure(counts.solved, "percent")),
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
    return rows


def _rms(points: Sequence[Point]) -> float | None:
    """Root mean square of fitted minus measured coverage; None where none was measured."""
    off = [(one.fitted - one.measured) ** 2 for one in points if one.measured is not None]
    return (sum(off) / len(off)) ** 0.5 if off else None


def _ends(found: Spread | None) -> dict[str, float | None]:
    return {end: _end(found, end) for end in ("low", "high")}


def _end(found: Spread | None, end: str) -> float | None:
    return None if found is None else float(getattr(found, end))


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
