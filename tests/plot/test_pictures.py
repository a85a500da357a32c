"""What the pictures of an answer show, and that they are drawn."""

from __future__ import annotations

import copy
import json
from functools import partial
from typing import Any

import numpy as np
import pytest

from ds3opt.errors import UsageError
from ds3opt.io.loader import load_scenario, validate
from ds3opt.io.yaml_source import load_yaml
from ds3opt.optimise.solve import solve
from ds3opt.plot import classes, contours, frontier, success, tornado
from ds3opt.plot.canvas import picture as drawn
from ds3opt.plot.kinds import result_picture, scenario_picture
from ds3opt.plot.scales import axis_label
from ds3opt.report.document import plain
from ds3opt.report.solution_data import solution_data
from ds3opt.uncertainty.sensitivity.study import tornado_of

pytest.importorskip("matplotlib")

SMALL: dict[str, Any] = {
    "name": "Small",
    "workload": {
        "tasks": 1e8,
        "mix": [
            {"name": "plain", "share": 0.6, "difficulty": 2.6, "skills": 3},
            {"name": "judged", "share": 0.4, "difficulty": 2.4, "skills": 5, "fatigue": 0.1,
             "min_accuracy": 0.3, "verifier": {"kind": "outcome"}},
        ],
    },
    "model": {"parameters": ["50 M", "1 T"]},
    "reasoning": {"policies": ["chain_of_thought", {"best_of_n": {"samples": [2, 4]}}]},
    "limits": {"total_flop": 2e20},
    "frontier": {"over": "total_flop", "from": 1e20, "to": 1e21, "points": 2},
    "solver": {"gap": 5e-3},
}  # fmt: skip


def scenario_of(data: dict[str, Any]) -> Any:
    return validate(load_yaml(json.dumps(data), "scenario.yaml"))


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    solution = solve(scenario_of(SMALL))
    data: dict[str, Any] = plain(solution_data(solution, version="", sha256=""))
    return data


def is_svg(content: bytes) -> bool:
    return content.startswith(b"<?xml") and content.rstrip().endswith(b"</svg>")


def same_twice(draw: Any) -> bool:
    first, second = (drawn(draw, "svg") for _ in range(2))
    return is_svg(first) and first == second


def test_a_frontier_lies_above_the_rules_and_below_its_bound():
    picture = frontier.frontier_of(scenario_of(SMALL))
    assert picture.over == "total_flop"
    assert picture.limit == pytest.approx([1e20, 1e21])
    assert np.all(picture.reached <= picture.bound)
    assert np.all(np.diff(picture.reached) >= -5e-3)
    assert len(picture.rules) == 2
    for rule in picture.rules:
        known = np.isfinite(rule.value)
        assert np.any(known)
        assert np.all(rule.value[known] <= picture.bound[known] + 1e-9)
    assert same_twice(partial(frontier.draw, picture=picture))


def test_a_frontier_that_is_not_stated_lies_around_a_limit(monkeypatch):
    monkeypatch.setattr(frontier, "POINTS", 2)
    data = {name: part for name, part in SMALL.items() if name != "frontier"}
    picture = frontier.frontier_of(scenario_of(data))
    assert picture.limit == pytest.approx([2e19, 2e21])


def test_without_limits_there_is_no_frontier():
    data = {name: part for name, part in SMALL.items() if name not in ("frontier", "limits")}
    data["objective"] = {"minimise": "total_flop", "accuracy": 0.5}
    with pytest.raises(UsageError, match="no frontier"):
        frontier.frontier_of(scenario_of(data))


def test_a_result_has_the_frontier_of_its_scenario(result):
    picture = frontier.frontier_of_result(result)
    there = frontier.frontier_of(scenario_of(SMALL))
    assert picture.limit == pytest.approx(there.limit)
    assert picture.reached == pytest.approx(there.reached, abs=5e-3)
    assert [rule.limit.tolist() for rule in picture.rules] == [[2e20], [2e20]]


def test_classes_say_what_the_result_says(result):
    picture = classes.classes_of_result(result)
    assert [one.name for one in picture.classes] == ["plain", "judged"]
    assert sum(one.share for one in picture.classes) == pytest.approx(1.0)
    assert sum(one.inference_share for one in picture.classes) == pytest.approx(1.0)
    assert picture.classes[0].policy == "chain of thought"
    assert picture.classes[1].min_accuracy == 0.3


