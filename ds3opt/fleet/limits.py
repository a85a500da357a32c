"""Limits as arrays: what serving and training take of each, in every period of the day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.fleet.resources import PHYSICAL, Periods, Resource, TrainingRun, uses_of
from ds3opt.schema import Scenario
from ds3opt.schema.limits import LIMITS

FloatArray = NDArray[np.float64]

_JOINT = ("total_flop", "inference_flop", *PHYSICAL)


@dataclass(frozen=True)
class Row:
    """One limit on training and serving together, or on serving in one period."""

    name: str
    limit: float
    serving: FloatArray  # (period, use)
    training: FloatArray  # (period,) for each training FLOP
    key: str = ""
    """The scenario key that sets it."""
    dimension: str = "flop"
    shared: bool = False
    """Whether training is spread over the accelerators that train at a time."""

    def training_charges(self, accelerators: float) -> FloatArray:
        """What a training FLOP takes of the limit, (period,), with so many at a time.

        Of no meaning below one accelerator: then nothing is trained.
        """
        return self.training / max(accelerators, 1.0) if self.shared else self.training


@dataclass(frozen=True)
class Cap:
    """One limit on training alone, wherever it is placed."""

    name: str
    limit: float
    per_flop: float
    """What a training FLOP takes of the limit; of one accelerator's time where it is shared."""
    dimension: str = "flop"
    shared: bool = False
    """Whether it is spread over the accelerators that train at a time."""

    def taken_per_flop(self, accelerators: float) -> float:
        """What a training FLOP takes of the limit with so many accelerators at a time."""
        if not self.shared:
            return self.per_flop
        return self.per_flop / accelerators if accelerators >= 1.0 else float("inf")


def rows_of(
    scenario: Scenario, known: dict[str, Resource], run: TrainingRun, periods: Periods
) -> tuple[Row, ...]:
    """The limits on training and serving together, then those of every period.

    Parameters
    ----------
    known : the resources that the scenario limits, at least.
    """
    limits = scenario.limits.given()
    rows = [
        Row(
            name,
            limits[name],
            known[name].serving,
            known[name].training,
            f"limits.{name}",
            LIMITS[name],
        )
        for name in _JOINT
        if name in limits
    ]
    horizon = scenario.workload.horizon
    hardware = scenario.hardware
    count = len(periods)
    none = np.zeros(count)
    machines = hardware.inference.count if hardware is not None and hardware.inference else None
    for index, name in enumerate(periods.names):
        here = np.zeros(count)
        here[index] = 1.0
        label = f" ({name})" if count > 1 else ""
        if machines is not None and horizon is not None:
            rows.append(
                Row(
                    f"inference_accelerators{label}",
                    machines,
                    uses_of(count, seconds=here / (horizon * periods.part[index])),
                    none,
                    "hardware.inference.count",
                    "count",
                )
            )
        if "power" in limits and horizon is not None:
            rows.append(
                Row(
                    f"power{label}",
                    limits["power"],
                    uses_of(count, joules=here / (horizon * periods.part[index])),
                    none,
                    "limits.power",
                    "power",
                )
            )
        if _by_part_of_day(limits, run, periods):
            # a run of so many days has only its part of each of them in a period
            rows.append(
                Row(
                    f"training_time{label}",
                    limits["training_time"],
                    uses_of(count),
                    here * (run.seconds_per_flop / periods.part[index]),
                    "limits.training_time",
                    "time",
                    shared=True,
                )
            )
    return tuple(rows)


def _by_part_of_day(limits: dict[str, float], run: TrainingRun, periods: Periods) -> bool:
    """Whether the time of training is limited, and training placed in parts of the day."""
    return "training_time" in limits and run.seconds_per_flop > 0.0 and len(periods) > 1


def training_caps(scenario: Scenario, run: TrainingRun, periods: Periods) -> tuple[Cap, ...]:
    """The limits on training alone, each as training FLOP."""
    limits = scenario.limits.given()
    caps = []
    if "training_flop" in limits:
        caps.append(Cap("training_flop", limits["training_flop"], 1.0))
    timed = run.seconds_per_flop > 0.0 and "training_time" in limits
    if timed and not _by_part_of_day(limits, run, periods):
        caps.append(
            Cap("training_time", limits["training_time"], run.seconds_per_flop, "time", shared=True)
        )
    return tuple(caps)
