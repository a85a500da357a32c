"""The commands together on skill graphs and measured classes, as people call them."""

from __future__ import annotations

import json

import pytest

BAD = [
    ("model.skill_graph.levels=0", "at least 1"),
    ("model.skill_graph.levels=65", "level 70"),
    ("model.skill_graph.text_degree=nan", "not NaN"),
    ("model.tokens_per_parameter=[5, 10]", "learning threshold"),
    ("workload.mix[0].level=60.5", "whole numbers"),
    ("reasoning.charge=expected", "budgets: per_task"),
]


@pytest.mark.parametrize(("setting", "words"), BAD)
def test_bad_skill_graphs_are_refused_with_a_reason(run, setting, words):
    result = run("explain", "claude_3_7_aime", "--set", setting)
    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_chernoff_needs_every_concept_over_a_range_of_sizes(run):
    sizes = ("--set", "model.parameters=[100 B, 1 T]", "--set", "model.tokens_per_parameter=18")
    result = run("solve", "claude_3_7_aime", *sizes)
    assert result.returncode == 2
    assert "exact" in result.stderr


def test_warnings_and_limits_of_the_shipped_scenarios(run):
    result = run("solve", "claude_3_7_aime", "-f", "json")
    data = json.loads(result.stdout)
    assert [use["name"] for use in data["limits"]] == ["inference_flop"]
    paths = [note["path"] for note in data["warnings"]]
    assert paths == [
        "model.skill_graph.required_links",
        "model.skill_graph.degree_failure",
        "workload.mix",
    ]
    table = run("solve", "claude_3_7_aime").stdout
    assert table.count("not_from_the_paper") == 3
    assert "max model size" not in table


def test_hundreds_of_rows_are_simulated_as_one_class(run):
    result = run("simulate", "o1_aime", "--traces", "200", "--confidence", "0.9999")
    assert result.returncode == 0
    assert "154 rows" in result.stdout
    assert len(result.stdout.splitlines()) < 30
    rows = json.loads(run("simulate", "o1_aime", "--traces", "50", "-f", "json").stdout)["rows"]
    assert {row["difficulty"] for row in rows} == {None}
    assert {row["level"] for row in rows} == set(range(60, 71))
    assert {row["reasoning_level"] for row in rows} <= {None, *range(45, 71)}


def test_a_skill_graph_is_explained_with_one_row_for_each_policy(run):
    result = run("explain", "claude_3_7_aime", "-f", "json")
    assert result.returncode == 0
    data = json.loads(result.stdout)
    assert [rival["policy"] for rival in data["classes"][0]["rivals"]] == ["chain of thought"]
    assert data["exchange"] is None


def test_a_model_to_score_may_leave_its_tokens_to_the_ratio(run):
    result = run("evaluate", "o1_aime", "--parameters", "300B")
    assert result.returncode == 0
    assert "6.00 T tokens" in result.stdout


def test_nothing_attempted_is_said_as_such(run):
    settings = ("--set", "reasoning.budgets=per_task", "--set", "frontier=null")
    cap = ("--set", "workload.mix[0].max_output_tokens=1")
    result = run("explain", "claude_3_7_aime", *settings, *cap)
    assert result.returncode == 0
    assert "no task is attempted" in result.stdout
    assert "measured" not in result.stdout
