"""Menus: what each task may be served with, and what that brings and costs at a loss.

An *action* is a task, a policy and a number of whole steps of one trace. The steps of a task form
a lattice; between two neighbours on it an action is bounded, never forgotten (`Values.slack`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.capability import step_skill_success
from ds3opt.laws.compute import attention_token_pairs
from ds3opt.laws.search import (
    chain_of_thought_success,
    finish_probability,
    success_and_expected_steps,
)
from ds3opt.optimise.levels import at_levels, worthwhile
from ds3opt.policies import Policy, TaskTraits
from ds3opt.problem import Problem, Tasks

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

STEPS_PER_OCTAVE = 2
"""Density of the first lattice; the search refines it where it decides something."""
_MANY = 40_000
"""Pairs of task and policy from which on the first lattice has one step per octave, for memory."""


@dataclass(frozen=True)
class Actions:
    """Actions of one or several search cells, sorted by cell, then task."""

    cell: IntArray  # (action,) non-decreasing
    task: IntArray  # (action,)
    policy: IntArray  # (action,)
    steps: FloatArray  # (action,) whole steps of one trace
    below: FloatArray  # (action,) nearest smaller number of steps on the lattice
    above: FloatArray  # (action,) nearest larger number of steps on the lattice

    def __len__(self) -> int:
        return int(self.task.size)

    def take(self, index: IntArray | NDArray[np.bool_]) -> Actions:
        """The actions at an index or under a mask."""
        return Actions(*(getattr(self, name)[index] for name in Actions.__dataclass_fields__))

    def in_cell(self, cell: int) -> Actions:
        """One cell's actions, renumbered to cell 0."""
        start, end = np.searchsorted(self.cell, [cell, cell + 1])
        part = self.take(np.arange(start, end))
        return replace(part, cell=np.zeros(len(part), dtype=np.intp))

    @staticmethod
    def joined(parts: list[Actions]) -> Actions:
        """Several blocks as one; their cells must already be numbered apart."""
        return Actions(
            *(np.concatenate([getattr(p, n) for p in parts]) for n in Actions.__dataclass_fields__)
        )


@dataclass(frozen=True)
class Values:
    """What actions bring and use at a loss."""

    success: FloatArray  # (action,)
    slack: FloatArray  # (action,) success that a neighbour off the lattice may have above a chord
    tokens: FloatArray  # (action,) tokens through the model for one task, prompt included
    pairs: FloatArray  # (action,) token pairs that attention looks at
    pair_slack: FloatArray  # (action,) pairs that a neighbour off the lattice may save
    checking: FloatArray  # (action,) verifier FLOP
    top: FloatArray | None = None  # (action,) success at the upper neighbour, where worked out

    def effective_tokens(
        self, parameters: FloatArray, attention: FloatArray, *, least: bool = False
    ) -> FloatArray:
        """Inference FLOP of one task over 2 N, (action,); DS3 (28), (31), (34), (37).

        `least` counts as few pairs as a neighbour off the lattice may have.
        """
        pairs = self.pairs - self.pair_slack if least else self.pairs
        return self.tokens + (attention * pairs + 0.5 * self.checking) / parameters


def first_actions(
    problem: Problem,
    steps_per_octave: int | None = None,
    *,
    losses: tuple[float, float] | None = None,
) -> Actions:
    """Every task with every policy it may use, on the first lattice of steps.

    With a skill graph only at levels that are worth a look for some loss in the range `losses`.
    """
    assert problem.tasks is not None
    if problem.levels is not None:
        return _first_at_levels(problem, steps_per_octave, losses or (0.0, np.inf))
    tasks = problem.tasks
    longest = float(np.max(tasks.max_steps - tasks.skills, initial=1.0))
    density = STEPS_PER_OCTAVE if int(tasks.allowed.sum()) < _MANY else 1
    density = steps_per_octave or density
    octaves = np.arange(0.0, np.log2(max(longest, 2.0)) + 1.0, 1.0 / density)
    offsets = np.unique(np.concatenate([[0.0], np.round(2.0**octaves)]))
    steps = np.minimum(tasks.skills[:, None] + offsets, tasks.max_steps[:, None])  # (task, lattice)
    steps = np.maximum(steps, 1.0)
    useful = (tasks.skills <= tasks.max_steps) & (tasks.max_steps >= 1.0)
    first = np.concatenate([np.ones((len(tasks), 1), bool), np.diff(steps, axis=1) > 0], axis=1)
    below = np.concatenate([steps[:, :1], steps[:, :-1]], axis=1)
    above = np.concatenate([steps[:, 1:], steps[:, -1:]], axis=1)
    task, point = np.nonzero(first & useful[:, None])
    on = tasks.allowed[task]  # (lattice point, policy)
    which, policy = np.nonzero(on)
    task, point = task[which], point[which]
    return Actions(
        np.zeros_like(task),
        task,
        policy,
        steps[task, point],
        below[task, point],
        above[task, point],
    )


