"""Plans of several problems improved side by side: exact token budgets and small moves of model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.answer import mixed
from ds3opt.optimise.envelopes import Envelopes, room_for
from ds3opt.optimise.local import Neighbourhood
from ds3opt.optimise.menu import Actions, evaluate, first_actions
from ds3opt.optimise.moves import Models, climbed, near_price, to_whole_steps
from ds3opt.optimise.optimum import Found
from ds3opt.optimise.side_by_side import Stack
from ds3opt.optimise.training import Training

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_ROUNDS = 9


@dataclass(frozen=True)
class Plans:
    """A model for every problem, and the actions that matter near it."""

    stack: Stack
    actions: Actions  # of all problems, by task
    parameters: FloatArray  # (problem,)
    loss: FloatArray  # (problem,)

    @staticmethod
    def around(stack: Stack, parameters: FloatArray, loss: FloatArray) -> Plans:
        """The actions on the tasks' envelopes at each problem's model, near its own price."""
        problem, every = stack.problem, np.arange(len(stack))

        def envelopes(actions: Actions) -> Envelopes:
            here = stack.of_tasks(actions.task)
            values = evaluate(problem, actions, loss[here])
            return Envelopes.of(problem, actions, here, values, parameters)

        actions = to_whole_steps(first_actions(problem), lambda some: envelopes(some).points)
        room = stack.room(every, parameters, loss)
        near = actions.take(near_price(envelopes(actions), room, parameters))
        return Plans(stack, near, parameters, loss)

    def values(self, world: IntArray, parameters: FloatArray, loss: FloatArray) -> FloatArray:
        """The best value for models of problems, (case,); -inf where limits forbid it."""
        problem, actions = self.stack.problem, self._of_cases(world)
        values = evaluate(problem, actions, loss[actions.cell])
        found = Envelopes.of(problem, actions, actions.cell, values, parameters)
        return found.best(self.stack.room(world, parameters, loss), parameters)

    def _of_cases(self, world: IntArray) -> Actions:
        """The actions of each case's problem, numbered by case."""
        ends = np.searchsorted(
            self.stack.of_tasks(self.actions.task), np.arange(len(self.stack) + 1)
        )
        lengths = np.diff(ends)[world]
        case = np.repeat(np.arange(world.size), lengths)
        offset = np.arange(case.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return replace(self.actions.take(ends[:-1][world][case] + offset), cell=case)

    def climbed(self) -> Plans:
        """Better models nearby."""
        stack, every = self.stack, np.arange(len(self.stack))
        value = self.values(every, self.parameters, self.loss)
        best = climbed(
            Training(stack.problem.space),
            stack.training_cap,
            Models(self.parameters, self.loss, value),
            self.values,
            rounds=_ROUNDS,
        )
        return replace(self, parameters=best.parameters, loss=best.loss)


def polished_side_by_side(stack: Stack, found: Sequence[Found]) -> list[Found]:
    """The best plan near each problem's plan, with exact token budgets; never a worse one.

    Parameters
    ----------
    found : for each problem; those that are infeasible come back as they are.
    """
    able = np.array([i for i, one in enumerate(found) if one.feasible], dtype=np.intp)
    result = list(found)
    if able.size == 0:
        return result
    part = stack.take(able)
    size = np.array([found[i].parameters for i in able])
    loss = np.array([found[i].loss for i in able])
    plans = Plans.around(part, size, loss).climbed()
    plans = Plans.around(part, plans.parameters, plans.loss)
    for place, index in enumerate(able):
        result[index] = _with_mix(plans, place, found[index])
    return result


def _with_mix(plans: Plans, place: int, rough: Found) -> Found:
    stack = plans.stack
    problem, each = stack.problems[place], stack.each
    tasks = plans.actions.task
    begin, end = np.searchsorted(tasks, [each * place, each * (place + 1)])
    actions = plans.actions.take(np.arange(begin, end))
    actions = replace(actions, task=actions.task - each * place)
    parameters, loss = float(plans.parameters[place]), float(plans.loss[place])
    room = room_for(problem, problem.budgets, np.array([parameters]), np.array([loss]))
    mix = mixed(problem, actions, loss, parameters, float(room[0]))
    assert mix is not None
    near = Neighbourhood(problem, problem.budgets, actions)
    upper = max(rough.upper, mix.value)
    return Found(mix.value, upper, parameters, loss, neighbourhood=near, mix=mix)
