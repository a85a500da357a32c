"""Several draws of one scenario as arrays: what they share, and what differs between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import Problem as Mistake
from ds3opt.errors import UsageError
from ds3opt.laws.capability import step_skill_success
from ds3opt.laws.loss import LossLaw
from ds3opt.laws.loss_laws import LossLaws
from ds3opt.optimise.menu import Actions, first_actions
from ds3opt.optimise.side_by_side import stacked_tasks
from ds3opt.optimise.training import Training
from ds3opt.policies import TaskTraits
from ds3opt.problem import Budgets, Problem, Tasks, TrainingSpace

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_OF_A_TRACE = (
    "skills",
    "fatigue",
    "tokens_per_step",
    "prompt_tokens",
    "verifier_parameters",
    "flop_per_check",
    "max_steps",
)
"""Numbers of a task that decide what an action does, beside the chance that a step succeeds."""


@dataclass(frozen=True)
class Ensemble:
    """Problems that differ in numbers only; axis order: draw, then task."""

    problems: tuple[Problem, ...]
    common: Problem
    """One problem in their place: mean limits, what all of them allow, a loss law between theirs.

    Its loss is a coordinate for pairs of model size and training tokens, and no draw's own loss
    unless all draws share their law. Its weights and values are means over draws. Its traces may
    be as long as in any draw; where a draw has room for less, they end there."""
    weight: FloatArray  # (draw, task)
    worth: FloatArray  # (draw, task)
    served: FloatArray  # (draw,) tasks over the horizon
    stacked: Problem
    """The tasks of all draws one after the other, at index ``draw x tasks + task``."""
    alike: NDArray[np.bool_]
    """(task,) whether draws differ in nothing but the chance that a step succeeds, weight, worth"""

    @staticmethod
    def of(problems: Sequence[Problem]) -> Ensemble:
        """The draws as arrays.

        Raises
        ------
        UsageError : where they differ in more than numbers, or have no classes or a skill graph.
        """
        _refuse_unlike(problems)
        tasks = [_tasks(problem) for problem in problems]
        first = problems[0]
        weight = np.array([t.weight for t in tasks])
        worth = np.array([t.value for t in tasks])
        stacked = stacked_tasks(tasks)
        common_tasks = replace(
            tasks[0],
            weight=weight.mean(axis=0),
            value=_mean_worth(weight, worth),
            max_steps=np.max([t.max_steps for t in tasks], axis=0),
            skills=np.min([t.skills for t in tasks], axis=0),
            group_share=np.mean([t.group_share for t in tasks], axis=0),
            group_min_accuracy=np.mean([t.group_min_accuracy for t in tasks], axis=0),
        )
        served = np.array([problem.tasks_served for problem in problems])
        common = replace(
            first,
            tasks=common_tasks,
            tasks_served=float(served.mean()),
            space=_common_space(problems),
            budgets=mean_limits(problems),
        )
        return Ensemble(
            tuple(problems),
            common,
            weight,
            worth,
            served,
            replace(first, tasks=stacked),
            _alike(tasks),
        )

    def searched(self, gap: float, max_cells: int) -> Ensemble:
        """The same draws with what a search is to reach, and when it stops."""
        return replace(
            self,
            common=replace(self.common, gap=gap, max_cells=max_cells),
            stacked=replace(self.stacked, gap=gap),
        )

    def __len__(self) -> int:
        return len(self.problems)

    @property
    def tasks(self) -> int:
        """Tasks of every draw."""
        return int(self.weight.shape[1])

    def first_actions(self) -> Actions:
        """`menu.first_actions` of the common problem, with every draw's last step on the lattice.

        Between two steps of the lattice a draw's trace then either goes on or has ended.
        """
        tasks, actions = self.common.tasks, first_actions(self.common)
        assert tasks is not None
        assert self.stacked.tasks is not None
        last = self.stacked.tasks.max_steps.reshape(len(self), self.tasks)
        if np.all(last == last[0]):
            return actions
        ends = np.unique(
            np.stack([np.tile(np.arange(self.tasks), len(self)), last.ravel()]), axis=1
        )
        pairs, lowest = np.unique(
            np.stack([actions.task, actions.policy]), axis=1, return_index=True
        )
        # the lattice of a task begins at the same step for every policy
        pair, end = np.nonzero(pairs[0][:, None] == ends[0])
        inside = ends[1, end] > actions.steps[lowest[pair]]
        pair, end = pair[inside], end[inside]
        points = np.unique(
            np.stack(
                [
                    np.concatenate([actions.task, pairs[0, pair]]).astype(np.float64),
                    np.concatenate([actions.policy, pairs[1, pair]]).astype(np.float64),
                    np.concatenate([actions.steps, ends[1, end]]),
                ]
            ),
            axis=1,
        )
        task, policy = points[:2].astype(np.intp)
        steps = points[2]
        next_one = np.all(np.diff(points[:2], axis=1) == 0.0, axis=0)
        below, above = steps.copy(), steps.copy()
        below[1:] = np.where(next_one, steps[:-1], steps[1:])
        above[:-1] = np.where(next_one, steps[1:], steps[:-1])
        return Actions(np.zeros_like(task), task, policy, steps, below, above)

    @cached_property
    def one_law(self) -> bool:
        """Whether all draws share their loss law, so that its loss is everybody's."""
        first = self.problems[0].space
        return all(
            p.space.law == first.law and p.space.unique_tokens == first.unique_tokens
            for p in self.problems
        )

    @cached_property
    def _law(self) -> Callable[[FloatArray, FloatArray], FloatArray]:
        spaces = [problem.space for problem in self.problems]
        if self.one_law:
            training = Training(replace(spaces[0]))
            return lambda n, d: np.broadcast_to(training.reached_loss(n, d), (len(self), n.size))
        unique = np.array([[space.unique_tokens] for space in spaces])
        law = LossLaws.of(_loss_laws([space.law for space in spaces]))

        def each(parameters: FloatArray, tokens: FloatArray) -> FloatArray:
            shape = (len(self), parameters.size)
            sizes, data = (np.broadcast_to(one, shape) for one in (parameters, tokens))
            return np.asarray(law.loss(sizes, data, unique))

        return each

    def losses(self, parameters: FloatArray, training_tokens: FloatArray) -> FloatArray:
        """Loss of models in every draw, (draw, model); infinite tokens where data is infinite."""
        return self._law(parameters, training_tokens)

    def step_success(self, loss: FloatArray) -> FloatArray:
        """Chance that a step finds and executes the next skill, (draw, model, task).

        Parameters
        ----------
        loss : (draw, model).
        """
        problems, shape = self.problems, (len(self), self.tasks)
        assert self.stacked.tasks is not None
        difficulty = self.stacked.tasks.difficulty.reshape(shape)
        found = self.stacked.tasks.directionality.reshape(shape)
        slope, scale, offset = np.array(
            [(p.capability_slope, p.capability_scale, p.capability_offset) for p in problems]
        ).T[:, :, None, None]
        step = step_skill_success(
            loss[:, :, None], difficulty[:, None, :], slope=slope, scale=scale, offset=offset
        )
        return np.asarray(found[:, None, :] * step)


