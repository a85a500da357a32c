"""Every slip on hardware: exit code, place and words of what a planner reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ds3opt.cli.main import main
from ds3opt.errors import ExitCode

SCENARIO = """\
workload:
  tasks: 1e8
  horizon: 100 days
  mix:
    - {name: chat, share: 0.6, difficulty: 2.4, skills: 3, max_output_tokens: 500}
    - {name: batch, share: 0.4, difficulty: 2.3, skills: 5, max_output_tokens: 500}
model:
  parameters: [1e8, 1e10]
  candidates:
    - name: Old
      shape: llama-3.1-8b
      measured:
        chat: {accuracy: 0.5, output_tokens: 300}
        batch: {outcomes: [{policy: vote, samples: 4, accuracy: 0.4, output_tokens: 1200}]}
hardware:
  electricity: {price: 0.1 USD/kWh, carbon_intensity: 300 g/kWh}
  training: {accelerator: h100-sxm, count: 512}
  inference: {accelerator: h200-sxm, accelerators_per_replica: [1, 2]}
limits: {cost: 40 kUSD}
solver: {gap: 0.01, max_cells: 100}
"""
BOUGHT = {"input_price": "1 USD/M tokens", "output_price": "4 USD/M tokens"}
OPENING = "workload: {tasks: 1e9, mix: [{name: a, share: 1, difficulty: 2.5, skills: 3}]}\n"
DROP = object()

Said = tuple[int, str, str]
Say = Callable[..., Said]


def altered(changes: dict[str, Any]) -> str:
    """The scenario with values put at dotted paths; DROP takes one away."""
    data = yaml.safe_load(SCENARIO)
    for path, value in changes.items():
        *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        at: Any = data
        for key in parents:
            at = at[key] if isinstance(key, int) else at.setdefault(key, {})
        if value is DROP:
            del at[last]
        else:
            at[last] = value
    return yaml.safe_dump(data, sort_keys=False, width=200)


@pytest.fixture
def say(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    """Exit code and both streams of `ds3opt solve` on a text."""
    monkeypatch.chdir(tmp_path)

    def run(text: str, *options: str) -> Said:
        Path("s.yaml").write_text(text, encoding="utf-8")
        code = main(["solve", "s.yaml", *options])
        streams = capsys.readouterr()
        return code, streams.out, streams.err

    return run


def refused(said: Said, path: str, words: str, hint: str = "") -> None:
    """Assert a refusal that blames one key, its caret at the key, its value or what holds it."""
    code, out, err = said
    assert code == ExitCode.USAGE, err
    assert out == ""
    first = re.match(r"s\.yaml:(\d+):(\d+): (\S+): (.*)\n    (.*)\n    ( *)\^\n", err)
    assert first is not None, err
    _, column, key, message, quoted, caret = first.groups()
    assert (key, words in message) == (path, True), err
    assert hint in err
    before, after = quoted[: int(column) - 1], quoted[int(column) - 1 :]
    assert len(caret) == int(column) - 1
    steps = [step for step in re.split(r"[.\[\]]+", path) if step]
    assert before.endswith("- ") or any(
        after.startswith(f"{step}:") or before.endswith(f"{step}: ") for step in steps
    ), err


def test_the_scenario_is_accepted_as_it_stands(say: Say) -> None:
    assert say(altered({}))[0] == ExitCode.DONE


# fmt: off
PERIODS = "hardware.electricity.periods"
CHAT = "model.candidates.0.measured.chat"
OUTCOME = "model.candidates.0.measured.batch.outcomes.0"
REPLICA = "hardware.inference.accelerators_per_replica"
# what changes, the key that is blamed, what is said, what is advised
SLIPS: list[tuple[dict[str, Any], str, str, str]] = [
    # units of limits
    ({"limits.energy": "10 kW"}, "limits.energy",
     "10 kW is a power, an energy is expected", "1.2 GWh"),
    ({"limits.energy": "40 USD"}, "limits.energy", "an amount of money, an energy is expected", ""),
    ({"limits.power": "10 kWh"}, "limits.power",
     "10 kWh is an energy, a power is expected", "20 MW"),
    ({"limits.cost": "10 kWh"}, "limits.cost",
     "is an energy, an amount of money is expected", "4 MUSD"),
    ({"limits.cost": "3 USD/h"}, "limits.cost", "is a price per hour", ""),
    ({"limits.cost": "40 EUR"}, "limits.cost", 'unknown unit "EUR"', "4 MUSD"),
    ({"limits.carbon": "1 MWh"}, "limits.carbon", "a mass of CO2e is expected", "300 t CO2e"),
    ({"limits.accelerator_hours": "40 h"}, "limits.accelerator_hours", "40 h is a time", ""),
    ({"limits.training_time": "3 kWh"}, "limits.training_time", "a time is expected", "365 days"),
    ({"limits.energy": "0 MWh"}, "limits.energy", "must be above 0", ""),
    ({"limits.energy": "-1 MWh"}, "limits.energy", "must be above 0", ""),
    ({"limits.cost": 0}, "limits.cost", "must be above 0", ""),
    ({"limits.carbon": "0 t"}, "limits.carbon", "must be above 0", ""),
    ({"limits.energy": "1e-300 J"}, "limits.energy", "must be at least 1e-06", ""),
    ({"hardware.training.bytes_per_parameter": 1e300}, "hardware.training.bytes_per_parameter",
     "must be at most", ""),
    ({"hardware.inference.accelerator": {"name": "h200-sxm", "board_power_watts": 1e-300}},
     "hardware.inference.accelerator.board_power_watts", "must be at least 0.001", ""),
    ({f"{OUTCOME}.output_tokens": DROP, f"{OUTCOME}.flop": 1e60},
     "model.candidates[0].measured.batch.outcomes[0].flop", "must be at most", ""),
    ({f"{CHAT}.accuracy": DROP, f"{CHAT}.population": {"alpha": 1e300, "beta": 1}},
     "model.candidates[0].measured.chat.population.alpha", "must be at most", ""),
    ({"limits.energy": "1e400 J"}, "limits.energy", "too large to compute with", ""),
    ({"limits.power": float("nan")}, "limits.power", "not NaN", ""),
    ({"limits.enrgy": "1 MWh"}, "limits.enrgy", 'unknown key "enrgy"', 'did you mean "energy"?'),
    # figures that nobody publishes
    ({"hardware.inference.accelerator": "h100-pcie"}, "hardware.inference.accelerator",
     "h100-pcie has no price_per_hour.typical", "accelerator.price_per_hour.typical or in"),
    ({"hardware.inference.accelerator": "tpu-v5e", "limits.energy": "1 GWh"},
     "hardware.inference.accelerator", "tpu-v5e has no board_power_watts", "board_power_watts"),
    ({"hardware.training.accelerator": "tpu-v5e", "limits": {"carbon": "1 t"}},
     "hardware.training.accelerator", "tpu-v5e has no board_power_watts", ""),
    ({"hardware.training.accelerator": {"name": "h100-sxm", "capital_cost": None},
      "hardware.training.own": {}}, "hardware.training.accelerator", "has no capital_cost", ""),
    ({"hardware.training.own": {}, "hardware.electricity.price": DROP}, "hardware.electricity",
     "cost needs hardware.electricity.price", "0.12 USD/kWh"),
    ({"hardware.inference.own": {}, "hardware.electricity": DROP}, "hardware.electricity",
     "cost needs hardware.electricity.price", "0.12 USD/kWh"),
    ({"limits.carbon": "1 t", "hardware.electricity.carbon_intensity": DROP},
     "hardware.electricity", "carbon needs hardware.electricity.carbon_intensity", "400 g/kWh"),
    ({"limits.carbon": "1 t", "hardware.electricity.carbon_intensity": DROP,
      PERIODS: [{"name": "a", "duration": "9 h", "carbon_intensity": "1 g/kWh"},
                {"name": "b", "duration": "15 h"}]}, f"{PERIODS}[1]",
     "carbon needs hardware.electricity.periods[1].carbon_intensity", ""),
    ({"hardware.training.precision": "fp4"}, "hardware.training.accelerator",
     "h100-sxm has no dense_flop_per_s.fp4", "known are bf16, fp8, int8"),
    ({"hardware.training.precision": "int8"}, "hardware.training",
     "no measured utilisation of h100-sxm at int8", "hardware.training.utilisation"),
    # names
    ({"hardware.training.accelerator": "h100-smx"}, "hardware.training.accelerator",
     "no accelerator is named 'h100-smx'", "did you mean h100-sxm?"),
    ({"hardware.inference.accelerator": "abacus"}, "hardware.inference.accelerator",
     "no accelerator is named 'abacus'", "ds3opt hardware list"),
    ({"hardware.inference.accelerator": None}, "hardware.inference.accelerator",
     "an accelerator is a name, or a mapping", "ds3opt hardware list"),
    ({"hardware.inference.accelerator": 7}, "hardware.inference.accelerator",
     "an accelerator is a name, or a mapping", ""),
    ({"model.candidates.0.shape": "llama-3.1-7b"}, "model.candidates[0].shape",
     "no model is named 'llama-3.1-7b'", "did you mean llama-3.1-"),
    ({"model.shape": {"list": ["qwen3-7b"]}}, "model.shape.list[0]",
     "no model is named 'qwen3-7b'", "did you mean qwen3-"),
    ({"hardware.training.calibration": "h10"}, "hardware.training.calibration",
     "no calibration is named 'h10'", "did you mean h100?"),
    ({"hardware.inference.price": "cheap"}, "hardware.inference.price",
     "none of low, typical, high", ""),
    ({"hardware.training.precision": "fp32"}, "hardware.training.precision",
     "none of bf16, fp8, int8, fp4", ""),
    ({"hardware.traning": {"accelerator": "l4"}}, "hardware.traning", "unknown key", '"training"?'),
    # figures in place
    ({"hardware.inference.accelerator": {"name": "h200-sxm", "memory_bytes": "80 TFLOP/s"}},
     "hardware.inference.accelerator.memory_bytes", "is a FLOP rate", "80 GB"),
    ({"hardware.inference.accelerator": {"name": "h200-sxm", "dense_flop_per_s": {"bf16": 989}}},
     "hardware.inference.accelerator.dense_flop_per_s.bf16", "has no unit", "989 TFLOP/s"),
    ({"hardware.inference.accelerator": {"name": "h200-sxm", "memry_bytes": "80 GB"}},
     "hardware.inference.accelerator.memry_bytes", "unknown key", '"memory_bytes"?'),
    ({"hardware.inference.accelerator": {"name": "h200-sxm", "board_power_watts": "-1 W"}},
     "hardware.inference.accelerator.board_power_watts", "must be above 0", ""),
    # numbers out of range
    ({"hardware.training.count": 0}, "hardware.training.count", "at least 1, not 0", ""),
    ({"hardware.inference.count": -3}, "hardware.inference.count", "at least 1, not -3", ""),
    ({"hardware.training.utilisation": 1.4}, "hardware.training.utilisation", "at most 1", ""),
    ({"hardware.inference.utilisation": 0}, "hardware.inference.utilisation", "above 0", ""),
    ({"hardware.training.goodput": 2}, "hardware.training.goodput", "at most 1", ""),
    ({"hardware.power_usage_effectiveness": 0.9}, "hardware.power_usage_effectiveness",
     "at least 1", ""),
    ({"hardware.host_power": "-1 W"}, "hardware.host_power", "at least 0", ""),
    ({REPLICA: [1, 1]}, REPLICA, "has a number twice", ""),
    ({REPLICA: 0}, REPLICA, "at least 1, not 0", ""),
    ({REPLICA: 1.5}, REPLICA, "a whole number is expected", ""),
    ({REPLICA: []}, REPLICA, "at least 1 item", ""),
    ({"hardware.inference.max_sequences": 0}, "hardware.inference.max_sequences", "at least 1", ""),
    ({"workload.mix.0.max_latency": "0 s"}, "workload.mix[0].max_latency", "above 0", ""),
    ({"workload.mix.0.max_latency": "2 kWh"}, "workload.mix[0].max_latency", "is an energy", "2 s"),
    ({"workload.mix.0.deferrable": 1.2}, "workload.mix[0].deferrable", "at most 1", ""),
    # periods of the day
    ({PERIODS: [{"name": "a", "duration": "10 h"}, {"name": "b", "duration": "12 h"}]}, PERIODS,
     "the periods cover 22 h of the day, not 24 h", ""),
    ({PERIODS: [{"name": "a", "duration": "12 h"}, {"name": "a", "duration": "12 h"}]},
     f"{PERIODS}[1].name", "two periods are named 'a'", ""),
    ({PERIODS: [{"name": "a", "duration": "12 h", "load_share": 0.5},
                {"name": "b", "duration": "12 h"}]}, f"{PERIODS}[1]",
     "give load_share for every period or for none", ""),
    ({PERIODS: [{"name": "a", "duration": "12 h", "load_share": 0.5},
                {"name": "b", "duration": "12 h", "load_share": 0.6}]}, PERIODS,
     "sum to 1.1, not to 1", ""),
    ({PERIODS: []}, PERIODS, "at least 1 item", ""),
    ({PERIODS: [{"name": "a", "duration": "24 kWh"}]}, f"{PERIODS}[0].duration",
     "is an energy", ""),
    # shapes that may be trained
    ({"model.shape": {"layers": 10, "attention_width": 1024}}, "model.shape.layers",
     "on hardware the layers of a model follow its size", "width_per_layer, or a list"),
    ({"model.parameters": 7e9}, "model.parameters", "no model of 128 width per layer",
     "the nearest have 6.44 B parameters and 7.07 B parameters"),
    ({"model.shape": {"width_per_layer": 1e-4}}, "model.shape.width_per_layer",
     "more than 10,000 models", "128 is usual"),
    ({"model.shape": {"width_per_layer": 1e300}}, "model.shape.width_per_layer", "at most", ""),
    ({"model.shape": {"width_per_layer": 9, "query_heads_per_kv_head": 0.5}},
     "model.shape.query_heads_per_kv_head", "at least 1", ""),
    # candidates
    ({"model.candidates.0.shape": "llama-3.1-405b"}, "model.candidates[0].shape",
     "does not fit: its weights are 811.7 GB, and a replica of 2 accelerators has",
     "accelerators_per_replica a larger number"),
    ({"model.train": False, "model.candidates.0.measured.batch": DROP}, "workload.mix[1].name",
     "no candidate has measurements for class 'batch'", "measured.batch, or train a model"),
    ({"model.candidates.0.measured.chta": {"accuracy": 0.1, "output_tokens": 9}},
     "model.candidates[0].measured.chta", "which is no class of the mix: chat, batch",
     "did you mean chat?"),
    ({"model.train": False, "model.candidates": []}, "model", "leaves nothing to serve with", ""),
    ({"model.candidates.0.shape": DROP}, "model.candidates[0]", "give a shape, to run", ""),
    ({f"{CHAT}.output_tokens": DROP}, "model.candidates[0].measured.chat",
     "output_tokens is missing", ""),
    ({f"{CHAT}.population": {"alpha": 1, "beta": 1}}, "model.candidates[0].measured.chat",
     "give one of accuracy, success_counts, population, outcomes", ""),
    ({f"{CHAT}.longest_output_tokens": 20},
     "model.candidates[0].measured.chat.longest_output_tokens",
     "the longest trace, 20 tokens, is shorter than the average, 300", ""),
    ({f"{CHAT}.accuracy": DROP, f"{CHAT}.success_counts": []},
     "model.candidates[0].measured.chat.success_counts", "success_counts is empty", ""),
    ({f"{CHAT}.accuracy": DROP, f"{CHAT}.success_counts": [{"samples": 3, "correct": 4}]},
     "model.candidates[0].measured.chat.success_counts[0]", "4 of 3 samples cannot be correct", ""),
    ({f"{CHAT}.accuracy": DROP, f"{CHAT}.population": {"alpha": 0, "beta": 1}},
     "model.candidates[0].measured.chat.population.alpha", "above 0", ""),
    # hosted models
    ({"model.candidates.0.hosted": BOUGHT, "limits.energy": "1 GWh"}, "limits.energy",
     "energy cannot be counted for Old, which is hosted", "no hosted prices"),
    ({"model.candidates.0.hosted": BOUGHT, "limits": {"power": "1 MW"}}, "limits.power",
     "power cannot be counted for Old", ""),
    ({"model.candidates.0.hosted": BOUGHT, "limits": {},
      "objective": {"minimise": "carbon", "accuracy": 0.3}}, "objective",
     "carbon cannot be counted for Old", ""),
    ({"model.candidates.0.hosted": BOUGHT, "workload.mix.0.max_latency": "3 s"},
     "model.candidates[0].hosted", "nothing says how fast Old answers", "output_tokens_per_s"),
    ({"model.candidates.0.hosted": BOUGHT, "model.candidates.0.loss": 2},
     "model.candidates[0]", "known by its measurements", ""),
    # what a limit needs beside it
    ({"limits": {"training_time": "9 days"}, "hardware.training.count": DROP},
     "limits.training_time", "needs hardware.training.count", "such as 1024"),
    ({"limits": {"power": "1 MW"}, "workload.horizon": DROP}, "workload",
     "power needs workload.horizon", "365 days"),
    ({"hardware.inference.count": 8, "workload.horizon": DROP}, "workload",
     "hardware.inference.count needs workload.horizon", "365 days"),
    ({"hardware.training": DROP}, "hardware",
     "cost needs hardware.training", "ds3opt hardware list"),
    ({"hardware.inference": DROP}, "hardware", "cost needs hardware.inference", ""),
    ({"hardware": DROP}, "limits.cost", "cost needs hardware.training", ""),
    ({"hardware": {}}, "hardware", "give training, inference or both", ""),
    ({"hardware": DROP, "limits": {"total_flop": 1e21}, "workload.mix.1.max_latency": "9 s"},
     "workload.mix[1].max_latency", "max_latency needs hardware.inference", "h200-sxm"),
    # objectives
    ({"reasoning": {"budgets": "shared"}}, "reasoning.budgets",
     "budgets for each class", "per_task"),
    ({"objective": {"minimise": "loss"}}, "objective", "takes workload.served_tokens, no mix", ""),
    ({"objective": "net_value", "limits": {}, "hardware.inference.accelerator": "h100-pcie"},
     "hardware.inference.accelerator", "has no price_per_hour.typical", ""),
    ({"objective": "net_value", "limits": {}, "hardware": DROP}, "objective",
     "cost needs hardware.training", ""),
    ({"objective": {"minimise": "energy", "accuracy": 0.5}, "limits": {}, "hardware": DROP},
     "objective", "energy needs hardware.training", ""),
    ({"objective": {"minimise": "power", "accuracy": 0.5}}, "objective.minimise", "none of", ""),
    # frontiers
    ({"frontier": {"over": "cost", "from": "1 kWh", "to": "9 USD"}}, "frontier.from",
     "1 kWh is an energy, an amount of money is expected", "4 MUSD"),
    ({"frontier": {"over": "power", "from": "1 kW", "to": "1 MWh"}}, "frontier.to",
     "1 MWh is an energy, a power is expected", ""),
    ({"frontier": {"over": "energy", "from": "2 MWh", "to": "1 MWh"}}, "frontier",
     "the range is upside down", ""),
    ({"frontier": {"over": "energy", "from": 0, "to": "1 MWh"}}, "frontier.from",
     "must be above 0, not 0", ""),
    ({"frontier": {"over": "energy", "from": "1e-300 J", "to": "1 MWh"}}, "frontier.from",
     "must be at least 1e-06", ""),
    ({"frontier": {"over": "cost", "from": 1, "to": "1e300 USD"}}, "frontier.to",
     "must be at most", ""),
    ({"frontier": {"over": "speed", "from": 1, "to": 2}}, "frontier.over",
     "none of total_flop", ""),
    ({"frontier": {"over": "energy", "from": "1 MWh", "to": "9 MWh"},
      "hardware.inference.accelerator": "tpu-v5e"}, "hardware.inference.accelerator",
     "has no board_power_watts", ""),
    ({"frontier": {"over": "training_time", "from": "1 day", "to": "9 days"},
      "hardware.training.count": DROP}, "frontier.over", "needs hardware.training.count", ""),
    ({"frontier": {"over": "energy", "from": "1 MWh", "to": "9 MWh"}, "hardware": DROP,
      "limits": {"total_flop": 1e21}}, "frontier.over", "energy needs hardware.training", ""),
]
# fmt: on


@pytest.mark.parametrize(("changes", "path", "words", "hint"), SLIPS)
def test_a_slip_is_named_at_its_place(
    say: Say, changes: dict[str, Any], path: str, words: str, hint: str
) -> None:
    refused(say(altered(changes)), path, words, hint)


LOSS = "workload: {served_tokens: 1e12}\nobjective: {minimise: loss}\nlimits: {total_flop: 1e24}\n"
HARDWARE = "hardware: {training: {accelerator: h100-sxm}, inference: {accelerator: h100-sxm}}\n"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (LOSS + HARDWARE, "hardware"),
        (LOSS.replace("total_flop: 1e24", "cost: 1 MUSD"), "limits.cost"),
        (LOSS.replace("loss}", "energy, loss: 2.1}"), "objective"),
        (LOSS + "model: {shape: {list: [qwen3-8b]}}\n", "model.shape.list"),
        (LOSS + "model: {candidates: [{name: a, shape: qwen3-8b, loss: 2}]}\n", "model.candidates"),
        (LOSS + "frontier: {over: power, from: 1 MW, to: 2 MW}\n", "frontier.over"),
    ],
)
def test_pretraining_loss_counts_flop_alone(say: Say, text: str, path: str) -> None:
    refused(say(text), path, "an objective of pretraining loss counts FLOP alone", "mix")


def test_every_name_that_nobody_knows_is_reported_at_once(say: Say) -> None:
    text = altered({
        "hardware.training.accelerator": "h100-smx", "hardware.inference.accelerator": "h200-smx",
        "model.candidates.0.shape": "llama-3.1-7b",
    })  # fmt: skip
    code, _, err = say(text)
    assert code == ExitCode.USAGE
    assert err.count("no accelerator is named") == 2
    assert err.count("no model is named") == 1


def test_an_alias_is_blamed_where_it_was_written(say: Say) -> None:
    text = OPENING + (
        "limits: {cost: 1 MUSD}\nhardware:\n  training: &chip {accelerator: h100-smx}\n"
        "  inference: *chip\n"
    )
    code, _, err = say(text)
    assert code == ExitCode.USAGE
    assert err.count("s.yaml:4:33: hardware.") == 2
    assert "hardware.inference.accelerator" in err


NUMBERS = [
    "hardware.training.count", "hardware.training.utilisation", "hardware.training.goodput",
    "hardware.training.bytes_per_parameter", "hardware.inference.count",
    "hardware.inference.utilisation", "hardware.inference.idle_power",
    "hardware.inference.queueing_allowance", "hardware.inference.max_sequences",
    "hardware.inference.own.lifetime", "hardware.inference.own.running_share",
    "hardware.inference.own.capital_cost", "hardware.electricity.price",
    "hardware.electricity.carbon_intensity", "hardware.power_usage_effectiveness",
    "hardware.host_power", "limits.energy", "limits.cost", "limits.carbon",
    "limits.accelerator_hours", "limits.power", "limits.training_time", "workload.horizon",
    "workload.mix.0.max_latency", "workload.mix.0.deferrable", "model.candidates.0.loss",
    f"{CHAT}.accuracy", f"{CHAT}.output_tokens", f"{OUTCOME}.samples", f"{OUTCOME}.output_tokens",
]  # fmt: skip


@pytest.mark.parametrize("path", NUMBERS)
@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "-inf", "1e400", "-1", True, "many", [], {}], ids=repr
)
def test_what_is_no_number_is_refused_at_its_key(say: Say, path: str, value: Any) -> None:
    code, out, err = say(altered({path: value}))
    assert code == ExitCode.USAGE, (path, value, err)
    assert out == ""
    key = re.sub(r"\.(\d+)", r"[\1]", path)
    assert re.match(rf"s\.yaml:\d+:\d+: {re.escape(key)}: ", err), err


@pytest.mark.parametrize(
    ("setting", "code", "words"),
    [
        ("hardware.inference.accelerator=h100-pcie", 2, "has no price_per_hour.typical"),
        ("hardware.inference.accelerator={name: h100-pcie, price_per_hour: 2 USD/h}", 0, ""),
        ("hardware.training.count=64", 0, ""),
        ("limits.energy=5MWh", 0, ""),
        ("limits.energy=5 MW", 2, "limits.energy: 5 MW is a power"),
        ("model.candidates.Old.measured.chat.accuracy=0.9", 0, ""),
        ("model.candidates.Odl.measured.chat.accuracy=0.9", 2, 'did you mean "Old"?'),
        ("hardware.inference.acelerator=l4", 2, 'did you mean "accelerator"?'),
        ("hardware.inference.accelerator.memory_bytes=1 TB", 2, "is a single value here"),
        ("hardware.electricity.periods[0].duration=3 h", 2, "not a list"),
        ("hardware=null", 2, "limits.cost: cost needs hardware.training"),
    ],
)
def test_settings_from_the_command_line(say: Say, setting: str, code: int, words: str) -> None:
    found, _, err = say(altered({}), "--set", setting)
    assert found == code, err
    assert words in err


# ------------------------------------------------------------------------------- infeasible


def test_a_latency_below_the_floor_is_infeasible(say: Say) -> None:
    code, out, _ = say(altered({"workload.mix.0.max_latency": "1 ms"}), "--no-frontier")
    assert code == ExitCode.INFEASIBLE
    assert "chat" in out
    assert "1 ms" in out
    least = re.search(r"takes ([\d.]+) ms", out)
    assert least is not None, out
    # what is said to be within reach is
    kept = altered({"workload.mix.0.max_latency": f"{1.01 * float(least[1])} ms"})
    assert say(kept)[0] in (ExitCode.DONE, ExitCode.GAP_NOT_REACHED)


def test_a_model_that_no_replica_holds_is_infeasible(say: Say) -> None:
    text = altered({"model.parameters": [1e12, 2e12], "model.candidates": []})
    code, out, err = say(text)
    assert code == ExitCode.INFEASIBLE, err
    assert "fits" in out + err or "0 %" in out + err


def test_a_limit_that_no_plan_keeps_is_infeasible(say: Say) -> None:
    text = altered({"limits.cost": "1 USD", "objective": {"minimise": "energy", "accuracy": 0.9}})
    code, out, _ = say(text)
    assert code == ExitCode.INFEASIBLE
    assert "limits.cost" in out
