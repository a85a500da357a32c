"""Scenarios that a hand has slipped in: a clear refusal or an honest answer, never a traceback."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ds3opt.errors import Ds3optError, Problem
from ds3opt.io.loader import catalogue, validate
from ds3opt.io.yaml_source import load_yaml
from ds3opt.optimise.solve import solve
from ds3opt.report.solution_data import solution_data
from ds3opt.schema import Scenario

SMALL = {"gap": 0.02, "resource_gap": 0.1, "max_cells": 40}
# fmt: off
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 1e-300, 1e300, -1e24, 0.5, 2, 7.5, "", "1e24", "1 GWh",
    "15 T tokens", "nan", ".inf", [], {}, [1], [2, 1], [0.1, 4], {"min": 3, "max": 1},
    "accuracy", "value", "shared", "continuous", "infinite", {"uniform": [5, 3]},
    {"normal": {"mean": 2.0, "sd": 0.1}}, 1000000, "ß",
]
NAMES = [
    "share", "skills", "limits", "total_flop", "training_flop", "loss_law", "budgets", "x", "mix",
]
HARDWARE_ODD: list[Any] = [
    "h100-sxm", "tpu-v5e", "l4", "h100", "llama-3.1-405b", "1 MW", "30 s", "1 ns", "24 h", "1e400",
    "10 kUSD", "0.1 USD/kWh", "40 g/kWh", "3 USD/M tokens", "1e-9 J", "fp8", "int4", "high", "low",
    [1, 1], [3], 1e15, {"capital_cost": 1e4}, {"name": "h100-sxm", "memory_bytes": "1 GB"},
    {"minimise": "energy", "accuracy": 0.4}, {"minimise": "cost", "accuracy": 0.999},
    {"minimise": "loss"}, "net_value", {"list": ["qwen3-8b"]},
    {"accuracy": 0.3, "output_tokens": 9},
    {"population": {"alpha": 1e-3, "beta": 50}, "output_tokens": 1e5},
    {"outcomes": [{"policy": "p", "accuracy": 1, "flop": 1e15, "samples": 1000}]},
]
HARDWARE_NAMES = [
    "energy", "cost", "carbon", "power", "accelerator_hours", "training_time", "count", "own",
    "price", "periods", "load_share", "max_latency", "min_accuracy", "deferrable", "hosted",
    "training", "inference", "train", "candidates", "loss", "horizon", "objective", "weights",
    "kv_cache", "precision", "calibration", "board_power_watts", "price_per_hour", "shape",
    "accelerators_per_replica", "prefix_sharing", "utilisation", "capital_cost", "verifier",
]
# fmt: on
TRAINED_AND_BOUGHT = """\
workload:
  tasks: 1e8
  horizon: 100 days
  mix:
    - {name: chat, share: 0.6, difficulty: 2.4, skills: 3, max_latency: 30 s,
       max_output_tokens: 500, min_accuracy: 0.2}
    - {name: batch, share: 0.4, value: 2, difficulty: 2.3, skills: 5, deferrable: 0.5,
       max_output_tokens: 500}
model:
  parameters: [1e8, 1e10]
  candidates:
    - name: old
      shape: llama-3.1-8b
      measured:
        chat: {accuracy: 0.5, output_tokens: 300, longest_output_tokens: 900}
        batch: {outcomes: [{policy: vote, samples: 4, accuracy: 0.4, output_tokens: 1200}]}
hardware:
  electricity:
    price: 0.1 USD/kWh
    carbon_intensity: 300 g/kWh
    periods:
      - {name: day, duration: 14 h, load_share: 0.8}
      - {name: night, duration: 10 h, load_share: 0.2, carbon_intensity: 100 g/kWh}
  training: {accelerator: h100-sxm, count: 512}
  inference: {accelerator: h200-sxm, accelerators_per_replica: [1, 2], count: 400}
