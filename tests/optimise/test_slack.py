"""Between two neighbours on the lattice of steps no action lies above the chord and its slack."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ds3opt.optimise.menu import Actions, evaluate, first_actions, refined
from ds3opt.problem import Problem, compile_problem
from ds3opt.schema import Scenario


def problem_of(charge: str, verifier: dict[str, Any], fatigue: float, **reasoning: Any) -> Problem:
    tasks = [
        {
            "name": f"{skills} skills at {difficulty}",
            "share": 1.0 / 8.0,
            "skills": skills,
            "difficulty": difficulty,
            "prompt_tokens": 30.0 * skills,
            "fatigue": fatigue,
            "max_output_tokens": 25.0 * 3000,
            "wrong_answers": {"count": 5, "decay": 0.7},
            "verifier": verifier,
        }
        for skills in (1, 2, 7, 40)
        for difficulty in (1.5, 3.2)
    ]
    return compile_problem(
        Scenario.model_validate(
            {
                "workload": {"tasks": 1e6, "mix": tasks},
                "model": {"shape": {"width_per_layer": 128}, "capability": {"slope": 4.0}},
                "reasoning": {
                    "charge": charge,
                    "policies": [
                        "chain_of_thought",
                        {"tree_of_thought": {"branches": [2, 64]}},
                        {"best_of_n": {"samples": [2, 64], "branches": [1, 4]}},
                        {"majority_vote": {"samples": [2, 3, 33]}},
                        {"weighted_vote": {"samples": [3, 12], "weight_ratio": 1.4}},
                        {"rebase": {"samples": 12, "tilt": 1.8, "overhead": 1.2}},
                        {
                            "monte_carlo_tree_search": {
                                "samples": 16,
                                "tilt": 2.5,
                                "overhead": 3.0,
                                "effective_votes": 0.5,
                                "choose": "best_of_n",
                            }
                        },
                    ],
                    **reasoning,
                },
                "limits": {"total_flop": 1e22},
            }
        )
    )


VERIFIERS = {
    "perfect": {"kind": "process"},
    "imperfect": {"kind": "process", "true_positive_rate": 0.8, "false_positive_rate": 0.2},
    "dear": {"kind": "process", "parameters": 1e10, "flop_per_check": 1e11},
    "scores": {"kind": "process", "discrimination": 1.2, "parameters": 1e9},
}


@pytest.mark.parametrize("charge", ["expected", "budget"])
@pytest.mark.parametrize("verifier", VERIFIERS.values(), ids=VERIFIERS.keys())
@pytest.mark.parametrize("fatigue", [0.0, 0.02, 0.5])
def test_nothing_hides_between_neighbours(
    charge: str, verifier: dict[str, Any], fatigue: float
) -> None:
    problem = problem_of(charge, verifier, fatigue)
    assert problem.tasks is not None
    rng = np.random.default_rng(7)
    count = 1500
    task = rng.integers(0, len(problem.tasks), count)
    policy = rng.integers(0, len(problem.policies), count)
    low = np.floor(problem.tasks.skills[task] + 10 ** rng.uniform(-0.5, 2.5, count))
    # the chord bounds the cost of pairs where neighbours are within a factor of three
    high = low + np.maximum(np.floor(rng.uniform(0.02, 1.0, count) * low), 2.0)
    loss = rng.uniform(1.85, 4.0, count)
    part = rng.uniform(0.0, 1.0, count)
    inside = np.clip(np.round(low + part * (high - low)), low + 1.0, high - 1.0)
    cell, pair = np.arange(count), np.repeat(np.arange(count), 2)
    ends = np.stack([low, high], axis=1).ravel()
    both = Actions(pair, task[pair], policy[pair], ends, low[pair], high[pair])
    # one end may have been left out; what is between is then the other's to cover
    lower_alone, upper_alone = (
        both.take(np.arange(0, 2 * count, 2)),
        both.take(np.arange(1, 2 * count, 2)),
    )
    together = evaluate(problem, both, loss[pair], slack=True)
    lower = evaluate(problem, lower_alone, loss, slack=True)
    upper = evaluate(problem, upper_alone, loss, slack=True)
    middle = evaluate(problem, Actions(cell, task, policy, inside, inside, inside), loss)
    for i, alone in enumerate((lower, upper)):
        for name in ("success", "slack", "tokens", "pairs", "pair_slack", "checking"):
            side_by_side = getattr(together, name)[i::2]
            assert np.allclose(side_by_side, getattr(alone, name), rtol=1e-12, atol=1e-300)
    weight = (inside - low) / (high - low)

    def chord(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray((1.0 - weight) * a + weight * b)

    loose = np.minimum(lower.slack, upper.slack)
    assert np.all(middle.success <= chord(lower.success, upper.success) + loose + 1e-13)
    assert np.all(loose >= 0.0)
    size = np.full(count, 3e7)
    attention = np.asarray(problem.space.attention(size))
    cheapest = chord(
        lower.effective_tokens(size, attention, least=True),
        upper.effective_tokens(size, attention, least=True),
    )
    real = middle.effective_tokens(size, attention)
    assert np.all(real >= cheapest * (1.0 - 1e-12))
    assert np.all(lower.effective_tokens(size, attention, least=True) >= 0.0)


@pytest.mark.parametrize("fatigue", [0.0, 0.3])
@pytest.mark.parametrize("verifier", VERIFIERS.values(), ids=VERIFIERS.keys())
def test_less_loss_brings_more_and_uses_less(verifier: dict[str, Any], fatigue: float) -> None:
    problem = problem_of("expected", verifier, fatigue)
    actions = first_actions(problem)
    last = None
    size = np.full(len(actions), 1e8)
    attention = np.asarray(problem.space.attention(size))
    for loss in np.linspace(4.5, 1.85, 30):
        values = evaluate(problem, actions, np.full(len(actions), loss))
        cost = values.effective_tokens(size, attention)
        if last is not None:
            assert np.all(values.success >= last[0] - 1e-13)
            assert np.all(cost <= last[1] * (1.0 + 1e-11))
        last = values.success, cost


def test_refinement_reaches_every_whole_step() -> None:
    problem = problem_of("budget", VERIFIERS["perfect"], 0.0)
    actions = first_actions(problem)
    for _ in range(14):
        actions = refined(actions, np.ones(len(actions), bool))
        actions = actions.take((actions.task == 0) & (actions.policy == 0))
    assert actions.steps.tolist() == list(range(1, 3001))
    assert np.all(actions.above - actions.steps <= 1.0)
    assert np.all(actions.steps - actions.below <= 1.0)


def test_the_first_lattice_ends_at_the_cap() -> None:
    problem = problem_of("budget", VERIFIERS["perfect"], 0.0)
    actions = first_actions(problem)
    assert problem.tasks is not None
    for task in range(len(problem.tasks)):
        for policy in range(len(problem.policies)):
            steps = actions.steps[(actions.task == task) & (actions.policy == policy)]
            assert steps[0] == problem.tasks.skills[task]
            assert steps[-1] == 3000
            assert np.all(steps[1:] <= 3.0 * steps[:-1])  # what the bound on pairs rests on
