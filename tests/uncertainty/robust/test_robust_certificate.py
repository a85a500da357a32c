"""Robust plans against brute force: no plan beats the bound, and the plan does what it claims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ds3opt.errors import UsageError
from ds3opt.laws.loss import LOSS_LAWS
from ds3opt.optimise.solution import Status
from ds3opt.optimise.solve import solve
from ds3opt.problem import Problem, compile_problem
from ds3opt.schema import Scenario
from ds3opt.uncertainty.robust.plan import Plan, score_plan
from ds3opt.uncertainty.robust.planning import RobustPlan, robust_plan
from ds3opt.uncertainty.robust.tail import tail_mean

Oracle = Callable[[str], ModuleType]

ROUNDING = 1e-9


def compiled(scenarios: list[dict[str, Any]], laws: list[Any]) -> list[Problem]:
    problems = [compile_problem(Scenario.model_validate(scenario)) for scenario in scenarios]
    return [
        replace(problem, space=replace(problem.space, law=law))
        for problem, law in zip(problems, laws, strict=True)
    ]


WIDER = {(0, 1.0), (0, 0.4), (0, 0.1), (33, 0.4), (55, 0.1)}
"""Seeds and tails that use up their cells and say so: of seed 0 next to nothing can be served."""


def contest(seed: int, tail: float, oracle: Oracle, *, side: int = 7, draws: int = 4) -> None:
    scenario = oracle("scenarios").random_scenario(seed)
    if tail < 1.0:
        for task in scenario["workload"]["mix"]:
            task.pop("min_accuracy", None)
    law = LOSS_LAWS[scenario["model"].get("loss_law", "besiroglu2024")]
    scenarios, laws = oracle("robust").random_draws(scenario, law, draws, seed)
    problems = compiled(scenarios, laws)
    gap = max(scenario["solver"]["gap"], 1e-4)
    found = robust_plan(problems, tail=tail, gap=gap)
    starts = [] if found is None else [(found.plan.parameters, found.plan.training_tokens)]
    brute = oracle("robust").best(scenarios, laws, starts, tail=tail, side=side, rounds=3)
    if found is None:
        assert brute == -np.inf
        return
    assert brute <= found.upper + ROUNDING
    assert found.converged or (seed, tail) in WIDER
    keeps_limits(found)
    # the oracle has every action at the plan's model, so it can do better, but not worse
    at = oracle("robust").values(
        scenarios,
        laws,
        np.array([found.plan.parameters]),
        np.array([found.plan.training_tokens]),
        tail,
    )
    assert at[0] >= found.value - 1e-6 * max(1.0, found.value)
    assert found.value == pytest.approx(tail_mean(found.score.value, tail), abs=1e-15)


def keeps_limits(found: RobustPlan) -> None:
    for name, limit in found.limits.items():
        assert found.score.used[name].mean() <= limit * (1.0 + 1e-12)


@pytest.mark.parametrize("seed", [7, 12, 62, 102])
def test_no_plan_beats_the_bound_of_the_mean(seed: int, oracle: Oracle) -> None:
    contest(seed, 1.0, oracle)


@pytest.mark.parametrize("seed", [7, 12, 18])
def test_no_plan_beats_the_bound_of_the_worst_draws(seed: int, oracle: Oracle) -> None:
    contest(seed, 0.4, oracle)


def test_sizes_cut_off_within_the_gap_still_count(oracle: Oracle) -> None:
    """The best model is the smallest on the fewest tokens, and hardly better than its neighbours"""
    contest(149, 0.3, oracle, side=8, draws=5)


@pytest.mark.slow
@pytest.mark.parametrize("tail", [1.0, 0.4, 0.1])
@pytest.mark.parametrize("seed", range(100))
def test_no_plan_beats_the_bound_at_length(seed: int, tail: float, oracle: Oracle) -> None:
    contest(seed, tail, oracle, side=12, draws=5)


def scenario_with(**changes: Any) -> dict[str, Any]:
    """Two classes, one of which can be verified."""
    return {
        "workload": {
            "tasks": 1e9,
            "mix": [
                {
                    "name": "chat",
                    "share": 0.7,
                    "difficulty": 2.7,
                    "skills": 3,
                    "max_output_tokens": 800.0,
                    "prompt_tokens": 200.0,
                },
                {
                    "name": "code",
                    "share": 0.3,
                    "difficulty": 2.4,
                    "skills": 6,
                    "max_output_tokens": 2000.0,
                    "fatigue": 0.1,
                    "verifier": {"kind": "outcome", "true_positive_rate": 0.9},
                },
            ],
        },
        "reasoning": {"policies": ["chain_of_thought", {"best_of_n": {"samples": [2, 8]}}]},
        "limits": {"total_flop": 1e21},
        "solver": {"gap": 1e-3},
        **changes,
    }


def drawn(count: int, seed: int = 1, **changes: Any) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    scenarios = []
    for _ in range(count):
        scenario = scenario_with(**changes)
        for task in scenario["workload"]["mix"]:
            task["difficulty"] += float(rng.normal(0.0, 0.1))
        law = LOSS_LAWS["besiroglu2024"]
        scenario["model"] = {
            "capability": {"slope": float(5.0 * np.exp(rng.normal(0.0, 0.1)))},
            "loss_law": {
                "irreducible": law.irreducible + float(rng.normal(0.0, 0.02)),
                "parameter_coefficient": law.parameter_coefficient,
                "data_coefficient": law.data_coefficient,
                "parameter_exponent": law.parameter_exponent + float(rng.normal(0.0, 0.002)),
                "data_exponent": law.data_exponent + float(rng.normal(0.0, 0.002)),
            },
        }
        scenarios.append(scenario)
    return scenarios


def problems_of(scenarios: list[dict[str, Any]]) -> list[Problem]:
    return [compile_problem(Scenario.model_validate(scenario)) for scenario in scenarios]


@pytest.mark.parametrize("tail", [1.0, 0.25])
@pytest.mark.parametrize("copies", [1, 3])
def test_certain_numbers_give_the_ordinary_answer(tail: float, copies: int) -> None:
    scenario = Scenario.model_validate(scenario_with())
    ordinary = solve(scenario, frontier=False, details=False)
    robust = robust_plan([compile_problem(scenario)] * copies, tail=tail, gap=1e-3)
    assert robust is not None
    assert ordinary.certificate is not None
    assert robust.value <= ordinary.certificate.upper + ROUNDING
    assert robust.upper >= ordinary.certificate.lower - ROUNDING
    assert robust.converged


def test_hedging_beats_every_draws_own_plan_on_average_and_in_the_tail() -> None:
    scenarios = drawn(8)
    problems = problems_of(scenarios)
    mean = robust_plan(problems, gap=1e-3)
    worst = robust_plan(problems, tail=0.25, gap=1e-3)
    assert mean is not None
    assert worst is not None
    for scenario in scenarios[:3]:
        own = solve(Scenario.model_validate(scenario), frontier=False, details=False)
        assert own.status is Status.OPTIMAL
        score = score_plan(problems, own)
        if score.total_flop.mean() <= 1e21:
            assert score.value.mean() <= mean.upper + ROUNDING
            assert tail_mean(score.value, 0.25) <= worst.upper + ROUNDING
    # each plan is the better one at what it was made for
    assert tail_mean(mean.score.value, 0.25) <= worst.upper + ROUNDING
    assert worst.score.value.mean() <= mean.upper + ROUNDING
    assert worst.value >= tail_mean(mean.score.value, 0.25) - 1e-3


def test_a_start_is_taken_up_and_the_answer_is_the_same_bytes() -> None:
    problems = problems_of(drawn(6))
    first = robust_plan(problems, gap=1e-3)
    again = robust_plan(problems, gap=1e-3)
    assert first is not None
    assert again is not None
    assert first.plan == again.plan
    assert first.score.value.tobytes() == again.score.value.tobytes()
    started = robust_plan(problems, gap=1e-3, start=[first.plan])
    assert started is not None
    assert started.value >= first.value - ROUNDING


def test_limits_that_are_drawn_hold_on_average() -> None:
    scenarios = drawn(5)
    for index, scenario in enumerate(scenarios):
        scenario["limits"] = {"total_flop": (0.6 + 0.2 * index) * 1e21, "training_flop": 3e20}
    found = robust_plan(problems_of(scenarios), gap=1e-3)
    assert found is not None
    assert found.limits.total_flop == pytest.approx(1e21)
    keeps_limits(found)
    # more limit than that would be of use, so what there is gets used
    assert found.score.total_flop.mean() >= 0.99e21


@pytest.mark.parametrize("tail", [1.0, 0.5])
def test_plans_longer_than_one_draw_has_room_for_are_bounded_too(tail: float) -> None:
    """A step of more tokens leaves fewer: no draw's own plan may beat the bound."""
    scenarios = []
    for per_step in (20.0, 25.0, 32.0):
        scenario = scenario_with(limits={"total_flop": 5e21})
        scenario["reasoning"] = {"tokens_per_step": per_step, "policies": ["chain_of_thought"]}
        for task in scenario["workload"]["mix"]:
            task["max_output_tokens"] = 210.0
        scenarios.append(scenario)
    problems = problems_of(scenarios)
    found = robust_plan(problems, tail=tail, gap=1e-3)
    assert found is not None
    assert found.converged
    keeps_limits(found)
    assert max(choice.steps for choice in found.plan.choices) > 210 // 32
    limit = found.limits.total_flop
    for scenario in scenarios:
        own = Plan.of(solve(Scenario.model_validate(scenario), frontier=False, details=False))
        score = score_plan(problems, own)
        part = min((limit - score.training_flop) / score.inference_flop.mean(), 1.0)
        scaled = replace(
            own, choices=tuple(replace(c, fraction=part * c.fraction) for c in own.choices)
        )
        assert tail_mean(score_plan(problems, scaled).value, tail) <= found.upper + ROUNDING


