"""What limits count: one row a limit, one coefficient for each thing that work uses.

Serving a task uses four things: FLOP, seconds of accelerators, joules of the site, and dollars for
bought tokens. Training uses an amount of everything for each FLOP. Every limit, and every objective
that is a resource, is a linear function of these, with coefficients that may depend on the period
of the day in which the work is done.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import Problem as Mistake
from ds3opt.errors import ScenarioError
from ds3opt.schema import Scenario
from ds3opt.schema.accelerator import Accelerator
from ds3opt.schema.hardware import DAY, Electricity, Hardware, Ownership, TrainingHardware

FloatArray = NDArray[np.float64]

FLOP, ACCELERATOR_SECONDS, JOULES, DOLLARS = range(4)
USES = 4
"""Things that serving a task uses, in this order."""
PHYSICAL = ("energy", "cost", "carbon", "accelerator_hours")
"""Resources that hardware decides; reported wherever their figures are known."""
EMBODIED_LIFE = Ownership()
"""Over which the carbon of making an accelerator is spread where nothing else is said."""


@dataclass(frozen=True)
class Resource:
    """One resource as a linear function of work."""

    serving: FloatArray  # (period, use)
    training: FloatArray  # (period,) for each training FLOP


@dataclass(frozen=True)
class Periods:
    """Parts of the day."""

    names: tuple[str, ...]
    part: FloatArray  # (period,) of the time
    load: FloatArray  # (period,) of the arriving tasks

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class TrainingRun:
    """What training takes of accelerators; all zero where the scenario has none."""

    seconds_per_flop: float
    """Accelerator-seconds, lost time included."""
    watts: float
    """Of the site for each accelerator."""
    count: float
    """Accelerators at most at a time; inf where nothing is said."""
    utilisation: float
    goodput: float
    bytes_per_parameter: float
    memory_bytes: float
    """Usable in one accelerator; inf where nothing is said."""


USABLE_MEMORY = 0.9
"""Share of a training accelerator's memory that states may fill where nothing is calibrated."""
NO_TRAINING_RUN = TrainingRun(0.0, 0.0, np.inf, 1.0, 1.0, 0.0, np.inf)


def periods_of(hardware: Hardware | None) -> Periods:
    """The periods of the day, one where the scenario has none."""
    listed = hardware.electricity.periods if hardware is not None else None
    if listed is None:
        return Periods(("day",), np.ones(1), np.ones(1))
    part = np.array([p.duration for p in listed]) / DAY
    part = part / part.sum()
    given = [p.load_share for p in listed if p.load_share is not None]
    load = np.array(given) / sum(given) if given else part
    return Periods(tuple(p.name for p in listed), part, load)


def uses_of(
    periods: int,
    *,
    flop: FloatArray | float = 0.0,
    seconds: FloatArray | float = 0.0,
    joules: FloatArray | float = 0.0,
    dollars: FloatArray | float = 0.0,
) -> FloatArray:
    """Coefficients of each thing that work uses, the same in every period or (period,) each.

    Returns
    -------
    (period, use), zero for uses that are not given.
    """
    table = np.zeros((periods, USES))
    table[:, FLOP], table[:, ACCELERATOR_SECONDS] = flop, seconds
    table[:, JOULES], table[:, DOLLARS] = joules, dollars
    return table


def resources(scenario: Scenario, run: TrainingRun, wanted: set[str]) -> dict[str, Resource]:
    """The resources that limits and the objective count.

    Raises
    ------
    ScenarioError : where a figure that one of them needs is unknown, naming it.
    """
    hardware = scenario.hardware
    count = len(periods_of(hardware))
    one = np.ones(count)
    found = {
        "total_flop": Resource(uses_of(count, flop=1.0), one),
        "inference_flop": Resource(uses_of(count, flop=1.0), 0.0 * one),
        "training_flop": Resource(uses_of(count), one),
    }
    seconds = run.seconds_per_flop
    joules = seconds * run.watts
    if "accelerator_hours" in wanted:
        _some(scenario, "accelerator_hours")
        found["accelerator_hours"] = Resource(
            uses_of(count, seconds=1.0 / 3600.0), one * (seconds / 3600.0)
        )
    if "energy" in wanted or "power" in wanted:
        _some(scenario, "power" if "energy" not in wanted else "energy")
        _powered(scenario)
        found["energy"] = Resource(uses_of(count, joules=1.0), one * joules)
    if "carbon" in wanted:
        chosen = _some(scenario, "carbon")
        _powered(scenario)
        intensity = _by_period(chosen.electricity, "carbon_intensity", "carbon")
        made = [_embodied(part) for part in (chosen.inference, chosen.training)]
        found["carbon"] = Resource(
            uses_of(count, joules=intensity, seconds=made[0]),
            joules * intensity + seconds * made[1],
        )
    if "cost" in wanted:
        found["cost"] = _cost(scenario, run)
    return found


