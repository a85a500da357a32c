"""Scores of one plan in many draws, against ordinary solutions of each draw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ds3opt.errors import UsageError
from ds3opt.io.loader import load_scenario
from ds3opt.optimise.evaluate import evaluate
from ds3opt.optimise.solve import solve
from ds3opt.problem import compile_problem
from ds3opt.schema import Scenario
from ds3opt.uncertainty.robust.plan import Choice, Plan, score_plan


@pytest.mark.parametrize(
    "name", ["quickstart", "two_limits", "fatigue", "ds3_fig8", "wu_math500_selection"]
)
def test_a_solution_scores_as_itself(name: str) -> None:
    """To rounding: the same laws, summed in another order."""
    scenario = load_scenario(name).scenario
    solution = solve(scenario, frontier=False, details=False)
    score = score_plan([compile_problem(scenario)] * 2, solution)
    assert score.value == pytest.approx(solution.value, abs=1e-11)
    assert score.total_flop == pytest.approx(solution.total_flop, rel=1e-11)
    for row, outcome in zip(score.accuracy, solution.classes, strict=True):
        assert row == pytest.approx(outcome.accuracy, abs=1e-11)


def moved(rng: Any, base: dict[str, Any]) -> dict[str, Any]:
    """Everything moved that a draw may move."""
    scenario = {**base, "model": {"capability": {"slope": float(rng.uniform(3.0, 8.0))}}}
    scenario["model"]["loss_law"] = {
        "irreducible": float(rng.uniform(1.6, 1.9)),
        "parameter_coefficient": float(rng.uniform(300.0, 600.0)),
        "data_coefficient": float(rng.uniform(1500.0, 2500.0)),
        "parameter_exponent": float(rng.uniform(0.33, 0.36)),
        "data_exponent": float(rng.uniform(0.35, 0.38)),
    }
    tasks = [dict(task) for task in base["workload"]["mix"]]
    share = float(rng.uniform(0.2, 0.8))
    for task, part in zip(tasks, (share, 1.0 - share), strict=True):
        task["share"] = part
        task["difficulty"] = float(rng.uniform(2.2, 3.0))
        task["skills"] = int(rng.integers(2, 6))
        task["fatigue"] = float(rng.uniform(0.0, 0.3))
        task["prompt_tokens"] = float(rng.uniform(0.0, 500.0))
        task["value"] = float(rng.uniform(0.5, 2.0))
        task["verifier"] = {
            "kind": "outcome",
            "true_positive_rate": float(rng.uniform(0.7, 1.0)),
            "false_positive_rate": float(rng.uniform(0.0, 0.3)),
            "flop_per_check": 1e9,
        }
        task["wrong_answers"] = {"count": int(rng.integers(2, 9)), "decay": 0.8}
    scenario["workload"] = {"tasks": float(rng.uniform(1e8, 1e9)), "mix": tasks}
    return scenario


def test_every_draw_scores_as_its_own_evaluation() -> None:
    rng = np.random.default_rng(3)
    base = {
        "workload": {
            "mix": [
                {"name": "a", "max_output_tokens": 1000.0},
                {"name": "b", "max_output_tokens": 2000.0},
            ]
        },
        "objective": "value",
        "reasoning": {
            "policies": [
                "chain_of_thought",
                {"best_of_n": {"samples": [4]}},
                {"majority_vote": {"samples": [5]}},
            ]
        },
        "limits": {"total_flop": 1e30},
    }
    scenarios = [Scenario.model_validate(moved(rng, base)) for _ in range(7)]
    problems = [compile_problem(scenario) for scenario in scenarios]
    best_of_4, vote = problems[0].policies[1], problems[0].policies[2]
    plan = Plan(2e9, 1e11, (Choice(0, best_of_4, 9.0, 1.0), Choice(1, vote, 31.0, 1.0)))
    score = score_plan(problems, plan)
    policies = {"a": "best_of_n:4", "b": "majority_vote:5"}
    budgets = {"a": 9.0 * 4 * 25.0, "b": 31.0 * 5 * 25.0}
    for index, scenario in enumerate(scenarios):
        alone = evaluate(scenario, 2e9, 1e11, policies=policies, token_budgets=budgets)
        assert alone.value is not None
        # evaluate() works the loss out again from the training that it takes, to about 1e-12
        assert score.value[index] == pytest.approx(alone.value, abs=1e-9)
        assert score.inference_flop[index] == pytest.approx(alone.inference_flop, rel=1e-9)
        assert score.training_flop == pytest.approx(alone.training_flop, rel=1e-9)
        assert score.loss[index] == pytest.approx(alone.loss, rel=1e-9)


def test_steps_end_where_a_draws_context_does() -> None:
    base = load_scenario("quickstart").scenario
    problem = compile_problem(base)
    shorter = compile_problem(
        load_scenario("quickstart", ["workload.mix[0].max_output_tokens=100"]).scenario
    )
    thought = problem.policies[0]

    def scored(steps: float) -> Any:
        return score_plan([problem, shorter], Plan(1e9, 1e11, (Choice(0, thought, steps, 1.0),)))

    assert scored(24.0).task_success[0, 1] == scored(4.0).task_success[0, 1]
    assert scored(24.0).task_success[0, 0] > scored(4.0).task_success[0, 0]


def test_parts_of_tasks_and_parts_not_attempted() -> None:
    problem = compile_problem(load_scenario("quickstart").scenario)
    thought = problem.policies[0]
    whole = score_plan([problem], Plan(1e9, 1e11, (Choice(1, thought, 30.0, 1.0),)))
    half = score_plan([problem], Plan(1e9, 1e11, (Choice(1, thought, 30.0, 0.5),)))
    none = score_plan([problem], Plan(1e9, 1e11, ()))
    assert half.value == pytest.approx(0.5 * whole.value)
    assert half.inference_flop == pytest.approx(0.5 * whole.inference_flop)
    assert none.value.tolist() == none.inference_flop.tolist() == [0.0]


def test_existing_models_and_skill_graphs_are_refused() -> None:
    graph = load_scenario("o1_aime").scenario
    with pytest.raises(UsageError, match="skill graph"):
        score_plan([compile_problem(graph)], Plan(1e9, 1e11, ()))
    pretraining = load_scenario("data_constrained").scenario
    with pytest.raises(UsageError, match="without classes"):
        score_plan([compile_problem(pretraining)], Plan(1e9, 1e11, ()))


@pytest.mark.parametrize("sliver", [0.0, 1e-12, 5e-7, 0.3])
def test_rows_of_a_task_belong_together_however_small_a_part(sliver: float) -> None:
    """A sliver of requests with another token budget is no task of its own."""
    whole = solve(load_scenario("quickstart").scenario, frontier=False, details=False)
    first, *others = whole.tasks
    parts = [replace(first, fraction=1.0 - sliver)]
    if sliver:
        parts.append(replace(first, fraction=sliver, steps=first.steps + 1))
    found = Plan.of(replace(whole, tasks=(*parts, *others)))
    assert [one.task for one in found.choices] == [0] * len(parts) + [
        one.task for one in Plan.of(whole).choices[1:]
    ]
