"""Write the example data of docs/fitting.md: runs of a known law, their scores, samples, logs.

Accuracies are those of tasks of known difficulty and skills, on some hundred problems each.

The law has an irreducible loss of 1.75 nats per token, A = 390, B = 1250, alpha = 0.335 and
beta = 0.345. Runs scatter by 0.3 % of loss, scores by 0.8 points. One run is spoilt and one is
written twice, as happens.

Problems are solved by a sample with chances that follow Beta distributions: Beta(0.4, 1.2) for the
small model and Beta(0.5, 0.6) for the large one. Wrong answers fall off by 0.7, nine of them. The
verifier's scores of right samples lie 1.2 standard deviations above those of wrong ones.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ds3opt.laws.capability import step_skill_success
from ds3opt.laws.coverage import beta_coverage
from ds3opt.laws.loss import LossLaw
from ds3opt.laws.voting import truncated_geometric_shares
from ds3opt.optimise.evaluate import evaluate
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


SAMPLED = {"small": (0.4, 1.2), "large": (0.5, 0.6)}
"""Beta distribution of each model's chances."""
CURVE = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
DECAY, WRONG_ANSWERS = 0.7, 9
APART = 1.2
"""Mean score of right samples over that of wrong ones, standard deviations."""


def main() -> None:
    """Write all of them."""
    write_runs()
    write_samples()
    write_logs()
    (HERE / "observed.csv").write_text(observed(np.random.default_rng(2025)))


def write_samples() -> None:
    """Counts of two models on the same problems, a curve, and samples with answers and scores."""
    generator = np.random.default_rng(7)
    rank = generator.permutation(150)
    lines = []
    for model, (a, b) in SAMPLED.items():
        # problems that are hard for one model are hard for the other
        psi = np.sort(generator.beta(a, b, rank.size))[rank]
        right = generator.binomial(100, psi)
        lines += [f"{model},p{i:03},100,{c}" for i, c in enumerate(right)]
    (HERE / "counts.csv").write_text("\n".join(["model,problem,n,c", *lines]) + "\n")
    coverage = beta_coverage(0.35, 1.0, 1.0, np.array(CURVE))
    points = [f"{k},{share:.3f}" for k, share in zip(CURVE, coverage, strict=True)]
    (HERE / "curve.csv").write_text("\n".join(["k,pass_at_k", *points]) + "\n")
    known = ["model,population,loss,steps", "small,small.yaml,2.20,80", "large,large.yaml,2.05,80"]
    (HERE / "models.csv").write_text("\n".join(known) + "\n")
    shares = truncated_geometric_shares(DECAY, WRONG_ANSWERS)
    rows = []
    for problem, chance in enumerate(generator.beta(*SAMPLED["small"], 60)):
        for _ in range(30):
            right = bool(generator.random() < chance)
            wrong = chr(ord("A") + int(generator.choice(WRONG_ANSWERS, p=shares)))
            answer = "42" if right else "" if generator.random() < 0.03 else wrong
            score = generator.normal(APART * right)
            rows.append(f"p{problem},{right:d},{answer},{score:.2f},{generator.poisson(300)}")
    text = "\n".join(["problem,correct,answer,score,output_tokens", *rows]) + "\n"
    (HERE / "samples.csv").write_text(text)


def write_logs() -> None:
    """The same kind of samples as evaluation harnesses log them, short of what is not read."""
    generator = np.random.default_rng(8)
    problems, tries = 24, 10
    chance = generator.beta(*SAMPLED["small"], problems)
    right = generator.random((tries, problems)) < chance
    lines = [
        {
            "doc_id": problem,
            "target": "42",
            "resps": [[f"The answer is {42 if right[t, problem] else 7 + t}"]],
            "filtered_resps": ["42" if right[t, problem] else str(7 + t)],
            "filter": "strict-match",
            "metrics": ["exact_match"],
            "exact_match": float(right[t, problem]),
        }
        for t in range(tries)
        for problem in range(problems)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (HERE / "samples_sums.jsonl").write_text(text)
    words = np.where(right, "pass", "fail")
    evaluated = {
        f"HumanEval/{p}": [
            {"task_id": f"HumanEval/{p}", "base_status": "pass", "plus_status": str(words[t, p])}
            for t in range(tries)
        ]
        for p in range(problems)
    }
    results = {"date": "2026-01-01 00:00", "hash": "0" * 32, "eval": evaluated}
    (HERE / "small_eval_results.json").write_text(json.dumps(results) + "\n")
    samples = [
        {
            "id": f"p{p}",
            "epoch": t + 1,
            "output": {"usage": {"input_tokens": 80, "output_tokens": 290 + t}},
            "scores": {"match": {"value": "C" if right[t, p] else "I"}},
        }
        for p in range(problems)
        for t in range(tries)
    ]
    log = {"version": 2, "status": "success", "eval": {"model": "small"}, "samples": samples}
    (HERE / "inspect_log.json").write_text(json.dumps(log) + "\n")


def write_runs() -> None:
    """Training runs and the scores of their models."""
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


if __name__ == "__main__":
    main()