limits: {cost: 40 kUSD, power: 1 MW, training_time: 60 days}
objective: value
"""
ONLY_EXISTING = """\
workload:
  tasks: 1e7
  mix:
    - {name: code, share: 0.5, difficulty: 2.4, skills: 3, verifier: {kind: outcome,
       true_positive_rate: 0.9, false_positive_rate: 0.1, parameters: 1e9}}
    - {name: maths, share: 0.5, difficulty: 2.4, skills: 3, max_latency: 1 minute,
       wrong_answers: {count: 5, decay: 0.7}}
model:
  train: false
  candidates:
    - name: bought
      hosted: {input_price: 0.5 USD/M tokens, output_price: 2 USD/M tokens, first_token: 0.3 s,
               output_tokens_per_s: 80}
      measured: {maths: {population: {alpha: 0.4, beta: 1.5, solvable: 0.95}, output_tokens: 800}}
    - name: ours
      shape: qwen3-8b
      weights: fp8
      measured:
        code:
          success_counts: [{samples: 10, correct: 3}, {samples: 10, correct: 0},
                           {samples: 20, correct: 20}]
          output_tokens: 400
    - {name: known, shape: mixtral-8x7b, loss: 1.95}
reasoning: {policies: [chain_of_thought, best_of_n: {samples: [2, 8]}, majority_vote: {samples: 5}]}
hardware:
  inference: {accelerator: h100-sxm, weights: fp8, kv_cache: fp8}
objective: {minimise: cost, accuracy: 0.5}
"""
OWNED_AND_SPARSE = """\
workload:
  tasks: 1e9
  horizon: 365 days
  mix:
    - {name: chat, share: 1, value: 0.01 USD, difficulty: [2.3, 2.6], skills: 4,
       max_output_tokens: 1000, prompt_tokens: 500, verifier: {kind: process}}
model:
  shape:
    list:
      - qwen3-8b
      - {name: sparse, parameters: 3e9, active_parameters: 8e8, experts: 16, active_experts: 2,
         layers: 20, width: 1536, heads: 12, kv_heads: 4}
reasoning: {policies: [chain_of_thought, tree_of_thought: {branches: [2, 8]}]}
hardware:
  electricity: {price: 0.1 USD/kWh}
  training: {accelerator: h100-sxm, own: {lifetime: 4 years}, precision: fp8, utilisation: 0.3}
  inference:
    accelerator: {name: l40s, capital_cost: 9 kUSD, price_per_hour: 1 USD/h}
    own: {running_share: 0.5}
    accelerators_per_replica: 1
objective: net_value
"""
LEAST_ENERGY = """\
workload:
  tasks: 1e8
  mix:
    - {name: a, share: 0.7, difficulty: 2.5, skills: 2, max_output_tokens: 400, max_latency: 20 s,
       verifier: {kind: outcome, flop_per_check: 1e9}}
    - {name: b, share: 0.3, difficulty: 2.3, skills: 6, max_output_tokens: 400, fatigue: 0.05}
model:
  parameters: [1e8, 2e10]
  shape: {width_per_layer: 100, head_width: 64, query_heads_per_kv_head: 4}
  training_sequence_tokens: 4096
  tokens_per_parameter: {max: 300}
reasoning: {policies: [chain_of_thought, best_of_n: {samples: [2, 4]}]}
hardware:
  power_usage_effectiveness: 1.1
  electricity: {carbon_intensity: 50 g/kWh}
  training: {accelerator: a100-80gb-sxm, count: 64}
  inference:
    accelerator: {memory_bytes: 48 GB, bandwidth_bytes_per_s: 1 TB/s, link_bytes_per_s: 50 GB/s,
                  dense_flop_per_s: {bf16: 300 TFLOP/s}, board_power_watts: 300}
    max_sequences: 64
    prefix_sharing: memory_and_reads