def _first_at_levels(
    problem: Problem, steps_per_octave: int | None, losses: tuple[float, float]
) -> Actions:
    """Every task with every policy at every level worth a look: each has a lattice of its own."""
    tasks, levels = problem.tasks, problem.levels
    assert tasks is not None
    assert levels is not None
    worth = worthwhile(problem, *losses)[:, levels.reasoning - 1] & tasks.allowed
    task, policy = np.nonzero(worth)
    skills = levels.skills[task, levels.reasoning[policy] - 1]
    cap = tasks.max_steps[task]
    density = STEPS_PER_OCTAVE if task.size < _MANY else 1
    density = steps_per_octave or density
    longest = float(np.max(cap - skills, initial=1.0))
    octaves = np.arange(0.0, np.log2(max(longest, 2.0)) + 1.0, 1.0 / density)
    offsets = np.unique(np.concatenate([[0.0], np.round(2.0**octaves)]))
    steps = np.maximum(np.minimum(skills[:, None] + offsets, cap[:, None]), 1.0)
    first = np.concatenate([np.ones((task.size, 1), bool), np.diff(steps, axis=1) > 0], axis=1)
    below = np.concatenate([steps[:, :1], steps[:, :-1]], axis=1)
    above = np.concatenate([steps[:, 1:], steps[:, -1:]], axis=1)
    pair, _ = np.nonzero(first)
    return Actions(
        np.zeros_like(pair), task[pair], policy[pair], steps[first], below[first], above[first]
    )


def refined(actions: Actions, where: NDArray[np.bool_]) -> Actions:
    """The same actions and, under a mask, the midpoints to their neighbours on the lattice."""
    left = np.floor(0.5 * (actions.below + actions.steps))
    right = np.floor(0.5 * (actions.above + actions.steps))
    split_left = where & (left > actions.below) & (left < actions.steps)
    split_right = where & (right > actions.steps) & (right < actions.above)
    kept = replace(
        actions,
        below=np.where(split_left, left, actions.below),
        above=np.where(split_right, right, actions.above),
    )
    lower, upper = actions.take(split_left), actions.take(split_right)
    merged = Actions.joined(
        [
            kept,
            replace(lower, steps=left[split_left], above=lower.steps),
            replace(upper, steps=right[split_right], below=upper.steps),
        ]
    )
    # of two midpoints at one place the wider interval is kept last, and the narrower dropped
    order = np.lexsort(
        (merged.above - merged.below, merged.steps, merged.policy, merged.task, merged.cell)
    )
    merged = merged.take(order)
    same = np.zeros(len(merged), bool)
    same[:-1] = (
        (np.diff(merged.cell) == 0)
        & (np.diff(merged.task) == 0)
        & (np.diff(merged.policy) == 0)
        & (np.diff(merged.steps) == 0)
    )
    return merged.take(~same)


def evaluate(
    problem: Problem,
    actions: Actions,
    loss: FloatArray,
    *,
    slack: bool = False,
    step: FloatArray | None = None,
) -> Values:
    """Success and use of every action at its loss, (action,).

    Success never rises with loss and use never falls with it, which the search's bounds rest on.
    Slack is 0 unless asked for. Where the chance `step` that a step finds and executes the next
    skill is given, (action,), the loss says nothing more.
    """
    assert problem.tasks is not None
    tasks, task = problem.tasks, actions.task
    traits = tasks.traits.take(task)
    trace = _trace(problem, actions, loss, traits, step)
    success = _answers(problem, actions, trace.success, trace, traits)
    checking = np.empty(len(actions))
    used = trace.used
    samples, branches, overhead = _widths(problem, actions)
    width = samples * branches * overhead * tasks.tokens_per_step[task]
    output = width * used
    prompt = tasks.prompt_tokens[task]
    prompts = samples * prompt
    for index, at in _by_policy(actions):
        policy = problem.policies[index]
        checking[at] = checking_flop(tasks, task[at], policy, output[at], prompts[at], used[at])
    known = tasks.measured[task, actions.policy]
    success = np.where(np.isnan(known), success, known)
    pairs = np.asarray(attention_token_pairs(output, prompt, branches=branches, samples=samples))
    loose = saved = np.zeros(len(actions))
    top = None
    if slack:
        loose, saved, above = _slack(problem, actions, trace, traits)
        if problem.levels is not None:
            top = _answers(problem, actions, above, trace, traits)
    tokens = output + prompts if problem.prefill else output
    return Values(success, loose, tokens, pairs, saved, checking, top)


