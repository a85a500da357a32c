"""Brute force over models of a skill graph, reasoning levels and every whole step."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import stats

from ds3opt.laws.skill_graph import SkillGraph

STEP = 25.0


def value_of(scenario: dict[str, Any], parameters: float, ratio: float) -> float:
    """Most accuracy that one model reaches; -inf where training alone breaks a limit."""
    model, limits = scenario["model"], scenario["limits"]
    spec = dict(model["skill_graph"])
    mode = spec.pop("skills", "exact")
    graph = SkillGraph(**spec)
    served = scenario["workload"]["tasks"]
    training = 6.0 * parameters**2 * ratio
    room = min(
        limits.get("total_flop", math.inf) - training, limits.get("inference_flop", math.inf)
    )
    if room < 0.0 or training > limits.get("training_flop", math.inf):
        return -math.inf
    concepts = graph.concepts(parameters)
    chance = graph.concept_probability(concepts, ratio)
    learned = graph.composability(concepts, chance, mode)
    pieces: list[tuple[float, float]] = []
    for task in scenario["workload"]["mix"]:
        points = _points(scenario, task, graph, learned)
        pieces += _segments(points, task["share"], 2.0 * parameters)
    pieces.sort(key=lambda piece: -piece[1] / piece[0])
    left, value = room / served, 0.0
    for cost, gain in pieces:
        part = min(1.0, left / cost)
        value += part * gain
        left -= part * cost
        if left <= 0.0:
            break
    return value


def _points(scenario: dict[str, Any], task: dict[str, Any], graph: Any, learned: Any) -> np.ndarray:
    """(tokens, success) of every policy, level and number of steps."""
    most = int(task["max_output_tokens"] / STEP)
    steps = np.arange(1, most + 1)
    delta, beta = 0.5, 5.0
    found = [np.zeros((1, 2))]
    for level in range(1, graph.levels + 1):
        skills = float(graph.skills_at(task["level"], task["skills"], level))
        if skills > most:
            continue
        together = float(learned.giant_component[level - 1]) ** skills
        if together == 0.0:
            continue
        skills = int(skills)
        relevant = max(math.ceil(round(skills * (1 + beta), 9)), 1)
        r = (delta + (1 - delta) / relevant) * float(learned.skill_probability[level - 1])
        # T > t: fewer than `skills` successes in t steps; of T by counting, not by the closed form
        unfinished = stats.binom.cdf(skills - 1, np.arange(0, most + 1), r)
        done = 1.0 - unfinished[1:]
        used = np.cumsum(unfinished[:-1])
        used = together * used + (1.0 - together) * steps
        for policy in scenario["reasoning"]["policies"]:
            if policy == "chain_of_thought":
                samples, success = 1, done
            else:
                samples = policy["best_of_n"]["samples"][0]
                success = 1.0 - (1.0 - done) ** samples
            found.append(np.stack([samples * STEP * used, together * success], axis=1))
    return np.concatenate(found)


def _segments(points: np.ndarray, share: float, flop: float) -> list[tuple[float, float]]:
    """Cost and gain of the segments of the concave envelope from the origin."""
    hull: list[tuple[float, float]] = [(0.0, 0.0)]
    for x, y in points[np.lexsort((-points[:, 1], points[:, 0]))]:
        if y <= hull[-1][1]:
            continue
        while len(hull) > 1:
            (ax, ay), (bx, by) = hull[-2], hull[-1]
            if (by - ay) * (x - ax) > (y - ay) * (bx - ax):
                break
            hull.pop()
        hull.append((float(x), float(y)))
    return [(share * flop * (bx - ax), share * (by - ay)) for (ax, ay), (bx, by) in pairwise(hull)]


def best(
    scenario: dict[str, Any], sizes: np.ndarray, ratios: np.ndarray
) -> tuple[float, float, float]:
    """The best value over a grid of sizes and ratios, and where."""
    found = [(value_of(scenario, n, k), n, k) for n in sizes for k in ratios]
    return max(found)
