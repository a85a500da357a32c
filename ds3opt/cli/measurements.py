"""Measured rows joined with the catalogues of models and accelerators."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import Problem, ScenarioError, UsageError

if TYPE_CHECKING:
    from ds3opt.fit.serving import ServingRuns
    from ds3opt.fit.training import TrainingRuns
    from ds3opt.io.csv_records import Record
    from ds3opt.laws._types import FloatArray
    from ds3opt.laws.roofline import Device, Efficiency, ModelShape
    from ds3opt.schema.accelerator import Accelerator

T = TypeVar("T")

PROMPT_TOKENS = {"lm-arena-chat": 200.0, "gpqa": 300.0, "sourcegraph-fim": 1500.0}
"""Assumed where a table names the task only; its authors do not publish the lengths."""
ACCELERATORS = {
    "h100": "h100-sxm",
    "h100-80gb": "h100-sxm",
    "h200": "h200-sxm",
    "b200": "b200-sxm",
    "a100": "a100-80gb-sxm",
    "a100-80gb": "a100-80gb-sxm",
    "a100-40gb": "a100-40gb-sxm",
}
"""What tables of measurements call the accelerators of the catalogue."""
PRECISIONS = {
    "bfloat16": "bf16",
    "amp_bf16": "bf16",
    "float16": "bf16",
    "fp16": "bf16",
    "amp_fp8": "fp8",
    "float8": "fp8",
}
"""Other spellings of number formats."""
STORED = ("bf16", "fp8", "int8", "fp4", "int4", "mxfp4")
_DATA_PARALLEL = re.compile(r"data_parallel:\s*([2-9]|[1-9]\d)")


@dataclass(frozen=True)
class Serving:
    """Serving rows, ready to predict."""

    runs: ServingRuns
    calibrations: tuple[str, ...]
    """Name of the calibration of each row's accelerator."""
    efficiency: Efficiency
    """Constants of each row's calibration."""
    within: FloatArray
    """Largest factor accepted between measured and predicted; NaN: the calibration's band."""
    data_parallel: NDArray[np.bool_]
    """Rows whose attention is replicated and not shared, which the laws do not describe."""


@dataclass(frozen=True)
class Training:
    """Training rows, ready to predict."""

    runs: TrainingRuns
    calibrations: tuple[str, ...]
    predicted: FloatArray
    """Utilisation by each row's calibration; NaN where it has none for the precision."""
    within: FloatArray
    """As in `Serving`."""


@dataclass(frozen=True)
class Measured:
    """Everything that a table holds."""

    serving: Serving | None
    training: Training | None


def load_measured(path: str | Path, folders: Sequence[str | Path] = ()) -> Measured:
    """Read a table of measurements and look up its models and accelerators.

    Raises
    ------
    UsageError : with the place of every cell that cannot be used.
    """
    from ds3opt.io.files import read_text
    from ds3opt.io.measured_csv import read_measurements

    serving, training = read_measurements(*read_text(path))
    return Measured(
        _serving(serving, folders) if serving else None,
        _training(training, folders) if training else None,
    )


def _serving(records: list[Record], folders: Sequence[str | Path]) -> Serving:
    from ds3opt.fit.serving import ServingRuns
    from ds3opt.laws.roofline import sequences_that_fit

    rows = _gathered(lambda one: _serving_row(one, folders), records)
    device, shape = _stacked([row["device"] for row in rows]), _stacked([r["shape"] for r in rows])
    efficiency = _stacked([row["efficiency"] for row in rows])
    columns: dict[str, Any] = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    fitting = sequences_that_fit(
        shape,
        device,
        efficiency,
        cached_tokens=columns["prompt_tokens"] + columns["output_tokens"] / 2.0,
        accelerators=columns["accelerators"],
    )
    asked = np.isnan(columns["sequences"])
    refused = [
        one.problem("num_gpus", "the model does not fit in so many accelerators")
        for one, room, needed in zip(records, fitting, asked, strict=True)
        if needed and room < 1.0
    ]
    if refused:
        raise UsageError(*refused)
    columns |= {"device": device, "shape": shape}
    columns["sequences"] = np.where(asked, np.floor(fitting), columns["sequences"])
    return Serving(
        ServingRuns(**{field.name: columns[field.name] for field in fields(ServingRuns)}),
        tuple(row["calibration"] for row in rows),
        efficiency,
        columns["within"],
        columns["data_parallel"],
    )


def _serving_row(record: Record, folders: Sequence[str | Path]) -> dict[str, Any]:
    from ds3opt.io.calibration import load_calibration
    from ds3opt.laws.roofline import Device

    model, spec = _model(record, folders)
    accelerator = _accelerator(record, folders)
    precision = _precision(record, "prec")
    # 4-bit experts stand beside bf16 weights; other formats hold all weights.
    weights = "bf16" if precision == "mxfp4" and spec.routed_precision else precision
    cached = _precision(record, "kv_prec") if record.filled("kv_prec") else "bf16"
    shape = spec.model_shape(weights, cached)
    narrow = precision in {"fp8", "int8", "fp4"}
    flop_per_s = accelerator.get(f"dense_flop_per_s.{precision}") if narrow else None
    arithmetic = "bf16" if flop_per_s is None else precision
    calibration = load_calibration(accelerator.calibration, folders)
    return {
        "model": model,
        "accelerator": accelerator.name,
        "calibration": accelerator.calibration,
        "efficiency": calibration.efficiency(spec.routed_precision or weights, arithmetic),
        "shape": shape,
        "device": Device(
            flop_per_s=flop_per_s or _figure(record, accelerator, "dense_flop_per_s.bf16"),
            bandwidth_bytes_per_s=_figure(record, accelerator, "bandwidth_bytes_per_s"),
            memory_bytes=_figure(record, accelerator, "memory_bytes"),
            link_bytes_per_s=_figure(record, accelerator, "link_bytes_per_s"),
            board_power_watts=_figure(record, accelerator, "board_power_watts"),
        ),
        "accelerators": record.required("num_gpus", least=1.0 - 1e-9, most=1e6),
        "sequences": record.number("avg_batch", most=1e9),
        "prompt_tokens": _prompt_tokens(record),
        "output_tokens": record.required("avg_out", least=1.0 - 1e-9, most=1e9),
        "step_seconds": record.number("med_itl_ms") / 1e3,
        "tokens_per_s": record.number("tok_s"),
        "joules_per_token": record.number("J_per_tok"),
        "within": record.number("within", least=1.0, most=1e6),
        "data_parallel": bool(_DATA_PARALLEL.search(record.cells.get("par", ""))),
    }


