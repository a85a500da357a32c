"""Actions that a user fixes by hand: a policy, a token budget, or both, for a class."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import Problem as Mistake
from ds3opt.errors import UsageError
from ds3opt.optimise.local import Neighbourhood
from ds3opt.optimise.menu import Actions
from ds3opt.policies import POLICIES, Policy
from ds3opt.policies.short_form import SHORT_FORMS
from ds3opt.policies.short_form import parse_policy as parse_policy
from ds3opt.problem import Problem, with_measurements


def with_policies(problem: Problem, policies: Mapping[str, str]) -> Problem:
    """The problem with the policy of some classes fixed.

    Raises
    ------
    UsageError : for an unknown class or policy, or one that the class has no verifier for.
    """
    tasks = problem.tasks
    assert tasks is not None
    variants, allowed, known = list(problem.policies), tasks.allowed.copy(), tasks.measured
    levels = problem.levels
    for name, text in policies.items():
        policy, mine = _offered(problem, text) or parse_policy(text), _tasks_of(problem, name)
        if policy.needs_wrong_answers and np.any(tasks.traits.spectrum[mine] < 0):
            raise UsageError(Mistake(f"{policy.name} needs wrong_answers of class {name!r}"))
        if policy not in variants:
            # with a skill graph once for each level
            copies = 1 if levels is None else levels.count
            variants += [policy] * copies
            allowed = np.concatenate([allowed, np.zeros((len(tasks), copies), bool)], axis=1)
            known = np.concatenate([known, np.full((len(tasks), copies), np.nan)], axis=1)
            if levels is not None:
                each = np.arange(1, copies + 1)
                levels = replace(levels, reasoning=np.concatenate([levels.reasoning, each]))
        allowed[mine] = False
        same = np.array([one == policy for one in variants])
        allowed[np.ix_(np.flatnonzero(mine), np.flatnonzero(same))] = True
    fixed = with_measurements(replace(tasks, allowed=allowed, measured=known), tuple(variants))
    for name, text in policies.items():
        if not np.any(fixed.allowed[_tasks_of(problem, name)]):
            hint = "success_counts or a population say what several traces do"
            message = f"the measurement of class {name!r} does not say what {text} reaches"
            raise UsageError(Mistake(message, hint=hint))
    return replace(problem, policies=tuple(variants), tasks=fixed, levels=levels)


def _offered(problem: Problem, text: str) -> Policy | None:
    """Of policies that take more than whole numbers, the one on offer with so many samples."""
    name, _, samples = text.partition(":")
    if name in SHORT_FORMS or name not in POLICIES:
        return None
    # with a skill graph a policy stands once for each level
    mine = list(dict.fromkeys(p for p in problem.policies if p.name == name))
    found = [p for p in mine if str(p.samples) == samples]
    if len(found) == 1:
        return found[0]
    told = ", ".join(f"{name}:{p.samples}" for p in mine)
    hint = f"the scenario offers {told}" if mine else "list it in the scenario's reasoning.policies"
    reason = "several on offer are" if found else "no policy on offer is"
    raise UsageError(Mistake(f"{reason} {text!r}", hint=hint))


def fixed_actions(
    problem: Problem, parameters: float, loss: float, token_budgets: Mapping[str, float]
) -> Actions:
    """The actions of every task at a model; only one token budget for the classes that fix it.

    Raises
    ------
    UsageError : for an unknown class.
    """
    fixed, free = budgeted_actions(problem, token_budgets)
    parts = [fixed]
    if np.any(free):
        near = Neighbourhood.around(
            problem, problem.budgets, parameters, loss, all_prices=True
        ).actions
        parts.append(near.take(free[near.task]))
    joined = Actions.joined(parts)
    return joined.take(np.argsort(joined.task, kind="stable"))


def budgeted_actions(
    problem: Problem, token_budgets: Mapping[str, float]
) -> tuple[Actions, NDArray[np.bool_]]:
    """Actions of the classes that fix their token budget, and which tasks are left free, (task,).

    Raises
    ------
    UsageError : for an unknown class.
    """
    tasks = problem.tasks
    assert tasks is not None
    free = np.ones(len(tasks), bool)
    none = np.zeros(0, dtype=np.intp)
    parts = [Actions(none, none, none, np.zeros(0), np.zeros(0), np.zeros(0))]
    for name, budget in token_budgets.items():
        mine = _tasks_of(problem, name)
        free &= ~mine
        task, policy = np.nonzero(tasks.allowed & mine[:, None])
        width = np.array([p.width for p in problem.policies], dtype=np.float64)
        steps = np.floor(budget / (width[policy] * tasks.tokens_per_step[task]) * (1 + 1e-12))
        steps = np.minimum(steps, tasks.max_steps[task])
        some = steps >= 1.0
        task, policy, steps = task[some], policy[some], steps[some]
        parts.append(Actions(np.zeros_like(task), task, policy, steps, steps, steps))
    return Actions.joined(parts), free


def _tasks_of(problem: Problem, name: str) -> np.ndarray:
    tasks = problem.tasks
    assert tasks is not None
    if name not in tasks.group_names:
        near = difflib.get_close_matches(name, tasks.group_names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(tasks.group_names)}"
        raise UsageError(Mistake(f"no class is named {name!r}", hint=hint))
    return np.asarray(tasks.group == tasks.group_names.index(name))
