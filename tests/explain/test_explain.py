"""Explanations against solves of what they speak of."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from ds3opt.explain.explain import explain, flop_setting
from ds3opt.explain.explanation import ClassExplanation, Explanation, Mechanism
from ds3opt.io.loader import load_scenario, validate
from ds3opt.io.yaml_source import load_yaml
from ds3opt.optimise.evaluate import evaluate
from ds3opt.optimise.fleet.solve import evaluate_fleet
from ds3opt.optimise.solve import solve
from ds3opt.problem import compile_problem

SHORT = {
    "chain_of_thought": "chain_of_thought",
    "tree_of_thought": "tree_of_thought:{b}",
    "best_of_n": "best_of_n:{k}",
    "majority_vote": "majority_vote:{k}",
}
LEAST = 0.8
SMALL: dict[str, Any] = {
    "name": "Small",
    "workload": {
        "tasks": 1e8,
        "mix": [
            {"name": "plain", "share": 0.5, "difficulty": 2.6, "skills": 3,
             "max_output_tokens": 800},
            {"name": "judged", "share": 0.3, "difficulty": 2.4, "skills": 6, "fatigue": 0.1,
             "max_output_tokens": 4000, "prompt_tokens": 500,
             "verifier": {"kind": "outcome", "true_positive_rate": 0.95,
                          "false_positive_rate": 0.05}},
            {"name": "stepwise", "share": 0.2, "difficulty": 2.3, "skills": 8, "fatigue": 0.1,
             "max_output_tokens": 6000, "verifier": {"kind": "process"}},
        ],
    },
    "model": {"parameters": ["50 M", "1 T"], "shape": {"width_per_layer": 128}},
    "reasoning": {
        "policies": [
            "chain_of_thought",
            {"tree_of_thought": {"branches": [2, 4]}},
            {"best_of_n": {"samples": [2, 4, 8]}},
        ]
    },
    "limits": {"total_flop": 3e20},
}  # fmt: skip


def scenario_of(data: dict[str, Any]) -> Any:
    import json

    return validate(load_yaml(json.dumps(data), "scenario.yaml"))


def changed(**classes: dict[str, Any]) -> Any:
    data = copy.deepcopy(SMALL)
    for task in data["workload"]["mix"]:
        task.update(classes.get(task["name"], {}))
    return scenario_of(data)


@pytest.fixture(scope="module")
def small() -> Explanation:
    return explain(scenario_of(SMALL), exchange=False)


def named(explanation: Explanation, name: str) -> ClassExplanation:
    return next(one for one in explanation.classes if one.name == name)


def mechanism(explanation: Explanation, name: str, code: str) -> Mechanism:
    return next(m for m in named(explanation, name).mechanisms if m.code == code)


def test_a_policy_of_the_plan_loses_nothing_and_stands_first(small):
    for one in small.classes:
        assert one.rivals[0].chosen
        for rival in one.rivals:
            assert rival.lost >= 0.0
            if rival.chosen:
                assert rival.lost < 1e-9
        assert one.policy in {rival.policy for rival in one.rivals if rival.chosen}


def test_forced_policies_lose_at_least_what_is_said(small):
    """A forced policy, everything else chosen anew for the same model, is no better."""
    scenario, plan = scenario_of(SMALL), small.solution
    numbers = {policy.words(): policy for policy in scenario.reasoning.variants()}
    for one in small.classes:
        for rival in one.rivals:
            policy = numbers[rival.policy]
            text = SHORT[policy.name].format(b=policy.branches, k=policy.samples)
            forced = evaluate(
                scenario, plan.parameters, plan.training_tokens, policies={one.name: text}
            )
            assert forced.accuracy <= plan.accuracy - rival.lost + 1e-8, (one.name, rival.policy)
            if rival.chosen:
                assert forced.accuracy == pytest.approx(plan.accuracy, abs=1e-3)


RELAXED = {
    "fatigue": ("judged", {"fatigue": 0.0}),
    "verifier_errors": ("judged", {"verifier": {"kind": "outcome"}}),
    "verifier_kind": (
        "judged",
        {"verifier": {**SMALL["workload"]["mix"][1]["verifier"], "kind": "process"}},
    ),
}


@pytest.mark.parametrize("code", RELAXED)
def test_relaxed_classes_gain_at_most_what_is_said(small, code):
    name, change = RELAXED[code]
    found, plan = mechanism(small, name, code), small.solution
    there = evaluate(changed(**{name: change}), plan.parameters, plan.training_tokens)
    assert plan.accuracy < there.accuracy <= plan.accuracy + found.gain + 1e-8


def test_mechanisms_are_ordered_and_name_what_there_is(small):
    for one in small.classes:
        gains = [m.gain for m in one.mechanisms]
        assert gains == sorted(gains, reverse=True)
    codes = {one.name: {m.code for m in one.mechanisms} for one in small.classes}
    assert "fatigue" not in codes["plain"]
    assert {"fatigue", "verifier_errors", "compute"} <= codes["judged"]
    assert "verifier_errors" not in codes["stepwise"]


def test_the_longest_trace_holds_back_where_it_is_short():
    found = explain(changed(judged={"max_output_tokens": 200}), exchange=False)
    cap = mechanism(found, "judged", "longest_trace")
    assert cap.gain > 0.1
    assert "max_output_tokens" in cap.words


def test_a_context_is_named_where_it_is_the_tighter():
    data = copy.deepcopy(SMALL)
    data["model"]["context_tokens"] = 700
    found = explain(scenario_of(data), exchange=False)
    assert "context" in mechanism(found, "judged", "longest_trace").words


def test_own_compute_is_what_the_class_spends(small):
    """The plan's policy on its own compute does what the plan does."""
    for one in small.classes:
        used = [rival for rival in one.rivals if rival.chosen]
        if len(used) == 1:
            assert used[0].accuracy_at_own_compute == pytest.approx(one.accuracy, abs=1e-9)


