"""The classes of a mix stacked into arrays of tasks: the only place that stacks them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.capability import directionality
from ds3opt.laws.skill_levels import skills_at_level
from ds3opt.laws.skill_training import SkillGraphTraining
from ds3opt.laws.voting import truncated_geometric_shares
from ds3opt.policies import Policy, TaskTraits, VerifierKind
from ds3opt.problem.arrays import Levels, Tasks
from ds3opt.schema.model import Model
from ds3opt.schema.scenario import Scenario
from ds3opt.schema.spread import weighted_points
from ds3opt.schema.workload import Directionality, TaskClass, WrongAnswers

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

MAX_STEPS = 1e9
"""Steps that a trace may take where no cap is stated."""
_ROUNDING = 1e-12
"""Relative rounding of a product or quotient that is forgiven where it is made whole."""

_VERIFIERS = {kind.name.lower(): kind for kind in VerifierKind}


def stacked(scenario: Scenario, policies: tuple[Policy, ...]) -> Tasks:
    """The tasks of a scenario's mix, each with the policies that it may use."""
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
        group_fitted=tuple(task.fitted for task in mix),
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


def at_levels(
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
