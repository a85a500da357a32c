"""The document of a solve: blocks for people, one record for each task allocation, plain data."""

from __future__ import annotations

from collections.abc import Callable

from ds3opt.optimise.solution import Placement, Solution, TaskAllocation
from ds3opt.report import rows
from ds3opt.report.classes import classes
from ds3opt.report.document import Column, Document, Table, table_of
from ds3opt.report.fleet import periods, serving
from ds3opt.report.limits import limits
from ds3opt.report.solution_data import solution_data, totals
from ds3opt.report.values import Value
from ds3opt.report.words import achieved


def solution_document(
    solution: Solution, *, version: str = "", sha256: str = "", every_row: bool = False
) -> Document:
    """Everything a planner asks of a solution, in the order in which it is asked."""
    tables = (
        (rows.infeasibility(solution),)
        if rows.is_infeasible(solution)
        else (
            rows.answer(solution),
            rows.learned(solution),
            classes(solution, every_row=every_row),
            serving(solution, every_row=every_row),
            periods(solution),
            limits(solution),
            rows.baselines(solution),
        )
    )
    return Document(
        title=rows.title(solution),
        tables=(*tables, rows.frontier(solution), rows.warnings(solution)),
        data=solution_data(solution, version=version, sha256=sha256),
        records=_records(solution),
    )


def _records(solution: Solution) -> Table:
    """One row for each task allocation, the answer repeated; one row where there are no tasks."""
    certificate = solution.certificate
    objective = solution.objective
    answer = (
        ("scenario", solution.scenario),
        ("status", solution.status.code),
        ("parameters", solution.parameters),
        ("training_tokens", solution.training_tokens),
        ("loss_nats_per_token", solution.loss),
        (f"objective_{objective}", achieved(solution)),
        (f"{objective}_lower", certificate.lower if certificate else None),
        (f"{objective}_upper", certificate.upper if certificate else None),
        ("training_flop", solution.training_flop),
        ("inference_flop", solution.inference_flop),
        ("total_flop", solution.total_flop),
        *totals(solution).items(),
    )
    tasks = table_of(
        "",
        solution.tasks,
        (Column("task", ""), lambda row: row.name),
        (Column("task_share", ""), lambda row: row.share),
        (
            Column("task_difficulty_nats_per_token", ""),
            lambda row: row.difficulty if row.level is None else None,
        ),
        (Column("task_skills", ""), lambda row: row.skills),
        *(_LEVELS if solution.learned is not None else ()),
        (Column("task_fraction", ""), lambda row: row.fraction),
        (Column("policy", ""), lambda row: None if row.policy is None else row.policy.name),
        (Column("samples", ""), lambda row: None if row.policy is None else row.policy.samples),
        (Column("branches", ""), lambda row: None if row.policy is None else row.policy.branches),
        (Column("token_budget", ""), lambda row: row.token_budget if row.attempted else None),
        (Column("expected_tokens", ""), lambda row: row.expected_tokens),
        (Column("task_accuracy", ""), lambda row: row.accuracy),
        (Column("task_inference_flop", ""), lambda row: row.inference_flop),
        (Column("model", ""), lambda row: row.model),
        (Column("way", ""), lambda row: row.way),
        (Column("period", ""), lambda row: row.period),
        (Column("replica_accelerators", ""), _placed(lambda place: place.accelerators)),
        (Column("replica_sequences", ""), _placed(lambda place: place.sequences)),
        (Column("latency_seconds", ""), _placed(lambda place: place.latency_seconds)),
        (Column("task_accelerator_hours", ""), _placed(lambda place: place.accelerator_hours)),
        (Column("task_energy_joule", ""), _placed(lambda place: place.energy_joules)),
    )
    blank = (None,) * len(tasks.columns)
    return Table(
        "",
        (*(Column(name, "") for name, _ in answer), *tasks.columns),
        tuple((*(value for _, value in answer), *row) for row in tasks.rows or (blank,)),
    )


_LEVELS: tuple[tuple[Column, Callable[[TaskAllocation], Value]], ...] = (
    (Column("task_level", ""), lambda row: row.level),
    (Column("reasoning_level", ""), lambda row: row.reasoning_level),
)


def _placed(figure: Callable[[Placement], Value]) -> Callable[[TaskAllocation], Value]:
    """A figure of what a row is served on; nothing without hardware."""
    return lambda row: None if row.placement is None else figure(row.placement)
