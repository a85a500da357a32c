"""The certificate on hardware against brute force: no plan beats it, and the answer keeps it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from ds3opt.optimise.solution import Solution, Status
from ds3opt.optimise.solve import solve

Oracle = Callable[[str], ModuleType]

ROUNDING = 1e-7
"""Limits are kept to 1e-10 of their size by HiGHS, which prices of some hundreds make visible."""
RECOUNTED = 2e-6
"""Parts below 1e-9 of a task are not printed, and a plan's loss is met to about 1e-12."""


def contest(data: dict[str, Any], oracle: Oracle, **scan: int) -> Solution:
    """Assert what a certificate claims, against scans of models with an own programme for each."""
    scenario = oracle("fleet_scenarios").read(data)
    solution = solve(scenario, details=False, frontier=False)
    bench = oracle("fleet").Bench(scenario)
    start = None
    if solution.parameters is not None:
        start = (solution.parameters, solution.training_tokens)
    brute, where = bench.best(start, **scan)
    if solution.status is Status.INFEASIBLE:
        assert brute == -math.inf, f"called infeasible, but {brute} is reached {where}"
        return solution
    assert solution.certificate is not None
    certificate = solution.certificate
    lower, upper = certificate.lower, certificate.upper
    size = 1.0
    if certificate.relative:
        lower, upper = -upper, -lower
        size = abs(lower)
    elif scenario.objective != "accuracy":
        size = certificate.requested_gap / scenario.solver.gap
    assert brute <= upper + ROUNDING * size, f"{brute} {where} beats the upper bound {upper}"
    if solution.status is Status.OPTIMAL:
        assert certificate.gap <= certificate.requested_gap * (1.0 + 1e-6)
    # what is claimed is what the plan does: every printed row counted anew
    review = bench.reviewed(solution)
    assert review.value == pytest.approx(lower, abs=RECOUNTED * max(size, abs(lower)))
    assert all(used <= 1.0 + ROUNDING for used in review.used), (review.used, bench.rows())
    assert review.late <= 1.0 + 1e-9
    assert review.trainable
    for task, reached in zip(scenario.workload.mix or (), review.success, strict=True):
        assert reached >= task.min_accuracy * task.share * (1.0 - 1e-6)
    if certificate.relative:
        assert sum(review.success) >= scenario.objective.accuracy * (1.0 - 1e-6)
    arrived = dict.fromkeys(range(len(bench.tasks)), 0.0)
    for (index, _), share in review.amounts.items():
        arrived[index] += share
    for index, share in arrived.items():
        assert share == pytest.approx(bench.tasks[index].weight, abs=1e-7)
    return solution


QUICK = (3, 5, 8)


@pytest.mark.parametrize("seed", QUICK)
def test_no_plan_beats_the_upper_bound(seed: int, oracle: Oracle) -> None:
    data = oracle("fleet_scenarios").random_scenario(seed, oracle("fleet"))
    contest(data, oracle, shapes=5, side=5, rounds=2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1300))
def test_no_plan_beats_the_upper_bound_at_length(seed: int, oracle: Oracle) -> None:
    data = oracle("fleet_scenarios").random_scenario(seed, oracle("fleet"))
    contest(data, oracle, shapes=10, side=8, rounds=4)


def test_every_limit_at_once(oracle: Oracle) -> None:
    data = oracle("fleet_scenarios").two_classes()
    data["limits"] = {
        "total_flop": 1.1e20, "inference_flop": 1.25e19, "training_flop": 9.5e19, "energy": 4.8e8,
        "cost": 490.0, "carbon": 55.0, "accelerator_hours": 165.0, "power": 6e4,
        "training_time": "72 min",
    }  # fmt: skip
    data["hardware"]["inference"]["count"] = 1.0
    data["workload"]["horizon"] = "3 days"
    solution = contest(data, oracle, shapes=8, side=6)
    assert solution.status is Status.OPTIMAL
    assert len(solution.limits) == 10 + 2  # and both ends of the range of sizes


@pytest.mark.parametrize("limits", [{"cost": 590.0}, {"cost": 590.0, "accelerator_hours": 200.0}])
def test_limits_that_cut_alike(limits: dict[str, float], oracle: Oracle) -> None:
    """At 2.95 USD/h 590 USD are 200 h: limits that are one have prices that are not unique."""
    data = oracle("fleet_scenarios").two_classes()
    data["limits"] = limits
    contest(data, oracle, shapes=6, side=6)


@pytest.mark.parametrize(
    "short",
    [pytest.param(1e-2, marks=pytest.mark.slow), 1e-4, pytest.param(1e-6, marks=pytest.mark.slow)],
)
def test_required_accuracy_just_below_the_ceiling(short: float, oracle: Oracle) -> None:
    """A class that is measured as a whole: nothing more than its accuracy can be asked for."""
    data = oracle("fleet_scenarios").two_classes()
    data["model"] = {
        "train": False,
        "candidates": [
            {
                "name": "open",
                "shape": {"parameters": 8e9, "layers": 32, "width": 4096, "heads": 32},
                "measured": {
                    "chat": {"accuracy": 0.7, "output_tokens": 150},
                    "code": {"population": {"alpha": 0.5, "beta": 1.0}, "output_tokens": 300},
                },
            }
        ],
    }
    data["limits"] = {"cost": 50_000.0, "energy": 1e12}
    data["workload"]["mix"][0]["min_accuracy"] = 0.7 * (1.0 - short)
    assert contest(data, oracle).status is Status.OPTIMAL
    data["workload"]["mix"][0]["min_accuracy"] = 0.7 * (1.0 + short)
    assert contest(data, oracle).status is Status.INFEASIBLE


