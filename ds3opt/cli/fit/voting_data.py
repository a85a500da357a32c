"""What `ds3opt fit voting` reads: answers of samples, a curve of votes, and the problems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ds3opt.cli.fit.log_arguments import Told, columns_of_numbers, one_table, read_samples
from ds3opt.errors import Location, Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.cli.fit.table import Source
    from ds3opt.cli.progress import Callback
    from ds3opt.fit.doubts import Doubt
    from ds3opt.fit.voting import AnswerCounts, Voters
    from ds3opt.io.columns import Column
    from ds3opt.io.log_file import LogFile
    from ds3opt.io.sample_logs import SampleLog
    from ds3opt.laws._types import FloatArray
    from ds3opt.schema.fitted import FittedData

SAME_TEXT = 0.9
"""Share of right answers that have the most frequent text of their problem, below which it is
told of."""


@dataclass(frozen=True)
class Problems:
    """Whose votes they are."""

    voters: Voters
    words: str
    most: float
    """Samples that are known of a problem; inf for a fitted population."""


@dataclass(frozen=True)
class PlateauSource:
    """A number that the user typed, with the file of the problems it is for."""

    name: str
    sha256: str
    rows: int

    @property
    def stem(self) -> str:
        """As a law may be called."""
        from ds3opt.cli.fit.table import stem_of

        return stem_of(self.name)

    def data(self) -> FittedData:
        """What a law file says of it."""
        from ds3opt.cli.fit.table import file_of
        from ds3opt.schema.fitted import FittedData

        return FittedData(file=file_of(self.name), sha256=self.sha256, rows=self.rows)

    def where(self, rows: object) -> str:
        """The file."""
        return self.name

    def line(self, row: int) -> int:
        """None."""
        return 0

    def problem(self, doubt: Doubt) -> Problem:
        """A doubt as a problem of the file."""
        return Problem(doubt.message, hint=doubt.hint, location=Location(self.name))


def curve_columns() -> tuple[Column, ...]:
    """What a table of votes may hold."""
    from ds3opt.io.columns import Column

    accuracy = ("majority_vote", "maj_at_k", "maj@k", "value")
    return (
        Column("votes", ("k", "samples", "n_samples"), "dimensionless", most=1e9),
        Column("accuracy", accuracy, "ratio", least=-1e-300, most=1.0),
        Column("model", ("model_name",), "text"),
        Column("benchmark", ("dataset", "task"), "text"),
    )


def is_curve(file: LogFile) -> bool:
    """Whether a file is a table of votes and accuracies."""
    from ds3opt.io.columns import plain_name

    header = file.columns()
    return all(
        not header.isdisjoint(map(plain_name, (one.name, *one.also))) for one in curve_columns()[:2]
    )


def read_curve(path: str, told: Told) -> tuple[Source, FloatArray, FloatArray]:
    """Numbers of votes and their accuracy.

    Raises
    ------
    UsageError : with the place of everything that cannot be used.
    """
    import numpy as np

    from ds3opt.fit.doubts import Doubt

    known = curve_columns()
    given = one_table(path, told, known)
    votes, accuracy = columns_of_numbers(given, known[:2], ("votes",))
    distinct, first = np.unique(votes, return_index=True)
    copies = np.setdiff1d(np.arange(len(votes)), first)
    if copies.size:
        other = int(np.flatnonzero(votes == votes[copies[0]])[0])
        hint = "one curve at a time: choose it with --where, as --where metric=majority_vote"
        message = f"{votes[copies[0]]:g} votes stand twice"
        raise UsageError(
            given.problem(Doubt("duplicates", message, (other, int(copies[0])), hint=hint))
        )
    if not np.any(distinct > 2.0):
        message = "one vote and two are as good as a single sample: more are needed"
        raise UsageError(given.problem(Doubt("too_few_votes", message)))
    order = np.argsort(votes)
    return given, votes[order], accuracy[order]


def read_answers(
    file: LogFile, told: Told, form: str, progress: Callback | None
) -> tuple[Source, AnswerCounts, list[Doubt]]:
    """Answers of every sample, and what is doubtful about them.

    Raises
    ------
    UsageError : a log without answers, or of which nothing can be learnt.
    """
    import numpy as np

    from ds3opt.fit.doubts import Doubt
    from ds3opt.fit.voting import AnswerCounts

    source, doubts = read_samples(file, told, progress, form=form, answers=True)
    log = source.log
    if not log.answered:
        hint = "name it with --column answer=HEADER; counts alone do not say what is voted for"
        raise UsageError(source.problem(Doubt("no_answers", "the log has no answers", hint=hint)))
    wrong = []
    for held in log.answers:
        numbers = sorted((n - right for text, (n, right) in held.items() if text), reverse=True)
        wrong.append(np.array([one for one in numbers if one > 0], dtype=np.float64))
    answers = AnswerCounts(log.samples, log.correct, tuple(wrong))
    for broken in _obstacles(answers):
        raise UsageError(source.problem(broken))
    return source, answers, [*doubts, *_doubts(log)]


def _obstacles(answers: AnswerCounts) -> list[Doubt]:
    from ds3opt.fit.doubts import Doubt

    if not answers.right.any():
        return [Doubt("degenerate", "none solved: no answer is right, so no vote is won")]
    if not any(len(one) for one in answers.wrong):
        return [Doubt("degenerate", "no wrong answer: there is nothing to fit")]
    if float(answers.samples.min()) < 3.0:
        least = int(answers.samples.min())
        return [
            Doubt(
                "too_few_samples",
                f"a problem has {least} sample{'s' * (least > 1)}: votes begin to differ from one "
                "sample at three",
                hint="sample every problem at least three times, ten or more are better",
            )
        ]
    if len(answers) < 2:
        return [Doubt("too_few_problems", "one problem is too few")]
    return []


def _doubts(log: SampleLog) -> list[Doubt]:
    """Answers that a vote by text would count otherwise."""
    from ds3opt.fit.doubts import Doubt

    found = []
    both = sum(
        1 for held in log.answers for text, (n, right) in held.items() if text and 0 < right < n
    )
    if both:
        count = "1 answer is" if both == 1 else f"{both} answers are"
        message = f"{count} right in some samples of a problem and wrong in others, by the log"
        found.append(Doubt("verdicts_differ", message, hint="do answers leave something out?"))
    right = sum(n for held in log.answers for _, n in held.values())
    top = sum(max((n for _, n in held.values()), default=0) for held in log.answers)
    if right and top < SAME_TEXT * right:
        share = 100.0 * (1.0 - top / right)
        message = f"{share:.0f} % of the right answers are not the usual text of their problem"
        hint = "all right ones count as one here; a vote by text would do worse"
        found.append(Doubt("texts_differ", message, hint=hint))
    return found


def problems_of_file(
    population: str | None, counts: str | None, draws: int, seed: int
) -> tuple[Problems, PlateauSource]:
    """The problems that a curve or a plateau was measured on.

    Raises
    ------
    UsageError : neither or both files, or one that cannot be used.
    """
    import numpy as np

    from ds3opt.cli.fit.table import sha256_of
    from ds3opt.fit.voting import beta_voters, counted_voters
    from ds3opt.io.law_files import resolve_population
    from ds3opt.io.success_counts import read_success_counts
    from ds3opt.schema.candidates import BetaPopulation
    from ds3opt.schema.fitted import parsed_draws

    if (population is None) == (counts is None):
        message = "which problems are voted on?"
        hint = "give either --population FILE of `ds3opt fit coverage`, or --counts FILE"
        raise UsageError(Problem(message, hint=hint))
    if "-" in {population, counts}:
        raise UsageError("--population and --counts take a file, not standard input")
    if counts is not None:
        rows = read_success_counts(counts)
        tried = np.array([row["samples"] for row in rows], dtype=np.float64)
        right = np.array([row["correct"] for row in rows], dtype=np.float64)
        if not 0.0 < float(right.sum()) < float(tried.sum()):
            message = "every sample is right, or every one wrong: there is nothing to fit"
            raise UsageError(Problem(message, location=Location(counts)))
        words = f"{len(rows)} problems of {counts}"
        voters = counted_voters(tried, right, draws, seed)
        most = float(tried.min())
        return Problems(voters, words, most), PlateauSource(counts, sha256_of(counts), len(rows))
    assert population is not None
    found = BetaPopulation.model_validate(resolve_population(population, ()))
    constants = np.array([[found.alpha, found.beta, found.solvable]])
    if found.draws:
        constants = np.concatenate([constants, parsed_draws(found.draws)[1][:draws]])
    words = f"Beta({found.alpha:.4g}, {found.beta:.4g}) of {population}"
    source = PlateauSource(population, sha256_of(population), 1)
    return Problems(beta_voters(constants), words, np.inf), source
