"""Random small scenarios that mix every feature of the optimiser, reproducible from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np


def random_scenario(seed: int) -> dict[str, Any]:
    """One to three classes of one task each, few steps, any limits: small enough to enumerate."""
    rng = np.random.default_rng(seed)

    def one_of(*options: Any) -> Any:
        return options[rng.integers(len(options))]

    def between(low: float, high: float) -> float:
        return float(10 ** rng.uniform(low, high))

    count = int(rng.integers(1, 4))
    shares = [float(x) for x in rng.dirichlet(np.full(count, 2.0))]
    shares[-1] = 1.0 - sum(shares[:-1])
    per_step = one_of(25.0, 25.0, 10.0, 1.0)
    scenario: dict[str, Any] = {
        "workload": {
            "tasks": between(2, 12),
            "mix": [_task(rng, one_of, f"class {i}", shares[i], per_step) for i in range(count)],
        },
        "model": _model(rng, one_of, between),
        "reasoning": {
            "policies": _policies(rng, one_of),
            "tokens_per_step": per_step,
            "charge": one_of("expected", "expected", "budget"),
            "prefill": bool(rng.random() < 0.7),
        },
        "limits": {},
        "solver": {"gap": one_of(1e-3, 1e-4, 1e-4, 1e-5)},
    }
    budget, which = between(17, 24), int(rng.integers(1, 8))
    if which & 1:
        scenario["limits"]["total_flop"] = budget
    if which & 2:
        scenario["limits"]["training_flop"] = budget * between(-1.5, 0.3)
    if which & 4:
        scenario["limits"]["inference_flop"] = budget * between(-3, 0.3)
    if rng.random() < 0.2:
        scenario["reasoning"]["directionality"] = float(rng.uniform(0.1, 1.0))
    if rng.random() < 0.3:
        scenario["objective"] = "value"
        for task in scenario["workload"]["mix"]:
            task["value"] = between(-1, 1)
        scenario["solver"]["gap"] *= 10
    if rng.random() < 0.25:
        chosen = scenario["workload"]["mix"][int(rng.integers(count))]
        chosen["min_accuracy"] = float(rng.uniform(0.05, 0.99))
    return scenario


def _task(rng: Any, one_of: Any, name: str, share: float, per_step: float) -> dict[str, Any]:
    skills = one_of(1, 1, 2, 3, 5, 8)
    task: dict[str, Any] = {
        "name": name,
        "share": share,
        "difficulty": float(rng.uniform(1.9, 4.0)),
        "skills": skills,
        "max_output_tokens": per_step * max(skills, one_of(3, 8, 20, 40)),
    }
    if rng.random() < 0.5:
        task["prompt_tokens"] = one_of(0.0, 50.0, 1000.0)
    if rng.random() < 0.4:
        task["fatigue"] = one_of(0.01, 0.1, 0.5)
    kind = one_of("none", "outcome", "process", "process")
    if kind != "none":
        verifier: dict[str, Any] = {"kind": kind}
        if rng.random() < 0.6:
            right = float(rng.uniform(0.5, 1.0))
            verifier["true_positive_rate"] = right
            verifier["false_positive_rate"] = one_of(0.0, 0.99, 0.3) * float(rng.uniform(0, right))
        if rng.random() < 0.4:
            verifier["parameters"] = one_of(1e7, 1e9, 1e11)
        if rng.random() < 0.3:
            verifier["flop_per_check"] = one_of(1e8, 1e12)
        task["verifier"] = verifier
    if rng.random() < 0.6:
        task["wrong_answers"] = {"count": one_of(1, 3, 9), "decay": one_of(1.0, 0.7, 0.3)}
    return task


def _policies(rng: Any, one_of: Any) -> list[Any]:
    policies: list[Any] = ["chain_of_thought"]
    if rng.random() < 0.6:
        policies.append({"tree_of_thought": {"branches": one_of([2], [2, 8], [64], [2, 4, 16])}})
    if rng.random() < 0.6:
        samples, branches = one_of([2], [2, 8], [64], [4, 16]), one_of([1], [1, 4], [1, 64])
        policies.append({"best_of_n": {"samples": samples, "branches": branches}})
    if rng.random() < 0.6:
        policies.append({"majority_vote": {"samples": one_of([3], [2, 5], [9, 33], [64])}})
    return policies[1:] if len(policies) > 1 and rng.random() < 0.1 else policies


def _model(rng: Any, one_of: Any, between: Any) -> dict[str, Any]:
    model: dict[str, Any] = {"capability": {"slope": one_of(5.0, 5.0, 20.0, 2.0)}}
    if rng.random() < 0.4:
        model["shape"] = one_of(
            {"width_per_layer": 128},
            {"layers": 96, "attention_width": 12288},
            {"width_per_layer": 16},
        )
        if rng.random() < 0.4:
            model["training_sequence_tokens"] = one_of(2048.0, 1e5)
    if rng.random() < 0.2:
        model["capability"].update(scale=0.7, offset=0.2)
    law = rng.random()
    if law < 0.25:
        model["loss_law"] = "muennighoff2023"
        model["training_tokens"] = {"unique": between(8, 12)}
    elif law < 0.4:
        model["loss_law"] = "hoffmann2022_rounded"
    elif law < 0.5:
        model["training_tokens"] = [between(9, 10), between(10.5, 13)]
    if rng.random() < 0.25:
        model["parameters"] = [between(6, 8), between(8, 11)]
    if rng.random() < 0.2:
        model["tokens_per_parameter"] = one_of(
            20.0, {"max": 100.0}, {"min": 5.0, "max": 1000.0}, {"min": 100.0}
        )
    return model
