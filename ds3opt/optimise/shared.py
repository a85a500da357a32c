"""One policy and one token budget for every task: DS3 eq. (53), certified in one dimension.

For a token budget the least pretraining loss L* that the limits allow has a convex definition
(`Training.least_loss`), rises with the token budget, and success falls with loss and rises with the
budget. So on [B1, B2] no plan solves more than success(L*(B1), B2), which is branch and bound on
a line. All budgets and all policies are searched in the same waves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.laws.capability import step_skill_success
from ds3opt.laws.compute import attention_token_pairs
from ds3opt.laws.search import chain_of_thought_success, expected_steps, success_by_skills
from ds3opt.optimise.levels import table, worthwhile
from ds3opt.optimise.menu import checking_flop
from ds3opt.optimise.training import Training
from ds3opt.policies import Policy
from ds3opt.problem import Budgets, Problem

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

ROOT_INTERVALS = 24
MAX_WAVES = 60
MAX_NODES = 100_000
"""Token budgets to examine before giving up on the gap."""
_MANY_SKILLS = 1e10
_ROUNDS = 6
"""Fixed-point rounds for the loss where the tokens used depend on it."""
_ATTEMPTS = 10
_MOST_ROUNDS = 200
_SETTLED = 1e-12
"""Change of the loss in a round, nats/token, below which it counts as found."""
_NUDGE = 1e-9
"""Loss that is given away so that a plan's use, which rises with loss, stays inside its limits."""
CHUNK = 400_000
"""Pairs of node and task that are evaluated together."""


@dataclass(frozen=True)
class SharedPlan:
    """The best plan for one limit set, and the least upper bound."""

    value: float
    upper: float
    policy: Policy | None = None
    token_budget: float = np.nan
    parameters: float = np.nan
    loss: float = np.nan
    within_gap: tuple[tuple[str, tuple[float, float]], ...] = ()
    """Smallest and largest of each decision over the plans examined that are within the gap."""


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


