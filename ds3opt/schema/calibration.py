"""Measured efficiencies of a family of accelerators, as the catalogue keeps them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ds3opt.laws.roofline import LEAST_SHARE, Efficiency
from ds3opt.laws.training_run import model_flop_utilisation
from ds3opt.schema.quantities import Bytes, PositiveFraction, Section

Text = Annotated[str, Field(min_length=1, max_length=2000)]
Rows = Annotated[int, Field(ge=0, le=10_000_000)]
Share = Annotated[float, Field(ge=LEAST_SHARE, le=1.0)]
Ratio = Annotated[float, Field(gt=0.0, le=1e6)]
Size = Annotated[float, Field(ge=0.0, le=1e6)]

_EIGHT_BIT = frozenset({"fp8", "int8"})
_NARROW = frozenset({"fp8", "int8", "fp4"})
"""Formats in which accelerators have arithmetic beside that of 16 bits."""


class Band(Section):
    """How far predictions lie from measurements, over rows."""

    rows: Rows
    """Measured rows."""
    p10: Ratio
    """Tenth percentile of measured over predicted."""
    p50: Ratio
    """Median of measured over predicted."""
    p90: Ratio
    """Ninetieth percentile of measured over predicted."""
    median_error: Size
    """Median of abs(predicted / measured - 1)."""
    p90_error: Size
    """Ninetieth percentile of the same."""


class ServingBands(Section):
    """Errors of serving, by what was measured."""

    step_seconds: Band
    """Median time between the tokens of a sequence."""
    tokens_per_s: Band
    """Output of all accelerators."""
    joules_per_token: Band
    """Energy of the boards for each output token."""


class ExpertLayerSeconds(Section):
    """Start of a layer's experts, by the format they are stored in."""

    sixteen_bit: Size
    """Experts in bf16, and in 4-bit formats, whose kernels are as lean."""
    eight_bit: Size
    """Experts in fp8 or int8, scaled by blocks."""


class ComputeShare(Section):
    """Share of the peak FLOP/s in large matrix products, by the width of the arithmetic."""

    sixteen_bit: Share
    """bf16 and fp16."""
    narrow: Share
    """fp8, int8 and fp4, each of its own peak."""


class ServingConstants(Section):
    """What the laws of serving take; see `ds3opt.laws.roofline.Efficiency`."""

    source: Text
    """Where the measurements are from, and with what software."""
    as_of: Text
    """The day the measurements were published."""
    rows: Rows
    """Rows the constants were fitted to."""
    left_out: Rows = 0
    """Rows of the source that were not fitted to; all count in the bands."""
    left_out_because: Text | None = None
    """Why."""
    memory: Share
    """Share of the peak bandwidth at which weights are read."""
    cache: Share
    """Share of the peak bandwidth at which attention reads keys and values."""
    compute: ComputeShare
    """Share of the peak FLOP/s in large matrix products."""
    exchange: Size
    """Time of exchanging activations over that at the peak link bandwidth."""
    allreduce_seconds: Size
    """Latency of one all-reduce."""
    layer_seconds: Size
    """Start of the kernels of a layer."""
    expert_layer_seconds: ExpertLayerSeconds
    """More of it where the layer routes to experts."""
    prompt_layer_seconds: Size
    """More of it in a step that reads a prompt."""
    sequence_seconds: Size
    """Host time of a step for each sequence."""


class PowerConstants(Section):
    """Share of the board power that serving draws."""

    base: Annotated[float, Field(ge=0.0, le=1.0)]
    """Before any work is counted."""
    memory: Size
    """More of it at full memory bandwidth."""
    compute: Size
    """More of it at full FLOP/s."""


class CapacityConstants(Section):
    """How much of an accelerator's memory weights and caches may fill."""

    source: Text
    """Where the figures are from."""
    usable_memory: PositiveFraction
    """Share that the server may take."""
    reserve_bytes: Bytes
    """Of each accelerator, for activations and the runtime."""


class Utilisation(Section):
    """Model FLOP over peak FLOP of one precision in training."""

    matrix: Share
    """In all work but attention."""
    attention: Share
    """In attention over long sequences."""
    rows: Rows
    """Runs it was fitted to."""
    measured: Band | None = None
    """Errors on those runs."""
    held_out: Band | None = None
    """Errors on models that the fit did not see."""


class TrainingConstants(Section):
    """Utilisation and goodput of training runs."""

    source: Text
    """Where the measurements are from."""
    as_of: Text
    """The day the measurements were read."""
    bf16: Utilisation
    """Of the peak in bf16."""
    fp8: Utilisation | None = None
    """Of the peak in fp8."""
    goodput: PositiveFraction
    """Share of the time in which a long run makes progress."""
    goodput_source: Text
    """Where the goodput is from."""


class Calibration(Section):
    """One set of constants: `hardware/calibration/<name>.yaml`."""

    name: Text
    """Which accelerators it is for."""
    note: Text | None = None
    """What a user of it should know."""
    serving: ServingConstants
    """Step times."""
    power: PowerConstants
    """Power of the boards while serving."""
    capacity: CapacityConstants
    """Memory."""
    training: TrainingConstants
    """Training runs."""
    measured: ServingBands
    """Errors on the rows of this family, fitted or left out."""
    held_out: ServingBands
    """Errors on each model by constants that never saw it; what to expect of a new model."""

    def efficiency(self, precision: str = "bf16", arithmetic: str | None = None) -> Efficiency:
        """Constants for the laws of serving.

        Parameters
        ----------
        precision : the format that routed experts, or else all weights, are stored in.
        arithmetic : the format that is multiplied in, whose peak `Device` has; left out: that of
            the weights where accelerators have one, else bf16.
        """
        narrow = (precision if arithmetic is None else arithmetic) in _NARROW
        serving, power, capacity = self.serving, self.power, self.capacity
        experts = serving.expert_layer_seconds
        return Efficiency(
            memory=serving.memory,
            cache=serving.cache,
            compute=serving.compute.narrow if narrow else serving.compute.sixteen_bit,
            exchange=serving.exchange,
            allreduce_seconds=serving.allreduce_seconds,
            layer_seconds=serving.layer_seconds,
            expert_layer_seconds=(
                experts.eight_bit if precision in _EIGHT_BIT else experts.sixteen_bit
            ),
            prompt_layer_seconds=serving.prompt_layer_seconds,
            sequence_seconds=serving.sequence_seconds,
            usable_memory=capacity.usable_memory,
            reserve_bytes=capacity.reserve_bytes,
            base_power=power.base,
            memory_power=power.memory,
            compute_power=power.compute,
        )

    def utilisation(self, precision: str = "bf16", attention_share: float = 0.0) -> float | None:
        """Model FLOP utilisation of training; None where the precision was never measured.

        Parameters
        ----------
        precision : of the matrix products; fp16 counts as bf16.
        attention_share : part of the FLOP that attention takes.
        """
        known = {
            "bf16": self.training.bf16,
            "fp16": self.training.bf16,
            "fp8": self.training.fp8,
        }.get(precision)
        if known is None:
            return None
        return float(model_flop_utilisation(known.matrix, known.attention, attention_share))
