"""Simulations as plain data and records, for machines."""

from __future__ import annotations

from typing import Any

from ds3opt.report.document import Column, Table
from ds3opt.report.values import Value
from ds3opt.simulate.answer import AnswerRow
from ds3opt.simulate.comparison import Comparison, Simulated
from ds3opt.simulate.statistics import Estimate

_NAMES = {"success": "accuracy", "flop": "inference_flop"}
_UNITS = {"tokens": "tokens", "flop": "FLOP"}


def run_data(found: Comparison) -> dict[str, Any]:
    """How the simulation was run, and its verdict."""
    return {
        "runs": found.runs,
        "seed": found.seed,
        "confidence": found.confidence,
        "comparisons": found.comparisons,
        "agrees": found.agrees,
    }


def estimate_data(one: Estimate) -> dict[str, Any]:
    """One mean, under names that say what it is."""
    return {
        "quantity": _NAMES.get(one.name, one.name),
        "unit": _UNITS.get(one.name),
        "mean": one.mean,
        "low": one.low,
        "high": one.high,
        "standard_error": one.standard_error,
        "closed_form": one.exact,
        "z": one.z,
        "agrees": one.agrees,
    }


def row_data(one: Simulated) -> dict[str, Any]:
    """One simulated row of an answer."""
    assert one.row is not None
    allocation = one.row.allocation
    return {
        **_identity(one.row),
        "steps_of_a_trace": allocation.steps,
        "token_budget": allocation.token_budget,
        "simulated": True,
        "answer_accuracy": allocation.accuracy,
        "charged_flop": None if one.forms is None else one.forms.charged_flop,
        "cut_off": one.cut,
        "refused_branches": one.refused,
        "quantities": [estimate_data(e) for e in one.estimates],
    }


def left_out(row: AnswerRow) -> dict[str, Any]:
    """A row that was not simulated, and why."""
    return {**_identity(row), "simulated": False, "why_not": row.why_not}


def _identity(row: AnswerRow) -> dict[str, Any]:
    allocation = row.allocation
    return {
        "name": allocation.name,
        "share": allocation.share,
        "fraction": allocation.fraction,
        "difficulty": allocation.difficulty if allocation.level is None else None,
        "skills": allocation.skills,
        "level": allocation.level,
        "reasoning_level": allocation.reasoning_level,
        "policy": None if allocation.policy is None else allocation.policy.as_dict(),
        "model": allocation.model,
        "way": allocation.way,
        "period": allocation.period,
    }


def records(found: Comparison, name: str = "") -> Table:
    """One record for each mean of each row."""
    names = (
        "name", "share", "difficulty_nats_per_token", "skills", "level", "reasoning_level",
        "policy", "samples", "branches", "token_budget", "quantity", "unit", "mean", "low", "high",
        "standard_error", "closed_form", "z", "agrees",
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = []
    for one in found.simulated:
        row: tuple[Value, ...] = (name, *[None] * 9)
        if one.row is not None:
            a = one.row.allocation
            policy = a.policy
            assert policy is not None
            row = (
                a.name,
                a.share,
                a.difficulty if a.level is None else None,
                a.skills,
                a.level,
                a.reasoning_level,
                policy.name,
                policy.samples,
                policy.branches,
                a.token_budget,
            )
        for e in one.estimates:
            agrees = None if e.agrees is None else str(e.agrees).lower()
            quantity, unit = _NAMES.get(e.name, e.name), _UNITS.get(e.name)
            rows.append(
                (
                    *row,
                    quantity,
                    unit,
                    e.mean,
                    e.low,
                    e.high,
                    e.standard_error,
                    e.exact,
                    e.z,
                    agrees,
                )
            )
    return Table("", tuple(Column(one, "") for one in names), tuple(rows))
