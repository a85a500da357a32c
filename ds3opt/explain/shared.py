"""Rivals where one policy and one token budget serve all tasks: each is solved for anew."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ds3opt.explain.explanation import ClassExplanation, Explanation, Rival
from ds3opt.explain.setting import with_model
from ds3opt.optimise.shared import SharedPlan, SharedSearch
from ds3opt.optimise.shared_rows import shared_rows
from ds3opt.optimise.solution import Solution
from ds3opt.policies import Policy
from ds3opt.problem import Problem

_NOT_APPLICABLE = (
    "what holds classes back, and what would change the policy: one token budget serves all tasks",
    "chain or tree of thought, and depth: ask with reasoning.budgets=per_task",
)


def shared_explanation(problem: Problem, solution: Solution) -> Explanation:
    """Every policy at its own best token budget, with the plan's model and under its limits."""
    problem = with_model(problem, solution)
    budgets = problem.budgets
    if problem.target_accuracy is not None and solution.certificate is not None:
        budgets = budgets.with_limit(problem.objective, solution.certificate.upper)
    best = solution.value if problem.objective == "value" else solution.accuracy
    assert best is not None
    used = {row.policy for row in solution.tasks}
    rows = []
    for policy in dict.fromkeys(problem.policies):
        alone = _alone(problem, policy)
        (found,) = SharedSearch(alone, [budgets], problem.gap).run()
        if np.isfinite(found.value):
            rows.append(_rival(alone, policy, found, best, policy in used, budgets))
    rows.sort(key=lambda row: (not row.chosen, row.lost, row.policy))
    outcome = solution.classes
    return Explanation(
        solution,
        solution.objective,
        0.0,
        (
            ClassExplanation(
                outcome[0].name if len(outcome) == 1 else "all classes",
                1.0,
                solution.accuracy or 0.0,
                rows[0].policy if rows else "",
                tuple(rows),
                (),
                (),
            ),
        ),
        not_applicable=_NOT_APPLICABLE,
    )


def _alone(problem: Problem, policy: Policy) -> Problem:
    """The problem with one policy, at every level of a skill graph."""
    tasks, levels = problem.tasks, problem.levels
    assert tasks is not None
    mine = np.array([one == policy for one in problem.policies])
    tasks = replace(tasks, allowed=tasks.allowed[:, mine], measured=tasks.measured[:, mine])
    if levels is not None:
        levels = replace(levels, reasoning=levels.reasoning[mine])
    policies = (policy,) * int(mine.sum())
    return replace(problem, policies=policies, tasks=tasks, levels=levels)


def _rival(
    problem: Problem,
    policy: Policy,
    plan: SharedPlan,
    best: float,
    chosen: bool,
    budgets: object,
) -> Rival:
    _, _, rows = shared_rows(problem, budgets, plan)  # type: ignore[arg-type]
    flop = math.fsum(row.inference_flop for row in rows) / problem.tasks_served
    return Rival(
        policy=policy.words(),
        family=policy.name,
        chosen=chosen,
        accuracy=math.fsum(row.share * row.accuracy for row in rows),
        token_budget=(plan.token_budget, plan.token_budget),
        tokens=math.fsum(row.share * row.expected_tokens for row in rows),
        flop=flop,
        # no plan with it is better than its own upper bound
        lost=max(best - plan.upper, 0.0) if not chosen else 0.0,
        accuracy_at_own_compute=None,
    )
