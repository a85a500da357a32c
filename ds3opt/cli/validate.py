"""``ds3opt validate``: predictions of the hardware model beside measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ds3opt.cli.arguments import HardwarePath, hardware_folders
from ds3opt.cli.view import ALL_FORMATS, View, with_view
from ds3opt.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ds3opt.cli.measurements import Measured, Training
    from ds3opt.fit.errors import Errors
    from ds3opt.laws._types import FloatArray
    from ds3opt.report.document import Document, Table
    from ds3opt.report.values import Value
    from ds3opt.schema.calibration import Band

POINTS = "published_points.csv"
"""The shipped table, in the folder `hardware`."""
WORDS = {
    "step_seconds": "step time",
    "tokens_per_s": "throughput",
    "joules_per_token": "energy per token",
    "training_utilisation": "training utilisation",
}
Measured_ = Annotated[
    str | None,
    typer.Option(
        "--measured",
        metavar="FILE",
        help="A CSV table, - for standard input; left out: the shipped one of published points.",
    ),
]


@dataclass(frozen=True)
class Series:
    """Rows of one quantity: what was measured, what is predicted, what is accepted."""

    quantity: str
    model: NDArray[np.str_]
    accelerator: NDArray[np.str_]
    measured: FloatArray
    predicted: FloatArray
    low: FloatArray
    """Least measured over predicted that is accepted."""
    high: FloatArray
    every: NDArray[np.bool_]
    """Rows of which every one must be accepted, not only most."""


@dataclass(frozen=True)
class Group:
    """Errors of one quantity over some rows."""

    by: str
    """accelerator or model"""
    name: str
    quantity: str
    errors: Errors
    low: float
    """Lower end of what is accepted of measured over predicted, the widest of the rows'."""
    high: float
    inside: int
    """Rows that are accepted."""
    missed: bool


@with_view(*ALL_FORMATS, without=("verbose",))
def validate(view: View, measured: Measured_ = None, hardware_path: HardwarePath = None) -> int:
    """Predictions beside measurements, by accelerator and by model; exit 1 if a band is missed.

    A serving row has the columns model, gpu, num_gpus, prec, avg_batch (empty: as many as fit),
    avg_out (tokens), prompt_tokens or task, and one or more of med_itl_ms, tok_s, J_per_tok.
    A training row has gpu, precision, params, seq_len, MFU (percent). Optional: kv_prec, par, and
    within, the largest factor accepted between measured and predicted.

    Without `within`, rows should lie in the band of the accelerator's calibration: 80 % of
    measured over predicted for models that the calibration did not see. It is missed where fewer
    lie inside than chance would leave in 1 of 100 tables.
    """
    import numpy as np

    from ds3opt.cli.measurements import load_measured
    from ds3opt.io.catalogue import catalogue_folder

    path: str | Path = measured or catalogue_folder("hardware") / POINTS
    folders = hardware_folders(hardware_path)
    loaded = load_measured(path, folders)
    series = list(_series(loaded, folders))
    groups = [
        *_groups("accelerator", series, lambda one: one.accelerator),
        *_groups("model", series, lambda one: one.model),
    ]
    without = 0 if loaded.training is None else int(np.isnan(loaded.training.predicted).sum())
    if not groups:
        raise UsageError("nothing is known of training in the precision of these runs")
    if without:
        view.say(f"ds3opt: {without} training runs in a precision that was never measured there")
    view.emit(_document(groups, measured))
    missed = any(group.missed for group in _deciding(groups))
    return ExitCode.DRIFT if missed else ExitCode.DONE


def _series(loaded: Measured, folders: list[Path]) -> Iterator[Series]:
    from ds3opt.fit.serving import predict
    from ds3opt.io.calibration import load_calibration

    serving, training = loaded.serving, loaded.training
    if serving is not None:
        runs, told = serving.runs, predict(serving.runs, serving.efficiency)
        sets = [load_calibration(name, folders) for name in serving.calibrations]
        for name in ("step_seconds", "tokens_per_s", "joules_per_token"):
            bands = [getattr(one.held_out, name) for one in sets]
            low, high, every = _accepted(serving.within, bands)
            seen, expected = getattr(runs, name), getattr(told, name)
            yield Series(name, runs.model, runs.accelerator, seen, expected, low, high, every)
    if training is not None:
        rows = training.runs
        low, high, every = _accepted(training.within, list(_training_bands(training, folders)))
        yield Series(
            "training_utilisation",
            rows.model,
            rows.accelerator,
            rows.utilisation,
            training.predicted,
            low,
            high,
            every,
        )


def _training_bands(training: Training, folders: list[Path]) -> Iterator[Band | None]:
    from ds3opt.io.calibration import load_calibration

    for name, precision in zip(training.calibrations, training.runs.precision, strict=True):
        learnt = load_calibration(name, folders).training
        part = learnt.fp8 if precision == "fp8" else learnt.bf16
        yield None if part is None else part.held_out


