"""What one policy and one token budget for every task bring and use, at search nodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.capability import step_skill_success
from ds3opt.laws.compute import attention_token_pairs
from ds3opt.laws.search import chain_of_thought_success, expected_steps, success_by_skills
from ds3opt.optimise.levels import table, worthwhile
from ds3opt.optimise.menu import checking_flop
from ds3opt.policies import Policy
from ds3opt.problem import Problem

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_MANY_SKILLS = 1e10


@dataclass(frozen=True)
class Use:
    """What a task uses on average, (node,)."""

    tokens: FloatArray
    pairs: FloatArray
    checking: FloatArray
    output: FloatArray


@dataclass(frozen=True)
class _Ladder:
    """Tasks that differ in skills only, gathered so that one running sum serves all of them."""

    first: IntArray  # (rung,) one task of each kind
    rung: IntArray  # (task,)
    skills: IntArray  # (task,)

    @staticmethod
    def of(problem: Problem) -> _Ladder | None:
        """The ladder of a mix; None where tasks are too scattered, or tire, to gain from it."""
        tasks = problem.tasks
        assert tasks is not None
        tires = np.any(tasks.fatigue > 0.0)
        if tires or np.any(tasks.skills < 1.0) or problem.levels is not None:
            return None
        kinds = np.stack(
            [tasks.difficulty, tasks.directionality, tasks.tokens_per_step, tasks.max_steps]
        )
        _, first, rung = np.unique(kinds, axis=1, return_index=True, return_inverse=True)
        if first.size * float(np.max(tasks.skills)) > 4.0 * len(tasks):
            return None
        return _Ladder(first.astype(np.intp), rung.ravel(), tasks.skills.astype(np.intp))

    def success(self, step_success: FloatArray, steps: FloatArray, clamped: bool) -> FloatArray:
        """Success of every task's chain of thought, (node, task)."""
        by_skills = success_by_skills(
            step_success[:, self.first],
            int(np.max(self.skills)),
            steps[:, self.first],
            clamped=clamped,
        )
        return np.asarray(by_skills[:, self.rung, self.skills - 1])


