"""Which policies may be chosen: one family of them each, with the numbers on offer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictInt, model_validator

from ds3opt.policies import (
    POLICIES,
    BestOfN,
    ChainOfThought,
    MajorityVote,
    MonteCarloTreeSearch,
    Policy,
    Rebase,
    TreeOfThought,
    WeightedVote,
)
from ds3opt.schema.quantities import Positive, PositiveFraction, Section

POLICY_EXAMPLES = {
    "tree_of_thought": "tree_of_thought: {branches: [2, 4]}",
    "best_of_n": "best_of_n: {samples: [2, 4, 8]}",
    "majority_vote": "majority_vote: {samples: [3, 5, 9]}",
    "weighted_vote": "weighted_vote: {samples: [8, 32], weight_ratio: 1.3}",
    "rebase": "rebase: {samples: [8, 32], tilt: 1.5, overhead: 1.2, choose: weighted_vote}",
    "monte_carlo_tree_search": (
        "monte_carlo_tree_search: {samples: [16], tilt: 1.5, overhead: 3, effective_votes: 0.5}"
    ),
}
"""How each policy that needs numbers may be written."""

WeightRatio = Annotated[Positive, Field(ge=0.01, le=1000)]
Tilt = Annotated[Positive, Field(ge=1, le=1000)]
Overhead = Annotated[Positive, Field(ge=1, le=1000)]


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _integers(low: int, high: int) -> Any:
    return Annotated[
        tuple[Annotated[StrictInt, Field(ge=low, le=high)], ...],
        Field(min_length=1),
        BeforeValidator(_listed),
    ]


class TreeOfThoughtChoice(Section):
    """Which trees of thought may be chosen."""

    branches: _integers(2, 10_000)  # type: ignore[valid-type]
    """Candidate steps a level."""

    def variants(self) -> list[Policy]:
        """Every tree of thought on offer."""
        return [TreeOfThought(branches=b) for b in self.branches]


class BestOfNChoice(Section):
    """Which best-of-n policies may be chosen."""

    samples: _integers(2, 100_000)  # type: ignore[valid-type]
    """Independent traces."""
    branches: _integers(1, 10_000) = (1,)  # type: ignore[valid-type]
    """1: chains of thought; above: trees of thought."""

    def variants(self) -> list[Policy]:
        """Every best-of-n policy on offer."""
        return [BestOfN(samples=k, branches=b) for b in self.branches for k in self.samples]


class MajorityVoteChoice(Section):
    """Which majority votes may be chosen."""

    samples: _integers(2, 1000)  # type: ignore[valid-type]
    """Independent traces that vote."""

    def variants(self) -> list[Policy]:
        """Every majority vote on offer."""
        return [MajorityVote(samples=k) for k in self.samples]


class WeightedVoteChoice(Section):
    """Which weighted votes may be chosen."""

    samples: _integers(2, 1000)  # type: ignore[valid-type]
    """Independent traces that vote."""
    weight_ratio: WeightRatio
    """Mean weight of a right vote over that of a wrong one: 1 is majority vote. Wu et al.'s reward
    model: 1.0 to 1.3 on MATH, 1.2 to 3.0 on GSM8K."""

    def variants(self) -> list[Policy]:
        """Every weighted vote on offer."""
        return [WeightedVote(samples=k, weight_ratio=self.weight_ratio) for k in self.samples]


class _GuidedSearch(Section):
    """What searches that a reward model guides have in common."""

    samples: _integers(2, 1000)  # type: ignore[valid-type]
    """Traces."""
    tilt: Tilt
    """Odds of a finished trace over those of plain sampling."""
    overhead: Overhead
    """Tokens generated over those of as many plain samples."""
    choose: Literal["majority_vote", "best_of_n", "weighted_vote"] = "weighted_vote"
    """How one of the finished traces is chosen."""
    weight_ratio: WeightRatio | None = None
    """Of a weighted vote; left out: 1. The tilt already holds some of what the reward model knows:
    fit the two together."""

    @model_validator(mode="after")
    def _weights_a_vote(self) -> Any:
        if self.weight_ratio is not None and self.choose != "weighted_vote":
            raise ValueError(f"weight_ratio goes with choose: weighted_vote, not {self.choose}")
        return self


class RebaseChoice(_GuidedSearch):
    """Which REBASE searches may be chosen."""

    def variants(self) -> list[Policy]:
        """Every search on offer."""
        return [
            Rebase(
                samples=k,
                tilt=self.tilt,
                overhead=self.overhead,
                choose=self.choose,
                weight_ratio=self.weight_ratio or 1.0,
            )
            for k in self.samples
        ]


class MonteCarloTreeSearchChoice(_GuidedSearch):
    """Which Monte Carlo tree searches may be chosen."""

    effective_votes: PositiveFraction = 1.0
    """Share of rollouts that end in an answer and can be chosen."""

    def variants(self) -> list[Policy]:
        """Every search on offer."""
        return [
            MonteCarloTreeSearch(
                samples=k,
                tilt=self.tilt,
                overhead=self.overhead,
                effective_votes=self.effective_votes,
                choose=self.choose,
                weight_ratio=self.weight_ratio or 1.0,
            )
            for k in self.samples
        ]


class PolicyChoice(Section):
    """One family of policies and its numbers; exactly one key."""

    chain_of_thought: Literal[True] | None = None
    """One sequential trace; no verifier."""
    tree_of_thought: TreeOfThoughtChoice | None = None
    """Candidate steps that a process verifier chooses among."""
    best_of_n: BestOfNChoice | None = None
    """Several traces; an outcome verifier chooses one."""
    majority_vote: MajorityVoteChoice | None = None
    """Several traces vote; no verifier, but wrong_answers must be known."""
    weighted_vote: WeightedVoteChoice | None = None
    """Several traces vote with the weights of an outcome verifier; wrong_answers must be known."""
    rebase: RebaseChoice | None = None
    """A tree search that a process verifier guides, and a choice among its traces."""
    monte_carlo_tree_search: MonteCarloTreeSearchChoice | None = None
    """Rollouts that a process verifier guides, and a choice among those that finish."""

    @model_validator(mode="after")
    def _one(self) -> PolicyChoice:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"name one policy: {', '.join(POLICIES)}")
        return self

    def variants(self) -> list[Policy]:
        """Every policy on offer."""
        (name,) = self.model_fields_set
        choice = getattr(self, name)
        return [ChainOfThought()] if choice is True or choice is None else choice.variants()
