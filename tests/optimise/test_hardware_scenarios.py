"""The shipped scenarios on hardware: what binds, what limits are worth, and who wins and why."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from ds3opt.io.loader import load_scenario
from ds3opt.optimise.solution import LimitUse, Solution, Status
from ds3opt.optimise.solve import solve
from ds3opt.schema import Scenario

Shared = Callable[[str], Path]

SLOW = pytest.mark.slow
BINDING = [
    ("energy_capped_lab", {"energy", "power"}),
    ("deploy_existing_models", {"inference_flop"}),
    ("moe_vs_dense", {"cost"}),
    ("memory_bound_parallelism", {"accelerator_hours"}),
    ("fleet_h200_latency", {"inference_accelerators", "max_tokens_per_parameter"}),
    pytest.param("cost_capped_startup", {"accuracy", "min_accuracy of dispute"}, marks=SLOW),
    pytest.param("carbon_by_period", {"carbon", "inference_accelerators (noon)"}, marks=SLOW),
    pytest.param(
        "everything_binds",
        {
            "total_flop",
            "carbon",
            "training_time (day)",
            "training_time (night)",
            "inference_accelerators (day)",
            "min_accuracy of analysis",
        },
        marks=SLOW,
    ),
]


@cache
def scenario(name: str, *overrides: str) -> Scenario:
    return load_scenario(name, overrides).scenario


@cache
def solved(name: str, *overrides: str, details: bool = False) -> Solution:
    found = solve(scenario(name, *overrides), frontier=False, details=details)
    assert found.status is Status.OPTIMAL
    return found


def bounds(solution: Solution) -> tuple[float, float]:
    certificate = solution.certificate
    assert certificate is not None
    return certificate.lower, certificate.upper


def use_of(solution: Solution, limit: str) -> LimitUse:
    return next(use for use in solution.limits if use.name == limit)


def served(solution: Solution) -> dict[str, set[str]]:
    """In words, what every class gets for at least a hundredth of all tasks."""
    found: dict[str, set[str]] = {}
    for row in solution.tasks:
        if row.share >= 0.01:
            found.setdefault(row.name, set()).add(row.words)
    return found


# -- limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "limits"), BINDING)
def test_the_limits_that_a_scenario_is_about_bind(name, limits):
    solution = solved(name, details=True)
    assert limits <= {use.name for use in solution.limits if use.binding}
    for limit in limits:
        use = use_of(solution, limit)
        assert use.used == pytest.approx(use.limit, rel=1e-4)
        price = use.shadow_price_per_doubling or use.relative_cost_per_point
        assert price is not None
        assert price != 0.0


PRICES = [
    ("energy_capped_lab", "energy", "limits.energy", 0.05, 2e-4),
    ("moe_vs_dense", "cost", "limits.cost", 0.05, 2e-4),
    ("fleet_h200_latency", "inference_accelerators", "hardware.inference.count", 0.05, 2e-4),
    ("everything_binds", "total_flop", "limits.total_flop", 0.01, 2e-4),
    ("everything_binds", "carbon", "limits.carbon", 0.02, 2e-4),
    ("everything_binds", "training_time", "limits.training_time", 0.02, 2e-4),
    ("carbon_by_period", "carbon", "limits.carbon", 0.1, 1e-3),
]


@SLOW
@pytest.mark.parametrize(("name", "limit", "key", "step", "gap"), PRICES)
def test_a_shadow_price_lies_between_the_slopes_of_full_solves(name, limit, key, step, gap):
    tight = f"solver.gap={gap}"
    here = solved(name, tight, details=True)
    # what one key limits in several parts of the day moves together
    uses = [use for use in here.limits if use.name.split(" (")[0] == limit]
    use, price = uses[0], sum(use.shadow_price or 0.0 for use in uses)
    _, high = bounds(here)
    less, more = use.limit * (1.0 - step), use.limit * (1.0 + step)
    below = bounds(solved(name, tight, f"{key}={less!r}"))
    above = bounds(solved(name, tight, f"{key}={more!r}"))
    # what is best is concave in a limit here, so the slope lies between the secants to either
    # side; each optimum lies between its bounds
    least, most = (above[0] - high) / (more - use.limit), (high - below[0]) / (use.limit - less)
    assert least <= price <= most
    # narrow enough to notice no price, or one that is far too small
    assert least > 0.0
    assert most < 3.0 * price


@SLOW
def test_the_price_of_a_required_accuracy_lies_between_the_slopes_of_full_solves():
    name, key = "cost_capped_startup", "objective.accuracy"
    here = solved(name, details=True)
    cost, least_cost = here.certificate.upper, here.certificate.lower
    below, above = solved(name, f"{key}=0.89"), solved(name, f"{key}=0.91")
    price = use_of(here, "accuracy").relative_cost_per_point
    # cost is convex in what is required
    assert (least_cost - below.certificate.upper) / cost <= price
    assert price <= (above.certificate.upper - least_cost) / cost
    assert price > 0.02


# -- latency ----------------------------------------------------------------------------------


def test_a_promise_of_one_second_takes_wider_replicas_and_fewer_at_once():
    promised = solved("fleet_h200_latency", details=True)
    placed = {row.name: row.placement for row in promised.tasks}
    for row in promised.tasks:
        if row.placement.max_latency_seconds is not None:
            assert row.placement.latency_seconds <= row.placement.max_latency_seconds
    hurried, patient = placed["completion"], placed["chat"]
    assert hurried.accelerators > patient.accelerators
    assert hurried.sequences < 0.1 * patient.sequences
    free = solved("fleet_h200_latency", "workload.mix[0].max_latency=null")
    without = next(row.placement for row in free.tasks if row.name == "completion")
    assert without.accelerators == 1
    assert without.sequences > 10 * hurried.sequences
    # the promise costs more than the two gaps together could hide
    assert free.accuracy > bounds(promised)[1]


@SLOW
def test_a_promise_of_ten_seconds_keeps_batches_small():
    promised = solved("everything_binds", details=True)
    free = solved("everything_binds", "workload.mix[0].max_latency=null")
    hurried, patient = (
        [row.placement for row in found.tasks if row.name == "chat"] for found in (promised, free)
    )
    # one request more at a time would be late, and one changes the time by a hundredth or so
    assert all(9.8 < placed.latency_seconds <= 10.0 for placed in hurried)
    assert max(p.sequences for p in hurried) < 0.2 * min(p.sequences for p in patient)


# -- parts of the day -------------------------------------------------------------------------


@SLOW
def test_training_and_what_can_wait_stay_out_of_the_evening():
    solution = solved("carbon_by_period", details=True)
    parts = {period.name: period for period in solution.periods}
    assert parts["noon"].share_of_training == pytest.approx(1.0)
    # in the evening only what arrives then and cannot wait: 35 % of the tasks arrive then
    at_once = 0.6 * 1.0 + 0.3 * (1 - 0.9) + 0.1 * (1 - 1.0)
    assert parts["evening"].share_of_tasks == pytest.approx(0.35 * at_once, rel=1e-6)
    # those that wait fill the accelerators at noon, and the rest the night
    assert parts["noon"].accelerators == pytest.approx(4.0, rel=1e-4)
    assert parts["night"].share_of_tasks > 0.25 * at_once + 1e-3


# -- experts ----------------------------------------------------------------------------------

SMALL_MEMORY = (
    "hardware.inference.accelerator=l4",
    "hardware.inference.accelerators_per_replica=1",
)


@pytest.mark.parametrize(
    ("overrides", "winner"), [((), "experts 30B-A3B"), (SMALL_MEMORY, "dense 3B")]
)
def test_each_shape_alone_does_no_better_than_the_one_that_wins(overrides, winner):
    whole = scenario("moe_vs_dense", *overrides)
    listed = whole.model.shape.list
    low, high = bounds(solve(whole, frontier=False, details=False))
    gap = whole.solver.gap
    reached = {}
    for shape in listed:
        alone = whole.model.shape.model_copy(update={"list": (shape,)})
        model = whole.model.model_copy(update={"shape": alone})
        found = solve(whole.model_copy(update={"model": model}), frontier=False, details=False)
        reached[shape.name] = 0.0 if found.certificate is None else found.certificate.lower
    assert max(reached, key=reached.__getitem__) == winner
    assert low - gap <= reached[winner] <= high
    others = [value for name, value in reached.items() if name != winner]
    # the next best is further away than both gaps
    assert max(others) < reached[winner] - 2 * gap


def test_experts_do_not_fit_into_small_memory():
    whole = scenario("moe_vs_dense", *SMALL_MEMORY)
    experts = [shape for shape in whole.model.shape.list if shape.experts > 1]
    usable = 0.9 * 24e9
    assert len(experts) == 2
    # 10B parameters of two bytes leave less than the 3.5 GiB that the runtime keeps
    assert all(usable - 2.0 * shape.parameters < 3.5 * 2**30 for shape in experts)


# -- bytes ------------------------------------------------------------------------------------

BY_FLOP = ("limits.accelerator_hours=null", "limits.inference_flop=7.24e22")


def test_counting_bytes_turns_one_trace_into_many():
    name = "memory_bound_parallelism"
    by_hours, by_flop = solved(name), solved(name, *BY_FLOP)
    assert served(by_hours) == {"question": {"Llama 3.1 8B: best of 8"}}
    assert served(by_flop) == {"question": {"Llama 3.1 8B: chain of thought"}}
    hours = {use.name: use.total for use in by_flop.resources}["accelerator_hours"]
    # the chain takes more hours than the eight traces may, and solves less
    assert hours > 1.05 * 36_000
    assert by_flop.accuracy < by_hours.accuracy - 0.2


def test_without_sharing_the_chain_of_thought_is_back():
    name, sharing = "memory_bound_parallelism", "hardware.inference.prefix_sharing"
    alone, memory = solved(name, f"{sharing}=none"), solved(name, f"{sharing}=memory")
    assert {row.words for row in alone.tasks if row.attempted} == {"Llama 3.1 8B: chain of thought"}
    assert served(memory) == {"question": {"Llama 3.1 8B: best of 2"}}
    assert alone.accuracy < memory.accuracy < solved(name).accuracy


# -- existing models --------------------------------------------------------------------------

NO_JUDGE = tuple(f"workload.mix[{i}].verifier.parameters=0" for i in range(2))
BUDGETS = (2e18, 9.5e18, 4.5e19, 1e20, 2e20, 5e20)
REWARD_MODEL = 34e9


def ways(task_class: str, judge: float) -> list[tuple[float, float, str]]:
    """FLOP a question, accuracy and name of every row of the scenario's table."""
    found = [(0.0, 0.0, "nothing")]
    for candidate in scenario("deploy_existing_models").model.candidates:
        for outcome in candidate.measured[task_class].outcomes:
            generated = outcome.flop / (2.0 * candidate.shape.parameters)
            flop = outcome.flop + (2.0 * judge * generated if outcome.judged else 0.0)
            found.append((flop, outcome.accuracy, f"{candidate.name}: {outcome.policy}"))
    return found