def _answers(
    problem: Problem, actions: Actions, traced: FloatArray, trace: _Trace, traits: TaskTraits
) -> FloatArray:
    """Success of every action from that of one trace, (action,)."""
    success = np.empty(len(actions))
    for index, at in _by_policy(actions):
        success[at] = problem.policies[index].answer_success(traced[at], traits.take(at))
    return success if trace.solvable is None else success * trace.solvable


@dataclass(frozen=True)
class _Trace:
    """One trace of every action, (action,)."""

    advance: FloatArray
    fatigue: FloatArray | float
    skills: FloatArray
    success: FloatArray
    used: FloatArray
    """Steps that are charged."""
    solvable: FloatArray | None = None
    """With a skill graph, chance that the skills compose; else the whole budget is used in vain."""


def _by_policy(actions: Actions) -> list[tuple[int, IntArray]]:
    return [
        (int(index), np.flatnonzero(actions.policy == index)) for index in np.unique(actions.policy)
    ]


def _widths(problem: Problem, actions: Actions) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Samples, branches and token overhead of every action."""
    samples, branches, overhead = np.array(
        [(p.samples, p.branches, p.token_overhead) for p in problem.policies], dtype=np.float64
    ).T
    return samples[actions.policy], branches[actions.policy], overhead[actions.policy]


def _trace(
    problem: Problem,
    actions: Actions,
    loss: FloatArray,
    traits: TaskTraits,
    step: FloatArray | None,
) -> _Trace:
    assert problem.tasks is not None
    tasks, task = problem.tasks, actions.task
    if problem.levels is not None:
        step, skills, solvable = at_levels(problem.levels, task, actions.policy, loss)
    else:
        skills, solvable = tasks.skills[task], None
    if step is None:
        step = tasks.directionality[task] * step_skill_success(
            loss,
            tasks.difficulty[task],
            slope=_of_task(problem.capability_slope, task),
            scale=_of_task(problem.capability_scale, task),
            offset=_of_task(problem.capability_offset, task),
        )
    advance, fatigue = np.array(step), tasks.fatigue[task].copy()
    tires = bool(np.any(fatigue))
    for index, at in _by_policy(actions):
        if problem.policies[index].branches > 1:
            advance[at], fatigue[at] = problem.policies[index].level(
                step[at], fatigue[at], traits.take(at)
            )
    ruin = fatigue if tires else 0.0
    if problem.charge_budget:
        success = chain_of_thought_success(advance, skills, actions.steps, fatigue=ruin)
        return _Trace(advance, ruin, skills, np.asarray(success), actions.steps, solvable)
    success, used = success_and_expected_steps(advance, skills, actions.steps, fatigue=ruin)
    if solvable is not None:
        used = solvable * used + (1.0 - solvable) * actions.steps
    return _Trace(advance, ruin, skills, np.asarray(success), np.asarray(used), solvable)


def _of_task(constant: float | FloatArray, task: IntArray) -> float | FloatArray:
    """A constant of the sigmoid for every action: one for all tasks, or one for each."""
    return constant if np.ndim(constant) == 0 else np.asarray(constant)[task]


def checking_flop(
    tasks: Tasks,
    task: IntArray,
    policy: Policy,
    output: FloatArray,
    prompts: FloatArray,
    used: FloatArray,
) -> FloatArray:
    """Verifier FLOP of a task: a verifier model reads prompts and what it judges, 2 FLOP a weight.

    An outcome verifier reads the finished traces, a process verifier every candidate step.

    Parameters
    ----------
    output : tokens that the policy generates. prompts : prompt tokens over all traces.
    used : steps of one trace.
    """
    per_token, per_check = 2.0 * tasks.verifier_parameters[task], tasks.flop_per_check[task]
    flop = np.zeros_like(output)
    if policy.outcome_checks:
        judged = prompts + output / policy.branches
        flop = flop + per_token * judged + per_check * policy.outcome_checks
    if policy.checks_steps:
        candidates = policy.width * used
        flop = flop + per_token * (prompts + output) + per_check * candidates
    return flop


def _slack(
    problem: Problem, actions: Actions, trace: _Trace, traits: TaskTraits
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """How far success may rise above, and pairs fall below, the chords to an action's neighbours.

    Last the success of one trace at the upper neighbour, where there is anything in between.

    For whole n in [low, high] a function with second differences >= -K stays within
    ``K (high - low)**2 / 8`` of its chord. The chance f(n) of finishing at step n is log-concave,
    so on the interval it is at most its value at the point nearest its mode, and ``f(n) - f(n+1)``
    is at most that times ``1 - f(high) / f(high - 1)``, a ratio in closed form.
    """
    count = len(actions)
    follows = _follows(actions)
    preceded = np.concatenate([[False], follows[:-1]])
    # every interval once: above each action, and below those whose neighbour is not here;
    # where neighbours are one step apart there is nothing between them
    above = np.flatnonzero(actions.above - actions.steps > 1.5)
    below = np.flatnonzero((actions.steps - actions.below > 1.5) & ~preceded)
    of = np.concatenate([above, below])
    if of.size == 0:
        return np.zeros(count), np.zeros(count), trace.success
    right = np.arange(of.size) < above.size
    n1 = np.where(right, actions.steps[of], actions.below[of])
    n2 = np.where(right, actions.above[of], actions.steps[of])
    known = right & follows[of]
    there = np.empty(of.size)
    there[known] = trace.success[of[known] + 1]
    ask = np.flatnonzero(~known)
    if ask.size:
        other = np.where(right[ask], n2[ask], n1[ask])
        there[ask] = chain_of_thought_success(
            trace.advance[of[ask]], trace.skills[of[ask]], other, fatigue=_at(trace, of[ask])
        )
    first = np.where(right, trace.success[of], there)
    last = np.where(right, there, trace.success[of])
    loose, saved = _interval_slack(problem, actions, trace, traits, of, n1, n2, first, last)
    slack, pairs = np.zeros(count), np.zeros(count)
    np.maximum.at(slack, of, loose)
    np.maximum.at(pairs, of, saved)
    shared = np.flatnonzero(known)
    np.maximum.at(slack, of[shared] + 1, loose[shared])
    np.maximum.at(pairs, of[shared] + 1, saved[shared])
    top = trace.success.copy()
    top[of[right]] = last[right]
    return slack, pairs, top


def _follows(actions: Actions) -> NDArray[np.bool_]:
    """Whether the next action is this one's upper neighbour on the lattice."""
    follows = np.zeros(len(actions), bool)
    follows[:-1] = (
        (actions.steps[1:] == actions.above[:-1])
        & (actions.policy[1:] == actions.policy[:-1])
        & (actions.task[1:] == actions.task[:-1])
        & (actions.cell[1:] == actions.cell[:-1])
    )
    return follows


