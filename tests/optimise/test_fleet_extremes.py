"""Bad and extreme input on hardware through the console: an answer or a refusal, never a bug."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ds3opt.cli.main import main
from ds3opt.errors import ExitCode

Capture = pytest.CaptureFixture[str]

HOSTED = {
    "name": "api",
    "hosted": {"input_price": 0, "output_price": 0},
    "measured": {
        "chat": {"accuracy": 0.5, "output_tokens": 100},
        "code": {"accuracy": 0.5, "output_tokens": 100},
    },
}
H100 = "h100-sxm"


def base() -> dict[str, Any]:
    return {
        "workload": {
            "tasks": 2e7,
            "horizon": "30 days",
            "mix": [
                {"name": "chat", "share": 0.6, "difficulty": 2.45, "skills": 2,
                 "prompt_tokens": 200, "max_output_tokens": 250},
                {"name": "code", "share": 0.4, "difficulty": 2.3, "skills": 4,
                 "max_output_tokens": 500,
                 "verifier": {"kind": "outcome", "true_positive_rate": 0.95}},
            ],
        },
        "model": {"parameters": [3e8, 1e9]},
        "reasoning": {"policies": ["chain_of_thought", {"best_of_n": {"samples": 4}}]},
        "hardware": {
            "training": {"accelerator": H100, "count": 64},
            "inference": {"accelerator": H100, "accelerators_per_replica": [1, 2]},
            "electricity": {"price": "0.12 USD/kWh", "carbon_intensity": "400 g/kWh"},
        },
        "limits": {"cost": 500.0, "energy": 4.8e8},
        "solver": {"gap": 1e-2, "max_cells": 500},
    }  # fmt: skip


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The base with values at dotted paths replaced; None takes a key away."""
    data = base()
    for path, value in changes.items():
        *steps, last = path.split(".")
        at: Any = data
        for step in steps:
            at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
        if value is None:
            del at[last]
        else:
            at[last] = copy.deepcopy(value)
    return data


