"""A model, policies and token budgets as given on hardware, against a programme of its own."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ds3opt.errors import UsageError
from ds3opt.optimise.evaluate import evaluate
from ds3opt.optimise.solution import Solution, Status

Oracle = Callable[[str], ModuleType]

ROUNDING = 1e-7
"""Limits are kept to 1e-10 of their size by HiGHS, which prices of some hundreds make visible."""
SIZE, TOKENS = 3e8, 2e10
PER_STEP = 25.0


@pytest.fixture
def small(oracle: Oracle) -> dict[str, Any]:
    """Two classes, a model of known shape, and less money than both classes could use."""
    data: dict[str, Any] = oracle("fleet_scenarios").two_classes()
    data["model"] = {"shape": {"list": [oracle("fleet_scenarios").LIST[0]]}}
    data["reasoning"]["tokens_per_step"] = PER_STEP
    data["limits"] = {"cost": 450.0}
    return data


def scored(data: dict[str, Any], oracle: Oracle, **given: Any) -> Solution:
    return evaluate(oracle("fleet_scenarios").read(data), SIZE, TOKENS, **given)


def brute(
    data: dict[str, Any],
    oracle: Oracle,
    policies: dict[str, tuple[str, int, int]],
    budgets: dict[str, float],
) -> float:
    """The best accuracy with all options but those of the given policies and budgets left out."""
    bench = oracle("fleet").Bench(oracle("fleet_scenarios").read(data))
    for index, point in enumerate(bench.tasks):
        if point.task.name in budgets:
            tokens = budgets[point.task.name]
            bench.steps[index] = sorted({int(tokens // (k * PER_STEP)) for k in range(1, 9)} - {0})
    (shape,) = bench.shapes
    kept = []
    for way in bench.ways(shape, bench.loss(shape, np.array([TOKENS]))):
        name = bench.tasks[way.task].task.name
        policy, samples, branches, steps = way.label
        width = samples * branches
        if name in policies and policies[name] != (policy, samples, branches):
            continue
        if name in budgets and steps != int(budgets[name] // (width * PER_STEP)):
            continue
        kept.append(way)
    return float(bench.best_mix(shape, TOKENS, kept, 0).value)


GIVEN: list[tuple[dict[str, str], dict[str, tuple[str, int, int]], dict[str, float]]] = [
    ({}, {}, {}),
    ({"code": "best_of_n:2"}, {"code": ("best_of_n", 2, 1)}, {}),
    ({}, {}, {"chat": 130.0}),
    ({}, {}, {"code": 1700.0}),
    (
        {"chat": "chain_of_thought", "code": "best_of_n:8"},
        {"chat": ("chain_of_thought", 1, 1), "code": ("best_of_n", 8, 1)},
        {"chat": 325.0, "code": 2600.0},
    ),
]


@pytest.mark.parametrize(("policies", "meant", "budgets"), GIVEN)
def test_the_rest_is_chosen_as_well_as_possible(
    policies: dict[str, str],
    meant: dict[str, tuple[str, int, int]],
    budgets: dict[str, float],
    small: dict[str, Any],
    oracle: Oracle,
) -> None:
    solution = scored(small, oracle, policies=policies, token_budgets=budgets)
    assert solution.status is Status.EVALUATED
    assert solution.accuracy == pytest.approx(brute(small, oracle, meant, budgets), abs=ROUNDING)
    tried = [row for row in solution.tasks if row.attempted]
    assert {row.name for row in tried} == {"chat", "code"}
    for row in tried:
        assert row.policy is not None
        if row.name in meant:
            assert (row.policy.name, row.policy.samples, row.policy.branches) == meant[row.name]
        if row.name in budgets:
            # as many whole steps of every trace as the budget allows
            assert row.token_budget <= budgets[row.name]
            assert row.token_budget > budgets[row.name] - row.policy.samples * PER_STEP


def test_a_policy_that_the_scenario_does_not_list(small: dict[str, Any], oracle: Oracle) -> None:
    solution = scored(small, oracle, policies={"code": "best_of_n:4"})
    small["reasoning"]["policies"].append({"best_of_n": {"samples": [4]}})
    listed = brute(small, oracle, {"code": ("best_of_n", 4, 1)}, {})
    # the other class may use it only where it is listed, and has nothing to judge with
    assert solution.accuracy == pytest.approx(listed, abs=ROUNDING)


@pytest.mark.parametrize("given", [{"policies": {"chat": "chain_of_thought"}},
                                   {"token_budgets": {"chat": 500.0}}])  # fmt: skip
def test_a_class_of_given_policy_is_answered_by_the_given_model(
    given: dict[str, Any], small: dict[str, Any], oracle: Oracle
) -> None:
    shape = {"parameters": 2e9, "layers": 24, "width": 2560, "heads": 20, "kv_heads": 4}
    known = {"name": "known", "loss": 1.9, "shape": shape}
    sure = {"accuracy": 1.0, "output_tokens": 10}
    measured = {"name": "sure", "shape": shape, "measured": {"chat": sure, "code": sure}}
    small["model"]["candidates"] = [known, measured]
    free, fixed = scored(small, oracle), scored(small, oracle, **given)
    assert {row.model for row in free.tasks if row.name == "chat" and row.attempted} == {"sure"}
    assert {row.model for row in fixed.tasks if row.name == "chat" and row.attempted} == {None}
    assert "sure" in {row.model for row in fixed.tasks if row.name == "code"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"policies": {"chats": "chain_of_thought"}}, "no class is named 'chats'"),
        ({"token_budgets": {"chats": 100.0}}, "no class is named 'chats'"),
        ({"policies": {"chat": "best_of:8"}}, "no policy is named"),
        ({"policies": {"chat": "majority_vote:5"}}, "wrong_answers"),
    ],
)
def test_what_is_given_must_be_there(
    given: dict[str, Any], words: str, small: dict[str, Any], oracle: Oracle
) -> None:
    with pytest.raises(UsageError, match=words):
        scored(small, oracle, **given)
