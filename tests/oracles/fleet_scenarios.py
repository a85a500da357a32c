"""Random small scenarios on hardware, reproducible from a seed, with limits near a plan's use."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np

from ds3opt.io.loader import validate
from ds3opt.io.yaml_source import load_yaml
from ds3opt.schema import Scenario

NAMES = (
    "total_flop", "inference_flop", "training_flop", "energy", "cost", "carbon",
    "accelerator_hours", "power", "training_time", "count",
)  # fmt: skip
MIXTURE = {
    "name": "sparse", "parameters": 3e9, "active_parameters": 8e8, "experts": 16,
    "active_experts": 2, "layers": 20, "width": 1536, "heads": 12, "kv_heads": 4,
}  # fmt: skip
LIST = [
    {"name": "small", "parameters": 3e8, "layers": 12, "width": 1280, "heads": 10, "kv_heads": 2},
    MIXTURE,
    {
        "name": "windowed", "parameters": 1.2e9, "layers": 18, "width": 2048, "heads": 16,
        "kv_heads": 4, "windowed": {"layers": 12, "window_tokens": 512}, "context_tokens": 8192,
    },
    {
        "name": "latent", "parameters": 7e9, "layers": 32, "width": 4096, "heads": 32,
        "latent": {"rank": 512, "rope_width": 64},
    },
]  # fmt: skip


def read(data: dict[str, Any]) -> Scenario:
    """A scenario as a user's file would be read."""
    return validate(load_yaml(json.dumps(data), "scenario.yaml"))


def two_classes() -> dict[str, Any]:
    """Two classes, one of which can be judged, on rented machines."""
    return {
        "workload": {
            "tasks": 2e7,
            "horizon": "30 days",
            "mix": [
                {
                    "name": "chat", "share": 0.6, "difficulty": 2.45, "skills": 2,
                    "prompt_tokens": 200, "max_output_tokens": 500,
                },
                {
                    "name": "code", "share": 0.4, "difficulty": 2.3, "skills": 4,
                    "prompt_tokens": 500, "max_output_tokens": 1000, "fatigue": 0.1,
                    "verifier": {"kind": "outcome", "true_positive_rate": 0.95,
                                 "false_positive_rate": 0.05},
                },
            ],
        },
        "model": {"parameters": [1e8, 1e10]},
        "reasoning": {"policies": ["chain_of_thought", {"best_of_n": {"samples": [2, 8]}}]},
        "hardware": {
            "training": {"accelerator": "h100-sxm", "count": 64},
            "inference": {"accelerator": "h100-sxm", "accelerators_per_replica": [1, 2, 4]},
            "electricity": {"price": "0.12 USD/kWh", "carbon_intensity": "400 g/kWh"},
        },
        "limits": {"cost": 500.0, "energy": 4.8e8},
        "solver": {"gap": 1e-3},
    }  # fmt: skip


def random_scenario(seed: int, fleet: Any) -> dict[str, Any]:
    """Two or three classes on small machines; `fleet` is the oracle that knows what plans use."""
    rng = np.random.default_rng(seed)

    def one_of(*options: Any) -> Any:
        return options[rng.integers(len(options))]

    def between(low: float, high: float) -> float:
        return float(10 ** rng.uniform(low, high))

    count = int(rng.integers(1, 4))
    shares = [round(float(x), 3) for x in rng.dirichlet(np.full(count, 3.0))]
    shares[-1] = 1.0 - sum(shares[:-1])
    data: dict[str, Any] = {
        "workload": {
            "tasks": between(5, 10),
            "horizon": one_of("365 days", "30 days"),
            "mix": [_task(rng, one_of, f"class {i}", shares[i]) for i in range(count)],
        },
        "model": _model(rng, one_of),
        "reasoning": {
            "policies": _policies(rng, one_of),
            "charge": one_of("expected", "expected", "budget"),
            "prefill": bool(rng.random() < 0.7),
        },
        "hardware": _hardware(rng, one_of),
        "limits": {},
        "solver": {"gap": one_of(1e-3, 1e-3, 1e-4), "max_cells": 60_000},
    }
    if rng.random() < 0.35:
        data["model"]["candidates"] = _candidates(rng, one_of, data)
    if data["hardware"]["electricity"].get("periods"):
        for task in data["workload"]["mix"]:
            task["deferrable"] = one_of(0.0, 0.3, 1.0)
    if rng.random() < 0.4:
        for task in data["workload"]["mix"]:
            task["value"] = between(-1, 1)
        data["objective"] = "value"
        data["solver"]["gap"] = 3e-3
    return _limited(data, rng, one_of, fleet)


