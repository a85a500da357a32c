"""The plan that is best over all draws of a scenario together, with its certificate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import UsageError
from ds3opt.optimise.menu import Actions
from ds3opt.optimise.solution import Solution
from ds3opt.optimise.training import Training
from ds3opt.problem import Budgets, Problem
from ds3opt.uncertainty.robust.averages import Weights
from ds3opt.uncertainty.robust.ensemble import Ensemble, refuse_unplanned
from ds3opt.uncertainty.robust.nearby import Spot, best_at, climbed_from, near_actions
from ds3opt.uncertainty.robust.plan import Choice, Plan, Score, score_plan
from ds3opt.uncertainty.robust.regions import for_worst_draws
from ds3opt.uncertainty.robust.search import RobustSearch
from ds3opt.uncertainty.robust.tail import tail_mean

FloatArray = NDArray[np.float64]
Progress = Callable[[str, float], None]

MAX_CELLS = 20_000


@dataclass(frozen=True)
class RobustPlan:
    """One plan for all draws, and between which values the best such plan lies."""

    plan: Plan
    score: Score
    """What it reaches and takes in every draw."""
    tail: float
    """Part of the draws, the worst, whose mean is the objective; 1 for all."""
    value: float
    """Mean of the objective over the tail."""
    upper: float
    """No plan has more, over these draws."""
    requested_gap: float
    limits: Budgets
    """Kept on average over the draws: the means of their own."""

    @property
    def parameters(self) -> float:
        """Size of the model."""
        return self.plan.parameters

    @property
    def training_tokens(self) -> float:
        """Of the model; inf where data is infinite, or training is left out."""
        return self.plan.training_tokens

    @property
    def values(self) -> FloatArray:
        """The objective in every draw, (draw,)."""
        return self.score.value

    @property
    def used(self) -> dict[str, FloatArray]:
        """FLOP in every draw under the names of limits, (draw,)."""
        return self.score.used

    @property
    def gap(self) -> float:
        """Distance between the bounds."""
        return self.upper - self.value

    @property
    def converged(self) -> bool:
        """Whether the gap that was asked for is reached."""
        return self.gap <= self.requested_gap * (1.0 + 1e-9)


def robust_plan(
    problems: Sequence[Problem],
    *,
    tail: float = 1.0,
    gap: float = 1e-3,
    start: Sequence[Plan | Solution] = (),
    max_cells: int = MAX_CELLS,
    progress: Progress | None = None,
) -> RobustPlan | None:
    """The one plan that is best over all draws of a scenario; None if none keeps the limits.

    Parameters
    ----------
    problems : one compiled problem for each draw; they differ in numbers only.
    tail : in (0, 1], part of the draws, the worst, over which the objective's mean is maximised.
    gap : absolute distance between value and upper bound to stop at.
    start : plans that may be good ones, such as the point estimate's.
    max_cells : cells of the search after which it stops with the gap that it has.
    progress : called with a stage and the fraction of it that is done.

    Raises
    ------
    UsageError : for a tail or gap out of range, draws that differ in more than numbers, and what
        has no robust plan: another objective than accuracy or value, one token budget for all
        classes, skill graphs, and required accuracies together with a tail or drawn values.

    Notes
    -----
    Limits hold on average: mean use over the draws is at most the mean of their limits, where these
    differ. Required accuracies hold for the class's mean accuracy, by its share. What can be
    trained must be allowed by every draw. Where a draw's context has room for fewer steps than a
    plan takes, its traces end there.

    The bound for a tail is that of the best weights of the draws that were found (`tail`), for
    several ranges of models where it takes that (`regions`). Where it stays above the best plan by
    more than the gap asked for, the gap says so.
    """
    if not 0.0 < tail <= 1.0:
        raise UsageError(f"the tail must be in (0, 1], got {tail:g}")
    if not gap > 0.0:
        raise UsageError(f"the gap must be above 0, got {gap:g}")
    ensemble = Ensemble.of(problems).searched(gap, max_cells)
    refuse_unplanned(problems[0])
    _refuse_required(ensemble, tail)
    even = np.full(len(ensemble), 1.0 / len(ensemble))
    known = _best_start(ensemble, even, [_as_plan(one) for one in start])
    if tail < 1.0 and len(ensemble) > 1:
        worst = for_worst_draws(ensemble, tail, gap, known, progress)
        if worst is None:
            return None
        best = worst.best
        plan = _plan(ensemble, best.parameters, best.training_tokens, best.actions, worst.amount)
        return _certified(ensemble, plan, tail, worst.upper, gap)
    budgets = ensemble.common.budgets
    search = RobustSearch(
        ensemble.common, [budgets], gap, ensemble=ensemble, draws=even, best=known
    )
    search.progress = progress
    upper = search.run()[0].upper
    if search.best is None:
        return None
    found = climbed_from(ensemble, search.weights, budgets, search.best)
    return _certified(ensemble, _plan_of(ensemble, found), tail, upper, gap)


def _as_plan(start: Plan | Solution) -> Plan:
    return Plan.of(start) if isinstance(start, Solution) else start


def _refuse_required(ensemble: Ensemble, tail: float) -> None:
    tasks = ensemble.common.tasks
    assert tasks is not None
    if not np.any(tasks.group_min_accuracy > 0.0):
        return
    if tail < 1.0:
        raise UsageError("required accuracies (min_accuracy) go with tail = 1 only")
    if np.any(ensemble.worth != ensemble.worth[0]):
        raise UsageError("required accuracies (min_accuracy) do not go with values that are drawn")


def _best_start(ensemble: Ensemble, draws: FloatArray, plans: Sequence[Plan]) -> Spot | None:
    """The best mix at the models of some plans; models that not every draw allows are left out."""
    budgets, weights = ensemble.common.budgets, Weights.of(ensemble, draws)
    training, best = Training(ensemble.common.space), None
    low, high = training.space.parameters
    for plan in plans:
        if not low <= plan.parameters <= high:
            continue
        size, tokens = np.array([plan.parameters]), np.array([plan.training_tokens])
        loss = float(training.reached_loss(size, tokens)[0]) * (1.0 + 1e-12)
        if not np.isfinite(training.flop(size, np.array([loss]))[0]):
            continue
        actions = near_actions(ensemble, weights, budgets, plan.parameters, loss)
        found = best_at(ensemble, weights, budgets, actions, plan.parameters, loss)
        if found is not None and (best is None or found.value > best.value):
            best = found
    return best


def _plan_of(ensemble: Ensemble, found: Spot) -> Plan:
    mix = found.mix
    return _plan(ensemble, found.parameters, found.training_tokens, mix.actions, mix.amount)


def _plan(
    ensemble: Ensemble, parameters: float, tokens: float, actions: Actions, amount: FloatArray
) -> Plan:
    return Plan(
        parameters,
        tokens,
        tuple(
            Choice(
                int(actions.task[i]),
                ensemble.common.policies[actions.policy[i]],
                float(actions.steps[i]),
                float(amount[i]),
            )
            for i in np.flatnonzero(amount > 0.0)
        ),
    )


def _certified(ensemble: Ensemble, plan: Plan, tail: float, upper: float, gap: float) -> RobustPlan:
    score = score_plan(ensemble, plan)
    value = tail_mean(score.value, tail)
    limits = ensemble.common.budgets
    return RobustPlan(plan, score, tail, value, max(upper, value), gap, limits)
