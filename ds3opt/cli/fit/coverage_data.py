"""What `ds3opt fit coverage` reads: counts of problems, samples one by one, or a curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ds3opt.cli.fit.log_arguments import Told, columns_of_numbers, one_table, read_samples
from ds3opt.errors import UsageError

if TYPE_CHECKING:
    from ds3opt.cli.fit.table import Given, Source
    from ds3opt.cli.progress import Callback
    from ds3opt.fit.coverage import Counts
    from ds3opt.fit.coverage_curve import Curve
    from ds3opt.fit.doubts import Doubt
    from ds3opt.io.columns import Column
    from ds3opt.io.log_file import LogFile

_MOST = 1e9


def counts_columns() -> tuple[Column, ...]:
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


def curve_columns() -> tuple[Column, ...]:
    """What a table of a curve may hold."""
    from ds3opt.io.columns import Column

    share = ("pass@k", "coverage", "value")
    error = ("se", "stderr", "std_err")
    return (
        Column("k", ("samples", "n_samples", "num_samples"), "dimensionless", most=_MOST),
        Column("pass_at_k", share, "ratio", least=-1e-300, most=1.0),
        Column("standard_error", error, "ratio", most=1.0),
        Column("model", ("model_name",), "text"),
        Column("benchmark", ("dataset", "task"), "text"),
    )


def read(
    path: str, told: Told, form: str, solvable: float | None, progress: Callback | None
) -> tuple[Source, Counts | Curve, list[Doubt]]:
    """The data of a file of any form.

    Raises
    ------
    UsageError : with the place of everything that makes a fit impossible.
    """
    from ds3opt.fit.coverage import Counts
    from ds3opt.fit.coverage_doubts import obstacles
    from ds3opt.io.log_file import LogFile

    constants = 3 if solvable is None else 2
    with LogFile(path) as file:
        form = _form(file, told) if form == "auto" else form
        if form not in {"counts", "curve"}:
            source, doubts = read_samples(file, told, progress, form=form)
            counts = Counts(source.log.samples, source.log.correct)
            found = list(obstacles(counts, constants))
            if found:
                raise UsageError(*(source.problem(one) for one in found))
            return source, counts, doubts
    if told.metric is not None or told.filter is not None or told.skip_corrupt:
        raise UsageError("--metric, --filter and --skip-corrupt are for logs of samples")
    if form == "curve":
        return (*_read_curve(path, told, constants), [])
    return (*_read_counts(path, told, constants), [])


def _form(file: LogFile, told: Told) -> str:
    """What a file holds, by its first bytes and the names of its columns."""
    from ds3opt.io.columns import plain_name

    if file.layout() != "table":
        return "samples"
    header = file.columns()
    named = {setting.partition("=")[0] for setting in told.column or ()}

    def there(columns: Sequence[Column]) -> list[bool]:
        return [
            one.name in named or not header.isdisjoint(map(plain_name, (one.name, *one.also)))
            for one in columns
        ]

    if all(there(counts_columns()[:2])):
        return "counts"
    if all(there(curve_columns()[:2])):
        return "curve"
    has_problem, has_verdict = there(_sample_columns())
    return "samples" if has_problem and has_verdict else "counts"


def _sample_columns() -> tuple[Column, Column]:
    from ds3opt.io.columns import Column
    from ds3opt.io.sample_formats import CORRECT, PROBLEM

    return Column("problem", PROBLEM), Column("correct", CORRECT)


def _read_counts(path: str, told: Told, constants: int) -> tuple[Given, Counts]:
    from ds3opt.fit.coverage import Counts
    from ds3opt.fit.coverage_doubts import obstacles

    known = counts_columns()
    given = one_table(path, told, known)
    _refuse_copies(given)
    counts = Counts(*columns_of_numbers(given, known[:2], ("samples", "correct")))
    found = list(obstacles(counts, constants))
    if found:
        raise UsageError(*(given.problem(one) for one in found))
    return given, counts


def _read_curve(path: str, told: Told, constants: int) -> tuple[Given, Curve]:
    from ds3opt.fit.coverage_curve import Curve, obstacles

    known = curve_columns()
    given = one_table(path, told, known)
    error = [known[2]] if given.rows.has("standard_error") else []
    curve = Curve(*columns_of_numbers(given, [*known[:2], *error], ("k",)))
    found = list(obstacles(curve, constants))
    if found:
        raise UsageError(*(given.problem(one) for one in found))
    return given, curve


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
