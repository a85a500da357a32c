"""What must hold of every answer, whatever the scenario."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ds3opt.laws.compute import inference_flop, layers_times_width
from ds3opt.optimise.evaluate import evaluate
from ds3opt.optimise.solution import Solution, Status
from ds3opt.optimise.solve import solve
from ds3opt.schema import Scenario

Oracle = Callable[[str], ModuleType]


def three_classes() -> dict[str, Any]:
    return {
        "workload": {
            "tasks": 1e9,
            "mix": [
                {
                    "name": "chat", "share": 0.6, "difficulty": 2.9, "skills": 3,
                    "prompt_tokens": 400, "max_output_tokens": 2000,
                    "wrong_answers": {"count": 9, "decay": 0.75},
                },
                {
                    "name": "code", "share": 0.3, "difficulty": [2.3, 2.5, 2.7], "skills": 8,
                    "prompt_tokens": 2000, "max_output_tokens": 8000,
                    "verifier": {
                        "kind": "outcome", "true_positive_rate": 0.95, "false_positive_rate": 0.05,
                        "flop_per_check": 1e9,
                    },
                },
                {
                    "name": "math", "share": 0.1, "difficulty": 2.3, "skills": [5, 15],
                    "prompt_tokens": 200, "max_output_tokens": 16000, "fatigue": 0.02,
                    "verifier": {"kind": "process", "parameters": 1e7},
                },
            ],
        },
        "model": {"shape": {"width_per_layer": 128}},
        "reasoning": {
            "policies": [
                "chain_of_thought",
                {"tree_of_thought": {"branches": [2, 8]}},
                {"best_of_n": {"samples": [2, 8]}},
                {"majority_vote": {"samples": [3, 9]}},
            ]
        },
        "limits": {"total_flop": 3e20},
        "solver": {"gap": 1e-3},
    }  # fmt: skip


def solved(scenario: dict[str, Any], **options: Any) -> Solution:
    return solve(Scenario.model_validate(scenario), **{"details": False, **options})


def bounds(solution: Solution) -> tuple[float, float]:
    assert solution.certificate is not None
    return solution.certificate.lower, solution.certificate.upper


def changed(scenario: dict[str, Any], **limits: float) -> dict[str, Any]:
    other = copy.deepcopy(scenario)
    other["limits"] = limits
    return other


def overlap(first: Solution, second: Solution) -> bool:
    """Whether two certificates can be about the same optimum."""
    (a, b), (c, d) = bounds(first), bounds(second)
    return a <= d + 1e-9 and c <= b + 1e-9


def check_rows(scenario: dict[str, Any], answer: Solution) -> None:
    """Recompute an answer from its printed rows."""
    model, tasks = scenario["model"], scenario["workload"]["tasks"]
    classes = {task["name"]: task for task in scenario["workload"]["mix"]}
    assert sum(row.share for row in answer.tasks) == pytest.approx(1.0, abs=1e-12)
    total = sum(row.share * row.accuracy for row in answer.tasks)
    assert answer.accuracy == pytest.approx(total, abs=1e-12)
    assert answer.parameters is not None
    width = model.get("shape", {}).get("width_per_layer")
    attention = 0.0 if width is None else float(layers_times_width(answer.parameters, width))
    inference = 0.0
    for row in answer.tasks:
        if row.policy is None:
            assert row.inference_flop == 0.0
            continue
        task, k, b = classes[row.name], row.policy.samples, row.policy.branches
        prompt = task.get("prompt_tokens", 0.0)
        flop = float(
            inference_flop(
                answer.parameters, row.expected_tokens, prompt, layers=attention,
                attention_width=1.0, branches=b, samples=k, prefill=True,
            )
        )  # fmt: skip
        verifier = task.get("verifier", {})
        reader, check = verifier.get("parameters", 0.0), verifier.get("flop_per_check", 0.0)
        if row.policy.name == "best_of_n":
            flop += 2.0 * reader * (k * prompt + row.expected_tokens / b) + check * k
        if b > 1:
            flop += 2.0 * reader * (k * prompt + row.expected_tokens)
            flop += check * row.expected_tokens / 25.0
        assert row.inference_flop == pytest.approx(tasks * row.share * flop, rel=1e-9)
        assert row.expected_tokens <= row.token_budget * (1.0 + 1e-12)
        assert row.token_budget / (k * b) <= task["max_output_tokens"]
        inference += row.inference_flop
    assert answer.inference_flop == pytest.approx(inference, rel=1e-12)
    used = {
        "total_flop": answer.total_flop,
        "training_flop": answer.training_flop,
        "inference_flop": answer.inference_flop,
    }
    for name, limit in scenario["limits"].items():
        assert used[name] is not None
        assert used[name] <= limit * (1.0 + 1e-15 * len(answer.tasks)), name
    for outcome in answer.classes:
        assert outcome.accuracy >= outcome.min_accuracy * (1.0 - 1e-12)
    lower, upper = bounds(answer)
    assert lower <= upper
    assert (answer.status is Status.OPTIMAL) == (
        upper - lower <= scenario["solver"]["gap"] * (1.0 + 1e-9)
    )
    reached = answer.value if scenario.get("objective") == "value" else answer.accuracy
    assert reached == pytest.approx(lower, abs=1e-9)


LIMITS: list[dict[str, float]] = [
    {"total_flop": 3e20},
    {"training_flop": 1e20, "inference_flop": 2e20},
    {"total_flop": 3e20, "training_flop": 2e19},
    {"total_flop": 3e20, "inference_flop": 3e19},
    {"inference_flop": 1e20},
    {"training_flop": 1e20},
]


@pytest.mark.parametrize("limits", LIMITS, ids=lambda limits: "+".join(limits))
def test_rows_add_up_and_break_no_limit(limits: dict[str, float]) -> None:
    scenario = changed(three_classes(), **limits)
    check_rows(scenario, solved(scenario))


def test_requirements_are_met_and_cost_accuracy() -> None:
    scenario = three_classes()
    free = solved(scenario)
    scenario["workload"]["mix"][2]["min_accuracy"] = 0.5
    tied = solved(scenario)
    check_rows(scenario, tied)
    assert tied.classes[2].accuracy >= 0.5 * (1.0 - 1e-12)
    assert bounds(tied)[0] <= bounds(free)[1]


def test_values_are_what_is_maximised() -> None:
    scenario = three_classes()
    scenario["objective"] = "value"
    for task, value in zip(scenario["workload"]["mix"], (0.2, 1.0, 20.0), strict=True):
        task["value"] = value
    answer = solved(scenario)
    check_rows(scenario, answer)
    assert answer.value == pytest.approx(
        sum(row.share * row.accuracy * row.value for row in answer.tasks), abs=1e-12
    )


@pytest.mark.parametrize(
    "name",
    [
        "total_flop",
        pytest.param("training_flop", marks=pytest.mark.slow),
        pytest.param("inference_flop", marks=pytest.mark.slow),
    ],
)
def test_more_of_a_budget_never_hurts(name: str) -> None:
    scenario = changed(three_classes(), total_flop=2e20, training_flop=6e19, inference_flop=1.5e20)
    last = None
    for factor in (0.2, 0.6, 0.99, 1.0, 1.01, 3.0, 30.0):
        limits = dict(scenario["limits"])
        limits[name] *= factor
        answer = solved(changed(scenario, **limits))
        if last is not None:
            assert bounds(answer)[1] >= bounds(last)[0] - 1e-12
        last = answer


def test_the_same_input_gives_the_same_bytes() -> None:
    scenario = three_classes()
    assert repr(solved(scenario, details=True)) == repr(solved(scenario, details=True))


def test_another_policy_never_hurts() -> None:
    scenario = three_classes()
    policies = scenario["reasoning"]["policies"]
    last = None
    for count in range(1, len(policies) + 1):
        scenario["reasoning"]["policies"] = policies[:count]
        answer = solved(scenario)
        if last is not None:
            assert bounds(answer)[1] >= bounds(last)[0] - 1e-12
        last = answer


def test_a_class_in_two_halves_is_the_same_class() -> None:
    scenario = three_classes()
    whole = solved(scenario)
    mix = scenario["workload"]["mix"]
    mix[0]["share"] /= 2.0
    mix.append({**mix[0], "name": "the other half"})
    assert overlap(whole, solved(scenario))


@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e6])
def test_only_inference_scales_with_tasks(factor: float) -> None:
    """With data free of charge, tasks and budget together scale out."""
    scenario = changed(three_classes(), inference_flop=1e20)
    first = solved(scenario)
    scenario["limits"]["inference_flop"] *= factor
    scenario["workload"]["tasks"] *= factor
    second = solved(scenario)
    assert overlap(first, second)
    assert bounds(first)[0] == pytest.approx(bounds(second)[0], abs=1e-3)


def test_tokens_per_step_and_model_size_trade_against_each_other() -> None:
    """Twice the tokens per step for half the tasks: the same compute, the same answer."""
    scenario = changed(three_classes(), total_flop=3e20)
    del scenario["model"]["shape"]  # attention is quadratic in tokens
    scenario["reasoning"]["policies"] = ["chain_of_thought"]
    for task in scenario["workload"]["mix"]:
        task["prompt_tokens"] = 0.0
    first = solved(scenario)
    scenario["workload"]["tasks"] /= 2.0
    scenario["reasoning"]["tokens_per_step"] = 50.0
    for task in scenario["workload"]["mix"]:
        task["max_output_tokens"] *= 2.0
    second = solved(scenario)
    assert overlap(first, second)


def test_a_frontier_is_what_solving_each_limit_gives() -> None:
    scenario = three_classes()
    scenario["frontier"] = {"from": 1e19, "to": 1e21, "points": 4}
    points = solved(scenario, frontier=True).frontier
    assert [p.limit for p in points] == pytest.approx(np.geomspace(1e19, 1e21, 4).tolist())
    del scenario["frontier"]
    for point in points:
        alone = solved(changed(scenario, total_flop=point.limit))
        assert point.objective is not None
        assert point.upper is not None
        assert point.objective <= bounds(alone)[1] + 1e-12
        assert point.upper >= bounds(alone)[0] - 1e-12


def test_an_answer_scored_again_is_the_same() -> None:
    scenario = three_classes()
    answer = solved(scenario)
    assert answer.parameters is not None
    again = evaluate(Scenario.model_validate(scenario), answer.parameters, answer.training_tokens)
    lower, upper = bounds(answer)
    # training is charged to the last digit, a part in 1e12 is kept back
    assert again.accuracy is not None
    assert lower - 1e-9 <= again.accuracy <= upper + 1e-9


@pytest.mark.parametrize(
    "resource",
    [
        "total_flop",
        pytest.param("inference_flop", marks=pytest.mark.slow),
        pytest.param("training_flop", marks=pytest.mark.slow),
    ],
)
def test_least_of_a_resource_and_most_accuracy_agree(resource: str) -> None:
    scenario = changed(three_classes(), total_flop=1e22)
    scenario["objective"] = {"minimise": resource, "accuracy": 0.6}
    scenario["solver"]["resource_gap"] = 0.01
    least = solved(scenario)
    assert least.status is Status.OPTIMAL
    assert least.accuracy is not None
    assert least.accuracy >= 0.6 - 1e-9
    lower, upper = bounds(least)
    del scenario["objective"]
    scenario["limits"][resource] = upper
    assert bounds(solved(scenario))[1] >= 0.6
    scenario["limits"][resource] = lower * (1.0 - 1e-9)
    assert bounds(solved(scenario))[0] <= 0.6


def test_shared_budgets_never_beat_budgets_of_their_own() -> None:
    scenario = three_classes()
    scenario["reasoning"]["policies"] = ["chain_of_thought"]
    own = solved(scenario)
    scenario["reasoning"]["budgets"] = "shared"
    scenario["solver"]["gap"] = 1e-5
    for charge in ("expected", "budget"):
        scenario["reasoning"]["charge"] = charge
        shared = solved(scenario)
        assert bounds(shared)[0] <= bounds(own)[1] + 1e-12
        used = shared.total_flop
        assert used is not None
        assert used <= 3e20 * (1.0 + 1e-12)
        assert len({row.token_budget for row in shared.tasks}) == 1


@pytest.mark.parametrize("most", [1000.0, 1599.0])
def test_a_shared_token_budget_is_kept_by_every_policy(most: float) -> None:
    scenario = three_classes()
    for task in scenario["workload"]["mix"]:
        task["verifier"] = {"kind": "process"}
        task["skills"] = 1
    scenario["reasoning"] = {
        "budgets": "shared",
        "token_budget": {"max": most},
        "policies": ["chain_of_thought", {"best_of_n": {"samples": 64}}],
    }
    answer = solved(scenario)
    assert all(row.token_budget <= most for row in answer.tasks)


@pytest.mark.parametrize("charge", ["expected", "budget"])
@pytest.mark.parametrize("seed", range(6))
def test_shared_budgets_against_a_scan(seed: int, charge: str, oracle: Oracle) -> None:
    """Every whole number of steps with a scan over sizes; costs rise to a fixed point in loss."""
    rng = np.random.default_rng(seed)
    scenario = {
        "workload": {
            "tasks": float(10 ** rng.uniform(5, 10)),
            "mix": [
                {
                    "name": str(i), "share": 0.5, "difficulty": float(rng.uniform(2.0, 3.5)),
                    "skills": int(rng.integers(1, 6)), "max_output_tokens": 25.0 * 40,
                }
                for i in range(2)
            ],
        },
        "reasoning": {"budgets": "shared", "charge": charge, "policies": ["chain_of_thought"]},
        "limits": {"total_flop": float(10 ** rng.uniform(18, 21))},
        "solver": {"gap": 1e-5},
    }  # fmt: skip
    answer = solved(scenario)
    lower, upper = bounds(answer)
    best = -np.inf
    size, tokens = np.meshgrid(np.geomspace(1e6, 1e11, 150), np.geomspace(1e7, 1e13, 150))
    size, tokens = size.ravel(), tokens.ravel()
    from ds3opt.laws.loss import LOSS_LAWS

    loss = LOSS_LAWS["besiroglu2024"].loss(size, tokens)
    room = scenario["limits"]["total_flop"] - 6.0 * size * tokens
    fits = room > 0.0
    size, loss, room = size[fits], loss[fits], room[fits] / scenario["workload"]["tasks"]
    menus = [
        oracle("allocation").menu(scenario, t, size, loss) for t in scenario["workload"]["mix"]
    ]
    success = sum(m.share * m.success for m in menus)
    cost = sum(m.share * m.flop for m in menus)
    best = float(np.max(np.where(cost <= room, success, 0.0)))
    assert best <= upper + 1e-12
    # a grid of 8 % in size and 10 % in tokens comes near
    assert best >= lower - 0.05


def test_an_accuracy_out_of_reach_is_told_with_the_most_that_is_in_reach() -> None:
    scenario = three_classes()
    scenario["limits"] = {"total_flop": 1e20, "training_flop": 1e18}
    most = solved(scenario)
    assert most.accuracy is not None
    none = solved({**scenario, "objective": {"minimise": "total_flop", "accuracy": 0.9}})
    assert none.infeasibility is not None
    assert none.infeasibility.limit == "objective.accuracy"
    told = none.infeasibility.smallest_feasible
    lower, upper = bounds(most)
    assert told == pytest.approx(lower, abs=upper - lower)
