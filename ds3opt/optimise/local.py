"""Around a plan: exact token budgets, small moves of model and loss, and what limits are worth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.envelopes import Envelopes, in_every_case, room_for
from ds3opt.optimise.menu import Actions, evaluate, first_actions
from ds3opt.optimise.moves import MODELS_ON_GRID, Models, climbed, near_price, to_whole_steps
from ds3opt.optimise.requirement import requirement
from ds3opt.optimise.training import Training
from ds3opt.problem import Budgets, Problem

FloatArray = NDArray[np.float64]

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
        size, one = np.array([parameters]), np.array([loss])

        def envelopes(actions: Actions) -> Envelopes:
            values = evaluate(problem, actions, np.full(len(actions), loss))
            here = np.zeros(len(actions), dtype=np.intp)
            return Envelopes.of(problem, actions, here, values, size)

        first = first_actions(problem, losses=(loss, loss))
        actions = to_whole_steps(first, lambda some: envelopes(some).points)
        if not all_prices and requirement(problem) is None:
            room = room_for(problem, budgets, size, one)
            actions = actions.take(near_price(envelopes(actions), room, size))
        return Neighbourhood(problem, budgets, actions)

    def values(self, loss: FloatArray, parameters: FloatArray) -> FloatArray:
        """The best value at each pair of loss and size, (case,); -inf where limits forbid it."""
        problem = self.problem
        joined = in_every_case(self.actions, loss.size)
        values = evaluate(problem, joined, loss[joined.cell])
        found = Envelopes.of(problem, joined, joined.cell, values, parameters)
        return found.best(room_for(problem, self.budgets, parameters, loss), parameters)

    def climb(self, start: Point, *, rounds: int = 9, reach: float = 0.05) -> Point:
        """The best plan near a plan; never a worse one."""
        if len(self.actions) * MODELS_ON_GRID > _MOST_ACTIONS:
            rounds = min(rounds, 3)
        begin = Models(*(np.array([x]) for x in (start.parameters, start.loss, start.value)))
        best = climbed(
            Training(self.problem.space),
            np.array([min(self.budgets.total_flop, self.budgets.training_flop)]),
            begin,
            lambda _, parameters, loss: self.values(loss, parameters),
            rounds=rounds,
            reach=reach,
        )
        return Point(float(best.value[0]), float(best.parameters[0]), float(best.loss[0]))

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
