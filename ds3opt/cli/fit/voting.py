"""``ds3opt fit voting``: how wrong answers split, and what votes of several samples reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ds3opt.cli.fit import arguments as options
from ds3opt.cli.fit import log_arguments as logs
from ds3opt.cli.fit import numbers
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import ExitCode, Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.cli.fit.table import Source
    from ds3opt.cli.fit.voting_report import Answer
    from ds3opt.cli.progress import Callback
    from ds3opt.fit.doubts import Doubt
    from ds3opt.fit.voting import AnswerCounts

_ASKED = (1, 3, 5, 10, 20, 40, 80, 160)
_MOST = 1000
VotesFile = Annotated[
    str | None, typer.Argument(metavar="[FILE]", help="A log, or a table of votes; - for stdin.")
]
Plateau = Annotated[
    str | None,
    typer.Option("--plateau", metavar="P", help="In place of a file: what many votes reach."),
]
Votes = Annotated[
    int | None,
    typer.Option("--votes", min=3, max=_MOST, metavar="K", help="Of --plateau; else ever more."),
]
Population = Annotated[
    str | None,
    typer.Option("--population", metavar="FILE", help="The problems: of `ds3opt fit coverage`."),
]
Counts = Annotated[
    str | None,
    typer.Option("--counts", metavar="FILE", help="The problems: a CSV of samples,correct."),
]
WrongAnswers = Annotated[
    int,
    typer.Option(
        "--wrong-answers", min=2, max=1000, metavar="J", help="Distinct wrong answers of a problem."
    ),
]
Samples = Annotated[
    str | None, typer.Option("--samples", metavar="K,...", help="Votes to predict, up to 1000.")
]


@with_view(*ALL_FORMATS, without=("verbose", "output"))
def voting(
    view: View,
    file: VotesFile = None,
    output: options.LawFile = None,
    plateau: Plateau = None,
    votes: Votes = None,
    population: Population = None,
    counts: Counts = None,
    wrong_answers: WrongAnswers = 9,
    samples: Samples = None,
    form: logs.SampleForm = "auto",
    model: logs.Model = None,
    benchmark: logs.Benchmark = None,
    where: logs.Where = None,
    metric: logs.Metric = None,
    filter_: logs.Filter = None,
    skip_corrupt: logs.SkipCorrupt = False,
    bootstrap: options.Bootstrap = options.DRAWS,
    seed: options.Seed = 0,
    drop: options.Drop = None,
    column: options.Called = None,
    name: options.Name = None,
) -> int:
    """How wrong answers split, and what majority votes reach.

    The file is a log of samples with their answers (problem, correct, answer), or a table of votes
    and accuracy; --plateau takes a single accuracy in its place. A table and a plateau need the
    problems that they were measured on.

    Wrong answers of a problem have shares that fall off by a constant decay. It is the one whose
    exact votes come closest to the measured ones, by least squares; intervals are of fits to
    resamples of the problems. It holds for the problems that it was fitted with: refit both
    together.
    """
    from ds3opt.cli.fit import voting_report as report
    from ds3opt.cli.fit.report import check_law_output, write_law
    from ds3opt.cli.progress import progress_bar

    asked = [int(numbers.whole("--samples", one, _MOST)) for one in numbers.parts(samples)]
    if (file is None) == (plateau is None):
        raise UsageError(
            Problem("what was measured?", hint="give a FILE, or --plateau with --population")
        )
    if votes is not None and plateau is None:
        raise UsageError("--votes goes with --plateau")
    check_law_output(view, output)
    told = logs.Told(model, benchmark, where, metric, filter_, skip_corrupt, drop, column)
    with progress_bar(view.quiet) as progress:
        found = _fit(
            file,
            None if plateau is None else numbers.share("--plateau", plateau),
            votes,
            (population, counts),
            told,
            form,
            wrong_answers,
            sorted(set(asked)) or list(_ASKED),
            bootstrap,
            seed,
            progress,
        )
    called = options.law_name(name, output, found.source.stem + "_voting")
    law = report.law_file(found, called, seed)
    if write_law(view, law, output, "ds3opt fit voting"):
        return ExitCode.DONE
    view.emit(report.document(found, law))
    return ExitCode.DONE


def _fit(
    file: str | None,
    plateau: float | None,
    votes: int | None,
    whose: tuple[str | None, str | None],
    told: logs.Told,
    form: str,
    wrong_answers: int,
    asked: list[int],
    draws: int,
    seed: int,
    progress: Callback | None,
) -> Answer:
    import numpy as np

    from ds3opt.cli.fit import voting_data as data
    from ds3opt.cli.fit.voting_report import Answer
    from ds3opt.fit.voting import MOST_VOTES, fit_plateau, fit_votes
    from ds3opt.io.log_file import LogFile

    source: Source
    if file is not None:
        with LogFile(file) as log:
            if form != "auto" or not data.is_curve(log):
                source, answers, doubts = data.read_answers(log, told, form, progress)
                return _of_answers(
                    source, answers, doubts, whose, wrong_answers, asked, draws, seed, progress
                )
    problems, source = data.problems_of_file(*whose, draws, seed)
    rows = len(problems.voters.masses(1))
    rows = rows if problems.voters.weights is None else len(problems.voters.weights)
    if file is None and votes is None:
        assert plateau is not None
        try:
            fit = fit_plateau(problems.voters, plateau, wrong_answers, asked, progress)
        except ValueError as error:
            hint = "more --wrong-answers widen the range; is it the same set of problems?"
            raise UsageError(
                Problem(f"--plateau {100 * plateau:g} %: {error}", hint=hint)
            ) from None
        return Answer(source, problems, fit, None, {}, ())
    if file is None:
        assert votes is not None
        assert plateau is not None
        number, accuracy = np.array([float(votes)]), np.array([plateau])
    else:
        source, number, accuracy = data.read_curve(file, told)
    measured = dict(zip(number.astype(int).tolist(), accuracy.tolist(), strict=True))
    used = [k for k in measured if 2 < k <= max(MOST_VOTES, votes or 0)]
    if not used:
        raise UsageError(f"no row has from 3 to {MOST_VOTES} votes")
    used = used if len(used) <= 12 else [used[int(i)] for i in np.linspace(0, len(used) - 1, 12)]
    shown = asked if asked != list(_ASKED) else sorted({*asked, *used})
    values = np.tile(np.array([measured[k] for k in used]), (rows, 1))
    fit = fit_votes(problems.voters, used, values, wrong_answers, shown, progress)
    return Answer(source, problems, fit, None, measured, ())


def _of_answers(
    source: Source,
    answers: AnswerCounts,
    doubts: list[Doubt],
    whose: tuple[str | None, str | None],
    wrong_answers: int,
    asked: list[int],
    draws: int,
    seed: int,
    progress: Callback | None,
) -> Answer:
    import numpy as np

    from ds3opt.cli.fit import voting_data as data
    from ds3opt.cli.fit.voting_report import Answer
    from ds3opt.fit.bootstrap import resampling_weights
    from ds3opt.fit.voting import VOTES, counted_voters, fit_votes, measured_votes

    least = int(answers.samples.min())
    used = [k for k in VOTES if k <= least]
    shown = sorted({*asked, *used})
    looked = [k for k in shown if k <= least]
    if progress is not None:
        progress("votes", 0.0)
    each = measured_votes(answers, looked, seed)
    if any(one is not None for one in whose):
        problems, _ = data.problems_of_file(*whose, draws, seed)
        draws = len(problems.voters.masses(1)) - 1 if whose[0] is not None else draws
    else:
        voters = counted_voters(answers.samples, answers.right, draws, seed)
        problems = data.Problems(voters, f"{len(answers)} problems of {source.name}", least)
    weights = np.concatenate(
        [np.ones((1, len(answers))), resampling_weights(len(answers), draws, seed)]
    ) / len(answers)
    measured = dict(zip(looked, each.mean(axis=0).tolist(), strict=True))
    every = weights @ each[:, [looked.index(k) for k in used]]
    fit = fit_votes(problems.voters, used, every, wrong_answers, shown, progress)
    return Answer(source, problems, fit, answers, measured, tuple(doubts))
