"""What actions cost and bring for models, and the envelopes down which their FLOP are spent.

A *case* is a model: a size, trained to a loss. Many cases are worked out in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.allocation import Required, Segments, Spending, envelope, segments, spend
from ds3opt.optimise.menu import Actions, Values
from ds3opt.optimise.requirement import requirement
from ds3opt.optimise.training import Training
from ds3opt.problem import Budgets, Problem

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

ROUNDING = 1e-12
"""Part of a plan's room, or of its loss, given away so that rounding breaks no limit."""


@dataclass(frozen=True)
class Envelopes:
    """Actions of cases, what they cost and bring, and which are on their tasks' envelopes."""

    case: IntArray  # (action,)
    owner: IntArray  # (action,) the task in its case, numbered through
    cost: FloatArray  # (action,) effective tokens
    gain: FloatArray  # (action,) value
    weight: FloatArray  # (action,) of the task
    cases: int
    required: Required | None

    @staticmethod
    def of(
        problem: Problem,
        actions: Actions,
        case: IntArray,
        values: Values,
        parameters: FloatArray,
    ) -> Envelopes:
        """The envelopes of cases.

        Parameters
        ----------
        case : (action,) non-decreasing. values : of the actions, at their cases' losses.
        parameters : (case,).
        """
        tasks, required = problem.tasks, requirement(problem)
        assert tasks is not None
        if required is not None:
            required = replace(required, group=tasks.group[actions.task])
        attention = problem.space.attention(parameters)
        return Envelopes(
            case,
            case * len(tasks) + actions.task,
            values.effective_tokens(parameters[case], attention[case]),
            tasks.value[actions.task] * values.success,
            tasks.weight[actions.task],
            parameters.size,
            required,
        )

    @cached_property
    def points(self) -> IntArray:
        """Indices of the actions on their envelopes, by owner and cost."""
        return envelope(self.owner, self.cost, self.gain)

    @cached_property
    def segments(self) -> Segments:
        """The envelopes' segments, those that required accuracies need first."""
        return segments(
            self.points,
            self.case,
            self.owner,
            self.cost,
            self.gain,
            self.weight,
            self.cases,
            self.required,
        )

    def bought(self, room: FloatArray, parameters: FloatArray) -> Spending:
        """What inference FLOP per task buy in every case, (case,)."""
        with np.errstate(invalid="ignore"):
            return spend(self.segments, room / (2.0 * parameters))

    def best(self, room: FloatArray, parameters: FloatArray) -> FloatArray:
        """The best value in every case, (case,); -inf where training is too dear."""
        return np.where(room >= 0.0, self.bought(room, parameters).value, -np.inf)


def in_every_case(actions: Actions, cases: int) -> Actions:
    """The same actions in each of several cases, numbered by `cell`."""
    index = np.tile(np.arange(len(actions)), cases)
    return replace(actions.take(index), cell=np.repeat(np.arange(cases), len(actions)))


def room_left(
    spent: FloatArray,
    total_flop: FloatArray | float,
    training_flop: FloatArray | float,
    inference_flop: FloatArray | float,
    tasks_served: FloatArray | float,
) -> FloatArray:
    """Inference FLOP per task that training leaves; -1 where training is too dear.

    Parameters
    ----------
    spent : training FLOP. total_flop, training_flop, inference_flop : limits, inf for none.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        left = (total_flop - spent) / tasks_served
        room = np.minimum(np.where(np.isnan(left), np.inf, left), inference_flop / tasks_served)
    possible = np.isfinite(spent) & (spent <= np.minimum(total_flop, training_flop))
    return np.where(possible, np.maximum(room, 0.0), -1.0)


def spared(room: FloatArray) -> FloatArray:
    """Room less a part that keeps rounding from carrying a plan over a limit."""
    return np.where(room >= 0.0, room * (1.0 - ROUNDING), room)


def room_for(
    problem: Problem, budgets: Budgets, parameters: FloatArray, loss: FloatArray
) -> FloatArray:
    """Inference FLOP per task that training to a loss leaves, a little of it kept back."""
    return spared(
        room_left(
            Training(problem.space).flop(parameters, loss),
            budgets.total_flop,
            budgets.training_flop,
            budgets.inference_flop,
            problem.tasks_served,
        )
    )
