"""A solution as plain data: what `--format json` promises to scripts."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from ds3opt.optimise.solution import FrontierPoint, Solution, TaskAllocation
from ds3opt.report.words import achieved, is_maximised, outcome_key

SCHEMA_VERSION = 1
RESOURCES = {
    "energy": "J",
    "cost": "USD",
    "carbon": "kg",
    "accelerator_hours": "accelerator-hours",
}
"""What hardware makes of the work, and the unit of each."""

Data = dict[str, Any]


def solution_data(solution: Solution, *, version: str, sha256: str) -> Data:
    """Every number of a solution under a name that says its SI unit.

    Parameters
    ----------
    version : of ds3opt.
    sha256 : of the scenario's text and its overrides.
    """
    target = solution.target
    return {
        "schema_version": SCHEMA_VERSION,
        "status": solution.status.code,
        "scenario": solution.scenario,
        "objective": solution.objective,
        "target": None if target is None else {target[0]: target[1]},
        "certificate": _certificate(solution),
        "allocation": _allocation(solution),
        **_learned(solution),
        "outcome": _outcome(solution),
        "resources": [
            {
                "name": use.name,
                "training": use.training,
                "inference": use.inference,
                "total": use.total,
                "total_p10": use.band[0] if use.band is not None else None,
                "total_p90": use.band[1] if use.band is not None else None,
                "unit": RESOURCES[use.name],
            }
            for use in solution.resources
        ],
        "training_plan": None if solution.training_plan is None else asdict(solution.training_plan),
        "periods": [asdict(period) for period in solution.periods],
        "scope": solution.scope,
        "limits": [
            {
                "name": use.name,
                "limit": use.limit,
                "used": use.used,
                "binding": bool(use.binding),
                "shadow_price_per_doubling": use.shadow_price_per_doubling,
                "shadow_price": use.shadow_price,
                "relative_cost_per_point": use.relative_cost_per_point,
                "unit": use.unit,
                "kind": use.kind,
            }
            for use in solution.limits
        ],
        "baselines": [
            {
                "name": baseline.name,
                solution.objective: baseline.value,
                "parameters": baseline.parameters,
                "training_tokens": _tokens(baseline.training_tokens),
            }
            for baseline in solution.baselines
        ],
        "frontier": [
            frontier_record(point, solution.frontier_over or "limit", solution.objective)
            for point in solution.frontier
        ],
        "ranges": {name: list(ends) for name, ends in solution.ranges.items()},
        "warnings": [
            {"code": note.code, "path": note.path, "message": note.message}
            for note in solution.warnings
        ],
        "infeasibility": _infeasibility(solution),
        "provenance": {
            "ds3opt_version": version,
            "scenario_sha256": sha256,
            "loss_law": solution.loss_law,
            "loss_law_source": solution.loss_law_source,
        },
    }


def _learned(solution: Solution) -> Data:
    """What the model has learned of a skill graph; no key with a loss law."""
    learned = solution.learned
    if learned is None:
        return {}
    return {"skill_graph": {**asdict(learned), "concepts_learned": learned.concepts_learned}}


def _certificate(solution: Solution) -> Data | None:
    certificate = solution.certificate
    if certificate is None:
        return None
    return {
        f"{certificate.quantity}_lower": certificate.lower,
        f"{certificate.quantity}_upper": certificate.upper,
        "gap": certificate.gap,
        "requested_gap": certificate.requested_gap,
        "gap_is_relative": certificate.relative,
    }


def _tokens(training_tokens: float | None) -> float | str | None:
    """Training tokens; data without end has a word."""
    if training_tokens is not None and math.isinf(training_tokens):
        return "infinite"
    return training_tokens


def _allocation(solution: Solution) -> Data:
    return {
        "parameters": solution.parameters,
        "training_tokens": _tokens(solution.training_tokens),
        "tokens_per_parameter": _tokens(solution.tokens_per_parameter),
        "tasks": [_task(row) for row in solution.tasks],
        "classes": [
            {
                "name": one.name,
                "share": one.share,
                "accuracy": one.accuracy,
                "min_accuracy": one.min_accuracy,
                "expected_tokens": one.expected_tokens,
                "inference_flop": one.inference_flop,
            }
            for one in solution.classes
        ],
    }


def _task(row: TaskAllocation) -> Data:
    return {
        "name": row.name,
        "share": row.share,
        "difficulty": row.difficulty if row.level is None else None,
        **({} if row.level is None else _levels(row)),
        "skills": row.skills,
        "accuracy": row.accuracy,
        "token_budget": row.token_budget if row.attempted else 0.0,
        "expected_tokens": row.expected_tokens,
        "policy": row.policy.as_dict() if row.policy is not None else None,
        "fraction": row.fraction,
        "steps": row.steps,
        "inference_flop": row.inference_flop,
        "token_budget_range": None if row.token_budget_range is None else [*row.token_budget_range],
        "alternatives": list(row.alternatives),
        "model": row.model,
        "way": row.way,
        "period": row.period,
        "placement": None if row.placement is None else asdict(row.placement),
    }


def _levels(row: TaskAllocation) -> Data:
    return {"level": row.level, "reasoning_level": row.reasoning_level}


def _outcome(solution: Solution) -> Data:
    return {
        "accuracy": solution.accuracy,
        "value": solution.value,
        "loss": solution.loss,
        "training_flop": solution.training_flop,
        "inference_flop": solution.inference_flop,
        "total_flop": solution.total_flop,
        "tasks_served": solution.tasks_served,
        "served_tokens": solution.served_tokens,
        "expected_tokens": mean_tokens(solution),
        "epochs": epochs(solution),
        "net_value_usd": achieved(solution) if solution.objective == "net_value" else None,
        **totals(solution),
    }


def totals(solution: Solution) -> Data:
    """What the answer takes of every resource, under names that say the unit; None if unknown."""
    known = {use.name: use.total for use in solution.resources}
    return {outcome_key(name): known.get(name) for name in RESOURCES}


def epochs(solution: Solution) -> float | None:
    """How often training passes over the distinct tokens; None where it does not repeat them."""
    unique, tokens = solution.unique_tokens, solution.training_tokens
    if not unique or tokens is None or math.isinf(tokens) or tokens <= unique * (1 + 1e-9):
        return None
    return tokens / unique


def mean_tokens(solution: Solution) -> float | None:
    """Tokens generated per task on average over the mix."""
    if not solution.tasks:
        return None
    return math.fsum(row.share * row.expected_tokens for row in solution.tasks)


def frontier_record(point: FrontierPoint, over: str, objective: str) -> Data:
    """One row of a Pareto table; the bound is above what is maximised, below what is minimised."""
    side = "upper" if is_maximised(objective) else "lower"
    known = point.parameters is not None and point.training_tokens is not None
    ratio = (point.training_tokens or 0.0) / (point.parameters or 1.0) if known else None
    return {
        key_of(over, objective): point.limit,
        objective: point.objective,
        f"{objective}_{side}": point.upper,
        "parameters": point.parameters,
        "training_tokens": _tokens(point.training_tokens),
        "tokens_per_parameter": _tokens(ratio),
        "expected_tokens": point.expected_tokens,
        "training_flop": point.training_flop,
        "inference_flop": point.inference_flop,
        "status": point.status.code,
    }


def key_of(over: str, objective: str) -> str:
    """The varied quantity's name, kept apart from an objective of the same name."""
    name = over.removeprefix("limits.")
    return f"{name}_limit" if name == objective else name


def _infeasibility(solution: Solution) -> Data | None:
    why = solution.infeasibility
    if why is None:
        return None
    return {
        "limit": why.limit,
        "given": why.given,
        "smallest_feasible": why.smallest_feasible,
        "unit": why.unit,
        "message": why.message,
    }