def _accepted(
    within: FloatArray, bands: Sequence[Band | None]
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Ends of what is accepted in each row, and whether every such row must be."""
    import numpy as np

    own = np.isfinite(within)
    low = np.array([np.nan if band is None else band.p10 for band in bands])
    high = np.array([np.nan if band is None else band.p90 for band in bands])
    return np.where(own, 1.0 / within, low), np.where(own, within, high), own


def _groups(
    by: str, series: list[Series], names: Callable[[Series], NDArray[np.str_]]
) -> Iterator[Group]:
    import numpy as np

    known = sorted({str(name) for one in series for name in names(one)})
    if by == "accelerator" and len(known) > 1:
        every = (_group(by, "all", one, np.ones(len(one.measured), bool)) for one in series)
        yield from (group for group in every if group is not None)
    for name in known:
        for one in series:
            group = _group(by, name, one, names(one) == name)
            if group is not None:
                yield group


def _group(by: str, name: str, series: Series, chosen: NDArray[np.bool_]) -> Group | None:
    import numpy as np

    from ds3opt.fit.errors import errors, too_few

    rows = chosen & np.isfinite(series.measured) & np.isfinite(series.predicted)
    found = errors(series.measured[rows], series.predicted[rows])
    if found is None:
        return None
    ratio = series.measured[rows] / series.predicted[rows]
    low, high, every = series.low[rows], series.high[rows], series.every[rows]
    inside = (ratio >= low) & (ratio <= high)
    most = ~every & np.isfinite(low)
    missed = bool((every & ~inside).any())
    missed |= too_few(int((inside & most).sum()), int(most.sum()))
    return Group(
        by,
        name,
        series.quantity,
        found,
        float(np.min(low)),
        float(np.max(high)),
        int(inside.sum()),
        missed,
    )


def _deciding(groups: list[Group]) -> list[Group]:
    """Single accelerators; of models and of all together, errors are told and not judged."""
    return [group for group in groups if group.by == "accelerator" and group.name != "all"]


def _document(groups: list[Group], measured: str | None) -> Document:
    from ds3opt.report.document import Document

    table = "the shipped table of published points" if measured is None else measured
    missed = [group for group in _deciding(groups) if group.missed]
    told = [f"{WORDS[group.quantity]} on {group.name}" for group in missed]
    verdict = "all bands are kept" if not missed else f"missed: {', '.join(told)}"
    title = f"Predictions beside {table}: {verdict}"
    tables = [
        _table(f"By {by}", [group for group in groups if group.by == by])
        for by in ("accelerator", "model")
    ]
    data = {
        "schema_version": 1,
        "table": measured or POINTS,
        "kept": not missed,
        "groups": [_plain(group) for group in groups],
    }
    return Document(title, tuple(tables), data, _records(groups))


def _table(title: str, groups: list[Group]) -> Table:
    from ds3opt.report.document import Column, table_of
    from ds3opt.report.values import Interval

    def accepted(group: Group) -> Value:
        return Interval(group.low, group.high, "number")

    table = table_of(
        title,
        groups,
        (Column("name", groups[0].by if groups else ""), lambda one: one.name),
        (Column("quantity", "quantity"), lambda one: WORDS[one.quantity]),
        (Column("rows", "rows", "whole"), lambda one: one.errors.rows),
        (Column("median_error", "median error", "percent"), lambda one: one.errors.median_error),
        (Column("p90_error", "p90 error", "percent"), lambda one: one.errors.p90_error),
        (Column("p10", "p10", "number"), lambda one: one.errors.p10),
        (Column("p50", "p50", "number"), lambda one: one.errors.p50),
        (Column("p90", "p90", "number"), lambda one: one.errors.p90),
        (Column("accepted", "accepted"), accepted),
        (Column("inside", "inside", "whole"), lambda one: one.inside),
        (Column("kept", "band"), lambda one: "missed" if one.missed else "kept"),
    )
    footer = "p10, p50, p90, accepted: of measured over predicted; errors: of the prediction"
    return replace(table, footer=footer)


def _plain(group: Group) -> dict[str, Any]:
    return {
        "by": group.by,
        "name": group.name,
        "quantity": group.quantity,
        **asdict(group.errors),
        "accepted_low": group.low,
        "accepted_high": group.high,
        "inside": group.inside,
        "kept": not group.missed,
    }


def _records(groups: list[Group]) -> Table:
    from ds3opt.report.document import Column, Table

    rows = [_plain(group) for group in groups]
    columns = tuple(
        Column(name, name, "text" if isinstance(value, (str, bool)) else "number")
        for name, value in rows[0].items()
    )
    return Table("", columns, tuple(tuple(row.values()) for row in rows))
