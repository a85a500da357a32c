"""One plan for several draws by brute force: grids of models, every whole step, own programmes.

The draws are scenarios as dictionaries and loss laws of their own. Menus come from `allocation`,
which counts traces skill by skill; a tail's best mix is a linear programme over all of them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from oracles.allocation import knapsack, menu, span_of
from scipy.optimize import linprog

from ds3opt.laws.compute import layers_times_width, training_flop


def values(
    scenarios: list[dict[str, Any]],
    laws: list[Any],
    size: np.ndarray,
    tokens: np.ndarray,
    tail: float = 1.0,
) -> np.ndarray:
    """The best value of each model over all draws, (model,); -inf where it breaks a limit."""
    first = scenarios[0]
    model = first.get("model", {})
    data = model.get("training_tokens")
    unique = data.get("unique", math.inf) if isinstance(data, dict) else math.inf
    least, most = span_of(model.get("tokens_per_parameter"), 0.0, math.inf)
    attention = np.zeros(size.shape)
    if "width_per_layer" in model.get("shape", {}):
        attention = np.asarray(layers_times_width(size, model["shape"]["width_per_layer"]))
    elif "layers" in model.get("shape", {}):
        attention += model["shape"]["layers"] * model["shape"]["attention_width"]
    sequence = model.get("training_sequence_tokens", 0.0)
    spent = training_flop(
        size, tokens, layers=attention, attention_width=1.0, sequence_tokens=sequence
    )
    total, training, inference = (
        float(np.mean([s["limits"].get(name, math.inf) for s in scenarios]))
        for name in ("total_flop", "training_flop", "inference_flop")
    )
    allowed = (spent <= training) & (spent <= total)
    for amount, fewest, largest in (
        (tokens, *span_of(data, 1e6, 1e18)),
        (size, *span_of(model.get("parameters"), 1e5, 1e14)),
        (tokens, least * size, most * size),
    ):
        allowed &= (amount >= fewest * (1.0 - 1e-12)) & (amount <= largest * (1.0 + 1e-12))
    result = np.full(size.shape, -np.inf)
    here = np.flatnonzero(allowed)
    if here.size == 0:
        return result
    served = np.array([s["workload"]["tasks"] for s in scenarios])
    served = served / served.sum()
    room = np.minimum(total - spent, inference) / np.mean(
        [s["workload"]["tasks"] for s in scenarios]
    )
    classes = len(first["workload"]["mix"])
    gains, costs, needs = [], [], []
    for index in range(classes):
        menus = [
            menu(
                s,
                s["workload"]["mix"][index],
                size[here],
                law.loss(size[here], tokens[here], unique),
            )
            for s, law in zip(scenarios, laws, strict=True)
        ]
        gains.append(np.array([m.share * m.value * m.success for m in menus]))
        costs.append(sum(w * m.share * m.flop for w, m in zip(served, menus, strict=True)))
        needs.append(
            (np.mean([m.least for m in menus]) * np.mean([m.share for m in menus]), menus[0].value)
        )
    for j, i in enumerate(here):
        at = [gain[:, :, j] for gain in gains]  # (draw, action)
        paid = [cost[:, j] for cost in costs]
        result[i] = _best(at, paid, needs, float(room[i]), tail)
    return result


def _best(
    gains: list[np.ndarray],
    costs: list[np.ndarray],
    needs: list[tuple[float, float]],
    room: float,
    tail: float,
) -> float:
    if tail == 1.0:
        rows = []
        for gain, cost, (least, value) in zip(gains, costs, needs, strict=True):
            mean = gain.mean(axis=0)
            # a share of 1 whose success is worth its share
            rows.append((1.0, 1.0, least * value, cost, mean))
        return knapsack(rows, room)
    if math.isfinite(room):
        # what serves a millionth of a class at most only spoils the programme's scale
        kept = [np.flatnonzero(cost <= 1e6 * room) for cost in costs]
        gains = [gain[:, index] for gain, index in zip(gains, kept, strict=True)]
        gains = [np.where(gain > 1e-14, gain, 0.0) for gain in gains]
        costs = [cost[index] for cost, index in zip(costs, kept, strict=True)]
    draws = gains[0].shape[0]
    columns = sum(cost.size for cost in costs)
    owner = np.repeat(np.arange(len(costs)), [cost.size for cost in costs])
    falls = np.concatenate([-np.concatenate(gains, axis=1), np.ones((draws, 1)), -np.eye(draws)], 1)
    whole = np.zeros((len(costs), columns + 1 + draws))
    whole[owner, np.arange(columns)] = 1.0
    paid = np.zeros((1, columns + 1 + draws))
    if room <= 0.0:
        return 0.0
    paid[0, :columns] = np.concatenate(costs) / room if math.isfinite(room) else 0.0
    # the simplex method gives up on some programmes whose numbers span many powers of ten
    for method in ("highs", "highs-ipm"):
        solved = linprog(
            np.concatenate([np.zeros(columns), [-1.0], np.full(draws, 1.0 / (tail * draws))]),
            A_ub=np.concatenate([falls, whole, paid]),
            b_ub=np.concatenate([np.zeros(draws), np.ones(len(costs) + 1)]),
            bounds=[(0, None)] * columns + [(None, None)] + [(0, None)] * draws,
            method=method,
        )
        if solved.fun is not None:
            break
    # programmes are solved to about 1e-7: what is claimed must be reached within the limits
    amount = np.maximum(solved.x[:columns], 0.0)
    amount /= np.maximum(np.bincount(owner, amount), 1.0)[owner]
    amount /= max(float(paid[0, :columns] @ amount), 1.0)
    reached = np.sort(np.concatenate(gains, axis=1) @ amount)
    most = 1.0 / (tail * draws)
    parts = np.clip(1.0 - most * np.arange(draws), 0.0, most)
    return float(parts @ reached)


def best(
    scenarios: list[dict[str, Any]],
    laws: list[Any],
    starts: list[tuple[float, float]],
    *,
    tail: float = 1.0,
    side: int = 10,
    rounds: int = 4,
) -> float:
    """Best value found on a grid over all models, then on grids that close in."""
    model = scenarios[0].get("model", {})
    sizes = np.log(span_of(model.get("parameters"), 1e5, 1e14))
    data = np.log(span_of(model.get("training_tokens"), 1e6, 1e18))
    least, most = span_of(model.get("tokens_per_parameter"), 1e-9, 1e12)
    u, v = np.meshgrid(np.linspace(*sizes, side), np.linspace(*data, side))
    v = np.clip(v, np.log(least) + u, np.log(most) + u).ravel()
    u = u.ravel()
    scores = values(scenarios, laws, np.exp(u), np.exp(v), tail)
    at = int(np.argmax(scores))
    found = float(scores[at])
    centres = [(found, u[at], v[at])] if np.isfinite(found) else []
    centres += [(-np.inf, np.log(n), np.log(d)) for n, d in starts]
    for score, x, y in centres:
        wide = np.array([sizes[1] - sizes[0], data[1] - data[0]]) / (side - 1)
        if score == -np.inf:
            wide = np.array([0.5, 0.5])
        for _ in range(rounds):
            steps = np.linspace(-1.0, 1.0, 5)
            gu, gv = np.meshgrid(
                np.clip(x + wide[0] * steps, *sizes), np.clip(y + wide[1] * steps, *data)
            )
            gv = np.clip(gv, np.log(least) + gu, np.log(most) + gu).ravel()
            gu = gu.ravel()
            scores = values(scenarios, laws, np.exp(gu), np.exp(gv), tail)
            at = int(np.argmax(scores))
            if scores[at] >= score:
                score, x, y = scores[at], gu[at], gv[at]
            wide = 0.45 * wide
        found = max(found, float(score))
    return found


def random_draws(
    scenario: dict[str, Any], law: Any, count: int, seed: int
) -> tuple[list[dict[str, Any]], list[Any]]:
    """Draws of a random scenario, any of its numbers moved, and of its loss law."""
    import copy
    from dataclasses import replace

    rng = np.random.default_rng(seed)
    moves = {
        name: rng.random() < 0.5
        for name in ("law", "rates", "fatigue", "shares", "limits", "tasks")
    }
    draws, laws = [], []
    for _ in range(count):
        draw = copy.deepcopy(scenario)
        mix = draw["workload"]["mix"]
        capability = draw["model"].setdefault("capability", {"slope": 5.0})
        capability["slope"] *= float(np.exp(rng.normal(0.0, 0.15)))
        for task in mix:
            task["difficulty"] += float(rng.normal(0.0, 0.15))
            if moves["fatigue"] and "fatigue" in task:
                task["fatigue"] = float(
                    np.clip(task["fatigue"] * np.exp(rng.normal(0.0, 0.5)), 0.0, 1.0)
                )
            if moves["rates"] and "true_positive_rate" in task.get("verifier", {}):
                verifier = task["verifier"]
                low = verifier["false_positive_rate"]
                moved = verifier["true_positive_rate"] + rng.normal(0.0, 0.1)
                verifier["true_positive_rate"] = float(np.clip(moved, low, 1.0))
            if moves["rates"] and "value" in task and not any("min_accuracy" in t for t in mix):
                task["value"] *= float(np.exp(rng.normal(0.0, 0.3)))
        if moves["shares"]:
            shares = np.array([task["share"] for task in mix]) * np.exp(
                rng.normal(0.0, 0.3, len(mix))
            )
            for task, share in zip(mix, shares / shares.sum(), strict=True):
                task["share"] = float(share)
        if moves["limits"]:
            factor = float(np.exp(rng.normal(0.0, 0.3)))
            draw["limits"] = {name: limit * factor for name, limit in draw["limits"].items()}
        if moves["tasks"]:
            draw["workload"]["tasks"] *= float(np.exp(rng.normal(0.0, 0.3)))
        draws.append(draw)
        z = rng.normal(0.0, 1.0, 3) * (moves["law"] or rng.random() * 0.0)
        alpha, beta = 0.03 * z[0], 0.03 * z[1]
        laws.append(
            replace(
                law,
                irreducible=law.irreducible + 0.03 * z[2],
                parameter_exponent=law.parameter_exponent + alpha,
                parameter_coefficient=law.parameter_coefficient * 1e9**alpha,
                data_exponent=law.data_exponent + beta,
                data_coefficient=law.data_coefficient * 2e10**beta,
            )
        )
    return draws, laws
