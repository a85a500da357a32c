"""Write the example tables of docs/fitting.md: synthetic runs of a known law, and their scores.

Accuracies are those of tasks of known difficulty and skills, on some hundred problems each.

The law has an irreducible loss of 1.75 nats per token, A = 390, B = 1250, alpha = 0.335 and
beta = 0.345. Runs scatter by 0.3 % of loss, scores by 0.8 points. One run is spoilt and one is
written twice, as happens.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ds3opt.laws.capability import step_skill_success
from ds3opt.laws.loss import LossLaw
from ds3opt.optimise.solve import evaluate
from ds3opt.schema import Scenario
from ds3opt.units import parse_quantity

HERE = Path(__file__).resolve().parent
LAW = LossLaw(1.75, 390.0, 1250.0, 0.335, 0.345)
TASKS = {"algebra": (2.75, 4.5, 0.85, 0.02), "reading": (3.1, 3.0, 0.72, 0.25)}
"""Difficulty, slope, scale and offset of each task."""
MODELS = {"1B": ("1 B", "200 B"), "3B": ("3 B", "1 T"), "8B": ("8 B", "4 T")}
"""Parameters and training tokens of each model."""
CLASSES = {
    "algebra": ({"difficulty": 2.1, "skills": 8, "directionality": 0.8, "fatigue": 0.03}, 500),
    "code": ({"difficulty": 2.05, "skills": 12, "directionality": 1.0, "fatigue": 0.06}, 400),
}
"""What is true of each class, and how many problems were tried."""
SETTINGS = {
    "algebra": (
        ("1B", 1000, ""),
        ("3B", 500, ""),
        ("3B", 2000, ""),
        ("8B", 300, ""),
        ("8B", 600, ""),
        ("8B", 2000, ""),
    ),
    "code": (
        ("1B", 8000, "pass@8"),
        ("3B", 2000, ""),
        ("3B", 8000, "pass@8"),
        ("8B", 500, ""),
        ("8B", 2000, ""),
        ("8B", 8000, "pass@8"),
    ),
}
"""Model, token budget and policy of each row."""


def observed(generator: np.random.Generator) -> str:
    """Accuracies as a team would have measured them."""
    lines = ["class,share,model,parameters,training_tokens,policy,token_budget,accuracy,problems"]
    shares = {"algebra": 0.6, "code": 0.4}
    for name, (truth, problems) in CLASSES.items():
        task = {"name": name, "share": 1, "verifier": {"kind": "outcome"}, **truth}
        for model, budget, policy in SETTINGS[name]:
            choice = {"best_of_n": {"samples": 8}} if policy else "chain_of_thought"
            scenario = Scenario.model_validate(
                {
                    "workload": {"tasks": 1, "mix": [task]},
                    "reasoning": {"policies": [choice]},
                    "limits": {"total_flop": 1e40},
                }
            )
            size, tokens = MODELS[model]
            n, d = parse_quantity(size, "parameters"), parse_quantity(tokens, "tokens")
            forced = {name: "best_of_n:8" if policy else "chain_of_thought"}
            told = evaluate(scenario, n, d, policies=forced, token_budgets={name: budget})
            share = generator.binomial(problems, told.accuracy) / problems
            cells = (name, shares[name], model, size, tokens, policy, budget)
            lines.append(",".join(map(str, cells)) + f",{100 * share:.4g} %,{problems}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the tables."""
    generator = np.random.default_rng(2024)
    sizes = np.array([20e6, 45e6, 110e6, 260e6, 600e6, 1.4e9, 3.2e9])
    ratios = np.array([5.0, 10.0, 20.0, 50.0, 120.0, 300.0])
    n, ratio = (x.ravel() for x in np.meshgrid(sizes, ratios, indexing="ij"))
    affordable = n * ratio * n < 1.1e21 / 6.0
    n, ratio = n[affordable], ratio[affordable]
    d = n * ratio
    loss = LAW.loss(n, d) * np.exp(0.003 * generator.standard_normal(n.size))
    lines = [f"{x / 1e6:.0f}M,{y / 1e9:.2f}B,{z:.4f}" for x, y, z in zip(n, d, loss, strict=True)]
    spoilt = lines[17].rsplit(",", 1)
    lines[17] = f"{spoilt[0]},{float(spoilt[1]) * 1.12:.4f}"
    lines.append(lines[9])
    (HERE / "runs.csv").write_text("\n".join(["parameters,tokens,loss", *lines]) + "\n")
    rows = []
    for task, (difficulty, slope, scale, offset) in TASKS.items():
        told = step_skill_success(loss, difficulty, slope=slope, scale=scale, offset=offset)
        noisy = np.clip(told + 0.008 * generator.standard_normal(n.size), 0.0, 1.0)
        rows += [
            f"{task},{x / 1e6:.0f}M,{y / 1e9:.2f}B,{z:.4f},{s:.4f}"
            for x, y, z, s in zip(n, d, loss, noisy, strict=True)
        ]
    text = "\n".join(["task,parameters,tokens,loss,score", *rows]) + "\n"
    (HERE / "scores.csv").write_text(text)
    (HERE / "observed.csv").write_text(observed(np.random.default_rng(2025)))


if __name__ == "__main__":
    main()
