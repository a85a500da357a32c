"""Baselines against certified solves of the same scenario with its training on the rule."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ds3opt.optimise.baseline import RulePlan, best_on_rule, on_rule
from ds3opt.optimise.solution import Certificate
from ds3opt.optimise.solve import solve
from ds3opt.problem import compile_problem
from ds3opt.schema import Scenario

GAP, RESOURCE_GAP = 1e-3, 1e-2
CHEAPEST = {"minimise": "total_flop", "accuracy": 0.6}


def service(chat: float = 0.0, analysis: float = 0.0, *, cheapest: bool = False) -> dict[str, Any]:
    """Two classes and the accuracies that they must reach."""
    limits = {"training_flop": 1e21, "inference_flop": 2e21}
    return {
        "workload": {
            "tasks": 5e8,
            "mix": [
                {
                    "name": "chat", "share": 0.7, "difficulty": 2.7, "skills": 3,
                    "prompt_tokens": 600, "max_output_tokens": 1000, "min_accuracy": chat,
                },
                {
                    "name": "analysis", "share": 0.3, "difficulty": 2.4, "skills": 5,
                    "prompt_tokens": 2000, "max_output_tokens": 4000, "fatigue": 0.05,
                    "verifier": {
                        "kind": "outcome", "true_positive_rate": 0.9, "false_positive_rate": 0.1,
                    },
                    "min_accuracy": analysis,
                },
            ],
        },
        "model": {"parameters": ["50 M", "1 T"], "training_tokens": {"max": "15 T"}},
        "reasoning": {"policies": ["chain_of_thought", {"best_of_n": {"samples": [2, 4, 8]}}]},
        "solver": {"gap": GAP, "resource_gap": RESOURCE_GAP},
        **({"objective": CHEAPEST} if cheapest else {"limits": limits}),
    }  # fmt: skip


def twenty_tokens_per_parameter(scenario: dict[str, Any]) -> RulePlan | None:
    problem = compile_problem(Scenario.model_validate(scenario))
    return best_on_rule(on_rule(problem, "tokens_per_parameter_20"))


def certified_with_twenty(scenario: dict[str, Any]) -> Certificate | None:
    fixed = copy.deepcopy(scenario)
    fixed["model"]["tokens_per_parameter"] = 20
    return solve(Scenario.model_validate(fixed), details=False).certificate


@pytest.mark.parametrize(
    ("chat", "analysis"),
    [
        pytest.param(0.0, 0.0, id="no class requires anything"),
        pytest.param(0.0, 0.8, id="a class takes from another"),
        pytest.param(0.3, 0.5, id="both classes require something"),
    ],
)
def test_the_accuracy_of_a_rule_is_that_of_the_optimum_with_the_rule(
    chat: float, analysis: float
) -> None:
    scenario = service(chat, analysis)
    plan, certificate = twenty_tokens_per_parameter(scenario), certified_with_twenty(scenario)
    assert plan is not None
    assert certificate is not None
    assert certificate.lower - GAP <= plan.objective <= certificate.upper


@pytest.mark.parametrize(
    ("chat", "analysis"),
    [
        pytest.param(0.0, 0.0, id="no class requires anything"),
        pytest.param(0.0, 0.5, id="a class requires some of the target"),
        pytest.param(0.0, 0.8, id="a class requires what is dear"),
        pytest.param(0.9, 0.8, id="the classes require more than the target"),
    ],
)
def test_the_resources_of_a_rule_are_those_of_the_optimum_with_the_rule(
    chat: float, analysis: float
) -> None:
    scenario = service(chat, analysis, cheapest=True)
    plan, certificate = twenty_tokens_per_parameter(scenario), certified_with_twenty(scenario)
    assert plan is not None
    assert certificate is not None
    assert certificate.lower <= plan.objective <= certificate.upper * (1.0 + RESOURCE_GAP)


def test_a_rule_that_cannot_reach_what_a_class_must_has_no_plan() -> None:
    scenario = service(analysis=0.9)
    assert solve(Scenario.model_validate(scenario), details=False).accuracy is not None
    assert certified_with_twenty(scenario) is None
    assert twenty_tokens_per_parameter(scenario) is None
