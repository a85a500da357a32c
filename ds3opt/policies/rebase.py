"""REBASE: a tree search that spends its tokens where a reward model scores high."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ds3opt.laws.populations import Population
from ds3opt.laws.tilt import tilt_slopes, tilted_success
from ds3opt.policies.base import FloatArray, Policy, TaskTraits, VerifierKind
from ds3opt.policies.best_of_n import BestOfN, choice_plateau
from ds3opt.policies.majority_vote import MajorityVote, vote_plateau_over
from ds3opt.policies.weighted_vote import WeightedVote

CHOICES = ("majority_vote", "best_of_n", "weighted_vote")
"""How one of the finished traces is chosen."""


@dataclass(frozen=True)
class Rebase(Policy):
    """`samples` finished traces with tilted odds, and a rule to choose among them, Wu et al."""

    name: ClassVar[str] = "rebase"
    needs: ClassVar[VerifierKind] = VerifierKind.PROCESS

    tilt: float = 1.0
    """Odds of a finished trace over those of plain sampling."""
    overhead: float = 1.0
    """Tokens generated over those of as many plain samples."""
    choose: str = "weighted_vote"
    """One of `CHOICES`."""
    weight_ratio: float = 1.0
    """Of a weighted vote."""

    @property
    def chooser(self) -> Policy:
        """The policy that makes an answer of the finished traces."""
        return chooser(self.choose, self.samples, self.weight_ratio)

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
        """By the chain rule."""
        return tilted_slope(self.chooser, self.tilt, low, high, traits)

    def covers(self, traits: TaskTraits) -> bool:
        """Never: coverage of plain samples is not that of tilted ones."""
        return False

    def plateau(self, population: Population, traits: TaskTraits) -> float | None:
        """The chooser's, for tilted traces."""
        return tilted_plateau(self.chooser, self.tilt, population, traits)

    @property
    def checks_steps(self) -> bool:
        """Every step is scored; the score of the last is the trace's own."""
        return True

    def options(self) -> dict[str, Any]:
        """All that was stated."""
        return search_options(
            self.samples, self.tilt, self.overhead, self.choose, self.weight_ratio
        )

    def words(self) -> str:
        """As a planner would say it."""
        chosen = choice_words(self.choose, self.weight_ratio)
        return f"REBASE of {self.samples}, tilt {self.tilt:g}, {chosen}"


def chooser(choose: str, votes: int, weight_ratio: float) -> Policy:
    """The policy that makes an answer of so many finished traces."""
    if choose == "majority_vote":
        return MajorityVote(samples=votes)
    if choose == "best_of_n":
        return BestOfN(samples=votes)
    return WeightedVote(samples=votes, weight_ratio=weight_ratio)


def choice_words(choose: str, weight_ratio: float) -> str:
    """The rule as a planner would say it.

    >>> choice_words("weighted_vote", 1.3), choice_words("best_of_n", 1.0)
    ('weighted vote, weight ratio 1.3', 'best of n')
    """
    words = choose.replace("_", " ")
    return f"{words}, weight ratio {weight_ratio:g}" if choose == "weighted_vote" else words


def tilted_slope(
    chooses: Policy, tilt: float, low: FloatArray, high: FloatArray, traits: TaskTraits
) -> tuple[FloatArray, FloatArray]:
    """Bounds for a chooser after a tilt g: ``f' g'``, and ``-f'' g'^2 - f' g''``."""
    first, second = tilt_slopes(low, tilt)
    slope, curvature = chooses.answer_slope(
        tilted_success(low, tilt), tilted_success(high, tilt), traits
    )
    return slope * first, curvature * first**2 + slope * second


def tilted_plateau(
    chooses: Policy, tilt: float, population: Population, traits: TaskTraits
) -> float | None:
    """Share that ever more traces solve; a tilt moves a vote's threshold like a weight."""
    if isinstance(chooses, MajorityVote):
        return vote_plateau_over(population, traits, tilt)
    if isinstance(chooses, WeightedVote):
        return vote_plateau_over(population, traits, tilt * chooses.weight_ratio)
    return choice_plateau(population, traits, tilt)


def search_options(
    samples: int, tilt: float, overhead: float, choose: str, weight_ratio: float
) -> dict[str, Any]:
    """Options of a guided search, the weight only where it ends in a weighted vote."""
    named: dict[str, Any] = {
        "samples": samples,
        "tilt": tilt,
        "overhead": overhead,
        "choose": choose,
    }
    return {**named, "weight_ratio": weight_ratio} if choose == "weighted_vote" else named