def _task(rng: Any, one_of: Any, name: str, share: float) -> dict[str, Any]:
    skills = one_of(1, 2, 3, 5)
    task: dict[str, Any] = {
        "name": name,
        "share": share,
        "difficulty": round(float(rng.uniform(2.2, 3.6)), 2),
        "skills": skills,
        "max_output_tokens": 25.0 * max(skills, one_of(4, 8, 20, 40)),
        "prompt_tokens": one_of(0.0, 50.0, 1000.0),
    }
    if rng.random() < 0.4:
        task["fatigue"] = one_of(0.01, 0.1, 0.5)
    kind = one_of("none", "outcome", "process")
    if kind != "none":
        verifier: dict[str, Any] = {"kind": kind}
        if rng.random() < 0.5:
            right = round(float(rng.uniform(0.6, 1.0)), 3)
            verifier["true_positive_rate"] = right
            verifier["false_positive_rate"] = round(one_of(0.0, 0.9, 0.3) * right, 3)
        if rng.random() < 0.4:
            verifier["parameters"] = one_of(1e7, 1e9)
        if rng.random() < 0.3:
            verifier["flop_per_check"] = one_of(1e8, 1e11)
        task["verifier"] = verifier
    if rng.random() < 0.5:
        task["wrong_answers"] = {"count": one_of(1, 3, 9), "decay": one_of(1.0, 0.7)}
    if rng.random() < 0.2:
        task["difficulty"] = [task["difficulty"], round(task["difficulty"] + 0.4, 2)]
    return task


def _policies(rng: Any, one_of: Any) -> list[Any]:
    policies: list[Any] = ["chain_of_thought"]
    if rng.random() < 0.5:
        policies.append({"tree_of_thought": {"branches": one_of([2], [2, 8], [16])}})
    if rng.random() < 0.6:
        policies.append({"best_of_n": {"samples": one_of([2], [2, 8], [16])}})
    if rng.random() < 0.5:
        policies.append({"majority_vote": {"samples": one_of([3], [5, 9])}})
    return policies


def _model(rng: Any, one_of: Any) -> dict[str, Any]:
    model: dict[str, Any] = {"capability": {"slope": one_of(3.0, 5.0, 8.0)}}
    if rng.random() < 0.25:
        some = sorted({int(i) for i in rng.integers(0, len(LIST), 3)})
        model["shape"] = {"list": [copy.deepcopy(LIST[i]) for i in some]}
    else:
        model["parameters"] = one_of([3e7, 3e9], [1e8, 1e10], [1e9, 4e10])
        model["shape"] = {"width_per_layer": one_of(128, 128, 64), "head_width": one_of(64, 128)}
    if rng.random() < 0.2:
        model["training_sequence_tokens"] = one_of(2048, 8192)
    if rng.random() < 0.2:
        model["tokens_per_parameter"] = one_of({"max": 200}, {"min": 20}, 50)
    if rng.random() < 0.2:
        model["training_tokens"] = one_of({"max": 2e10}, {"min": 1e9, "max": 1e12})
    return model