def test_required_accuracies_hold_on_average() -> None:
    scenarios = drawn(5)
    for scenario in scenarios:
        scenario["workload"]["mix"][1]["min_accuracy"] = 0.8
    problems = problems_of(scenarios)
    found = robust_plan(problems, gap=1e-3)
    assert found is not None
    assert found.score.accuracy[1].mean() >= 0.8 - 1e-9
    with pytest.raises(UsageError, match="tail = 1"):
        robust_plan(problems, tail=0.5)


def test_endless_data_and_measured_classes() -> None:
    endless = drawn(4)
    for scenario in endless:
        scenario["model"]["training_tokens"] = "infinite"
        scenario["limits"] = {"inference_flop": 1e21}
    found = robust_plan(problems_of(endless), gap=1e-3)
    assert found is not None
    assert found.converged
    assert np.isinf(found.plan.training_tokens)
    measured = []
    for rate in (0.3, 0.4, 0.5):
        scenario = scenario_with(limits={"inference_flop": 1e23})
        scenario["model"] = {"parameters": 8e9}
        for task in scenario["workload"]["mix"]:
            for name in ("difficulty", "skills", "max_output_tokens", "fatigue"):
                task.pop(name, None)
            task["measured"] = {"accuracy": rate, "output_tokens": 500.0}
        measured.append(scenario)
    found = robust_plan(problems_of(measured), gap=1e-3)
    assert found is not None
    assert found.converged
    assert found.score.value.tolist() == pytest.approx([0.3, 0.4, 0.5])
    assert found.value == pytest.approx(0.4)


