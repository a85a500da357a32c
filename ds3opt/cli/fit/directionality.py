"""``ds3opt fit directionality``: how well models find the next skill, relative to one of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ds3opt.cli.fit import arguments as options
from ds3opt.cli.fit import numbers
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import Ds3optError, ExitCode, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ds3opt.cli.fit.table import Given
    from ds3opt.fit.directionality import DirectionalityFit, MeasuredModels
    from ds3opt.fit.doubts import Doubt
    from ds3opt.io.columns import Column
    from ds3opt.laws._types import FloatArray
    from ds3opt.report.document import Document, Table
    from ds3opt.report.values import Value
    from ds3opt.schema.sample_law_file import DirectionalityFile

DRAWS = 200
Reference = Annotated[
    str | None, typer.Option("--reference", metavar="MODEL", help="Its index is 1; else the first.")
]
Skills = Annotated[
    str, typer.Option("--skills", metavar="M,...", help="Skills of each group of problems.")
]
Shares = Annotated[
    str, typer.Option("--shares", metavar="P,...", help="Share of each group of problems.")
]
Slope = Annotated[
    float, typer.Option("--slope", min=1e-3, max=1e3, metavar="B", help="Of a step, per nat/token.")
]
Law = Annotated[
    str | None,
    typer.Option(
        "--law", metavar="LAW", help="Loss from parameters and tokens: a published law or a file."
    ),
]
Draws = Annotated[
    int,
    typer.Option("--draws", min=0, max=10_000, metavar="N", help="Draws of the populations."),
]


@with_view(*ALL_FORMATS, without=("verbose", "output"))
def directionality(
    view: View,
    table: options.TableArgument,
    output: options.LawFile = None,
    reference: Reference = None,
    skills: Skills = "1,100",
    shares: Shares = "0.93,0.07",
    slope: Slope = 5.0,
    law: Law = None,
    draws: Draws = DRAWS,
    drop: options.Drop = None,
    column: options.Called = None,
    name: options.Name = None,
) -> int:
    """Directionality of several models from their populations on the same problems.

    Columns: model, population (a file of `ds3opt fit coverage`, beside the table), steps, and loss,
    or parameters and tokens with --law.

    Problems come in groups of so many skills, with normal difficulties that the models share; each
    model executes and finds steps by its loss and its directionality. Both are fitted to the
    distributions of success, DS3 appendix E-D. The result is an index relative to one model.
    Intervals are of joint draws of the populations.
    """
    from ds3opt.cli.fit.report import check_law_output, write_law
    from ds3opt.cli.progress import progress_bar
    from ds3opt.fit.directionality import doubts_of_directionality, fit_directionality

    check_law_output(view, output)
    groups = [numbers.whole("--skills", one, 1e6) for one in numbers.parts(skills)]
    parts = [numbers.share("--shares", one) for one in numbers.parts(shares)]
    if len(groups) != len(parts) or not groups:
        raise UsageError(f"--skills has {len(groups)} groups and --shares {len(parts)}")
    if abs(sum(parts) - 1.0) > 1e-9:
        raise UsageError(f"--shares sum to {sum(parts):g}, not to 1")
    given, models = read_models(table, column, drop, law, slope, draws)
    at = _position(models, reference)
    with progress_bar(view.quiet) as progress:
        fit = fit_directionality(models, parts, groups, reference=at, progress=progress)
    doubts = list(doubts_of_directionality(models, fit))
    called = options.law_name(name, output, given.stem)
    found = _law_file(given, models, fit, called)
    if write_law(view, found, output, "ds3opt fit directionality"):
        return ExitCode.DONE
    view.emit(_document(given, models, fit, doubts, found))
    return ExitCode.DONE


def columns() -> tuple[Column, ...]:
    """What a table of models may hold."""
    from ds3opt.io.columns import Column

    return (
        Column("model", ("model_name", "name"), "text"),
        Column("population", ("file", "coverage"), "text"),
        Column("steps", ("max_steps", "T"), "dimensionless", most=1e6),
        Column("loss", ("pretraining_loss",), "loss", most=1e3),
        Column("parameters", ("params", "N"), "parameters"),
        Column("tokens", ("training_tokens", "D"), "tokens"),
    )


def read_models(
    path: str,
    column: Sequence[str] | None,
    drop: Sequence[str] | None,
    law: str | None,
    slope: float,
    draws: int,
) -> tuple[Given, MeasuredModels]:
    """The models of a table with their populations.

    Raises
    ------
    UsageError : with the place of every cell that cannot be used.
    """
    import numpy as np

    from ds3opt.cli.fit.table import read_table
    from ds3opt.fit.directionality import MeasuredModels
    from ds3opt.fit.doubts import Doubt
    from ds3opt.io.columns import lacking

    known = columns()
    model, population, steps, loss, size, tokens = known
    given = read_table(
        path,
        known,
        called=options.called(column, [one.name for one in known]),
        drop=options.lines(drop),
    )
    rows = given.rows
    missing = [lacking(rows, one) for one in (model, population, steps) if not rows.has(one.name)]
    if missing:
        raise UsageError(*missing)
    names = rows.words(model)
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        where = tuple(i for i, name in enumerate(names) if name == twice[0])
        told = Doubt("duplicates", f"model {twice[0]} stands {len(where)} times", where)
        raise UsageError(given.problem(told))
    if len(names) < 2:
        hint = "directionality is known relative to another model on the same problems"
        raise UsageError(given.problem(Doubt("one_model", "one model is too few", hint=hint)))
    limits = np.array(rows.numbers(steps))
    losses = _losses(given, law, loss, size, tokens)
    fits, drawn = _populations(given, path, population, draws)
    a, b, part = fits.T
    return given, MeasuredModels(tuple(names), a, b, part, losses, limits, slope, drawn)


def _losses(
    given: Given, law: str | None, loss: Column, size: Column, tokens: Column
) -> FloatArray:
    import numpy as np

    from ds3opt.cli.laws import named_law
    from ds3opt.fit.doubts import Doubt

    if given.rows.has("loss"):
        return np.array(given.rows.numbers(loss))
    if law is None or not (given.rows.has("parameters") and given.rows.has("tokens")):
        hint = "or parameters and tokens with --law"
        raise UsageError(given.problem(Doubt("no_loss", "there is no column loss", hint=hint)))
    n, d = (np.array(given.rows.numbers(one)) for one in (size, tokens))
    return np.asarray(named_law(law).loss(n, d))


def _populations(
    given: Given, path: str, column: Column, draws: int
) -> tuple[FloatArray, FloatArray]:
    """Constants of each population, and their joint draws where all have some."""
    import numpy as np

    from ds3opt.io.law_files import resolve_population
    from ds3opt.schema.candidates import BetaPopulation
    from ds3opt.schema.fitted import parsed_draws

    folder = Path(".") if path == "-" else Path(path).parent
    problems: list[Problem] = []
    fits, drawn = [], []
    for row, file in enumerate(given.rows.words(column)):
        try:
            found = BetaPopulation.model_validate(resolve_population(file, (folder,)))
        except Ds3optError as error:
            first = error.problems[0]
            problems.append(given.rows.problem(row, column.name, first.message, first.hint))
            continue
        fits.append([found.alpha, found.beta, found.solvable])
        names, values = parsed_draws(found.draws)
        order = [names.index(one) for one in ("alpha", "beta", "solvable")] if names else []
        drawn.append(values[:draws, order] if names else np.empty((0, 3)))
    if problems:
        raise UsageError(*problems)
    count = min(len(one) for one in drawn)
    return np.array(fits), np.stack([one[:count] for one in drawn], axis=1)


def _position(models: MeasuredModels, reference: str | None) -> int:
    import difflib

    if reference is None:
        return 0
    if reference not in models.names:
        near = difflib.get_close_matches(reference, models.names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(models.names[:20])}"
        raise UsageError(Problem(f"--reference: there is no model {reference!r}", hint=hint))
    return models.names.index(reference)


def _keys(models: MeasuredModels) -> list[str]:
    """Names without spaces, as a table of draws has them."""
    found: list[str] = []
    for name in models.names:
        key = re.sub(r"[^A-Za-z0-9.+-]+", "_", name).strip("_") or "model"
        found.append(key if key not in found else f"{key}_{len(found) + 1}")
    return found


def _law_file(
    given: Given, models: MeasuredModels, fit: DirectionalityFit, name: str
) -> DirectionalityFile:
    from ds3opt.cli.fit.report import estimate, spreads
    from ds3opt.cli.outcome import version
    from ds3opt.schema.sample_law_file import DirectionalityFile

    keys = _keys(models)
    diagnostics: dict[str, Any] = {
        "distance": fit.distance,
        "distance_if_tripled": fit.tripled,
        "draws": len(fit.draws),
    }
    for group, skills in enumerate(fit.problems.skills):
        words = f"of_{skills:g}_skills"
        diagnostics[f"difficulty_mean_{words}"] = float(fit.problems.mean[group])
        diagnostics[f"difficulty_deviation_{words}"] = float(fit.problems.deviation[group])
    for key, one in zip(keys, fit.directionality, strict=True):
        diagnostics[f"directionality_{key}"] = float(one)
    values = dict(zip(keys, map(float, fit.relative), strict=True))
    return DirectionalityFile(
        kind="directionality",
        name=name,
        data=given.data(),
        ds3opt_version=version(),
        reference=models.names[fit.reference],
        models=dict(zip(keys, models.names, strict=True)),
        diagnostics=diagnostics,
        **estimate(values, spreads(keys, fit.draws), (keys[fit.reference],), fit.draws),
    )


def _document(
    given: Given,
    models: MeasuredModels,
    fit: DirectionalityFit,
    doubts: Sequence[Doubt],
    found: DirectionalityFile,
) -> Document:
    from ds3opt.cli.fit.report import constants_records, spreads
    from ds3opt.cli.fit.table import warnings_data, warnings_table
    from ds3opt.report.document import Document

    keys = _keys(models)
    known = spreads(keys, fit.draws)
    data: dict[str, Any] = {"schema_version": 1, **found.model_dump(exclude={"draws"})}
    data["close"] = {key: list(map(float, fit.close[:, i])) for i, key in enumerate(keys)}
    data["warnings"] = warnings_data(given, doubts)
    tables = (_index(models, fit), _properties(fit), warnings_table(given, doubts))
    title = f"{found.name}: directionality relative to {found.reference}, an index and no "
    title += "measurement"
    return Document(title, tables, data, constants_records(found.values, known, found.fixed))


def _index(models: MeasuredModels, fit: DirectionalityFit) -> Table:
    from ds3opt.fit.bootstrap import spread
    from ds3opt.report.document import Column, Table

    columns = (
        Column("model", "model"),
        Column("index", "index", "number"),
        Column("low", "95 % from", "number"),
        Column("high", "to", "number"),
        Column("close_low", "still close from", "number"),
        Column("close_high", "to", "number"),
        Column("loss", "loss L", "number"),
        Column("steps", "steps T", "number"),
    )
    rows: list[tuple[Value, ...]] = []
    for i, name in enumerate(models.names):
        ends = None if i == fit.reference else spread(fit.draws[:, i])
        low, high = (None, None) if ends is None else (ends.low, ends.high)
        close = map(float, fit.close[:, i])
        more = float(models.loss[i]), float(models.steps[i])
        rows.append((name, float(fit.relative[i]), low, high, *close, *more))
    return Table("Directionality", columns, tuple(rows)).without_empty(keep=("index",))


def _properties(fit: DirectionalityFit) -> Table:
    from ds3opt.report.document import Column, Table
    from ds3opt.report.values import Measure

    good = f"rms distance of the distributions {fit.distance:.3f}, {fit.tripled:.3f} if tripled"
    rows: list[tuple[Value, Value]] = [("goodness of fit", good)]
    for group, skills in enumerate(fit.problems.skills):
        share, mean = 100.0 * fit.problems.share[group], fit.problems.mean[group]
        told = (
            f"{share:g} % of the problems, {mean:.3g} +- {fit.problems.deviation[group]:.2g} nats"
        )
        rows.append((f"difficulty of {skills:g} skill{'' if skills == 1.0 else 's'}", told))
    rows.append(("draws of the populations", Measure(float(len(fit.draws)), "whole")))
    return Table("Fit", (Column("property", ""), Column("value", "")), tuple(rows), header=False)
