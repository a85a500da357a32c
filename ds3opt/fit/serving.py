"""Constants of serving from measured configurations, and how well they predict other models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws._types import FloatArray
from ds3opt.laws.power import board_power_watts
from ds3opt.laws.roofline import Device, Efficiency, ModelShape, decode_step

Names = NDArray[np.str_]
Mask = NDArray[np.bool_]

EIGHT_BIT_EXPERTS = "eight_bit_expert_layer_seconds"
"""`expert_layer_seconds` where experts are stored in a byte a weight."""
COMPUTE, COMPUTE_NARROW = 0.75, 0.55
"""Share of peak FLOP/s in large matrix products, of 16 bits and of fewer.

Decoding does not identify them, so they are given.
"""


@dataclass(frozen=True)
class ServingRuns:
    """Measured configurations, one element of each array for each; NaN where not measured."""

    model: Names
    """Name of the shape; runs of one shape are held out together."""
    accelerator: Names
    shape: ModelShape
    device: Device
    accelerators: FloatArray
    sequences: FloatArray
    prompt_tokens: FloatArray
    output_tokens: FloatArray
    step_seconds: FloatArray
    """Median time between the tokens of a sequence."""
    tokens_per_s: FloatArray
    """Output of all accelerators together."""
    joules_per_token: FloatArray
    """Drawn by the boards for each output token."""

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def context_tokens(self) -> FloatArray:
        """Mean tokens before the one that is generated: ``P + L / 2``."""
        return self.prompt_tokens + self.output_tokens / 2.0

    def take(self, chosen: Mask) -> ServingRuns:
        """The chosen configurations."""
        return ServingRuns(*(_taken(getattr(self, f.name), chosen) for f in fields(self)))


def _taken(value: Any, chosen: Mask) -> Any:
    if isinstance(value, (ModelShape, Device)):
        parts = {f.name: getattr(value, f.name) for f in fields(value)}
        kept = {
            name: part[chosen] if np.ndim(part) else part
            for name, part in parts.items()
            if part is not None
        }
        return replace(value, **kept)
    return value[chosen]


@dataclass(frozen=True)
class Prediction:
    """What the laws say of measured configurations."""

    step_seconds: FloatArray
    tokens_per_s: FloatArray
    joules_per_token: FloatArray


def predict(runs: ServingRuns, efficiency: Efficiency) -> Prediction:
    """Step time, throughput and energy by the laws of serving.

    Throughput and energy follow the mean step, in which B / L prompts are read. The median step
    has fewer: the median of a Poisson number is at least its mean less ln 2 (Choi 1994, Proc. Amer.
    Math. Soc. 121), which is taken for it.

    Parameters
    ----------
    efficiency : constants, single or one for each run.
    """
    arrivals = runs.sequences / runs.output_tokens
    usual = np.maximum(arrivals - np.log(2.0), 0.0)
    with np.errstate(divide="ignore"):
        between = runs.sequences / usual
    common: dict[str, Any] = {
        "sequences": runs.sequences,
        "context_tokens": runs.context_tokens,
        "accelerators": runs.accelerators,
        "prompt_tokens": runs.prompt_tokens,
    }
    median = decode_step(runs.shape, runs.device, efficiency, output_tokens=between, **common)
    mean = decode_step(
        runs.shape, runs.device, efficiency, output_tokens=runs.output_tokens, **common
    )
    watts = board_power_watts(
        runs.device, efficiency, mean.memory_utilisation, mean.compute_utilisation
    )
    rate = runs.sequences / mean.seconds
    return Prediction(median.seconds, rate, watts * runs.accelerators / rate)


@dataclass(frozen=True)
class _Constant:
    name: str
    start: float
    share: bool
    """Whether it lies in (0, 1); else it is positive."""
    per_family: bool = False


_CONSTANTS = (
    _Constant("cache", 0.7, True),
    _Constant("exchange", 1.0, False),
    _Constant("allreduce_seconds", 8e-6, False),
    _Constant("expert_layer_seconds", 3e-5, False),
    _Constant(EIGHT_BIT_EXPERTS, 1e-4, False),
    _Constant("prompt_layer_seconds", 3e-5, False),
    _Constant("sequence_seconds", 3e-5, False),
    _Constant("memory", 0.8, True, per_family=True),
    _Constant("layer_seconds", 3e-5, False, per_family=True),
    _Constant("base_power", 0.35, True, per_family=True),
    _Constant("memory_power", 0.4, True, per_family=True),
    _Constant("compute_power", 0.8, False, per_family=True),
)
"""Software is shared by the families; memory, kernels' starts and power belong to each."""
_NEAR_START, _NEAR_EACH_OTHER = 0.1, 0.5
"""Weights that keep what data leave open near its start, and families near each other."""
_SCALE = 0.1
"""Error, relative, from which on a row weighs less."""
_WEIGHTS = {"step": 1.0, "rate": 0.7, "energy": 0.7, "power": 0.7}


@dataclass(frozen=True)
class ServingFit:
    """Constants by family of accelerators."""

    constants: dict[str, dict[str, float]]

    def efficiency(self, families: Sequence[str], runs: ServingRuns) -> Efficiency:
        """The constants that hold for each run, whose family is given."""
        each = {
            name: np.array([self.constants[family][name] for family in families])
            for name in next(iter(self.constants.values()))
        }
        eight_bit = each.pop(EIGHT_BIT_EXPERTS)
        each["expert_layer_seconds"] = np.where(
            has_eight_bit_experts(runs.shape), eight_bit, each["expert_layer_seconds"]
        )
        narrow = np.asarray(runs.shape.bytes_per_weight) < 1.5
        return Efficiency(compute=np.where(narrow, COMPUTE_NARROW, COMPUTE), **each)


