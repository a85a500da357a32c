"""The rows of an answer with one policy and one token budget for every task."""

from __future__ import annotations

import math

import numpy as np

from ds3opt.optimise.shared import SharedPlan, SharedSearch
from ds3opt.optimise.solution import TaskAllocation
from ds3opt.optimise.training import Training
from ds3opt.problem import Budgets, Problem


def shared_rows(
    problem: Problem, budgets: Budgets, plan: SharedPlan
) -> tuple[float, float, tuple[TaskAllocation, ...]]:
    """Training tokens, training FLOP and one row for every task of a shared plan."""
    tasks, policy = problem.tasks, plan.policy
    assert tasks is not None
    assert policy is not None
    search = SharedSearch(problem, [budgets], 1.0)
    budget, loss = np.array([plan.token_budget]), np.array([plan.loss])
    success = search.success(policy, loss, budget)[0]
    output, flop = search.use_of_tasks(policy, loss, budget, plan.parameters)
    steps = search.steps(policy, budget)[0]
    reasoning = None
    if problem.levels is not None:
        reasoning = search.at_best_levels(policy, loss, budget)[1][0]
    rows = tuple(
        TaskAllocation(
            name=tasks.group_names[tasks.group[task]],
            difficulty=tasks.point(task)[0],
            skills=tasks.point(task)[1],
            share=float(tasks.weight[task]),
            fraction=1.0,
            policy=policy,
            steps=float(steps[task]),
            token_budget=plan.token_budget,
            expected_tokens=float(output[task]),
            accuracy=float(success[task]),
            value=float(tasks.value[task]),
            inference_flop=problem.tasks_served * float(tasks.weight[task] * flop[task]),
            token_budget_range=dict(plan.within_gap).get("token_budget"),
            level=None if reasoning is None else int(tasks.level[task]),
            reasoning_level=int(reasoning[task]) or None if reasoning is not None else None,
        )
        for task in range(len(tasks))
    )
    training = Training(problem.space)
    size = np.array([plan.parameters])
    if problem.space.infinite_data:
        return math.inf, 0.0, rows
    # the loss was found within the limits; its inverse may round to just beyond them
    left = min(budgets.total_flop - sum(row.inference_flop for row in rows), budgets.training_flop)
    tokens = training.tokens(size, loss * (1.0 + 1e-14))
    tokens = np.minimum(tokens, training.most_tokens(size, np.array([left])))
    return float(tokens[0]), float(training.flop_of(size, tokens)[0]), rows