def _hardware(rng: Any, one_of: Any) -> dict[str, Any]:
    own = {"capital_cost": 30_000.0, "running_share": 0.7}
    training: dict[str, Any] = {"accelerator": one_of("h100-sxm", "a100-80gb-sxm")}
    inference: dict[str, Any] = {
        "accelerator": one_of("h100-sxm", "h200-sxm", "l40s"),
        "max_sequences": one_of(8, 64, 256),
        "accelerators_per_replica": one_of([1], [1, 2], [1, 2, 4, 8]),
        "prefix_sharing": one_of("none", "memory", "memory", "memory_and_reads"),
        "utilisation": one_of(0.5, 0.7, 1.0),
    }
    if inference["accelerator"] == "l40s":
        inference["accelerators_per_replica"] = [1]
    for part in (training, inference):
        if rng.random() < 0.4:
            part["own"] = dict(own)
    if rng.random() < 0.3:
        inference["weights"] = one_of("fp8", "int4")
        inference["kv_cache"] = "fp8"
    electricity: dict[str, Any] = {"price": "0.12 USD/kWh", "carbon_intensity": "400 g/kWh"}
    if rng.random() < 0.3:
        electricity["periods"] = one_of(
            [
                {"name": "day", "duration": "14 h", "load_share": 0.8},
                {
                    "name": "night", "duration": "10 h", "load_share": 0.2,
                    "price": "0.04 USD/kWh", "carbon_intensity": "100 g/kWh",
                },
            ],
            [
                {"name": "noon", "duration": "6 h", "price": "0.01 USD/kWh"},
                {"name": "rest", "duration": "12 h"},
                {"name": "peak", "duration": "6 h", "carbon_intensity": "900 g/kWh"},
            ],
        )  # fmt: skip
    hardware = {"training": training, "inference": inference, "electricity": electricity}
    if rng.random() < 0.3:
        hardware["host_power"] = 0.1
        hardware["power_usage_effectiveness"] = 1.0
    return hardware


def _candidates(rng: Any, one_of: Any, data: dict[str, Any]) -> list[Any]:
    names = [task["name"] for task in data["workload"]["mix"]]
    shape = {"parameters": 8e9, "layers": 32, "width": 4096, "heads": 32, "kv_heads": 8}
    forms: list[dict[str, Any]] = [
        {"accuracy": round(float(rng.uniform(0.2, 0.7)), 3), "output_tokens": 150},
        {
            "population": {"alpha": 0.7, "beta": 1.9, "solvable": 0.9},
            "output_tokens": 300, "longest_output_tokens": 900,
        },
        {
            "success_counts": [{"samples": 20, "correct": c} for c in (0, 3, 9, 16, 20)],
            "output_tokens": 200,
        },
        {
            "outcomes": [
                {"policy": "short", "accuracy": 0.35, "output_tokens": 60},
                {"policy": "weighted vote", "accuracy": 0.6, "samples": 8, "output_tokens": 1200,
                 "judged": True},
                {"policy": "by flop", "accuracy": 0.5, "flop": 6e12},
            ],
        },
    ]  # fmt: skip
    found = [
        {
            "name": "open", "shape": shape,
            "measured": {n: copy.deepcopy(one_of(*forms)) for n in names},
        }
    ]  # fmt: skip
    if rng.random() < 0.3:
        found[0]["weights"] = "fp8"
        found[0]["measured"].pop(names[0], None)
        if not found[0]["measured"]:
            found[0]["measured"] = {names[0]: copy.deepcopy(forms[0])}
    if rng.random() < 0.4:
        known = {
            "name": "known", "loss": round(float(rng.uniform(1.9, 2.6)), 3),
            "shape": {"parameters": 2e9, "layers": 24, "width": 2560, "heads": 20, "kv_heads": 4},
        }  # fmt: skip
        if rng.random() < 0.5:
            known["measured"] = {names[0]: copy.deepcopy(forms[0])}
        found.append(known)
    return found


