"""Answers on a skill graph in simulation: at their levels of reasoning, and in vain where due."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ds3opt.io.loader import load_scenario
from ds3opt.optimise.evaluate import evaluate
from ds3opt.optimise.solve import solve
from ds3opt.simulate.answer import rows_of
from ds3opt.simulate.closed_forms import closed_forms
from ds3opt.simulate.comparison import compare_rows, mix_estimate
from ds3opt.simulate.ideal import IdealTask, Walk
from ds3opt.simulate.shortcut import _MANY_SKILLS, simulate_task

SMALL = (
    "workload={tasks: 1 M, mix: [{name: small, share: 1, level: {uniform: [50, 54]},"
    " skills: {uniform: [2, 4]}, max_output_tokens: 150, prompt_tokens: 10,"
    " verifier: {kind: process}, wrong_answers: {count: 5, decay: 0.7}}]}",
    # few skills to a level, so that some fail to compose
    "model.skill_graph={skills_per_level: 50, required_links: 2}",
    "limits={training_flop: 7.5e16, inference_flop: 1e16}",
    "reasoning.budgets=per_task",
    "reasoning.charge=expected",
    "reasoning.token_budget=null",
    "frontier=null",
)
POLICIES = (
    "chain_of_thought",
    "{tree_of_thought: {branches: [4]}}",
    "{best_of_n: {samples: [4]}}",
    "{majority_vote: {samples: [5]}}",
)


def scenario_of(name: str, *settings: str):
    return load_scenario(name, settings).scenario


@pytest.mark.parametrize("policy", POLICIES)
def test_the_closed_forms_are_the_answers_own_figures(policy: str) -> None:
    scenario = scenario_of("o1_aime", *SMALL, f"reasoning.policies=[{policy}]")
    solution = solve(scenario, frontier=False, details=False)
    rows = rows_of(scenario, solution)
    simulated = [row for row in rows if row.task is not None]
    assert simulated
    assert any(row.task.unsolvable > 0.01 for row in simulated)
    assert any(row.task.walks[0].skills != row.allocation.skills for row in simulated)
    for row in simulated:
        forms, allocation = closed_forms(row.task), row.allocation
        flop = allocation.inference_flop / (solution.tasks_served * allocation.share)
        assert forms.success == pytest.approx(allocation.accuracy, rel=1e-9)
        assert forms.tokens == pytest.approx(allocation.expected_tokens, rel=1e-9)
        assert forms.charged_flop == pytest.approx(flop, rel=1e-9)


def test_every_policy_holds_in_simulation() -> None:
    scenario = scenario_of("o1_aime", *SMALL, f"reasoning.policies=[{', '.join(POLICIES)}]")
    solution = solve(scenario, frontier=False, details=False)
    rows = rows_of(scenario, solution)
    found = compare_rows(rows, 4000, 1, 0.999999)
    assert found.agrees
    mix = mix_estimate(found, rows)
    assert mix.exact == pytest.approx(solution.accuracy, rel=1e-9)


@pytest.mark.parametrize("name", ["claude_3_7_aime", "o1_aime"])
def test_the_shipped_scenarios_are_simulated_at_their_levels(name: str) -> None:
    scenario = scenario_of(name)
    solution = solve(scenario, frontier=False, details=False)
    rows = rows_of(scenario, solution)
    assert len(rows) == 154
    for row in rows:
        assert row.task is not None
        assert closed_forms(row.task).success == pytest.approx(row.allocation.accuracy, rel=1e-9)
    found = compare_rows(rows, 1000, 5, 0.999999)
    assert found.agrees


def test_a_model_that_is_given_keeps_its_own_ratio() -> None:
    scenario = scenario_of("claude_3_7_aime")
    size = scenario.model.parameters.max
    solution = evaluate(scenario, size, 18.5 * size)
    for row in rows_of(scenario, solution):
        assert closed_forms(row.task).success == pytest.approx(row.allocation.accuracy, rel=1e-9)


def test_tasks_that_nothing_solves_use_their_budget_in_vain() -> None:
    scenario = scenario_of("claude_3_7_aime")
    solution = evaluate(scenario, 1e9, 1.9e10)
    rows = rows_of(scenario, solution)
    assert any(row.allocation.reasoning_level is None for row in rows)
    found = compare_rows(rows, 100, 1, 0.99)
    for one in found.simulated:
        if one.row.allocation.reasoning_level is None:
            assert one.of("success").mean == 0.0
            assert one.of("tokens").mean == one.row.allocation.expected_tokens
    assert found.agrees


@pytest.mark.parametrize("fatigue", [0.0, 0.01])
def test_many_skills_at_once_are_many_skills_one_after_another(fatigue: float) -> None:
    """Two samples of one law: the shortcut of many skills and the sum of geometric numbers."""
    walk = Walk(skills=_MANY_SKILLS, levels=80, skill_success=0.4, fatigue=fatigue)
    runs = 200_000
    found = simulate_task(IdealTask((walk,), unsolvable=0.2), runs, 3)
    rng = np.random.Generator(np.random.PCG64(1))
    matters = 0.4 + 0.6 * fatigue
    levels = rng.geometric(matters, (runs, walk.skills)).sum(axis=1)
    sound = rng.random((runs, walk.skills)).max(axis=1) < 0.4 / matters
    done = sound & (levels <= walk.levels) & (rng.random(runs) >= 0.2)
    used = np.where(done, levels, walk.levels)
    for mine, theirs in ((found.success, done), (found.steps, used), (found.steps**2, used**2.0)):
        error = math.sqrt((np.var(mine) + np.var(theirs)) / runs)
        assert abs(np.mean(mine) - np.mean(theirs)) < 5.0 * error
    hopeless = Walk(skills=1000, levels=10**9, skill_success=1e-12)
    never = simulate_task(IdealTask((hopeless,)), 10, 3)
    assert np.all(never.success == 0.0)
    assert np.all(never.steps == 1e9)
