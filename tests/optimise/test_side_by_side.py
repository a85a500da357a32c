"""Problems searched side by side: each gets what it gets alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ds3opt.io.loader import load_scenario
from ds3opt.optimise.climbing import Plans, polished_side_by_side
from ds3opt.optimise.envelopes import ROUNDING
from ds3opt.optimise.evaluate import evaluate
from ds3opt.optimise.optimum import best_plans, polished
from ds3opt.optimise.side_by_side import Stack, alike
from ds3opt.optimise.training import Training
from ds3opt.problem import Problem, compile_problem

GAP = 1e-3


def _problem(*settings: str, name: str = "quickstart") -> Problem:
    return compile_problem(load_scenario(name, settings).scenario)


def _shaken(problem: Problem, seed: int) -> Problem:
    """The problem with other numbers: difficulty, fatigue, sigmoid, law, demand, budget."""
    rng = np.random.default_rng(seed)
    tasks, space = problem.tasks, problem.space
    assert tasks is not None
    law = replace(
        space.law,
        irreducible=space.law.irreducible + rng.normal(0.0, 0.03),
        data_exponent=space.law.data_exponent * np.exp(rng.normal(0.0, 0.01)),
    )
    return replace(
        problem,
        tasks=replace(
            tasks,
            difficulty=tasks.difficulty + rng.normal(0.0, 0.1, len(tasks)),
            fatigue=tasks.fatigue * rng.uniform(0.5, 1.5),
        ),
        space=replace(space, law=law),
        capability_slope=problem.capability_slope * np.exp(rng.normal(0.0, 0.1)),
        tasks_served=problem.tasks_served * rng.uniform(0.8, 1.2),
        budgets=replace(problem.budgets, total_flop=5e21 * rng.uniform(0.5, 2.0)),
    )


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return [_shaken(_problem(), seed) for seed in range(5)]


def test_each_problem_gets_what_it_gets_alone(problems):
    stack = Stack.of(problems)
    found = stack.best_plans(GAP)
    better = polished_side_by_side(stack, found)
    for problem, rough, plan in zip(problems, found, better, strict=True):
        (alone,) = best_plans(problem, [problem.budgets], GAP)
        # sums over tasks run in another order
        assert rough.value == pytest.approx(alone.value, abs=1e-12)
        assert rough.upper == pytest.approx(alone.upper, abs=1e-12)
        climbed = polished(problem, problem.budgets, alone)
        assert plan.value == pytest.approx(climbed.value, abs=1e-9)
        assert plan.parameters == pytest.approx(climbed.parameters, rel=1e-6)
        assert plan.value >= rough.value - 1e-12
        assert plan.value <= plan.upper <= plan.value + GAP * (1 + 1e-9)


def test_a_problem_without_a_plan_leaves_the_others_alone(problems):
    starved = replace(problems[1], budgets=replace(problems[1].budgets, total_flop=1.0))
    stack = Stack.of([problems[0], starved, problems[2]])
    found = polished_side_by_side(stack, stack.best_plans(GAP))
    assert [one.feasible for one in found] == [True, False, True]
    (alone,) = best_plans(problems[2], [problems[2].budgets], GAP)
    assert found[2].upper == pytest.approx(alone.upper, abs=1e-12)


def test_the_value_of_a_given_model_is_that_of_evaluate():
    budgets = [1e21, 5e21, 2e22]
    loaded = [
        load_scenario("quickstart", [f"limits.total_flop={budget}"]).scenario for budget in budgets
    ]
    stack = Stack.of([compile_problem(one) for one in loaded])
    size, tokens = np.full(3, 4e8), np.full(3, 3e11)
    loss = Training(stack.problem.space).reached_loss(size, tokens) * (1.0 + ROUNDING)
    values = Plans.around(stack, size, loss).values(np.arange(3), size, loss)
    for scenario, value in zip(loaded, values, strict=True):
        scored = evaluate(scenario, 4e8, 3e11)
        assert value == pytest.approx(scored.accuracy, abs=1e-9)


def test_verifiers_that_score_and_spectra_lie_side_by_side():
    names = ("verifier_matters", "fatigue", "two_limits")
    for name in names:
        first = _problem(name=name)
        if not alike([first]):
            continue
        tasks = first.tasks
        assert tasks is not None
        other = replace(first, tasks=replace(tasks, difficulty=tasks.difficulty - 0.02))
        found = Stack.of([first, other]).best_plans(GAP)
        for problem, plan in zip((first, other), found, strict=True):
            (alone,) = best_plans(problem, [problem.budgets], GAP)
            assert plan.upper == pytest.approx(alone.upper, abs=1e-12)


@pytest.mark.parametrize(
    "setting",
    [
        "objective={minimise: total_flop, accuracy: 0.8}",
        "reasoning.budgets=shared",
        "workload.mix[0].min_accuracy=0.5",
    ],
)
def test_what_cannot_lie_side_by_side(setting):
    assert not alike([_problem(setting)])


def test_problems_of_other_shapes_are_not_alike():
    first = _problem()
    assert alike([first, first])
    assert not alike([first, _problem("reasoning.policies=[chain_of_thought]")])
    assert not alike([first, _problem("model.parameters=[1e8, 1e10]")])
