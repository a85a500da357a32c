"""``ds3opt fit verifier``: how well scores or verdicts tell right from wrong, and their cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ds3opt.cli.fit import arguments as options
from ds3opt.cli.fit import log_arguments as logs
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import ExitCode, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ds3opt.cli.fit.table import Source
    from ds3opt.fit.doubts import Doubt
    from ds3opt.fit.verifier import Scored, VerifierFit
    from ds3opt.report.document import Document, Table
    from ds3opt.report.values import Value
    from ds3opt.schema.sample_law_file import VerifierFile

SYMBOLS = {
    "true_positive_rate": "t",
    "false_positive_rate": "f",
    "discrimination": "d'",
    "area_under_curve": "AUC",
}
Threshold = Annotated[
    float | None,
    typer.Option("--threshold", metavar="X", help="Accept from this score on; else the best."),
]
Lower = Annotated[bool, typer.Option("--lower-is-better", help="The best score is the lowest.")]
Parameters = Annotated[
    str | None,
    typer.Option("--parameters", metavar="N", help="Of the verifier model, such as 7B: its cost."),
]
PromptTokens = Annotated[
    str, typer.Option("--prompt-tokens", metavar="TOKENS", help="Of a question, read with it.")
]
OutputTokens = Annotated[
    str | None,
    typer.Option("--output-tokens", metavar="TOKENS", help="Of a sample; else as logged."),
]


@with_view(*ALL_FORMATS, without=("verbose", "output"))
def verifier(
    view: View,
    file: logs.FileArgument,
    output: options.LawFile = None,
    threshold: Threshold = None,
    lower_is_better: Lower = False,
    parameters: Parameters = None,
    prompt_tokens: PromptTokens = "0",
    output_tokens: OutputTokens = None,
    form: logs.SampleForm = "auto",
    model: logs.Model = None,
    metric: logs.Metric = None,
    filter_: logs.Filter = None,
    skip_corrupt: logs.SkipCorrupt = False,
    bootstrap: options.Bootstrap = options.DRAWS,
    seed: options.Seed = 0,
    column: options.Called = None,
    name: options.Name = None,
) -> int:
    """How well a verifier tells right from wrong samples, and what choosing by it reaches.

    The file is a log of samples with scores (problem, correct, score); verdicts are scores of 0
    and 1.

    Rates are shares of right and of wrong samples that are accepted, at the threshold where they
    are farthest apart. The discrimination is the distance of two normal distributions with the
    area under the curve that right and wrong samples of the same problem have. Intervals are of
    resamples of the problems.
    """
    from ds3opt.cli.fit.report import check_law_output, write_law
    from ds3opt.cli.progress import progress_bar
    from ds3opt.fit.verifier import Scored, doubts_of_verifier, fit_verifier, obstacles
    from ds3opt.io.log_file import LogFile

    check_law_output(view, output)
    size = 0.0 if parameters is None else _number("--parameters", parameters, "parameters")
    prompt = _number("--prompt-tokens", prompt_tokens, "tokens")
    length = None if output_tokens is None else _number("--output-tokens", output_tokens, "tokens")
    told = logs.Told(model, None, None, metric, filter_, skip_corrupt, None, column)
    with progress_bar(view.quiet) as progress:
        with LogFile(file) as log:
            source, doubts = logs.read_samples(log, told, progress, form=form, scores=True)
        found = source.log
        sign = -1.0 if lower_is_better else 1.0
        scored = Scored(found.scored_problem, found.scored_right, sign * found.scores)
        for broken in obstacles(scored):
            raise UsageError(source.problem(broken))
        fit = fit_verifier(
            scored,
            threshold=None if threshold is None else sign * threshold,
            draws=bootstrap,
            seed=seed,
        )
    _refuse_upside_down(source, fit, lower=lower_is_better)
    length = found.tokens if length is None else length
    if parameters is not None and length is None:
        raise UsageError("--parameters: the log has no tokens, give --output-tokens")
    cost = None if parameters is None else (size, prompt, length or 0.0)
    left = found.total - len(scored.score)
    if left:
        from ds3opt.fit.doubts import Doubt

        message = f"{left} of {found.total} samples have no score and take no part"
        doubts.append(Doubt("unscored", message))
    every = [*doubts, *doubts_of_verifier(scored, fit, len(found.problems))]
    called = options.law_name(name, output, source.stem + "_verifier")
    law = _law_file(source, scored, fit, called, cost, sign, seed)
    if write_law(view, law, output, "ds3opt fit verifier"):
        return ExitCode.DONE
    view.emit(_document(source, scored, fit, law, every, cost))
    return ExitCode.DONE


def _number(option: str, text: str, dimension: str) -> float:
    from ds3opt.units import UnitError, parse_quantity

    try:
        value = parse_quantity(text, dimension)
    except UnitError as error:
        raise UsageError(Problem(f"{option} {text}: {error.message}", hint=error.hint)) from None
    if not 0.0 <= value <= 1e30:
        raise UsageError(f"{option} {text}: must not be below 0")
    return value


def _refuse_upside_down(source: Source, fit: VerifierFit, *, lower: bool) -> None:
    """A verifier that prefers wrong samples is a mistake somewhere."""
    from ds3opt.fit.doubts import Doubt

    within = fit.values["area_under_curve"]
    rates = fit.values["true_positive_rate"], fit.values["false_positive_rate"]
    if within >= 0.5 and rates[0] >= rates[1] and rates[0] > 0.0:
        return
    message = f"wrong samples score above right ones of the same problem (area {within:.3f})"
    if within >= 0.5:
        message = f"{100 * rates[1]:.3g} % of the wrong samples are accepted and "
        message += f"{100 * rates[0]:.3g} % of the right ones"
    hint = "leave out --lower-is-better" if lower else "is lower better? Then --lower-is-better"
    raise UsageError(source.problem(Doubt("upside_down", message, hint=hint)))


def _flop(cost: tuple[float, float, float]) -> float:
    """FLOP of judging a sample."""
    from ds3opt.laws.sampling_cost import sampling_cost

    size, prompt, length = cost
    return float(sampling_cost(1.0, prompt, length, 2.0 * size, 2.0 * size))


def _law_file(
    source: Source,
    scored: Scored,
    fit: VerifierFit,
    name: str,
    cost: tuple[float, float, float] | None,
    sign: float,
    seed: int,
) -> VerifierFile:
    from ds3opt.cli.fit.report import estimate, spreads
    from ds3opt.cli.outcome import version
    from ds3opt.fit.verifier import CONSTANTS
    from ds3opt.schema.sample_law_file import VerifierFile

    by_rates, by_scores = fit.rms_of_rates, fit.rms_of_scores
    closer = by_rates is not None and by_scores is not None and by_rates < by_scores
    diagnostics: dict[str, Any] = {
        "problems_with_right_and_wrong": fit.mixed,
        "area_over_all_samples": fit.pooled_area,
        "weight_ratio": fit.weight_ratio,
        "rms_error_of_rates": by_rates,
        "rms_error_of_scores": by_scores,
        "resamples": len(fit.draws),
        "seed": seed,
    }
    known = spreads(CONSTANTS, fit.draws)
    return VerifierFile(
        kind="verifier",
        name=name,
        data=source.data(),
        ds3opt_version=version(),
        form="rates" if scored.two_valued or closer else "scores",
        threshold=sign * fit.threshold,
        parameters=0.0 if cost is None else cost[0],
        diagnostics={key: one for key, one in diagnostics.items() if one is not None},
        **estimate(fit.values, known, (), fit.draws),
    )


def _document(
    source: Source,
    scored: Scored,
    fit: VerifierFit,
    found: VerifierFile,
    doubts: Sequence[Doubt],
    cost: tuple[float, float, float] | None,
) -> Document:
    from ds3opt.cli.fit.report import constants_records, constants_table, spreads
    from ds3opt.cli.fit.table import warnings_data, warnings_table
    from ds3opt.fit.verifier import CONSTANTS
    from ds3opt.report.document import Document

    known = spreads(CONSTANTS, fit.draws)
    data: dict[str, Any] = {"schema_version": 1, **found.model_dump(exclude={"draws"})}
    data["warnings"] = warnings_data(source, doubts)
    data["choices"] = [vars(one) for one in fit.choices]
    if cost is not None:
        data["flop_to_judge_a_sample"] = _flop(cost)
    tables = (
        constants_table("Constants", fit.values, known, (), SYMBOLS),
        _properties(scored, fit, found, cost),
        _choices(fit),
        warnings_table(source, doubts),
    )
    title = f"{found.name}: right from wrong samples of the same problem, by {source.name}"
    return Document(title, tables, data, constants_records(fit.values, known))


def _properties(
    scored: Scored,
    fit: VerifierFit,
    found: VerifierFile,
    cost: tuple[float, float, float] | None,
) -> Table:
    import numpy as np

    from ds3opt.report.document import Column, Table
    from ds3opt.report.values import Measure

    rows: list[tuple[Value, Value]] = [
        ("scored samples", Measure(float(len(scored.score)), "whole")),
        ("problems", f"{len(np.unique(scored.problem))}, {fit.mixed} with right and wrong samples"),
        ("accepted from a score of", Measure(found.threshold or 0.0, "number")),
        ("area over all samples", Measure(fit.pooled_area, "number")),
    ]
    if fit.rms_of_rates is not None and fit.rms_of_scores is not None:
        good = f"rms error of the choice by score {100 * fit.rms_of_scores:.2g} points (scores), "
        rows.append(("goodness of fit", good + f"{100 * fit.rms_of_rates:.2g} points (rates)"))
    rows.append(("a scenario takes", f"the {found.form}, unless told with #rates or #scores"))
    if fit.weight_ratio is not None:
        words = "weight of right over wrong votes"
        rows.append((words, Measure(fit.weight_ratio, "number")))
    if cost is not None:
        rows.append(("FLOP to judge a sample", Measure(_flop(cost), "flop")))
    rows.append(("resamples", Measure(len(fit.draws), "whole")))
    return Table("Fit", (Column("property", ""), Column("value", "")), tuple(rows), header=False)


def _choices(fit: VerifierFit) -> Table:
    from ds3opt.report.document import Column, table_of

    return table_of(
        "Accuracy of the verifier's choice among k samples",
        fit.choices,
        (Column("samples", "samples k", "number"), lambda c: c.samples),
        (Column("accepted_fitted", "accepted, fitted", "percent"), lambda c: c.accepted_fitted),
        (Column("accepted", "measured", "percent"), lambda c: c.accepted),
        (Column("ranked_fitted", "best score, fitted", "percent"), lambda c: c.ranked_fitted),
        (Column("ranked", "measured", "percent"), lambda c: c.ranked),
        (Column("oracle", "never errs", "percent"), lambda c: c.oracle),
    )
