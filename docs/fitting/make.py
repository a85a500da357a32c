"""Write the example tables of docs/fitting.md: synthetic runs of a known law, and their scores.

The law has an irreducible loss of 1.75 nats per token, A = 390, B = 1250, alpha = 0.335 and
beta = 0.345. Runs scatter by 0.3 % of loss, scores by 0.8 points. One run is spoilt and one is
written twice, as happens.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ds3opt.laws.capability import step_skill_success
from ds3opt.laws.loss import LossLaw

HERE = Path(__file__).resolve().parent
LAW = LossLaw(1.75, 390.0, 1250.0, 0.335, 0.345)
TASKS = {"algebra": (2.75, 4.5, 0.85, 0.02), "reading": (3.1, 3.0, 0.72, 0.25)}
"""Difficulty, slope, scale and offset of each task."""


def main() -> None:
    """Write both tables."""
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