def test_another_kind_of_policy_is_best_beyond_a_turning_point(small):
    """On either side of a turning point, compiled from a scenario of its own."""
    setting = flop_setting(compile_problem(scenario_of(SMALL)), small.solution)
    for side, ratio in (("below", 1.03), ("above", 0.97)):
        point = next(p for p in named(small, "judged").turning_points if p.code == "fatigue")
        value = getattr(point, side)
        assert value is not None
        kinds = []
        for fatigue in (value, ratio * value):
            there = setting.under(changed(judged={"fatigue": fatigue}))
            menu = there.menu()
            net = np.where(menu.case == 1, there.worth[menu.case] * menu.success - menu.cost, -1.0)
            kinds.append(there.ways[int(menu.way[np.argmax(net)])].family)
        assert kinds == [getattr(point, f"policy_{side}"), "best_of_n"]


def test_turning_points_lie_on_their_side(small):
    for one in small.classes:
        for point in one.turning_points:
            assert point.below is None or point.below < point.now
            assert point.above is None or point.above > point.now


def test_chain_against_tree_for_the_same_flop(small):
    """A chain of the plan's own has its own steps, and only process verifiers offer trees."""
    for row in small.branching:
        assert row.offered == (row.name == "stepwise")
        # a tree has at least as many tokens for the same FLOP, never more than sqrt(b) times
        assert row.steps / row.branches * (1 - 1e-9) <= row.levels
    plain = next(row for row in small.branching if row.name == "plain")
    task = next(row for row in small.solution.tasks if row.name == "plain")
    assert plain.steps == pytest.approx(task.steps)
    assert plain.better == ("tree" if plain.step_success < plain.crossover else "chain")


def test_depth_of_each_class(small):
    for row in small.depths:
        assert row.steepest == pytest.approx(np.floor(1.0 / row.step_success))
        assert row.amplification <= row.largest * (1 + 1e-9) or row.steps_per_skill % 1.0


def test_exchange_rate_at_an_optimum():
    """At the optimum of a total the last FLOP of training and of inference are worth the same."""
    data = copy.deepcopy(SMALL)
    data["workload"]["mix"] = [{**data["workload"]["mix"][1], "share": 1.0}]
    data["reasoning"]["policies"] = ["chain_of_thought"]
    del data["model"]["shape"]
    found = explain(scenario_of(data))
    rate = found.exchange
    assert rate is not None
    # accuracy is certified to 1e-4, differences to 2e-4 of 0.2 decades
    noise = 1e-4 / 0.1 / min(rate.training_exponent, rate.inference_exponent)
    assert rate.flop_per_flop == pytest.approx(1.0, abs=0.15 + 2 * noise)
    assert rate.contour
    needed = [point.inference_flop for point in rate.contour if point.inference_flop is not None]
    assert needed == sorted(needed, reverse=True)
    for point in rate.contour:
        limits = {"training_flop": point.training_flop, "inference_flop": point.inference_flop}
        if point.inference_flop is not None:
            data["limits"] = limits
            reached = solve(scenario_of(data), details=False)
            assert reached.certificate.upper >= rate.accuracy - 1e-9
        if point.too_little is not None:
            data["limits"] = {**limits, "inference_flop": point.too_little}
            assert solve(scenario_of(data), details=False).accuracy < rate.accuracy


def test_one_token_budget_for_all():
    data = copy.deepcopy(SMALL)
    data["workload"]["mix"] = [{**data["workload"]["mix"][1], "share": 1.0}]
    data["workload"]["mix"][0] |= {"fatigue": 0.0, "verifier": {"kind": "outcome"}}
    del data["model"]["shape"]
    data["reasoning"] = {
        "budgets": "shared",
        "charge": "budget",
        "policies": ["chain_of_thought", {"best_of_n": {"samples": [4]}}],
    }
    found = explain(scenario_of(data), exchange=False)
    (one,) = found.classes
    assert [rival.chosen for rival in one.rivals] == [True, False]
    assert one.rivals[1].lost > 0.0
    assert any("one token budget" in words for words in found.not_applicable)


