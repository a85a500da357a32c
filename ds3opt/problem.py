"""From a scenario to arrays: the only place that stacks tasks.

Axis order is declared once: tasks first, then policies. A *task* here is one point of a class
(one difficulty, one number of skills); a *class* is what the scenario lists under `mix`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.capability import directionality
from ds3opt.laws.compute import layers_times_width
from ds3opt.laws.loss import LOSS_LAWS, LossLaw
from ds3opt.laws.populations import Population
from ds3opt.laws.skill_levels import skills_at_level
from ds3opt.laws.skill_training import SkillGraphTraining
from ds3opt.laws.training_law import TrainingLaw
from ds3opt.laws.voting import truncated_geometric_shares
from ds3opt.policies import Policy, TaskTraits, VerifierKind
from ds3opt.schema.model import LossCoefficients, Model
from ds3opt.schema.scenario import LossTarget, Minimise, Scenario
from ds3opt.schema.spread import weighted_points
from ds3opt.schema.workload import Directionality, TaskClass, WrongAnswers

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

MAX_STEPS = 1e9
"""Steps that a trace may take where no cap is stated."""
_ROUNDING = 1e-12
"""Relative rounding of a product or quotient that is forgiven where it is made whole."""


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
    capability_slope: float
    capability_scale: float
    capability_offset: float
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


def compile_problem(scenario: Scenario) -> Problem:
    """Compile a scenario to arrays.

    Raises nothing: a `Scenario` that validated can be compiled.
    """
    graph = _graph_law(scenario.model)
    law, law_name = _law(scenario.model)
    space = _space(_as_measured(scenario), graph or law, graph.name if graph else law_name)
    reasoning, limits = scenario.reasoning, scenario.limits
    objective = scenario.objective
    budget = reasoning.token_budget
    capability = scenario.model.capability
    offered = reasoning.variants()
    tasks = None if scenario.workload.mix is None else _tasks(scenario, offered)
    policies, levels = offered, None
    if graph is not None:
        assert tasks is not None
        tasks, policies, levels = _at_levels(scenario, graph, tasks, offered)
        if space.parameters[0] > scenario.model.parameters.min:
            levels = replace(levels, smallest=space.parameters[0])
    accuracy = loss = None
    if isinstance(objective, Minimise):
        accuracy = objective.accuracy
        loss = _target_loss(objective, law)
    return Problem(
        name=scenario.name,
        tasks_served=scenario.workload.tasks or 0.0,
        served_tokens=scenario.workload.served_tokens or 0.0,
        tasks=tasks,
        policies=policies,
        space=space,
        capability_slope=capability.slope,
        capability_scale=capability.scale,
        capability_offset=capability.offset,
        capability_loss=capability.fitted_loss,
        shared_budget=reasoning.budgets == "shared",
        token_budget=(
            (budget.min if budget and budget.min else 0.0),
            (budget.max if budget and budget.max else math.inf),
        ),
        charge_budget=reasoning.charge == "budget",
        continuous_steps=reasoning.steps != "floor",
        clamped_steps=reasoning.steps != "as_printed",
        prefill=reasoning.prefill,
        budgets=Budgets(
            limits.total_flop or math.inf,
            limits.training_flop or math.inf,
            limits.inference_flop or math.inf,
        ),
        objective=objective.minimise if isinstance(objective, Minimise) else objective,
        target_accuracy=accuracy,
        target_loss=loss,
        gap=scenario.solver.gap,
        resource_gap=scenario.solver.resource_gap,
        max_cells=scenario.solver.max_cells,
        levels=levels,
    )


def _as_measured(scenario: Scenario) -> Model:
    """The model, without training where a measured one leaves it unsaid."""
    model = scenario.model
    measured = any(task.measured is not None for task in scenario.workload.mix or ())
    if not measured or {"training_tokens", "tokens_per_parameter"} & model.model_fields_set:
        return model
    return model.model_copy(update={"training_tokens": "infinite"})


_FEWEST_CONCEPTS = 1e3
"""Of models whose ratio of tokens to parameters is free: with fewer, training FLOP is not
log-convex in the size at a given shortfall, on which the bounds rest."""


def _graph_law(model: Model) -> SkillGraphTraining | None:
    spec = model.skill_graph
    if spec is None:
        return None
    ratio = model.graph_ratio
    graph = spec.graph() if ratio is None else spec.graph(ratio)
    law = SkillGraphTraining(graph, spec.skills, spec.concepts, tokens_per_parameter=ratio)
    if spec.skills == "exact" or ratio is None:
        return law
    chance = graph.concept_probability(graph.concepts(model.parameters.max), ratio, spec.concepts)
    return replace(law, concept_probability=float(chance))


def _at_levels(
    scenario: Scenario, law: SkillGraphTraining, tasks: Tasks, offered: tuple[Policy, ...]
) -> tuple[Tasks, tuple[Policy, ...], Levels]:
    """Tasks and policies with the level of reasoning on the axis of policies."""
    count = law.graph.levels
    each = np.arange(1, count + 1)
    skills = skills_at_level(tasks.level[:, None], tasks.skills[:, None], each, count)
    mix = scenario.workload.mix or ()
    ways = [
        task.directionality
        if task.directionality is not None
        else scenario.reasoning.directionality
        for task in mix
    ]
    found = np.ones_like(skills)
    for index, way in enumerate(ways):
        mine = tasks.group == index
        # more skills than float64 counts are never found in any number of steps
        found[mine] = _directionality(way, np.minimum(skills[mine], 1e300))
    levels = Levels(law, np.tile(each, len(offered)), skills, found)
    policies = tuple(policy for policy in offered for _ in each)
    allowed = np.repeat(tasks.allowed, count, axis=1)
    measured = np.repeat(tasks.measured, count, axis=1)
    return replace(tasks, allowed=allowed, measured=measured), policies, levels


def _law(model: Model) -> tuple[LossLaw, str]:
    chosen = model.loss_law
    if isinstance(chosen, LossCoefficients):
        law = chosen.law()
        return law, law.name
    return LOSS_LAWS[chosen], chosen


def _target_loss(objective: Minimise, law: LossLaw) -> float | None:
    if not isinstance(objective.loss, LossTarget):
        return objective.loss
    like = objective.loss.like
    if like.training_tokens is not None:
        return float(law.loss(like.parameters, like.training_tokens))
    return float(law.loss(like.parameters, law.optimal_tokens(like.parameters)))


def _space(model: Model, law: TrainingLaw, law_name: str) -> TrainingSpace:
    tokens, shape = model.training_tokens, model.shape
    ratio = (model.tokens_per_parameter.min or 0.0, model.tokens_per_parameter.max or math.inf)
    smallest = model.parameters.min
    if isinstance(law, SkillGraphTraining):
        ratio, smallest = _graph_ranges(law, ratio, smallest)
    infinite = tokens == "infinite"
    fixed = 0.0
    if shape is not None and shape.layers is not None and shape.attention_width is not None:
        fixed = shape.layers * shape.attention_width
    return TrainingSpace(
        law=law,
        law_name=law_name,
        parameters=(smallest, max(smallest, model.parameters.max)),
        training_tokens=(math.inf, math.inf) if tokens == "infinite" else (tokens.min, tokens.max),
        tokens_per_parameter=(0.0, math.inf) if infinite else ratio,
        unique_tokens=math.inf if tokens == "infinite" else (tokens.unique or math.inf),
        layers_times_width=fixed,
        width_per_layer=(shape.width_per_layer or 0.0) if shape is not None else 0.0,
        sequence_tokens=model.training_sequence_tokens,
    )


def _graph_ranges(
    law: SkillGraphTraining, ratio: tuple[float, float], smallest: float
) -> tuple[tuple[float, float], float]:
    """Ratios that a graph speaks for, and the smallest size from which larger models are better."""
    fixed = law.tokens_per_parameter
    if fixed is not None:
        return (fixed, fixed), law.smallest_monotone(smallest)
    fewest = _FEWEST_CONCEPTS * law.graph.parameters_per_concept
    return (max(ratio[0], law.learning_threshold), ratio[1]), max(smallest, fewest)


_VERIFIERS = {kind.name.lower(): kind for kind in VerifierKind}


def _tasks(scenario: Scenario, policies: tuple[Policy, ...]) -> Tasks:
    reasoning, model = scenario.reasoning, scenario.model
    mix = scenario.workload.mix or ()
    spectra: list[tuple[float, ...]] = []
    columns: dict[str, list[FloatArray]] = {}
    allowed, spectrum, group, known = [], [], [], []
    populations = tuple(None if t.measured is None else t.measured.over() for t in mix)
    total = sum(task.share for task in mix)
    for index, task in enumerate(mix):
        difficulty, skills, weight = _points(task)
        count = weight.size

        def fill(name: str, value: float | FloatArray, count: int = count) -> None:
            columns.setdefault(name, []).append(np.broadcast_to(np.float64(value), (count,)))

        per_step = task.tokens_per_step or reasoning.tokens_per_step
        if task.measured is not None:
            assert task.measured.output_tokens is not None
            per_step = task.measured.output_tokens
        ways = task.directionality if task.directionality is not None else reasoning.directionality
        fill("weight", weight * (task.share / total))
        worth = scenario.objective in ("value", "net_value")
        fill("value", task.value if worth else 1.0)
        graph = model.skill_graph is not None
        fill("difficulty", 0.0 if graph else difficulty)
        fill("level", difficulty if graph else 0.0)
        fill("skills", skills)
        fill("directionality", _directionality(ways, skills))
        fill("fatigue", reasoning.fatigue if task.fatigue is None else task.fatigue)
        fill("tokens_per_step", per_step)
        fill("prompt_tokens", task.prompt_tokens)
        # a measured trace is one step
        fill("max_steps", _max_steps(task, model, per_step) if task.measured is None else 1.0)
        fill("true_positive", task.verifier.true_positive_rate)
        fill("false_positive", task.verifier.false_positive_rate)
        scores = task.verifier.discrimination
        fill("discrimination", math.nan if scores is None else scores)
        fill("verifier_parameters", task.verifier.parameters)
        fill("flop_per_check", task.verifier.flop_per_check)
        shares = None if task.wrong_answers is None else wrong_answer_shares(task.wrong_answers)
        if shares is not None and shares not in spectra:
            spectra.append(shares)
        spectrum.append(np.full(count, -1 if shares is None else spectra.index(shares)))
        has = _VERIFIERS[task.verifier.kind]
        offered = [
            p.needs <= has
            and not (p.needs_wrong_answers and shares is None)
            and not (p.branches > 1 and has < VerifierKind.PROCESS)
            for p in policies
        ]
        allowed.append(np.tile(np.array(offered, dtype=bool), (count, 1)))
        known.append(np.full((count, len(policies)), np.nan))
        group.append(np.full(count, index))
    stacked = {name: np.concatenate(parts) for name, parts in columns.items()}
    tasks = Tasks(
        weight=stacked["weight"],
        value=stacked["value"],
        difficulty=stacked["difficulty"],
        level=stacked["level"],
        skills=stacked["skills"],
        directionality=stacked["directionality"],
        fatigue=stacked["fatigue"],
        tokens_per_step=stacked["tokens_per_step"],
        prompt_tokens=stacked["prompt_tokens"],
        max_steps=stacked["max_steps"],
        verifier_parameters=stacked["verifier_parameters"],
        flop_per_check=stacked["flop_per_check"],
        allowed=np.concatenate(allowed),
        measured=np.concatenate(known),
        traits=TaskTraits(
            stacked["true_positive"],
            stacked["false_positive"],
            tuple(spectra),
            np.concatenate(spectrum).astype(np.intp),
            stacked["discrimination"],
        ),
        group=np.concatenate(group).astype(np.intp),
        group_names=tuple(task.name for task in mix),
        group_share=np.array([task.share / total for task in mix]),
        group_min_accuracy=np.array([task.min_accuracy for task in mix]),
        group_population=populations,
    )
    return with_measurements(tasks, policies)


def with_measurements(tasks: Tasks, policies: tuple[Policy, ...]) -> Tasks:
    """The tasks with the success of measured classes, by policies that whole traces answer for."""
    allowed, measured = tasks.allowed.copy(), tasks.measured.copy()
    for task in range(len(tasks)):
        population = tasks.group_population[tasks.group[task]]
        if population is None:
            continue
        traits = tasks.traits.take(np.array([task], dtype=np.intp))
        measured[task] = 0.0
        for index in np.flatnonzero(allowed[task]):
            policy = policies[index]
            success = policy.success_over(population, traits) if policy.branches == 1 else None
            allowed[task, index] = success is not None
            measured[task, index] = success or 0.0
    return replace(tasks, allowed=allowed, measured=measured)


def _points(task: TaskClass) -> tuple[FloatArray, FloatArray, FloatArray]:
    # with a skill graph the level of the skills takes the place of their difficulty
    if task.level is not None:
        difficulty, of_difficulty = weighted_points(task.level, whole=True)
    else:
        assert task.difficulty is not None
        difficulty, of_difficulty = weighted_points(task.difficulty)
    skills, of_skills = weighted_points(task.skills, whole=True)
    weight = np.outer(of_difficulty, of_skills).ravel()
    return np.repeat(difficulty, skills.size), np.tile(skills, difficulty.size), weight


def _directionality(ways: float | Directionality, skills: FloatArray) -> FloatArray:
    if isinstance(ways, Directionality):
        # 50 * 1.1 is 55.00000000000001: a whole product must not be rounded up
        reach = skills * (1.0 + ways.relevant_ratio) * (1.0 - _ROUNDING)
        relevant = np.maximum(np.ceil(reach), 1.0)
        return np.asarray(directionality(relevant, ways.delta))
    return np.full_like(skills, ways)


def _max_steps(task: TaskClass, model: Model, per_step: float) -> float:
    caps = [task.max_output_tokens]
    caps += [
        context - task.prompt_tokens if context is not None else None
        for context in (task.context_tokens, model.context_tokens)
    ]
    tokens = min((cap for cap in caps if cap is not None), default=math.inf)
    # a cap of exactly n steps must give n, whatever division rounds to
    steps = np.floor(tokens / per_step * (1.0 + _ROUNDING))
    return float(np.clip(steps, 0, MAX_STEPS))


def wrong_answer_shares(wrong: WrongAnswers) -> tuple[float, ...]:
    """How wrong answers split, the most frequent first."""
    if wrong.shares is not None:
        return tuple(sorted(wrong.shares, reverse=True))
    assert wrong.count is not None
    return tuple(float(c) for c in truncated_geometric_shares(wrong.decay, wrong.count))
