"""The rows of an answer as tasks to simulate: which policy, how many steps, on which model.

With a skill graph a row is simulated at its level of reasoning: with the skills it takes there,
and all in vain where they do not compose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ds3opt.fleet import Fleet, compile_fleet, needs_fleet
from ds3opt.laws.capability import step_skill_success
from ds3opt.optimise.levels import at_levels
from ds3opt.optimise.solution import Solution, TaskAllocation
from ds3opt.policies import Policy
from ds3opt.problem import Problem, Tasks, compile_problem
from ds3opt.schema import Scenario
from ds3opt.simulate.ideal import ANY, VERIFIER, VOTE, IdealTask, Walk

_ROUNDING = 1e-9
SIMULATED = ("chain_of_thought", "tree_of_thought", "best_of_n", "majority_vote")
"""Policies that an idealised process carries out step by step."""


@dataclass(frozen=True)
class AnswerRow:
    """One row of an answer."""

    number: int
    """Its place in the answer, which picks its random numbers."""
    allocation: TaskAllocation
    task: IdealTask | None
    """What to simulate; None where no law stands behind the row."""
    why_not: str = ""
    whole_steps: bool = True
    """Whether the answer's steps are whole; otherwise they are cut to whole ones here."""


@dataclass(frozen=True)
class _Model:
    """What a row is served by."""

    loss: float
    """The shortfall with a skill graph."""
    parameters: float
    attention: float


@dataclass(frozen=True)
class _Steps:
    """What one trace of a row meets."""

    skills: int
    skill_success: float
    directionality: float
    unsolvable: float = 0.0


def rows_of(scenario: Scenario, solution: Solution) -> tuple[AnswerRow, ...]:
    """Every row of an answer, with what it takes to simulate it.

    Parameters
    ----------
    solution : of the scenario, feasible, with tasks.
    """
    fleet = compile_fleet(scenario) if needs_fleet(scenario) else None
    problem = _for_model(compile_problem(scenario), solution)
    return tuple(
        _row(number, allocation, problem, fleet, solution)
        for number, allocation in enumerate(solution.tasks)
    )


def _for_model(problem: Problem, solution: Solution) -> Problem:
    """With a skill graph, the law of the answer's own model and of its training tokens."""
    if problem.levels is None:
        return problem
    assert solution.parameters is not None
    assert solution.training_tokens is not None
    law = problem.levels.law.for_model(solution.parameters, solution.training_tokens)
    return replace(problem, levels=replace(problem.levels, law=law))


def _row(
    number: int,
    allocation: TaskAllocation,
    problem: Problem,
    fleet: Fleet | None,
    solution: Solution,
) -> AnswerRow:
    if not allocation.attempted:
        return AnswerRow(number, allocation, None, "not attempted")
    if allocation.policy is None:
        return AnswerRow(number, allocation, None, "measured as a whole")
    tasks = problem.tasks
    assert tasks is not None
    if allocation.difficulty is None:
        return AnswerRow(number, allocation, None, "measured, with no law of its steps")
    task = _task_of(tasks, allocation)
    reason = _unlike(allocation.policy, tasks, task)
    if reason:
        return AnswerRow(number, allocation, None, reason)
    model = _model(allocation, problem, fleet, solution, int(tasks.group[task]))
    if model is None:
        return AnswerRow(number, allocation, None, "measured, with no law of its steps")
    steps = math.floor(allocation.steps * (1.0 + _ROUNDING))
    whole = abs(steps - allocation.steps) <= _ROUNDING * allocation.steps
    met = _steps(problem, tasks, task, allocation, model)
    ideal = _ideal(allocation.policy, steps, problem, tasks, task, model, met)
    return AnswerRow(number, allocation, ideal, whole_steps=whole)


def _unlike(policy: Policy, tasks: Tasks, task: int) -> str:
    """Why an idealised process does not do what a policy does; empty where it does."""
    if policy.name not in SIMULATED:
        return "described by its gain, not by its steps"
    scores = tasks.traits.discrimination
    judged = policy.outcome_checks > 0 or policy.checks_steps
    if judged and scores is not None and not np.isnan(scores[task]):
        return "its verifier scores, and the simulated one accepts or refuses"
    return ""


