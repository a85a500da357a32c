"""Spreads over draws compared with those that are kept."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from ds3opt.regression import compare, draws_of

NUMBERS = {"mean": 0.8, "p2_5": 0.7, "p10": 0.75, "p50": 0.8, "p90": 0.85, "p97_5": 0.9}
RESULT: dict[str, Any] = {
    "schema_version": 1,
    "status": "optimal",
    "objective": "accuracy",
    "certificate": {"accuracy_lower": 0.8, "accuracy_upper": 0.8001, "gap_is_relative": False},
    "uncertainty": {
        "draws": 100,
        "seed": 0,
        "gap_of_a_draw": 1e-3,
        "infeasible": 0.0,
        "not_converged": 0.0,
        "constants": [{"path": "model.capability.slope"}],
        "amounts": {
            "accuracy": NUMBERS,
            "parameters": {key: 1e9 * value for key, value in NUMBERS.items()},
        },
        "classes": [
            {
                "name": "only",
                "policies": [
                    {"policy": "a", "probability_best": 0.6, "verdict": "leading"},
                    {"policy": "b", "probability_best": 0.4, "verdict": "not_told_apart"},
                    {"policy": "c", "probability_best": 0.0, "verdict": "worse"},
                ],
            }
        ],
        "plan": {"limits": [{"name": "total_flop", "broken": 0.4}]},
        "robust": {"objective_lower": 0.79, "gap": 5e-4, "tail": 0.1},
    },
}


def _changed(path: str, value: Any) -> dict[str, Any]:
    data = deepcopy(RESULT)
    *steps, last = path.split(".")
    node: Any = data["uncertainty"]
    for step in steps:
        node = node[int(step)] if step.isdecimal() else node[step]
    node[int(last) if last.isdecimal() else last] = value
    return data


def test_a_spread_agrees_with_itself():
    assert compare(RESULT, deepcopy(RESULT)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("draws", 200),
        ("seed", 1),
        ("constants", []),
        ("infeasible", 0.1),
        ("amounts.accuracy.p2_5", 0.7 + 0.0021),
        ("amounts.parameters.p50", 0.8e9 * 1.26),
        ("classes.0.policies.0.probability_best", 0.66),
        ("plan.limits.0.broken", 0.46),
        ("robust.objective_lower", 0.79 + 0.0021),
        ("robust", None),
        ("classes", []),
    ],
)
def test_what_counts_as_drift(path, value):
    drifts = compare(RESULT, _changed(path, value))
    assert len(drifts) == 1
    assert drifts[0].path.startswith("uncertainty.")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("amounts.accuracy.p2_5", 0.7 + 0.0019),
        ("amounts.parameters.p50", 0.8e9 * 1.24),
        ("classes.0.policies.0.probability_best", 0.56),
        ("robust.objective_lower", 0.79 - 0.0019),
    ],
)
def test_what_does_not(path, value):
    assert compare(RESULT, _changed(path, value)) == []


def test_another_policy_may_lead_where_the_two_were_not_told_apart():
    policies = RESULT["uncertainty"]["classes"][0]["policies"]
    swapped = [{**policies[1], "verdict": "leading"}, {**policies[0], "verdict": "not_told_apart"}]
    assert compare(RESULT, _changed("classes.0.policies", swapped)) == []
    worse = [{**policies[2], "verdict": "leading"}, {**policies[0], "verdict": "worse"}]
    (drift,) = compare(RESULT, _changed("classes.0.policies", worse))
    assert (drift.old, drift.new) == ("a", "c")


def test_a_result_without_the_spread_that_was_kept_has_drifted():
    bare = {key: value for key, value in RESULT.items() if key != "uncertainty"}
    (drift,) = compare(RESULT, bare)
    assert drift.path == "uncertainty"
    assert compare(bare, RESULT) == []


def test_what_a_result_was_solved_for():
    assert draws_of(RESULT) == (100, 0, 0.1)
    assert draws_of({"status": "optimal"}) is None