def mean_limits(problems: Sequence[Problem]) -> Budgets:
    """The limits that a plan for all draws keeps on average: the mean of the draws' own."""
    return Budgets(
        *(
            float(np.mean([getattr(problem.budgets, name) for problem in problems]))
            for name in ("total_flop", "training_flop", "inference_flop")
        )
    )


def refuse_unplanned(problem: Problem) -> None:
    """Raise a UsageError where a scenario asks for what has no robust plan."""
    if problem.objective not in ("accuracy", "value"):
        raise _refusal(
            f"an objective of {problem.objective} has no robust plan yet",
            "ask for accuracy or value under limits in FLOP",
        )
    if problem.shared_budget:
        raise _refusal(
            "one token budget for all classes has no robust plan yet",
            "set reasoning.budgets: per_class",
        )
    if problem.space.on_ray:
        raise _refusal("training on a law's own ratio has no robust plan", "leave the ratio free")


def _refuse_unlike(problems: Sequence[Problem]) -> None:
    """Raise a UsageError unless the problems are draws of one scenario with classes."""
    if not problems:
        raise UsageError("an ensemble needs at least one draw")
    first = problems[0]
    if first.tasks is None:
        raise _refusal(
            "a scenario without classes has no plan to score", "list classes under workload.mix"
        )
    if first.levels is not None:
        raise _refusal(
            "plans on a skill graph cannot be scored over draws yet",
            "replace model.skill_graph by model.loss_law",
        )
    if any(_form(problem) != _form(first) for problem in problems[1:]):
        raise _refusal(
            "the draws differ in more than numbers",
            "classes, numbers of policies and attention's shape must be known exactly",
        )


