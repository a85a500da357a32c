"""``ds3opt explain`` as a user meets it."""

from __future__ import annotations

import csv
import io
import json

import pytest
import yaml


def test_tables_for_people(run, scenario):
    done = run("explain", "small.yaml", "--quick")
    assert (done.returncode, done.stderr) == (0, "")
    for title in (
        "Plan",
        "Policies at their best",
        "What holds each class back",
        "What would change the kind of policy",
        "Chain or tree of thought",
        "Depth",
        "Left out",
    ):
        assert f"\n{title}" in done.stdout
    assert "in the plan" in done.stdout


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_data_for_machines(run, scenario, form):
    done = run("explain", "small.yaml", "--quick", "-f", form)
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout) if form == "json" else yaml.safe_load(done.stdout)
    assert data["status"] == "optimal"
    assert [one["name"] for one in data["classes"]] == ["short", "long"]
    assert data["exchange"] is None
    assert data["plan"]["training_flop"] + data["plan"]["inference_flop"] <= 1e20 * (1 + 1e-9)
    for one in data["classes"]:
        assert one["rivals"][0]["chosen"]


def test_one_record_for_each_policy_of_each_class(run, scenario):
    done = run("explain", "small.yaml", "--quick", "-f", "csv")
    assert (done.returncode, done.stderr) == (0, "")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {row["class"] for row in rows} == {"short", "long"}
    assert all(float(row["accuracy_lost_at_least"]) >= 0.0 for row in rows)


@pytest.mark.slow
def test_training_against_inference(run, scenario):
    done = run("explain", "small.yaml", "-f", "json")
    assert (done.returncode, done.stderr) == (0, "")
    rate = json.loads(done.stdout)["exchange"]
    assert rate["accuracy_per_decade_of_training"] > 0.0
    assert len(rate["contour"]) == 5


def test_the_same_bytes_in_every_run(run, scenario):
    first, second = (run("explain", "small.yaml", "--quick", "-f", "json") for _ in range(2))
    assert first.stdout == second.stdout


def test_a_given_model(run, scenario):
    done = run(
        *("explain", "small.yaml", "--quick", "--parameters", "100M"),
        *("--training-tokens", "20B", "-f", "json"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert data["status"] == "evaluated"
    assert data["plan"]["parameters"] == 1e8


def test_tokens_without_a_size_are_refused(run, scenario):
    done = run("explain", "small.yaml", "--training-tokens", "20B")
    assert done.returncode == 2
    assert "--parameters" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_size_that_is_none_is_placed(run, scenario):
    done = run("explain", "small.yaml", "--parameters", "many")
    assert done.returncode == 2
    assert "--parameters" in done.stderr


def test_an_infeasible_scenario_says_why(run, scenario):
    done = run("explain", "small.yaml", "--set", "limits.total_flop=1")
    assert done.returncode == 3
    assert "No allocation is feasible" in done.stdout


def test_an_objective_of_loss(run):
    done = run("explain", "inference_demand_30b")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no classes and no policies to explain" in done.stdout


def test_markdown_and_a_file(run, scenario, tmp_path):
    done = run("explain", "small.yaml", "--quick", "-f", "markdown", "-o", "why.md")
    assert (done.returncode, done.stdout) == (0, "")
    assert "What holds each class back" in (tmp_path / "why.md").read_text(encoding="utf-8")
    again = run("explain", "small.yaml", "--quick", "-o", "why.md")
    assert again.returncode == 2
    assert "--force" in again.stderr
