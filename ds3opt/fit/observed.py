"""Rows of measured accuracies as a user has them, made ready for the fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ds3opt.fit.task_model import Observations
from ds3opt.laws.loss import LossLaw
from ds3opt.policies import Policy, TaskTraits
from ds3opt.schema.observed import ObservedAccuracy

_ROUNDING = 1e-12
_MOST_STEPS = 1e9
_SAME_LOSS = 1e-9


@dataclass(frozen=True)
class ObservedRow:
    """One measured accuracy, or with none one that is asked for."""

    loss: float
    """Of the model, nats/token."""
    policy: Policy
    unjudged: bool
    """Whether coverage was measured: solved as soon as one trace is right, whatever judges."""
    token_budget: float
    """Tokens of one task, all traces together."""
    accuracy: float
    """NaN where it is asked for."""
    problems: float


@dataclass(frozen=True)
class Setting:
    """What a class says of its tasks besides what is fitted."""

    tokens_per_step: float = 25.0
    true_positive_rate: float = 1.0
    false_positive_rate: float = 0.0
    discrimination: float | None = None
    wrong_answer_shares: tuple[float, ...] | None = None
    """None: not known, and no vote can be explained."""
    most_trace_tokens: float = math.inf
    """Cap on the tokens of one trace."""


def observed_row(one: ObservedAccuracy, law: LossLaw) -> ObservedRow:
    """A row as a scenario writes it, its loss by the law where it has none of its own."""
    policy, unjudged = one.answering()
    loss = one.loss
    if loss is None:
        assert one.parameters is not None
        assert one.training_tokens is not None
        loss = float(law.loss(one.parameters, one.training_tokens))
    budget = total_budget(one.token_budget, one.max_output_tokens, policy.width)
    return ObservedRow(loss, policy, unjudged, budget, one.accuracy, float(one.problems))


def total_budget(total: float | None, of_one: float | None, width: float) -> float:
    """Tokens of all traces of a task, from a budget of all, a cap on each, or both."""
    capped = math.inf if of_one is None else of_one * width
    return capped if total is None else min(total, capped)


def refusals(row: ObservedRow, setting: Setting) -> str | None:
    """Why a row cannot be explained in its setting; None where it can."""
    if row.policy.needs_wrong_answers and setting.wrong_answer_shares is None:
        return f"{row.policy.name} needs to know how wrong answers split"
    if steps_of(row, setting) < 1.0 and row.accuracy > 0.0:
        width = f" for {row.policy.width:g} traces" if row.policy.width > 1 else ""
        return (
            f"a budget of {row.token_budget:g} tokens{width} is less than one step of "
            f"{setting.tokens_per_step:g}"
        )
    return None


def two_losses(models: Sequence[str], rows: Sequence[ObservedRow]) -> list[tuple[int, int]]:
    """Rows of a model that has another loss in an earlier row, and that row.

    Parameters
    ----------
    models : what the model of each row is called; empty: nothing.
    """
    first: dict[str, int] = {}
    found = []
    for index, model in enumerate(models):
        known = first.setdefault(model, index) if model else index
        if abs(rows[known].loss - rows[index].loss) > _SAME_LOSS:
            found.append((index, known))
    return found


def steps_of(row: ObservedRow, setting: Setting) -> float:
    """Whole steps of one trace."""
    per_trace = min(row.token_budget / row.policy.width, setting.most_trace_tokens)
    # as much as makes whole steps must not lose one to rounding
    steps = math.floor(per_trace / setting.tokens_per_step * (1.0 + _ROUNDING))
    return min(float(steps), _MOST_STEPS)


def observations(rows: Sequence[ObservedRow], setting: Setting) -> Observations:
    """Rows as arrays; rows without accuracy count as none solved of one problem."""
    policies = tuple(dict.fromkeys(row.policy for row in rows))
    count = len(rows)
    unjudged = np.array([row.unjudged for row in rows], dtype=bool)
    shares = setting.wrong_answer_shares
    discrimination = None
    if setting.discrimination is not None:
        # of coverage nothing has to be judged
        discrimination = np.where(unjudged, np.inf, setting.discrimination)
    problems = np.array([row.problems for row in rows])
    asked = np.array([math.isnan(row.accuracy) for row in rows], dtype=bool)
    accuracy = np.array([row.accuracy for row in rows])
    problems = np.where(asked | np.isnan(problems), 1.0, problems)
    return Observations(
        loss=np.array([row.loss for row in rows]),
        steps=np.array([steps_of(row, setting) for row in rows]),
        policies=policies,
        policy=np.array([policies.index(row.policy) for row in rows], dtype=np.intp),
        problems=problems,
        solved=np.where(asked, 0.0, accuracy * problems),
        traits=TaskTraits(
            np.where(unjudged, 1.0, setting.true_positive_rate),
            np.where(unjudged, 0.0, setting.false_positive_rate),
            () if shares is None else (shares,),
            np.full(count, -1 if shares is None else 0, dtype=np.intp),
            discrimination,
        ),
    )
