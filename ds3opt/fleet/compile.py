"""From a scenario on hardware to arrays: tasks by period, models, servers and rows of limits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import ScenarioError
from ds3opt.fleet.candidates import (
    KnownModel,
    Offered,
    known_models,
    measured_populations,
    offered_candidates,
)
from ds3opt.fleet.checks import require_figures, require_task_classes
from ds3opt.fleet.limits import Cap, Row, rows_of, training_caps
from ds3opt.fleet.models import Models, trainable_models
from ds3opt.fleet.resources import (
    PHYSICAL,
    USES,
    Periods,
    Resource,
    TrainingRun,
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
from ds3opt.schema.limits import FLOP_LIMITS
from ds3opt.schema.scenario import Minimise

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


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
    require_task_classes(scenario, problem)
    assert problem.tasks is not None
    hardware = scenario.hardware
    found = models if models is not None else trainable_models(scenario)
    server = _server(hardware) if hardware is not None and hardware.inference else None
    run = training_run(hardware)
    wanted = set(scenario.limits.given()) | (
        {problem.objective} if problem.target_accuracy is not None else set()
    )
    if problem.objective == "net_value":
        wanted.add("cost")
    require_figures(scenario, wanted, found)
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
        known=known_models(scenario),
        populations=measured_populations(scenario),
        server=server,
        run=run,
        rows=rows_of(scenario, known, run, periods),
        caps=training_caps(scenario, run, periods),
        resources=known,
        objective_serving=serving,
        objective_training=training,
        worth=worth,
        horizon_seconds=scenario.workload.horizon,
        scale=scale,
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
    if part.weights not in ("fp8", "int8", "fp4"):
        return "bf16"
    rate = part.accelerator.get(f"dense_flop_per_s.{part.weights}")
    return "bf16" if rate is None else part.weights


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