limits: {carbon: 5 t, accelerator_hours: 1 M accelerator-hours}
objective: {minimise: energy, accuracy: 0.6}
"""


def _documents() -> list[dict[str, Any]]:
    documents = []
    for name, path in catalogue().items():
        document = yaml.safe_load(path.read_text())
        document.pop("frontier", None)
        if name == "ds3_fig8_per_task":
            document["workload"]["mix"][0]["skills"] = [1, 5, 20]
        documents.append(document)
    return documents


DOCUMENTS = _documents()
HARDWARE = [
    yaml.safe_load(text)
    for text in (TRAINED_AND_BOUGHT, ONLY_EXISTING, OWNED_AND_SPARSE, LEAST_ENERGY)
]


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, value in items:
        found += _places(value, (*path, key))
    return found


@st.composite
def mutated(
    draw: st.DrawFn, documents: list[dict[str, Any]], odd: list[Any], names: list[str]
) -> dict[str, Any]:
    document = copy.deepcopy(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(1, 3))):
        places = _places(document)
        if not places:
            break
        *parents, last = draw(st.sampled_from(places))
        node: Any = document
        for key in parents:
            node = node[key]
        action = draw(st.sampled_from(["replace", "scale", "drop", "add"]))
        if action == "replace":
            node[last] = copy.deepcopy(draw(st.sampled_from(odd)))
        elif action == "scale" and isinstance(node[last], int | float):
            node[last] = node[last] * draw(st.sampled_from([1e-6, 0.1, 3, 1e6, -1]))
        elif action == "drop":
            del node[last]
        elif isinstance(node, dict):
            node[draw(st.sampled_from(names))] = copy.deepcopy(draw(st.sampled_from(odd)))
    return document


def _answer(document: dict[str, Any]) -> None:
    document["solver"] = SMALL
    text = yaml.safe_dump(document, allow_unicode=True)
    scenario = None
    refused: tuple[Problem, ...] = ()
    try:
        scenario = validate(load_yaml(text, "mutated.yaml"))
    except Ds3optError as refusal:
        refused = refusal.problems
    if scenario is None:
        assert refused
        assert all(problem.message for problem in refused)
        return
    assert isinstance(scenario, Scenario)
    solution = solve(scenario, details=False)
    # infinities and nan have no place in a machine-readable answer
    json.dumps(solution_data(solution, version="", sha256=""), allow_nan=False)
    if solution.certificate is not None:
        assert solution.certificate.lower <= solution.certificate.upper
    for use in solution.limits:
        if use.kind == "at most":
            assert use.used <= use.limit * (1 + 1e-9)
    if solution.accuracy is not None:
        assert 0.0 <= solution.accuracy <= 1.0
        assert not math.isnan(solution.accuracy)


FLOP_ONLY = mutated(DOCUMENTS, ODD, NAMES)
ON_HARDWARE = mutated(HARDWARE, ODD + HARDWARE_ODD, NAMES + HARDWARE_NAMES)


@pytest.mark.parametrize("document", HARDWARE)
def test_what_is_mutated_is_answered_as_it_stands(document: dict[str, Any]) -> None:
    scenario = validate(load_yaml(yaml.safe_dump(document), "whole.yaml"))
    assert solve(scenario, details=False).accuracy is not None


@given(FLOP_ONLY)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_a_mutated_scenario_is_refused_or_answered(document: dict[str, Any]) -> None:
    _answer(document)


@given(ON_HARDWARE)
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
def test_a_mutated_scenario_on_hardware_is_refused_or_answered(document: dict[str, Any]) -> None:
    _answer(document)


@pytest.mark.slow
@given(FLOP_ONLY)
@settings(max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
def test_two_thousand_mutated_scenarios(document: dict[str, Any]) -> None:
    _answer(document)


@pytest.mark.slow
@given(ON_HARDWARE)
@settings(max_examples=4000, suppress_health_check=[HealthCheck.too_slow])
def test_four_thousand_mutated_scenarios_on_hardware(document: dict[str, Any]) -> None:
    _answer(document)
