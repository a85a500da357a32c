"""What the fits to samples read: the options, a log, or a table of one model and benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from ds3opt.cli.fit import arguments as options
from ds3opt.cli.fit.table import file_of, stem_of
from ds3opt.errors import Location, Problem, UsageError

if TYPE_CHECKING:
    from ds3opt.cli.fit.table import Given
    from ds3opt.cli.progress import Callback
    from ds3opt.fit.doubts import Doubt
    from ds3opt.io.columns import Column
    from ds3opt.io.log_file import Layout, LogFile
    from ds3opt.io.sample_logs import SampleLog
    from ds3opt.laws._types import FloatArray
    from ds3opt.schema.fitted import FittedData

FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="A table or log, - for stdin.")]
Form = Annotated[
    Literal["auto", "counts", "curve", "samples", "lines", "table", "evalplus", "inspect"],
    typer.Option(
        "--form",
        metavar="FORM",
        help="Of the file: counts, curve or samples; of a log lines, table, evalplus, inspect. "
        "Else by content.",
    ),
]
SampleForm = Annotated[
    Literal["auto", "lines", "table", "evalplus", "inspect"],
    typer.Option(
        "--form", metavar="FORM", help="Of a log: lines, table, evalplus, inspect. Else by content."
    ),
]
Model = Annotated[
    str | None, typer.Option("--model", metavar="NAME", help="Only rows of this model.")
]
Benchmark = Annotated[
    str | None, typer.Option("--benchmark", metavar="NAME", help="Only rows of this benchmark.")
]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="HEADER=VALUE", help="Only such rows; may be repeated."),
]
Metric = Annotated[
    str | None,
    typer.Option("--metric", metavar="NAME", help="Which verdict, where a log has several."),
]
Filter = Annotated[
    str | None, typer.Option("--filter", metavar="NAME", help="Of lm-evaluation-harness.")
]
SkipCorrupt = Annotated[
    bool, typer.Option("--skip-corrupt", help="Leave out records of a log that are no samples.")
]
UNREAD = 0.02
"""Share of answers that could not be read from which on it is told of."""


@dataclass(frozen=True)
class Told:
    """What the user said of the file."""

    model: str | None = None
    benchmark: str | None = None
    where: Sequence[str] | None = None
    metric: str | None = None
    filter: str | None = None
    skip_corrupt: bool = False
    drop: Sequence[str] | None = None
    column: Sequence[str] | None = None


@dataclass(frozen=True)
class LogSource:
    """A log as what a fit was given."""

    log: SampleLog

    @property
    def name(self) -> str:
        """As the user wrote it."""
        return self.log.name

    @property
    def stem(self) -> str:
        """As a law may be called."""
        return stem_of(self.log.name)

    def data(self) -> FittedData:
        """What a law file says of it; rows are samples."""
        from ds3opt.schema.fitted import FittedData

        return FittedData(
            file=file_of(self.name),
            sha256=self.log.sha256,
            rows=self.log.total,
            left_out=self.log.skipped,
        )

    def where(self, rows: Sequence[int]) -> str:
        """Problems by name, as lines of a log say little."""
        return ", ".join(self.log.problems[i] for i in rows[:5])

    def line(self, row: int) -> int:
        """None."""
        return 0

    def problem(self, doubt: Doubt) -> Problem:
        """A doubt as a problem of the whole log."""
        return Problem(doubt.message, hint=doubt.hint, location=Location(self.name))


def read_samples(
    file: LogFile,
    told: Told,
    progress: Callback | None,
    *,
    form: str = "auto",
    answers: bool = False,
    scores: bool = False,
) -> tuple[LogSource, list[Doubt]]:
    """The samples of a log, and what is doubtful about them.

    Raises
    ------
    UsageError : as `sample_logs.read_log`; options that logs do not have.
    """
    from ds3opt.fit.doubts import Doubt
    from ds3opt.io.sample_formats import NAMES, Choices
    from ds3opt.io.sample_logs import read_log

    for option, given in (("--drop", told.drop), ("--where", told.where)):
        if given:
            hint = "take the records out of the file"
            raise UsageError(Problem(f"{option} is for tables of counts or curves", hint=hint))
    if told.benchmark is not None:
        raise UsageError("--benchmark is for tables of counts or curves")
    called = options.called(told.column, list(NAMES))
    log = read_log(
        file,
        Choices(called, told.metric, told.filter),
        model=told.model,
        skip_corrupt=told.skip_corrupt,
        answers=answers,
        scores=scores,
        layout=None if form in {"auto", "samples"} else cast("Layout", form),
        progress=progress,
    )
    doubts = []
    if log.skipped:
        records = "record was" if log.skipped == 1 else "records were"
        doubts.append(Doubt("skipped", f"{log.skipped} {records} left out as no samples"))
    if log.answered and log.unread > UNREAD * log.answered:
        share = 100.0 * log.unread / log.answered
        message = f"the answer of {share:.2g} % of the samples could not be read; they count as "
        doubts.append(Doubt("unread_answers", message + "the log judges them, as a rule wrong"))
    if log.partial:
        one = log.partial == 1
        count = "1 sample has" if one else f"{log.partial} samples have"
        words = f"{count} part of the credit and {'counts' if one else 'count'} as wrong"
        doubts.append(Doubt("partial", words))
    if log.hidden:
        message = f"{log.hidden} samples have further responses that the log does not judge"
        hint = "a filter took the first, or their vote: log every response, or a pass@1 metric"
        doubts.append(Doubt("hidden_responses", message, hint=hint))
    if log.copies:
        message = f"{log.copies} lines have the very response of another line of their problem"
        hint = "older versions of lm-evaluation-harness write a line for each filter: keep one"
        doubts.append(Doubt("copies", message, hint=hint))
    return LogSource(log), doubts


def one_table(path: str, told: Told, known: Sequence[Column]) -> Given:
    """Rows of one model and benchmark, with the first two columns there.

    Raises
    ------
    UsageError : a column that is not there; rows of several models or benchmarks.
    """
    from ds3opt.cli.fit.table import chosen, read_table, where
    from ds3opt.io.columns import lacking

    given = read_table(
        path,
        known,
        called=options.called(told.column, [one.name for one in known]),
        drop=options.lines(told.drop),
    )
    missing = [lacking(given.rows, one) for one in known[:2] if not given.rows.has(one.name)]
    if missing:
        raise UsageError(*missing)
    given = where(given, told.where)
    return chosen(chosen(given, "model", told.model), "benchmark", told.benchmark)


def columns_of_numbers(
    given: Given, columns: Sequence[Column], whole: Sequence[str]
) -> list[FloatArray]:
    """Columns of numbers, some of them whole.

    Raises
    ------
    UsageError : with the place of every cell that holds no such number.
    """
    import numpy as np

    problems: list[Problem] = []
    numbers = []
    for one in columns:
        try:
            numbers.append(np.array(given.rows.numbers(one)))
        except UsageError as error:
            problems += error.problems
            continue
        if one.name in whole:
            broken = np.flatnonzero(numbers[-1] != np.floor(numbers[-1]))
            problems += [given.rows.problem(int(i), one.name, "is no whole number") for i in broken]
    if problems:
        raise UsageError(*problems[:20])
    return numbers
