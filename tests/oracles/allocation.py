"""Compute allocation by brute force: grids of models, every whole number of steps, own knapsack.

Traces are counted skill by skill instead of with closed forms, actions are never pruned by a bound,
and models are scanned on grids that close in on the best of several starts. Slow and literal.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr

from ds3opt.laws.capability import step_skill_success
from ds3opt.laws.compute import inference_flop, layers_times_width, training_flop
from ds3opt.laws.loss import LOSS_LAWS
from ds3opt.laws.voting import (
    truncated_geometric_shares,
    verified_choice_success,
    weighted_vote_success,
)


def variants(policies: list[Any]) -> list[tuple[str, int, int, dict[str, Any]]]:
    """(name, samples, branches, other numbers) of every policy of a scenario."""
    found = []
    for choice in policies:
        name, numbers = (choice, {}) if isinstance(choice, str) else next(iter(choice.items()))
        samples, branches = numbers.get("samples", [1]), numbers.get("branches", [1])
        found += [(name, k, b, numbers) for k in samples for b in branches]
    return found


GUIDED = ("rebase", "monte_carlo_tree_search")


def chosen(success: np.ndarray, k: int, verifier: dict[str, Any]) -> np.ndarray:
    """Chance that the verifier's choice among k is right; scores by their integral."""
    if "discrimination" not in verifier:
        right = verifier.get("true_positive_rate", 1.0)
        wrong = verifier.get("false_positive_rate", 0.0)
        return np.asarray(verified_choice_success(success, k, right, wrong))
    d = verifier["discrimination"]
    x = np.linspace(-9.0, d + 9.0, 301)
    density = np.exp(-0.5 * (x - d) ** 2) / math.sqrt(2.0 * math.pi)
    of_right, of_wrong = ndtr(x - d), ndtr(x)
    flat = success.ravel()[:, None]
    below = flat * of_right + (1.0 - flat) * of_wrong
    best_is_right = k * flat[:, 0] * np.trapezoid(density * below ** (k - 1), x, axis=1)
    return np.asarray(np.minimum(best_is_right, 1.0).reshape(success.shape))


def offered(task: dict[str, Any], name: str, branches: int, numbers: dict[str, Any]) -> bool:
    """Whether a class has what a policy needs."""
    kind = task.get("verifier", {}).get("kind", "none")
    if name in GUIDED:
        votes = numbers.get("choose", "weighted_vote") != "best_of_n"
        return bool(kind == "process" and (not votes or "wrong_answers" in task))
    if name == "weighted_vote":
        return bool(kind != "none" and "wrong_answers" in task)
    if name == "tree_of_thought" or branches > 1:
        return bool(kind == "process")
    if name == "best_of_n":
        return bool(kind != "none")
    if name == "majority_vote":
        return "wrong_answers" in task
    return True


