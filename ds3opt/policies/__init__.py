"""The inference policies, one a file; POLICIES is the one place that lists them."""

from __future__ import annotations

from ds3opt.policies.base import Policy, TaskTraits, VerifierKind
from ds3opt.policies.best_of_n import BestOfN
from ds3opt.policies.chain_of_thought import ChainOfThought
from ds3opt.policies.majority_vote import MajorityVote
from ds3opt.policies.tree_of_thought import TreeOfThought

POLICIES: dict[str, type[Policy]] = {
    policy.name: policy for policy in (ChainOfThought, TreeOfThought, BestOfN, MajorityVote)
}

__all__ = [
    "POLICIES",
    "BestOfN",
    "ChainOfThought",
    "MajorityVote",
    "Policy",
    "TaskTraits",
    "TreeOfThought",
    "VerifierKind",
]