def test_stopping_early_is_said() -> None:
    problems = problems_of(drawn(5))
    found = robust_plan(problems, gap=1e-6, max_cells=40)
    assert found is not None
    assert not found.converged
    better = robust_plan(problems, gap=1e-3)
    assert better is not None
    assert better.value <= found.upper + ROUNDING


def test_where_nothing_keeps_the_limits_there_is_no_plan() -> None:
    scenarios = drawn(3)
    for scenario in scenarios:
        scenario["model"].update(parameters=[1e9, 1e10], training_tokens=[1e12, 1e13])
        scenario["limits"] = {"total_flop": 1e20}
    assert robust_plan(problems_of(scenarios)) is None
    assert robust_plan(problems_of(scenarios), tail=0.5) is None


def test_no_policy_fits_any_class() -> None:
    scenarios = drawn(3, reasoning={"policies": [{"tree_of_thought": {"branches": [4]}}]})
    for tail in (1.0, 0.5):
        found = robust_plan(problems_of(scenarios), tail=tail)
        assert found is not None
        assert (found.value, found.upper, found.plan.choices) == (0.0, 0.0, ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": {"minimise": "total_flop", "accuracy": 0.5}}, "objective of total_flop"),
        (
            {"reasoning": {"policies": ["chain_of_thought"], "budgets": "shared"}},
            "one token budget",
        ),
    ],
)
def test_what_has_no_robust_plan_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        robust_plan(problems_of([scenario_with(**changes)] * 2))


def test_bad_arguments_are_refused() -> None:
    problems = problems_of([scenario_with()])
    with pytest.raises(UsageError, match="tail"):
        robust_plan(problems, tail=0.0)
    with pytest.raises(UsageError, match="gap"):
        robust_plan(problems, gap=0.0)
    with pytest.raises(UsageError, match="at least one draw"):
        robust_plan([])
    other = scenario_with(reasoning={"policies": ["chain_of_thought"]})
    with pytest.raises(UsageError, match="more than numbers"):
        robust_plan([*problems, *problems_of([other])])
    with pytest.raises(UsageError, match="do not offer"):
        score_plan(problems_of([other]), _with_best_of_8(problems))


def _with_best_of_8(problems: list[Problem]) -> Plan:
    found = robust_plan(problems, gap=1e-2)
    assert found is not None
    choice = replace(found.plan.choices[0], policy=problems[0].policies[-1])
    return replace(found.plan, choices=(choice,))