def best_by_hand(budget: float, judge: float) -> float:
    """The best accuracy: one way for each class, or two for one of them, every choice tried."""
    tasks = scenario("deploy_existing_models").workload.tasks
    classes = [ways(name, judge) for name in ("MATH500", "GSM8K")]
    share = 0.5
    best = 0.0
    for whole, split in (classes, classes[::-1]):
        for flop, right, _ in whole:
            left = budget / (tasks * share) - flop
            if left < 0.0:
                continue
            for (a, first, _), (b, second, _) in itertools.product(split, repeat=2):
                if a <= left < b:
                    part = (left - a) / (b - a)
                    best = max(best, share * (right + (1 - part) * first + part * second))
                elif b <= left:
                    best = max(best, share * (right + second))
    return best


@pytest.mark.parametrize(("judge", "overrides"), [(REWARD_MODEL, ()), (0.0, NO_JUDGE)])
def test_what_to_deploy_at_each_budget_is_what_trying_everything_finds(judge, overrides):
    for budget in BUDGETS:
        found = solved("deploy_existing_models", *overrides, f"limits.inference_flop={budget!r}")
        low, high = bounds(found)
        best = best_by_hand(budget, judge)
        # the bounds hold the optimum, to rounding
        assert low - 1e-12 <= best <= high + 1e-12
        assert found.accuracy == pytest.approx(best, abs=1e-4)


