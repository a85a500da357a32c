"""``ds3opt simulate`` as a user runs it."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ds3opt.cli.main import main

OWN = """\
import numpy as np

from ds3opt.simulate import Process, process_of


def build(claimed=0.75):
    return Process(
        skills=("flip",),
        transition={"idle": {"flip": 1}, "flip": {"stop": 1}},
        outcome=[0.75],
        evaluate=lambda state, rng: state.last[:, 0] == 1,
        closed_form={"success": claimed, "steps": 1.0},
    )


def wrong():
    return build(0.5)


def bad_rows():
    return Process(
        skills=("flip",),
        transition={"idle": {"flip": 0.5}, "flip": {"stop": 1}},
        outcome=[0.75],
        evaluate=lambda state, rng: True,
    )


def falls():
    def transition(state, rng):
        return state["nothing"]

    return Process(skills=("flip",), transition=transition, outcome=[1], evaluate=transition)


def endless():
    return Process(
        skills=("flip",),
        transition=lambda state, rng: np.zeros(state.shape, dtype=int),
        outcome=[0.5],
        evaluate=lambda state, rng: False,
        max_steps=7,
    )


def slow():
    return Process(
        skills=("flip",),
        transition=lambda state, rng: np.zeros(state.shape, dtype=int),
        outcome=[0.5],
        evaluate=lambda state, rng: False,
        max_steps=10_000_000,
    )


def ideal(task):
    return process_of(task)


def text():
    print("working")
    return "process"
