"""Shadow prices against differences of full solves at a tight gap."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest

from ds3opt.optimise.solution import LimitUse, Solution
from ds3opt.optimise.solve import solve
from ds3opt.schema import Scenario

GAP = 1e-5
MOVE = 0.03
"""ln of the factor by which a limit is moved to either side."""


def per_task() -> dict[str, Any]:
    """Many difficulties, so that the value has no corner in its limits."""
    return {
        "workload": {
            "tasks": 1e8,
            "mix": [
                {
                    "name": "a", "share": 0.7, "skills": 4, "max_output_tokens": 8000,
                    "difficulty": {"uniform": [2.1, 3.2], "points": 12},
                },
                {
                    "name": "b", "share": 0.3, "skills": 8, "max_output_tokens": 8000,
                    "difficulty": {"uniform": [2.0, 2.8], "points": 12},
                },
            ],
        },
        "reasoning": {"policies": ["chain_of_thought"]},
        "limits": {"total_flop": 3e19},
        "solver": {"gap": GAP},
    }  # fmt: skip


def solved(scenario: dict[str, Any], *, details: bool = False) -> Solution:
    return solve(Scenario.model_validate(scenario), details=details)


def limit_of(solution: Solution, name: str) -> LimitUse:
    return next(use for use in solution.limits if use.name == name)


def measured(
    scenario: dict[str, Any], move: Callable[[dict[str, Any], float], None], by: float = MOVE
) -> tuple[float, float]:
    """Central difference of full solves per doubling, and how wrong their gaps may make it."""
    ends = []
    for sign in (-1.0, 1.0):
        there = copy.deepcopy(scenario)
        move(there, math.exp(sign * by))
        certificate = solved(there).certificate
        assert certificate is not None
        ends.append((certificate.lower, certificate.upper))
    scale = math.log(2.0) / (2.0 * by)
    slope = 0.5 * (sum(ends[1]) - sum(ends[0])) * scale
    slack = 0.5 * sum(high - low for low, high in ends) * scale
    return slope, slack


def compare(
    scenario: dict[str, Any],
    name: str,
    move: Callable[[dict[str, Any], float], None],
    *,
    curvature: float = 0.02,
) -> None:
    """The price lies within the solves' gaps, and a part for curvature over the move.

    The move is near the solver's own, so what differs is where the envelopes' corners fall.
    """
    use = limit_of(solved(scenario, details=True), name)
    assert use.binding
    assert use.shadow_price_per_doubling is not None
    slope, slack = measured(scenario, move)
    # the solver's own difference is of plans within its gap too, over a step of 0.04
    own = 0.1 * GAP * math.log(2.0) / 0.04
    assert use.shadow_price_per_doubling == pytest.approx(
        slope, abs=slack + own + curvature * abs(slope)
    )


def limits(name: str) -> Callable[[dict[str, Any], float], None]:
    def move(scenario: dict[str, Any], factor: float) -> None:
        scenario["limits"][name] *= factor

    return move


def model(name: str, key: str) -> Callable[[dict[str, Any], float], None]:
    def move(scenario: dict[str, Any], factor: float) -> None:
        scenario["model"][name][key] *= factor

    return move


def slow(*values: Any) -> Any:
    """One of many like it, left to long runs."""
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"total_flop": 3e19}, "total_flop"),
        ({"training_flop": 3e18, "inference_flop": 1e19}, "training_flop"),
        slow({"total_flop": 3e19, "training_flop": 2e18}, "total_flop"),
        slow({"training_flop": 3e18, "inference_flop": 1e19}, "inference_flop"),
        slow({"total_flop": 3e19, "training_flop": 2e18}, "training_flop"),
    ],
    ids=lambda x: x if isinstance(x, str) else "+".join(x),
)
def test_prices_of_compute(given: dict[str, float], name: str) -> None:
    scenario = per_task()
    scenario["limits"] = given
    compare(scenario, name, limits(name))


def test_price_of_the_largest_size() -> None:
    scenario = per_task()
    scenario["limits"] = {"total_flop": 3e19}
    scenario["model"] = {"parameters": {"max": 5e6}}
    compare(scenario, "max_parameters", model("parameters", "max"))


@pytest.mark.slow
def test_price_of_the_most_training_tokens() -> None:
    scenario = per_task()
    scenario["model"] = {"training_tokens": {"max": 3e9}}
    compare(scenario, "max_training_tokens", model("training_tokens", "max"))


def test_unique_tokens_are_worth_something_when_tokens_repeat() -> None:
    scenario = per_task()
    scenario["model"] = {"loss_law": "muennighoff2023", "training_tokens": {"unique": 1e9}}
    compare(scenario, "unique_tokens", model("training_tokens", "unique"), curvature=0.1)


@pytest.mark.parametrize("charge", [slow("expected"), "budget"])
def test_prices_of_a_shared_budget(charge: str) -> None:
    scenario = per_task()
    scenario["reasoning"].update(budgets="shared", charge=charge, steps="continuous")
    compare(scenario, "total_flop", limits("total_flop"))


@pytest.mark.parametrize(
    "given", [{"total_flop": 1e24}, {"total_flop": 1e24, "training_flop": 4e23}]
)
def test_prices_of_pretraining(given: dict[str, float]) -> None:
    scenario: dict[str, Any] = {
        "workload": {"served_tokens": 1e13},
        "objective": {"minimise": "loss"},
        "limits": given,
    }
    for name in given:
        if limit_of(solved(scenario, details=True), name).binding:
            compare(scenario, name, limits(name), curvature=0.02)


def test_limits_with_room_are_free() -> None:
    scenario = per_task()
    scenario["limits"] = {"total_flop": 3e19, "training_flop": 2.9e19, "inference_flop": 2.99e19}
    answer = solved(scenario, details=True)
    assert limit_of(answer, "total_flop").binding
    for name in ("training_flop", "inference_flop"):
        assert not limit_of(answer, name).binding
        assert limit_of(answer, name).shadow_price_per_doubling == 0.0


@pytest.mark.parametrize("required", [0.56, slow(0.65)])
def test_price_of_a_required_accuracy(required: float) -> None:
    """Per doubling of the requirement, like every other limit."""
    scenario = per_task()
    free = solved(scenario)
    assert free.classes[1].accuracy < required  # so the requirement binds

    def move(there: dict[str, Any], factor: float) -> None:
        there["workload"]["mix"][1]["min_accuracy"] = required * factor

    move(scenario, 1.0)
    use = limit_of(solved(scenario, details=True), "min_accuracy of b")
    assert use.binding
    assert type(use.shadow_price_per_doubling) is float
    assert use.shadow_price_per_doubling < 0.0
    # no corner of the envelopes lies within the step at these requirements
    slope, slack = measured(scenario, move, by=0.01)
    assert use.shadow_price_per_doubling == pytest.approx(slope, abs=slack + 0.02 * abs(slope))


def test_what_is_given_as_one_value_is_no_limit_and_has_no_price() -> None:
    scenario = per_task()
    scenario["limits"] = {"inference_flop": 1e19}
    scenario["model"] = {"parameters": 3e7, "training_tokens": 6e8}
    assert {use.name for use in solved(scenario, details=True).limits} == {"inference_flop"}
    scenario["model"] = {"parameters": {"max": 3e7}, "tokens_per_parameter": 20}
    names = {use.name for use in solved(scenario, details=True).limits}
    assert names == {"inference_flop", "max_parameters"}
    scenario["model"] = {"parameters": {"max": 3e7}, "tokens_per_parameter": {"max": 20}}
    names = {use.name for use in solved(scenario, details=True).limits}
    assert names == {"inference_flop", "max_parameters", "max_tokens_per_parameter"}


WIDE = 0.2
"""The same where the least of a resource is solved to a part in a thousand."""


def cheapest(accuracy: float, **limits: float) -> dict[str, Any]:
    scenario = per_task()
    for task in scenario["workload"]["mix"]:
        task["difficulty"]["points"] = 3
    scenario["objective"] = {"minimise": "total_flop", "accuracy": accuracy}
    return {**scenario, "limits": limits, "solver": {}}


def test_limits_are_priced_in_the_resource_that_is_least() -> None:
    free = solved(cheapest(0.6))
    assert free.training_flop is not None
    cap = 0.5 * free.training_flop
    answer = solved(cheapest(0.6, training_flop=cap), details=True)
    low, here, high = (
        solved(cheapest(0.6, training_flop=cap * math.exp(by))).certificate
        for by in (-WIDE, 0.0, WIDE)
    )
    assert low is not None
    assert here is not None
    assert high is not None
    # the price lies between the slopes to either side, as far as the gaps tell these
    slopes = [(here.upper - low.upper) / WIDE, (high.upper - here.upper) / WIDE]
    doubt = sum(end.upper - end.lower for end in (low, here, high)) / WIDE
    price = limit_of(answer, "training_flop").shadow_price_per_doubling
    assert price is not None
    assert min(slopes) - doubt <= price / math.log(2.0) <= max(slopes) + doubt < 0.0


def test_a_limit_on_the_resource_that_is_least_is_the_users() -> None:
    use = limit_of(solved(cheapest(0.6, total_flop=1e22), details=True), "total_flop")
    assert use.limit == 1e22
    assert not use.binding
    assert use.shadow_price_per_doubling == 0.0
    assert not [use for use in solved(cheapest(0.6)).limits if use.name == "total_flop"]


def test_a_target_below_what_classes_require_does_not_bind() -> None:
    scenario = cheapest(0.2)
    scenario["workload"]["mix"][0]["min_accuracy"] = 0.8
    scenario["solver"] = {"resource_gap": 1e-2}
    accuracy, *others = solved(scenario, details=True).limits
    assert (accuracy.name, accuracy.binding) == ("accuracy", False)
    assert accuracy.shadow_price_per_doubling == 0.0
    required = next(use for use in others if use.name == "min_accuracy of a")
    assert required.binding
    assert required.shadow_price_per_doubling is None
