"""Best of n: independent traces, of chain or tree of thought, and an outcome verifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ds3opt.laws.voting import verified_choice_success
from ds3opt.policies.base import FloatArray, Policy, TaskTraits, VerifierKind
from ds3opt.policies.tree_of_thought import verified_level


@dataclass(frozen=True)
class BestOfN(Policy):
    """`samples` traces, one chosen among those that the verifier accepts, DS3 (32)-(37)."""

    name: ClassVar[str] = "best_of_n"
    needs: ClassVar[VerifierKind] = VerifierKind.OUTCOME

    def level(
        self, step_success: FloatArray, fatigue: FloatArray, traits: TaskTraits
    ) -> tuple[FloatArray, FloatArray]:
        """A level of chain of thought, or of tree of thought where branches > 1."""
        return verified_level(self.branches, step_success, fatigue, traits)

    def answer_success(self, trace_success: FloatArray, traits: TaskTraits) -> FloatArray:
        """A right answer is chosen; `1 - (1 - x)**samples` with a perfect verifier."""
        return verified_choice_success(
            trace_success, self.samples, traits.true_positive_rate, traits.false_positive_rate
        )

    def answer_slope(
        self, low: FloatArray, high: FloatArray, traits: TaskTraits
    ) -> tuple[FloatArray, FloatArray]:
        """Bounds from ``V(x) = x h(a)``, h falling and convex in the rate of acceptance a."""
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
        return slope, curvature

    @property
    def outcome_checks(self) -> int:
        """Every trace is judged once."""
        return self.samples

    @property
    def checks_steps(self) -> bool:
        """Candidate steps are judged where the traces are trees of thought."""
        return self.branches > 1

    def options(self) -> dict[str, int]:
        """Traces, and candidate steps a level where there are several."""
        if self.branches > 1:
            return {"samples": self.samples, "branches": self.branches}
        return {"samples": self.samples}

    def words(self) -> str:
        """As a planner would say it."""
        if self.branches > 1:
            return f"best of {self.samples} over tree of thought, {self.branches} branches"
        return f"best of {self.samples}"