def test_an_objective_of_loss_has_nothing_to_explain():
    found = explain(load_scenario("inference_demand_30b").scenario)
    assert found.classes == ()
    assert "no classes" in found.not_applicable[0]


def test_nothing_to_explain_where_nothing_is_feasible():
    data = copy.deepcopy(SMALL)
    data["limits"] = {"total_flop": 1.0}
    found = explain(scenario_of(data))
    assert found.solution.status.code == "infeasible"
    assert "infeasible" in found.not_applicable[0]


def test_a_given_model_is_explained_as_it_is_scored():
    scenario = scenario_of(SMALL)
    found = explain(scenario, parameters=2e9, training_tokens=2e9, exchange=False)
    scored = evaluate(scenario, 2e9, 2e9)
    assert found.solution.accuracy == scored.accuracy
    assert found.solution.status.code == "evaluated"
    assert all(one.rivals for one in found.classes)


def test_least_compute_speaks_of_accuracy_at_the_same_compute():
    data = copy.deepcopy(SMALL)
    del data["limits"]
    data["objective"] = {"minimise": "total_flop", "accuracy": 0.8}
    data["solver"] = {"gap": 1e-3, "resource_gap": 5e-3}
    found = explain(scenario_of(data), exchange=False)
    assert found.price_per_percent > 0.0
    assert max(m.gain for one in found.classes for m in one.mechanisms) <= 0.2 + 1e-9


def test_required_accuracies_have_their_price():
    data = copy.deepcopy(SMALL)
    data["workload"]["mix"][1]["min_accuracy"] = LEAST
    found = explain(scenario_of(data), exchange=False)
    assert named(found, "judged").accuracy == pytest.approx(LEAST, abs=1e-6)
    assert all(rival.lost < 1e-9 for one in found.classes for rival in one.rivals if rival.chosen)


# -- hardware ---------------------------------------------------------------------------------

FLEET: dict[str, Any] = {
    "name": "Fleet",
    "workload": {
        "tasks": 1e8,
        "horizon": "365 days",
        "mix": [
            {"name": "chat", "share": 0.7, "difficulty": 2.4, "skills": 3, "fatigue": 0.05,
             "prompt_tokens": 500, "max_output_tokens": 600, "max_latency": "4 s"},
            {"name": "judged", "share": 0.3, "difficulty": 2.25, "skills": 6, "fatigue": 0.08,
             "prompt_tokens": 2000, "max_output_tokens": 3000,
             "verifier": {"kind": "outcome", "true_positive_rate": 0.95,
                          "false_positive_rate": 0.05}},
        ],
    },
    "model": {"parameters": ["300 M", "10 B"], "training_tokens": {"max": "2 T"}},
    "reasoning": {"policies": ["chain_of_thought", {"best_of_n": {"samples": [2, 4]}}]},
    "hardware": {
        "training": {"accelerator": "h100-sxm", "count": 64},
        "inference": {"accelerator": "l40s", "accelerators_per_replica": 1},
    },
    "limits": {"cost": "60 kUSD"},
    "solver": {"gap": 1e-3},
}  # fmt: skip


@pytest.fixture(scope="module")
def fleet() -> Explanation:
    return explain(scenario_of(FLEET), exchange=False)


def test_on_hardware_forced_policies_lose_at_least_what_is_said(fleet):
    plan = fleet.solution
    one = named(fleet, "judged")
    assert one.rivals[0].lost < 1e-9
    for rival in one.rivals:
        data = copy.deepcopy(FLEET)
        family, _, number = rival.policy.partition(" of ")
        chain = rival.policy == "chain of thought"
        # the other class has only the chain in any case
        policies: list[Any] = ["chain_of_thought"]
        if not chain:
            policies.append({"best_of_n": {"samples": [int(number)]}})
            assert family == "best"
        data["reasoning"]["policies"] = policies
        forced = evaluate_fleet(scenario_of(data), plan.parameters, plan.training_tokens)
        if chain:
            assert forced.accuracy <= plan.accuracy - rival.lost + 2e-4
        elif rival.chosen:
            assert forced.accuracy == pytest.approx(plan.accuracy, abs=1e-2)


def test_on_hardware_latency_may_hold_a_class_back():
    data = copy.deepcopy(FLEET)
    data["workload"]["mix"][0]["max_latency"] = "1.5 s"
    found = explain(scenario_of(data), exchange=False)
    assert "latency" in {m.code for m in named(found, "chat").mechanisms}


def test_on_hardware_every_limit_with_a_price_is_paid(fleet):
    assert fleet.price_per_percent > 0.0
    assert fleet.branching
    assert fleet.depths
    assert {m.code for one in fleet.classes for m in one.mechanisms} >= {"fatigue", "compute"}


def test_existing_models_measured_as_a_whole_are_compared():
    found = explain(load_scenario("deploy_existing_models").scenario)
    assert found.branching == ()
    assert found.depths == ()
    assert any("measured as a whole" in words for words in found.not_applicable)
    assert all(len(one.rivals) > 5 for one in found.classes)
    for one in found.classes:
        assert one.rivals[0].lost == pytest.approx(0.0, abs=1e-9)