def trace(
    advance: np.ndarray, ruin: np.ndarray, skills: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Success within n levels and mean levels used, n = 1..most, (level, model), step by step.

    Each level advances with `advance`, else the trace is ruined with `ruin` and, unaware, goes on.
    """
    models = advance.size
    alive = np.zeros((skills + 1, models))
    alive[0] = 1.0
    success, used = np.zeros((most, models)), np.zeros((most, models))
    spent = np.zeros(models)
    for level in range(most):
        spent = spent + (1.0 - alive[skills])
        moved = alive.copy()
        for have in range(skills):
            stay = (1.0 - advance) * (1.0 - ruin)
            moved[have] = alive[have] * stay + (alive[have - 1] * advance if have else 0.0)
        if skills:
            moved[skills] = alive[skills] + alive[skills - 1] * advance
        alive = moved
        success[level], used[level] = np.minimum(alive[skills], 1.0), spent
    return success, used


class Menu(NamedTuple):
    """Everything that one class may be served with, for several models."""

    share: float
    value: float
    least: float
    success: np.ndarray  # (action, model)
    flop: np.ndarray  # (action, model) per task


def menu(
    scenario: dict[str, Any], task: dict[str, Any], size: np.ndarray, loss: np.ndarray
) -> Menu:
    """The menu of one class with one difficulty and one number of skills."""
    reasoning, model = scenario.get("reasoning", {}), scenario.get("model", {})
    capability = model.get("capability", {})
    per_step = task.get("tokens_per_step", reasoning.get("tokens_per_step", 25.0))
    fatigue = task.get("fatigue", reasoning.get("fatigue", 0.0))
    prompt = task.get("prompt_tokens", 0.0)
    most = round(task["max_output_tokens"] / per_step)
    step = reasoning.get("directionality", 1.0) * step_skill_success(
        loss,
        task["difficulty"],
        slope=capability.get("slope", 5.0),
        scale=capability.get("scale", 1.0),
        offset=capability.get("offset", 0.0),
    )
    verifier = task.get("verifier", {})
    shape = model.get("shape", {})
    if "width_per_layer" in shape:
        attention = layers_times_width(size, shape["width_per_layer"])
    else:
        attention = np.full(size.shape, shape.get("layers", 0) * shape.get("attention_width", 0))
    levels = np.arange(1, most + 1)
    successes, flops = [], []
    for name, k, b, numbers in variants(reasoning.get("policies", ["chain_of_thought"])):
        if not offered(task, name, b, numbers):
            continue
        advance, ruin = np.asarray(step), np.full(size.shape, fatigue)
        if b > 1:
            none_right = (1.0 - step) ** b
            advance = chosen(np.asarray(step), b, verifier)
            missed = np.maximum(1.0 - advance - none_right, 0.0)
            ruin = (none_right * fatigue**b + missed * fatigue) / np.maximum(1.0 - advance, 1e-300)
            ruin = np.clip(ruin, 0.0, 1.0)
        done, used = trace(advance, ruin, task["skills"], most)
        if reasoning.get("charge", "expected") == "budget":
            used = np.broadcast_to(levels[:, None].astype(float), done.shape)
        rule, votes, overhead = name, k, 1.0
        if name in GUIDED:
            odds = numbers["tilt"]
            done = odds * done / (odds * done + 1.0 - done)
            rule, overhead = numbers.get("choose", "weighted_vote"), numbers["overhead"]
            votes = max(1, math.floor(k * numbers.get("effective_votes", 1.0)))
        if rule == "best_of_n":
            done = chosen(done, votes, verifier)
        if rule in ("majority_vote", "weighted_vote"):
            wrongs = task["wrong_answers"]
            shares = truncated_geometric_shares(wrongs.get("decay", 1.0), wrongs["count"])
            ratio = numbers.get("weight_ratio", 1.0)
            done = np.asarray(weighted_vote_success(done, votes, shares, ratio))
        output = k * b * overhead * per_step * used
        flop = inference_flop(
            size,
            output,
            prompt,
            layers=attention,
            attention_width=1.0,
            branches=b,
            samples=k,
            prefill=reasoning.get("prefill", True),
        )
        reader, check = verifier.get("parameters", 0.0), verifier.get("flop_per_check", 0.0)
        if name in ("best_of_n", "weighted_vote"):
            flop = flop + 2.0 * reader * (k * prompt + output / b) + check * k
        if b > 1 or name in GUIDED:
            flop = flop + 2.0 * reader * (k * prompt + output) + check * k * b * overhead * used
        successes.append(done)
        flops.append(flop)
    return Menu(
        task["share"],
        task.get("value", 1.0) if scenario.get("objective") == "value" else 1.0,
        task.get("min_accuracy", 0.0),
        np.concatenate(successes) if successes else np.zeros((0, size.size)),
        np.concatenate(flops) if flops else np.zeros((0, size.size)),
    )


def hull(cost: np.ndarray, gain: np.ndarray) -> list[tuple[float, float]]:
    """Upper concave hull from the origin, as corner points of rising cost."""
    order = np.lexsort((-gain, cost))
    corners = [(0.0, 0.0)]
    for i in order:
        x, y = float(cost[i]), float(gain[i])
        if y <= corners[-1][1]:
            continue
        while len(corners) > 1 and (corners[-1][1] - corners[-2][1]) * (x - corners[-1][0]) <= (
            y - corners[-1][1]
        ) * (corners[-1][0] - corners[-2][0]):
            corners.pop()
        corners.append((x, y))
    return corners


def knapsack(
    menus: list[tuple[float, float, float, np.ndarray, np.ndarray]], budget: float
) -> float:
    """Most weighted gain for a budget: (share, value, least success, cost, success) of each class.

    A class walks up its own hull, so what it must reach is bought first and the rest by slope.
    -inf where the budget does not reach what must be.
    """
    pieces, total = [], 0.0
    for share, value, least, flop, success in menus:
        corners = hull(flop, success)
        if corners[-1][1] < least:
            return -math.inf
        for (x0, y0), (x1, y1) in itertools.pairwise(corners):
            forced = min(max((least - y0) / (y1 - y0), 0.0), 1.0)
            cost, gain = share * (x1 - x0), share * value * (y1 - y0)
            total, budget = total + forced * gain, budget - forced * cost
            if forced < 1.0:
                slope = gain / cost if cost > 0.0 else math.inf
                pieces.append((slope, (1.0 - forced) * cost, (1.0 - forced) * gain))
    if budget < 0.0:
        return -math.inf
    for _, cost, gain in sorted(pieces, key=lambda piece: -piece[0]):
        if cost > budget:
            return total + gain * budget / cost
        total, budget = total + gain, budget - cost
    return total


def span_of(value: Any, low: float, high: float) -> tuple[float, float]:
    """Lowest and highest of a range as a scenario writes it."""
    if value is None:
        return low, high
    if isinstance(value, dict):
        return value.get("min", low), value.get("max", high)
    if isinstance(value, list):
        return value[0], value[1]
    return value, value


def values(scenario: dict[str, Any], size: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """The best value of each model, (model,); -inf where it breaks a limit."""
    model, limits = scenario.get("model", {}), scenario["limits"]
    data = model.get("training_tokens")
    law = LOSS_LAWS[model.get("loss_law", "besiroglu2024")]
    low, high = span_of(data, 1e6, 1e18)
    unique = data.get("unique", math.inf) if isinstance(data, dict) else math.inf
    least, most = span_of(model.get("tokens_per_parameter"), 0.0, math.inf)
    loss = np.asarray(law.loss(size, tokens, unique))
    attention = np.zeros(size.shape)
    if "width_per_layer" in model.get("shape", {}):
        attention = np.asarray(layers_times_width(size, model["shape"]["width_per_layer"]))
    elif "layers" in model.get("shape", {}):
        attention += model["shape"]["layers"] * model["shape"]["attention_width"]
    sequence = model.get("training_sequence_tokens", 0.0)
    spent = training_flop(
        size, tokens, layers=attention, attention_width=1.0, sequence_tokens=sequence
    )
    total = limits.get("total_flop", math.inf)
    allowed = (spent <= limits.get("training_flop", math.inf)) & (spent <= total)
    for amount, fewest, largest in (
        (tokens, low, high),
        (size, *span_of(model.get("parameters"), 1e5, 1e14)),
        (tokens, least * size, most * size),
    ):
        # ranges are kept to the rounding of a logarithm and back
        allowed &= (amount >= fewest * (1.0 - 1e-12)) & (amount <= largest * (1.0 + 1e-12))
    result = np.full(size.shape, -np.inf)
    here = np.flatnonzero(allowed)
    if here.size == 0:
        return result
    mix = scenario["workload"]["mix"]
    menus = [menu(scenario, task, size[here], loss[here]) for task in mix]
    room = np.minimum(total - spent, limits.get("inference_flop", math.inf))
    room = room / scenario["workload"]["tasks"]
    for j, i in enumerate(here):
        rows = [(m.share, m.value, m.least, m.flop[:, j], m.success[:, j]) for m in menus]
        result[i] = knapsack(rows, float(room[i]))
    return result


def best(
    scenario: dict[str, Any],
    starts: list[tuple[float, float]],
    *,
    side: int = 16,
    rounds: int = 5,
    kept: int = 2,
) -> tuple[float, float, float]:
    """Best value found, its size and training tokens: a grid over all, then grids that close in.

    `starts` are further models (size, training tokens) to close in on.
    """
    model = scenario.get("model", {})
    sizes = np.log(span_of(model.get("parameters"), 1e5, 1e14))
    data = np.log(span_of(model.get("training_tokens"), 1e6, 1e18))
    least, most = span_of(model.get("tokens_per_parameter"), 1e-9, 1e12)
    u, v = np.meshgrid(np.linspace(*sizes, side), np.linspace(*data, side))
    # where data is tied to size, scan within what the ratio allows
    v = np.clip(v, np.log(least) + u, np.log(most) + u).ravel()
    u = u.ravel()
    scores = values(scenario, np.exp(u), np.exp(v))
    top = np.argsort(-scores)[:kept]
    centres = [(scores[i], u[i], v[i]) for i in top if np.isfinite(scores[i])]
    found = [(float(s), float(np.exp(x)), float(np.exp(y))) for s, x, y in centres]
    centres += [(-np.inf, np.log(n), np.log(d)) for n, d in starts]
    for score, x, y in centres:
        wide_u = max((sizes[1] - sizes[0]) / (side - 1), 1e-6)
        wide_v = max((data[1] - data[0]) / (side - 1), 1e-6)
        if score == -np.inf:
            wide_u = wide_v = 0.5
        for _ in range(rounds):
            steps = np.linspace(-1.0, 1.0, 9)
            gu, gv = np.meshgrid(
                np.clip(x + wide_u * steps, *sizes), np.clip(y + wide_v * steps, *data)
            )
            gv = np.clip(gv, np.log(least) + gu, np.log(most) + gu).ravel()
            gu = gu.ravel()
            scores = values(scenario, np.exp(gu), np.exp(gv))
            at = int(np.argmax(scores))
            if scores[at] >= score:
                score, x, y = scores[at], gu[at], gv[at]
            wide_u, wide_v = 0.4 * wide_u, 0.4 * wide_v
        found.append((float(score), float(np.exp(x)), float(np.exp(y))))
    return max(found, default=(-math.inf, math.nan, math.nan))