def _cost(scenario: Scenario, run: TrainingRun) -> Resource:
    hardware = scenario.hardware
    count = len(periods_of(hardware))
    serving, training = uses_of(count, dollars=1.0), np.zeros(count)
    if hardware is None:
        if not scenario.model.candidates:
            raise _missing(scenario, "cost")
        return Resource(serving, training)
    tariff = np.zeros(count)
    if any(part is not None and part.own for part in (hardware.inference, hardware.training)):
        _powered(scenario, owned=True)
        tariff = _by_period(hardware.electricity, "price", "cost")
    if hardware.inference is not None:
        per_second, owned = _price_per_second(hardware, "inference")
        serving = uses_of(count, dollars=1.0, seconds=per_second, joules=tariff if owned else 0.0)
    if hardware.training is not None:
        rent, owned = _price_per_second(hardware, "training")
        paid = rent + (run.watts * tariff if owned else 0.0 * tariff)
        training = run.seconds_per_flop * paid
    return Resource(serving, training)


def _price_per_second(hardware: Hardware, kind: str) -> tuple[float, bool]:
    """USD for an accelerator-second, and whether electricity comes on top."""
    part = getattr(hardware, kind)
    path = f"hardware.{kind}"
    accelerator: Accelerator = part.accelerator
    if part.own is None:
        rent = accelerator.require(f"price_per_hour.{part.price}", f"{path}.accelerator")
        return rent / 3600.0, False
    capital = part.own.capital_cost
    if capital is None:
        capital = accelerator.require("capital_cost", f"{path}.accelerator")
    return capital / (part.own.lifetime * part.own.running_share), True


def _embodied(part: object) -> float:
    """CO2e of making an accelerator for each second of its use; 0 where it is unknown."""
    if part is None:
        return 0.0
    kilograms = part.accelerator.get("embodied_carbon_kg")  # type: ignore[attr-defined]
    own = part.own or EMBODIED_LIFE  # type: ignore[attr-defined]
    return (kilograms or 0.0) / (own.lifetime * own.running_share)


def training_run(hardware: Hardware | None) -> TrainingRun:
    """What training takes of accelerators.

    Raises
    ------
    ScenarioError : where the accelerator has no rate for the precision.
    """
    part = hardware.training if hardware is not None else None
    if hardware is None or part is None:
        return NO_TRAINING_RUN
    path = "hardware.training.accelerator"
    rate = part.accelerator.require(f"dense_flop_per_s.{part.precision}", path)
    utilisation = _utilisation(part)
    goodput = part.goodput
    if goodput is None:
        goodput = 0.85 if part.calibration is None else part.calibration.training.goodput
    usable = USABLE_MEMORY
    if part.calibration is not None:
        usable = part.calibration.capacity.usable_memory
    board = part.accelerator.get("board_power_watts")
    watts = 0.0 if board is None else board + hardware.host_power
    memory = part.accelerator.get("memory_bytes")
    return TrainingRun(
        seconds_per_flop=1.0 / (rate * utilisation * goodput),
        watts=watts * hardware.power_usage_effectiveness,
        count=part.count or np.inf,
        utilisation=utilisation,
        goodput=goodput,
        bytes_per_parameter=part.bytes_per_parameter,
        memory_bytes=np.inf if memory is None else memory * usable,
    )


def _utilisation(part: TrainingHardware) -> float:
    if part.utilisation is not None:
        return part.utilisation
    measured = None
    if part.calibration is not None:
        measured = part.calibration.utilisation(part.precision)
    if measured is None:
        raise ScenarioError(
            Mistake(
                f"no measured utilisation of {part.accelerator.name} at {part.precision}",
                path="hardware.training",
                hint="give hardware.training.utilisation, such as 0.40",
            )
        )
    return measured


def asking(scenario: Scenario, name: str) -> str:
    """The key that asks for a resource: a limit, or else the objective."""
    return f"limits.{name}" if name in scenario.limits.given() else "objective"


def _some(scenario: Scenario, name: str) -> Hardware:
    if scenario.hardware is None:
        raise _missing(scenario, name)
    return scenario.hardware


def _missing(scenario: Scenario, name: str) -> ScenarioError:
    parts = "hardware.training and hardware.inference"
    return ScenarioError(
        Mistake(
            f"{name} needs hardware: on what do models train, on what are they served?",
            path=asking(scenario, name),
            hint=f"give {parts if scenario.model.train else 'hardware.inference'}; "
            "`ds3opt hardware list` names accelerators",
        )
    )


def _powered(scenario: Scenario, *, owned: bool = False) -> None:
    """Refuse accelerators of unknown power where electricity counts; of those `owned` alone."""
    hardware = scenario.hardware
    assert hardware is not None
    for kind in ("training", "inference"):
        part = getattr(hardware, kind)
        if part is not None and (part.own is not None or not owned):
            part.accelerator.require("board_power_watts", f"hardware.{kind}.accelerator")


def _by_period(electricity: Electricity, name: str, limit: str) -> FloatArray:
    """A figure of electricity in every period."""
    whole = getattr(electricity, name)
    found = (
        [whole]
        if electricity.periods is None
        else [
            getattr(p, name) if getattr(p, name) is not None else whole for p in electricity.periods
        ]
    )
    for index, value in enumerate(found):
        if value is None:
            period = f".periods[{index}]" if electricity.periods is not None else ""
            unit = "0.12 USD/kWh" if name == "price" else "400 g/kWh"
            raise ScenarioError(
                Mistake(
                    f"{limit} needs hardware.electricity{period}.{name}",
                    path=f"hardware.electricity{period}",
                    hint=f"give hardware.electricity.{name}, such as {unit}",
                )
            )
    return np.array(found, dtype=np.float64)
