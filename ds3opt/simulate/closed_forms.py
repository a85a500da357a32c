"""What the laws say of an idealised task: the means that a simulation is held against."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ds3opt.laws.compute import inference_flop
from ds3opt.laws.search import (
    any_success,
    chain_of_thought_success,
    expected_squared_steps,
    expected_steps,
)
from ds3opt.laws.voting import majority_vote_success, verified_choice_success
from ds3opt.policies import TaskTraits
from ds3opt.policies.tree_of_thought import verified_level
from ds3opt.simulate.ideal import ANY, VERIFIER, IdealTask, Walk


@dataclass(frozen=True)
class ClosedForms:
    """Means of one task, exact but for rounding."""

    success: float | None
    """None where no law gives it: a fallible choice among walks that differ."""
    steps: float
    tokens: float
    flop: float
    """With the mean of the square of a walk's length."""
    charged_flop: float
    """With the square of the mean in its place, as DS3 (28) to (37) and the optimiser charge."""
    most_steps: float
    most_flop: float


def closed_forms(task: IdealTask) -> ClosedForms:
    """Success, steps, tokens and FLOP by the laws."""
    possible = 1.0 - task.unsolvable
    counted = list(Counter(task.walks).items())
    success = _success(task, [(_walk_success(w), n) for w, n in counted])
    hopeless = _success(task, [(float(w.skills == 0), n) for w, n in counted])
    total = np.zeros(6)
    for walk, count in counted:
        n, advance, ruin = float(walk.levels), *_level(walk)
        levels = float(expected_steps(advance, walk.skills, n, fatigue=ruin))
        squares = float(expected_squared_steps(advance, walk.skills, n, fatigue=ruin))
        spent = 0.0 if walk.skills == 0 else n
        levels = possible * levels + task.unsolvable * spent
        squares = possible * squares + task.unsolvable * spent * spent
        b = walk.branches
        total += [
            count * b * levels,
            count * b * levels * walk.tokens_per_step,
            _flop(task, walk, count, levels, squares),
            _flop(task, walk, count, levels, levels * levels),
            count * b * n,
            _flop(task, walk, count, n, n * n),
        ]
    steps, tokens, flop, charged, most, most_flop = (float(one) for one in total)
    mixed = None
    if success is not None and hopeless is not None:
        mixed = possible * success + task.unsolvable * hopeless
    return ClosedForms(mixed, steps, tokens, flop, charged, most, most_flop)


def _level(walk: Walk) -> tuple[float, float]:
    traits = TaskTraits(
        np.array([walk.true_positive_rate]),
        np.array([walk.false_positive_rate]),
        (),
        np.array([-1], dtype=np.intp),
    )
    advance, ruin = verified_level(
        walk.branches, np.array([walk.step_success]), np.array([walk.fatigue]), traits
    )
    return float(advance[0]), float(ruin[0])


def _walk_success(walk: Walk) -> float:
    advance, ruin = _level(walk)
    return float(chain_of_thought_success(advance, walk.skills, float(walk.levels), fatigue=ruin))


def _success(task: IdealTask, walks: list[tuple[float, int]]) -> float | None:
    """Of the answer, from the success of each kind of walk and the number of each."""
    perfect = task.true_positive_rate == 1.0 and task.false_positive_rate == 0.0
    if sum(count for _, count in walks) == 1:
        return walks[0][0]
    if task.choice == ANY or (task.choice == VERIFIER and perfect):
        return abs(float(any_success([psi for psi, count in walks for _ in range(count)])))
    if len({psi for psi, _ in walks}) > 1:
        return None
    psi, count = walks[0][0], sum(count for _, count in walks)
    if task.choice == VERIFIER:
        return float(
            verified_choice_success(psi, count, task.true_positive_rate, task.false_positive_rate)
        )
    return float(majority_vote_success(psi, count, task.wrong_answer_shares))


def _flop(task: IdealTask, walk: Walk, count: int, levels: float, squares: float) -> float:
    """FLOP of walks that are alike, from the mean of their levels and of their squares.

    The law takes one length; the square's excess over it is added to its attention.
    """
    step, prompt, b = walk.tokens_per_step, walk.prompt_tokens, walk.branches
    output = count * b * step * levels
    flop = 0.0
    if walk.parameters > 0.0:
        flop = float(
            inference_flop(
                walk.parameters,
                output,
                prompt,
                layers=walk.attention,
                attention_width=1.0,
                branches=b,
                samples=count,
                prefill=walk.prefill,
            )
        )
    flop += walk.attention * count * b * step * step * (squares - levels * levels)
    check, prompts = 2.0 * task.verifier_parameters, count * prompt
    if task.judges_steps:
        flop += check * (prompts + output) + task.flop_per_check * count * b * levels
    if task.judges_answers:
        flop += check * (prompts + output / b) + task.flop_per_check * count
    return flop