def test_accuracy_rises_along_both_sides_of_the_contours(monkeypatch):
    monkeypatch.setattr(contours, "POINTS", 3)
    picture = contours.contours_of(scenario_of(SMALL))
    assert picture.accuracy.shape == (3, 3)
    # too little of anything cannot keep what is required, and is left blank
    assert np.isnan(picture.accuracy[0, 0])
    assert np.isfinite(picture.accuracy[2, 2])
    for axis in (0, 1):
        rise = np.diff(picture.accuracy, axis=axis)
        assert np.all(rise[np.isfinite(rise)] >= -contours.GAP)
    assert same_twice(partial(contours.draw, picture=picture))
    training, inference = picture.plan
    assert picture.training_flop[1] == pytest.approx(training)
    assert picture.inference_flop[1] == pytest.approx(inference)


def test_contours_are_of_flop_alone():
    with pytest.raises(UsageError, match="FLOP alone"):
        contours.contours_of(load_scenario("energy_capped_lab").scenario)


def test_the_plan_lies_on_a_curve_of_its_policy():
    picture = success.success_of(scenario_of(SMALL))
    assert [panel.name for panel in picture.panels] == ["plain", "judged"]
    for panel in picture.panels:
        assert panel.plan
        assert any(one.chosen for one in panel.curves)
        chosen = [one for one in panel.curves if one.chosen]
        for tokens, reached in panel.plan:
            on = [
                np.interp(tokens, one.tokens, one.success)
                for one in chosen
                if one.tokens[0] * (1 - 1e-9) <= tokens <= one.tokens[-1] * (1 + 1e-9)
            ]
            # a chord between drawn token budgets may miss the curve by a little
            assert min(abs(value - reached) for value in on) < 0.02


def test_success_needs_classes_with_budgets_of_their_own():
    data = copy.deepcopy(SMALL)
    del data["workload"]["mix"][1]["min_accuracy"]
    data["reasoning"]["budgets"] = "shared"
    with pytest.raises(UsageError, match="no policies to draw"):
        success.success_of(scenario_of(data))


@pytest.mark.parametrize("kind", ["classes", "success"])
def test_pictures_of_a_scenario_are_the_same_in_every_run(kind):
    first, second = (scenario_picture(kind, scenario_of(SMALL), "svg") for _ in range(2))
    assert is_svg(first)
    assert first == second


