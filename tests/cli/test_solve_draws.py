"""``ds3opt solve --draws`` and ``check`` over draws as a user meets them."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ds3opt.io.draw_journal import journal_for


@pytest.fixture
def cache(tmp_path) -> dict[str, str]:
    """The environment with a cache of its own."""
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


def _environment(**changes: str) -> dict[str, str]:
    return {**os.environ, **changes}


def test_tables_for_people(run, unsure, cache):
    done = run("solve", unsure, "--draws", "12", env=_environment(**cache))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "Unsure: highest accuracy, over 12 draws of 2 uncertain constants"
    )
    for title in (
        "Answer",
        "Policies of every class",
        "Classes",
        "Regret: what is lost against knowing the constants",
        "Limits under the plan of the point estimate",
        "Robust plan: best on average over all draws, limits kept on average",
        "Uncertain constants",
    ):
        assert f"\n{title}" in done.stdout
    assert "short: difficulty" in done.stdout
    assert not any((Path(cache["XDG_CACHE_HOME"]) / "ds3opt" / "draws").glob("*"))


def test_data_for_machines(run, unsure, cache):
    env = _environment(**cache)
    done = run("solve", unsure, "--draws", "12", "-f", "json", "--robust", "worst", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    told = data["uncertainty"]
    assert (told["draws"], told["seed"]) == (12, 0)
    assert [one["path"] for one in told["constants"]] == [
        "workload.mix[0].difficulty",
        "model.capability.slope",
    ]
    for one in told["amounts"].values():
        assert one["p2_5"] <= one["p50"] <= one["p97_5"]
    accuracy = told["amounts"]["accuracy"]
    assert accuracy["point"] == data["outcome"]["accuracy"]
    best = {
        one["name"]: sum(policy["probability_best"] for policy in one["policies"])
        for one in told["classes"]
    }
    # in a third of the draws long tasks are not worth their compute, and no policy is best
    assert best == pytest.approx({"short": 1.0, "long": 2.0 / 3.0})
    robust = told["robust"]
    assert robust["tail"] == 0.1
    assert robust["point_plan"] <= robust["objective_upper"] + 1e-12
    assert 0.0 <= robust["gap"] <= robust["requested_gap"]


def test_one_record_for_each_draw(run, unsure, cache):
    done = run(
        "solve", unsure, "--draws", "5", "--robust", "none", "-f", "csv", env=_environment(**cache)
    )
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["draw"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert all(float(row["with_the_point_model"]) <= float(row["objective"]) for row in rows)
    assert len({row["model.capability.slope"] for row in rows}) == 5


def test_the_same_bytes_for_the_same_seed(run, unsure, cache):
    def solved(*options: str) -> str:
        env = _environment(**cache)
        return run("solve", unsure, "--draws", "6", "-f", "json", *options, env=env).stdout

    first = solved()
    assert first == solved("--workers", "1")
    assert first != solved("--seed", "1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--draws", "1"), "greater than or equal to 2"),
        (("--draws", "many"), "valid integer"),
        (("--seed", "3"), "--seed needs --draws"),
        (("--robust", "worst"), "--robust needs --draws"),
        (("--draws", "5", "--robust", "best"), "best"),
    ],
)
def test_options_that_make_no_sense(run, unsure, arguments, message):
    done = run("solve", unsure, *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_nothing_is_uncertain(run, scenario, cache):
    done = run("solve", "small.yaml", "--draws", "5", env=_environment(**cache))
    assert done.returncode == 2
    assert "nothing in the scenario is uncertain" in done.stderr
    assert "interval:" in done.stderr


def test_an_infeasible_point_is_said(run, unsure, cache):
    done = run(
        "solve", unsure, "--draws", "4", "--set", "limits.total_flop=1e3", env=_environment(**cache)
    )
    assert done.returncode == 3
    assert "No allocation is feasible" in done.stdout
    assert "the scenario is infeasible at the point estimate" in done.stdout


def test_draws_without_a_plan_are_counted(run, unsure, cache):
    """Training takes 6e16 FLOP at least: of budgets around it some allow none."""
    budget = "limits.total_flop={distribution: uniform, from: 1e16, to: 1.5e17}"
    env = _environment(**cache)
    options = ("--set", budget, "--set", "model.parameters=[1e10, 1e12]", "--robust", "none")
    done = run("solve", unsure, "--draws", "12", *options, "-f", "json", env=env)
    told = json.loads(done.stdout)["uncertainty"]
    assert done.returncode == 0
    assert 0.0 < told["infeasible"] < 1.0


def test_limits_that_no_draw_can_keep_are_said(run, unsure, cache):
    """The budget of the point estimate is not among its draws."""
    budget = "limits.total_flop={value: 1e20, draws: [1e3, 2e3]}"
    env = _environment(**cache)
    done = run("solve", unsure, "--draws", "4", "--set", budget, env=env)
    assert done.returncode == 0
    assert "no allocation is feasible in any of the draws" in done.stdout
    assert "allowed, median" in done.stdout


def test_shares_are_drawn_between_their_ends(run, unsure, cache):
    share = "workload.mix[0].share={value: 60%, interval: [50%, 70%]}"
    env = _environment(**cache)
    done = run("solve", unsure, "--draws", "4", "--set", share, env=env)
    assert "95 % interval, logit-normal" in done.stdout
    share = share.replace("70%", "120%")
    done = run("solve", unsure, "--draws", "4", "--set", share, env=env)
    assert done.returncode == 2
    assert "must be at most 1, not 1.2" in done.stderr


def test_a_cache_that_is_no_absolute_path_is_ignored(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path in journal_for("anything").path.parents


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupted_run_goes_on_where_it_was(tmp_path, ds3opt_script, run, unsure, cache):
    env = _environment(**cache)
    command = [ds3opt_script, "solve", unsure, "--draws", "40", "--robust", "none", "-f", "csv"]
    with subprocess.Popen(
        [*command, "--workers", "1"],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        folder = Path(cache["XDG_CACHE_HOME"]) / "ds3opt" / "draws"
        deadline = time.monotonic() + 60
        while not any(folder.glob("*.jsonl")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "of 40 draws are kept; the same command goes on from there" in err
    done = run(*command[1:], env=env)
    assert done.returncode == 0
    assert "draws are known from an interrupted run" in done.stderr
    fresh = run(*command[1:], env=_environment(XDG_CACHE_HOME=str(tmp_path / "other")))
    assert done.stdout == fresh.stdout
    assert not any(folder.glob("*.jsonl"))


def test_a_cache_that_cannot_be_written_is_done_without(run, unsure, tmp_path):
    (tmp_path / "cache").write_text("not a folder")
    env = _environment(XDG_CACHE_HOME=str(tmp_path / "cache"))
    done = run("solve", unsure, "--draws", "4", "--robust", "none", env=env)
    assert (done.returncode, done.stderr) == (0, "")


def test_check_compares_the_spread(run, unsure, tmp_path, cache):
    env = _environment(**cache)
    assert run("check", unsure, "--update", "--draws", "5", env=env).returncode == 0
    kept = json.loads((tmp_path / "unsure.expected.json").read_text())
    assert kept["uncertainty"]["draws"] == 5
    done = run("check", unsure, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    path = tmp_path / unsure
    path.write_text(path.read_text().replace("[2.4, 2.6]", "[2.1, 2.9]"))
    drifted = run("check", unsure, env=env)
    assert drifted.returncode == 1
    assert "uncertainty.amounts.accuracy" in drifted.stdout


def test_draws_of_check_come_from_what_is_kept(run, unsure):
    done = run("check", unsure, "--draws", "10")
    assert done.returncode == 2
    assert "--draws needs --update" in done.stderr
