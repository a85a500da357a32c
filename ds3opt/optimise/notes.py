"""What a planner should know before trusting an answer: extrapolation, capped search, law notes."""

from __future__ import annotations

import math

import numpy as np

from ds3opt.laws.loss import LossLaw
from ds3opt.laws.populations import SingleRate
from ds3opt.optimise.learned import about_graph
from ds3opt.optimise.solution import Note, TaskAllocation
from ds3opt.policies import Policy
from ds3opt.problem import Problem
from ds3opt.units import format_quantity

_CAUTION = ("hoffmann2022_rounded",)
"""Laws whose note is a warning and not just provenance."""

_LONG_TRACE = 131_072
"""Tokens of one trace beyond which no common model has a context window to hold it."""


def notes_for(
    problem: Problem,
    parameters: float,
    training_tokens: float,
    rows: tuple[TaskAllocation, ...] = (),
) -> tuple[Note, ...]:
    """Warnings about an answer, the same words wherever they are shown."""
    notes = _extrapolations(problem, parameters, training_tokens)
    notes += _beyond_capability(problem, parameters, training_tokens)
    notes += _beyond_observed(problem, parameters, training_tokens)
    if problem.space.law_name in _CAUTION:
        notes.append(Note("loss_law", "model.loss_law", problem.space.law.note))
    if problem.levels is not None:
        notes += about_graph(problem.levels.law, training_tokens / parameters, rows)
    notes += about_tasks(problem, rows)
    return tuple(notes)


def _extrapolations(problem: Problem, parameters: float, tokens: float) -> list[Note]:
    fitted = problem.space.law.fitted_range
    if fitted is None:
        return []
    checks = [("parameters", parameters, fitted.parameters, "parameters")]
    if math.isfinite(tokens):
        checks.append(("training tokens", tokens, fitted.training_tokens, "tokens"))
        ratio = tokens / parameters
        checks.append(("tokens per parameter", ratio, fitted.tokens_per_parameter, "ratio"))
    notes = []
    for what, value, span, dimension in checks:
        if span is None:
            continue
        low, high = span
        if low * (1 - 1e-9) <= value <= high * (1 + 1e-9):
            continue
        shown = [format_quantity(x, dimension) for x in (value, low, high)]
        notes.append(
            Note(
                "extrapolation",
                "model.loss_law",
                f"{what}: {shown[0]} is outside the range that {problem.space.law_name} was "
                f"fitted on, {shown[1]} to {shown[2]}",
            )
        )
    return notes


def _beyond_capability(problem: Problem, parameters: float, tokens: float) -> list[Note]:
    """A loss that the sigmoid was not fitted on."""
    span = problem.capability_loss
    space = problem.space
    if span is None or problem.tasks is None or not isinstance(space.law, LossLaw):
        return []
    reached = float(space.law.loss(parameters, tokens, space.unique_tokens))
    low, high = span
    slack = 1e-9 * max(abs(low), abs(high))
    if low - slack <= reached <= high + slack:
        return []
    return [
        Note(
            "extrapolation",
            "model.capability",
            f"loss: {format_quantity(reached, 'loss')} is outside the range that the capability "
            f"was fitted on, {format_quantity(low, 'loss')} to {format_quantity(high, 'loss')}",
        )
    ]


def _beyond_observed(problem: Problem, parameters: float, tokens: float) -> list[Note]:
    """A loss that no model had whose accuracies a class was fitted to."""
    space = problem.space
    if problem.tasks is None or not isinstance(space.law, LossLaw):
        return []
    reached = float(space.law.loss(parameters, tokens, space.unique_tokens))
    notes = []
    for name, fitted in zip(problem.tasks.group_names, problem.tasks.group_fitted, strict=False):
        if fitted is None or fitted.fitted_loss is None:
            continue
        low, high = fitted.fitted_loss
        if low * (1.0 - 1e-9) <= reached <= high * (1.0 + 1e-9):
            continue
        ends = format_quantity(low, "loss")
        ends = f"that of {ends}" if low == high else f"{ends} to {format_quantity(high, 'loss')}"
        notes.append(
            Note(
                "extrapolation",
                "workload.mix",
                f"loss: {format_quantity(reached, 'loss')} is outside the losses of the models "
                f"that {name} was observed on, {ends}",
            )
        )
    return notes


def about_tasks(problem: Problem, rows: tuple[TaskAllocation, ...]) -> list[Note]:
    """Warnings about what classes do, or cannot."""
    tasks = problem.tasks
    if tasks is None:
        return []
    notes = [
        Note("observed", "workload.mix", f"{name}: {doubt}")
        for name, fitted in zip(tasks.group_names, tasks.group_fitted, strict=False)
        if fitted is not None
        for doubt in fitted.doubts
    ]
    longest = 0.0
    for row in rows:
        if row.policy is not None and row.model is None:
            longest = max(longest, row.token_budget / row.policy.width)
    if longest > _LONG_TRACE:
        notes.append(
            Note(
                "long_trace",
                "workload.mix",
                f"a trace of {format_quantity(longest, 'tokens')} is longer than common context "
                "windows; cap it with max_output_tokens or model.context_tokens",
            )
        )
    skipped = sum(row.share for row in rows if not row.attempted)
    if skipped > 5e-5:
        notes.append(
            Note(
                "not_attempted",
                "workload.mix",
                f"{100 * skipped:.2f} % of tasks are not attempted: their compute solves more "
                "elsewhere",
            )
        )
    unoffered = {}
    for index, policy in enumerate(problem.policies):
        if not np.any(tasks.allowed[:, index]):
            unoffered[policy.name] = policy
    for name, policy in unoffered.items():
        notes.append(
            Note(
                "policy_not_offered",
                "reasoning.policies",
                f"{name} is offered to no class: {_lacking(problem, policy)}",
            )
        )
    return notes


def _lacking(problem: Problem, policy: Policy) -> str:
    """Why no class may use a policy."""
    tasks = problem.tasks
    assert tasks is not None
    if all(tasks.group_population) and policy.branches > 1:
        return "whole traces were measured, not their steps"
    needs = ["wrong_answers"] if policy.needs_wrong_answers else []
    if policy.needs:
        needs.append(f"a verifier of kind {policy.needs.name.lower()}")
    told = f"none states {' and '.join(needs)}"
    if any(isinstance(one, SingleRate) for one in tasks.group_population):
        told += ", or one measured rate is all that is known"
    return told