def _at(trace: _Trace, index: IntArray) -> FloatArray | float:
    return trace.fatigue if isinstance(trace.fatigue, float) else trace.fatigue[index]


def _interval_slack(
    problem: Problem,
    actions: Actions,
    trace: _Trace,
    traits: TaskTraits,
    of: IntArray,
    n1: FloatArray,
    n2: FloatArray,
    first: FloatArray,
    last: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Slack of success and of pairs on intervals [n1, n2] of the actions `of`.

    `first` and `last` are the success of one trace at the ends.
    """
    assert problem.tasks is not None
    a, m, h = trace.advance[of], trace.skills[of], _at(trace, of)
    moving = a + (1.0 - a) * h  # chance that a level advances or ruins
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mode = np.where(moving > 0.0, 1.0 + np.floor((m - 1.0) / moving), np.inf)
    peak = np.clip(mode, n1 + 1.0, n2)
    ratio = (1.0 - moving) * (n2 - 1.0) / np.maximum(n2 - m, 1.0)
    share = np.clip(1.0 - ratio, 0.0, 1.0)
    slope, curvature = np.empty(of.size), np.empty(of.size)
    policy = actions.policy[of]
    for index in np.unique(policy):
        at = np.flatnonzero(policy == index)
        slope[at], curvature[at] = problem.policies[index].answer_slope(
            first[at], last[at], traits.take(of[at])
        )
    solvable = 1.0 if trace.solvable is None else trace.solvable[of]
    slope, curvature = slope * solvable, curvature * solvable
    loose = slope * np.maximum(last - first, 0.0)
    # where that is nothing to speak of, there is no need for the sharper bound
    sharpen = np.flatnonzero(loose > 0.01 * problem.gap)
    if sharpen.size:
        ruin = h if isinstance(h, float) else h[sharpen]
        most = np.asarray(finish_probability(a[sharpen], m[sharpen], peak[sharpen], fatigue=ruin))
        width = (n2 - n1)[sharpen] ** 2 / 8.0
        falling = slope[sharpen] * most * share[sharpen]
        second = width * (falling + 2.0 * curvature[sharpen] * most**2)
        loose[sharpen] = np.minimum(loose[sharpen], second)
    samples, branches, overhead = _widths(problem, actions)
    width = (samples * branches * overhead)[of]
    tokens = width * problem.tasks.tokens_per_step[actions.task[of]]
    squared = tokens**2 / (samples * branches)[of]
    spread = 1.0 if problem.charge_budget else (1.0 - solvable * first) ** 2
    return loose, (n2 - n1) ** 2 / 8.0 * squared * spread
