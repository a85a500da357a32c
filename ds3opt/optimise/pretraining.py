"""Objectives of pretraining loss with a demand of served tokens: Sardana et al. (2024).

Every objective here is a convex function of ln(parameters) on an interval, so its minimum is found
to float64 and a certificate follows from the secants on either side of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.training import Training
from ds3opt.problem import Budgets, Problem

FloatArray = NDArray[np.float64]

_SECANT = 1e-4
"""Distance in ln(parameters) of the points through which the certificate's secants go."""


@dataclass(frozen=True)
class PretrainingPlan:
    """A model, and bounds on the objective that it is best for."""

    value: float
    lower: float
    parameters: float
    training_tokens: float
    loss: float
    training_flop: float
    inference_flop: float
    within: tuple[float, float] = (np.nan, np.nan)
    """Sizes whose objective is within the gap."""


def best_model(problem: Problem, budgets: Budgets, gap: float) -> PretrainingPlan | None:
    """Least loss, or least of a resource for a loss, within the limits; None if infeasible.

    `gap` only sets how wide a range of sizes is reported: absolute for a loss, else relative.
    """
    training = Training(problem.space)
    served = problem.served_tokens
    one = np.ones(1)
    if problem.objective == "loss":
        loss, size = training.least_loss(
            lambda n: 2.0 * n * served,
            one * budgets.total_flop,
            one * budgets.training_flop,
            one * budgets.inference_flop,
        )
        if not np.isfinite(loss[0]):
            return None

        def objective(u: FloatArray) -> FloatArray:
            n = np.exp(u)
            left = np.minimum(budgets.total_flop - 2.0 * n * served, budgets.training_flop)
            ok = (left >= 0.0) & (2.0 * n * served <= budgets.inference_flop)
            reached = training.loss_for(n, np.where(ok, left, 0.0))
            return np.where(ok, reached, np.inf)

        value, best = float(loss[0]), float(size[0])
    else:
        target = problem.target_loss
        assert target is not None

        def objective(u: FloatArray) -> FloatArray:
            n = np.exp(u)
            spent, used = training.flop(n, np.full(n.shape, target)), 2.0 * n * served
            ok = (spent <= budgets.training_flop) & (used <= budgets.inference_flop)
            ok &= spent + used <= budgets.total_flop
            cost = {"total_flop": spent + used, "training_flop": spent}.get(problem.objective, used)
            return np.where(ok & np.isfinite(spent), cost, np.inf)

        value, best = _least(training, objective)
        if not np.isfinite(value):
            return None
    limit = value + gap if problem.objective == "loss" else value * (1.0 + gap)
    tokens, reached = _tokens_and_loss(problem, training, budgets, best)
    return PretrainingPlan(
        value,
        _certified(objective, np.log(best), value, training.space.parameters),
        best,
        tokens,
        reached,
        float(training.flop_of(np.array(best), np.array(tokens))),
        2.0 * best * served,
        _range_within(objective, np.log(best), limit, training.space.parameters),
    )


def _tokens_and_loss(
    problem: Problem, training: Training, budgets: Budgets, size: float
) -> tuple[float, float]:
    n = np.array(size)
    if training.space.infinite_data:
        return float("inf"), float(training.reached_loss(n, n))
    if problem.objective == "loss":
        left = min(budgets.total_flop - 2.0 * size * problem.served_tokens, budgets.training_flop)
        tokens = training.most_tokens(n, np.array(left))
    else:
        assert problem.target_loss is not None
        tokens = training.tokens(n, np.array(problem.target_loss))
    return float(tokens), float(training.reached_loss(n, tokens))


def _least(
    training: Training, objective: Callable[[FloatArray], FloatArray]
) -> tuple[float, float]:
    """Minimum over sizes of a function that is convex on an interval and inf outside."""
    low, high = np.log(training.space.parameters)
    u = np.linspace(low, high, 4097)
    value = objective(u)
    if not np.any(np.isfinite(value)):
        return float("inf"), float(np.exp(low))
    for _ in range(14):
        best = int(np.argmin(value))
        u = np.linspace(u[max(best - 1, 0)], u[min(best + 1, u.size - 1)], 65)
        value = objective(u)
    best = int(np.argmin(value))
    return float(value[best]), float(np.exp(u[best]))


def _certified(
    objective: Callable[[FloatArray], FloatArray],
    u: float,
    value: float,
    sizes: tuple[float, float],
) -> float:
    """Lower bound: a convex function lies above the secants through points beyond its minimum."""
    low, high = np.log(sizes)
    points = np.array([u - 2 * _SECANT, u - _SECANT, u + _SECANT, u + 2 * _SECANT])
    inside = (points >= low) & (points <= high)
    f = np.where(inside, objective(points), np.inf)
    bounds = []
    for outer, inner in ((0, 1), (3, 2)):
        if np.isfinite(f[outer]) and np.isfinite(f[inner]):
            # the secant through outer and inner, continued to the far side of the minimum
            bounds.append(2.0 * f[inner] - f[outer] - (f[outer] - f[inner]))
    return float(min([value, *bounds]))


def _range_within(
    objective: Callable[[FloatArray], FloatArray],
    u: float,
    limit: float,
    sizes: tuple[float, float],
) -> tuple[float, float]:
    ends = []
    for edge in np.log(sizes):
        inside, outside = u, float(edge)
        if float(objective(np.array([outside]))[0]) <= limit:
            ends.append(float(np.exp(outside)))
            continue
        for _ in range(60):
            middle = 0.5 * (inside + outside)
            if float(objective(np.array([middle]))[0]) <= limit:
                inside = middle
            else:
                outside = middle
        ends.append(float(np.exp(inside)))
    return ends[0], ends[1]
