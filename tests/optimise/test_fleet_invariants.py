"""What must hold of every answer on hardware, whatever the scenario."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from ds3opt.optimise.solution import LimitUse, Solution, Status
from ds3opt.optimise.solve import solve

Oracle = Callable[[str], ModuleType]
Solve = Callable[..., Solution]
Limited = Callable[..., dict[str, Any]]

ROUNDING = 1e-9


NEAR = {
    "total_flop": 1.1e20, "inference_flop": 1.3e19, "training_flop": 9.7e19, "energy": 4.9e8,
    "cost": 500.0, "carbon": 56.0, "accelerator_hours": 170.0, "training_time": 4250.0,
}  # fmt: skip
"""Every kind of limit within a few per cent of what the optimum for 500 USD takes."""


@pytest.fixture
def solved(oracle: Oracle) -> Solve:
    def go(data: dict[str, Any], **options: Any) -> Solution:
        scenario = oracle("fleet_scenarios").read(data)
        return solve(scenario, **{"details": False, "frontier": False, **options})

    return go


@pytest.fixture
def limited(oracle: Oracle) -> Limited:
    """A scenario of two classes under limits."""

    def go(**limits: float) -> dict[str, Any]:
        data: dict[str, Any] = oracle("fleet_scenarios").two_classes()
        data["workload"]["horizon"] = "3 days"
        data["model"]["parameters"] = [3e8, 1.2e9]
        data["hardware"]["inference"]["accelerators_per_replica"] = [1, 2]
        data["limits"] = limits
        return data

    return go


def bounds(solution: Solution) -> tuple[float, float]:
    assert solution.certificate is not None
    return solution.certificate.lower, solution.certificate.upper


def some_slow(names: list[str], quick: tuple[str, ...]) -> list[Any]:
    """Parameters of which all but some run on demand."""
    return [n if n in quick else pytest.param(n, marks=pytest.mark.slow) for n in names]


@pytest.mark.parametrize("name", some_slow([*NEAR, "power", "count"], ("cost",)))
def test_more_of_a_budget_never_hurts(name: str, solved: Solve, limited: Limited) -> None:
    last = None
    for factor in (0.7, 1.0, 1.03, 1.5):
        data = limited(**NEAR)
        if name == "count":
            data["limits"] = {"cost": 500.0}
            data["workload"]["horizon"] = 86_400.0
            data["hardware"]["inference"]["count"] = 2.0 * factor
        elif name == "power":
            data["limits"] = {"cost": 700.0, "power": 1500.0 * factor}
            data["workload"]["horizon"] = 43_200.0
        else:
            data["limits"][name] *= factor
        answer = solved(data)
        if last is not None:
            assert bounds(answer)[1] >= bounds(last)[0] - ROUNDING
        last = answer


@pytest.mark.slow
def test_another_limit_never_helps(solved: Solve, limited: Limited) -> None:
    limits: dict[str, float] = {}
    last = None
    for name in ("cost", "energy", "inference_flop", "training_time"):
        limits[name] = NEAR[name] * 0.97
        answer = solved(limited(**limits))
        if last is not None:
            assert bounds(answer)[0] <= bounds(last)[1] + ROUNDING
        last = answer


@pytest.mark.parametrize(
    "huge",
    [
        {"energy": 1e40, "cost": 1e30, "carbon": 1e30, "accelerator_hours": 1e30},
        {"total_flop": 1e60, "training_flop": 1e60, "inference_flop": 1e60},
        {"power": 1e30, "training_time": 1e14},
    ],
    ids=lambda huge: "+".join(huge),
)
def test_a_limit_without_end_changes_nothing(
    huge: dict[str, float], solved: Solve, limited: Limited
) -> None:
    first = solved(limited(cost=500.0))
    second = solved(limited(**{**huge, "cost": 500.0}))
    (a, b), (c, d) = bounds(first), bounds(second)
    assert a <= d + ROUNDING
    assert c <= b + ROUNDING
    assert second.status is Status.OPTIMAL


def test_a_hundred_thousand_times_too_many_accelerators_change_nothing(
    solved: Solve, limited: Limited
) -> None:
    data = limited(cost=500.0)
    first = solved(data)
    data["hardware"]["inference"]["count"] = 1e9
    second = solved(data)
    assert bounds(first)[0] <= bounds(second)[1] + ROUNDING
    assert bounds(second)[0] <= bounds(first)[1] + ROUNDING


def test_the_same_input_gives_the_same_bytes(solved: Solve, limited: Limited) -> None:
    data = limited(**NEAR)
    assert repr(solved(data, details=True)) == repr(solved(data, details=True))


def test_a_class_in_two_halves_is_the_same_class(solved: Solve, limited: Limited) -> None:
    data = limited(**NEAR)
    whole = solved(data)
    mix = data["workload"]["mix"]
    mix[0]["share"] /= 2.0
    mix.append({**mix[0], "name": "the other half"})
    (a, b), (c, d) = bounds(whole), bounds(solved(data))
    assert a <= d + ROUNDING
    assert c <= b + ROUNDING


@pytest.mark.slow
def test_two_alike_periods_are_one_day(solved: Solve, limited: Limited) -> None:
    data = limited(**NEAR)
    whole = solved(data)
    data["hardware"]["electricity"]["periods"] = [
        {"name": "a", "duration": "9 h"},
        {"name": "b", "duration": "15 h"},
    ]
    (a, b), (c, d) = bounds(whole), bounds(solved(data))
    assert a <= d + ROUNDING
    assert c <= b + ROUNDING


def test_waiting_never_hurts(solved: Solve, limited: Limited) -> None:
    """Tasks that may wait for the clean night are worth no less than those that may not."""
    last = None
    for part in (0.0, 0.5):
        data = limited(carbon=30.0, cost=500.0)
        data["hardware"]["electricity"]["periods"] = [
            {"name": "day", "duration": "14 h", "load_share": 0.8},
            {"name": "night", "duration": "10 h", "load_share": 0.2,
             "carbon_intensity": "100 g/kWh"},
        ]  # fmt: skip
        for task in data["workload"]["mix"]:
            task["deferrable"] = part
        answer = solved(data)
        if last is not None:
            assert bounds(answer)[1] >= bounds(last)[0] - ROUNDING
        last = answer


@pytest.mark.parametrize("factor", [40.0])
def test_another_currency_changes_prices_only(
    factor: float, solved: Solve, limited: Limited
) -> None:
    def priced(by: float) -> dict[str, Any]:
        data = limited(cost=500.0 * by, energy=4.6e8)
        for part in ("training", "inference"):
            data["hardware"][part]["accelerator"] = {
                "name": "h100-sxm", "price_per_hour": 3.0 * by
            }  # fmt: skip
        return data

    first, second = solved(priced(1.0), details=True), solved(priced(factor), details=True)
    (a, b), (c, d) = bounds(first), bounds(second)
    assert a <= d + ROUNDING
    assert c <= b + ROUNDING
    cost, scaled = limit_of(first, "cost"), limit_of(second, "cost")
    assert scaled.used == pytest.approx(factor * cost.used, rel=2e-2)
    if cost.shadow_price_per_doubling and scaled.shadow_price_per_doubling:
        assert cost.shadow_price is not None
        assert scaled.shadow_price is not None
        # the same price at optima that may lie a gap apart
        ratio = scaled.shadow_price * factor / cost.shadow_price
        assert ratio == pytest.approx(1.0, abs=0.15)


def limit_of(solution: Solution, name: str) -> LimitUse:
    return next(limit for limit in solution.limits if limit.name == name)


def test_net_value_is_counted_in_money(solved: Solve, limited: Limited) -> None:
    data = limited()
    data["objective"] = "net_value"
    for task, value in zip(data["workload"]["mix"], (4e-5, 1e-4), strict=True):
        task["value"] = value
    first = solved(data)
    assert first.value is not None
    spent = next(r for r in first.resources if r.name == "cost")
    tasks = data["workload"]["tasks"]
    assert bounds(first)[0] == pytest.approx(tasks * first.value - spent.total, rel=1e-6)
    # worth and prices a thousandfold: the same plan in another currency
    for part in ("training", "inference"):
        data["hardware"][part]["accelerator"] = {"name": "h100-sxm", "price_per_hour": 2950.0}
    for task in data["workload"]["mix"]:
        task["value"] *= 1000.0
    second = solved(data)
    (a, b), (c, d) = bounds(first), bounds(second)
    assert 1000.0 * a <= d * (1.0 + ROUNDING)
    assert c <= 1000.0 * b * (1.0 + ROUNDING)


MOVE = 0.05

ALONE: dict[str, dict[str, float]] = {
    "cost": {"cost": 500.0},
    "energy": {"energy": 4.9e8},
    "carbon": {"carbon": 56.0},
    "accelerator_hours": {"accelerator_hours": 170.0},
    "total_flop": {"total_flop": 1.1e20},
    "training_flop": {"training_flop": 9e19, "cost": 700.0},
    "training_time": {"training_time": 3500.0, "cost": 700.0},
    "inference_flop": {"inference_flop": 8e18, "cost": 700.0},
    "count": {"count": 1.2, "cost": 700.0},
    "power": {"power": 1100.0, "cost": 700.0},
}


@pytest.mark.parametrize("name", some_slow([*ALONE], ("energy", "training_time")))
def test_a_price_at_the_margin_is_what_more_of_the_limit_brings(
    name: str, solved: Solve, limited: Limited
) -> None:
    """Against solving again with the limit a twentieth smaller and larger.

    What less of it costs is more than what more of it brings, up to the gaps of two certificates
    over the move; between them lies the price, which changes by some per cent within the move.
    """
    limits = ALONE[name]

    def at(factor: float, **options: Any) -> Solution:
        data = limited(**{k: v for k, v in limits.items() if k != "count"})
        data["solver"]["gap"] = 1e-4
        if name in ("count", "power"):
            data["workload"]["horizon"] = 86_400.0
        if name == "count":
            data["hardware"]["inference"]["count"] = limits["count"] * factor
        else:
            data["limits"][name] *= factor
        return solved(data, **options)

    middle = at(1.0, details=True)
    found = limit_of(middle, "inference_accelerators" if name == "count" else name)
    assert found.shadow_price_per_doubling is not None
    less, more = at(1.0 - MOVE), at(1.0 + MOVE)
    lowest = (bounds(more)[0] - bounds(middle)[1]) / math.log2(1.0 + MOVE)
    highest = (bounds(middle)[1] - bounds(less)[0]) / -math.log2(1.0 - MOVE)
    slack = 0.1 * highest + 1e-3
    assert lowest - slack <= found.shadow_price_per_doubling <= highest + slack


def test_least_of_a_resource_and_most_accuracy_agree(solved: Solve, limited: Limited) -> None:
    data = limited()
    data["objective"] = {"minimise": "energy", "accuracy": 0.6}
    data["solver"] = {"resource_gap": 5e-3}
    least = solved(data)
    assert least.status is Status.OPTIMAL
    assert least.accuracy is not None
    assert least.accuracy >= 0.6 * (1.0 - 1e-9)
    lower, upper = bounds(least)
    assert bounds(solved(limited(energy=upper * (1.0 + 1e-9))))[1] >= 0.6
    assert bounds(solved(limited(energy=lower * (1.0 - 1e-9))))[0] <= 0.6


@pytest.mark.slow
def test_a_smallest_feasible_limit_is_feasible_and_less_is_not(
    solved: Solve, limited: Limited
) -> None:
    data = limited(energy=1e7)
    data["workload"]["mix"][0]["min_accuracy"] = 0.5
    refused = solved(data)
    assert refused.status is Status.INFEASIBLE
    assert refused.infeasibility is not None
    assert refused.infeasibility.limit == "limits.energy"
    least = refused.infeasibility.smallest_feasible
    assert least is not None
    # found to a part in a thousand, on the side that can be kept
    data["limits"]["energy"] = least * 1.001
    assert solved(data).status is not Status.INFEASIBLE
    data["limits"]["energy"] = least * 0.99
    assert solved(data).status is Status.INFEASIBLE


@pytest.mark.slow
def test_a_frontier_is_what_solving_each_limit_gives(solved: Solve, limited: Limited) -> None:
    data = limited(cost=500.0, energy=4.6e8)
    data["frontier"] = {"over": "cost", "from": 300.0, "to": 600.0, "points": 2}
    points = copy.deepcopy(solved(data, frontier=True).frontier)
    del data["frontier"]
    for point in points:
        data["limits"]["cost"] = point.limit
        alone = solved(data)
        assert point.objective == pytest.approx(bounds(alone)[0], abs=1e-12)
        assert point.upper == pytest.approx(bounds(alone)[1], abs=1e-12)
