"""Scenarios on hardware through the commands that solve."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from ds3opt.cli.main import main

SCENARIO = """\
name: Fleet
workload:
  tasks: 1e8
  horizon: 100 days
  mix:
    - {name: chat, share: 0.6, value: 0.01 USD, difficulty: 2.4, skills: 3, max_latency: 30 s}
    - {name: batch, share: 0.4, value: 0.02 USD, difficulty: 2.3, skills: 5, deferrable: 0.5}
model:
  shape: {list: [qwen3-8b, qwen3-14b]}
  candidates:
    - name: Old
      shape: llama-3.1-8b
      measured:
        chat: {accuracy: 0.5, output_tokens: 300}
        batch: {outcomes: [{policy: vote of 4, samples: 4, accuracy: 0.4, output_tokens: 1200}]}
hardware:
  electricity:
    price: 0.1 USD/kWh
    carbon_intensity: 300 g/kWh
    periods:
      - {name: day, duration: 12 h}
      - {name: night, duration: 12 h, carbon_intensity: 200 g/kWh}
  training: {accelerator: h100-sxm, count: 512}
  inference: {accelerator: h200-sxm, accelerators_per_replica: [1, 2]}
limits: {cost: 40 kUSD, power: 1 MW}
solver: {gap: 1e-3}
"""
SERVED = """\
name: Served
workload:
  tasks: 1e8
  horizon: 100 days
  mix: [{name: chat, share: 1, difficulty: 2.4, skills: 3}]
model:
  train: false
  candidates:
    - {name: Old, shape: small-model, measured: {chat: {accuracy: 0.5, output_tokens: 300}}}
hardware:
  inference: {accelerator: own-chip, accelerators_per_replica: 1}
limits: {cost: 1 kUSD}
"""
OWN_CHIP = """\
name: Own chip
vendor: Maker
dense_flop_per_s:
  bf16: {value: 400 TFLOP/s, source: datasheet, as_of: 2026-05-01}
memory_bytes: {value: 80 GB, source: datasheet, as_of: 2026-05-01}
bandwidth_bytes_per_s: {value: 2 TB/s, source: datasheet, as_of: 2026-05-01}
price_per_hour: {typical: {value: 2 USD/h, source: offer, as_of: 2026-05-01}}
"""
SMALL_MODEL = """\
name: Small model
source: config.json of ours
parameters: 7 B
layers: 32
width: 4096
heads: 32
kv_heads: 8
"""


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command in this process, where warnings are errors, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DS3OPT_HARDWARE_PATH", raising=False)

    def go(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as changed:
            for name, value in (env or {}).items():
                changed.setenv(name, value)
            code = main(arguments)
        printed, told = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, printed, told)

    return go


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A scenario that names what only another folder describes."""
    (tmp_path / "own" / "models").mkdir(parents=True)
    (tmp_path / "own" / "own-chip.yaml").write_text(OWN_CHIP, encoding="utf-8")
    (tmp_path / "own" / "models" / "small-model.yaml").write_text(SMALL_MODEL, encoding="utf-8")
    path = tmp_path / "served.yaml"
    path.write_text(SERVED, encoding="utf-8")
    return path


