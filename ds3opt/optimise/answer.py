"""From a plan to its answer: what every task does and what every class reaches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.compute import inference_flop
from ds3opt.optimise.allocation import (
    Segments,
    Spending,
    allocate,
)
from ds3opt.optimise.envelopes import Envelopes
from ds3opt.optimise.menu import Actions, Values, evaluate, first_actions
from ds3opt.optimise.solution import ClassOutcome, TaskAllocation
from ds3opt.problem import Problem

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True)
class Mix:
    """Which actions serve which part of which tasks."""

    actions: Actions
    values: Values
    amount: FloatArray  # (action,) part of the task's requests
    price: float
    """Value per effective token at the margin."""
    group_prices: FloatArray  # (class,) value per unit of a class's weighted success
    value: float
    used: float
    """Effective tokens per task on average."""


def mixed(
    problem: Problem,
    actions: Actions,
    loss: float,
    parameters: float,
    room: float,
    values: Values | None = None,
) -> Mix | None:
    """The best mix of actions for a model; None where a class cannot reach what it must.

    `room` is inference FLOP per task. With one limit the mix is exact over concave envelopes,
    what required accuracies need comes first. `values` are worked out at the loss unless given.
    """
    tasks = problem.tasks
    assert tasks is not None
    if values is None:
        values = evaluate(problem, actions, np.full(len(actions), loss))
    size = np.array([parameters])
    found = Envelopes.of(problem, actions, np.zeros(len(actions), dtype=np.intp), values, size)
    budget = room / (2.0 * parameters)
    amount = np.zeros(len(actions))
    least = tasks.group_min_accuracy * tasks.group_share
    nothing = np.zeros(least.size)
    if not np.any(least > 0.0):
        one = allocate(actions.task, found.cost, found.gain, tasks.weight, budget)
        amount[one.chosen[one.chosen >= 0]] = 1.0
        if one.split_owner >= 0:
            first = one.chosen[one.split_owner]
            if first >= 0:
                amount[first] = 1.0 - one.split_fraction
            amount[one.split_action] = one.split_fraction
        return Mix(actions, values, amount, one.price, nothing, one.value, one.used)
    pieces, needs = found.segments, found.required
    assert needs is not None
    bought = found.bought(np.array([room]), size)
    if not np.isfinite(bought.value[0]):
        return None
    amount = _amounts(pieces, bought, len(actions))
    price = float(bought.price[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        extra = needs.worth * (price / pieces.margin[0] - 1.0)
    extra = np.where(np.isfinite(pieces.margin[0]), np.maximum(extra, 0.0), 0.0)
    return Mix(
        actions,
        values,
        amount,
        price,
        np.nan_to_num(extra),
        float(np.sum(found.weight * found.gain * amount)),
        float(np.sum(found.weight * found.cost * amount)),
    )


def _amounts(found: Segments, bought: Spending, count: int) -> FloatArray:
    """Part of its task's requests that has each action, (action,), when segments are bought."""
    index = np.arange(found.slope.size)
    place, fraction = int(bought.place[0]), float(bought.fraction[0])
    taken = np.where(index < place, 1.0, np.where(index == place, fraction, 0.0)) * found.part
    # a part of a segment moves that part of the requests from its lower end to its upper
    amount = np.bincount(found.action, taken, minlength=count)
    inner = found.before >= 0
    amount -= np.bincount(found.before[inner], taken[inner], minlength=count)
    amount[amount < 1e-15] = 0.0
    return np.asarray(amount)


def task_rows(
    problem: Problem, mix: Mix, loss: float, parameters: float, gap: float, *, detailed: bool
) -> tuple[TaskAllocation, ...]:
    """One row for every task, or for every part of it where its requests are split."""
    tasks = problem.tasks
    assert tasks is not None
    actions, values = mix.actions, mix.values
    choice = np.flatnonzero(mix.amount > 0.0)
    near = _near(problem, mix, loss, parameters, gap) if detailed else {}
    rows: list[tuple[int, float, TaskAllocation]] = []
    flop = (
        2.0
        * parameters
        * values.effective_tokens(
            np.array(parameters), problem.space.attention(np.array(parameters))
        )
    )
    served = np.zeros(len(tasks))
    for i in choice:
        task, policy = int(actions.task[i]), problem.policies[actions.policy[i]]
        part = float(mix.amount[i])
        served[task] += part
        width = policy.width * float(tasks.tokens_per_step[task])
        prompts = policy.samples * float(tasks.prompt_tokens[task]) if problem.prefill else 0.0
        budgets, others = near.get((task, int(actions.policy[i])), (None, ()))
        share = float(tasks.weight[task]) * part
        rows.append(
            (
                task,
                -part,
                TaskAllocation(
                    name=tasks.group_names[tasks.group[task]],
                    difficulty=tasks.point(task)[0],
                    skills=tasks.point(task)[1],
                    share=share,
                    fraction=part,
                    policy=policy,
                    steps=float(actions.steps[i]),
                    token_budget=width * float(actions.steps[i]),
                    expected_tokens=float(values.tokens[i]) - prompts,
                    accuracy=float(values.success[i]),
                    value=float(tasks.value[task]),
                    inference_flop=problem.tasks_served * share * float(flop[i]),
                    token_budget_range=budgets,
                    alternatives=others,
                    level=_level(problem, task),
                    reasoning_level=_reasoning_level(problem, int(actions.policy[i])),
                ),
            )
        )
    for left in np.flatnonzero(served < 1.0 - 1e-9):
        part = 1.0 - float(served[left])
        rows.append((int(left), -part, not_attempted(problem, int(left), part)))
    return tuple(row for _, _, row in sorted(rows, key=lambda r: (r[0], r[1])))


