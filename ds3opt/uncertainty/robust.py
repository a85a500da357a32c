"""The plan that is best over all draws of a scenario together, with its certificate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds3opt.errors import UsageError
from ds3opt.optimise.solution import Solution
from ds3opt.optimise.training import Training
from ds3opt.problem import Budgets, Problem
from ds3opt.uncertainty.averages import Weights
from ds3opt.uncertainty.ensemble import Ensemble
from ds3opt.uncertainty.nearby import Spot, best_at, climbed, near_actions
from ds3opt.uncertainty.plan import Choice, Plan, Score, score_plan
from ds3opt.uncertainty.search import RobustSearch

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
    def gap(self) -> float:
        """Distance between the bounds."""
        return self.upper - self.value

    @property
    def converged(self) -> bool:
        """Whether the gap that was asked for is reached."""
        return self.gap <= self.requested_gap * (1.0 + 1e-9)