class SharedSearch:
    """The search over one shared token budget."""

    def __init__(self, problem: Problem, budgets: list[Budgets], gap: float) -> None:
        assert problem.tasks is not None
        self.problem, self.budgets, self.gap = problem, budgets, gap
        self.tasks = problem.tasks
        self.training = Training(problem.space)
        self.caps = np.array([(b.total_flop, b.training_flop, b.inference_flop) for b in budgets]).T
        self.weight = self.tasks.weight * self.tasks.value
        self.ladder = _Ladder.of(problem)

    # -- laws at nodes ----------------------------------------------------------------------

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

    # -- least loss at a token budget -------------------------------------------------------

    def best_loss(
        self, policy: Policy, case: IntArray, budget: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Least loss that the limits allow at token budgets, from below, and its size, (node,)."""
        if self.problem.charge_budget:
            return self._least_loss(case, self.use(policy, np.full(budget.shape, np.inf), budget))
        loss = np.full(budget.shape, self.problem.space.law.irreducible)
        size, left = loss.copy(), np.arange(budget.size)
        for _ in range(_MOST_ROUNDS):
            # each round's loss is a lower bound, so its use is one too, and the next loss
            use = self.use(policy, loss[left], budget[left])
            found, size[left] = self._least_loss(case[left], use)
            with np.errstate(invalid="ignore"):
                moving = found - loss[left] > _SETTLED
            loss[left] = found
            left = left[moving & np.isfinite(found)]
            if left.size == 0:
                break
        return loss, size

    def attained(
        self,
        policy: Policy,
        case: IntArray,
        budget: FloatArray,
        loss: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """A loss that a plan reaches within the limits, and its size; inf where none was found."""
        if self.problem.charge_budget:
            return self._least_loss(case, self.use(policy, np.full(budget.shape, np.inf), budget))
        # from above every round stays within the limits: use at the loss reached is no more than
        # at the loss it was reckoned with
        reached, size = self._least_loss(
            case, self.use(policy, np.full(loss.shape, np.inf), budget)
        )
        step = np.full(loss.shape, _NUDGE)
        for attempt in range(_ATTEMPTS):
            # plans from above may end at a higher loss than the least that sustains itself
            missing = np.isfinite(loss) & ((attempt == 0) | ~np.isfinite(reached))
            if not np.any(missing):
                break
            guess = loss + step
            found, at = self._least_loss(case, self.use(policy, guess, budget))
            good = missing & (found <= guess) & (found < reached)
            reached, size = np.where(good, found, reached), np.where(good, at, size)
            step *= 8.0
        for _ in range(_ROUNDS):
            found, at = self._least_loss(case, self.use(policy, reached, budget))
            better = found < reached
            reached, size = np.where(better, found, reached), np.where(better, at, size)
        return reached, size

    def _least_loss(self, case: IntArray, use: Use) -> tuple[FloatArray, FloatArray]:
        served = self.problem.tasks_served
        total, training, serving = (cap[case] for cap in self.caps)
        space = self.problem.space

        def inference(size: FloatArray) -> FloatArray:
            flop = 2.0 * size * use.tokens[:, None] + use.checking[:, None]
            if space.width_per_layer or space.layers_times_width:
                flop = flop + 2.0 * space.attention(size) * use.pairs[:, None]
            return served * flop

        return self.training.least_loss(inference, total, training, serving)

    # -- the search -------------------------------------------------------------------------

    def run(self) -> list[SharedPlan]:
        """The certified best plan for every set of limits."""
        plans = [SharedPlan(-np.inf, -np.inf) for _ in self.budgets]
        for policy in self._policies():
            for index, found in enumerate(self._search(policy, plans)):
                upper = max(plans[index].upper, found.upper)
                best = found if found.value > plans[index].value else plans[index]
                plans[index] = SharedPlan(
                    best.value,
                    max(upper, best.value),
                    best.policy,
                    best.token_budget,
                    best.parameters,
                    best.loss,
                    best.within_gap,
                )
        return plans

    def smallest_is_feasible(self) -> bool:
        """Whether any policy can be served at its smallest token budget."""
        for policy in self._policies():
            low, _ = self._range(policy)
            case = np.zeros(1, dtype=np.intp)
            loss, _ = self.best_loss(policy, case, np.array([low]))
            if np.isfinite(loss[0]):
                return True
        return False

    def near(self, plan: SharedPlan, width: float = 0.3) -> float:
        """The best value at token budgets near a plan's, for the first set of limits."""
        assert plan.policy is not None
        low, high = self._range(plan.policy)
        centre, best = plan.token_budget, -np.inf
        for _ in range(8):
            grid = np.unique(np.clip(centre * np.exp(np.linspace(-width, width, 17)), low, high))
            state = _Nodes(self, plan.policy, np.full(1, -np.inf))
            state.add(np.zeros(grid.size, dtype=np.intp), grid)
            at = int(np.argmax(state.value))
            if state.value[at] > best:
                best, centre = float(state.value[at]), float(grid[at])
            width *= 0.3
        return best

    def _policies(self) -> list[Policy]:
        found = [
            policy
            for index, policy in enumerate(self.problem.policies)
            if bool(np.all(self.tasks.allowed[:, index]))
            and self._smallest_budget(policy) <= self.problem.token_budget[1]
        ]
        # with a skill graph every policy is there once for each level
        return list(dict.fromkeys(found))

    def _smallest_budget(self, policy: Policy) -> float:
        """Tokens of one step of every trace and branch, of the task with the shortest steps."""
        return float(policy.width * np.min(self.tasks.tokens_per_step))

    def _range(self, policy: Policy) -> tuple[float, float]:
        tasks, problem = self.tasks, self.problem
        width = policy.width * tasks.tokens_per_step
        low, high = problem.token_budget
        low = max(low, self._smallest_budget(policy))
        longest = float(np.max(width * tasks.max_steps))
        if problem.charge_budget:
            most = np.minimum(self.caps[0], self.caps[2]) / problem.tasks_served
            affordable = float(np.max(most)) / (2.0 * problem.space.parameters[0])
            longest = min(longest, affordable)
        return low, max(low, min(high, longest))

    def _search(self, policy: Policy, known: list[SharedPlan]) -> list[SharedPlan]:
        low, high = self._range(policy)
        count = len(self.budgets)
        edges = np.geomspace(low, high, ROOT_INTERVALS + 1) if high > low else np.array([low])
        edges[0], edges[-1] = low, high
        case = np.repeat(np.arange(count), edges.size)
        nodes = np.tile(edges, count)
        state = _Nodes(self, policy, np.array([plan.value for plan in known]))
        state.add(case, nodes)
        if high > low:
            first = np.flatnonzero(np.arange(case.size) % edges.size < edges.size - 1)
            left, right = first, first + 1
            left, right, upper = state.bounded(left, right)
            closed = np.full(count, -np.inf)
            for _ in range(MAX_WAVES):
                wanted = upper > state.best[state.case[left]] + self.gap
                thin = state.budget[right] <= state.budget[left] * (1.0 + 1e-13)
                np.maximum.at(closed, state.case[left[~wanted | thin]], upper[~wanted | thin])
                left, right = left[wanted & ~thin], right[wanted & ~thin]
                if left.size == 0:
                    upper = upper[:0]
                    break
                if state.case.size > MAX_NODES:
                    upper = upper[wanted & ~thin]
                    break
                middle = state.add(
                    state.case[left], np.sqrt(state.budget[left] * state.budget[right])
                )
                left, right, upper = state.bounded(
                    np.concatenate([left, middle]), np.concatenate([middle, right])
                )
            np.maximum.at(closed, state.case[left], upper)
        else:
            closed = np.full(count, -np.inf)
        return state.plans(closed, self.gap)


class _Nodes:
    """Token budgets that were examined: least loss, and what the plan there solves."""

    def __init__(self, search: SharedSearch, policy: Policy, best: FloatArray) -> None:
        self.search, self.policy = search, policy
        self.case = np.zeros(0, dtype=np.intp)
        self.budget, self.loss = np.zeros(0), np.zeros(0)
        self.value, self.size, self.reached = np.zeros(0), np.zeros(0), np.zeros(0)
        self.best = best.copy()

    def add(self, case: IntArray, budget: FloatArray) -> IntArray:
        """Examine token budgets and return the indices of their nodes."""
        search, policy = self.search, self.policy
        loss, size = search.best_loss(policy, case, budget)
        if search.problem.charge_budget:
            reached = loss
        else:
            reached, size = search.attained(policy, case, budget, loss)
        value = self._solved(reached, budget)
        value = np.where(np.isfinite(reached), value, -np.inf)
        index = np.arange(self.case.size, self.case.size + case.size)
        self.case = np.concatenate([self.case, case])
        self.budget = np.concatenate([self.budget, budget])
        self.loss = np.concatenate([self.loss, loss])
        self.size = np.concatenate([self.size, size])
        self.reached = np.concatenate([self.reached, reached])
        self.value = np.concatenate([self.value, value])
        np.maximum.at(self.best, case, value)
        return index

    def _solved(self, loss: FloatArray, budget: FloatArray) -> FloatArray:
        search = self.search
        levels = search.problem.levels
        rows = max(1, CHUNK // (len(search.tasks) * (1 if levels is None else levels.count)))
        parts = [
            search.success(self.policy, loss[i : i + rows], budget[i : i + rows]) @ search.weight
            for i in range(0, loss.size, rows)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def bounded(self, left: IntArray, right: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
        """Upper bounds of intervals between nodes, without those that no plan reaches."""
        possible = np.isfinite(self.loss[left])
        left, right = left[possible], right[possible]
        top = self.budget[right]
        if not self.search.problem.continuous_steps:
            # the right end was examined itself: in between one step less may be in reach
            top = top * (1.0 - 4e-12)
        return left, right, self._solved(self.loss[left], top)

    def _spans(self, near: IntArray) -> tuple[tuple[str, tuple[float, float]], ...]:
        decisions = {"token_budget": self.budget[near], "parameters": self.size[near]}
        training = self.search.training
        if not training.space.infinite_data:
            tokens = training.tokens(self.size[near], self.reached[near] * (1.0 + 1e-14))
            decisions["training_tokens"] = tokens
            decisions["tokens_per_parameter"] = tokens / self.size[near]
        return tuple(
            (name, (float(values.min()), float(values.max())))
            for name, values in decisions.items()
            if np.all(np.isfinite(values))
        )

    def plans(self, closed: FloatArray, gap: float) -> list[SharedPlan]:
        """The best node of every case."""
        plans = []
        for index, upper in enumerate(closed):
            mine = np.flatnonzero(self.case == index)
            best = mine[np.argmax(self.value[mine])]
            value = float(self.value[best])
            if not np.isfinite(value):
                plans.append(SharedPlan(-np.inf, float(max(upper, -np.inf))))
                continue
            near = mine[self.value[mine] >= value - gap]
            plans.append(
                SharedPlan(
                    value,
                    float(max(upper, value)),
                    self.policy,
                    float(self.budget[best]),
                    float(self.size[best]),
                    float(self.reached[best]),
                    self._spans(near),
                )
            )
        return plans
