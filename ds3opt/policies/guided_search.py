"""What searches guided by a reward model have in common: tilted odds, an overhead, and a choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ds3opt.laws.populations import Population
from ds3opt.laws.tilt import tilt_slopes, tilted_success
from ds3opt.policies.base import FloatArray, Policy, TaskTraits, VerifierKind
from ds3opt.policies.best_of_n import BestOfN, choice_plateau
from ds3opt.policies.majority_vote import MajorityVote, vote_plateau_over
from ds3opt.policies.weighted_vote import WeightedVote


@dataclass(frozen=True)
class GuidedSearch(Policy):
    """`samples` traces with tilted odds, and a rule to choose among those that finish, Wu et al."""

    needs: ClassVar[VerifierKind] = VerifierKind.PROCESS
    title: ClassVar[str]
    """The search as a planner would call it."""

    tilt: float = 1.0
    """Odds of a finished trace over those of plain sampling."""
    overhead: float = 1.0
    """Tokens generated over those of as many plain samples."""
    choose: str = "weighted_vote"
    """majority_vote, best_of_n or weighted_vote."""
    weight_ratio: float = 1.0
    """Of a weighted vote."""

    @property
    def finished(self) -> int:
        """Traces that end in an answer."""
        return self.samples

    @property
    def chooser(self) -> Policy:
        """The policy that makes an answer of the finished traces."""
        if self.choose == "majority_vote":
            return MajorityVote(samples=self.finished)
        if self.choose == "best_of_n":
            return BestOfN(samples=self.finished)
        return WeightedVote(samples=self.finished, weight_ratio=self.weight_ratio)

    @property
    def needs_wrong_answers(self) -> bool:
        """Where it ends in a vote."""
        return self.chooser.needs_wrong_answers

    @property
    def token_overhead(self) -> float:
        """As stated."""
        return self.overhead

    def answer_success(self, trace_success: FloatArray, traits: TaskTraits) -> FloatArray:
        """The chooser's, for traces of tilted success."""
        return self.chooser.answer_success(tilted_success(trace_success, self.tilt), traits)

    def answer_slope(
        self, low: FloatArray, high: FloatArray, traits: TaskTraits
    ) -> tuple[FloatArray, FloatArray]:
        """By the chain rule for a tilt g: ``f' g'``, and ``-f'' g'^2 - f' g''``."""
        first, second = tilt_slopes(low, self.tilt)
        slope, curvature = self.chooser.answer_slope(
            tilted_success(low, self.tilt), tilted_success(high, self.tilt), traits
        )
        return slope * first, curvature * first**2 + slope * second

    def covers(self, traits: TaskTraits) -> bool:
        """Never: coverage of plain samples is not that of tilted ones."""
        return False

    def plateau(self, population: Population, traits: TaskTraits) -> float | None:
        """The chooser's, for tilted traces: a tilt moves a vote's threshold like a weight."""
        chooser = self.chooser
        if isinstance(chooser, MajorityVote):
            return vote_plateau_over(population, traits, self.tilt)
        if isinstance(chooser, WeightedVote):
            return vote_plateau_over(population, traits, self.tilt * chooser.weight_ratio)
        return choice_plateau(population, traits, self.tilt)

    @property
    def checks_steps(self) -> bool:
        """Every step is scored; the score of the last is the trace's own."""
        return True

    def options(self) -> dict[str, Any]:
        """All that was stated, the weight only where it ends in a weighted vote."""
        named: dict[str, Any] = {
            "samples": self.samples,
            "tilt": self.tilt,
            "overhead": self.overhead,
            "choose": self.choose,
        }
        if self.choose == "weighted_vote":
            named["weight_ratio"] = self.weight_ratio
        return named

    def words(self) -> str:
        """As a planner would say it."""
        chosen = self.choose.replace("_", " ")
        if self.choose == "weighted_vote":
            chosen += f", weight ratio {self.weight_ratio:g}"
        return f"{self.title} of {self.samples}, tilt {self.tilt:g}, {chosen}"
