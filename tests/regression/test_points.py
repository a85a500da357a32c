"""Drifts made by hand: what counts as one and what does not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ds3opt.regression import compare, policy_words, stable

Data = dict[str, Any]


def task(name: str, **changes: Any) -> Data:
    row = {
        "name": name,
        "share": 0.5,
        "difficulty": 2.4,
        "skills": 2,
        "accuracy": 0.9,
        "token_budget": 400.0,
        "expected_tokens": 200.0,
        "policy": {"name": "chain_of_thought"},
        "fraction": 1.0,
        "token_budget_range": [350.0, 500.0],
        "alternatives": ["best of 2"],
    }
    return {**row, **changes}


@pytest.fixture
def expected() -> Data:
    return {
        "schema_version": 1,
        "status": "optimal",
        "objective": "accuracy",
        "target": None,
        "certificate": {"accuracy_lower": 0.5, "accuracy_upper": 0.50005, "gap": 5e-5},
        "allocation": {
            "parameters": 1e9,
            "training_tokens": 2e11,
            "tasks": [task("a"), task("b", share=0.4995), task("c", share=0.0005)],
        },
        "baselines": [{"name": "tokens_per_parameter_20", "accuracy": 0.4}],
        "frontier": [
            {"total_flop": 1e20, "accuracy": 0.3, "accuracy_upper": 0.30005, "status": "optimal"}
        ],
        "ranges": {"parameters": [5e8, 2e9]},
        "infeasibility": None,
        "provenance": {"ds3opt_version": "1", "scenario_sha256": "x", "loss_law": "besiroglu2024"},
    }


@pytest.fixture
def actual(expected: Data) -> Data:
    return copy.deepcopy(expected)


def paths(expected: Data, actual: Data) -> list[str]:
    return [drift.path for drift in compare(expected, actual)]


def test_a_result_is_itself(expected: Data, actual: Data) -> None:
    assert compare(expected, actual) == []


def test_an_objective_may_move_by_the_certified_gaps(expected: Data, actual: Data) -> None:
    actual["certificate"] = {"accuracy_lower": 0.50009, "accuracy_upper": 0.50014}
    assert paths(expected, actual) == []
    actual["certificate"] = {"accuracy_lower": 0.5002, "accuracy_upper": 0.50025}
    (drift,) = compare(expected, actual)
    assert drift.path == "certificate.accuracy_lower"
    assert drift.change == pytest.approx(4e-4)


def test_a_tight_objective_may_move_by_a_millionth(expected: Data, actual: Data) -> None:
    for data, value in ((expected, 0.5), (actual, 0.5 * (1 + 0.9e-6))):
        data["certificate"] = {"accuracy_lower": value, "accuracy_upper": value}
    assert paths(expected, actual) == []
    actual["certificate"] = dict.fromkeys(("accuracy_lower", "accuracy_upper"), 0.5 * (1 + 1.1e-6))
    assert paths(expected, actual) == ["certificate.accuracy_lower"]


def test_a_minimised_resource_is_compared_by_its_upper_bound(expected: Data, actual: Data) -> None:
    for data, upper in ((expected, 1.001e24), (actual, 1.01e24)):
        data["objective"] = "total_flop"
        data["certificate"] = {"total_flop_lower": 1e24, "total_flop_upper": upper}
    actual["certificate"]["total_flop_lower"] = 1.0095e24
    assert "certificate.total_flop_upper" in paths(expected, actual)


@pytest.mark.parametrize(
    ("parameters", "ranges", "drifts"),
    [
        (1.2e9, {}, False),
        (0.81e9, {}, False),
        (1.3e9, {}, True),
        (0.7e9, {}, True),
        (2.4e9, {"parameters": [5e8, 2e9]}, False),
        (2.6e9, {"parameters": [5e8, 2e9]}, True),
    ],
)
def test_decisions_are_loose(
    expected: Data, actual: Data, parameters: float, ranges: Data, drifts: bool
) -> None:
    expected["ranges"], actual["ranges"] = ranges, {}
    actual["allocation"]["parameters"] = parameters
    assert paths(expected, actual) == (["allocation.parameters"] if drifts else [])


def test_token_budgets_are_loose(expected: Data, actual: Data) -> None:
    actual["allocation"]["tasks"][0]["token_budget"] = 620.0
    assert paths(expected, actual) == []
    actual["allocation"]["tasks"][0].update(token_budget=800.0, token_budget_range=None)
    assert paths(expected, actual) == ["allocation.tasks.a.token_budget"]


@pytest.mark.parametrize(
    ("name", "policy", "drifts"),
    [
        ("a", {"name": "best_of_n", "samples": 4}, True),
        ("a", {"name": "best_of_n", "samples": 2}, False),
        ("c", {"name": "best_of_n", "samples": 4}, False),
        ("a", None, True),
    ],
)
def test_policies_are_exact_unless_exchangeable_or_rare(
    expected: Data, actual: Data, name: str, policy: Data | None, drifts: bool
) -> None:
    for row in actual["allocation"]["tasks"]:
        if row["name"] == name:
            row["policy"] = policy
    assert bool(compare(expected, actual)) is drifts


def test_a_split_task_is_compared_by_either_of_its_policies(expected: Data, actual: Data) -> None:
    rest = expected["allocation"]["tasks"][1:]
    other = {"name": "best_of_n", "samples": 4}
    actual["allocation"]["tasks"] = [
        task("a", share=0.2, fraction=0.4, alternatives=[]),
        task("a", share=0.3, fraction=0.6, policy=other, alternatives=[]),
        *rest,
    ]
    assert paths(expected, actual) == []


def test_status_and_objective_are_exact(expected: Data, actual: Data) -> None:
    actual["status"] = "not_converged"
    assert paths(expected, actual) == ["status"]


def test_a_frontier_is_compared_row_by_row(expected: Data, actual: Data) -> None:
    actual["frontier"][0].update(accuracy=0.29, accuracy_upper=0.29005)
    assert paths(expected, actual) == ["frontier[0].accuracy"]
    actual["frontier"][0].update(status="infeasible", accuracy=None)
    assert paths(expected, actual) == ["frontier[0].status"]
    actual["frontier"] = []
    assert paths(expected, actual) == ["frontier"]


def test_baselines_are_compared_by_name(expected: Data, actual: Data) -> None:
    actual["baselines"][0]["accuracy"] = None
    assert paths(expected, actual) == ["baselines.tokens_per_parameter_20.accuracy"]
    actual["baselines"] = []
    assert paths(expected, actual) == ["baselines.tokens_per_parameter_20.accuracy"]


def test_a_missing_task_is_a_drift(expected: Data, actual: Data) -> None:
    del actual["allocation"]["tasks"][0]
    assert paths(expected, actual) == ["allocation.tasks.a"]


def test_infeasible_results_are_compared_by_their_limit(expected: Data, actual: Data) -> None:
    for data, least in ((expected, 1e20), (actual, 1.0005e20)):
        data["status"] = "infeasible"
        data["certificate"] = None
        data["infeasibility"] = {"limit": "limits.total_flop", "smallest_feasible": least}
    assert paths(expected, actual) == []
    actual["infeasibility"]["smallest_feasible"] = 2e20
    assert paths(expected, actual) == ["infeasibility.smallest_feasible"]


def test_what_is_kept_has_no_version_and_no_hash(expected: Data) -> None:
    assert stable(expected)["provenance"] == {"loss_law": "besiroglu2024"}


def test_a_policy_that_no_longer_exists_is_still_named() -> None:
    assert "beam" in policy_words({"name": "beam", "width": 4})


def on_hardware(**changes: Any) -> Data:
    return task("a", model=None, way=None, period=None, **changes)


def test_totals_of_resources_are_loose_and_the_objective_is_not_one(
    expected: Data, actual: Data
) -> None:
    for data in (expected, actual):
        data["resources"] = [{"name": "cost", "total": 1e4}, {"name": "energy", "total": 1e12}]
    actual["resources"][0]["total"] = 1.2e4
    assert paths(expected, actual) == []
    actual["resources"][0]["total"] = 1.3e4
    assert paths(expected, actual) == ["resources.cost"]
    for data in (expected, actual):
        data["objective"] = "cost"
        data["certificate"] = {"cost_lower": 1e4, "cost_upper": 1.3e4}
        data["baselines"], data["frontier"] = [], []
    assert paths(expected, actual) == []


@pytest.mark.parametrize("side", ["expected", "actual"])
def test_resources_that_one_side_does_not_state_are_no_drift(
    expected: Data, actual: Data, side: str
) -> None:
    {"expected": expected, "actual": actual}[side]["resources"] = [{"name": "cost", "total": 1e4}]
    assert paths(expected, actual) == []


def test_net_value_is_compared_by_its_lower_bound(expected: Data, actual: Data) -> None:
    for data, lower in ((expected, -2e4), (actual, -2.1e4)):
        data["objective"] = "net_value"
        data["certificate"] = {"net_value_lower": lower, "net_value_upper": lower + 100}
        data["baselines"] = data["frontier"] = []
    assert paths(expected, actual) == ["certificate.net_value_lower"]
    actual["certificate"] = {"net_value_lower": -2.01e4, "net_value_upper": -2e4}
    assert paths(expected, actual) == []


def test_the_model_that_serves_a_task_is_exact(expected: Data, actual: Data) -> None:
    expected["allocation"]["tasks"][0] = on_hardware(alternatives=[])
    actual["allocation"]["tasks"][0] = on_hardware(alternatives=[]) | {"model": "Llama 8B"}
    (drift,) = compare(expected, actual)
    assert (drift.old, drift.new) == ("chain of thought", "Llama 8B: chain of thought")
    ways = [{"policy": None, "way": "vote of 16", "model": name} for name in ("A", "B")]
    for data, way in zip((expected, actual), ways, strict=True):
        data["allocation"]["tasks"][0] = on_hardware(alternatives=[]) | way
    (drift,) = compare(expected, actual)
    assert (drift.old, drift.new) == ("A: vote of 16", "B: vote of 16")


def test_a_task_is_compared_by_what_serves_most_of_it_over_all_periods(
    expected: Data, actual: Data
) -> None:
    other = {"name": "best_of_n", "samples": 4}
    parts = [("day", 0.18, 420.0), ("evening", 0.2, None), ("night", 0.12, 4000.0)]

    def rows(order: int) -> list[Data]:
        made = [
            on_hardware(share=share, alternatives=[], token_budget=budget)
            | {"period": period}
            | ({} if budget else {"policy": other})
            for period, share, budget in parts
        ]
        return made[::order]

    rest = expected["allocation"]["tasks"][1:]
    expected["allocation"]["tasks"] = [task("a", alternatives=[]), *rest]
    for order in (1, -1):
        actual["allocation"]["tasks"] = [*rows(order), *rest]
        assert paths(expected, actual) == []
