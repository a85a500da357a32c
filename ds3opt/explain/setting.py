"""What every task could do instead, at a plan's model and prices.

A *case* is a task, perhaps with one of its quantities changed; a *way* is a policy, or an existing
model with one. At given prices the cases are independent, which makes every "what if" cheap. By
duality a forced choice loses at least the difference of net worth, a relaxed one gains at most it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.capability import step_skill_success
from ds3opt.optimise.allocation import envelope
from ds3opt.optimise.levels import at_levels
from ds3opt.optimise.menu import Actions, evaluate, first_actions
from ds3opt.optimise.moves import to_whole_steps
from ds3opt.optimise.solution import Solution, TaskAllocation
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

    @property
    def skills(self) -> FloatArray:
        """Skills that every case takes, (case,); with a skill graph at the level of the plan."""
        return self.tasks.skills

    @property
    def fewest_skills(self) -> FloatArray:
        """Skills that every case takes at least, at whatever level, (case,)."""
        return self.tasks.skills

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
    reasoning: IntArray | None = None
    """Level at which the plan reasons for a case, (case,); 0 where it does not attempt it. None
    without a skill graph."""

    @property
    def ways(self) -> tuple[Way, ...]:  # type: ignore[override]
        """The policies, each at whichever level is best."""
        every = self.problem.policies[:: self._copies]
        return tuple(Way(policy.words(), policy.name) for policy in every)

    @property
    def _copies(self) -> int:
        """Times that a policy stands on the policy axis: once for each level of a skill graph."""
        return 1 if self.problem.levels is None else self.problem.levels.count

    @property
    def step_success(self) -> FloatArray:  # type: ignore[override]
        """Chance that one step succeeds; with a skill graph at the level of the plan, if any."""
        levels = self.problem.levels
        if levels is None:
            return step_success(self.problem, np.full(len(self.tasks), self.loss))
        known, column = self._at_plan
        case = np.arange(len(self.tasks))
        # the first copies of the policies are in the order of the levels
        step = at_levels(levels, case, column, np.full(case.size, self.loss)).step
        return np.where(known, step, np.nan)

    @property
    def skills(self) -> FloatArray:
        """Skills that every case takes at the level of the plan, if any."""
        levels = self.problem.levels
        if levels is None:
            return self.tasks.skills
        known, column = self._at_plan
        at = levels.skills[np.arange(column.size), column]
        return np.where(known, at, self.tasks.skills)

    @property
    def fewest_skills(self) -> FloatArray:
        """Skills at the highest level of a skill graph."""
        levels = self.problem.levels
        return self.tasks.skills if levels is None else np.min(levels.skills, axis=1)

    @property
    def _at_plan(self) -> tuple[NDArray[np.bool_], IntArray]:
        """Whether the plan reasons for a case, and the place of its level."""
        assert self.reasoning is not None
        return self.reasoning > 0, np.maximum(self.reasoning - 1, 0)

    def menu(self, refinements: int = EXACT) -> Menu:
        """Every policy of every case on its own envelope."""
        problem, size = self.problem, np.array(self.parameters)
        attention = problem.space.attention(size)
        ways = len(problem.policies) // self._copies

        def on(actions: Actions) -> IntArray:
            values = evaluate(problem, actions, np.full(len(actions), self.loss))
            cost = values.effective_tokens(size, attention)
            owner = actions.task * ways + actions.policy // self._copies
            return envelope(owner, cost, self.worth[actions.task] * values.success)

        first = first_actions(problem, losses=(self.loss, self.loss))
        actions = to_whole_steps(first, on, refinements)
        return self._priced(actions.take(np.sort(on(actions))))

    def every_option(self) -> Menu:
        """Token budgets some percent apart."""
        return self._priced(first_actions(self.problem, _DENSE, losses=(self.loss, self.loss)))

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
            actions.policy // self._copies,
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
        if there.levels is not None and self.problem.levels is not None:
            levels = replace(there.levels, law=self.problem.levels.law)
            there = replace(there, levels=levels)
        return replace(self, problem=replace(there, space=self.problem.space))

    def at(self, index: IntArray, tasks: Tasks) -> FlopSetting:
        """The same model and price."""
        problem, levels = replace(self.problem, tasks=tasks), self.problem.levels
        reasoning = self.reasoning
        if levels is not None and reasoning is not None:
            # cases that find skills more often do so at every level
            factor = tasks.directionality / self.tasks.directionality[index]
            found = np.minimum(levels.directionality[index] * factor[:, None], 1.0)
            levels = replace(levels, skills=levels.skills[index], directionality=found)
            problem, reasoning = replace(problem, levels=levels), reasoning[index]
        return replace(self, problem=problem, worth=self.worth[index], reasoning=reasoning)


def with_model(problem: Problem, solution: Solution) -> Problem:
    """The problem with nothing but the model of an answer."""
    size = solution.parameters
    assert size is not None
    tokens = math.inf if solution.training_tokens is None else solution.training_tokens
    space = replace(
        problem.space,
        parameters=(size, size),
        training_tokens=(tokens, tokens),
        tokens_per_parameter=(0.0, math.inf),
    )
    levels = problem.levels
    if levels is not None:
        law = levels.law.for_model(size, tokens)
        space, levels = replace(space, law=law), replace(levels, law=law)
    return replace(problem, space=space, levels=levels)


def serves(row: TaskAllocation, tasks: Tasks, task: int) -> bool:
    """Whether a row of an answer does something for a task, or for one that is alike."""
    return (
        row.attempted
        and row.name == tasks.group_names[int(tasks.group[task])]
        and (row.difficulty, row.skills) == tasks.point(task)
        and (row.level or 0) == int(tasks.level[task])
    )


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