def _refusal(message: str, hint: str) -> UsageError:
    return UsageError(Mistake(message, hint=hint))


def _form(problem: Problem) -> tuple[object, ...]:
    """All that draws of one scenario have in common."""
    tasks, space = _tasks(problem), problem.space
    return (
        tasks.group_names,
        tasks.group.tobytes(),
        tasks.allowed.tobytes(),
        tuple(population is None for population in tasks.group_population),
        problem.policies,
        problem.objective,
        problem.shared_budget,
        problem.charge_budget,
        problem.prefill,
        problem.levels is None,
        space.layers_times_width,
        space.width_per_layer,
        space.sequence_tokens,
        space.infinite_data,
        space.on_ray,
    )


def _tasks(problem: Problem) -> Tasks:
    assert problem.tasks is not None
    return problem.tasks


def _mean_worth(weight: FloatArray, worth: FloatArray) -> FloatArray:
    total = weight.sum(axis=0)
    if np.all(worth == worth[0]):
        return np.asarray(worth[0])
    return np.asarray(np.sum(weight * worth, axis=0) / np.where(total > 0.0, total, 1.0))


def _common_space(problems: Sequence[Problem]) -> TrainingSpace:
    """What every draw allows, under a law between theirs."""
    spaces = [problem.space for problem in problems]

    def both(name: str) -> tuple[float, float]:
        ends = np.array([getattr(space, name) for space in spaces])
        return float(ends[:, 0].max()), float(ends[:, 1].min())

    return replace(
        spaces[0],
        law=_between([space.law for space in spaces]),
        parameters=both("parameters"),
        training_tokens=both("training_tokens"),
        tokens_per_parameter=both("tokens_per_parameter"),
        unique_tokens=float(np.exp(np.mean([np.log(space.unique_tokens) for space in spaces]))),
    )


def _between(laws: Sequence[object]) -> LossLaw:
    own = _loss_laws(laws)
    if all(law == own[0] for law in own):
        return own[0]
    return replace(
        own[0],
        irreducible=float(np.mean([law.irreducible for law in own])),
        parameter_coefficient=_typical([law.parameter_coefficient for law in own]),
        data_coefficient=_typical([law.data_coefficient for law in own]),
        parameter_exponent=float(np.mean([law.parameter_exponent for law in own])),
        data_exponent=float(np.mean([law.data_exponent for law in own])),
    )


def _typical(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))


def _loss_laws(laws: Sequence[object]) -> list[LossLaw]:
    own = [law for law in laws if isinstance(law, LossLaw)]
    if len(own) != len(laws) or len({law.repetition is None for law in own}) > 1:
        raise _refusal("the draws differ in the kind of their loss law", "draw from one law")
    return own


def _alike(tasks: Sequence[Tasks]) -> NDArray[np.bool_]:
    """Which tasks are served the same in all draws once the chance of a step is known."""
    first = tasks[0]
    same = np.ones(len(first), bool)
    for name in _OF_A_TRACE:
        same &= np.all([getattr(t, name) == getattr(first, name) for t in tasks], axis=0)
    for each in tasks:
        mine, other = each.traits, first.traits
        same &= mine.true_positive_rate == other.true_positive_rate
        same &= mine.false_positive_rate == other.false_positive_rate
        same &= [_spectrum(mine, t) == _spectrum(other, t) for t in range(len(first))]
        if mine.discrimination is not None and other.discrimination is not None:
            scores = np.array([mine.discrimination, other.discrimination])
            same &= (scores[0] == scores[1]) | np.all(np.isnan(scores), axis=0)
        known = np.array([each.measured, first.measured])
        same &= np.all((known[0] == known[1]) | np.all(np.isnan(known), axis=0), axis=1)
    return same


def _spectrum(traits: TaskTraits, task: int) -> tuple[float, ...] | None:
    index = int(traits.spectrum[task])
    return None if index < 0 else traits.wrong_answer_shares[index]
