"""Measurements from a CSV file, each cell with its place."""

from __future__ import annotations

import difflib

from ds3opt.errors import Location, Problem, UsageError
from ds3opt.io.csv_records import Record, read_records

SERVING = ("model", "gpu", "num_gpus", "prec", "avg_batch", "avg_out")
"""Columns of a serving row, beside one of `SERVING_MEASURED`."""
MAY_BE_EMPTY = frozenset({"avg_batch"})
"""Columns whose cells may be empty: as many sequences as fit."""
SERVING_MEASURED = ("med_itl_ms", "tok_s", "J_per_tok")
TRAINING = ("gpu", "precision", "params", "seq_len", "MFU")
"""Columns that a training row needs."""
MOST_PROBLEMS = 20
"""Problems told of one file."""


def read_measurements(text: str, source: str) -> tuple[list[Record], list[Record]]:
    """Serving rows and training rows of a CSV text.

    A row with MFU is one of training; any other one of serving. Further columns are ignored.

    Raises
    ------
    UsageError : no CSV, no rows, or columns missing; with places.
    """
    header, records = read_records(text, source)
    _check_header(header.columns, header.place)
    if not records:
        raise UsageError(Problem("there is a header but no row", location=Location(source)))
    training = [one for one in records if one.filled("MFU")]
    serving = [one for one in records if not one.filled("MFU")]
    problems = [
        one.problem(name, "is empty")
        for rows_, names in ((serving, SERVING), (training, TRAINING))
        for one in rows_
        for name in names
        if name not in MAY_BE_EMPTY and not one.filled(name)
    ]
    problems += [
        one.problem(SERVING_MEASURED[0], f"a row needs one of {', '.join(SERVING_MEASURED)}")
        for one in serving
        if not any(one.filled(name) for name in SERVING_MEASURED)
    ]
    if problems:
        raise UsageError(*problems[:MOST_PROBLEMS])
    return serving, training


def _check_header(columns: tuple[str, ...], place: Location) -> None:
    lacking = {
        kind: [name for name in names if name not in columns]
        for kind, names in (("serving", SERVING), ("training", TRAINING))
    }
    measured = any(name in columns for name in SERVING_MEASURED)
    if (not lacking["serving"] and measured) or not lacking["training"]:
        return
    kind = "training" if "MFU" in columns else "serving"
    missing = lacking[kind] or [f"one of {', '.join(SERVING_MEASURED)}"]
    near = [difflib.get_close_matches(name, columns, n=1) for name in missing]
    spelt = [f"{name} for {found[0]}" for name, found in zip(missing, near, strict=True) if found]
    hint = f"did you mean {', '.join(spelt)}?" if spelt else ""
    message = f"not a table of measurements: {kind} lacks column {', '.join(missing)}"
    raise UsageError(Problem(message, hint=hint, location=place))