def test_charging_the_reward_model_changes_what_to_deploy():
    charged, free = solved("deploy_existing_models"), solved("deploy_existing_models", *NO_JUDGE)
    assert served(charged) == {
        "MATH500": {"Llemma-7B: majority vote, 32 traces"},
        "GSM8K": {"Mistral-7B: majority vote, 32 traces"},
    }
    assert served(free) == {
        "MATH500": {"Llemma-7B: REBASE, weighted vote, 32 traces", "Llemma-34B: greedy"},
        "GSM8K": {"Mistral-7B: best of n, 32 traces"},
    }


def test_the_table_is_transcribed_to_the_last_digit(shared: Shared):
    with shared("data/wu_table4.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    words = {
        "Greedy": "greedy",
        "Sampling+MV": "majority vote",
        "Sampling+BoN": "best of n",
        "Sampling+WV": "weighted vote",
        "REBASE+MV": "REBASE, majority vote",
        "REBASE+BoN": "REBASE, best of n",
        "REBASE+WV": "REBASE, weighted vote",
    }
    expected = {
        (name, r["model"], words[r["strategy"]]): (
            int(r["samples"]),
            pytest.approx(float(r[flop]), rel=1e-12),
            pytest.approx(float(r[right]) / 100, rel=1e-12),
            r["strategy"] not in ("Greedy", "Sampling+MV"),
        )
        for r in rows
        for name, flop, right in (
            ("MATH500", "math_flops", "math500_acc"),
            ("GSM8K", "gsm8k_flops", "gsm8k_acc"),
        )
    }
    written = {
        (name, candidate.name, outcome.policy): (
            outcome.samples,
            outcome.flop,
            outcome.accuracy,
            outcome.judged,
        )
        for candidate in scenario("deploy_existing_models").model.candidates
        for name, measured in candidate.measured.items()
        for outcome in measured.outcomes
    }
    assert len(written) == 56
    assert written == expected
