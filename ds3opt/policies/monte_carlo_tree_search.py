"""Monte Carlo tree search: rollouts that a reward model guides, not all of which finish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ds3opt.laws.tilt import effective_votes
from ds3opt.policies.guided_search import GuidedSearch


@dataclass(frozen=True)
class MonteCarloTreeSearch(GuidedSearch):
    """`samples` rollouts with tilted odds, of which a part counts, Wu et al.

    The papers give no table to fit it to: what it does and costs is for the user to state.
    """

    name: ClassVar[str] = "monte_carlo_tree_search"
    title: ClassVar[str] = "Monte Carlo tree search"

    effective_votes: float = 1.0
    """Share of rollouts that end in an answer."""

    @property
    def finished(self) -> int:
        """Rollouts that end in an answer."""
        return int(effective_votes(self.samples, self.effective_votes))

    def options(self) -> dict[str, Any]:
        """All that was stated."""
        return {**super().options(), "effective_votes": self.effective_votes}
