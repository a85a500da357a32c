"""Why no plan on a fleet keeps every limit, and the smallest limit that one would keep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ds3opt.fleet import Fleet
from ds3opt.fleet.models import shapes_at
from ds3opt.fleet.serving import least_latency_seconds
from ds3opt.optimise.fleet.branch import Branch
from ds3opt.optimise.fleet.ledger import Ledger
from ds3opt.optimise.fleet.mix import best_mix_of
from ds3opt.optimise.fleet.plans import FleetSearch
from ds3opt.optimise.fleet.scale import resource_scale
from ds3opt.optimise.saturation import beyond_plateaus
from ds3opt.optimise.solution import UNITS, Infeasibility
from ds3opt.units import format_percent, format_quantity

_FREE = 1e40
"""A limit so large that it is none."""
_QUICK_CELLS = 20_000


def too_large(search: FleetSearch) -> Infeasibility | None:
    """Where no replica holds any model: how large one would have to be."""
    fleet = search.fleet
    if fleet.server is None or fleet.models is None or fleet.offered is not None:
        return None
    server = fleet.server
    weights = float(np.min(np.asarray(fleet.models.shape.weight_bytes)))
    largest = max(server.replica_sizes)
    if weights < largest * server.usable_bytes:
        return None
    needed = float(np.floor(weights / server.usable_bytes)) + 1.0
    return Infeasibility(
        "hardware.inference.accelerators_per_replica",
        float(largest),
        needed,
        "accelerators",
        f"no model fits a replica: the smallest has {weights / 1e9:.4g} GB of weights, and "
        f"{server.largest_replica}",
    )


def too_slow(search: FleetSearch) -> Infeasibility | None:
    """The first class that no model and no replica answers as fast as it must be answered."""
    fleet, options = search.fleet, search.options
    tasks = fleet.tasks
    hurried = np.isfinite(fleet.max_latency)
    if not np.any(hurried):
        return None
    least = np.full(options.task.size, np.inf)
    known = np.flatnonzero(options.existing >= 0)
    if fleet.offered is not None:
        latency = fleet.offered.latency[options.existing[known]]
        least[known] = np.where(np.isnan(latency), 0.0, latency)
    new = np.flatnonzero((options.existing < 0) & hurried[options.task])
    if new.size and fleet.models is not None and fleet.server is not None:
        # of nested shapes the smallest is the fastest
        shapes = range(1 if fleet.models.nested else len(fleet.models))
        requests = options.requests.take(new)
        for shape in shapes:
            each = shapes_at(fleet.models.shape, np.full(new.size, shape))
            found = least_latency_seconds(fleet.server, each, requests)
            least[new] = np.minimum(least[new], found)
    for group in np.unique(tasks.group[hurried]):
        mine = tasks.group[options.task] == group
        limit = float(np.min(fleet.max_latency[tasks.group == group]))
        fastest = float(np.min(least[mine], initial=np.inf))
        if np.any(mine) and fastest > limit * (1.0 + 1e-12):
            name = tasks.group_names[group]
            possible = np.isfinite(fastest)
            return Infeasibility(
                f"workload.mix[{group}].max_latency",
                limit,
                fastest if possible else None,
                "s",
                f"class {name} cannot be answered within {format_quantity(limit, 'time')}: "
                + (
                    f"the shortest answer of the fastest model takes "
                    f"{format_quantity(fastest, 'time')}"
                    if possible
                    else "no model fits any replica"
                ),
            )
    return None


def explain(search: FleetSearch) -> Infeasibility:
    """The limit that cannot be kept; one that alone would make the rest feasible is preferred."""
    fleet = search.fleet
    ledger = Ledger.of(fleet, fleet.scale)
    free = replace(
        ledger, limits=np.full(ledger.rows, _FREE), caps=np.full(ledger.caps.size, _FREE)
    )
    if not _feasible(search, free):
        return _without_limits(search, free)
    named = [(row.key, row.name) for row in fleet.rows]
    named += [(f"limits.{cap.name}", cap.name) for cap in fleet.caps]
    for key in dict.fromkeys(key for key, _ in named):
        rows = np.array([row.key == key for row in fleet.rows], dtype=bool)
        caps = np.array([f"limits.{cap.name}" == key for cap in fleet.caps], dtype=bool)
        relaxed = replace(
            ledger,
            limits=np.where(rows, _FREE, ledger.limits),
            caps=np.where(caps, _FREE, ledger.caps),
        )
        if _feasible(search, relaxed):
            return _too_small(search, key, rows, caps, relaxed)
    if not named:
        return _without_limits(search, free)
    key = named[0][0]
    given, dimension = _given(fleet, key)
    return Infeasibility(
        key,
        given,
        None,
        UNITS[dimension],
        f"several limits are too small together: {', '.join(dict.fromkeys(n for _, n in named))}",
    )


def _feasible(search: FleetSearch, ledger: Ledger) -> bool:
    if search.fleet.minimised is not None:
        # any plan that reaches the accuracy will do, whatever it takes
        ledger = replace(ledger, scale=_FREE)
    plan = search.scan(ledger)
    if not np.isfinite(plan.value):
        return False
    return best_mix_of(search, ledger, plan) is not None


def _given(fleet: Fleet, key: str) -> tuple[float, str]:
    for row in fleet.rows:
        if row.key == key:
            return row.limit, row.dimension
    for cap in fleet.caps:
        if f"limits.{cap.name}" == key:
            return cap.limit, cap.dimension
    return float("nan"), "flop"


def _too_small(
    search: FleetSearch, key: str, rows: np.ndarray, caps: np.ndarray, relaxed: Ledger
) -> Infeasibility:
    given, dimension = _given(search.fleet, key)
    least = _least(search, rows, caps, relaxed)
    words = f"{key} of {format_quantity(given, dimension)} is too small"
    if least is not None:
        words += f": the cheapest feasible plan needs {format_quantity(least, dimension)}"
    return Infeasibility(key, given, least, UNITS[dimension], words)


def _least(
    search: FleetSearch, rows: np.ndarray, caps: np.ndarray, relaxed: Ledger
) -> float | None:
    """The least that any plan takes of a limit, the others kept."""
    fleet = search.fleet
    periods = len(fleet.periods)
    if np.count_nonzero(rows) > 1 or (np.any(rows) and periods > 1):
        return None
    if np.any(rows):
        row = fleet.rows[int(np.flatnonzero(rows)[0])]
        serving, training = row.serving, row.training
    else:
        cap = fleet.caps[int(np.flatnonzero(caps)[0])]
        serving = np.zeros_like(fleet.objective_serving)
        together = relaxed.accelerators_at_most()
        training = np.full(periods, cap.taken_per_flop(together))
    others = tuple(r for r, gone in zip(fleet.rows, rows, strict=True) if not gone)
    rest = tuple(c for c, gone in zip(fleet.caps, caps, strict=True) if not gone)
    there = replace(
        fleet,
        problem=replace(fleet.problem, objective="limit"),
        rows=others,
        caps=rest,
        objective_serving=serving,
        objective_training=training,
        worth=np.zeros(len(fleet.tasks)),
    )
    beside = FleetSearch(there, search)
    ledger = Ledger.of(there, resource_scale(beside))
    plan, _ = Branch(beside, ledger).run(1e-3, _QUICK_CELLS)
    if not np.isfinite(plan.value):
        return None
    least = -plan.value * ledger.scale
    if np.any(rows) and row.key == "limits.power" and fleet.models is not None:
        least = max(least, _least_training_power(fleet))
    return least


def _least_training_power(fleet: Fleet) -> float:
    """Watts of the fewest accelerators that hold the states of the smallest model."""
    assert fleet.models is not None
    run = fleet.run
    states = run.bytes_per_parameter * float(np.min(np.asarray(fleet.models.shape.parameters)))
    needed = max(np.ceil(states / run.memory_bytes), 1.0) if np.isfinite(run.memory_bytes) else 1.0
    return float(needed * run.watts)


def _without_limits(search: FleetSearch, free: Ledger) -> Infeasibility:
    """What stands in the way where every limit is lifted."""
    fleet = search.fleet
    tasks = fleet.tasks
    if fleet.models is not None and fleet.offered is None:
        lowest, _ = search.loss_span(free)
        if not np.any(np.isfinite(lowest)):
            run = fleet.run
            smallest = float(np.min(np.asarray(fleet.models.shape.parameters)))
            need = run.bytes_per_parameter * smallest
            if np.isfinite(run.memory_bytes) and need > run.count * run.memory_bytes:
                return Infeasibility(
                    "hardware.training.count",
                    run.count,
                    float(np.ceil(need / run.memory_bytes)),
                    "accelerators",
                    "even the smallest model does not fit the memory of the training accelerators",
                )
            return Infeasibility(
                "model.training_tokens",
                fleet.problem.space.training_tokens[1],
                None,
                "tokens",
                "no model keeps the limits on training tokens and tokens per parameter",
            )
    best = _ceilings(search, free)
    for group in range(tasks.group_share.size):
        least = float(tasks.group_min_accuracy[group])
        if least > best[group]:
            name = tasks.group_names[group]
            advice = beyond_plateaus(fleet.problem, least, group, fleet.populations)
            return Infeasibility(
                f"min_accuracy of {name}",
                least,
                float(best[group]),
                "accuracy",
                f"class {name} reaches {format_percent(float(best[group]))} at most with the "
                "policies, replicas and latency that it may have"
                + (f"; {advice}" if advice else ""),
            )
    total = float(best @ tasks.group_share)
    target = fleet.problem.target_accuracy or 0.0
    advice = beyond_plateaus(fleet.problem, target, None, fleet.populations)
    return Infeasibility(
        "accuracy",
        target,
        total,
        "accuracy",
        f"the highest accuracy within reach is {100 * total:.4g} %"
        + (f"; {advice}" if advice else ""),
    )


def _ceilings(search: FleetSearch, free: Ledger) -> np.ndarray:
    """The most accuracy of every class with any model, (class,)."""
    fleet, options = search.fleet, search.options
    tasks = fleet.tasks
    shapes, losses = [np.array([-1])], [np.array([np.nan])]
    if fleet.models is not None:
        lowest, _ = search.loss_span(free)
        able = np.flatnonzero(np.isfinite(lowest))
        picks = able[np.unique(np.round(np.linspace(0, able.size - 1, 24)).astype(int))]
        shapes.append(picks)
        losses.append(lowest[picks])
    best = np.zeros(len(tasks))
    for shape, loss in zip(np.concatenate(shapes), np.concatenate(losses), strict=True):
        menu = search.every if shape >= 0 else search.without
        at = np.full(menu.size, shape)
        found = search.evaluate(menu, np.full(menu.size, loss), at, at)
        success = np.where(np.all(np.isfinite(found.uses), axis=1), found.success, 0.0)
        np.maximum.at(best, options.task[menu], success)
    weighted = np.bincount(tasks.group, tasks.weight * best, minlength=tasks.group_share.size)
    return np.asarray(weighted / tasks.group_share)
