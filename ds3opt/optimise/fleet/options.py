"""What every task may do on a fleet: policies of a trained model, and existing models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.fleet import Fleet
from ds3opt.fleet.models import shapes_at
from ds3opt.fleet.resources import ACCELERATOR_SECONDS, FLOP, JOULES, USES
from ds3opt.fleet.serving import (
    Deployment,
    Requests,
    Use,
    batch_of,
    deployment,
    used,
)
from ds3opt.optimise.fleet.requests import requests_of
from ds3opt.optimise.menu import Actions, Values, evaluate, first_actions

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

STEPS_PER_OCTAVE = 4
"""Density of the token budgets that are offered: steps at most 19 % apart."""
_COARSE = 1


@dataclass(frozen=True)
class Options:
    """Everything on offer in one cell, by task; an option is its index here."""

    task: IntArray
    policy: IntArray  # of the trained model; -1 for an existing model
    steps: FloatArray  # of one trace
    existing: IntArray  # index of an existing model's offer; -1 for the trained model
    period: IntArray  # in which it is served
    coarse: NDArray[np.bool_]  # whether it belongs to a thinner menu, good enough to find prices
    requests: Requests  # of options of the trained model; of no meaning for others

    def __len__(self) -> int:
        return int(self.task.size)


def options_of(fleet: Fleet, *, trained: bool, actions: Actions | None = None) -> Options:
    """The options of all tasks, with a trained model or without.

    Parameters
    ----------
    actions : all that a trained model may do, in place of every policy and token budget.
    """
    problem = fleet.problem
    if trained:
        chosen = first_actions(problem, STEPS_PER_OCTAVE) if actions is None else actions
        task, policy, steps = chosen.task, chosen.policy, chosen.steps
        coarse = np.ones(task.size, bool)
        if actions is None:
            thin = first_actions(problem, _COARSE)
            among = (thin.task, thin.policy, thin.steps)
            coarse = _member((task, policy, steps), among, len(problem.policies))
        existing = np.full(task.size, -1, dtype=np.intp)
    else:
        task = policy = existing = np.zeros(0, dtype=np.intp)
        steps, coarse = np.zeros(0), np.zeros(0, bool)
    if fleet.offered is not None:
        count = len(fleet.offered)
        task = np.concatenate([task, fleet.offered.task])
        policy = np.concatenate([policy, np.full(count, -1)])
        steps = np.concatenate([steps, np.ones(count)])
        existing = np.concatenate([existing, np.arange(count)])
        coarse = np.concatenate([coarse, np.ones(count, bool)])
    of_task = fleet.task_period[task]
    when = np.where(of_task < 0, 0, of_task)
    parts = [np.arange(task.size)]
    periods = [when]
    patient = np.flatnonzero(of_task < 0)
    for period in range(1, len(fleet.periods)):
        parts.append(patient)
        periods.append(np.full(patient.size, period))
    index, period_of = np.concatenate(parts), np.concatenate(periods)
    order = np.lexsort((steps[index], policy[index], task[index]))
    index, period_of = index[order], period_of[order]
    task, policy, steps = task[index], policy[index], steps[index]
    return Options(
        task=task.astype(np.intp),
        policy=policy.astype(np.intp),
        steps=steps,
        existing=existing[index].astype(np.intp),
        period=period_of.astype(np.intp),
        coarse=coarse[index],
        requests=requests_of(fleet, task, policy, steps),
    )


def _member(
    keys: tuple[IntArray, IntArray, FloatArray],
    among: tuple[IntArray, IntArray, FloatArray],
    policies: int,
) -> NDArray[np.bool_]:
    first = (keys[0] * policies + keys[1]) + 1j * keys[2]
    second = (among[0] * policies + among[1]) + 1j * among[2]
    return np.asarray(np.isin(first, second))


@dataclass(frozen=True)
class Evaluated:
    """Options at a loss and a shape, (option,)."""

    success: FloatArray
    uses: FloatArray  # (option, use); inf where it cannot be served
    trace_tokens: FloatArray  # of one trace on average


class Evaluator:
    """Success and use of options at losses and shapes; remembers replicas and batches by shape."""

    def __init__(self, fleet: Fleet, options: Options) -> None:
        self.fleet = fleet
        self.options = options
        self._batches: dict[int, FloatArray] = {}
        self._placed: dict[int, Deployment] = {}

    def __call__(
        self,
        index: IntArray,
        loss: FloatArray,
        low: IntArray,
        high: IntArray,
        *,
        most: bool = False,
    ) -> Evaluated:
        """Options at an index, each at its loss and over its range of shapes.

        Over several shapes uses are bounds: the least that any of them takes, or the `most`.
        """
        fleet, options = self.fleet, self.options
        uses = np.zeros((index.size, USES))
        success, trace = np.zeros(index.size), np.zeros(index.size)
        existing = options.existing[index]
        old = np.flatnonzero(existing >= 0)
        if old.size:
            assert fleet.offered is not None
            success[old] = fleet.offered.success[existing[old]]
            uses[old] = fleet.offered.uses[existing[old]]
        new = np.flatnonzero(existing < 0)
        if new.size == 0:
            return Evaluated(success, uses, trace)
        of = index[new]
        values, trace[new] = self._values(of, loss[new])
        success[new] = values.success
        assert fleet.models is not None
        size = high[new] if most else low[new]
        active, attention = fleet.models.active[size], fleet.models.attention[size]
        uses[new, FLOP] = (
            2.0 * (active * values.tokens + attention * values.pairs) + values.checking
        )
        if fleet.server is not None:
            use = self._served(of, trace[new], values.checking, low[new], high[new], most)
            uses[new, ACCELERATOR_SECONDS], uses[new, JOULES] = use.accelerator_seconds, use.joules
        return Evaluated(success, uses, trace)

    def _values(self, of: IntArray, loss: FloatArray) -> tuple[Values, FloatArray]:
        """Success and tokens, worked out once for options at the same loss in several cells."""
        options, fleet = self.options, self.fleet
        losses, at = np.unique(loss, return_inverse=True)
        key = at * len(options) + of
        pairs, back = np.unique(key, return_inverse=True)
        option, number = pairs % len(options), pairs // len(options)
        task, policy, steps = options.task[option], options.policy[option], options.steps[option]
        actions = Actions(number, task, policy, steps, steps, steps)
        found = evaluate(fleet.problem, actions, losses[number])
        requests = options.requests
        prompts = requests.samples[option] * requests.prompt_tokens[option]
        output = found.tokens - prompts if fleet.problem.prefill else found.tokens
        trace = output / requests.width[option]
        names = ("success", "slack", "tokens", "pairs", "pair_slack", "checking")
        return Values(*(getattr(found, n)[back] for n in names)), trace[back]

    def _served(
        self,
        of: IntArray,
        trace: FloatArray,
        checking: FloatArray,
        low: IntArray,
        high: IntArray,
        most: bool,
    ) -> Use:
        seconds, joules = np.empty(of.size), np.empty(of.size)
        alone = low == high
        one, several = np.flatnonzero(alone), np.flatnonzero(~alone)
        if one.size:
            use = self._exact(of[one], trace[one], checking[one], low[one])
            seconds[one], joules[one] = use.accelerator_seconds, use.joules
        if several.size:
            bound = self._bound(
                of[several], trace[several], checking[several], low[several], high[several], most
            )
            seconds[several], joules[several] = bound.accelerator_seconds, bound.joules
        return Use(seconds, joules)

    def _exact(self, of: IntArray, trace: FloatArray, checking: FloatArray, shape: IntArray) -> Use:
        fleet = self.fleet
        assert fleet.server is not None
        assert fleet.models is not None
        placed = [self.placed(int(s)) for s in np.unique(shape)]
        which = np.searchsorted(np.unique(shape), shape)
        accelerators = np.stack([p.accelerators for p in placed])[which, of]
        sequences = np.stack([p.sequences for p in placed])[which, of]
        return used(
            fleet.server,
            shapes_at(fleet.models.shape, shape),
            self.options.requests.take(of),
            trace,
            accelerators,
            sequences,
            checking,
        )

    def _bound(
        self,
        of: IntArray,
        trace: FloatArray,
        checking: FloatArray,
        low: IntArray,
        high: IntArray,
        most: bool,
    ) -> Use:
        """Least or most use over a range of shapes, whatever the replica."""
        fleet = self.fleet
        assert fleet.server is not None
        assert fleet.models is not None
        at = high if most else low
        shape = shapes_at(fleet.models.shape, at)
        requests = self.options.requests.take(of)
        batches = self._batches_of(at, of)
        # a replica too small for the smallest shape serves none of the range
        offered = self._batches_of(low, of) >= 1.0
        seconds = np.full(of.size, -np.inf if most else np.inf)
        joules = seconds.copy()
        choose = np.maximum if most else np.minimum
        for number, size in enumerate(fleet.server.replica_sizes):
            use = used(fleet.server, shape, requests, trace, size, batches[:, number], checking)
            there = offered[:, number]
            seconds = np.where(there, choose(seconds, use.accelerator_seconds), seconds)
            joules = np.where(there, choose(joules, use.joules), joules)
        none = ~np.any(offered, axis=1)
        return Use(np.where(none, np.inf, seconds), np.where(none, np.inf, joules))

    def _batches_of(self, shape: IntArray, of: IntArray) -> FloatArray:
        """Sequences of a replica for options at shapes, (option, size)."""
        unique = np.unique(shape)
        stacked = np.stack([self._batch(int(s)) for s in unique])
        return np.asarray(stacked[np.searchsorted(unique, shape), of])

    def _batch(self, shape: int) -> FloatArray:
        """Sequences of a replica for every option and size of replica, (option, size)."""
        if shape not in self._batches:
            fleet, requests = self.fleet, self.options.requests
            assert fleet.server is not None
            assert fleet.models is not None
            each = shapes_at(fleet.models.shape, np.full(len(self.options), shape))
            columns = [
                batch_of(fleet.server, each, requests, size) for size in fleet.server.replica_sizes
            ]
            self._batches[shape] = np.stack(columns, axis=1)
        return self._batches[shape]

    def placed(self, shape: int) -> Deployment:
        """Replica and batch of every option at a shape: those of least accelerator time."""
        if shape not in self._placed:
            fleet, requests = self.fleet, self.options.requests
            assert fleet.server is not None
            assert fleet.models is not None
            each = shapes_at(fleet.models.shape, np.full(len(self.options), shape))
            batches = self._batch(shape).T
            self._placed[shape] = deployment(fleet.server, each, requests, list(batches))
        return self._placed[shape]