class SharedLaws:
    """Success and use of all tasks at nodes: pairs of a pretraining loss and a token budget."""

    def __init__(self, problem: Problem) -> None:
        assert problem.tasks is not None
        self.problem = problem
        self.tasks = problem.tasks
        self.ladder = _Ladder.of(problem)

    def steps(self, policy: Policy, budget: FloatArray) -> FloatArray:
        """Steps of one trace of every task at token budgets, (node, task)."""
        width = policy.width * self.tasks.tokens_per_step
        steps = budget[:, None] / width
        if not self.problem.continuous_steps:
            # a budget of exactly n steps must give n, whatever division rounds to
            steps = np.floor(steps * (1.0 + 1e-12))
        return np.minimum(steps, self.tasks.max_steps)

    def _trace(self, policy: Policy, loss: FloatArray) -> tuple[FloatArray, FloatArray]:
        tasks, problem = self.tasks, self.problem
        step = tasks.directionality * step_skill_success(
            loss[:, None],
            tasks.difficulty,
            slope=problem.capability_slope,
            scale=problem.capability_scale,
            offset=problem.capability_offset,
        )
        return policy.level(step, np.broadcast_to(tasks.fatigue, step.shape), tasks.traits)

    def success(self, policy: Policy, loss: FloatArray, budget: FloatArray) -> FloatArray:
        """Success of every task, (node, task); 0 where the loss is infinite."""
        if self.problem.levels is not None:
            return self.at_best_levels(policy, loss, budget)[0]
        known = np.isfinite(loss)
        advance, fatigue = self._trace(policy, np.where(known, loss, 1e3))
        steps = self.steps(policy, budget)
        if self.ladder is not None and policy.branches == 1:
            trace = self.ladder.success(advance, steps, self.problem.clamped_steps)
        else:
            trace = np.asarray(
                chain_of_thought_success(
                    advance,
                    self.tasks.skills,
                    steps,
                    fatigue=fatigue if np.any(fatigue) else 0.0,
                    clamped=self.problem.clamped_steps,
                )
            )
        answer = policy.answer_success(trace, self.tasks.traits)
        measured = self.tasks.measured[:, self.problem.policies.index(policy)]
        # a measured trace is one step, whatever the loss
        answer = np.where(np.isnan(measured), answer, np.where(steps >= 1.0, measured, 0.0))
        return np.where(known[:, None], answer, 0.0)

    def at_best_levels(
        self, policy: Policy, loss: FloatArray, budget: FloatArray
    ) -> tuple[FloatArray, IntArray]:
        """Success of every task at the level where it succeeds most, DS3 (51), and that level.

        Both (node, task); of equal levels the lowest, and 0 where nothing is solved.
        """
        tasks, levels = self.tasks, self.problem.levels
        assert levels is not None
        success = np.zeros((loss.size, len(tasks)))
        chosen = np.zeros(success.shape, dtype=np.intp)
        known = np.flatnonzero(np.isfinite(loss))
        if known.size == 0:
            return success, chosen
        least, most = float(np.min(loss[known])), float(np.max(loss[known]))
        column = np.flatnonzero(np.any(worthwhile(self.problem, least, most), axis=0))
        if column.size == 0:
            return success, chosen
        step, solvable = (part[:, column] for part in table(self.problem, loss[known]))
        advance, fatigue = policy.level(
            step, np.broadcast_to(tasks.fatigue, step.shape), tasks.traits
        )
        # more skills than any number of steps are as good as infinitely many
        skills = np.minimum(levels.skills[:, column].T, _MANY_SKILLS)
        trace = chain_of_thought_success(
            advance,
            skills,
            self.steps(policy, budget[known])[:, None, :],
            fatigue=fatigue if np.any(fatigue) else 0.0,
            clamped=self.problem.clamped_steps,
        )
        solved = solvable * policy.answer_success(np.asarray(trace), tasks.traits)
        best = np.argmax(solved, axis=1)
        success[known] = np.take_along_axis(solved, best[:, None, :], axis=1)[:, 0, :]
        chosen[known] = np.where(success[known] > 0.0, levels.reasoning[column[best]], 0)
        return success, chosen

    def use(self, policy: Policy, loss: FloatArray, budget: FloatArray) -> Use:
        """Mean use of a task, (node,); infinite loss means the whole budget."""
        output, tokens, pairs, checking = self._use(policy, loss, budget)
        share = self.tasks.weight
        return Use(tokens @ share, pairs @ share, checking @ share, output @ share)

    def use_of_tasks(
        self, policy: Policy, loss: FloatArray, budget: FloatArray, parameters: float
    ) -> tuple[FloatArray, FloatArray]:
        """Generated tokens and inference FLOP of every task at one node, (task,)."""
        charged = np.full(loss.shape, np.inf) if self.problem.charge_budget else loss
        output, tokens, pairs, checking = (v[0] for v in self._use(policy, charged, budget))
        attention = float(self.problem.space.attention(np.array(parameters)))
        return output, 2.0 * (parameters * tokens + attention * pairs) + checking

    def _use(
        self, policy: Policy, loss: FloatArray, budget: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Output, tokens through the model, attention pairs and checking FLOP, (node, task)."""
        tasks, problem = self.tasks, self.problem
        steps = self.steps(policy, budget)
        width = policy.width * tasks.tokens_per_step
        used = steps
        if not problem.charge_budget:
            known = np.isfinite(loss)
            advance, fatigue = self._trace(policy, np.where(known, loss, 1e3))
            expected = expected_steps(
                advance, tasks.skills, steps, fatigue=fatigue if np.any(fatigue) else 0.0
            )
            used = np.where(known[:, None], expected, steps)
        output = width * used
        prompts = np.broadcast_to(policy.samples * tasks.prompt_tokens, output.shape)
        pairs = attention_token_pairs(
            output, tasks.prompt_tokens, branches=policy.branches, samples=policy.samples
        )
        checking = checking_flop(tasks, np.arange(len(tasks)), policy, output, prompts, used)
        tokens = output + prompts if problem.prefill else output
        return output, tokens, np.asarray(pairs), checking
