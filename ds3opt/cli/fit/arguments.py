"""Options that the fits share, and what they stand for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ds3opt.errors import Problem, UsageError

DRAWS = 1000
"""Resamples unless told otherwise."""

TableArgument = Annotated[str, typer.Argument(metavar="TABLE", help="A CSV file, - for stdin.")]
LawFile = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write the law file; - instead of a report."
    ),
]
Bootstrap = Annotated[
    int,
    typer.Option(
        "--bootstrap", min=0, max=100_000, metavar="N", help="Resamples; 0: no intervals."
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=2**32 - 1, metavar="N", help="Of the resamples.")
]
Drop = Annotated[
    list[str] | None,
    typer.Option("--drop", metavar="LINES", help="Lines of the table to leave out: 2-6,9."),
]
Called = Annotated[
    list[str] | None,
    typer.Option(
        "--column", metavar="NAME=HEADER", help="What the table calls a column; may be repeated."
    ),
]
Name = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="Of the law; left out: that of the file."),
]
_LONGEST_NAME = 200
_LINES = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


def law_name(name: str | None, output: str | None, table: str) -> str:
    """What a law is called: as told, else as its file, else as its table.

    >>> law_name(None, "laws/ours.yaml", "runs"), law_name(None, None, "runs")
    ('ours', 'runs')
    """
    of_file = "" if output is None or output == "-" else Path(output).stem
    found = name or of_file or table
    if len(found) > _LONGEST_NAME:
        raise UsageError(f"--name: at most {_LONGEST_NAME} characters")
    return found


def called(given: Sequence[str] | None, columns: Sequence[str]) -> dict[str, str]:
    """``NAME=HEADER`` settings by name.

    Raises
    ------
    UsageError : a setting of another form, or of a column that the command does not read.
    """
    found = {}
    for text in given or ():
        name, equals, header = text.partition("=")
        if not equals or not header:
            raise UsageError(f"--column takes NAME=HEADER, not {text!r}")
        if name not in columns:
            hint = f"it is one of {', '.join(columns)}"
            raise UsageError(Problem(f"--column {name}: no such column is read", hint=hint))
        found[name] = header
    return found


def lines(given: Sequence[str] | None) -> set[int]:
    """Line numbers of ``--drop``.

    >>> sorted(lines(["2-4,9", "7"]))
    [2, 3, 4, 7, 9]
    """
    found: set[int] = set()
    for part in (part.strip() for text in given or () for part in text.split(",")):
        match = _LINES.fullmatch(part)
        if match is None:
            raise UsageError(f"--drop takes lines such as 2-6,9, not {part!r}")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last - first > 1_000_000:
            raise UsageError(f"--drop {part}: the first line comes before the last")
        found |= set(range(first, last + 1))
    return found


def ends(text: str | None, option: str) -> tuple[float, float]:
    """Ends of a range ``LOW:HIGH``, either of which may be left out.

    >>> ends("0.45:", "--ratio")
    (0.45, inf)
    """
    if text is None:
        return 0.0, math.inf
    low, colon, high = text.partition(":")
    try:
        found = (float(low) if low.strip() else 0.0, float(high) if high.strip() else math.inf)
    except ValueError:
        found = (math.nan, math.nan)
    if not colon or not found[0] <= found[1]:
        raise UsageError(f"{option} takes LOW:HIGH, such as 0.45: or 5:100, not {text!r}")
    return found
