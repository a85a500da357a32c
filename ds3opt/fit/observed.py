"""Rows of measured accuracies as a user has them, made ready for the fit."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ds3opt.errors import Problem, UsageError
from ds3opt.fit.task_model import Observations
from ds3opt.policies import Policy, TaskTraits, VerifierKind
from ds3opt.policies.short_form import parse_policy

_EVALUATIONS = {"pass": "best_of_n", "maj": "majority_vote"}
"""What evaluations call policies: pass@8, maj@8."""
_ROUNDING = 1e-12
_MOST_STEPS = 1e9


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


def policy_of(text: str, samples: int | None, branches: int | None = None) -> tuple[Policy, bool]:
    """A policy as tables write it, and whether it is coverage (pass@k).

    Parameters
    ----------
    text : ``best_of_n:8``, ``best_of_n`` beside samples, ``pass@8``, ``maj@8``; empty: a chain of
        thought.
    samples, branches : of their own columns; None where those are empty.

    Raises
    ------
    UsageError : for what is no policy, or contradicts the columns.

    >>> policy_of("maj@8", None)[0].words(), policy_of("best_of_n", 4)[0].words()
    ('majority vote of 8', 'best of 4')
    """
    word = text.strip() or "chain_of_thought"
    found = re.fullmatch(r"(pass|maj)@(?:k|(\d{1,7}))", word)
    unjudged = found is not None and found[1] == "pass"
    if found is not None:
        word = _EVALUATIONS[found[1]] + (f":{int(found[2])}" if found[2] else "")
    name, colon, _ = word.partition(":")
    if not colon:
        width = branches if name == "tree_of_thought" else samples
        if name in ("best_of_n", "majority_vote", "tree_of_thought"):
            if width is None:
                column = "branches" if name == "tree_of_thought" else "samples"
                hint = f"write {name}:8, or add a column {column}"
                raise UsageError(Problem(f"{text.strip()} of how many?", hint=hint))
            word = f"{name}:{width}"
            if name == "best_of_n" and branches is not None and branches > 1:
                word += f"x{branches}"
    single = word.endswith(":1") and name in ("best_of_n", "majority_vote")
    policy = parse_policy("chain_of_thought" if single else word)
    for column, told, own in (
        ("samples", samples, policy.samples),
        ("branches", branches, policy.branches),
    ):
        if told is not None and told != own:
            message = f"{text.strip() or 'a chain of thought'} is of {own} {column}, not {told}"
            hint = "say what is done with them: pass@k, best_of_n, majority_vote"
            raise UsageError(Problem(message, hint=hint if not text.strip() else ""))
    return policy, unjudged


def refusals(row: ObservedRow, setting: Setting) -> str | None:
    """Why a row cannot be explained in its setting; None where it can."""
    if row.policy.needs_wrong_answers and setting.wrong_answer_shares is None:
        return f"{row.policy.name} needs to know how wrong answers split"
    if row.policy.needs == VerifierKind.NONE and row.policy.branches > 1:
        return "trees need a process verifier"
    if steps_of(row, setting) < 1.0 and row.accuracy > 0.0:
        width = f" for {row.policy.width:g} traces" if row.policy.width > 1 else ""
        return (
            f"a budget of {row.token_budget:g} tokens{width} is less than one step of "
            f"{setting.tokens_per_step:g}"
        )
    return None


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
