"""A solution as typed tables, in the order in which a planner reads them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from ds3opt.optimise.solution import Baseline, FrontierPoint, Solution, Status
from ds3opt.report.document import Column, Table, table_of
from ds3opt.report.fleet import resource_rows, run_rows
from ds3opt.report.solution_data import epochs, key_of
from ds3opt.report.values import Certified, Interval, Measure, Phrase, Value
from ds3opt.report.words import (
    achieved,
    dimension_of,
    dimension_shown,
    is_maximised,
    status_words,
    words_of,
)

_ANSWER = (Column("quantity", ""), Column("value", "", "number"), Column("note", ""))


def title(solution: Solution) -> str:
    """Name, objective and status on one line."""
    from ds3opt.report.words import objective_words

    return f"{solution.scenario}: {objective_words(solution)}, {solution.status.value}"


def answer(solution: Solution) -> Table:
    """The decisions and what they reach, each with its range or its bounds."""
    rows = _headline(solution)
    untrained = solution.parameters is None and not solution.training_flop
    for name, value in (
        ("parameters", solution.parameters),
        ("training_tokens", solution.training_tokens),
        ("tokens_per_parameter", solution.tokens_per_parameter),
        ("epochs", epochs(solution)),
        ("loss", solution.loss),
        ("accuracy", solution.accuracy),
        ("value", solution.value if solution.objective == "value" else None),
        ("training_flop", None if untrained else solution.training_flop),
        ("inference_flop", solution.inference_flop),
        ("total_flop", None if untrained else solution.total_flop),
    ):
        if value is not None and name not in {row[0] for row in rows}:
            rows.append((name, _measure(name, value), _note(solution, name)))
    rows += [*resource_rows(solution), *run_rows(solution)]
    if solution.tasks_served:
        rows.append(("tasks_served", Measure(solution.tasks_served, "tasks"), _horizon(solution)))
    if solution.served_tokens:
        rows.append(("served_tokens", Measure(solution.served_tokens, "tokens"), None))
    named = tuple((words_of(str(name)), value, note) for name, value, note in rows)
    holds = solution.scope is not None and solution.certificate is not None
    footer = f"certificate holds over: {solution.scope}" if holds else ""
    return Table("Answer", _ANSWER, named, header=False, footer=footer)


def _headline(solution: Solution) -> list[tuple[Value, Value, Value]]:
    """The minimised resource or loss comes first, and so does money."""
    name, best = solution.objective, achieved(solution)
    if name in {"accuracy", "value"} or best is None:
        return []
    rows: list[tuple[Value, Value, Value]] = [
        (name, _measure(name, best), _bounds(solution) if solution.certificate else None)
    ]
    if name == "net_value" and solution.value is not None:
        worth = Measure(solution.value * solution.tasks_served, "money")
        rows.append(("worth of solved tasks", worth, None))
    return rows


def _measure(name: str, value: float) -> Measure:
    return Measure(value, "number" if name == "epochs" else dimension_shown(name))


def _note(solution: Solution, name: str) -> Value:
    certificate, total = solution.certificate, solution.total_flop
    if certificate is not None and name == certificate.quantity:
        return _bounds(solution)
    if name in solution.ranges:
        low, high = solution.ranges[name]
        if high <= low * (1 + 1e-9):
            return None
        return Phrase("{} within the gap", (Interval(low, high, dimension_shown(name)),))
    if solution.target is not None and name == solution.target[0]:
        return Phrase(
            "at least {} asked" if name == "accuracy" else "at most {} asked",
            (_measure(name, solution.target[1]),),
        )
    trained = solution.parameters is not None or solution.training_flop
    if name in {"training_flop", "inference_flop"} and total and trained:
        part = solution.training_flop if name == "training_flop" else solution.inference_flop
        return Phrase("{} of the total", (Measure((part or 0.0) / total, "share"),))
    return None


def _bounds(solution: Solution) -> Value:
    certificate = solution.certificate
    assert certificate is not None
    return Certified(
        certificate.lower,
        certificate.upper,
        dimension_of(certificate.quantity),
        relative=certificate.relative,
        asked=certificate.requested_gap,
    )


def _horizon(solution: Solution) -> Value:
    if solution.horizon_seconds is None:
        return None
    return Phrase("over {}", (Measure(solution.horizon_seconds, "time"),))


def learned(solution: Solution) -> Table:
    """What the model has learned of a skill graph; empty with a loss law."""
    graph = solution.learned
    if graph is None:
        return Table("Skill graph", _ANSWER, ())
    room = Phrase("of the {} it has room for", (Measure(graph.concepts, "count"),))
    links = Phrase("{} learned concepts a skill", (Measure(graph.required_links, "number"),))
    threshold = Phrase("tokens per parameter, {} here", (Measure(_ratio(solution), "number"),))
    rows: tuple[tuple[Value, Value, Value], ...] = (
        ("concepts learned", Measure(graph.concepts_learned, "count"), room),
        ("chance to learn a concept", Measure(graph.concept_probability, "percent"), None),
        ("learning threshold", Measure(graph.learning_threshold, "number"), threshold),
        ("highest level learned", Measure(graph.learned_level, "whole"), f"of {graph.levels}"),
        ("skills", graph.skills, links),
    )
    return Table("Skill graph", _ANSWER, rows, header=False)


def _ratio(solution: Solution) -> float:
    return solution.tokens_per_parameter or 0.0


def baselines(solution: Solution) -> Table:
    """What simple rules for training reach under the same limits."""
    best = achieved(solution)
    dimension = dimension_of(solution.objective)

    def difference(baseline: Baseline) -> Value:
        if baseline.value is None or best is None:
            return None
        if solution.objective == "accuracy":
            return Measure(baseline.value - best, "points")
        if solution.objective == "loss":
            return Measure(baseline.value - best, "signed loss")
        return Measure(baseline.value / best - 1.0, "change") if best else None

    return table_of(
        "Baselines under the same limits",
        solution.baselines,
        (Column("name", "rule"), lambda b: b.words),
        (
            Column(solution.objective, words_of(solution.objective), dimension),
            lambda b: "infeasible" if b.value is None else b.value,
        ),
        (Column("difference", "against the optimum", "number"), difference),
        (Column("parameters", "model size N", "parameters, fixed"), lambda b: b.parameters),
        (
            Column("training_tokens", "training tokens D", "tokens, fixed"),
            lambda b: b.training_tokens,
        ),
    )


def frontier(solution: Solution, over: str | None = None, title: str | None = None) -> Table:
    """The Pareto table: the optimum for each value of one quantity; units in the header."""
    name = over or solution.frontier_over or "limit"
    objective = solution.objective
    maximised = is_maximised(objective)
    relative = not maximised and objective != "loss"
    dimension = short(dimension_of(objective))
    asked = solution.certificate.requested_gap if solution.certificate else math.inf

    def part(which: str) -> Callable[[FrontierPoint], Value]:
        def cell(point: FrontierPoint) -> Value:
            if point.objective is None or point.upper is None:
                return point.objective if which == ends[0] else None
            low, high = sorted((point.objective, point.upper))
            return Certified(low, high, dimension, which, relative, asked)

        return cell

    def ratio(point: FrontierPoint) -> Value:
        if point.parameters is None or point.training_tokens is None:
            return None
        return point.training_tokens / point.parameters

    ends = ("low", "high") if maximised else ("high", "low")
    side = "upper" if maximised else "lower"
    gap = "gap, %" if relative else "gap, points" if objective == "accuracy" else "gap"
    units = {"flop": "", "loss": ", nats/token"}
    words = words_of(objective) + units.get(dimension_of(objective), "")
    unsolved = sum(point.status is Status.NOT_CONVERGED for point in solution.frontier)
    table = table_of(
        title or f"Pareto table over {words_of(name)}",
        solution.frontier,
        (
            Column(key_of(name, objective), words_of(name), short(dimension_of(name))),
            lambda p: p.limit,
        ),
        (Column(objective, words, dimension), part(ends[0])),
        (Column(f"{objective}_{side}", f"{side} bound", dimension), part(ends[1])),
        (Column("gap", gap, "number"), part("gap")),
        (Column("parameters", "N", "parameters, fixed, short"), lambda p: p.parameters),
        (Column("training_tokens", "D", "tokens, fixed, short"), lambda p: p.training_tokens),
        (Column("tokens_per_parameter", "D/N", "count, fixed"), ratio),
        (Column("expected_tokens", "tokens/task", "tokens, short"), lambda p: p.expected_tokens),
        (Column("training_flop", "training FLOP", "flop, short"), lambda p: p.training_flop),
        (Column("inference_flop", "inference FLOP", "flop, short"), lambda p: p.inference_flop),
        (Column("status", "status"), lambda p: status_words(p.status)),
    ).without_empty(keep=(objective,) if solution.scope else (objective, "parameters"))
    rows = f"{unsolved} row{'s' if unsolved > 1 else ''}"
    return replace(table, footer=f"{rows} stopped before the requested gap" if unsolved else "")


def short(dimension: str) -> str:
    """The dimension with its unit left to the header, where the header names it."""
    return (
        f"{dimension}, short"
        if dimension in {"flop", "loss", "tokens", "parameters"}
        else dimension
    )


def infeasibility(solution: Solution) -> Table:
    """Which limit cannot be kept, and what could be."""
    why = solution.infeasibility
    if why is None:
        return Table("Infeasible", _ANSWER, ())
    dimension = dimension_of(why.limit, why.unit)
    required = "accuracy" in why.limit
    extreme = "largest feasible" if required else "smallest feasible"
    rows: list[tuple[Value, Value, Value]] = [
        ("cannot be kept" if why.limit else "why", why.limit or why.message, None),
        ("given", Measure(why.given, dimension), None),
    ]
    if why.smallest_feasible is not None:
        rows.append((extreme, Measure(why.smallest_feasible, dimension), None))
    if why.limit:
        rows.append(("why", why.message, None))
    return Table("No allocation is feasible", _TWO, tuple(row[:2] for row in rows), header=False)


_TWO = (Column("quantity", ""), Column("value", ""))


def warnings(solution: Solution) -> Table:
    """What a planner should know before trusting the answer."""
    return table_of(
        "Warnings",
        solution.warnings,
        (Column("code", "warning"), lambda note: note.code),
        (Column("path", "key"), lambda note: note.path),
        (Column("message", "message"), lambda note: note.message),
    ).without_empty()


def is_infeasible(solution: Solution) -> bool:
    """Whether there is no allocation to show."""
    return solution.status is Status.INFEASIBLE
