"""``ds3opt fit coverage``: a population of problems from counts, from a log, or from a curve."""

from __future__ import annotations

from typing import Annotated

import typer

from ds3opt.cli.fit import arguments as options
from ds3opt.cli.fit import log_arguments as logs
from ds3opt.cli.fit import numbers
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import ExitCode

_TARGETS = (0.5, 0.8, 0.9, 0.95)
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


@with_view(*ALL_FORMATS, without=("verbose", "output"))
def coverage(
    view: View,
    file: logs.FileArgument,
    output: options.LawFile = None,
    form: logs.Form = "auto",
    model: logs.Model = None,
    benchmark: logs.Benchmark = None,
    where: logs.Where = None,
    metric: logs.Metric = None,
    filter_: logs.Filter = None,
    skip_corrupt: logs.SkipCorrupt = False,
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

    The file is one of: a CSV of counts (samples n and correct c of each problem); samples, as
    JSON lines or CSV (problem, correct), samples_*.jsonl of lm-evaluation-harness, results of
    EvalPlus, a log of Inspect; a CSV of a curve (k and pass_at_k).

    The chance of a right sample follows Beta(alpha, beta) on the solvable share of the problems
    and is 0 on the rest; the constants have the greatest likelihood of the counts. Intervals are
    of fits to resamples of the problems; that of the solvable share is also by profile likelihood.
    A curve is fitted by least squares, and no interval follows from it.
    """
    from ds3opt.cli.fit import coverage_report as report
    from ds3opt.cli.fit.coverage_data import read
    from ds3opt.cli.fit.report import check_law_output, write_law
    from ds3opt.cli.progress import progress_bar
    from ds3opt.fit.coverage import Counts, fit_coverage
    from ds3opt.fit.coverage_curve import fit_curve

    wanted = [numbers.share("--target", part) for part in numbers.parts(target)] or list(_TARGETS)
    asked = [numbers.whole("--samples", part) for part in numbers.parts(samples)]
    check_law_output(view, output)
    told = logs.Told(model, benchmark, where, metric, filter_, skip_corrupt, drop, column)
    with progress_bar(view.quiet) as progress:
        source, data, doubts = read(file, told, form, solvable, progress)
        answer: report.Answer
        if isinstance(data, Counts):
            fit = fit_coverage(
                data, solvable=solvable, draws=bootstrap, seed=seed, progress=progress
            )
            answer = report.of_counts(data, fit, doubts, wanted, asked, seed)
        else:
            answer = report.of_curve(data, fit_curve(data, solvable=solvable), wanted, asked)
    if isinstance(source, logs.LogSource) and source.log.tokens is not None:
        answer = report.with_tokens(answer, source.log.tokens)
    called = options.law_name(name, output, source.stem)
    found = report.law_file(source, answer, called)
    if write_law(view, found, output, "ds3opt fit coverage"):
        return ExitCode.DONE
    view.emit(report.document(source, answer, found))
    return ExitCode.DONE
