"""What every task could do instead, at a plan's model and prices.

A *case* is a task, perhaps with one of its quantities changed; a *way* is a policy, or an existing
model with one. At given prices the cases are independent, which makes every "what if" cheap. By
duality a forced choice loses at least the difference of net worth, a relaxed one gains at most it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.capability import step_skill_success
from ds3opt.optimise.allocation import envelope
from ds3opt.optimise.menu import Actions, evaluate, first_actions, refined
from ds3opt.problem import Problem, Tasks
from ds3opt.schema import Scenario

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_DENSE = 8
"""Token budgets to an octave where curves are drawn."""
EXACT = 14
"""Refinements after which token budgets are exact to the last whole step."""


@dataclass(frozen=True)
class Way:
    """One way of serving a task."""

    words: str
    family: str


@dataclass(frozen=True)
class Menu:
    """Options of all cases; arrays (option,)."""

    case: IntArray
    way: IntArray
    success: FloatArray
    cost: FloatArray
    """What its use is worth elsewhere, at the plan's prices."""
    tokens: FloatArray
    token_budget: FloatArray
    flop: FloatArray

    def __len__(self) -> int:
        return int(self.case.size)

    def best(self, net: FloatArray, *, by_way: bool) -> IntArray:
        """The option of most net worth of every case, or of every case and way."""
        way = self.way if by_way else np.zeros_like(self.way)
        order = np.lexsort((self.cost, -net, way, self.case))
        key = np.stack([self.case[order], way[order]])
        first = np.concatenate([[True], np.any(np.diff(key, axis=1) != 0, axis=0)])
        return order[first] if order.size else order


class Setting(ABC):
    """A plan's model and prices, and the cases that are asked about."""

    problem: Problem
    """Its tasks are the cases."""
    ways: tuple[Way, ...]
    worth: FloatArray  # (case,) of a solved task, in the objective's own unit
    step_success: FloatArray  # (case,) of one step with the plan's model; nan without a loss
    unit: float
    """Worth of one unit of what is reported: 1, or that of accuracy where a resource is least."""
    paid: FloatArray  # (class,) what the plan's use is worth elsewhere, per task of the workload

    @property
    def tasks(self) -> Tasks:
        """The cases."""
        assert self.problem.tasks is not None
        return self.problem.tasks

    @abstractmethod
    def menu(self, refinements: int = EXACT) -> Menu:
        """Every way of every case at its efficient token budgets."""

    def every_option(self) -> Menu:
        """Every way of every case at token budgets all over their range, efficient or not."""
        return self.menu()

    @abstractmethod
    def free(self) -> Setting:
        """The same where compute costs nothing."""

    @abstractmethod
    def under(self, scenario: Scenario) -> Setting:
        """The same plan for a scenario that differs in what is asked about."""

    @abstractmethod
    def at(self, index: IntArray, tasks: Tasks) -> Setting:
        """The same plan for other cases, which are variations of the cases at an index."""


@dataclass(frozen=True)
class FlopSetting(Setting):
    """A plan that is counted in FLOP."""

    problem: Problem
    parameters: float
    loss: float
    price: float
    """Worth of an effective token."""
    worth: FloatArray
    paid: FloatArray
    unit: float = 1.0

    @property
    def ways(self) -> tuple[Way, ...]:  # type: ignore[override]
        """The policies."""
        return tuple(Way(policy.words(), policy.name) for policy in self.problem.policies)

    @property
    def step_success(self) -> FloatArray:  # type: ignore[override]
        """Chance that one step succeeds."""
        return step_success(self.problem, np.full(len(self.tasks), self.loss))

    def menu(self, refinements: int = EXACT) -> Menu:
        """Every policy of every case on its own envelope."""
        problem, size = self.problem, np.array(self.parameters)
        attention = problem.space.attention(size)
        actions = first_actions(problem)
        for _ in range(refinements):
            values = evaluate(problem, actions, np.full(len(actions), self.loss))
            cost = values.effective_tokens(size, attention)
            owner = actions.task * len(problem.policies) + actions.policy
            on = np.zeros(len(actions), bool)
            on[envelope(owner, cost, self.worth[actions.task] * values.success)] = True
            gaps = (actions.above - actions.steps > 1.5) | (actions.steps - actions.below > 1.5)
            actions = actions.take(on)
            if not np.any(gaps[on]):
                break
            actions = refined(actions, np.ones(len(actions), bool))
        return self._priced(actions)

    def every_option(self) -> Menu:
        """Token budgets some percent apart."""
        return self._priced(first_actions(self.problem, _DENSE))

    def _priced(self, actions: Actions) -> Menu:
        problem, size = self.problem, np.array(self.parameters)
        values = evaluate(problem, actions, np.full(len(actions), self.loss))
        cost = values.effective_tokens(size, problem.space.attention(size))
        samples, width = np.array(
            [(p.samples, p.width) for p in problem.policies], dtype=np.float64
        ).T[:, actions.policy]
        prompts = samples * self.tasks.prompt_tokens[actions.task] if problem.prefill else 0.0
        width = width * self.tasks.tokens_per_step[actions.task]
        return Menu(
            actions.task,
            actions.policy,
            values.success,
            self.price * cost,
            values.tokens - prompts,
            width * actions.steps,
            2.0 * self.parameters * cost,
        )

    def free(self) -> FlopSetting:
        """The same at no price."""
        return replace(self, price=0.0)

    def under(self, scenario: Scenario) -> FlopSetting:
        """The same model and price."""
        from ds3opt.problem import compile_problem

        there = compile_problem(scenario)
        return replace(self, problem=replace(there, space=self.problem.space))

    def at(self, index: IntArray, tasks: Tasks) -> FlopSetting:
        """The same model and price."""
        return replace(self, problem=replace(self.problem, tasks=tasks), worth=self.worth[index])


def step_success(problem: Problem, loss: FloatArray) -> FloatArray:
    """Chance that one step of every task succeeds at a loss, (task,); nan where it was measured."""
    tasks = problem.tasks
    assert tasks is not None
    known = np.isfinite(loss)
    found = tasks.directionality * step_skill_success(
        np.where(known, loss, 1.0),
        tasks.difficulty,
        slope=problem.capability_slope,
        scale=problem.capability_scale,
        offset=problem.capability_offset,
    )
    known &= np.array([tasks.group_population[group] is None for group in tasks.group])
    return np.where(known, np.minimum(found, 1.0), np.nan)
