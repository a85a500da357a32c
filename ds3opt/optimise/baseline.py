"""Baselines: the best that a fixed rule for training data reaches, one decision fewer.

On a rule such as 20 tokens per parameter the model size sets training tokens and loss, so one
scan over sizes, closed in on its best, finds the baseline. It is a comparison, not certified.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.optimise.allocation import Segments
from ds3opt.optimise.envelopes import Envelopes, in_every_case, room_for
from ds3opt.optimise.least_resource import least_budget
from ds3opt.optimise.local import Neighbourhood
from ds3opt.optimise.menu import Actions, evaluate, first_actions
from ds3opt.optimise.optimum import best_plans
from ds3opt.optimise.pretraining import best_model
from ds3opt.optimise.solution import BASELINES, Baseline
from ds3opt.optimise.training import Training
from ds3opt.problem import Problem

FloatArray = NDArray[np.float64]

_SIZES = 41
_MOST_ACTIONS = 500_000
_LEVELS_SIZES = (13, 241)
_LEVELS_ACTIONS = 10_000_000
"""Of all sizes together, fewer of which are scanned where each has a large menu."""
_LEVELS_DECADES = 1.0
"""The same with a skill graph."""
_ROUNDS = 5
_DECADES = 4.0
"""Smaller models than the largest affordable that are scanned, in powers of ten."""


@dataclass(frozen=True)
class RulePlan:
    """The best plan that keeps the rule."""

    objective: float
    parameters: float
    training_tokens: float


def on_rule(problem: Problem, name: str) -> Problem:
    """The problem with training tokens by a rule of `BASELINES`."""
    if name == "training_optimal_ratio":
        space = replace(problem.space, on_ray=True, tokens_per_parameter=(0.0, math.inf))
    else:
        space = replace(problem.space, tokens_per_parameter=(20.0, 20.0))
    return replace(problem, space=space)


def best_on_rule(problem: Problem) -> RulePlan | None:
    """The best plan of a problem whose training tokens follow from the size; None if none fits."""
    training = Training(problem.space)
    space = training.space
    # with a skill graph every size has a menu of its own, at the levels that it has learned
    actions = first_actions(problem) if problem.levels is None else None
    most = 0 if actions is None else len(actions)
    count = int(np.clip(_MOST_ACTIONS // max(most, 1), 7, _SIZES))
    low, high = _affordable(problem, training)
    if actions is None:
        # the worth of a size is a staircase of levels: a tenth of one apart, where it matters
        low = max(low, high - _LEVELS_DECADES * np.log(10.0))
        top = np.exp(np.array([high]))
        tokens = training.most_tokens(top, np.array([np.inf]))
        best_loss = float(training.reached_loss(top, np.nan_to_num(tokens, nan=1.0))[0])
        menu = len(first_actions(problem, losses=(best_loss, best_loss)))
        count = int(np.clip(_LEVELS_ACTIONS // max(menu, 1), *_LEVELS_SIZES))
    best: RulePlan | None = None
    least = np.inf
    for round_ in range(_ROUNDS):
        sizes = np.exp(np.linspace(low, high, count))
        tokens = training.most_tokens(sizes, np.full(count, np.inf))
        flop = training.flop_of(sizes, np.nan_to_num(tokens, nan=np.inf))
        cap = min(problem.budgets.total_flop, problem.budgets.training_flop)
        fits = np.flatnonzero(np.isfinite(tokens) & (flop <= cap))
        if fits.size == 0:
            return best
        sizes, tokens = sizes[fits], tokens[fits]
        loss = training.reached_loss(sizes, tokens)
        score = _scores(problem, actions, sizes, loss)
        at = int(np.argmin(score))
        if not np.isfinite(score[at]):
            return best
        if score[at] <= least:
            least = float(score[at])
            shown = -least if problem.target_accuracy is None else least
            best = RulePlan(shown, float(sizes[at]), float(tokens[at]))
        step = (high - low) / (count - 1)
        low = max(np.log(sizes[at]) - step, np.log(space.parameters[0]))
        high = min(np.log(sizes[at]) + step, np.log(space.parameters[1]))
        if round_ == 0:
            count = min(count, _SIZES)
            actions = Neighbourhood.around(
                problem, problem.budgets, float(sizes[at]), float(loss[at]), all_prices=True
            ).actions
    return best


def _affordable(problem: Problem, training: Training) -> tuple[float, float]:
    """ln of the sizes that the scan begins with: the largest that the limits pay for, and below."""
    low, high = np.log(problem.space.parameters)
    u = np.linspace(low, high, 4097)
    tokens = training.most_tokens(np.exp(u), np.full(u.size, np.inf))
    flop = training.flop_of(np.exp(u), np.nan_to_num(tokens, nan=np.inf))
    cap = min(problem.budgets.total_flop, problem.budgets.training_flop)
    fits = np.flatnonzero(np.isfinite(tokens) & (flop <= cap))
    if fits.size == 0:
        return low, high
    top = u[min(int(fits[-1]) + 1, u.size - 1)]
    return max(float(u[fits[0]]), float(top) - _DECADES * np.log(10.0)), float(top)


def _scores(
    problem: Problem, actions: Actions | None, sizes: FloatArray, loss: FloatArray
) -> FloatArray:
    """What is minimised at every size: minus the value, or the resource for the target."""
    count = sizes.size
    if actions is not None:
        return _score(problem, in_every_case(actions, count), sizes, loss)
    scores: list[FloatArray] = []
    menus: list[Actions] = []
    begin = held = 0
    for place, one in enumerate(loss):
        menus.append(first_actions(problem, losses=(float(one), float(one))))
        held += len(menus[-1])
        # large menus are never all in memory
        if held >= _MOST_ACTIONS or place == count - 1:
            part = slice(begin, place + 1)
            cell = np.repeat(np.arange(len(menus)), [len(menu) for menu in menus])
            joined = replace(Actions.joined(menus), cell=cell)
            scores.append(_score(problem, joined, sizes[part], loss[part]))
            menus, begin, held = [], place + 1, 0
    return np.concatenate(scores)


def _score(problem: Problem, joined: Actions, sizes: FloatArray, loss: FloatArray) -> FloatArray:
    """The same for sizes whose menus are at hand; `cell` is the size of each action."""
    values = evaluate(problem, joined, loss[joined.cell])
    found = Envelopes.of(problem, joined, joined.cell, values, sizes)
    room = room_for(problem, problem.budgets, sizes, loss * (1.0 + 1e-12))
    if problem.target_accuracy is None:
        return -found.best(room, sizes)
    return _resources(problem, found.segments, sizes, loss, room, problem.target_accuracy)


def _resources(
    problem: Problem,
    found: Segments,
    sizes: FloatArray,
    loss: FloatArray,
    room: FloatArray,
    target: float,
) -> FloatArray:
    gained = np.concatenate([[0.0], np.cumsum(found.gain)])
    spent = np.concatenate([[0.0], np.cumsum(found.cost)])
    begin, end = found.start[:-1], found.start[1:]
    place = np.clip(np.searchsorted(gained[1:], gained[begin] + target, side="left"), begin, end)
    enough = place < end
    at = np.minimum(place, max(found.gain.size - 1, 0))
    part = (gained[begin] + target - gained[place]) / np.where(
        found.gain[at] > 0.0, found.gain[at], 1.0
    )
    tokens = spent[place] - spent[begin] + part * found.cost[at]
    # required accuracies may take more than the target does
    tokens = np.maximum(tokens, found.needed)
    enough &= np.isfinite(tokens)
    serving = 2.0 * sizes * np.where(enough, tokens, 0.0) * problem.tasks_served
    training = Training(problem.space).flop(sizes, loss * (1.0 + 1e-12))
    fits = enough & (serving <= room * problem.tasks_served)
    resource = {"total_flop": training + serving, "training_flop": training}.get(
        problem.objective, serving
    )
    return np.where(fits, resource, np.inf)


def baselines(problem: Problem) -> tuple[Baseline, ...]:
    """What the rules of `BASELINES` reach; none where the problem leaves nothing to a rule."""
    fixed = problem.levels is not None and problem.levels.law.tokens_per_parameter is not None
    # with the ratio fixed there is nothing that a rule for it would take away
    if problem.space.infinite_data or fixed:
        return ()
    law = "loss law" if problem.levels is None else "skill graph"
    return tuple(
        _baseline(on_rule(problem, name), name, words.replace("loss law", law))
        for name, words in BASELINES
    )


def _baseline(problem: Problem, name: str, words: str) -> Baseline:
    if not problem.shared_budget:
        plan = best_on_rule(problem)
        if plan is None:
            return Baseline(name, words, None, None, None)
        return Baseline(name, words, plan.objective, plan.parameters, plan.training_tokens)
    if problem.target_accuracy is not None:
        least = least_budget(problem, problem.budgets, problem.objective, problem.target_accuracy)
        found, value = least.found, least.enough
    else:
        (found,) = best_plans(problem, [problem.budgets], problem.gap)
        value = found.value
    if found is None or not found.feasible:
        return Baseline(name, words, None, None, None)
    size = np.array([found.parameters])
    tokens = Training(problem.space).tokens(size, np.array([found.loss * (1.0 + 1e-12)]))
    return Baseline(name, words, value, found.parameters, float(tokens[0]))


def model_baselines(problem: Problem) -> tuple[Baseline, ...]:
    """The same where the objective is that of a model alone."""
    result = []
    for name, words in BASELINES:
        if problem.space.infinite_data:
            continue
        there = on_rule(problem, name)
        plan = best_model(there, there.budgets, there.resource_gap)
        if plan is None:
            result.append(Baseline(name, words, None, None, None))
        else:
            result.append(Baseline(name, words, plan.value, plan.parameters, plan.training_tokens))
    return tuple(result)