"""


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def here(monkeypatch, tmp_path: Path, capsys) -> Callable[..., Done]:
    """Run ``ds3opt`` in this process, which need not be started for every case."""
    monkeypatch.chdir(tmp_path)

    def go(*arguments: str) -> Done:
        code = main(arguments)
        return Done(code, *capsys.readouterr())

    return go


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(OWN, encoding="utf-8")
    return path


def test_every_class_of_the_answer_stands_beside_its_law(run, scenario) -> None:
    done = run("simulate", "small.yaml", "--traces", "4k")
    assert (done.returncode, done.stderr) == (0, "")
    assert "4,000 requests each, seed 0" in done.stdout
    for word in ("short", "long", "all tasks", "accuracy", "inference FLOP", "closed form"):
        assert word in done.stdout
    assert "every closed form lies within" in done.stdout


def test_json_has_every_row_and_number(here, scenario) -> None:
    done = here("simulate", "small.yaml", "--traces", "4k", "-f", "json", "--seed", "3")
    assert done.returncode == 0
    data = json.loads(done.stdout)
    assert (data["runs"], data["seed"], data["confidence"], data["agrees"]) == (4000, 3, 0.99, True)
    assert sum(row["share"] for row in data["rows"]) == pytest.approx(1.0)
    simulated = [row for row in data["rows"] if row["simulated"]]
    assert data["comparisons"] == 3 * len(simulated)
    for row in simulated:
        names = [one["quantity"] for one in row["quantities"]]
        assert names == ["accuracy", "steps", "tokens", "inference_flop"]
        accuracy = row["quantities"][0]
        assert accuracy["low"] <= accuracy["mean"] <= accuracy["high"]
        assert accuracy["closed_form"] == pytest.approx(row["answer_accuracy"], abs=1e-12)
        assert row["cut_off"] == 0.0


def test_formats_agree(here, scenario) -> None:
    command = ("simulate", "small.yaml", "--traces", "500")
    data = json.loads(here(*command, "-f", "json").stdout)
    records = list(csv.DictReader(io.StringIO(here(*command, "-f", "csv").stdout)))
    flat = [one for row in data["rows"] if row["simulated"] for one in row["quantities"]]
    assert [float(r["mean"]) for r in records] == [one["mean"] for one in flat]
    assert {r["agrees"] for r in records} == {"true"}
    assert "| class" in here(*command, "-f", "markdown").stdout
    assert "runs: 500" in here(*command, "-f", "yaml").stdout


def test_the_same_seed_gives_the_same_bytes(here, scenario) -> None:
    command = ("simulate", "small.yaml", "--traces", "2k", "-f", "json")
    first = here(*command, "--seed", "5").stdout
    assert here(*command, "--seed", "5").stdout == first
    assert here(*command, "--seed", "6").stdout != first


def test_a_class_alone_has_the_same_numbers(here, scenario) -> None:
    command = ("simulate", "small.yaml", "--traces", "1k", "-f", "json")
    every = json.loads(here(*command).stdout)["rows"]
    alone = json.loads(here(*command, "--class", "long").stdout)["rows"]
    mine = [row for row in every if row["name"] == "long"]
    means = [[q["mean"] for q in row.get("quantities", [])] for row in mine]
    assert [[q["mean"] for q in row.get("quantities", [])] for row in alone] == means
    assert means


def test_a_given_model_is_evaluated(here, scenario) -> None:
    model = ("--parameters", "30M", "--training-tokens", "20B")
    fixed = ("--policy", "long=best_of_n:4", "--token-budget", "long=1000")
    command = ("small.yaml", *model, *fixed, "-f", "json")
    data = json.loads(here("simulate", *command, "--traces", "1k").stdout)
    allocation = json.loads(here("evaluate", *command).stdout)["allocation"]
    assert data["parameters"] == 3e7
    rows = [r for r in data["rows"] if r["name"] == "long" and r["simulated"]]
    assert rows
    assert {row["policy"]["samples"] for row in rows} == {4}
    expected = [task["accuracy"] for task in allocation["tasks"]]
    assert [row.get("answer_accuracy", 0.0) for row in data["rows"]] == expected


def test_every_step_says_the_same(here, scenario) -> None:
    done = here("simulate", "small.yaml", "--traces", "1k", "--every-step", "-f", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["agrees"]


def test_an_infeasible_scenario_is_3(here, scenario) -> None:
    done = here("simulate", "small.yaml", "--set", "limits.total_flop=1e13")
    assert done.returncode == 3
    assert "smallest feasible" in done.stdout


def test_a_process_of_ones_own(here, own) -> None:
    done = here("simulate", "--kernel", "own.py", "--traces", "2k", "-f", "json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert (data["process"], data["agrees"], data["comparisons"]) == ("build", True, 2)
    assert data["can_stop"] is True


def test_a_closed_form_that_does_not_hold_is_1(run, own) -> None:
    done = run("simulate", "--kernel", "own.py:wrong", "--traces", "2k")
    assert (done.returncode, done.stderr) == (1, "")
    assert "NO" in done.stdout
    assert "1 closed form lies outside what 2 comparisons allow" in done.stdout
    quiet = run("simulate", "--kernel", "own.py:wrong", "--traces", "2k", "-f", "json")
    assert quiet.returncode == 1
    assert "closed form lies outside" in quiet.stderr
    assert json.loads(quiet.stdout)["agrees"] is False


def test_a_process_in_place_of_the_ideal_one(here, own, scenario) -> None:
    done = here("simulate", "small.yaml", "--kernel", "own.py:ideal", "--traces", "1k")
    assert (done.returncode, done.stderr) == (0, "")
    assert "process ideal of the answer" in done.stdout
    wrong = here("simulate", "small.yaml", "--kernel", "own.py:build", "--traces", "500")
    assert wrong.returncode == 2  # its argument is no task


def test_what_never_stops_is_said(here, own) -> None:
    done = here("simulate", "--kernel", "own.py:endless", "--traces", "100")
    assert done.returncode == 0
    assert "100 % of runs were cut off at max_steps" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "there is nothing to simulate"),
        (("--kernel", "none.py"), "there is no file none.py"),
        (("--kernel", "own.py:bilud"), "did you mean build?"),
        (("--kernel", "own.py:ideal"), "own.py:56:1: ideal needs arguments"),
        (("--kernel", "own.py:text"), "text returns str, a Process is expected"),
        (("--kernel", "own.py:falls"), "own.py:31:16: neither memory nor environment has"),
        (("--kernel", "own.py:bad_rows"), "own.py:21:12: transition: row 'idle' sums to 0.5"),
        (("--kernel", "own.py", "--class", "long"), "these options need a scenario"),
        (("--kernel", "own.py", "--every-step"), "these options need a scenario"),
        (("small.yaml", "--traces", "0"), "--traces"),
        (("small.yaml", "--traces", "1e9"), "must be at most 10,000,000"),
        (("small.yaml", "--traces", "many"), "--traces"),
        (("small.yaml", "--confidence", "1"), "must be from 0.5 to 0.999999"),
        (("small.yaml", "--class", "lng"), "did you mean long?"),
        (("small.yaml", "--training-tokens", "1T"), "--training-tokens needs --parameters"),
        (("small.yaml", "--policy", "long=x"), "--policy needs --parameters"),
        (("small.yaml", "--kernel", "own.py:wrong"), "wrong takes 0 arguments"),
        (("deploy_existing_models",), "has no process to simulate"),
        (("data_constrained",), "the scenario has no tasks to simulate"),
    ],
)
def test_what_cannot_be_simulated_is_2(here, own, scenario, arguments, said) -> None:
    done = here("simulate", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_interrupting_leaves_nothing_behind(ds3opt_script: str, tmp_path: Path, own) -> None:
    process = subprocess.Popen(
        [ds3opt_script, "simulate", "--kernel", "own.py:slow", "-o", "out.txt"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "ds3opt: interrupted\n")
    assert [p.name for p in tmp_path.iterdir()] == ["own.py"]


def test_an_existing_file_is_kept(here, own, tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text("mine")
    command = ("simulate", "--kernel", "own.py", "--traces", "100", "-f", "json", "-o", "out.json")
    assert here(*command).returncode == 2
    assert (tmp_path / "out.json").read_text() == "mine"
    assert here(*command, "--force").returncode == 0
    assert json.loads((tmp_path / "out.json").read_text())["runs"] == 100
