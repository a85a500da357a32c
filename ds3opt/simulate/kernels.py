"""Kernels as tables: rows of probabilities that must sum to 1, and drawing from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds3opt.errors import Problem, UsageError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

BRANCH, IDLE, STOP = -3, -2, -1
"""The control nodes; negative, so that they index the last columns and rows of a table."""
NOTHING = -1
"""The outcome of a trace that is at a control node: no step, no tokens."""
CONTROL = ("branch", "idle", "stop")
_TOLERANCE = 1e-9
_FORM = "write {column: probability}"
_SHOWN = 6
"""Entries of a row that a message names."""


class ProcessError(UsageError):
    """A process that cannot be simulated, with what is wrong in which kernel."""


@dataclass(frozen=True)
class Table:
    """A kernel whose rows are probabilities over its columns."""

    rows: FloatArray  # (row, column) sums to 1 along the last axis
    edges: FloatArray
    """Running sums, each row raised by its number, so that one sorted search serves all rows."""

    def draw(self, row: IntArray, uniform: FloatArray) -> IntArray:
        """A column for each row asked for, from numbers uniform in [0, 1)."""
        columns = self.rows.shape[1]
        wrapped = np.where(row < 0, row + self.rows.shape[0], row)
        # adding the row's number may round up to the next row
        place = np.minimum(wrapped + uniform, np.nextafter(wrapped + 1.0, 0.0))
        return np.asarray(np.searchsorted(self.edges, place, side="right") - wrapped * columns)


def table(
    name: str, values: ArrayLike, row_names: Sequence[str], column_names: Sequence[str]
) -> Table:
    """A checked table of probabilities, (row, column).

    Raises
    ------
    ProcessError : naming every row that is none, its sum, and the nearest that would do.
    """
    try:
        rows = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ProcessError(f"{name} is no table of numbers") from None
    shape = (len(row_names), len(column_names))
    if rows.shape != shape:
        raise ProcessError(
            Problem(
                f"{name} has the shape {rows.shape}, expected {shape}",
                hint=f"a row for each of {_listed(row_names)}; "
                f"a column for each of {_listed(column_names)}",
            )
        )
    wrong = [
        problem
        for label, row in zip(row_names, rows, strict=True)
        if (problem := _row_problem(name, label, row, column_names)) is not None
    ]
    if wrong:
        raise ProcessError(*wrong)
    rows /= rows.sum(axis=1, keepdims=True)
    running = np.cumsum(rows, axis=1)
    # from the last entry above 0 on the sum is 1, whatever it rounds to
    after = np.cumsum(rows[:, ::-1], axis=1)[:, ::-1]
    running[:, :-1][after[:, 1:] <= 0.0] = 1.0
    running[:, -1] = 1.0
    return Table(rows, (running + np.arange(shape[0])[:, None]).ravel())


def _row_problem(
    name: str, label: str, row: FloatArray, column_names: Sequence[str]
) -> Problem | None:
    where = f"{name}: row {label!r}"
    bad = np.flatnonzero(~(np.isfinite(row) & (row >= 0.0)))
    if bad.size:
        at = int(bad[0])
        return Problem(
            f"{where} has {row[at]:g} for {column_names[at]!r}",
            hint="a probability is a number from 0 to 1",
        )
    total = float(row.sum())
    if abs(total - 1.0) <= _TOLERANCE:
        return None
    if total == 0.0:
        return Problem(f"{where} is 0 throughout", hint="say where it leads, such as stop: 1")
    scaled = {c: v / total for c, v in zip(column_names, row, strict=True) if v > 0.0}
    fix = ", ".join(f"{c}: {v:.6g}" for c, v in list(scaled.items())[:_SHOWN])
    more = ", ..." if len(scaled) > _SHOWN else ""
    hint = f"the nearest row in the same proportions is {fix}{more}"
    if total < 1.0:
        hint += f"; or give the missing {1.0 - total:.6g} to another column"
    return Problem(f"{where} sums to {total:.10g}, not 1", hint=hint)


def from_mapping(
    name: str,
    given: Mapping[Any, Any],
    row_names: Sequence[str],
    column_names: Sequence[str],
    absent: Mapping[str, str],
) -> FloatArray:
    """Rows written as ``{row: {column: probability}}`` as an array.

    Parameters
    ----------
    absent : column that a row which is not given leads to for sure.

    Raises
    ------
    ProcessError : for names that are none, and rows that are missing.
    """
    rows = np.zeros((len(row_names), len(column_names)))
    wrong = [_unknown(f"{name}: row", row, row_names) for row in given if str(row) not in row_names]
    for number, label in enumerate(row_names):
        entries = given.get(label)
        if entries is None:
            if label in absent:
                rows[number, list(column_names).index(absent[label])] = 1.0
            else:
                wrong.append(Problem(f"{name} has no row {label!r}", hint="say where it leads"))
            continue
        if not isinstance(entries, Mapping):
            if len(column_names) != 2:
                wrong.append(Problem(f"{name}: row {label!r} names no columns", hint=_FORM))
                continue
            entries = {column_names[1]: entries}
        for column, chance in entries.items():
            if str(column) not in column_names:
                wrong.append(_unknown(f"{name}: row {label!r}, column", column, column_names))
                continue
            try:
                rows[number, list(column_names).index(str(column))] = chance
            except (TypeError, ValueError):
                wrong.append(Problem(f"{name}: row {label!r} has {chance!r} for {str(column)!r}"))
        if not isinstance(given[label], Mapping):
            rows[number, 0] = 1.0 - rows[number, 1]
    if wrong:
        raise ProcessError(*wrong)
    return rows


def choose(rng: np.random.Generator, probabilities: ArrayLike) -> IntArray:
    """One column from each row of probabilities, drawn at random.

    For kernels that work out their own probabilities: one row for each trace, columns for the
    skills in order, then branch, idle and stop.

    Parameters
    ----------
    probabilities : (..., column), each row summing to 1.

    Raises
    ------
    ProcessError : where a row does not sum to 1.

    >>> choose(np.random.default_rng(0), [[1.0, 0.0], [0.0, 1.0]]).tolist()
    [0, 1]
    """
    rows = np.asarray(probabilities, dtype=np.float64)
    totals = rows.sum(axis=-1)
    good = (np.abs(totals - 1.0) <= _TOLERANCE) & np.all(rows >= 0.0, axis=-1)
    if not np.all(good):
        at = tuple(int(i) for i in np.argwhere(~good)[0])
        problem = _row_problem(
            "probabilities", str(at), rows[at], [str(c) for c in range(rows.shape[-1])]
        )
        raise ProcessError(problem or f"probabilities: row {at} sums to {totals[at]:.10g}, not 1")
    running = np.cumsum(rows, axis=-1)
    uniform = rng.random(totals.shape)[..., None] * running[..., -1:]
    return np.asarray(np.minimum((uniform >= running).sum(axis=-1), rows.shape[-1] - 1))


def _unknown(what: str, name: object, names: Sequence[str]) -> Problem:
    import difflib

    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"one of {_listed(names)}"
    return Problem(f"{what} {str(name)!r} is not known", hint=hint)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, ... ({len(names)} in all)"
