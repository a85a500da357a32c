"""``ds3opt sensitivity`` as a user meets it."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import time

import pytest

KEYS = ("--key", "limits", "--key", "model.capability.slope")


@pytest.fixture
def go(run):
    def started(*arguments: str):
        return run("sensitivity", *arguments, env=dict(os.environ))

    return started


def test_tables_for_people(go, unsure, tmp_path):
    done = go(unsure, "--draws", "40", *KEYS)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Unsure: highest accuracy, which number matters\n")
    for title in (
        "What 1 % more of a number changes",
        "Both ends of what is uncertain",
        "What knowing it exactly would remove",
        "Measure next",
    ):
        assert f"\n{title}\n" in done.stdout
    assert "limit on total FLOP" in done.stdout
    assert "short: difficulty  2.4 to 2.6" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 160
    assert not any((tmp_path / "cache").rglob("*.jsonl"))


def test_json_carries_everything(go, unsure):
    done = go(unsure, "--draws", "24", *KEYS, "-f", "json")
    found = json.loads(done.stdout)
    assert found["status"] == "optimal"
    study = found["sensitivity"]
    assert (study["draws"], study["seed"], study["infeasible"]) == (24, 0, 0.0)
    elastic = {one["path"]: one for one in study["elasticities"]["constants"]}
    assert set(elastic) == {"limits.total_flop", "model.capability.slope"}
    assert elastic["limits.total_flop"]["objective"]["clear"]
    assert elastic["limits.total_flop"]["steps"] == "central"
    bar = study["tornado"][0]
    assert bar["low"] < bar["value"] < bar["high"]
    assert bar["objective"]["at_low"] != bar["objective"]["at_high"]
    assert {tuple(one["paths"]) for one in study["information"]} == {
        ("workload.mix[0].difficulty",),
        ("model.capability.slope",),
    }
    assert study["plans_chosen_among"] > 4
    assert study["expected_regret"]["value"] >= 0.0


def test_csv_has_a_line_for_every_number(go, unsure):
    done = go(unsure, "--quick", *KEYS, "-f", "csv")
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert set(rows) == {
        "limits.total_flop", "model.capability.slope", "workload.mix[0].difficulty",
    }  # fmt: skip
    assert float(rows["limits.total_flop"]["objective_per_percent"]) > 0.0
    assert rows["limits.total_flop"]["low"] == ""
    assert float(rows["workload.mix[0].difficulty"]["high"]) == pytest.approx(2.6)
    assert rows["workload.mix[0].difficulty"]["objective_per_percent"] == ""


@pytest.mark.slow
def test_quick_draws_nothing(go, unsure):
    done = go(unsure, "--quick", *KEYS)
    assert done.returncode == 0
    assert "Both ends of what is uncertain" in done.stdout
    assert "Measure next" not in done.stdout
    assert go(unsure, "--quick", "--draws", "10").returncode == 2


def test_nothing_uncertain_is_said(go, scenario):
    done = go("small.yaml", "--key", "limits")
    assert done.returncode == 0
    assert "nothing in the scenario is uncertain" in done.stdout
    assert "Both ends of what is uncertain" not in done.stdout
    refused = go("small.yaml", "--plot", "a.svg")
    assert refused.returncode == 2
    assert "interval" in refused.stderr


def test_an_infeasible_scenario_is_3(go, unsure):
    done = go(unsure, "--quick", "--set", "limits.total_flop=1")
    assert done.returncode == 3
    assert "limits.total_flop" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--key", "limits.total_flops"), "did you mean limits.total_flop?"),
        (("--key", "model.loss_law.name"), "no number"),
        (("--plot", "a.pdf"), ".svg or .png"),
        (("--plot", "missing/a.svg"), "there is no folder"),
        (("--plot", "unsure.svg"), "--force"),
        (("--draws", "1"), "--draws"),
    ],
)
def test_nonsense_is_2_in_words(go, unsure, tmp_path, arguments, said):
    if said != ".svg or .png":
        pytest.importorskip("matplotlib")
    (tmp_path / "unsure.svg").write_text("mine")
    done = go(unsure, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "unsure.svg").read_text() == "mine"


@pytest.mark.slow
def test_the_tornado_is_the_same_picture_from_both_commands(go, run, unsure, tmp_path):
    pytest.importorskip("matplotlib")
    assert go(unsure, "--quick", "--key", "limits", "--plot", "a.svg").returncode == 0
    done = run("plot", unsure, "--kind", "tornado", "-o", "b.svg", env=dict(os.environ))
    assert (done.returncode, done.stderr) == (0, "")
    first, second = ((tmp_path / name).read_bytes() for name in ("a.svg", "b.svg"))
    assert first == second
    assert b"short: difficulty" in first


def test_a_result_holds_no_tornado(run, result, tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "small.json").write_text(result, encoding="utf-8")
    done = run("plot", "small.json", "--kind", "tornado", "-o", "a.svg")
    assert done.returncode == 2
    assert "give the scenario instead" in done.stderr


@pytest.mark.slow
def test_an_interrupted_run_says_so_and_goes_on(ds3opt_script, go, unsure, tmp_path):
    process = subprocess.Popen(
        [ds3opt_script, "sensitivity", unsure, "--draws", "2000", "--key", "limits"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=dict(os.environ),
    )
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline and process.poll() is None:
        kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
        if kept and kept[0].stat().st_size:
            break
        time.sleep(0.1)
    if process.poll() is not None:
        pytest.skip("done before it could be interrupted")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "draws are kept" in err
    assert err.endswith("ds3opt: interrupted\n")
