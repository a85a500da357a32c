"""Plans of several problems improved side by side: exact token budgets and small moves of model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.allocation import Segments, active, envelope, segments, spend
from ds3opt.optimise.answer import mixed
from ds3opt.optimise.local import (
    PRICE_REACH,
    REFINEMENTS,
    ROUNDING,
    Neighbourhood,
    room_for,
)
from ds3opt.optimise.menu import Actions, evaluate, first_actions, refined
from ds3opt.optimise.optimum import Found
from ds3opt.optimise.side_by_side import Stack
from ds3opt.optimise.training import Training

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_GRID = 5
_ROUNDS = 9
_REACH = 0.05
_SHRINK = 0.45


@dataclass(frozen=True)
class Plans:
    """A model for every problem, and the actions that matter near it."""

    stack: Stack
    actions: Actions  # of all problems, by task
    parameters: FloatArray  # (problem,)
    loss: FloatArray  # (problem,)

    @staticmethod
    def around(stack: Stack, parameters: FloatArray, loss: FloatArray) -> Plans:
        """The actions on the tasks' envelopes at each problem's model, near its own price.

        What `Neighbourhood.around` does for one problem.
        """
        problem = stack.problem
        attention = problem.space.attention(parameters)
        actions = first_actions(problem)
        for _ in range(REFINEMENTS):
            here = stack.of_tasks(actions.task)
            values = evaluate(problem, actions, loss[here])
            cost = values.effective_tokens(parameters[here], attention[here])
            gain = stack.tasks.value[actions.task] * values.success
            on = np.zeros(len(actions), bool)
            on[envelope(actions.task, cost, gain)] = True
            gaps = (actions.above - actions.steps > 1.5) | (actions.steps - actions.below > 1.5)
            if not np.any(on & gaps):
                break
            actions = refined(actions.take(on), np.ones(int(on.sum()), bool))
        return Plans(stack, actions, parameters, loss)._within_prices()

    def _within_prices(self) -> Plans:
        """Only the actions that are best at some price near their problem's own."""
        actions, every = self.actions, np.arange(len(self.stack))
        found, cost, gain, points = self._segments(actions, every, self.parameters, self.loss)
        room = self.stack.room(every, self.parameters, self.loss)
        with np.errstate(invalid="ignore"):
            price = spend(found, np.maximum(room, 0.0) / (2.0 * self.parameters)).price
        free = (room <= 0.0) | (price <= 0.0) | ~np.isfinite(price)
        low = np.where(free, 0.0, price / PRICE_REACH)
        high = np.where(free, np.inf, price * PRICE_REACH)
        here = self.stack.of_tasks(actions.task[points])
        near = active(actions.task[points], cost[points], gain[points], low[here], high[here])
        keep = np.zeros(len(actions), bool)
        keep[points[near]] = True
        keep |= free[self.stack.of_tasks(actions.task)]
        return replace(self, actions=actions.take(keep))

    def _segments(
        self, actions: Actions, world: IntArray, parameters: FloatArray, loss: FloatArray
    ) -> tuple[Segments, FloatArray, FloatArray, IntArray]:
        """Envelopes of cases whose actions are given side by side in `actions.cell` order.

        `world`, `parameters` and `loss` are (case,); `actions.cell` is the case, or where all is 0
        the problem of the task.
        """
        problem, tasks = self.stack.problem, self.stack.tasks
        alone = len(actions) == 0 or int(actions.cell[-1]) == 0
        case = self.stack.of_tasks(actions.task) if alone else actions.cell
        values = evaluate(problem, actions, loss[case])
        attention = problem.space.attention(parameters)
        cost = values.effective_tokens(parameters[case], attention[case])
        gain = tasks.value[actions.task] * values.success
        owner = case * len(tasks) + actions.task
        points = envelope(owner, cost, gain)
        weight = tasks.weight[actions.task]
        return segments(points, case, owner, cost, gain, weight, world.size), cost, gain, points

    def values(self, world: IntArray, parameters: FloatArray, loss: FloatArray) -> FloatArray:
        """The best value for models of problems, (case,); -inf where limits forbid it."""
        room = self.stack.room(world, parameters, loss)
        found, *_ = self._segments(self._of_cases(world), world, parameters, loss)
        with np.errstate(invalid="ignore"):
            bought = spend(found, room / (2.0 * parameters))
        return np.where(room >= 0.0, bought.value, -np.inf)

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
        """Better models nearby, by grids in (ln size, ln training FLOP) that close in.

        What `Neighbourhood.climb` does for one problem.
        """
        count = len(self.stack)
        training, every = Training(self.stack.problem.space), np.arange(count)
        low, high = np.log(training.space.parameters)
        cap = self.stack.training_cap
        size, loss = self.parameters.copy(), self.loss.copy()
        best = self.values(every, size, loss)
        spent = training.flop(size, loss)
        reach, offsets = np.full(count, _REACH), np.linspace(-1.0, 1.0, _GRID)
        world = np.repeat(every, _GRID**2)
        there = training.of(world)
        for _ in range(_ROUNDS):
            u = np.clip(np.log(size)[:, None] + reach[:, None] * offsets, low, high)
            flop = spent[:, None] * np.exp(2.0 * reach[:, None] * offsets)
            flop = np.minimum(flop, cap[:, None])
            u = np.broadcast_to(u[:, None, :], (count, _GRID, _GRID)).reshape(-1)
            flop = np.repeat(flop, _GRID, axis=1).reshape(-1)
            at_size = np.exp(u)
            at_loss = there.loss_for(at_size, flop) * (1.0 + ROUNDING)
            found = self.values(world, at_size, at_loss).reshape(count, -1)
            at = np.argmax(found, axis=1)
            pick = every * _GRID**2 + at
            better = found[every, at] > best
            best = np.where(better, found[every, at], best)
            size = np.where(better, at_size[pick], size)
            loss = np.where(better, at_loss[pick], loss)
            spent = np.where(better, flop[pick], spent)
            # stay wide while the best lies on the rim
            rim = (np.abs(at // _GRID - 2) == 2) | (np.abs(at % _GRID - 2) == 2)
            reach = np.where(better & rim, reach, reach * _SHRINK)
        return replace(self, parameters=size, loss=loss)


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
