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

from ds3opt.optimise.shared_laws import SharedLaws, Use
from ds3opt.optimise.training import Training
from ds3opt.policies import Policy
from ds3opt.problem import Budgets, Problem

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

ROOT_INTERVALS = 24
MAX_WAVES = 60
MAX_NODES = 100_000
"""Token budgets to examine before giving up on the gap."""
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


class SharedSearch(SharedLaws):
    """The search over one shared token budget."""

    def __init__(self, problem: Problem, budgets: list[Budgets], gap: float) -> None:
        super().__init__(problem)
        self.budgets, self.gap = budgets, gap
        self.training = Training(problem.space)
        self.caps = np.array([(b.total_flop, b.training_flop, b.inference_flop) for b in budgets]).T
        self.weight = self.tasks.weight * self.tasks.value

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