def not_attempted(problem: Problem, task: int, part: float) -> TaskAllocation:
    """The row of a task, or a part of it, that gets no inference compute."""
    tasks = problem.tasks
    assert tasks is not None
    return TaskAllocation(
        name=tasks.group_names[tasks.group[task]],
        difficulty=tasks.point(task)[0],
        skills=tasks.point(task)[1],
        share=float(tasks.weight[task]) * part,
        fraction=part,
        policy=None,
        steps=0.0,
        token_budget=0.0,
        expected_tokens=0.0,
        accuracy=0.0,
        value=float(tasks.value[task]),
        inference_flop=0.0,
        level=_level(problem, task),
    )


def _level(problem: Problem, task: int) -> int | None:
    """Level of a task on a skill graph."""
    assert problem.tasks is not None
    return None if problem.levels is None else int(problem.tasks.level[task])


def _reasoning_level(problem: Problem, policy: int) -> int | None:
    """Level of reasoning that a place on the policy axis stands for."""
    return None if problem.levels is None else int(problem.levels.reasoning[policy])


def _near(
    problem: Problem, mix: Mix, loss: float, parameters: float, gap: float
) -> dict[tuple[int, int], tuple[tuple[float, float] | None, tuple[str, ...]]]:
    """For every task and policy chosen: token budgets and other policies within the gap.

    An action instead of the chosen one costs its difference of Lagrangian value, to first order
    in a change of one task.
    """
    tasks = problem.tasks
    assert tasks is not None
    joined = _with_menu(problem, mix.actions, loss)
    values = evaluate(problem, joined, np.full(len(joined), loss))
    cost = values.effective_tokens(
        np.array(parameters), problem.space.attention(np.array(parameters))
    )
    worth = tasks.value + mix.group_prices[tasks.group]
    score = tasks.weight[joined.task] * (worth[joined.task] * values.success - mix.price * cost)
    best = np.zeros(len(tasks))
    np.maximum.at(best, joined.task, score)
    good = score >= best[joined.task] - gap
    result = {}
    chosen = {
        (int(mix.actions.task[i]), int(mix.actions.policy[i]))
        for i in np.flatnonzero(mix.amount > 0.0)
    }
    order = np.argsort(joined.task, kind="stable")
    bounds = np.searchsorted(joined.task[order], np.arange(len(tasks) + 1))
    for task, policy in chosen:
        mine = order[bounds[task] : bounds[task + 1]]
        mine = mine[good[mine]]
        own = joined.steps[mine[joined.policy[mine] == policy]]
        width = problem.policies[policy].width * tasks.tokens_per_step[task]
        others = [_way(problem, int(p)) for p in np.unique(joined.policy[mine]) if p != policy]
        span = (float(own.min() * width), float(own.max() * width)) if own.size else None
        result[(task, policy)] = (span, tuple(others))
    return result


def _way(problem: Problem, policy: int) -> str:
    level = _reasoning_level(problem, policy)
    words = problem.policies[policy].words()
    return words if level is None else f"{words} at level {level}"


def _with_menu(problem: Problem, actions: Actions, loss: float) -> Actions:
    menu = first_actions(problem, losses=(loss, loss))
    if len(menu) > 500_000:
        menu = actions
    return Actions.joined([replace(menu, cell=np.zeros_like(menu.cell)), actions])


def class_outcomes(problem: Problem, rows: tuple[TaskAllocation, ...]) -> tuple[ClassOutcome, ...]:
    """What every class of the mix reaches."""
    tasks = problem.tasks
    assert tasks is not None
    result = []
    for index, name in enumerate(tasks.group_names):
        mine = [row for row in rows if row.name == name]
        share = sum(row.share for row in mine)
        result.append(
            ClassOutcome(
                name=name,
                share=float(tasks.group_share[index]),
                accuracy=min(1.0, sum(row.share * row.accuracy for row in mine) / share),
                min_accuracy=float(tasks.group_min_accuracy[index]),
                expected_tokens=sum(row.share * row.expected_tokens for row in mine) / share,
                inference_flop=sum(row.inference_flop for row in mine),
            )
        )
    return tuple(result)


def served_flop(parameters: float, served_tokens: float) -> float:
    """Inference FLOP of a number of served tokens, DS3 (10) without attention."""
    return float(inference_flop(parameters, served_tokens))