def test_the_parts_of_a_plan_add_up(run, fleet: Path) -> None:
    done = run("solve", "fleet.yaml", "-f", "json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout, parse_constant=lambda word: pytest.fail(word))
    outcome, rows = data["outcome"], data["allocation"]["tasks"]
    resources = {one["name"]: one for one in data["resources"]}
    keys = {
        "energy": "energy_joule",
        "cost": "cost_usd",
        "carbon": "carbon_kg",
        "accelerator_hours": "accelerator_hours",
    }
    for name, key in keys.items():
        one = resources[name]
        assert one["training"] + one["inference"] == pytest.approx(one["total"])
        assert outcome[key] == one["total"] > 0
    assert outcome["cost_usd"] <= 4e4 * (1 + 1e-9)
    places = [row["placement"] for row in rows if row["placement"]]
    for name, key in (("energy", "energy_joules"), ("accelerator_hours", "accelerator_hours")):
        assert math.fsum(place[key] for place in places) == pytest.approx(
            resources[name]["inference"]
        )
    # accelerators held, times the hours in which they are
    held = [p["accelerators"] * p["hours"] * 100 for p in data["periods"]]
    assert math.fsum(held) == pytest.approx(resources["accelerator_hours"]["inference"])
    assert {row["period"] for row in rows if row["placement"]} <= {"day", "night"}
    hurried = [row["placement"] for row in rows if row["name"] == "chat" and row["placement"]]
    assert all(place["latency_seconds"] <= 30 * (1 + 1e-9) for place in hurried)
    assert math.fsum(row["share"] for row in rows) == pytest.approx(1.0)
    plan = data["training_plan"]
    if plan is not None:
        # accelerators train in their part of each day only, the fullest part without a pause
        waited = max(p["share_of_training"] * 24 / p["hours"] for p in data["periods"])
        assert plan["accelerator_hours"] == pytest.approx(
            plan["accelerators"] * plan["seconds"] / 3600 / waited
        )
    limits = {use["name"]: use for use in data["limits"]}
    assert limits["cost"]["unit"] == "USD"
    assert limits["cost"]["shadow_price"] >= 0
    assert limits["power (day)"]["unit"] == "W"


def test_records_repeat_the_resources(run, fleet: Path) -> None:
    done = run("solve", "fleet.yaml", "-f", "csv")
    assert (done.returncode, done.stderr) == (0, "")
    records = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len({record["energy_joule"] for record in records}) == 1
    assert {record["period"] for record in records if record["latency_seconds"]} <= {
        "day",
        "night",
    }


def test_net_value_is_worth_less_cost(run, fleet: Path) -> None:
    done = run("solve", "fleet.yaml", "-f", "json", "--set", "objective=net_value")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    outcome = data["outcome"]
    worth = outcome["value"] * outcome["tasks_served"]
    assert outcome["net_value_usd"] == pytest.approx(worth - outcome["cost_usd"])
    assert outcome["net_value_usd"] == data["certificate"]["net_value_lower"]
    assert data["certificate"]["net_value_upper"] >= outcome["net_value_usd"]


@pytest.mark.parametrize(
    ("vary", "base", "shown"),
    [
        ("limits.energy=1MWh:10MWh:3", [3.6e9, 3.6e9 * math.sqrt(10), 3.6e10], "10 MWh"),
        ("limits.cost=1 kUSD:10 kUSD:2", [1e3, 1e4], "10 kUSD"),
        ("limits.carbon=100 kg,1 t", [100.0, 1e3], "1 t CO2e"),
        ("limits.accelerator_hours=1k:10k:2", [1e3, 1e4], "10 k accelerator-hours"),
    ],
)
def test_any_limit_can_be_varied_in_its_unit(
    run, fleet: Path, vary: str, base: list[float], shown: str
) -> None:
    name = vary.partition("=")[0].removeprefix("limits.")
    arguments = ("pareto", "fleet.yaml", "--vary", vary, "--set", "model.train=false")
    done = run(*arguments, "-f", "json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)["frontier"]
    assert [next(iter(row.values())) for row in rows] == pytest.approx(base)
    reached = [row["accuracy"] for row in rows]
    # each row is certified to the gap only, so more may fall behind less by that
    assert all(later >= earlier - 1e-3 for earlier, later in pairwise(reached))
    table = run(*arguments).stdout
    assert shown in table
    assert f"highest accuracy over {'accelerator-hours' if '_' in name else name}" in table


def test_a_limit_too_small_is_told_in_its_unit(run, fleet: Path) -> None:
    done = run(
        "solve", "fleet.yaml", "--set", "limits={cost: 1 USD}", "--set", "model.train=false",
        "--set", "objective={minimise: energy, accuracy: 0.4}",
        "--set", "hardware.electricity.periods=null",
    )  # fmt: skip
    assert done.returncode == 3
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "cannot be kept limits.cost" in lines
    assert "given 1 USD" in lines
    assert any(line.startswith("smallest feasible") and "USD" in line for line in lines)


def test_a_given_model_is_scored_on_hardware(run, fleet: Path) -> None:
    done = run("evaluate", "fleet.yaml", "--parameters", "8B", "--training-tokens", "100B")
    assert (done.returncode, done.stderr) == (0, "")
    assert "scored as given" in done.stdout
    assert "training run" in done.stdout


def test_policies_and_token_budgets_are_given_on_hardware(run, fleet: Path) -> None:
    arguments = ("evaluate", "fleet.yaml", "--parameters", "8B", "--training-tokens", "100B")
    given = ("--policy", "chat=chain_of_thought", "--token-budget", "chat=200")
    done = run(*arguments, *given, "-f", "json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [r for r in json.loads(done.stdout)["allocation"]["tasks"] if r["name"] == "chat"]
    tried = [row for row in rows if row["policy"]]
    assert tried
    assert all(row["token_budget"] <= 200 and row["model"] is None for row in tried)
    assert all(row["policy"]["name"] == "chain_of_thought" for row in tried)
    refused = run(*arguments, "--policy", "chatter=chain_of_thought")
    assert refused.returncode == 2
    assert "did you mean chat?" in refused.stderr
    assert "Traceback" not in refused.stderr


COMMANDS = [
    ("solve", "served.yaml"),
    ("pareto", "served.yaml", "--vary", "limits.cost=500,1000"),
    ("pareto", "served.yaml", "--vary", "limits.cost=500:1000:2"),
    ("check", "served.yaml", "--update"),
    ("diff", "served.yaml", "served.yaml"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_that_solves_searches_the_folders_of_hardware(
    run, served: Path, command: tuple[str, ...]
) -> None:
    missing = run(*command)
    assert missing.returncode == 2
    assert "own-chip" in missing.stderr
    assert "Traceback" not in missing.stderr
    found = run(*command, "--hardware-path", "own")
    assert (found.returncode, found.stderr) == (0, "")
    again = run(*command, env={"DS3OPT_HARDWARE_PATH": "own"})
    assert (again.returncode, again.stderr) == (0, "")


def test_evaluate_searches_the_folders_of_hardware(run, served: Path) -> None:
    text = (
        served.read_text().replace("  train: false\n", "").replace("cost: 1 kUSD", "cost: 1 MUSD")
    )
    training = "hardware:\n  training: {accelerator: own-chip, count: 64}\n"
    served.write_text(text.replace("hardware:\n", training))
    arguments = ("evaluate", "served.yaml", "--parameters", "1B", "--training-tokens", "20B")
    assert run(*arguments).returncode == 2
    found = run(*arguments, "--hardware-path", "own")
    assert (found.returncode, found.stderr) == (0, "")


def test_a_folder_of_hardware_that_is_not_there_is_named(run, served: Path) -> None:
    done = run("solve", "served.yaml", "--hardware-path", "nowhere")
    assert done.returncode == 2
    assert "nowhere" in done.stderr


def test_results_on_hardware_are_kept_and_compared(run, fleet: Path) -> None:
    fleet.write_text(SCENARIO.replace("model:\n", "model:\n  train: false\n"))
    assert run("check", "fleet.yaml", "--update").returncode == 0
    again = run("check", "fleet.yaml")
    assert (again.returncode, again.stderr) == (0, "")
    kept = fleet.with_name("fleet.expected.json")
    data = json.loads(kept.read_text())
    for one in data["resources"]:
        if one["name"] == "carbon":
            one["total"] *= 2
    kept.write_text(json.dumps(data))
    drifted = run("check", "fleet.yaml")
    assert drifted.returncode == 1
    assert "resources.carbon" in drifted.stdout
    assert "kg CO2e" in drifted.stdout
    shown = run("diff", "fleet.expected.json", "fleet.yaml").stdout
    assert "limit on cost" in shown
    assert "kUSD" in shown
