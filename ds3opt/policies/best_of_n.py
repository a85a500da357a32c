"""Best of n: independent traces, of chain or tree of thought, and an outcome verifier."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from ds3opt.laws.populations import Population
from ds3opt.laws.saturation import verified_choice_limit
from ds3opt.laws.scored_choice import scored_choice_curvature, scored_choice_success
from ds3opt.laws.tilt import tilted_success
from ds3opt.policies.base import (
    FloatArray,
    Policy,
    TaskTraits,
    VerifierKind,
    chosen_success,
)
from ds3opt.policies.tree_of_thought import verified_level

_GRID = np.concatenate([[0.0], np.geomspace(1e-8, 1.0, 241)])
"""Success of a trace at which bounds for a verifier that scores are tabulated."""


@dataclass(frozen=True)
class BestOfN(Policy):
    """`samples` traces, one chosen by the verifier, DS3 (32)-(37)."""

    name: ClassVar[str] = "best_of_n"
    needs: ClassVar[VerifierKind] = VerifierKind.OUTCOME

    def level(
        self, step_success: FloatArray, fatigue: FloatArray, traits: TaskTraits
    ) -> tuple[FloatArray, FloatArray]:
        """A level of chain of thought, or of tree of thought where branches > 1."""
        return verified_level(self.branches, step_success, fatigue, traits)

    def answer_success(self, trace_success: FloatArray, traits: TaskTraits) -> FloatArray:
        """A right answer is chosen; `1 - (1 - x)**samples` with a perfect verifier."""
        return chosen_success(trace_success, self.samples, traits)

    def covers(self, traits: TaskTraits) -> bool:
        """With a verifier that never errs."""
        return bool(np.all(traits.oracle()))

    def plateau(self, population: Population, traits: TaskTraits) -> float | None:
        """All that can be solved, or the share of right answers among those accepted."""
        return choice_plateau(population, traits)

    def answer_slope(
        self, low: FloatArray, high: FloatArray, traits: TaskTraits
    ) -> tuple[FloatArray, FloatArray]:
        """Bounds from ``V(x) = x h(a)``, h falling and convex in the rate of acceptance a.

        Of a verifier that scores, by their largest values from `low` on.
        """
        k = self.samples
        true, false = traits.true_positive_rate, traits.false_positive_rate
        spread = np.maximum(true - false, 0.0)
        accept = np.minimum(low * true + (1.0 - low) * false, 1.0)
        refuse = 1.0 - accept
        terms = 1.0 / np.maximum(accept, 1.0 / k)
        steep = np.minimum(0.5 * k * (k - 1.0), terms**2)
        last = refuse ** (k - 1)
        slope = np.minimum(true * terms + (1.0 - true) * last, float(k))
        steepness = true * steep + (1.0 - true) * (k - 1.0) * refuse ** max(k - 2, 0)
        curvature = 2.0 * spread * steepness
        perfect = (true == 1.0) & (false == 0.0)
        if np.any(perfect):
            slope = np.where(perfect, k * (1.0 - low) ** (k - 1), slope)
            curvature = np.where(perfect, k * (k - 1.0) * (1.0 - low) ** max(k - 2, 0), curvature)
        for d, here in traits.scoring():
            slopes, curvatures = _scored_bounds(k, d)
            at = np.clip(np.searchsorted(_GRID, low, side="right") - 1, 0, _GRID.size - 1)
            slope = np.where(here, slopes[at], slope)
            curvature = np.where(here, curvatures[at], curvature)
        return slope, curvature

    @property
    def outcome_checks(self) -> int:
        """Every trace is judged once."""
        return self.samples

    @property
    def checks_steps(self) -> bool:
        """Candidate steps are judged where the traces are trees of thought."""
        return self.branches > 1

    def options(self) -> dict[str, Any]:
        """Traces, and candidate steps a level where there are several."""
        if self.branches > 1:
            return {"samples": self.samples, "branches": self.branches}
        return {"samples": self.samples}

    def words(self) -> str:
        """As a planner would say it."""
        if self.branches > 1:
            return f"best of {self.samples} over tree of thought, {self.branches} branches"
        return f"best of {self.samples}"


def choice_plateau(population: Population, traits: TaskTraits, tilt: float = 1.0) -> float | None:
    """Share of problems that the verifier's choice among ever more traces solves.

    The best of ever more scores is a right one wherever there is one, however little they tell.
    """
    if np.all(traits.oracle()) or any(d > 0.0 for d, _ in traits.scoring()):
        return population.solvable
    if traits.scoring():
        return population.limit(lambda chance: tilted_success(chance, tilt))
    true, false = float(traits.true_positive_rate[0]), float(traits.false_positive_rate[0])
    return population.limit(
        lambda chance: verified_choice_limit(tilted_success(chance, tilt), true, false)
    )


@lru_cache(maxsize=256)
def _scored_bounds(samples: int, discrimination: float) -> tuple[FloatArray, FloatArray]:
    """Largest slope and minus second derivative from each point of the grid on."""
    slope = scored_choice_success(_GRID, samples, discrimination, relative=True)
    curvature = scored_choice_curvature(_GRID, samples, discrimination)
    return slope * (1.0 + 1e-9), curvature * (1.0 + 1e-9)
