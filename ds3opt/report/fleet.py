"""What a plan takes of hardware: resources, the training run, replicas, parts of the day."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ds3opt.optimise.solution import Placement, Solution, TaskAllocation
from ds3opt.report.document import Column, Table, table_of
from ds3opt.report.values import Interval, Measure, Phrase, Value
from ds3opt.report.words import dimension_of, words_of

Row = tuple[Value, Value, Value]
"""Of the answer: quantity, value, note."""
_DAY_HOURS = 24.0
_HOSTED = "hosted"
_ALWAYS = "all"


def resource_rows(solution: Solution) -> list[Row]:
    """Energy, cost, carbon and accelerator-hours; of the one that is minimised only the parts."""
    rows: list[Row] = []
    for use in solution.resources:
        dimension, words = dimension_of(use.name), words_of(use.name)
        parts = (("training", use.training), ("serving", use.inference))
        split = use.training > 0.0 and use.inference > 0.0
        if use.name == solution.objective and solution.certificate is not None:
            if split:
                for part, amount in parts:
                    share = Phrase("{} of the total", (Measure(amount / use.total, "share"),))
                    rows.append((f"{part} {words}", Measure(amount, dimension), share))
            continue
        told: list[Value] = []
        words_for = []
        if split:
            told += [Measure(amount, f"{dimension}, short") for _, amount in parts]
            words_for.append("{} training, {} serving")
        if use.band is not None:
            told.append(Interval(*use.band, f"{dimension}, short"))
            words_for.append("likely {}")
        note = Phrase("; ".join(words_for), tuple(told)) if told else None
        rows.append((use.name, Measure(use.total, dimension), note))
    return rows


def run_rows(solution: Solution) -> list[Row]:
    """The training run, and what serving holds on average over the day."""
    return [*_training(solution), *_serving(solution)]


def _training(solution: Solution) -> list[Row]:
    plan = solution.training_plan
    if plan is None:
        return []
    template, told = "utilisation {} x goodput {}", [plan.utilisation, plan.goodput]
    values = [Measure(share, "part") for share in told]
    if plan.power_watts is not None:
        template = "site power {}, " + template
        values.insert(0, Measure(plan.power_watts, "power"))
    taken: Value = Measure(plan.accelerator_hours, "accelerator_hours")
    if plan.seconds is not None and plan.accelerators is not None:
        held = Measure(plan.accelerators, "accelerators")
        taken = Phrase("{} on {}", (Measure(plan.seconds, "time"), held))
    return [("training run", taken, Phrase(template, tuple(values)))]


def _serving(solution: Solution) -> list[Row]:
    held = [p.accelerators for p in solution.periods if p.accelerators is not None]
    if not held or len(held) < len(solution.periods) or not any(held):
        return []
    hours = [period.hours / _DAY_HOURS for period in solution.periods]
    power = [p.power_watts for p in solution.periods if p.power_watts is not None]
    note = None
    if len(power) == len(hours):
        watts = math.fsum(part * one for part, one in zip(hours, power, strict=True))
        note = Phrase("site power {} on average", (Measure(watts, "power"),))
    mean = math.fsum(part * one for part, one in zip(hours, held, strict=True))
    return [("serving, on average", Measure(mean, "accelerators"), note)]


def periods(solution: Solution) -> Table:
    """Serving and training by part of the day, where there are several."""
    several = solution.periods if len(solution.periods) > 1 else ()
    trained = solution.parameters is not None
    return table_of(
        "Parts of the day",
        several,
        (Column("name", "part"), lambda p: p.name),
        (Column("hours", "every day", "time"), lambda p: 3600.0 * p.hours),
        (Column("accelerators", "serving on average", "accelerators"), lambda p: p.accelerators),
        (Column("power_watts", "site power", "power"), lambda p: p.power_watts),
        (Column("share_of_tasks", "of tasks", "share"), lambda p: p.share_of_tasks),
        (
            Column("share_of_training", "of training", "share"),
            lambda p: p.share_of_training if trained else None,
        ),
    ).without_empty()


@dataclass(frozen=True)
class _Served:
    """Rows of one class that are served alike."""

    rows: tuple[TaskAllocation, ...]
    placements: tuple[Placement, ...]

    @property
    def first(self) -> TaskAllocation:
        return self.rows[0]

    @property
    def sequences(self) -> Value:
        found = [float(place.sequences) for place in self.placements if place.accelerators]
        return Interval(min(found), max(found), "whole") if found else None

    @property
    def latency(self) -> float | None:
        """The longest time of a request, where that is known of every row."""
        found = [place.latency_seconds for place in self.placements]
        known = [seconds for seconds in found if seconds is not None]
        return max(known) if len(known) == len(found) else None

    def energy(self, tasks_served: float) -> float | None:
        """Joules of one task on average; what serves it elsewhere takes is not known."""
        found = [place.energy_joules if place.accelerators else None for place in self.placements]
        known = [joules for joules in found if joules is not None]
        tasks = tasks_served * math.fsum(row.share for row in self.rows)
        return math.fsum(known) / tasks if len(known) == len(found) and tasks > 0.0 else None


def serving(solution: Solution, *, every_row: bool = False) -> Table:
    """Replica, traces at once, latency and energy of everything that is served."""
    lines = _served(solution.tasks, every_row=every_row)
    when = [_when(line, solution) for line in lines]
    at = {id(line): words for line, words in zip(lines, when, strict=True)}
    at = at if set(when) - {_ALWAYS} else {}

    def replica(line: _Served) -> Value:
        size = line.placements[0].accelerators
        return Measure(size, "accelerators") if size else _HOSTED

    table = table_of(
        "Serving",
        lines,
        (Column("name", "class"), lambda line: line.first.name),
        (Column("words", "served by"), lambda line: line.first.words),
        (Column("period", "in"), lambda line: at.get(id(line))),
        (Column("replica_accelerators", "replica", "number"), replica),
        (Column("sequences", "traces at once", "number"), lambda line: line.sequences),
        (Column("latency_seconds", "latency", "time"), lambda line: line.latency),
        (
            Column("max_latency_seconds", "allowed", "time"),
            lambda line: line.placements[0].max_latency_seconds,
        ),
        (
            Column("energy_joules_per_task", "energy/task", "energy"),
            lambda line: line.energy(solution.tasks_served),
        ),
    ).without_empty(keep=("name", "words"))
    hosted = any(not line.placements[0].accelerators for line in lines)
    return replace(table, footer="hosted: served elsewhere, paid by the token" if hosted else "")


def _when(line: _Served, solution: Solution) -> str:
    """Parts of the day in which something is served."""
    names = [period.name for period in solution.periods]
    mine = {row.period for row in line.rows}
    if mine == {None} or mine >= set(names):
        return _ALWAYS
    return ", ".join(name for name in names if name in mine)


def _served(rows: Sequence[TaskAllocation], *, every_row: bool) -> list[_Served]:
    """Rows together that differ in their period, task or token budget only."""
    groups: dict[object, list[tuple[TaskAllocation, Placement]]] = {}
    for number, row in enumerate(rows):
        place = row.placement
        if place is None or not row.attempted:
            continue
        key = number if every_row else (row.name, row.words, place.accelerators)
        groups.setdefault(key, []).append((row, place))
    return [
        _Served(tuple(row for row, _ in pairs), tuple(place for _, place in pairs))
        for pairs in groups.values()
    ]
