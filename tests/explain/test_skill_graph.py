"""Explanations of plans on a skill graph, and with measured classes, against what they speak of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ds3opt.explain.explain import explain, flop_setting, settled
from ds3opt.explain.turning_points import typical_tasks
from ds3opt.io.loader import load_scenario
from ds3opt.optimise.solve import solve
from ds3opt.problem import compile_problem
from ds3opt.simulate.answer import rows_of

POLICIES = "[chain_of_thought, {best_of_n: {samples: [2, 4]}}, {majority_vote: {samples: [5]}}]"
ONE_CLASS = (
    "workload={tasks: 1 M, mix: [{name: small, share: 1, level: {uniform: [50, 54]}, skills: 3,"
    " max_output_tokens: 400, prompt_tokens: 10, verifier: {kind: process, true_positive_rate: 0.9,"
    " false_positive_rate: 0.1}, wrong_answers: {count: 5, decay: 0.7}}]}",
    "model.skill_graph={skills_per_level: 50, required_links: 2}",
    "limits={training_flop: 7.5e16, inference_flop: 1e16}",
    "reasoning.token_budget=null",
    "frontier=null",
)
PER_TASK = (*ONE_CLASS, "reasoning.budgets=per_task", "reasoning.charge=expected")


def scenario_of(*settings: str, name: str = "o1_aime") -> Any:
    return load_scenario(name, settings).scenario


@pytest.fixture(scope="module")
def per_task() -> Any:
    return scenario_of(*PER_TASK, f"reasoning.policies={POLICIES}")


def test_every_policy_stands_once_at_its_best_levels(per_task: Any) -> None:
    found = explain(per_task, exchange=False)
    (one,) = found.classes
    words = [rival.policy for rival in one.rivals]
    assert sorted(words) == ["best of 2", "best of 4", "chain of thought", "majority vote of 5"]
    used = {row.words for row in found.solution.tasks if row.attempted}
    assert {rival.policy for rival in one.rivals if rival.chosen} == used
    assert all(rival.lost <= 1e-9 for rival in one.rivals if rival.chosen and len(used) == 1)


@pytest.mark.parametrize("policy", ["chain_of_thought", "{best_of_n: {samples: [4]}}"])
def test_a_forced_policy_loses_at_least_what_is_said(per_task: Any, policy: str) -> None:
    """Against a solve with nothing else on offer, on the plan's own model."""
    found = explain(per_task, exchange=False)
    alone = scenario_of(*PER_TASK, f"reasoning.policies=[{policy}]")
    best = solve(alone, frontier=False, details=False)
    words = "chain of thought" if policy == "chain_of_thought" else "best of 4"
    (rival,) = [one for one in found.classes[0].rivals if one.policy == words]
    assert best.certificate is not None
    assert found.solution.accuracy - rival.lost >= best.accuracy - 1e-9
    # the fixed ratio and the training limit leave no other model, so what it reaches is the optimum
    assert rival.accuracy_at_own_compute == pytest.approx(best.accuracy, abs=2e-3)


def test_skills_and_step_success_are_those_of_the_level_of_the_plan(per_task: Any) -> None:
    solution = solve(per_task, frontier=False, details=False)
    setting = flop_setting(compile_problem(per_task), solution)
    rows = [row for row in rows_of(per_task, solution) if row.task is not None]
    assert any(row.allocation.level != row.allocation.reasoning_level for row in rows)
    for row in rows:
        task = int(np.flatnonzero(setting.tasks.level == row.allocation.level)[0])
        walk = row.task.walks[0]
        assert setting.skills[task] == walk.skills
        assert setting.step_success[task] == pytest.approx(walk.step_success, rel=1e-12)
    idle = setting.reasoning == 0
    assert np.all(np.isnan(setting.step_success[idle]))


