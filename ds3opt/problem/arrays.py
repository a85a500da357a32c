"""A scenario as arrays, and the axes that they share.

Axis order is declared once: tasks first, then policies. A *task* here is one point of a class
(one difficulty, one number of skills); a *class* is what the scenario lists under `mix`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.compute import layers_times_width
from ds3opt.laws.populations import Population
from ds3opt.laws.skill_training import SkillGraphTraining
from ds3opt.laws.training_law import TrainingLaw
from ds3opt.policies import Policy, TaskTraits
from ds3opt.schema.observed import FittedClass

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True)
class Tasks:
    """The tasks of a mix as arrays."""

    weight: FloatArray  # (task,) share of all tasks, sums to 1
    value: FloatArray  # (task,) worth of a solved task; 1 for accuracy
    difficulty: FloatArray  # (task,) nats/token; 0 with a skill graph
    level: FloatArray  # (task,) whole, of a skill graph; 0 without one
    skills: FloatArray  # (task,) whole
    directionality: FloatArray  # (task,)
    fatigue: FloatArray  # (task,)
    tokens_per_step: FloatArray  # (task,)
    prompt_tokens: FloatArray  # (task,)
    max_steps: FloatArray  # (task,) whole steps of one trace at most
    verifier_parameters: FloatArray  # (task,)
    flop_per_check: FloatArray  # (task,)
    allowed: NDArray[np.bool_]  # (task, policy)
    measured: FloatArray  # (task, policy) success; nan where it follows from the law
    traits: TaskTraits
    group: IntArray  # (task,) index of the class
    group_names: tuple[str, ...]
    group_share: FloatArray  # (class,)
    group_min_accuracy: FloatArray  # (class,)
    group_population: tuple[Population | None, ...]
    """The problems of classes that were measured."""
    group_fitted: tuple[FittedClass | None, ...] = ()
    """What stands behind classes that were fitted."""

    def __len__(self) -> int:
        return int(self.weight.size)

    def take(self, index: IntArray, weight: FloatArray) -> Tasks:
        """Tasks at an index, with weights of their own; the classes stay as they are."""
        per_task = [f.name for f in fields(self) if not f.name.startswith("group_")]
        arrays = {name: getattr(self, name) for name in per_task if name != "traits"}
        taken = {name: array[index] for name, array in arrays.items()}
        return replace(self, **{**taken, "weight": weight, "traits": self.traits.take(index)})

    def point(self, task: int) -> tuple[float | None, int | None]:
        """Difficulty and skills of a task; None where it was measured."""
        if self.group_population[self.group[task]] is not None:
            return None, None
        return float(self.difficulty[task]), int(self.skills[task])


@dataclass(frozen=True)
class TrainingSpace:
    """What may be trained, and what training costs."""

    law: TrainingLaw
    law_name: str
    parameters: tuple[float, float]
    training_tokens: tuple[float, float]
    """(inf, inf) where data is infinite and training is not charged."""
    tokens_per_parameter: tuple[float, float]
    unique_tokens: float
    layers_times_width: float
    """Fixed layers x attention width; 0 without attention or where it follows size."""
    width_per_layer: float
    """Where attention follows size; 0 otherwise."""
    sequence_tokens: float
    on_ray: bool = False
    """Whether training tokens must be those that the law calls compute-optimal for the size."""

    @property
    def infinite_data(self) -> bool:
        """Whether data is endless and free."""
        return math.isinf(self.training_tokens[0])

    def attention(self, parameters: FloatArray) -> FloatArray:
        """Layers x attention width at a model size."""
        if self.width_per_layer > 0:
            return np.asarray(layers_times_width(parameters, self.width_per_layer))
        return np.full_like(np.asarray(parameters, dtype=np.float64), self.layers_times_width)


@dataclass(frozen=True)
class Budgets:
    """Upper limits in FLOP; inf where there is none."""

    total_flop: float = math.inf
    training_flop: float = math.inf
    inference_flop: float = math.inf

    def with_limit(self, name: str, value: float) -> Budgets:
        """The same limits but one."""
        return replace(self, **{name: value})

    def items(self) -> list[tuple[str, float]]:
        """Names and values of the limits that exist."""
        named = [(n, getattr(self, n)) for n in ("total_flop", "training_flop", "inference_flop")]
        return [(name, limit) for name, limit in named if math.isfinite(limit)]


@dataclass(frozen=True)
class Levels:
    """Tasks at every level of a skill graph that they may be reasoned at.

    The level is part of the policy axis: every policy is there once for each level, in the order of
    the levels.
    """

    law: SkillGraphTraining
    reasoning: IntArray  # (policy,) level, from 1
    skills: FloatArray  # (task, level) whole; inf beyond float64
    directionality: FloatArray  # (task, level)
    smallest: float = 0.0
    """Model size below which the law does not speak; 0 where the scenario's own limit is higher."""

    @property
    def count(self) -> int:
        """Levels of the graph."""
        return self.law.graph.levels


@dataclass(frozen=True)
class Problem:
    """A scenario compiled to arrays."""

    name: str
    tasks_served: float
    """I, tasks over the horizon; 0 for objectives of pretraining loss."""
    served_tokens: float
    tasks: Tasks | None
    policies: tuple[Policy, ...]
    space: TrainingSpace
    capability_slope: float | FloatArray
    """Of all tasks, or (task,) where problems lie side by side; so are scale and offset."""
    capability_scale: float | FloatArray
    capability_offset: float | FloatArray
    capability_loss: tuple[float, float] | None
    """Lowest and highest loss that the capability was fitted on, where it says so."""
    shared_budget: bool
    token_budget: tuple[float, float]
    charge_budget: bool
    continuous_steps: bool
    clamped_steps: bool
    """Whether tasks fail for sure with fewer steps than skills, under continuous steps."""
    prefill: bool
    budgets: Budgets
    objective: str
    """accuracy, value, or a resource to minimise, or loss."""
    target_accuracy: float | None
    target_loss: float | None
    gap: float
    resource_gap: float
    max_cells: int
    levels: Levels | None = None
    """How tasks look at the levels of a skill graph; None with a loss law."""

    @property
    def measured(self) -> bool:
        """Whether any class was measured, which fixes the model."""
        return self.tasks is not None and any(self.tasks.group_population)

    @property
    def all_measured(self) -> bool:
        """Whether nothing depends on what is trained."""
        return self.tasks is not None and all(self.tasks.group_population)