@pytest.mark.parametrize("objective", ["cost", "carbon"])
def test_least_of_a_resource(objective: str, oracle: Oracle) -> None:
    data = oracle("fleet_scenarios").two_classes()
    data["limits"] = {}
    data["objective"] = {"minimise": objective, "accuracy": 0.6}
    data["solver"] = {"resource_gap": 3e-3}
    assert contest(data, oracle, shapes=5, side=5, rounds=2).status is Status.OPTIMAL


def test_net_value_needs_no_limit(oracle: Oracle) -> None:
    data = oracle("fleet_scenarios").two_classes()
    data["limits"] = {}
    data["objective"] = "net_value"
    for task, value in zip(data["workload"]["mix"], (4e-5, 1e-4), strict=True):
        task["value"] = value
    assert contest(data, oracle, shapes=6, side=6).status is Status.OPTIMAL


@pytest.mark.parametrize("deferrable", [0.4])
def test_periods_with_a_fleet_that_is_too_small_by_day(deferrable: float, oracle: Oracle) -> None:
    data = oracle("fleet_scenarios").two_classes()
    data["hardware"]["electricity"]["periods"] = [
        {"name": "day", "duration": "14 h", "load_share": 0.8},
        {"name": "night", "duration": "10 h", "load_share": 0.2,
         "carbon_intensity": "100 g/kWh", "price": "0.05 USD/kWh"},
    ]  # fmt: skip
    for task in data["workload"]["mix"]:
        task["deferrable"] = deferrable
    data["hardware"]["inference"].update(count=1.0, own={"capital_cost": 30_000.0})
    data["workload"]["horizon"] = "3 days"
    data["limits"] = {"carbon": 40.0, "power": 4e4, "cost": 500.0}
    contest(data, oracle, shapes=4, side=4, rounds=2)


def test_training_placed_in_parts_of_the_day_takes_the_days_it_needs(oracle: Oracle) -> None:
    """Nights alone are cheap, and too few within the time: some of the run pays the day's price."""
    data = oracle("fleet_scenarios").two_classes()
    data["hardware"]["electricity"]["periods"] = [
        {"name": "day", "duration": "18 h", "price": "0.40 USD/kWh"},
        {"name": "night", "duration": "6 h", "price": "0.02 USD/kWh"},
    ]
    data["hardware"]["training"]["own"] = {"capital_cost": 30_000.0}
    data["limits"] = {"cost": 500.0, "training_time": "2 h"}
    solution = contest(data, oracle, shapes=6, side=6)
    plan = solution.training_plan
    assert plan is not None
    assert plan.seconds is not None
    placed = [period.share_of_training for period in solution.periods]
    busy = plan.accelerator_hours * 3600.0 / plan.accelerators
    elapsed = max(placed[0] / 0.75, placed[1] / 0.25) * busy
    assert plan.seconds == pytest.approx(elapsed, rel=1e-9)
    assert plan.seconds <= 7200.0 * (1.0 + 1e-9)
    assert busy < plan.seconds
    assert placed[0] > 0.0
    assert placed[1] > 0.25
    rows = {use.name: use for use in solution.limits}
    assert rows["training_time (night)"].binding


@pytest.mark.parametrize("sharing", ["none", "memory_and_reads"])
def test_latency_that_only_some_replicas_and_batches_keep(sharing: str, oracle: Oracle) -> None:
    data = oracle("fleet_scenarios").two_classes()
    data["hardware"]["inference"].update(prefix_sharing=sharing, max_sequences=100)
    for task, seconds in zip(data["workload"]["mix"], (1.0, 3.0), strict=True):
        task["max_latency"] = seconds
    contest(data, oracle, shapes=5, side=5)


def test_a_list_with_experts_windows_and_a_latent(oracle: Oracle) -> None:
    data = oracle("fleet_scenarios").two_classes()
    shapes = copy.deepcopy(oracle("fleet_scenarios").LIST)
    data["model"] = {"shape": {"list": shapes}}
    contest(data, oracle, shapes=4, side=8)


@pytest.mark.parametrize("size", [1e10, 3e10])
def test_models_that_need_several_accelerators(size: float, oracle: Oracle) -> None:
    """Replicas of 1, 2 and 4 take over from each other along the list of shapes."""
    data = oracle("fleet_scenarios").two_classes()
    data["model"]["parameters"] = [size, 4.0 * size]
    data["hardware"]["training"]["count"] = 1024
    data["limits"] = {"energy": 1e14 * (size / 1e10) ** 2, "accelerator_hours": 1e5 * size / 1e10}
    contest(data, oracle, shapes=8, side=6)