@pytest.mark.parametrize("kind", ["frontier", "classes"])
def test_pictures_of_a_result(kind, result):
    assert is_svg(result_picture(kind, result, "svg"))
    assert result_picture(kind, result, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", ["contours", "success"])
def test_a_result_does_not_hold_everything(kind, result):
    with pytest.raises(UsageError, match="does not hold"):
        result_picture(kind, result, "svg")


def test_existing_models_have_a_point_for_each_way():
    picture = success.success_of(load_scenario("deploy_existing_models").scenario)
    for panel in picture.panels:
        assert all(one.tokens.size == 1 for one in panel.curves)
    assert is_svg(
        scenario_picture("success", load_scenario("deploy_existing_models").scenario, "svg")
    )


@pytest.mark.parametrize("name", ["data_constrained", "least_compute_for_accuracy"])
def test_classes_of_what_has_none_or_few(name):
    scenario = load_scenario(name).scenario
    if scenario.workload.mix is None:
        with pytest.raises(UsageError, match="no task classes"):
            scenario_picture("classes", scenario, "svg")
    else:
        assert is_svg(scenario_picture("classes", scenario, "svg"))


@pytest.mark.parametrize("name", ["total_flop", "energy", "cost", "carbon", "power", "accuracy"])
def test_every_axis_has_a_unit(name):
    assert axis_label(name).endswith(")")
    assert not axis_label(name).endswith("(1)")


GRAPH = (
    "workload={tasks: 1 M, mix: [{name: small, share: 1, level: {uniform: [50, 54]}, skills: 3,"
    " max_output_tokens: 400, verifier: {kind: process, discrimination: 2},"
    " wrong_answers: {count: 5, decay: 0.7}}]}",
    "model.skill_graph={skills_per_level: 50, required_links: 2}",
    "limits={training_flop: 7.5e16, inference_flop: 1e16}",
    "reasoning.token_budget=null",
    "reasoning.budgets=per_task",
    "reasoning.charge=expected",
    "frontier=null",
    "reasoning.policies=[chain_of_thought, {best_of_n: {samples: [2]}}, {weighted_vote: {samples:"
    " [5], weight_ratio: 2}}, {rebase: {samples: [4], tilt: 2, overhead: 1.2, choose: best_of_n}}]",
)


def test_on_a_skill_graph_curves_are_the_best_over_the_levels():
    shown = success.success_of(load_scenario("o1_aime", GRAPH).scenario)
    (panel,) = shown.panels
    assert [one.words for one in panel.curves if one.chosen] == [panel.curves[0].words]
    assert len(panel.curves) == 4
    for one in panel.curves:
        assert np.all(np.diff(one.success) > 0.0)
        assert np.all(np.diff(one.tokens) > 0.0)
    for tokens, reached in panel.plan:
        own = panel.curves[0]
        before = own.success[own.tokens <= tokens * (1.0 + 1e-9)]
        assert reached <= np.max(before) + 0.05


@pytest.mark.parametrize("kind", ["classes", "contours", "success"])
def test_skill_graphs_and_new_policies_are_drawn(kind, monkeypatch):
    monkeypatch.setattr(contours, "POINTS", 3)
    assert scenario_picture(kind, load_scenario("o1_aime", GRAPH).scenario, "svg")


@pytest.mark.parametrize("kind", ["frontier", "classes", "success"])
def test_measured_classes_are_drawn(kind):
    few = "reasoning.policies=[chain_of_thought, {rebase: {samples: [4, 8, 16], tilt: 1.682,"
    few += " overhead: 1.247, choose: majority_vote}}]"
    scenario = load_scenario("wu_math500_selection", [few]).scenario
    assert scenario_picture(kind, scenario, "svg")


def test_words_of_a_class_keep_how_many_others_there_are():
    rows = [
        {"name": "a", "share": 0.6, "way": "a way that needs more words than there is room for"},
        {"name": "a", "share": 0.4, "way": "another"},
    ]
    words = classes._policies("a", rows)
    assert len(words) <= 46
    assert words.endswith("… and 1 other")


def test_contours_that_lie_close_are_thinned():
    percent = np.concatenate([np.linspace(0.0, 60.0, 900), np.linspace(97.0, 99.99, 100)])
    kept = contours._apart([10, 20, 50, 98, 99, 99.5, 99.9], percent)
    assert kept == [10, 20, 50, 98, 99, 99.5]


def test_a_tornado_goes_from_the_answer_to_both_ends():
    data = copy.deepcopy(SMALL)
    data["workload"]["mix"][0]["difficulty"] = {"value": 2.6, "interval": [2.5, 2.7]}
    data["workload"]["tasks"] = {"value": 1e8, "interval": [0.5e8, 2e8]}
    data["workload"]["mix"][1].pop("min_accuracy")
    point, bars = tornado_of(scenario_of(data))
    picture = tornado.tornado_of_bars(point, bars)
    assert [panel.name for panel in picture.panels] == ["accuracy", "parameters", "training_tokens"]
    assert set(picture.labels) == {"plain: difficulty\n2.5 to 2.7", "tasks\n50 to 200 M tasks"}
    widths = [abs(high - low) for low, high in picture.panels[0].ends]
    assert widths == sorted(widths, reverse=True)
    accuracy = dict(zip(picture.labels, picture.panels[0].ends, strict=True))
    low, high = accuracy["tasks\n50 to 200 M tasks"]
    assert low > picture.panels[0].point > high
    assert same_twice(partial(tornado.draw, picture=picture))


def test_an_end_without_an_answer_is_said_to_be_infeasible():
    panel = tornado.Panel("accuracy", 0.5, ((None, 0.7),))
    picture = tornado.TornadoPicture("Small", ("tasks",), (panel,))
    assert b"infeasible" in drawn(partial(tornado.draw, picture=picture), "svg")


def test_there_is_no_tornado_without_uncertainty():
    with pytest.raises(UsageError, match="nothing in the scenario is uncertain"):
        tornado.tornado_of_bars(*tornado_of(scenario_of(SMALL)))
