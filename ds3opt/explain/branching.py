"""Chain against tree of thought, and depth, for the typical task of every class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ds3opt.explain.explanation import Branching, Depth
from ds3opt.explain.setting import Setting
from ds3opt.laws.compute import inference_flop
from ds3opt.laws.depth import depth_amplification, largest_amplification, steepest_steps
from ds3opt.laws.policy_comparison import (
    branching_crossover,
    branching_threshold,
    tokens_for_inference_flop,
)
from ds3opt.optimise.solution import TaskAllocation

_USUAL = 4
"""Branches of the example where a scenario lists no tree of thought, those of DS3."""


@dataclass(frozen=True)
class Served:
    """The model that serves a class's typical task, and what most of the task uses."""

    parameters: float
    """That a token passes."""
    attention: float
    """Layers x attention width."""
    row: TaskAllocation


def branching_of(
    setting: Setting, typical: Sequence[int], served: Sequence[Served | None]
) -> tuple[Branching, ...]:
    """The exact rule at the FLOP that the plan's token budget takes, for each number of branches.

    As in DS3: without fatigue, with a perfect process verifier that costs nothing, and the whole
    budget charged. Traces are as long as the class allows.
    """
    found = []
    listed = sorted({p.branches for p in setting.problem.policies if p.branches > 1})
    for task, one in zip(typical, served, strict=True):
        if one is None or one.row.policy is None or not one.row.token_budget > 0.0:
            continue
        mine = [b for b in listed if _offered(setting, task, b)]
        example = _USUAL if _USUAL in listed or not listed else listed[0]
        for branches in mine or [example]:
            row = _branching(setting, task, one, branches)
            found += [row] if row is not None else []
    return tuple(found)


def _offered(setting: Setting, task: int, branches: int) -> bool:
    return any(
        policy.branches == branches and bool(setting.tasks.allowed[task, i])
        for i, policy in enumerate(setting.problem.policies)
    )


def _branching(setting: Setting, task: int, served: Served, branches: int) -> Branching | None:
    tasks, row = setting.tasks, served.row
    r = float(setting.step_success[task])
    if not np.isfinite(r):
        return None
    assert row.policy is not None
    prompt, per_step = float(tasks.prompt_tokens[task]), float(tasks.tokens_per_step[task])
    shape: dict[str, Any] = {"layers": served.attention, "attention_width": 1.0}
    flop = inference_flop(
        served.parameters,
        row.token_budget,
        prompt,
        branches=row.policy.branches,
        samples=row.policy.samples,
        **shape,
    )
    widths = np.array([1.0, branches])
    tokens = tokens_for_inference_flop(flop, served.parameters, prompt, branches=widths, **shape)
    # a budget of whole steps must give them back, whatever division rounds to
    lengths = np.asarray(tokens) / (per_step * widths) * (1.0 + 1e-12)
    steps, levels = np.minimum(lengths, float(tasks.max_steps[task]))
    skills = float(setting.skills[task])
    return Branching(
        name=tasks.group_names[int(tasks.group[task])],
        skills=int(skills),
        step_success=r,
        branches=branches,
        offered=_offered(setting, task, branches),
        steps=float(steps),
        levels=float(levels),
        crossover=float(branching_crossover(skills, np.floor(steps), branches, np.floor(levels))),
        crossover_continuous=float(branching_crossover(skills, steps, branches, levels)),
        threshold=float(branching_threshold(branches)),
        reasoning_level=row.reasoning_level,
    )


def depths_of(
    setting: Setting, typical: Sequence[int], served: Sequence[Served | None]
) -> tuple[Depth, ...]:
    """DS3 Theorem 2 at each class's step success and steps per skill."""
    found = []
    for task, one in zip(typical, served, strict=True):
        r = float(setting.step_success[task])
        skills = float(setting.skills[task])
        if one is None or not one.row.attempted or not 0.0 < r <= 1.0 or skills < 1.0:
            continue
        per_skill = one.row.steps / skills
        found.append(
            Depth(
                name=setting.tasks.group_names[int(setting.tasks.group[task])],
                step_success=r,
                steps_per_skill=per_skill,
                steepest=float(steepest_steps(r)[1]),
                amplification=float(depth_amplification(max(per_skill, 0.0), r)),
                largest=float(largest_amplification(r)),
                reasoning_level=one.row.reasoning_level,
            )
        )
    return tuple(found)
