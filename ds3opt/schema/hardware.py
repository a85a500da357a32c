"""What training and serving run on: accelerators, how they are run, and what electricity costs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictInt, model_validator

from ds3opt.schema.accelerator import Accelerator, Precision
from ds3opt.schema.calibration import Calibration
from ds3opt.schema.model_shape import StoredPrecision
from ds3opt.schema.quantities import (
    CarbonIntensity,
    ContradictionError,
    Count,
    Dollars,
    Fraction,
    NonNegative,
    Positive,
    PositiveFraction,
    PricePerEnergy,
    Seconds,
    Section,
    WattsOrZero,
)

DAY = 86_400.0
WorkingShare = Annotated[PositiveFraction, Field(ge=1e-4)]
PriceLevel = Literal["low", "typical", "high"]


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


class Ownership(Section):
    """Accelerators that are bought: their price spread over their life, electricity beside it."""

    capital_cost: Dollars | None = None
    """Of one accelerator with its part of server and network; left out: the catalogue's."""
    lifetime: Seconds = 5 * 365 * DAY
    """Years in service."""
    running_share: WorkingShare = 0.8
    """Share of its life in which an accelerator does paid work."""


class TrainingHardware(Section):
    """What the model is trained on."""

    accelerator: Accelerator
    """A name of the catalogue (`ds3opt hardware list`), or a mapping that replaces figures."""
    precision: Precision = "bf16"
    """Number format of the arithmetic; its dense FLOP/s count."""
    utilisation: WorkingShare | None = None
    """Share of the dense FLOP/s that training reaches (MFU); left out: as measured on the like."""
    goodput: WorkingShare | None = None
    """Share of the time that counts, after failures, restarts and evaluation; left out: as the
    calibration says."""
    count: Count | None = None
    """Accelerators at most at a time."""
    bytes_per_parameter: Annotated[Positive, Field(le=1e6)] = 16.0
    """Weights, gradients and optimiser state, split over all accelerators."""
    price: PriceLevel = "typical"
    """Which price of the accelerator counts."""
    own: Ownership | None = None
    """Accelerators are bought and not rented."""
    calibration: Calibration | None = None
    """Measured efficiencies by name; left out: those that the accelerator names."""


class InferenceHardware(Section):
    """What tasks are served on."""

    accelerator: Accelerator
    """A name of the catalogue (`ds3opt hardware list`), or a mapping that replaces figures."""
    count: Count | None = None
    """Accelerators at most at a time."""
    weights: StoredPrecision = "bf16"
    """Number format of the weights."""
    kv_cache: StoredPrecision = "bf16"
    """Number format of cached keys and values."""
    arithmetic: Precision | None = None
    """Number format of the arithmetic; left out: that of the weights where the accelerator has a
    rate for it."""
    accelerators_per_replica: Annotated[
        tuple[Annotated[StrictInt, Field(ge=1, le=1024)], ...],
        Field(min_length=1),
        BeforeValidator(_listed),
    ] = (1, 2, 4, 8)
    """Over how many accelerators one copy of the model may be split (tensor parallelism)."""
    max_sequences: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = 1024
    """Traces that one replica works on at once, at most."""
    utilisation: WorkingShare = 0.7
    """Share of the time in which replicas are busy; the rest absorbs peaks and is paid for."""
    idle_power: Fraction = 0.15
    """Power of an idle accelerator over its board power."""
    queueing_allowance: NonNegative = 0.2
    """What waiting adds to the time of a request, over that time."""
    prefix_sharing: Literal["none", "memory", "memory_and_reads"] = "memory"
    """What the traces of a request share of its prompt: nothing; the memory of its cache and the
    reading of it; or also every step's read of the cache (cascade attention)."""
    price: PriceLevel = "typical"
    """Which price of the accelerator counts."""
    own: Ownership | None = None
    """Accelerators are bought and not rented."""
    calibration: Calibration | None = None
    """Measured efficiencies by name; left out: those that the accelerator names."""

    @model_validator(mode="after")
    def _distinct(self) -> InferenceHardware:
        sizes = self.accelerators_per_replica
        if len(set(sizes)) < len(sizes):
            raise ContradictionError("accelerators_per_replica", "the list has a number twice")
        return self


class Period(Section):
    """A part of every day with its own price and carbon intensity of electricity."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    """Name of the period in reports."""
    duration: Seconds
    """Of every day; the periods together are 24 h."""
    price: PricePerEnergy | None = None
    """Overrides electricity.price."""
    carbon_intensity: CarbonIntensity | None = None
    """Overrides electricity.carbon_intensity."""
    load_share: Fraction | None = None
    """Share of the tasks that arrive in it; left out everywhere: in proportion to time."""


class Electricity(Section):
    """Price and carbon intensity of electricity."""

    price: PricePerEnergy | None = None
    """Counts where accelerators are owned; the rent of an accelerator has it included."""
    carbon_intensity: CarbonIntensity | None = None
    """CO2e of a unit of electricity."""
    periods: Annotated[tuple[Period, ...], Field(min_length=1)] | None = None
    """Parts of the day."""

    @model_validator(mode="after")
    def _whole_day(self) -> Electricity:
        if self.periods is None:
            return self
        names = [period.name for period in self.periods]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise ContradictionError(
                    ("periods", index, "name"), f"two periods are named {name!r}"
                )
        hours = sum(period.duration for period in self.periods) / 3600.0
        if abs(hours - 24.0) > 1e-6:
            raise ContradictionError(
                "periods", f"the periods cover {hours:.6g} h of the day, not 24 h"
            )
        shares = [p.load_share for p in self.periods]
        given = [share for share in shares if share is not None]
        if given and len(given) < len(shares):
            raise ContradictionError(
                ("periods", shares.index(None)), "give load_share for every period or for none"
            )
        if given and abs(sum(given) - 1.0) > 1e-6:
            raise ContradictionError(
                "periods", f"the load_share of the periods sum to {sum(given):.6g}, not to 1"
            )
        return self


class Hardware(Section):
    """What training and serving run on."""

    training: TrainingHardware | None = None
    """What the model is trained on."""
    inference: InferenceHardware | None = None
    """What tasks are served on."""
    electricity: Electricity = Electricity()
    """Price and carbon intensity of electricity."""
    power_usage_effectiveness: Annotated[Positive, Field(ge=1, le=10)] = 1.2
    """Power of the whole site over that of its computers (PUE)."""
    host_power: WattsOrZero = 150.0
    """Power of processors, network and storage for each accelerator."""

    @model_validator(mode="before")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if isinstance(value, dict) and not {"training", "inference"} & set(value):
            raise ValueError("give training, inference or both")
        return value
