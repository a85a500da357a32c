"""From a scenario on hardware to arrays: tasks by period, models, servers and rows of limits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import Problem as Mistake
from ds3opt.errors import ScenarioError
from ds3opt.fleet.candidates import (
    KnownModel,
    Offered,
    known_models,
    measured_populations,
    offered_candidates,
)
from ds3opt.fleet.models import Models, trainable_models
from ds3opt.fleet.resources import (
    FLOP,
    USES,
    Periods,
    Resource,
    TrainingRun,
    asking,
    periods_of,
    resources,
    training_run,
)
from ds3opt.fleet.serving import Server
from ds3opt.laws.populations import Population
from ds3opt.laws.roofline import IDEAL, Device
from ds3opt.problem import Problem, Tasks, compile_problem
from ds3opt.schema import Scenario
from ds3opt.schema.hardware import Hardware, InferenceHardware
from ds3opt.schema.limits import FLOP_LIMITS, LIMITS
from ds3opt.schema.scenario import Minimise

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

PHYSICAL = ("energy", "cost", "carbon", "accelerator_hours")
"""Resources that hardware decides; reported wherever their figures are known."""
_JOINT = ("total_flop", "inference_flop", *PHYSICAL)
_PER_UNIT = {"accelerator_hours": 1.0}


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


@dataclass(frozen=True)
class Fleet:
    """A scenario on hardware, compiled to arrays."""

    problem: Problem
    """Its tasks are split by the period in which they arrive, those that can wait apart."""
    periods: Periods
    task_period: IntArray  # (task,) index of the period, -1 where the task can wait for any
    max_latency: FloatArray  # (task,) seconds
    models: Models | None
    """What may be trained; None for nothing."""
    offered: Offered | None
    """What existing models were measured to offer; None where there are none."""
    known: tuple[KnownModel, ...]
    """Existing models of known loss."""
    populations: tuple[tuple[str, int, Population], ...]
    """Existing models, the index of a class, and its problems as they were measured to do them."""
    server: Server | None
    run: TrainingRun
    rows: tuple[Row, ...]
    caps: tuple[Cap, ...]
    resources: dict[str, Resource]
    """Those whose figures are known."""
    objective_serving: FloatArray  # (period, use) what the objective subtracts
    objective_training: FloatArray  # (period,)
    worth: FloatArray  # (task,) what the objective adds for a solved task
    horizon_seconds: float | None
    scale: float
    """Size of the objective in which its gap is absolute: 1 for accuracy."""

    @property
    def tasks(self) -> Tasks:
        """The tasks, split by period."""
        assert self.problem.tasks is not None
        return self.problem.tasks

    @property
    def minimised(self) -> str | None:
        """The resource that is minimised, if one is."""
        objective = self.problem.objective
        return None if objective in ("accuracy", "value", "net_value") else objective


def needs_fleet(scenario: Scenario) -> bool:
    """Whether a scenario speaks of anything that only hardware or existing models answer."""
    shape = scenario.model.shape
    mix = scenario.workload.mix or ()
    objective = scenario.objective
    resource = objective.minimise if isinstance(objective, Minimise) else objective
    return bool(
        scenario.hardware is not None
        or scenario.model.candidates
        or (shape is not None and shape.list is not None)
        or set(scenario.limits.given()) - set(FLOP_LIMITS)
        or (scenario.frontier is not None and scenario.frontier.over not in FLOP_LIMITS)
        or any(task.max_latency is not None for task in mix)
        or resource in (*PHYSICAL, "net_value")
    )


def compile_fleet(scenario: Scenario, models: Models | None = None) -> Fleet:
    """Compile a scenario that `needs_fleet` holds for.

    Parameters
    ----------
    models : takes the place of the shapes that the scenario lets be trained.

    Raises
    ------
    ScenarioError : where a figure is missing that a limit, the objective or a latency needs.
    """
    problem = compile_problem(scenario)
    if problem.tasks is None:
        raise _only_flop(scenario)
    if problem.shared_budget:
        raise ScenarioError(
            Mistake(
                "hardware and existing models go with token budgets for each class",
                path="reasoning.budgets",
                hint="use budgets: per_task",
            )
        )
    hardware = scenario.hardware
    found = models if models is not None else trainable_models(scenario)
    server = _server(hardware) if hardware is not None and hardware.inference else None
    run = training_run(hardware)
    limits = scenario.limits.given()
    wanted = set(limits) | ({problem.objective} if problem.target_accuracy is not None else set())
    if problem.objective == "net_value":
        wanted.add("cost")
    _complete(scenario, wanted, found)
    known = _known(scenario, run, wanted)
    periods = periods_of(hardware)
    tasks, task_period = _by_period(problem.tasks, scenario, periods)
    problem = replace(problem, tasks=tasks)
    mix = scenario.workload.mix or ()
    latency = np.array([task.max_latency or np.inf for task in mix])[tasks.group]
    offered = offered_candidates(scenario, problem, server, latency)
    serving, training = np.zeros((len(periods), USES)), np.zeros(len(periods))
    worth, scale = tasks.value.copy(), 1.0
    if problem.objective == "net_value":
        serving, training = known["cost"].serving, known["cost"].training
        worth = problem.tasks_served * tasks.value
        scale = float(tasks.weight @ worth) or 1.0
    elif problem.target_accuracy is not None:
        chosen = known[problem.objective]
        serving, training = chosen.serving, chosen.training
        worth = np.zeros(len(tasks))
    return Fleet(
        problem=problem,
        periods=periods,
        task_period=task_period,
        max_latency=latency,
        models=found,
        offered=offered,
        known=known_models(
            scenario, server.weights if server else "bf16", server.kv_cache if server else "bf16"
        ),
        populations=measured_populations(scenario),
        server=server,
        run=run,
        rows=_rows(scenario, limits, known, run, periods),
        caps=_caps(limits, run, periods),
        resources=known,
        objective_serving=serving,
        objective_training=training,
        worth=worth,
        horizon_seconds=scenario.workload.horizon,
        scale=scale,
    )


def _only_flop(scenario: Scenario) -> ScenarioError:
    """Why a scenario of pretraining loss is refused: it says what only task classes answer to."""
    more = sorted(set(scenario.limits.given()) - set(FLOP_LIMITS))
    shape = scenario.model.shape
    if scenario.hardware is not None:
        path = "hardware"
    elif more:
        path = f"limits.{more[0]}"
    elif scenario.frontier is not None and scenario.frontier.over not in FLOP_LIMITS:
        path = "frontier.over"
    elif scenario.model.candidates:
        path = "model.candidates"
    else:
        path = "objective" if shape is None or shape.list is None else "model.shape.list"
    what = f"least {scenario.objective.minimise}" if path == "objective" else path  # type: ignore[union-attr]
    return ScenarioError(
        Mistake(
            f"an objective of pretraining loss counts FLOP alone; {what} goes with task classes",
            path=path,
            hint="leave it out and limit or minimise FLOP, or list task classes in workload.mix",
        )
    )


def _complete(scenario: Scenario, wanted: set[str], models: Models | None) -> None:
    """Refuse scenarios that leave out what their limits need."""
    hardware = scenario.hardware
    physical = sorted(wanted & {*PHYSICAL, "power", "training_time"})
    first = physical[0] if physical else ""
    local = models is not None or any(c.hosted is None for c in scenario.model.candidates)
    mix = scenario.workload.mix or ()
    hurried = [i for i, task in enumerate(mix) if task.max_latency is not None]
    if physical and models is not None and (hardware is None or hardware.training is None):
        raise _lacks(scenario, first, "hardware.training")
    serving = [name for name in physical if name != "training_time"]
    if serving and local and (hardware is None or hardware.inference is None):
        raise _lacks(scenario, serving[0], "hardware.inference")
    if hurried and local and (hardware is None or hardware.inference is None):
        path = f"workload.mix[{hurried[0]}].max_latency"
        raise ScenarioError(
            Mistake("max_latency needs hardware.inference", path=path, hint=_EXAMPLE)
        )
    _countable(scenario, wanted)
    counted = hardware is not None and hardware.inference is not None and hardware.inference.count
    if (counted or "power" in wanted) and scenario.workload.horizon is None:
        what = "power" if "power" in wanted else "hardware.inference.count"
        raise ScenarioError(
            Mistake(
                f"{what} needs workload.horizon: over what time do the tasks arrive?",
                path="workload",
                hint="give workload.horizon, such as 365 days",
            )
        )
    training = hardware.training if hardware is not None else None
    counted = training is not None and training.count is not None
    if "training_time" in wanted and training is not None and not counted and "power" not in wanted:
        raise ScenarioError(
            Mistake(
                "training_time needs hardware.training.count: on how many accelerators?",
                path="limits.training_time",
                hint="give hardware.training.count, such as 1024",
            )
        )


def _countable(scenario: Scenario, wanted: set[str]) -> None:
    """Refuse to count what those who serve a model do not tell."""
    hidden = sorted(wanted & {"energy", "carbon", "power"})
    for candidate in scenario.model.candidates:
        if candidate.hosted is not None and hidden:
            raise ScenarioError(
                Mistake(
                    f"{hidden[0]} cannot be counted for {candidate.name}, which is hosted",
                    path=asking(scenario, hidden[0]),
                    hint="give the candidate a shape and no hosted prices, or leave it or "
                    f"{hidden[0]} out",
                )
            )


_EXAMPLE = "such as `inference: {accelerator: h200-sxm}`"


def _lacks(scenario: Scenario, name: str, path: str) -> ScenarioError:
    kind = path.rpartition(".")[2]
    return ScenarioError(
        Mistake(
            f"{name} needs {path}",
            path="hardware" if scenario.hardware is not None else asking(scenario, name),
            hint=f"such as `{kind}: {{accelerator: h100-sxm}}`; "
            "`ds3opt hardware list` names accelerators",
        )
    )


def _known(scenario: Scenario, run: TrainingRun, wanted: set[str]) -> dict[str, Resource]:
    """Resources that are needed, and those that can be reported besides."""
    found = resources(scenario, run, wanted)
    trained = scenario.model.train and scenario.hardware is not None
    for name in PHYSICAL:
        if name in found or scenario.hardware is None:
            continue
        if trained and scenario.hardware.training is None:
            continue
        try:
            found[name] = resources(scenario, run, {name})[name]
        except ScenarioError:
            continue  # a figure is unknown that nothing asked for
    return found


def _server(hardware: Hardware) -> Server:
    part = hardware.inference
    assert part is not None
    path = "hardware.inference.accelerator"
    chip = part.accelerator
    rate = chip.require(f"dense_flop_per_s.{_arithmetic(part)}", path)
    power = chip.get("board_power_watts")
    split = max(part.accelerators_per_replica) > 1
    link = chip.require("link_bytes_per_s", path) if split else chip.get("link_bytes_per_s") or 1e9
    return Server(
        device=Device(
            flop_per_s=rate,
            bandwidth_bytes_per_s=chip.require("bandwidth_bytes_per_s", path),
            memory_bytes=chip.require("memory_bytes", path),
            link_bytes_per_s=link,
            # where power is unknown nothing that depends on it is reported
            board_power_watts=power or 1.0,
        ),
        efficiency=IDEAL
        if part.calibration is None
        else part.calibration.efficiency(part.weights, _arithmetic(part)),
        replica_sizes=tuple(sorted(part.accelerators_per_replica)),
        max_sequences=float(part.max_sequences),
        utilisation=part.utilisation,
        idle_power=part.idle_power,
        queueing_allowance=part.queueing_allowance,
        shares_memory=part.prefix_sharing != "none",
        shares_reads=part.prefix_sharing == "memory_and_reads",
        host_watts=hardware.host_power,
        power_usage_effectiveness=hardware.power_usage_effectiveness,
        weights=part.weights,
        kv_cache=part.kv_cache,
        **_factors(part),
    )


def _factors(part: InferenceHardware) -> dict[str, tuple[float, float]]:
    """How far predictions may be off: errors on models that the calibration did not see."""
    if part.calibration is None:
        return {}
    bands = part.calibration.held_out
    # time falls as throughput rises
    return {
        "seconds_factors": (1.0 / bands.tokens_per_s.p90, 1.0 / bands.tokens_per_s.p10),
        "joules_factors": (bands.joules_per_token.p10, bands.joules_per_token.p90),
    }


def _arithmetic(part: InferenceHardware) -> str:
    """Number format of the arithmetic: that of the weights where the accelerator has a rate."""
    if part.arithmetic is not None:
        return part.arithmetic
    has = (
        part.accelerator.get(f"dense_flop_per_s.{part.weights}")
        if part.weights
        in (
            "fp8",
            "int8",
            "fp4",
        )
        else None
    )
    return part.weights if has is not None else "bf16"


def _by_period(tasks: Tasks, scenario: Scenario, periods: Periods) -> tuple[Tasks, IntArray]:
    """Tasks split into those that arrive in each period and those that can wait for any."""
    mix = scenario.workload.mix or ()
    if len(periods) == 1:
        return tasks, np.zeros(len(tasks), dtype=np.intp)
    patient = np.array([task.deferrable for task in mix])[tasks.group]
    index, period, weight = [], [], []
    for number, load in enumerate(periods.load):
        index.append(np.arange(len(tasks)))
        period.append(np.full(len(tasks), number))
        weight.append(tasks.weight * (1.0 - patient) * load)
    index.append(np.arange(len(tasks)))
    period.append(np.full(len(tasks), -1))
    weight.append(tasks.weight * patient)
    of, when, heavy = (np.concatenate(parts) for parts in (index, period, weight))
    # tasks of one class stay together
    order = np.lexsort((when, of))
    order = order[heavy[order] > 0.0]
    return tasks.take(of[order], heavy[order]), when[order].astype(np.intp)


def _rows(
    scenario: Scenario,
    limits: dict[str, float],
    known: dict[str, Resource],
    run: TrainingRun,
    periods: Periods,
) -> tuple[Row, ...]:
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
    none = np.zeros(len(periods))
    fleet = hardware.inference.count if hardware is not None and hardware.inference else None
    for index, name in enumerate(periods.names):
        here = np.zeros(len(periods))
        here[index] = 1.0
        label = f" ({name})" if len(periods) > 1 else ""
        if fleet is not None and horizon is not None:
            rows.append(
                Row(
                    f"inference_accelerators{label}",
                    fleet,
                    _only("seconds", here / (horizon * periods.part[index])),
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
                    _only("joules", here / (horizon * periods.part[index])),
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
                    np.zeros((len(periods), USES)),
                    here * (run.seconds_per_flop / periods.part[index]),
                    "limits.training_time",
                    "time",
                    shared=True,
                )
            )
    return tuple(rows)


def _only(use: str, amount: FloatArray) -> FloatArray:
    table = np.zeros((amount.size, USES))
    table[:, {"flop": FLOP, "seconds": 1, "joules": 2}[use]] = amount
    return table


def _by_part_of_day(limits: dict[str, float], run: TrainingRun, periods: Periods) -> bool:
    """Whether the time of training is limited, and training placed in parts of the day."""
    return "training_time" in limits and run.seconds_per_flop > 0.0 and len(periods) > 1


def _caps(limits: dict[str, float], run: TrainingRun, periods: Periods) -> tuple[Cap, ...]:
    """Limits on training alone, each as training FLOP."""
    caps = []
    if "training_flop" in limits:
        caps.append(Cap("training_flop", limits["training_flop"], 1.0))
    timed = run.seconds_per_flop > 0.0 and "training_time" in limits
    if timed and not _by_part_of_day(limits, run, periods):
        caps.append(
            Cap("training_time", limits["training_time"], run.seconds_per_flop, "time", shared=True)
        )
    return tuple(caps)
