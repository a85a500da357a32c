"""Around a plan: exact token budgets, small moves of model and loss, and what limits are worth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.allocation import active, envelope, segments, spend
from ds3opt.optimise.menu import Actions, evaluate, first_actions, refined
from ds3opt.optimise.requirement import requirement
from ds3opt.optimise.training import Training
from ds3opt.problem import Budgets, Problem

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_GRID = 5
ROUNDING = 1e-12
"""Relative loss given away so that its training, worked out again, stays within the limits."""
REFINEMENTS = 14
PRICE_REACH = 4.0
"""Prices within this factor of a plan's own count as near."""
_MOST_ACTIONS = 400_000
"""Actions that one round of moves may evaluate; larger problems take coarser rounds."""


@dataclass(frozen=True)
class Point:
    """A model size, the loss that it is trained to, and what the limits then allow."""

    value: float
    parameters: float
    loss: float


@dataclass(frozen=True)
class Neighbourhood:
    """The actions that matter near a plan, and the limits it must keep."""

    problem: Problem
    budgets: Budgets
    actions: Actions

    @staticmethod
    def around(
        problem: Problem,
        budgets: Budgets,
        parameters: float,
        loss: float,
        *,
        all_prices: bool = False,
    ) -> Neighbourhood:
        """The actions on the tasks' envelopes at a plan, to the last whole step.

        Those for prices far from the plan's own are left out unless asked for.
        """
        actions = first_actions(problem, losses=(loss, loss))
        attention = problem.space.attention(np.array(parameters))
        assert problem.tasks is not None
        for _ in range(REFINEMENTS):
            values = evaluate(problem, actions, np.full(len(actions), loss))
            cost = values.effective_tokens(np.array(parameters), attention)
            gain = problem.tasks.value[actions.task] * values.success
            on = np.zeros(len(actions), bool)
            on[envelope(actions.task, cost, gain)] = True
            gaps = (actions.above - actions.steps > 1.5) | (actions.steps - actions.below > 1.5)
            if not np.any(on & gaps):
                break
            actions = refined(actions.take(on), np.ones(int(on.sum()), bool))
        near = Neighbourhood(problem, budgets, actions)
        if all_prices or requirement(problem) is not None:
            return near
        return near._within_prices(parameters, loss)

    def _within_prices(self, parameters: float, loss: float) -> Neighbourhood:
        """Only the actions that are best at some price near the plan's."""
        problem, actions = self.problem, self.actions
        tasks = problem.tasks
        assert tasks is not None
        size = np.array(parameters)
        room = room_for(problem, self.budgets, size, np.array(loss))
        if len(actions) == 0 or room <= 0.0:
            return self
        values = evaluate(problem, actions, np.full(len(actions), loss))
        cost = values.effective_tokens(size, problem.space.attention(size))
        gain = tasks.value[actions.task] * values.success
        points = envelope(actions.task, cost, gain)
        nought = np.zeros(len(actions), dtype=np.intp)
        found = segments(points, nought, actions.task, cost, gain, tasks.weight[actions.task], 1)
        price = spend(found, np.atleast_1d(room / (2.0 * parameters))).price
        if price[0] <= 0.0 or not np.isfinite(price[0]):
            return self
        low, high = (np.full(points.size, f * price[0]) for f in (1.0 / PRICE_REACH, PRICE_REACH))
        keep = active(actions.task[points], cost[points], gain[points], low, high)
        return replace(self, actions=actions.take(np.sort(points[keep])))

    def values(self, loss: FloatArray, parameters: FloatArray) -> FloatArray:
        """The best value at each pair of loss and size, (case,); -inf where limits forbid it."""
        problem, count = self.problem, loss.size
        tasks = problem.tasks
        assert tasks is not None
        room = room_for(problem, self.budgets, parameters, loss)
        actions = self.actions
        cell = np.repeat(np.arange(count), len(actions))
        joined = actions.take(np.tile(np.arange(len(actions)), count))
        values = evaluate(problem, joined, loss[cell])
        attention = problem.space.attention(parameters)
        cost = values.effective_tokens(parameters[cell], attention[cell])
        gain = tasks.value[joined.task] * values.success
        owner = cell * len(tasks) + joined.task
        points = envelope(owner, cost, gain)
        needs = requirement(problem)
        if needs is not None:
            needs = replace(needs, group=tasks.group[joined.task])
        found = segments(points, cell, owner, cost, gain, tasks.weight[joined.task], count, needs)
        with np.errstate(invalid="ignore"):
            bought = spend(found, room / (2.0 * parameters))
        return np.where(room >= 0.0, bought.value, -np.inf)

    def climb(self, start: Point, *, rounds: int = 9, reach: float = 0.05) -> Point:
        """The best plan near a plan, by grids in (ln size, ln training FLOP) that close in.

        In these coordinates every limit on training is an edge of the grid, not a curve through
        it on which a grid would stay where it first meets it.
        """
        training = Training(self.problem.space)
        low, high = np.log(training.space.parameters)
        cap = min(self.budgets.total_flop, self.budgets.training_flop)
        best = start
        at_size = np.array([start.parameters])
        spent = float(training.flop(at_size, np.array([start.loss]))[0])
        offsets = np.linspace(-1.0, 1.0, _GRID)
        if len(self.actions) * _GRID**2 > _MOST_ACTIONS:
            rounds = min(rounds, 3)
        for _ in range(rounds):
            u = np.clip(np.log(best.parameters) + reach * offsets, low, high)
            flop = np.minimum(spent * np.exp(2.0 * reach * offsets), cap)
            u, flop = (grid.ravel() for grid in np.meshgrid(u, flop))
            loss = training.loss_for(np.exp(u), flop) * (1.0 + ROUNDING)
            found = self.values(loss, np.exp(u))
            at = int(np.argmax(found))
            if found[at] > best.value:
                best = Point(float(found[at]), float(np.exp(u[at])), float(loss[at]))
                spent = float(flop[at])
                # stay wide while the best lies on the rim
                if abs(at // _GRID - 2) == 2 or abs(at % _GRID - 2) == 2:
                    continue
            reach *= 0.45
        return best

    def ranges(self, best: Point, gap: float) -> dict[str, tuple[float, float]]:
        """Ranges of the decisions over plans within the gap of the best, from a closing grid."""
        irreducible = self.problem.space.law.irreducible
        side = 15 if len(self.actions) * 225 <= 4 * _MOST_ACTIONS else 5
        training = Training(self.problem.space)
        half = np.array([0.7, 0.2])
        centre = np.array([np.log(best.parameters), np.log(max(best.loss - irreducible, 1e-12))])
        low, high = np.log(self.problem.space.parameters)
        offsets = np.linspace(-1.0, 1.0, side)
        sizes, tokens = np.array([best.parameters]), np.zeros(0)
        for _ in range(6):
            u = np.clip(centre[0] + half[0] * offsets, low, high)
            t = centre[1] + half[1] * offsets
            u, t = (grid.ravel() for grid in np.meshgrid(u, t))
            loss = irreducible + np.exp(t)
            size = np.exp(u)
            near = self.values(loss, size) >= best.value - gap
            sizes = np.append(size[near], best.parameters)
            losses = np.append(loss[near], best.loss)
            tokens = training.tokens(sizes, losses)
            box = (
                np.array([[u[near].min(), u[near].max()], [t[near].min(), t[near].max()]])
                if np.any(near)
                else np.array([[centre[0]] * 2, [centre[1]] * 2])
            )
            wanted = np.maximum(0.7 * (box[:, 1] - box[:, 0]), 0.15 * half)
            if np.all(wanted > 0.6 * half):
                break
            half = np.minimum(wanted, half)
        if not np.all(np.isfinite(tokens)):
            return {"parameters": (float(sizes.min()), float(sizes.max()))}
        ratio = tokens / sizes
        return {
            "parameters": (float(sizes.min()), float(sizes.max())),
            "training_tokens": (float(tokens.min()), float(tokens.max())),
            "tokens_per_parameter": (float(ratio.min()), float(ratio.max())),
        }

    def under(self, problem: Problem, budgets: Budgets) -> Neighbourhood:
        """The same actions under other limits."""
        return replace(self, problem=problem, budgets=budgets)


def room_for(
    problem: Problem, budgets: Budgets, parameters: FloatArray, loss: FloatArray
) -> FloatArray:
    """Inference FLOP per task that training to a loss leaves; -1 where training is too dear.

    A part in 1e12 is kept back, so that rounding never carries a plan over a limit.
    """
    spent = Training(problem.space).flop(parameters, loss)
    with np.errstate(invalid="ignore"):
        left = (budgets.total_flop - spent) / problem.tasks_served
    room = np.minimum(
        np.where(np.isnan(left), np.inf, left), budgets.inference_flop / problem.tasks_served
    )
    possible = np.isfinite(spent) & (spent <= min(budgets.total_flop, budgets.training_flop))
    return np.where(possible, np.maximum(room, 0.0) * (1.0 - 1e-12), -1.0)
