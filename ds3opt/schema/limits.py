"""Upper limits on resources, with the unit of each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ds3opt.schema.quantities import (
    AcceleratorHours,
    Dollars,
    Flop,
    Joules,
    Kilograms,
    Seconds,
    Section,
    Watts,
)

LimitName = Literal[
    "total_flop",
    "training_flop",
    "inference_flop",
    "energy",
    "cost",
    "carbon",
    "accelerator_hours",
    "power",
    "training_time",
]
FLOP_LIMITS = ("total_flop", "training_flop", "inference_flop")
LIMITS: dict[str, str] = {
    **dict.fromkeys(FLOP_LIMITS, "flop"),
    "energy": "energy",
    "cost": "money",
    "carbon": "carbon",
    "accelerator_hours": "accelerator_hours",
    "power": "power",
    "training_time": "time",
}
"""Every limit and the dimension of its quantity."""


class Limits(Section):
    """Upper limits on resources; any subset, all hold at once."""

    total_flop: Flop | None = None
    """Training and inference together."""
    training_flop: Flop | None = None
    """Training alone."""
    inference_flop: Flop | None = None
    """Inference alone, over all tasks, verification included."""
    energy: Annotated[Joules, Field(ge=1e-6)] | None = None
    """Electricity of the site for training and serving."""
    cost: Annotated[Dollars, Field(gt=0, ge=1e-9)] | None = None
    """Money for training and serving."""
    carbon: Annotated[Kilograms, Field(gt=0, ge=1e-9)] | None = None
    """CO2e of the electricity and, where known, of making the accelerators."""
    accelerator_hours: Annotated[AcceleratorHours, Field(ge=1e-9)] | None = None
    """Hours of accelerators for training and serving, idle ones included."""
    power: Annotated[Watts, Field(ge=1e-9)] | None = None
    """Electric power of the site: while training and, averaged over each period, while serving."""
    training_time: Seconds | None = None
    """Time that training takes; in parts of the day, the days that its part of each needs."""

    def given(self) -> dict[str, float]:
        """The limits that are set, in base units."""
        named = {name: getattr(self, name) for name in LIMITS}
        return {name: limit for name, limit in named.items() if limit is not None}
