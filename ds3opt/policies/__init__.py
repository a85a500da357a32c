"""The inference policies, one a file; POLICIES is the one place that lists them."""

from __future__ import annotations

from ds3opt.policies.base import Policy, TaskTraits, VerifierKind
from ds3opt.policies.best_of_n import BestOfN
from ds3opt.policies.chain_of_thought import ChainOfThought
from ds3opt.policies.majority_vote import MajorityVote
from ds3opt.policies.monte_carlo_tree_search import MonteCarloTreeSearch
from ds3opt.policies.rebase import Rebase
from ds3opt.policies.tree_of_thought import TreeOfThought
from ds3opt.policies.weighted_vote import WeightedVote

POLICIES: dict[str, type[Policy]] = {
    policy.name: policy
    for policy in (
        ChainOfThought,
        TreeOfThought,
        BestOfN,
        MajorityVote,
        WeightedVote,
        Rebase,
        MonteCarloTreeSearch,
    )
}

__all__ = [
    "POLICIES",
    "BestOfN",
    "ChainOfThought",
    "MajorityVote",
    "MonteCarloTreeSearch",
    "Policy",
    "Rebase",
    "TaskTraits",
    "TreeOfThought",
    "VerifierKind",
    "WeightedVote",
]
