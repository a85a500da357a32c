"""Counts of solved tries per problem, from a CSV file, each mistake at its line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from ds3opt.errors import Problem, ScenarioError
from ds3opt.io.files import read_text

COLUMNS = ("samples", "correct")
"""Tries of a problem, and how many of them solved it; further columns are ignored."""
_MOST_TOLD = 20
_MOST_SAMPLES = 1_000_000_000


def read_success_counts(path: str | Path) -> list[dict[str, int]]:
    """One mapping of samples and correct for each problem of a file; ``-`` is standard input.

    Raises
    ------
    ScenarioError : columns that are missing, cells that are no counts, more solved than tried, or
        no problem at all; up to 20 at once, each at its line.
    """
    text, name = read_text(path)
    reader = csv.DictReader(io.StringIO(text))
    missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
    if missing:
        raise ScenarioError(
            Problem(f"{name} has no column {missing[0]!r}", hint="the first line names the columns")
        )
    rows, problems = [], []
    for row in reader:
        line, wrong = reader.line_num, ""
        try:
            tried, right = (int(row[column]) for column in COLUMNS)
            if tried < 1:
                wrong = f"samples must be at least 1, not {tried}"
            elif tried > _MOST_SAMPLES:
                wrong = f"samples must be at most {_MOST_SAMPLES:g}"
            elif right < 0:
                wrong = f"correct must be at least 0, not {right}"
            elif right > tried:
                wrong = f"{right} of {tried} samples cannot be correct"
            rows.append({"samples": tried, "correct": right})
        except (TypeError, ValueError):
            wrong = "samples and correct are whole numbers"
        if wrong:
            problems.append(Problem(f"{name}:{line}: {wrong}"))
    if problems:
        raise ScenarioError(*problems[:_MOST_TOLD])
    if not rows:
        raise ScenarioError(Problem(f"success_counts is empty: {name} has a header but no problem"))
    return rows
