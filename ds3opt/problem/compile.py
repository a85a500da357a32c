"""From a scenario to arrays."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.loss import LOSS_LAWS, LossLaw
from ds3opt.laws.skill_training import SkillGraphTraining
from ds3opt.laws.training_law import TrainingLaw
from ds3opt.problem.arrays import Budgets, Problem, TrainingSpace
from ds3opt.problem.tasks import at_levels, stacked
from ds3opt.schema.model import LossCoefficients, Model
from ds3opt.schema.scenario import LossTarget, Minimise, Scenario

FloatArray = NDArray[np.float64]


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
    tasks = None if scenario.workload.mix is None else stacked(scenario, offered)
    policies, levels = offered, None
    if graph is not None:
        assert tasks is not None
        tasks, policies, levels = at_levels(scenario, graph, tasks, offered)
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