def _training(records: list[Record], folders: Sequence[str | Path]) -> Training:
    from ds3opt.fit.training import TrainingRuns
    from ds3opt.io.calibration import load_calibration

    rows = _gathered(lambda one: _training_row(one, folders), records)
    columns: dict[str, Any] = {
        field.name: np.array([row[field.name] for row in rows]) for field in fields(TrainingRuns)
    }
    runs = TrainingRuns(**columns)
    known = [load_calibration(row["calibration"], folders) for row in rows]
    told = [
        one.utilisation(precision, share)
        for one, precision, share in zip(known, runs.precision, runs.attention_share, strict=True)
    ]
    return Training(
        runs,
        tuple(row["calibration"] for row in rows),
        np.array([np.nan if value is None else value for value in told]),
        np.array([row["within"] for row in rows]),
    )


def _training_row(record: Record, folders: Sequence[str | Path]) -> dict[str, Any]:
    parameters = record.required("params", most=1e18)
    # Layers and width are not measured; a width of 128 a layer is usual and hardly moves the share.
    layers = np.cbrt(parameters / (12.0 * 128.0**2))
    accelerator = _accelerator(record, folders)
    name = record.cells.get("model", "").strip()
    return {
        "model": name or f"{parameters:.3g}",
        "accelerator": accelerator.name,
        "calibration": accelerator.calibration,
        "precision": _precision(record, "precision"),
        "parameters": parameters,
        "layers": layers,
        "attention_width": 128.0 * layers,
        "sequence_tokens": record.required("seq_len", most=1e9),
        "accelerators": record.number("gpus", most=1e7),
        "utilisation": record.required("MFU", most=100.0) / 100.0,
        "within": record.number("within", least=1.0, most=1e6),
    }


def _model(record: Record, folders: Sequence[str | Path]) -> tuple[str, Any]:
    from ds3opt.io.model_shapes import load_model, models_by_id

    written = record.word("model")
    known = models_by_id(folders)
    name = known.get(written, written)
    try:
        return name, load_model(name, folders)
    except ScenarioError as error:
        raise UsageError(_placed(record, "model", error)) from None


def _accelerator(record: Record, folders: Sequence[str | Path]) -> Accelerator:
    from ds3opt.io.accelerators import load_accelerator, normal_name

    written = record.word("gpu")
    name = ACCELERATORS.get(normal_name(written), written)
    try:
        return load_accelerator(name, folders)
    except ScenarioError as error:
        raise UsageError(_placed(record, "gpu", error)) from None


def _figure(record: Record, accelerator: Accelerator, field: str) -> float:
    value = accelerator.get(field)
    if value is None:
        message = f"{accelerator.name} has no {field}, so nothing can be predicted for it"
        raise UsageError(record.problem("gpu", message))
    return value


def _precision(record: Record, column: str) -> Any:
    written = record.word(column)
    name = PRECISIONS.get(written, written)
    if name not in STORED:
        hint = f"known are {', '.join([*STORED, *PRECISIONS])}"
        raise UsageError(record.problem(column, f"unknown number format {written[:40]!r}", hint))
    return name


def _prompt_tokens(record: Record) -> float:
    if record.filled("prompt_tokens"):
        return record.required("prompt_tokens", most=1e9)
    task = record.cells.get("task", "").strip()
    if task in PROMPT_TOKENS:
        return PROMPT_TOKENS[task]
    column = "task" if task else "prompt_tokens"
    hint = f"or a task whose prompts are known: {', '.join(PROMPT_TOKENS)}"
    raise UsageError(record.problem(column, "the prompts' length is needed: prompt_tokens", hint))


def _placed(record: Record, column: str, error: ScenarioError) -> Problem:
    """A catalogue's complaint, at the cell that asked for it unless it has a place of its own."""
    first = error.problems[0]
    if first.location is not None:
        return first
    return record.problem(column, first.message, first.hint)


def _gathered(row: Callable[[Record], T], records: list[Record]) -> list[T]:
    """All rows, or every complaint about them."""
    from ds3opt.io.measured_csv import MOST_PROBLEMS

    made: list[T] = []
    problems: list[Problem] = []
    for record in records:
        try:
            made.append(row(record))
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(*problems[:MOST_PROBLEMS])
    return made


def _stacked(parts: list[Any]) -> Any:
    """Shapes or devices of single things as one of arrays."""
    kind: type[ModelShape] | type[Device] | type[Efficiency] = type(parts[0])
    return kind(
        **{
            field.name: np.array([getattr(part, field.name) for part in parts], dtype=np.float64)
            for field in fields(kind)
        }
    )