def _task_of(tasks: Tasks, allocation: TaskAllocation) -> int:
    """A task of the row's class and point; those of one point are alike."""
    mine = (
        (tasks.group == tasks.group_names.index(allocation.name))
        & (tasks.difficulty == allocation.difficulty)
        & (tasks.skills == allocation.skills)
        & (tasks.level == (allocation.level or 0))
    )
    return int(np.flatnonzero(mine)[0])


def _model(
    allocation: TaskAllocation,
    problem: Problem,
    fleet: Fleet | None,
    solution: Solution,
    group: int,
) -> _Model | None:
    if allocation.model is None:
        assert solution.parameters is not None
        if problem.levels is not None:
            assert solution.training_tokens is not None
            size = np.array(solution.parameters)
            shortfall = problem.levels.law.loss(size, solution.training_tokens)
            attention = float(problem.space.attention(size))
            return _Model(float(shortfall), solution.parameters, attention)
        assert solution.loss is not None
        if fleet is None or fleet.models is None:
            size = np.array(solution.parameters)
            attention = float(problem.space.attention(size))
            return _Model(solution.loss, solution.parameters, attention)
        sizes = np.asarray(fleet.models.shape.parameters)
        at = int(np.argmin(np.abs(np.log(sizes / solution.parameters))))
        active, attention = float(fleet.models.active[at]), float(fleet.models.attention[at])
        return _Model(solution.loss, active, attention)
    for known in fleet.known if fleet is not None else ():
        if known.name == allocation.model and known.classes[group]:
            shape = known.shape
            active = float(np.asarray(shape.active_parameters).ravel()[0])
            layers = np.asarray(shape.layers) * np.asarray(shape.attention_width)
            return _Model(known.loss, active, float(layers.ravel()[0]))
    return None


def _steps(
    problem: Problem, tasks: Tasks, task: int, allocation: TaskAllocation, model: _Model
) -> _Steps:
    """Skills of a row and how they are found, by the law of the model that serves it."""
    levels = problem.levels
    if levels is None:
        skill = step_skill_success(
            model.loss,
            tasks.difficulty[task],
            slope=problem.capability_slope,
            scale=problem.capability_scale,
            offset=problem.capability_offset,
        )
        return _Steps(int(tasks.skills[task]), float(skill), float(tasks.directionality[task]))
    if allocation.reasoning_level is None:  # no level at which anything is solved
        return _Steps(int(tasks.skills[task]), 0.0, float(tasks.directionality[task]), 1.0)
    column = allocation.reasoning_level - 1
    at = np.array([task]), np.array([column]), np.array([model.loss])
    # the first copies of the policies are in the order of the levels
    met = at_levels(levels, *at)
    found = float(levels.directionality[task, column])
    return _Steps(
        skills=int(met.skills[0]),
        skill_success=min(float(met.step[0]) / found, 1.0) if found > 0.0 else 0.0,
        directionality=found,
        unsolvable=1.0 - float(met.solvable[0]),
    )


def _ideal(
    policy: Policy,
    steps: int,
    problem: Problem,
    tasks: Tasks,
    task: int,
    model: _Model,
    met: _Steps,
) -> IdealTask:
    traits = tasks.traits
    true, false = float(traits.true_positive_rate[task]), float(traits.false_positive_rate[task])
    walk = Walk(
        skills=met.skills,
        levels=steps,
        skill_success=met.skill_success,
        directionality=met.directionality,
        branches=policy.branches,
        fatigue=float(tasks.fatigue[task]),
        true_positive_rate=true,
        false_positive_rate=false,
        tokens_per_step=float(tasks.tokens_per_step[task]),
        prompt_tokens=float(tasks.prompt_tokens[task]),
        parameters=model.parameters,
        attention=model.attention,
        prefill=problem.prefill,
    )
    choice = VOTE if policy.needs_wrong_answers else VERIFIER if policy.samples > 1 else ANY
    spectrum = int(traits.spectrum[task])
    return IdealTask(
        walks=(walk,) * policy.samples,
        choice=choice,
        true_positive_rate=true,
        false_positive_rate=false,
        wrong_answer_shares=traits.wrong_answer_shares[spectrum] if choice == VOTE else (),
        verifier_parameters=float(tasks.verifier_parameters[task]),
        flop_per_check=float(tasks.flop_per_check[task]),
        judges_answers=policy.outcome_checks > 0,
        unsolvable=met.unsolvable,
    )
