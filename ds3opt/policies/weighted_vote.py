"""Weighted vote: independent traces vote, each with the weight that a verifier gives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ds3opt.laws.populations import Population
from ds3opt.policies.base import FloatArray, Policy, TaskTraits, VerifierKind
from ds3opt.policies.majority_vote import vote_plateau_over, vote_slope, vote_success


@dataclass(frozen=True)
class WeightedVote(Policy):
    """`samples` traces vote; right ones weigh `weight_ratio` times as much, Wu et al."""

    name: ClassVar[str] = "weighted_vote"
    needs: ClassVar[VerifierKind] = VerifierKind.OUTCOME

    weight_ratio: float = 1.0
    """Mean weight of a right vote over that of a wrong one."""

    @property
    def needs_wrong_answers(self) -> bool:
        """A vote depends on what else is voted for."""
        return True

    def answer_success(self, trace_success: FloatArray, traits: TaskTraits) -> FloatArray:
        """The right answer has the most weight, ties drawn at random."""
        return vote_success(trace_success, self.samples, traits, self.weight_ratio)

    def answer_slope(
        self, low: FloatArray, high: FloatArray, traits: TaskTraits
    ) -> tuple[FloatArray, FloatArray]:
        """Bounds from the Bernstein form of the vote."""
        return vote_slope(low, high, self.samples, traits, self.weight_ratio)

    def plateau(self, population: Population, traits: TaskTraits) -> float | None:
        """Problems whose right answer outweighs the most frequent wrong one."""
        return vote_plateau_over(population, traits, self.weight_ratio)

    @property
    def outcome_checks(self) -> int:
        """Every trace is scored once."""
        return self.samples

    def options(self) -> dict[str, Any]:
        """Traces that vote, and what a right one weighs."""
        return {"samples": self.samples, "weight_ratio": self.weight_ratio}

    def words(self) -> str:
        """As a planner would say it."""
        return f"weighted vote of {self.samples}, weight ratio {self.weight_ratio:g}"