FREE = {"name": H100, "price_per_hour": 0}
MINUTE = [
    {"name": "minute", "duration": "1 min", "price": 0, "carbon_intensity": 0},
    {"name": "rest", "duration": "1439 min"},
]
EXTREME: dict[str, dict[str, Any]] = {
    "one task": {"workload.tasks": 1},
    "countless tasks": {"workload.tasks": 1e40},
    "one accelerator": {"hardware.inference.count": 1, "hardware.training.count": 1},
    "a horizon of a second": {"workload.horizon": "1 s", "hardware.inference.count": 1},
    "one shape": {"model.parameters": 12 * 7 * 896**2},
    "no shape": {"model.parameters": [1.01e8, 1.02e8]},
    "no replica": {
        "model.parameters": [1e12, 1.2e12], "hardware.inference.accelerators_per_replica": 1,
    },
    "no training": {"hardware.training": None},
    "latency below the floor": {"workload.mix.0.max_latency": 1e-6},
    "latency of ages": {"workload.mix.0.max_latency": 1e9},
    "all can wait, for nothing": {"workload.mix.0.deferrable": 1.0},
    "all can wait": {
        "workload.mix.0.deferrable": 1.0, "workload.mix.1.deferrable": 1.0,
        "hardware.electricity.periods": MINUTE, "limits": {"carbon": 40.0},
    },
    "a minute": {
        "hardware.electricity.periods": MINUTE, "hardware.inference.count": 1,
        "limits": {"carbon": 40.0, "power": 5e4},
    },
    "nothing arrives by night": {
        "hardware.electricity.periods": [
            {"name": "day", "duration": "12 h", "load_share": 1},
            {"name": "night", "duration": "12 h", "load_share": 0},
        ],
    },
    "hosts of no power": {"hardware.host_power": 0, "hardware.power_usage_effectiveness": 1},
    "free of charge": {"hardware.training.accelerator": FREE,
                       "hardware.inference.accelerator": FREE},
    "least of nothing": {
        "hardware.training.accelerator": FREE, "hardware.inference.accelerator": FREE,
        "objective": {"minimise": "cost", "accuracy": 0.3}, "limits": {},
    },
    "carbon of nothing": {"hardware.electricity.carbon_intensity": 0, "limits": {"carbon": 1.0}},
    "no money": {"limits.cost": 0},
    "hardly any energy": {"limits.energy": 1e-300},
    "energy without end": {"limits": {"energy": 1e40}},
    "one FLOP": {"limits": {"total_flop": 1.0}},
    "no time": {"limits.training_time": 1e-9},
    "too little power to train": {"limits.power": 500.0},
    "too little power and time": {"limits.power": 500.0, "limits.training_time": "1 h"},
    "worthless": {"objective": "net_value", "workload.mix.0.value": 0, "workload.mix.1.value": 0},
    "worth a trifle": {
        "objective": "net_value", "workload.mix.0.value": 1e-30, "limits": {},
    },
    "worth a fortune": {"objective": "net_value", "workload.mix.0.value": 1e12, "limits": {}},
    "certainty": {"workload.mix.0.min_accuracy": 1.0},
    "perfect": {"objective": {"minimise": "energy", "accuracy": 1.0}, "limits": {}},
    "nearly nothing asked": {"objective": {"minimise": "energy", "accuracy": 1e-9}, "limits": {}},
    "no skills": {"workload.mix.0.skills": 0},
    "too many skills": {"workload.mix.0.skills": 1000},
    "tiny steps": {"reasoning.tokens_per_step": 0.5},
    "a book to read": {"workload.mix.0.prompt_tokens": 1e9},
    "no cap": {"workload.mix.0.max_output_tokens": None},
    "a judge of stone": {"workload.mix.1.verifier.parameters": 1e20},
    "easy and hopeless": {"workload.mix.0.difficulty": 100, "workload.mix.1.difficulty": -100},
    "data without end": {"model.training_tokens": "infinite"},
    "a weak chip": {
        "hardware.inference.accelerator":
            {"name": H100, "dense_flop_per_s": {"bf16": 1e9}, "bandwidth_bytes_per_s": 1e6},
    },
    "a small chip": {"hardware.inference.accelerator": {"name": H100, "memory_bytes": 1e6}},
    "states that fit nowhere": {"hardware.training.bytes_per_parameter": 1e12},
    "one sequence": {"hardware.inference.max_sequences": 1},
    "hosted for nothing": {
        "hardware": None, "limits": {"cost": 1.0},
        "model": {"train": False, "candidates": [HOSTED]},
    },
    "hosted, and energy limited": {"model.candidates": [HOSTED]},
    "a model that fits nowhere": {
        "model.candidates": [
            {"name": "big", "shape": "llama-3.1-405b",
             "measured": {"chat": {"accuracy": 0.9, "output_tokens": 100}}},
        ],
    },
    "a model that never answers": {
        "model": {"train": False, "candidates": [
            {"name": "mute", "shape": "llama-3.1-8b",
             "measured": {"chat": {"accuracy": 0, "output_tokens": 1e-6},
                          "code": {"accuracy": 0, "output_tokens": 100}}}]},
    },
    "a loss of hardly anything": {
        "model": {"train": False, "candidates": [
            {"name": "wise", "shape": "llama-3.1-8b", "loss": 1e-12}]},
    },
    "one cell": {"solver.max_cells": 1},
    "every limit without end": {
        "limits": {"total_flop": 1e29, "training_flop": 1e29, "inference_flop": 1e29,
                   "energy": 1e29, "cost": 1e29, "carbon": 1e29, "accelerator_hours": 1e29,
                   "power": 1e29, "training_time": 1e14},
    },
    "a frontier of what is impossible": {
        "frontier": {"over": "cost", "from": 1e-3, "to": 1.0, "points": 2},
    },
}  # fmt: skip


SLOW = (
    "hardly any energy", "all can wait", "no time", "one FLOP", "nearly nothing asked",
    "one accelerator", "latency of ages", "nothing arrives by night", "energy without end",
    "every limit without end", "one task",
)  # fmt: skip
"""A second or more each, much of it to prove that nothing is feasible."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in EXTREME]
)
def test_extremes_end_in_an_answer_or_a_refusal(name: str, tmp_path: Path, capsys: Capture) -> None:
    """Warnings are errors here, as everywhere in the tests, and would show as a bug."""
    path = tmp_path / "scenario.yaml"
    path.write_text(json.dumps(changed(EXTREME[name])), encoding="utf-8")
    code = main(["solve", str(path)])
    shown = capsys.readouterr()
    assert code != ExitCode.BUG, shown.err
    assert "Traceback" not in shown.err
    assert "nan" not in shown.out.lower().split()
    if code == ExitCode.USAGE:
        assert shown.out == ""
        assert "scenario.yaml:1:" in shown.err
    else:
        assert code in (ExitCode.DONE, ExitCode.INFEASIBLE, ExitCode.GAP_NOT_REACHED)
        assert shown.out


@pytest.mark.parametrize(("size", "words"), [(1, "1 accelerator"), (2, "2 accelerators")])
def test_the_largest_replica_is_named_in_words(
    size: int, words: str, tmp_path: Path, capsys: Capture
) -> None:
    replicas = {"hardware.inference.accelerators_per_replica": size}
    path = tmp_path / "scenario.yaml"
    path.write_text(json.dumps(changed({**EXTREME["no replica"], **replicas})), encoding="utf-8")
    assert main(["solve", str(path)]) == ExitCode.INFEASIBLE
    shown = " ".join(capsys.readouterr().out.split())
    assert f"and a replica of {words} has" in shown
