"""From a mix on a fleet to its answer: what every task does, and what everything takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.fleet import Fleet
from ds3opt.fleet.models import shapes_at
from ds3opt.fleet.resources import ACCELERATOR_SECONDS, DOLLARS, JOULES, Resource
from ds3opt.fleet.serving import latency_seconds
from ds3opt.optimise.answer import not_attempted
from ds3opt.optimise.fleet.ledger import Ledger
from ds3opt.optimise.fleet.mix import FleetMix
from ds3opt.optimise.fleet.nearby import tokens_of
from ds3opt.optimise.fleet.plans import FleetSearch
from ds3opt.optimise.solution import (
    Placement,
    ResourceUse,
    ServingPeriod,
    TaskAllocation,
    TrainingPlan,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_DAY_HOURS = 24.0


@dataclass(frozen=True)
class FleetOutcome:
    """What a mix takes and brings."""

    parameters: float | None
    training_tokens: float | None
    loss: float | None
    training_flop: float
    inference_flop: float
    rows: tuple[TaskAllocation, ...]
    resources: tuple[ResourceUse, ...]
    training_plan: TrainingPlan | None
    periods: tuple[ServingPeriod, ...]


def outcome_of(search: FleetSearch, ledger: Ledger, mix: FleetMix) -> FleetOutcome:
    """Everything that a report says of a mix."""
    fleet = search.fleet
    tokens = flop = loss = size = None
    spent = 0.0
    if mix.plan.shape >= 0 and fleet.models is not None:
        shape = mix.plan.shape
        tokens = tokens_of(search, mix.plan)
        if fleet.problem.space.infinite_data:
            tokens = np.inf
        flop = fleet.models.training_flop(fleet.problem.space, np.array([tokens]))
        spent = float(flop[shape])
        equivalent = np.array([fleet.models.loss_parameters[shape]])
        loss = float(search.training.reached_loss(equivalent, np.array([tokens]))[0])
        size = float(np.asarray(fleet.models.shape.parameters)[shape])
    rows, uses, period = _rows(search, mix)
    inference = float(sum(row.inference_flop for row in rows))
    return FleetOutcome(
        parameters=size,
        training_tokens=None if tokens is None else float(tokens),
        loss=loss,
        training_flop=spent,
        inference_flop=inference,
        rows=rows,
        resources=_resources(fleet, uses, period, spent, mix.placed),
        training_plan=_training_plan(search, ledger, spent, mix.placed),
        periods=_periods(fleet, mix, uses, period),
    )


def _rows(
    search: FleetSearch, mix: FleetMix
) -> tuple[tuple[TaskAllocation, ...], FloatArray, IntArray]:
    """One row for each part of each task; what each part takes in all, and its period."""
    fleet, options, tasks = search.fleet, search.options, search.fleet.tasks
    order = np.lexsort((-mix.amount, options.task[mix.option]))
    served = np.zeros(len(tasks))
    rows: list[tuple[int, TaskAllocation]] = []
    placements = _placements(search, mix)
    tasks_served = fleet.problem.tasks_served
    uses = np.zeros((mix.option.size, mix.found.uses.shape[1]))
    for i in order:
        option, part = int(mix.option[i]), float(mix.amount[i])
        task = int(options.task[option])
        served[task] += part
        share = float(tasks.weight[task]) * part
        uses[i] = tasks_served * share * mix.found.uses[i]
        existing = int(options.existing[option])
        placement = placements[i]
        if placement is not None:
            known = "energy" in fleet.resources and placement.accelerators > 0
            joules = float(uses[i, JOULES]) if known else None
            hours = float(uses[i, ACCELERATOR_SECONDS]) / 3600.0
            placement = Placement(
                placement.accelerators,
                placement.sequences,
                placement.latency_seconds,
                placement.max_latency_seconds,
                hours,
                joules,
            )
        policy, way, model = None, None, None
        if existing >= 0:
            assert fleet.offered is not None
            chosen = fleet.offered.ways[int(fleet.offered.way[existing])]
            policy, model = chosen.policy, chosen.model
            way = None if policy is not None else chosen.words
            expected = float(fleet.offered.tokens[existing])
            budget = float(fleet.offered.longest_tokens[existing])
            width = 1.0 if policy is None else policy.width
            steps = budget / (width * float(tasks.tokens_per_step[task]))
        else:
            policy = fleet.problem.policies[int(options.policy[option])]
            expected = policy.samples * policy.branches * float(mix.found.trace_tokens[i])
            steps = float(options.steps[option])
            budget = policy.width * float(tasks.tokens_per_step[task]) * steps
        rows.append(
            (
                task,
                TaskAllocation(
                    name=tasks.group_names[tasks.group[task]],
                    difficulty=tasks.point(task)[0],
                    skills=tasks.point(task)[1],
                    share=share,
                    fraction=part,
                    policy=policy,
                    steps=steps,
                    token_budget=budget,
                    expected_tokens=expected,
                    accuracy=float(mix.found.success[i]),
                    value=float(tasks.value[task]),
                    inference_flop=float(uses[i, 0]),
                    model=model,
                    way=way,
                    period=_period_name(fleet, int(options.period[option])),
                    placement=placement,
                ),
            )
        )
    rows += [
        (int(left), not_attempted(fleet.problem, int(left), 1.0 - float(served[left])))
        for left in np.flatnonzero(served < 1.0 - 1e-9)
    ]
    rows.sort(key=lambda row: row[0])
    return tuple(row for _, row in rows), uses, options.period[mix.option]


def _period_name(fleet: Fleet, period: int) -> str | None:
    return fleet.periods.names[period] if len(fleet.periods) > 1 else None


def _placements(search: FleetSearch, mix: FleetMix) -> list[Placement | None]:
    """Replica, batch and latency of every part of a mix."""
    fleet, options = search.fleet, search.options
    found: list[Placement | None] = [None] * mix.option.size
    existing = options.existing[mix.option]
    limit = fleet.max_latency[options.task[mix.option]]
    for i in np.flatnonzero(existing >= 0):
        offered = fleet.offered
        assert offered is not None
        at = int(existing[i])
        if offered.accelerators[at] == 0.0 and not offered.hosted[at]:
            continue
        late = float(offered.latency[at])
        found[i] = Placement(
            int(offered.accelerators[at]),
            int(offered.sequences[at]),
            None if np.isnan(late) else late,
            float(limit[i]) if np.isfinite(limit[i]) else None,
            0.0,
            None,
        )
    new = np.flatnonzero(existing < 0)
    if new.size == 0 or fleet.server is None or fleet.models is None:
        return found
    placed = search.evaluate.placed(mix.plan.shape)
    of = mix.option[new]
    shape = shapes_at(fleet.models.shape, np.full(new.size, mix.plan.shape))
    accelerators, sequences = placed.accelerators[of], placed.sequences[of]
    latency = latency_seconds(
        fleet.server, shape, options.requests.take(of), accelerators, sequences
    )
    for number, i in enumerate(new):
        found[i] = Placement(
            int(accelerators[number]),
            int(sequences[number]),
            float(latency[number]),
            float(limit[i]) if np.isfinite(limit[i]) else None,
            0.0,
            None,
        )
    return found


def _factors(fleet: Fleet, name: str, uses: FloatArray) -> tuple[float, float] | None:
    """How far a resource of serving may be off; bought tokens have a price that is known."""
    if fleet.server is None or not np.any(uses[:, ACCELERATOR_SECONDS]):
        return None
    by_energy = name in ("energy", "carbon")
    found = fleet.server.joules_factors if by_energy else fleet.server.seconds_factors
    if found is None or name != "cost":
        return found
    paid = float(np.sum(uses[:, DOLLARS])) / max(_cost_of(fleet, uses), 1e-300)
    low, high = ((1.0 - paid) * factor + paid for factor in found)
    return low, high


def _cost_of(fleet: Fleet, uses: FloatArray) -> float:
    """Cost of serving at the price of the first period, to weigh its parts."""
    return float(np.sum(fleet.resources["cost"].serving[0] * uses))


def used_of(resource: Resource, uses: FloatArray, period: IntArray) -> float:
    """What serving takes of a resource: uses (part, use) in their periods (part,)."""
    return float(np.sum(resource.serving[period] * uses))


def _resources(
    fleet: Fleet, uses: FloatArray, period: IntArray, training_flop: float, placed: FloatArray
) -> tuple[ResourceUse, ...]:
    names = ("energy", "cost", "carbon", "accelerator_hours")
    return tuple(
        ResourceUse(
            name,
            training_flop * float(placed @ fleet.resources[name].training),
            used_of(fleet.resources[name], uses, period),
            _factors(fleet, name, uses),
        )
        for name in names
        if name in fleet.resources
    )


def _training_plan(
    search: FleetSearch, ledger: Ledger, training_flop: float, placed: FloatArray
) -> TrainingPlan | None:
    run = search.fleet.run
    if run.seconds_per_flop <= 0.0 or training_flop <= 0.0:
        return None
    seconds = training_flop * run.seconds_per_flop
    count = ledger.accelerators_at_most()
    limited = np.isfinite(count)
    # a run that waits for its part of the day lasts as many days as the fullest part takes
    waiting = float(np.max(placed / search.fleet.periods.part))
    return TrainingPlan(
        accelerators=count if limited else None,
        seconds=waiting * seconds / count if limited else None,
        accelerator_hours=seconds / 3600.0,
        power_watts=count * run.watts if limited and run.watts > 0.0 else None,
        utilisation=run.utilisation,
        goodput=run.goodput,
    )


def _periods(
    fleet: Fleet, mix: FleetMix, uses: FloatArray, period: IntArray
) -> tuple[ServingPeriod, ...]:
    """Serving by period; nothing where no accelerator serves."""
    if fleet.server is None:
        return ()
    horizon = fleet.horizon_seconds
    found = []
    for number, name in enumerate(fleet.periods.names):
        mine = period == number
        span = None if horizon is None else horizon * float(fleet.periods.part[number])
        seconds = float(np.sum(uses[mine, ACCELERATOR_SECONDS]))
        joules = float(np.sum(uses[mine, JOULES]))
        share = float(np.sum(mix.amount[mine] * _weights(fleet, mix, mine)))
        found.append(
            ServingPeriod(
                name=name,
                hours=_DAY_HOURS * float(fleet.periods.part[number]),
                accelerators=None if span is None else seconds / span,
                power_watts=joules / span if span and "energy" in fleet.resources else None,
                share_of_tasks=share,
                share_of_training=float(mix.placed[number]) if mix.plan.shape >= 0 else 0.0,
            )
        )
    return tuple(found)


def _weights(fleet: Fleet, mix: FleetMix, mine: NDArray[np.bool_]) -> FloatArray:
    return np.asarray(fleet.tasks.weight[mix.tasks[mine]])
