"""The certificate against brute force: nothing beats the upper bound, the answer comes near it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ds3opt.optimise.solution import Solution, Status
from ds3opt.optimise.solve import solve
from ds3opt.schema import Scenario

Oracle = Callable[[str], ModuleType]

ROUNDING = 1e-9
"""Sums of some hundred actions, and limits that the solver keeps by a part in 1e12."""


def solved(scenario: dict[str, Any], **options: Any) -> Solution:
    return solve(Scenario.model_validate(scenario), details=False, **options)


def starts(solution: Solution) -> list[tuple[float, float]]:
    if solution.parameters is None or solution.training_tokens is None:
        return []
    return [(solution.parameters, solution.training_tokens)]


def contest(scenario: dict[str, Any], oracle: Oracle, *, side: int = 10) -> None:
    """Assert what a certificate claims, against grids over models and every whole step."""
    solution = solved(scenario)
    brute, size, tokens = oracle("allocation").best(
        scenario, starts(solution), side=side, rounds=5, kept=1
    )
    where = f"at {size:.6g} parameters and {tokens:.6g} tokens"
    if solution.status is Status.INFEASIBLE:
        assert brute == -math.inf, f"called infeasible, but {brute} is reached {where}"
        return
    assert solution.certificate is not None
    lower, upper = solution.certificate.lower, solution.certificate.upper
    assert brute <= upper + ROUNDING, f"{brute} {where} beats the upper bound {upper}"
    if solution.status is Status.OPTIMAL:
        gap = scenario["solver"]["gap"]
        assert upper - lower <= gap * (1.0 + 1e-9)
        assert lower >= brute - gap
    # what is claimed is what the plan does: the same model, counted step by step
    at = oracle("allocation").values(
        scenario, np.array([solution.parameters]), np.array([solution.training_tokens])
    )
    # the oracle charges training to the last digit, the plan's loss is met to about 1e-12
    assert at[0] >= lower - 1e-6 * max(1.0, abs(lower))


QUICK = (1, 2, 3, 4, 6, 8, 9, 10, 11, 16, 17, 18, 20, 22, 25, 27, 31, 36, 38, 43, 44, 46, 48, 49)
"""Seeds that take a fraction of a second each and have all limits, laws and policies among them."""


@pytest.mark.parametrize("seed", QUICK)
def test_no_plan_beats_the_upper_bound(seed: int, oracle: Oracle) -> None:
    contest(oracle("scenarios").random_scenario(seed), oracle)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 500))
def test_no_plan_beats_the_upper_bound_at_length(seed: int, oracle: Oracle) -> None:
    contest(oracle("scenarios").random_scenario(seed), oracle, side=16)


def one_class(**changes: Any) -> dict[str, Any]:
    task = {
        "name": "only",
        "share": 1.0,
        "difficulty": 2.6,
        "skills": 3,
        "max_output_tokens": 1000.0,
        **changes,
    }
    return {
        "workload": {"tasks": 1e9, "mix": [task]},
        "reasoning": {"policies": ["chain_of_thought"]},
        "limits": {"total_flop": 1e21},
        "solver": {"gap": 1e-4},
    }


@pytest.mark.parametrize("total", [3e17, 1e18, 3e18, 1e19, 1e20, 1e21, 1e23, 1e26])
@pytest.mark.parametrize("slope", [2.0, 20.0])
def test_from_hopeless_to_saturated(total: float, slope: float, oracle: Oracle) -> None:
    """Value is S-shaped in the budget: flat and convex at first, saturated at last."""
    scenario = one_class(skills=8, max_output_tokens=2500.0)
    scenario["limits"] = {"total_flop": total}
    scenario["model"] = {"capability": {"slope": slope}}
    contest(scenario, oracle)


def slow(value: float) -> Any:
    """One of many like it, left to long runs."""
    return pytest.param(value, marks=pytest.mark.slow)


@pytest.mark.parametrize("gap", [1e-2, 1e-5, *map(slow, (1e-3, 1e-6, 1e-7))])
def test_coarse_and_tiny_gaps(gap: float, oracle: Oracle) -> None:
    scenario = one_class(verifier={"kind": "process", "parameters": 1e8}, fatigue=0.1)
    scenario["reasoning"]["policies"].append({"tree_of_thought": {"branches": [2, 8]}})
    scenario["model"] = {"shape": {"width_per_layer": 128}}
    scenario["limits"] = {"total_flop": 2e19}
    scenario["solver"]["gap"] = gap
    contest(scenario, oracle)


SELECTION: list[Any] = [
    "chain_of_thought",
    {"best_of_n": {"samples": [2, 8], "branches": [1, 4]}},
    {"weighted_vote": {"samples": [3, 9], "weight_ratio": 1.4}},
    {"rebase": {"samples": [4, 12], "tilt": 1.7, "overhead": 1.25, "choose": "majority_vote"}},
    {
        "monte_carlo_tree_search": {
            "samples": [9],
            "tilt": 2.0,
            "overhead": 2.0,
            "effective_votes": 0.5,
            "choose": "best_of_n",
        }
    },
]


@pytest.mark.parametrize(
    "verifier",
    [{"discrimination": 1.2}, {"true_positive_rate": 0.8, "false_positive_rate": 0.1}],
    ids=["scores", "accepts"],
)
@pytest.mark.parametrize(
    ("charge", "total"),
    [
        ("expected", 1e20),
        pytest.param("budget", 1e20, marks=pytest.mark.slow),
        pytest.param("expected", 3e18, marks=pytest.mark.slow),
        pytest.param("budget", 3e18, marks=pytest.mark.slow),
    ],
)
def test_searches_that_a_reward_model_guides(
    verifier: dict[str, Any], charge: str, total: float, oracle: Oracle
) -> None:
    scenario = one_class(
        fatigue=0.15,
        skills=2,
        prompt_tokens=50.0,
        wrong_answers={"count": 4, "decay": 0.8},
        verifier={"kind": "process", "parameters": 3e7, "flop_per_check": 1e9, **verifier},
    )
    scenario["reasoning"] = {"policies": SELECTION, "charge": charge}
    scenario["model"] = {"shape": {"width_per_layer": 128}}
    scenario["limits"] = {"total_flop": total}
    contest(scenario, oracle, side=6)


def test_values_a_hundredfold_apart(oracle: Oracle) -> None:
    scenario = one_class(value=0.1)
    mix = scenario["workload"]["mix"]
    mix.append({**mix[0], "name": "dear", "value": 10.0, "difficulty": 2.0, "skills": 8})
    mix[0]["share"], mix[1]["share"] = 0.95, 0.05
    scenario.update(objective="value", solver={"gap": 1e-3})
    scenario["limits"] = {"total_flop": 5e19}
    contest(scenario, oracle)


def test_a_verifier_dearer_than_the_model(oracle: Oracle) -> None:
    scenario = one_class(
        prompt_tokens=500.0,
        verifier={"kind": "process", "parameters": 1e12, "flop_per_check": 1e13},
    )
    scenario["reasoning"]["policies"] += [
        {"tree_of_thought": {"branches": [2, 64]}},
        {"best_of_n": {"samples": [2, 64], "branches": [1, 64]}},
    ]
    contest(scenario, oracle)


def test_a_perfect_verifier_and_many_parallel_traces(oracle: Oracle) -> None:
    scenario = one_class(verifier={"kind": "process"}, fatigue=0.5, difficulty=2.0, skills=8)
    scenario["reasoning"]["policies"] += [
        {"tree_of_thought": {"branches": [64]}},
        {"best_of_n": {"samples": [64], "branches": [1, 64]}},
    ]
    scenario["limits"] = {"total_flop": 3e20}
    contest(scenario, oracle)


@pytest.mark.parametrize("short", [1e-3, 3e-7, *map(slow, (1e-5, 1e-6, 1e-9))])
def test_required_accuracy_just_below_the_ceiling(short: float, oracle: Oracle) -> None:
    """The last step before a cap gains less than the gap, yet a requirement may hang on it."""
    scenario = one_class(skills=2, fatigue=0.05)
    scenario["workload"]["mix"][0]["share"] = 0.5
    other = one_class(difficulty=2.2, skills=5)["workload"]["mix"][0]
    scenario["workload"]["mix"].append({**other, "name": "other", "share": 0.5})
    # a fixed model's ceiling is its longest trace
    model = {"parameters": 1e9, "training_tokens": 2e10}
    scenario["model"] = model
    scenario["limits"] = {"inference_flop": 1e40}
    ceiling = solved(scenario).classes[0].accuracy
    scenario["workload"]["mix"][0]["min_accuracy"] = ceiling * (1.0 - short)
    for inference in (1e40, 1e21, 3e20):
        scenario["limits"] = {"inference_flop": inference}
        contest(copy.deepcopy(scenario), oracle)


def test_losses_that_no_size_reaches_are_not_used_when_training_is_unlimited(
    oracle: Oracle,
) -> None:
    scenario = one_class(difficulty=1.9, skills=5)
    scenario["model"] = {"parameters": [1e7, 3e7]}
    scenario["limits"] = {"inference_flop": 1e20}
    contest(scenario, oracle)
    answer = solved(scenario)
    assert answer.loss is not None
    assert answer.loss > 1.8172 + 482.01 / 3e7**0.3478  # the law's floor for the largest size
    assert math.isfinite(answer.training_tokens or math.inf)


@pytest.mark.parametrize(
    ("data", "ratio"),
    [(1e12, 20.0), ([1e12, 1.1e12], [20.0, 21.0]), ([1e10, 1.001e10], {"max": 3.0, "min": 2.999})],
)
def test_a_narrow_range_of_sizes_is_found(data: Any, ratio: Any, oracle: Oracle) -> None:
    scenario = one_class()
    scenario["model"] = {"training_tokens": data, "tokens_per_parameter": ratio}
    scenario["limits"] = {"total_flop": 5e23}
    answer = solved(scenario)
    assert answer.status is Status.OPTIMAL
    contest(scenario, oracle)


def test_a_requirement_out_of_reach_is_infeasible_however_much_inference() -> None:
    scenario = one_class(min_accuracy=0.9999999, fatigue=0.5)
    scenario["limits"] = {"training_flop": 1e19}
    answer = solved(scenario)
    assert answer.status is Status.INFEASIBLE
    assert answer.infeasibility is not None


def with_every_class_required(seed: int, oracle: Oracle) -> dict[str, Any]:
    """A random scenario whose classes must reach nearly what the optimum gives them, some more."""
    scenario: dict[str, Any] = oracle("scenarios").random_scenario(seed)
    mix = scenario["workload"]["mix"]
    for task in mix:
        task.pop("min_accuracy", None)
    reached = solved(scenario).classes
    if not reached:
        return scenario
    weakest = min(range(len(reached)), key=lambda place: reached[place].accuracy)
    for place, (task, one) in enumerate(zip(mix, reached, strict=True)):
        more = 0.3 * (1.0 - one.accuracy) if place == weakest else -0.03
        # requirements are kept to a part in 1e12, which the brute force does not forgive
        task["min_accuracy"] = min(max(one.accuracy + more, 0.0), 1.0 - 1e-9)
    return scenario


@pytest.mark.parametrize("seed", [*range(1, 13), *map(slow, range(100, 220))])
def test_no_plan_beats_the_bound_where_every_class_has_a_requirement(
    seed: int, oracle: Oracle
) -> None:
    contest(with_every_class_required(seed, oracle), oracle)
