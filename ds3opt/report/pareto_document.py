"""The document of a Pareto table."""

from __future__ import annotations

from dataclasses import replace

from ds3opt.optimise.solution import Solution
from ds3opt.report import rows
from ds3opt.report.document import Document
from ds3opt.report.solution_data import SCHEMA_VERSION, solution_data
from ds3opt.report.words import objective_words, words_of


def pareto_document(solution: Solution, *, version: str = "", sha256: str = "") -> Document:
    """The frontier of a solution alone, in every format."""
    over = solution.frontier_over or "limit"
    data = solution_data(solution, version=version, sha256=sha256)
    table = rows.frontier(solution)
    records = replace(
        table,
        rows=tuple(
            (*row[:-1], point.status.code)
            for row, point in zip(table.rows, solution.frontier, strict=True)
        ),
    )
    return Document(
        title=f"{solution.scenario}: {objective_words(solution)} over {words_of(over)}",
        tables=(replace(table, title="Pareto table"), rows.warnings(solution)),
        data={
            "schema_version": SCHEMA_VERSION,
            "scenario": solution.scenario,
            "objective": solution.objective,
            "target": data["target"],
            "over": over,
            "frontier": data["frontier"],
            "warnings": data["warnings"],
            "provenance": data["provenance"],
        },
        records=records,
    )