def test_branching_and_depth_are_told_at_the_level_of_the_plan(per_task: Any) -> None:
    found = explain(per_task, exchange=False)
    levels = {row.reasoning_level for row in found.solution.tasks}
    assert found.depths
    assert found.branching
    for one in (*found.depths, *found.branching):
        assert one.reasoning_level in levels
    (typical,) = found.depths
    (row, *_) = [r for r in found.solution.tasks if r.reasoning_level == typical.reasoning_level]
    assert found.branching[0].skills != 3 or row.level == row.reasoning_level


def test_cases_that_find_skills_less_often_are_those_of_another_scenario() -> None:
    """Directionality moved in a case, and in the scenario itself."""
    settings = (*PER_TASK, "reasoning.policies=[chain_of_thought]")
    there = scenario_of(*settings, "reasoning.directionality=0.4")
    here = scenario_of(*settings, "reasoning.directionality=0.8")
    solution = solve(here, frontier=False, details=False)
    setting = flop_setting(compile_problem(here), solution)
    index = np.arange(len(setting.tasks))
    slower = replace(setting.tasks, directionality=0.5 * setting.tasks.directionality)
    changed = setting.at(index, slower)
    other = replace(setting, problem=setting.under(there).problem)
    for name in ("case", "success", "tokens", "flop"):
        mine, theirs = getattr(changed.menu(), name), getattr(other.menu(), name)
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def test_one_budget_for_all_tells_every_policy_once() -> None:
    scenario = scenario_of(
        *ONE_CLASS,
        f"reasoning.policies={POLICIES}",
        "reasoning.budgets=shared",
        "reasoning.charge=budget",
    )
    found = explain(scenario, exchange=False)
    (one,) = found.classes
    assert len(one.rivals) == 4
    assert [rival.chosen for rival in one.rivals] == [True, False, False, False]
    for rival in one.rivals:
        policy = {"chain": "chain_of_thought", "majority": "{majority_vote: {samples: [5]}}"}.get(
            rival.policy.split()[0], f"{{best_of_n: {{samples: [{rival.policy[-1]}]}}}}"
        )
        alone = scenario_of(
            *ONE_CLASS,
            f"reasoning.policies=[{policy}]",
            "reasoning.budgets=shared",
            "reasoning.charge=budget",
        )
        best = solve(alone, frontier=False, details=False)
        assert rival.accuracy == pytest.approx(best.accuracy, abs=1e-3)


@pytest.mark.parametrize("name", ["claude_3_7_aime", "o1_aime"])
def test_where_training_leaves_inference_no_choice_there_is_no_exchange(name: str) -> None:
    found = explain(scenario_of(name=name))
    assert found.exchange is None
    told = [words for words in found.not_applicable if words.startswith("training against")]
    assert len(told) == 1
    assert len(found.classes[0].rivals) == 1


def test_measured_classes_are_explained_at_the_price_that_they_pay() -> None:
    scenario = scenario_of("frontier=null", name="wu_math500_selection")
    setting, solution = settled(scenario)
    menu = setting.menu()
    net = setting.worth[menu.case] * menu.success - menu.cost
    best = menu.best(net, by_way=False)
    # complementary slackness: at the margin the plan's two parts are worth the same
    chosen = {row.words for row in solution.tasks}
    found = [i for i in range(len(menu)) if setting.ways[int(menu.way[i])].words in chosen]
    assert len(found) == 2
    np.testing.assert_allclose(net[found], net[best[0]], rtol=1e-9)
    assert typical_tasks(setting, menu) == [0]


def test_one_budget_for_all_measured_classes_sees_each_policys_own_success() -> None:
    scenario = scenario_of("frontier=null", "reasoning.budgets=shared", name="wu_math500_selection")
    found = explain(scenario)
    by_words = {rival.policy: rival.accuracy for rival in found.classes[0].rivals}
    problem = compile_problem(scenario)
    for policy, known in zip(problem.policies, problem.tasks.measured[0], strict=True):
        if policy.words() in by_words:
            assert by_words[policy.words()] == pytest.approx(known, rel=1e-12)
    assert len(by_words) > 10