def has_eight_bit_experts(shape: ModelShape) -> Mask:
    """Whether a model routes to experts that take one byte for a weight."""
    size = shape.bytes_per_routed_weight
    stored = np.asarray(shape.bytes_per_weight if size is None else size)
    return (np.asarray(shape.routed_parameters) > 0.0) & (stored > 0.75) & (stored < 1.5)


def fit_serving(runs: ServingRuns, families: Names) -> ServingFit:
    """Constants of least robust error in step time, throughput, energy and power.

    Residuals are logarithms of measured over predicted, under a Cauchy loss, so that rows which no
    constants explain hardly count. Constants are positive, shares below 1, by substitution.

    Parameters
    ----------
    runs : measured configurations.
    families : the family of accelerators of each.
    """
    from scipy.optimize import least_squares

    names = sorted(set(families.tolist()))
    starts = _transformed_starts(len(names))
    split = len(_CONSTANTS) - sum(one.per_family for one in _CONSTANTS)
    own = starts[split : split + len(_CONSTANTS) - split]

    def residuals(x: FloatArray) -> FloatArray:
        efficiency = ServingFit(_unpacked(x, names)).efficiency(families.tolist(), runs)
        parts = _log_ratios(runs, predict(runs, efficiency))
        by_family = x[split:].reshape(len(names), own.size)
        apart = _NEAR_EACH_OTHER * (by_family[1:] - by_family[:-1])
        return np.concatenate([*parts, _NEAR_START * (x - starts), apart.ravel()])

    found = least_squares(residuals, starts, loss="cauchy", f_scale=_SCALE, max_nfev=400)
    return ServingFit(_unpacked(found.x, names))


def held_out(runs: ServingRuns, families: Names, groups: Names, fitted: Mask) -> Prediction:
    """Predictions for each run by constants that never saw its group.

    Parameters
    ----------
    groups : what is left out together: the shape of a model, or the family of accelerators.
    fitted : runs that may be fitted to; the others are predicted all the same.
    """
    out = [np.full(len(runs), np.nan) for _ in fields(Prediction)]
    for group in sorted(set(groups.tolist())):
        rest, left = fitted & (groups != group), groups == group
        fit = fit_serving(runs.take(rest), families[rest])
        known = [f if f in fit.constants else next(iter(fit.constants)) for f in families[left]]
        chosen = runs.take(left)
        predicted = predict(chosen, fit.efficiency(known, chosen))
        for whole, field in zip(out, fields(Prediction), strict=True):
            whole[left] = getattr(predicted, field.name)
    return Prediction(*out)


def slower_than_older(
    runs: ServingRuns, older: str, newer: str, *, within: float = 0.1
) -> NDArray[np.bool_]:
    """Runs of the newer accelerator whose step takes longer than the older's on the same work.

    The same work is the same model, prompt and batch (within a tenth) on no more accelerators. As
    the newer one surpasses the older in every peak, something else than it held these runs up.
    """
    a, b = runs.accelerator == newer, runs.accelerator == older
    same = (runs.model[:, None] == runs.model) & (runs.prompt_tokens[:, None] == runs.prompt_tokens)
    same &= runs.shape.bytes_per_weight[:, None] == runs.shape.bytes_per_weight  # type: ignore[index]
    same &= np.abs(runs.sequences[:, None] / runs.sequences - 1.0) < within
    same &= runs.accelerators[:, None] >= runs.accelerators
    slower = runs.step_seconds[:, None] > runs.step_seconds
    found: Mask = np.any(a[:, None] & b & same & slower, axis=1)
    return found


Quantity = Literal["step", "rate", "energy", "power"]


def _log_ratios(runs: ServingRuns, predicted: Prediction) -> list[FloatArray]:
    """Weighted logarithms of measured over predicted; 0 where nothing was measured."""
    pairs = {
        "step": (runs.step_seconds, predicted.step_seconds),
        "rate": (runs.tokens_per_s, predicted.tokens_per_s),
        "energy": (runs.joules_per_token, predicted.joules_per_token),
        "power": (
            runs.joules_per_token * runs.tokens_per_s,
            predicted.joules_per_token * predicted.tokens_per_s,
        ),
    }
    return [
        _WEIGHTS[name] * np.nan_to_num(np.log(measured / told), nan=0.0)
        for name, (measured, told) in pairs.items()
    ]


def _transformed_starts(families: int) -> FloatArray:
    shared = [_open(one.start, one.share) for one in _CONSTANTS if not one.per_family]
    own = [_open(one.start, one.share) for one in _CONSTANTS if one.per_family]
    return np.array([*shared, *(own * families)])


def _open(value: float, share: bool) -> float:
    """A bounded constant on the whole line: logit of a share, else the logarithm."""
    return float(np.log(value / (1.0 - value)) if share else np.log(value))


def _unpacked(x: FloatArray, families: Sequence[str]) -> dict[str, dict[str, float]]:
    shared = [one for one in _CONSTANTS if not one.per_family]
    own = [one for one in _CONSTANTS if one.per_family]
    found = {}
    for i, family in enumerate(families):
        begin = len(shared) + i * len(own)
        values = [*x[: len(shared)], *x[begin : begin + len(own)]]
        found[family] = {
            one.name: _closed(float(value), one.share)
            for one, value in zip([*shared, *own], values, strict=True)
        }
    return found


def _closed(value: float, share: bool) -> float:
    with np.errstate(over="ignore"):
        return float(1.0 / (1.0 + np.exp(-value)) if share else np.exp(value))
