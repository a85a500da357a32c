"""A scenario on hardware by brute force: shapes one by one, batches one by one, a plain programme.

Written from the formulas of the theory with own arithmetic: traces are counted level by level, a
replica's sequences are tried one after the other, and mixes are left to scipy's HiGHS. It shares
nothing with the search but the laws of voting and of populations. Slow and literal.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from oracles.fleet_machine import Shape
from oracles.fleet_resources import Resources
from oracles.fleet_ways import Way, Ways
from scipy.optimize import linprog


class Bench(Ways, Resources):
    """A scenario taken apart."""

    def best_mix(self, shape: Shape | None, tokens: float, ways: list[Way], at: int) -> Mixed:
        """The optimum of the mix by linear programming; -inf where there is none."""
        scenario, rows, periods = self.scenario, self.rows(), self.periods()
        tasks = scenario.workload.tasks
        objective = scenario.objective
        target = None if isinstance(objective, str) else objective
        flop = 0.0 if shape is None else tokens * self.flop_per_token(shape)
        if shape is not None and not self.may_train(shape, flop):
            return Mixed(-math.inf)
        gains, columns, parts, keys = [], [], [], []
        needy = [g for g, t in enumerate(scenario.workload.mix) if t.min_accuracy > 0.0]
        number = 0
        for index, point in enumerate(self.tasks):
            for weight, when in self.arrivals(index):
                for way in ways:
                    if way.task != index:
                        continue
                    i = at if way.trained else 0
                    use = tuple(
                        tasks * weight * float(u)
                        for u in (way.flop[i], way.seconds[i], way.joules[i], way.dollars)
                    )
                    success = weight * float(way.success[i])
                    for p in when:
                        column = [self.takes(n, q, p, use) / limit for n, limit, q in rows]
                        column += [-success if point.group == g else 0.0 for g in needy]
                        if target is not None:
                            column.append(-success)
                            gain = -self.takes(target.minimise, None, p, use)
                        elif objective == "net_value":
                            gain = tasks * success * point.task.value
                            gain -= self.takes("cost", None, p, use)
                        else:
                            gain = success * (point.task.value if objective == "value" else 1.0)
                        gains.append(gain)
                        columns.append(column)
                        parts.append(number)
                        keys.append((index, way.label, p))
                number += 1
        right = [1.0] * len(rows)
        right += [-scenario.workload.mix[g].min_accuracy * scenario.workload.mix[g].share
                  for g in needy]  # fmt: skip
        if target is not None:
            right.append(-target.accuracy)
        for p in range(len(periods)):  # training in each period
            column = [flop * self.training_takes(n, limit, q, p) for n, limit, q in rows]
            column += [0.0] * (len(right) - len(rows))
            name = target.minimise if target is not None else "cost"
            counts = target is not None or objective == "net_value"
            gains.append(-flop * self.trained(name, p) if counts else 0.0)
            columns.append(column)
        served = len(parts)
        one = np.zeros((number, len(gains)))
        one[parts, np.arange(served)] = 1.0
        upper = np.vstack([np.array(columns).T.reshape(len(right), len(gains)), one])
        limit = np.concatenate([right, np.ones(number)])
        equal = np.zeros((1, len(gains)))
        equal[0, served:] = 1.0
        size = max(np.max(np.abs(gains), initial=0.0), 1e-300)
        result = linprog(
            -np.array(gains) / size, A_ub=upper, b_ub=limit, A_eq=equal, b_eq=[1.0],
            method="highs",
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        )  # fmt: skip
        if result.status != 0:
            return Mixed(-math.inf)
        chosen = {keys[i]: result.x[i] for i in range(served) if result.x[i] > 1e-9}
        used = upper[: len(rows)] @ result.x
        return Mixed(float(np.array(gains) @ result.x), chosen, used)

    def values(self, shape: Shape | None, tokens: np.ndarray) -> list[float]:
        """The best value of one shape at several numbers of training tokens."""
        if shape is None:
            return [self.best_mix(None, 0.0, self.old, 0).value]
        ways = self.ways(shape, self.loss(shape, tokens)) + self.old
        return [self.best_mix(shape, float(t), ways, i).value for i, t in enumerate(tokens)]

    def best(
        self, start: tuple[float, float] | None, *, shapes: int = 10, side: int = 8, rounds: int = 3
    ) -> tuple[float, str]:
        """The best value of a scan over shapes and tokens that closes in, and where it is."""
        found: list[tuple[float, int, float]] = []
        if self.old:
            found.append((self.values(None, np.zeros(1))[0], -1, 0.0))
        every = [(i, self.token_range(s)) for i, s in enumerate(self.shapes)]
        able = {i: span for i, span in every if span is not None}
        picks = sorted({list(able)[round(x)] for x in np.linspace(0, len(able) - 1, shapes)}
                       if able else [])  # fmt: skip
        for i in picks:
            tokens = np.exp(np.linspace(*np.log(able[i]), side))
            tokens = np.clip(tokens, *able[i])
            scores = self.values(self.shapes[i], tokens)
            found += [(v, i, float(t)) for v, t in zip(scores, tokens, strict=True)]
        centres = sorted([f for f in found if f[1] >= 0 and f[0] > -math.inf], reverse=True)[:1]
        if start is not None:
            near = min(able, key=lambda i: abs(self.shapes[i].total / start[0] - 1.0), default=None)
            if near is not None:
                centres.append((-math.inf, near, start[1]))
        stride = max(1, max((b - a for a, b in itertools.pairwise(picks)), default=1) // 2)
        for value, i, middle in centres:
            near_by = start is not None and (value == -math.inf)
            width, step = (0.3 if near_by else 1.0), (1 if near_by else stride)
            for _ in range(rounds):
                batch = []
                for j in {i - step, i, i + step} & set(able):
                    tokens = np.unique(
                        np.clip(middle * np.exp(width * np.linspace(-1, 1, 5)), *able[j])
                    )
                    scores = self.values(self.shapes[j], tokens)
                    batch += [(v, j, float(t)) for v, t in zip(scores, tokens, strict=True)]
                if not batch:
                    break
                found += batch
                _, i, middle = max(batch)
                width, step = 0.4 * width, max(1, step // 2)
        value, i, tokens_at = max(found, default=(-math.inf, -1, 0.0))
        size = self.shapes[i].total if i >= 0 else 0.0
        return value, f"at {size:.6g} parameters and {tokens_at:.6g} tokens"

    # -- a printed answer ---------------------------------------------------------------------

    def reviewed(self, solution: Any) -> Reviewed:
        """A printed answer counted again, row by row."""
        scenario, tasks = self.scenario, self.scenario.workload.tasks
        shape, flop, ways = None, 0.0, list(self.old)
        if solution.parameters is not None:
            shape = min(self.shapes, key=lambda s: abs(s.total / solution.parameters - 1.0))
            tokens = np.array([solution.training_tokens])
            flop = float(tokens[0]) * self.flop_per_token(shape)
            ways = self.ways(shape, self.loss(shape, tokens)) + ways
        periods = self.periods()
        by_key = {(w.task, w.label): w for w in ways}
        rows = self.rows()
        used = np.zeros(len(rows))
        amounts: dict[tuple[int, int], float] = {}
        success = np.zeros(len(scenario.workload.mix))
        worth = spent = 0.0
        objective = scenario.objective
        name = objective if isinstance(objective, str) else objective.minimise
        name = "cost" if name == "net_value" else name
        late = 0.0
        for row in solution.tasks:
            index = next(
                i for i, p in enumerate(self.tasks)
                if p.task.name == row.name and p.difficulty == row.difficulty
                and p.skills == row.skills
            )  # fmt: skip
            point = self.tasks[index]
            when = [
                p for p, (n, _, _) in enumerate(periods) if n == row.period or len(periods) == 1
            ]
            amounts[index, when[0] if when else -1] = (
                amounts.get((index, when[0] if when else -1), 0.0) + row.share
            )
            if not row.attempted:
                continue
            way = by_key[index, self._label(row, index)]
            use = tuple(
                tasks * row.share * float(u)
                for u in (way.flop[0], way.seconds[0], way.joules[0], way.dollars)
            )
            for r, (n, limit, q) in enumerate(rows):
                used[r] += self.takes(n, q, when[0], use) / limit
            success[point.group] += row.share * float(way.success[0])
            worth += row.share * float(way.success[0]) * point.task.value
            spent += self.takes(name, None, when[0], use)
            if point.task.max_latency is not None and not math.isnan(way.latency):
                late = max(late, way.latency / point.task.max_latency)
        placed = [1.0] if len(periods) == 1 else [p.share_of_training for p in solution.periods]
        for p, part in enumerate(placed):
            for r, (n, limit, q) in enumerate(rows):
                used[r] += part * flop * self.training_takes(n, limit, q, p)
            spent += part * flop * self.trained(name, p)
        if isinstance(objective, str):
            value = float(success.sum())
            if objective != "accuracy":
                value = worth
            if objective == "net_value":
                value = tasks * worth - spent
        else:
            value = -spent
        return Reviewed(
            value, used, success, late, shape is None or self.may_train(shape, flop), amounts
        )

    def _label(self, row: Any, index: int) -> tuple[Any, ...]:
        if row.model is None:
            p = row.policy
            return (p.name, p.samples, p.branches, round(row.steps))
        candidate = next(c for c in self.scenario.model.candidates if c.name == row.model)
        if row.policy is not None and row.name in candidate.measured:
            return (row.model, row.policy.name, row.policy.samples)
        if row.policy is not None:
            p, task = row.policy, self.tasks[index].task
            per_step = task.tokens_per_step or self.scenario.reasoning.tokens_per_step
            steps = round(row.token_budget / (p.samples * p.branches * per_step))
            return (row.model, p.name, p.samples, p.branches, steps)
        outcomes = candidate.measured[self.tasks[index].task.name].outcomes
        for number, one in enumerate(outcomes):
            words = one.policy if one.samples == 1 else f"{one.policy}, {one.samples} traces"
            if words == row.way and one.accuracy == row.accuracy:
                return (row.model, number)
        raise AssertionError(f"no outcome is called {row.way}")


class Mixed(NamedTuple):
    """A linear programme's answer."""

    value: float
    chosen: dict[tuple[Any, ...], float] = {}  # noqa: RUF012 - never changed
    used: Any = None


class Reviewed(NamedTuple):
    """A printed answer counted again."""

    value: float
    used: np.ndarray  # parts of upper limits
    success: np.ndarray  # (class,) weighted
    late: float  # the most latency over its limit
    trainable: bool
    amounts: dict[tuple[int, int], float]
