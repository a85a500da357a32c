"""Monte Carlo tree search: rollouts that a reward model guides, not all of which finish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ds3opt.laws.populations import Population
from ds3opt.laws.tilt import effective_votes, tilted_success
from ds3opt.policies.base import FloatArray, Policy, TaskTraits, VerifierKind
from ds3opt.policies.rebase import (
    choice_words,
    chooser,
    search_options,
    tilted_plateau,
    tilted_slope,
)


@dataclass(frozen=True)
class MonteCarloTreeSearch(Policy):
    """`samples` rollouts with tilted odds, of which a part counts, Wu et al.

    The papers give no table to fit it to: what it does and costs is for the user to state.
    """

    name: ClassVar[str] = "monte_carlo_tree_search"
    needs: ClassVar[VerifierKind] = VerifierKind.PROCESS

    tilt: float = 1.0
    """Odds of a finished rollout over those of a plain sample."""
    overhead: float = 1.0
    """Tokens generated over those of as many plain samples."""
    effective_votes: float = 1.0
    """Share of rollouts that end in an answer."""
    choose: str = "weighted_vote"
    """majority_vote, best_of_n or weighted_vote."""
    weight_ratio: float = 1.0
    """Of a weighted vote."""

    @property
    def chooser(self) -> Policy:
        """The policy that makes an answer of the finished rollouts."""
        votes = int(effective_votes(self.samples, self.effective_votes))
        return chooser(self.choose, votes, self.weight_ratio)

    @property
    def needs_wrong_answers(self) -> bool:
        """Where it ends in a vote."""
        return self.chooser.needs_wrong_answers

    @property
    def token_overhead(self) -> float:
        """As stated."""
        return self.overhead

    def answer_success(self, trace_success: FloatArray, traits: TaskTraits) -> FloatArray:
        """The chooser's, for rollouts of tilted success."""
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
        """The chooser's, for tilted rollouts."""
        return tilted_plateau(self.chooser, self.tilt, population, traits)

    @property
    def checks_steps(self) -> bool:
        """Every step is scored; the score of the last is the rollout's own."""
        return True

    def options(self) -> dict[str, Any]:
        """All that was stated."""
        named = search_options(
            self.samples, self.tilt, self.overhead, self.choose, self.weight_ratio
        )
        return {**named, "effective_votes": self.effective_votes}

    def words(self) -> str:
        """As a planner would say it."""
        chosen = choice_words(self.choose, self.weight_ratio)
        return f"Monte Carlo tree search of {self.samples}, tilt {self.tilt:g}, {chosen}"
