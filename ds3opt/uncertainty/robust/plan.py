"""A plan that does not depend on the draw, and what it reaches and takes in each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import UsageError
from ds3opt.optimise.menu import Actions, Values, evaluate
from ds3opt.optimise.solution import Solution
from ds3opt.optimise.training import Training
from ds3opt.policies import Policy
from ds3opt.problem import Problem
from ds3opt.uncertainty.robust.ensemble import Ensemble

FloatArray = NDArray[np.float64]
_ROUNDING = 1e-9
"""Of a limit: use beyond it by no more is not a breach."""


@dataclass(frozen=True)
class Choice:
    """What a task, or a part of its requests, is served with."""

    task: int
    """Place in `Problem.tasks`."""
    policy: Policy
    steps: float
    """Whole steps of one trace; no more than a draw's context has room for."""
    fraction: float
    """Part of the task's requests."""

    def token_budget(self, tokens_per_step: float, max_steps: float = math.inf) -> float:
        """Tokens that one task may generate, all traces and branches together."""
        return self.policy.width * tokens_per_step * min(self.steps, max_steps)


@dataclass(frozen=True)
class Plan:
    """One model and one way to serve every task; what no choice stands for is not attempted."""

    parameters: float
    training_tokens: float
    """inf where data is infinite, or training is left out."""
    choices: tuple[Choice, ...]

    @staticmethod
    def of(solution: Solution) -> Plan:
        """The plan of an ordinary solution.

        Raises
        ------
        UsageError : for a solution without a plan, or one whose classes are not served by a policy.
        """
        if solution.parameters is None:
            raise UsageError("the solution has no plan to score")
        choices, task, covered = [], 0, 0.0
        for row in solution.tasks:
            # rows of a task follow one another, the largest part first, and make up the whole of it
            if covered + row.fraction > 1.0 + 1e-9:
                task, covered = task + 1, 0.0
            covered += row.fraction
            if row.policy is not None:
                choices.append(Choice(task, row.policy, row.steps, row.fraction))
            elif row.way is not None:
                raise UsageError(f"class {row.name!r} is served by an existing model, not a policy")
        tokens = solution.training_tokens
        return Plan(solution.parameters, math.inf if tokens is None else tokens, tuple(choices))


@dataclass(frozen=True)
class Score:
    """What a plan reaches and takes in every draw."""

    accuracy: FloatArray  # (class, draw)
    value: FloatArray  # (draw,) of the objective per task served
    task_success: FloatArray  # (task, draw)
    training_flop: float
    inference_flop: FloatArray  # (draw,)
    loss: FloatArray  # (draw,)

    @property
    def total_flop(self) -> FloatArray:
        """Training and inference together, (draw,)."""
        return self.training_flop + self.inference_flop

    @property
    def used(self) -> dict[str, FloatArray]:
        """FLOP under the names of limits, (draw,)."""
        return {
            "total_flop": self.total_flop,
            "training_flop": np.full(self.inference_flop.shape, self.training_flop),
            "inference_flop": self.inference_flop,
        }


def score_plan(problems: Sequence[Problem] | Ensemble, plan: Plan | Solution) -> Score:
    """What a plan reaches and takes in every draw, without another choice being made.

    Parameters
    ----------
    problems : draws of one scenario, or what `Ensemble.of` made of them.
    plan : a plan, or a solution whose plan is meant.

    Raises
    ------
    UsageError : for draws that differ in more than numbers, or a policy that they do not offer.

    Notes
    -----
    A plan fixes the whole steps of a trace. Where a draw's context has room for fewer, it makes do
    with these.
    """
    ensemble = problems if isinstance(problems, Ensemble) else Ensemble.of(problems)
    fixed = Plan.of(plan) if isinstance(plan, Solution) else plan
    training = Training(ensemble.problems[0].space)
    size, tokens = np.array([fixed.parameters]), np.array([fixed.training_tokens])
    loss = ensemble.losses(size, tokens)
    draws, tasks = ensemble.weight.shape
    amount = np.array([choice.fraction for choice in fixed.choices])
    values, served = _values(ensemble, fixed, loss)
    success = np.zeros((tasks, draws))
    np.add.at(success, served, amount[:, None] * values.success.reshape(amount.size, draws))
    each = np.repeat(size, len(values.success))
    attention = ensemble.common.space.attention(size)[0]
    cost = 2.0 * fixed.parameters * values.effective_tokens(each, np.full(each.size, attention))
    per_task = np.zeros((tasks, draws))
    np.add.at(per_task, served, amount[:, None] * cost.reshape(amount.size, draws))
    common = ensemble.common.tasks
    assert common is not None
    weight = ensemble.weight.T
    classes = np.zeros((len(common.group_names), draws))
    share = np.zeros_like(classes)
    np.add.at(classes, common.group, weight * success)
    np.add.at(share, common.group, weight)
    return Score(
        accuracy=np.minimum(classes / np.where(share > 0.0, share, 1.0), 1.0),
        value=np.sum(weight * ensemble.worth.T * success, axis=0),
        task_success=success,
        training_flop=float(training.flop_of(size, tokens)[0]),
        inference_flop=ensemble.served * np.sum(weight * per_task, axis=0),
        loss=loss[:, 0],
    )


def _values(ensemble: Ensemble, plan: Plan, loss: FloatArray) -> tuple[Values, NDArray[np.intp]]:
    """Every choice in every draw, (choice x draw,), and the task of each choice."""
    offered = {policy: index for index, policy in enumerate(ensemble.stacked.policies)}
    missing = [c.policy.words() for c in plan.choices if c.policy not in offered]
    if missing:
        raise UsageError(f"the draws do not offer {missing[0]}, which the plan serves with")
    task = np.array([c.task for c in plan.choices], dtype=np.intp)
    policy = np.array([offered[c.policy] for c in plan.choices], dtype=np.intp)
    steps = np.array([c.steps for c in plan.choices])
    actions = Actions(np.zeros_like(task), task, policy, steps, steps, steps)
    return in_every_draw(ensemble, actions, loss), task


def in_every_draw(ensemble: Ensemble, actions: Actions, loss: FloatArray) -> Values:
    """Values of actions for one model in every draw, (action x draw,).

    Parameters
    ----------
    loss : (draw, 1) of the model.
    """
    draws, tasks = ensemble.weight.shape
    task = (actions.task[:, None] + tasks * np.arange(draws)).ravel()
    stacked = ensemble.stacked.tasks
    assert stacked is not None
    steps = np.minimum(np.repeat(actions.steps, draws), stacked.max_steps[task])
    policy = np.repeat(actions.policy, draws)
    repeated = Actions(np.zeros_like(task), task, policy, steps, steps, steps)
    step = ensemble.step_success(loss)[:, 0, :][:, actions.task].T.ravel()
    return evaluate(ensemble.stacked, repeated, step, step=step)


def within_limits(problems: Sequence[Problem], score: Score) -> FloatArray:
    """The value of a plan in every draw, (draw,), that serves fewer requests where it must.

    A plan that would break a limit serves only the part of the requests that the limit allows;
    where its training alone breaks one it serves none.
    """
    limits = {
        name: np.array([getattr(one.budgets, name) for one in problems])
        for name in ("total_flop", "training_flop", "inference_flop")
    }
    training = score.training_flop
    cap = np.minimum(limits["total_flop"], limits["training_flop"]) * (1.0 + _ROUNDING)
    room = np.minimum(limits["total_flop"] - training, limits["inference_flop"])
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(score.inference_flop > 0.0, room / score.inference_flop, 1.0)
    return np.where(training <= cap, score.value * np.clip(part, 0.0, 1.0), 0.0)