def _limited(data: dict[str, Any], rng: Any, one_of: Any, fleet: Any) -> dict[str, Any]:
    """Limits around what a random plan uses, requirements around what it reaches."""
    free = copy.deepcopy(data)
    free["limits"] = {"total_flop": 1e50}
    bench = fleet.Bench(read(free))
    shape = bench.shapes[int(rng.integers(len(bench.shapes)))]
    low, high = bench.token_range(shape) or (1e9, 1e9)
    tokens = float(np.clip(shape.loss_size * 10 ** rng.uniform(0.5, 2.5), low, high))
    ways = bench.ways(shape, bench.loss(shape, np.array([tokens]))) + bench.old
    flop = tokens * bench.flop_per_token(shape)
    use, reached = np.zeros(4), [0.0] * len(data["workload"]["mix"])
    for index, point in enumerate(bench.tasks):
        mine = [w for w in ways if w.task == index]
        if not mine:
            continue
        way = mine[int(rng.integers(len(mine)))]
        use += point.weight * np.array([way.flop[0], way.seconds[0], way.joules[0], way.dollars])
        reached[point.group] += point.weight * float(way.success[0])
        task = data["workload"]["mix"][point.group]
        if rng.random() < 0.25 and np.isfinite(way.latency):
            task["max_latency"] = float(way.latency) * 10 ** float(rng.uniform(-0.2, 0.5))
    # tasks enough for serving to matter beside training
    per_task = max(use[0], 1e3)
    data["workload"]["tasks"] = float(np.clip(flop / per_task * 10 ** rng.uniform(-1, 1), 10, 1e14))
    use *= data["workload"]["tasks"]
    span = bench.scenario.workload.horizon
    chosen = [str(n) for n in rng.choice(NAMES, size=int(rng.integers(1, 6)), replace=False)]
    needs_training = {"training_flop", "training_time"}
    if set(chosen) <= needs_training:
        chosen.append(one_of("cost", "energy", "total_flop"))
    for name in chosen:
        factor = float(10 ** rng.uniform(-0.5, 0.8))
        if name == "count":
            data["hardware"]["inference"]["count"] = max(1.0, use[1] / span * factor)
        elif name == "power":
            least = bench.training_watts() * max(
                1.0, np.ceil(16.0 * shape.total / 60e9) if shape.total > 1e9 else 1.0
            )
            data["limits"]["power"] = max(use[2] / span * factor, least)
        elif name == "training_time":
            machines = one_of(8, 64)
            data["hardware"]["training"]["count"] = machines
            seconds = flop * bench.training_seconds() / machines
            data["limits"]["training_time"] = max(seconds * factor, 1.0)
        elif name == "training_flop":
            data["limits"]["training_flop"] = flop * factor
        else:
            served = sum(r * u for r, u in zip(bench.served(name, 0), use, strict=True))
            taken = served + flop * bench.trained(name, 0)
            if taken == 0.0:  # a plan that serves nothing; a limit must leave something
                name, taken = "total_flop", flop
            data["limits"][name] = taken * factor
    if rng.random() < 0.6:
        _tighten(data, rng, fleet, shape, tokens)
    if rng.random() < 0.3:
        group = int(rng.integers(len(reached)))
        task = data["workload"]["mix"][group]
        least = reached[group] / task["share"] * float(rng.uniform(0.3, 1.2))
        task["min_accuracy"] = round(min(max(least, 0.01), 0.98), 3)
    what = rng.random()
    if what < 0.2:
        target = float(np.clip(sum(reached) * rng.uniform(0.5, 1.3), 0.01, 0.97))
        data["objective"] = {
            "minimise": one_of("energy", "cost", "carbon", "accelerator_hours", "total_flop"),
            "accuracy": target,
        }
        data["solver"] = {"resource_gap": 3e-3, "max_cells": 60_000}
    elif what < 0.35:
        data["objective"] = "net_value"
        price = (sum(r * u for r, u in zip(bench.served("cost", 0), use, strict=True))
                 + flop * bench.trained("cost", 0)) / data["workload"]["tasks"]  # fmt: skip
        for task in data["workload"]["mix"]:
            task["value"] = float(price * 10 ** rng.uniform(-0.3, 1.0))
        data["solver"] = {"gap": 2e-3, "max_cells": 60_000}
        if rng.random() < 0.5:
            data["limits"] = {}
            data["hardware"]["inference"].pop("count", None)
    return data


def _tighten(data: dict[str, Any], rng: Any, fleet: Any, shape: Any, tokens: float) -> None:
    """More limits, each a little below what the best mix of one plan takes of it."""
    bench = fleet.Bench(read(data))
    ways = bench.ways(shape, bench.loss(shape, np.array([tokens]))) + bench.old
    mix = bench.best_mix(shape, tokens, ways, 0)
    if not mix.chosen:
        return
    flop = tokens * bench.flop_per_token(shape)
    by_key = {(w.task, w.label): w for w in ways}
    use = np.zeros(4)
    for (index, label, _), part in mix.chosen.items():
        way = by_key[index, label]
        each = np.array([way.flop[0], way.seconds[0], way.joules[0], way.dollars])
        use += data["workload"]["tasks"] * bench.tasks[index].weight * part * each
    for name in rng.choice(NAMES[:2] + NAMES[3:7], size=int(rng.integers(1, 4)), replace=False):
        served = sum(r * u for r, u in zip(bench.served(name, 0), use, strict=True))
        total = served + flop * bench.trained(name, 0)
        if total > 0.0:
            data["limits"][str(name)] = total * float(rng.uniform(0.6, 1.0))
