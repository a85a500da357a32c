"""``ds3opt fit tasks``: classes of tasks from measured accuracies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ds3opt.cli.fit import arguments as options
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import ExitCode, Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.cli.fit.observed import Observed
    from ds3opt.cli.fit.task_tables import FittedClass
    from ds3opt.schema.law_file import TasksFile

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
    from ds3opt.cli.fit.task_tables import document
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
    view.emit(document(fitted, found))
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
) -> FittedClass:
    from ds3opt.cli.fit.task_tables import FittedClass
    from ds3opt.fit.task_doubts import doubts_of_fit, doubts_of_rows
    from ds3opt.fit.task_draws import likely_draws
    from ds3opt.fit.tasks import fit_tasks

    rows = own.measured
    fit = fit_tasks(rows, slope=slope, held=held)
    doubts = [*doubts_of_rows(rows), *doubts_of_fit(rows, fit)]
    # doubts count the measured rows alone
    where = own.of_measured
    doubts = [replace(one, rows=tuple(int(where[i]) for i in one.rows)) for one in doubts]
    return FittedClass(name, own, fit, likely_draws(fit, draws, seed), tuple(doubts))


def _law_file(
    given: Observed, fitted: Sequence[FittedClass], name: str, slope: float, seed: int
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


def _class_file(one: FittedClass, seed: int) -> Any:
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
