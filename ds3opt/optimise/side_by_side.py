"""Several problems that differ in their numbers only, searched as one: all cells in each wave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.loss import LossLaw
from ds3opt.laws.loss_laws import LossLaws
from ds3opt.optimise.cells import Cells
from ds3opt.optimise.envelopes import room_left, spared
from ds3opt.optimise.menu import Actions
from ds3opt.optimise.optimum import Found, Progress
from ds3opt.optimise.requirement import requirement
from ds3opt.optimise.search import Search, is_smooth
from ds3opt.optimise.training import Training
from ds3opt.policies import TaskTraits
from ds3opt.problem import Problem, Tasks

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_OF_TASKS = ("capability_slope", "capability_scale", "capability_offset")
_OF_ONE = (*_OF_TASKS, "name", "tasks_served", "tasks", "space", "capability_loss", "budgets")
"""What may differ between the problems."""
_LAW = ("law", "law_name")


def alike(problems: Sequence[Problem]) -> bool:
    """Whether problems can lie side by side: accuracy or value in FLOP, under a loss law."""
    first = problems[0]
    rest = [f.name for f in fields(Problem) if f.name not in _OF_ONE]
    spaces = [f.name for f in fields(first.space) if f.name not in _LAW]
    if first.tasks is None or first.objective not in ("accuracy", "value"):
        return False
    if first.shared_budget or first.levels is not None:
        return False
    laws = [one.space.law for one in problems]
    known = [isinstance(law, LossLaw) and law.repetition is not None for law in laws]
    return (
        all(isinstance(law, LossLaw) for law in laws)
        and (all(known) or not any(known))
        and all(_same(one.space, first.space, spaces) for one in problems)
        and all(_same(one, first, rest) for one in problems)
        and all(one.tasks is not None and len(one.tasks) == len(first.tasks) for one in problems)
        and all(requirement(one) is None for one in problems)
    )


def _same(one: object, other: object, names: list[str]) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in names)


@dataclass(frozen=True)
class Stack:
    """Problems that lie side by side; the tasks of `problem` are those of all of them in turn."""

    problems: tuple[Problem, ...]
    problem: Problem

    @staticmethod
    def of(problems: Sequence[Problem]) -> Stack:
        """Problems that are `alike`."""
        return Stack(tuple(problems), stacked(problems))

    def __len__(self) -> int:
        return len(self.problems)

    def take(self, index: IntArray) -> Stack:
        """Some of the problems."""
        if index.size == len(self):
            return self
        return Stack.of([self.problems[i] for i in index])

    @property
    def tasks(self) -> Tasks:
        """The tasks of all problems."""
        assert self.problem.tasks is not None
        return self.problem.tasks

    @property
    def each(self) -> int:
        """Tasks of one problem."""
        return len(self.tasks) // len(self)

    def of_tasks(self, task: IntArray) -> IntArray:
        """The problem that tasks belong to."""
        return task // self.each

    @cached_property
    def training_cap(self) -> FloatArray:
        """Most training FLOP, (problem,)."""
        budgets = [one.budgets for one in self.problems]
        return np.array([min(one.total_flop, one.training_flop) for one in budgets])

    @cached_property
    def _total(self) -> FloatArray:
        return np.array([one.budgets.total_flop for one in self.problems])

    @cached_property
    def _inference(self) -> FloatArray:
        return np.array([one.budgets.inference_flop for one in self.problems])

    @cached_property
    def served(self) -> FloatArray:
        """Tasks that share the training, (problem,)."""
        return np.array([one.tasks_served for one in self.problems])

    def room(self, index: IntArray, parameters: FloatArray, loss: FloatArray) -> FloatArray:
        """Inference FLOP per task that training leaves, (case,), as `room_for` has it for one."""
        return spared(
            room_left(
                Training(self.problem.space).of(index).flop(parameters, loss),
                self._total[index],
                self.training_cap[index],
                self._inference[index],
                self.served[index],
            )
        )

    def best_plans(self, gap: float, *, progress: Progress | None = None) -> list[Found]:
        """The best plan of every problem under its own limits, with its upper bound.

        Each is what `best_plans` finds for it alone; together they take a fraction of the time.
        """
        budgets = [one.budgets for one in self.problems]
        search = SideBySideSearch(
            self.problem, budgets, gap, None, progress, problems=self.problems
        )
        return [
            Found(i.value if i.actions is not None else -np.inf, i.upper, i.parameters, i.loss)
            for i in search.run()
        ]


@dataclass
class SideBySideSearch(Search):
    """A search whose budget i is that of problem i; tasks are those of all problems in turn."""

    problems: Sequence[Problem] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        each = len(self.problems)
        self.most = np.sum((self.weight * self.worth).reshape(each, -1), axis=1)
        self.smooth = is_smooth(self.weight.size // each)

    def _tasks_served(self) -> FloatArray:
        return np.array([one.tasks_served for one in self.problems])

    def _together(self, children: list[Cells]) -> list[Cells]:
        # small blocks cost as much as large ones
        return [self._trimmed(Cells.joined(children))] if children else []

    def _menu(self, budget: int, low: float, high: float) -> Actions:
        return self._menus[budget]

    @cached_property
    def _menus(self) -> list[Actions]:
        """The actions of every problem."""
        assert self.everything is not None
        each = self.weight.size // len(self.problems)
        ends = np.searchsorted(self.everything.task, each * np.arange(len(self.problems) + 1))
        return [self.everything.take(np.arange(begin, end)) for begin, end in pairwise(ends)]


def stacked(problems: Sequence[Problem]) -> Problem:
    """Problems as one, whose tasks are those of all in turn, each with its own sigmoid."""
    first, tasks = problems[0], [one.tasks for one in problems if one.tasks is not None]
    each = len(tasks[0])
    laws = [one.space.law for one in problems]
    space = replace(first.space, law=LossLaws.of([law for law in laws if isinstance(law, LossLaw)]))
    constants: dict[str, Any] = {
        name: np.repeat(np.array([getattr(one, name) for one in problems]), each)
        for name in _OF_TASKS
    }
    return replace(
        first,
        tasks=stacked_tasks(tasks),
        space=space,
        max_cells=first.max_cells * len(problems),
        **constants,
    )


def stacked_tasks(tasks: Sequence[Tasks]) -> Tasks:
    """The tasks of several problems in turn, their classes numbered apart."""
    own = {"traits", "group"}
    names = [f.name for f in fields(Tasks) if f.name not in own]
    joined: dict[str, Any] = {
        name: (
            sum((getattr(one, name) for one in tasks), ())
            if isinstance(getattr(tasks[0], name), tuple)
            else np.concatenate([getattr(one, name) for one in tasks])
        )
        for name in names
    }
    groups = len(tasks[0].group_names)
    group = np.concatenate([one.group + groups * place for place, one in enumerate(tasks)])
    return Tasks(**joined, group=group, traits=_stacked_traits([one.traits for one in tasks]))


def _stacked_traits(traits: Sequence[TaskTraits]) -> TaskTraits:
    spectra = tuple(dict.fromkeys(shares for one in traits for shares in one.wrong_answer_shares))
    place = {shares: index for index, shares in enumerate(spectra)}
    spectrum = []
    for one in traits:
        there = np.array([place[shares] for shares in one.wrong_answer_shares] or [-1])
        spectrum.append(np.where(one.spectrum < 0, -1, there[np.maximum(one.spectrum, 0)]))
    scored = any(one.discrimination is not None for one in traits)
    return TaskTraits(
        np.concatenate([one.true_positive_rate for one in traits]),
        np.concatenate([one.false_positive_rate for one in traits]),
        spectra,
        np.concatenate(spectrum),
        np.concatenate([_discrimination(one) for one in traits]) if scored else None,
    )


def _discrimination(traits: TaskTraits) -> FloatArray:
    if traits.discrimination is None:
        return np.full(traits.spectrum.shape, np.nan)
    return traits.discrimination
